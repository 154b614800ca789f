package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSeedIsForHeldCommandsOnly(t *testing.T) {
	keep := filepath.Join(place(t), "keep")
	none, _ := box(t, Options{Isolation: "none"})
	if err := none.Warm(t.Context(), keep, "errors"); err != nil || exists(keep) {
		t.Errorf("without isolation: %v, a seed: %v", err, exists(keep))
	}
	s, _ := box(t, Options{})
	if err := os.Mkdir(keep, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(keep, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := s.Warm(t.Context(), keep, "errors"); err == nil || !strings.Contains(err.Error(), "only we can write") {
		t.Errorf("a directory that all may write: %v", err)
	}
}
