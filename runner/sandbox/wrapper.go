package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Wrapper writes a program to path that runs c.Argv, with its own arguments
// after those, in this sandbox: for libraries that start programs themselves and
// can be told which. It gets an empty environment like every command, stdin,
// stdout and stderr from whoever calls it, and pipes or sockets on the
// descriptors 3 and 4. Timeout, Stdin and what concerns the output are the
// caller's matter. What it started ends with [Sandbox.Close] at the latest.
//
// Only this process's user can use it, and only while the sandbox is open.
func (s *Sandbox) Wrapper(path string, c Command) error {
	if err := s.wrap(path, c); err != nil {
		return fmt.Errorf("wrap %s: %w", name(c), err)
	}
	return nil
}

func (s *Sandbox) wrap(path string, c Command) error {
	if err := s.Held(); err != nil {
		return err
	}
	c, _, err := s.lodge(c) // for as long as the sandbox is there
	if err != nil {
		return err
	}
	if err := s.check(c); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("the sandbox is closed")
	}
	m, err := claim()
	if err != nil {
		return err
	}
	s.wrappers = append(s.wrappers, m)
	pol := s.policy(c, m)
	pol.Ports = true
	text, err := json.Marshal(pol)
	if err != nil {
		return err
	}
	file := filepath.Join(s.private, fmt.Sprintf("wrapper-%d.json", len(s.wrappers)))
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	script := "#!/bin/sh\nexec " + quote(s.helper) + " " + quote(file) + " \"$@\"\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil { //nolint:gosec // a program
		return err
	}
	return os.Chmod(path, 0o755) //nolint:gosec // likewise, and whatever the umask
}

// quote makes a word of a shell script.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
