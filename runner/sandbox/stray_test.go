package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// actOrphan opens a sandbox, leaves a command running in it, and waits to be killed.
func actOrphan(args []string) error {
	s, err := Open(context.Background(), Options{Dir: filepath.Join(args[0], "orphan"), Path: os.Getenv("PATH")})
	if err != nil {
		return err
	}
	if err := s.Own(args[1]); err != nil {
		return err
	}
	if _, err := s.Start(context.Background(), sh(args[1], args[2])); err != nil {
		return err
	}
	fmt.Println("ready")
	select {}
}
