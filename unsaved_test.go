package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// TestUnsavedIsLeftInTheWorkspace keeps what could be neither saved nor uploaded
// where a later step of the job finds it, once.
func TestUnsavedIsLeftInTheWorkspace(t *testing.T) {
	at := t.TempDir()
	j := &job{getenv: func(name string) string { return map[string]string{"GITHUB_WORKSPACE": at}[name] }}
	j.run.ID, j.run.Attempt = 5, 2
	away := &runner.UnsavedError{Err: errors.New("the remote is away"), Files: []runner.File{{Name: "loop.bundle", Data: []byte("b")}, {Name: "RESCUE.md", Data: []byte("r")}}}
	err := j.keep(away)
	if !errors.Is(err, away) || !strings.Contains(err.Error(), "is in the workspace, in autonomous-loop-rescue-5-2, until") {
		t.Error(err)
	}
	for name, want := range map[string]string{"loop.bundle": "b", "RESCUE.md": "r"} {
		if b, err := os.ReadFile(filepath.Join(at, "autonomous-loop-rescue-5-2", name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if err := j.keep(away); !errors.Is(err, os.ErrExist) {
		t.Errorf("it was written over: %v", err)
	}
	other := errors.New("x")
	if err := j.keep(other); !errors.Is(err, other) || err.Error() != "x" || j.keep(nil) != nil {
		t.Errorf("got %v", err)
	}
}
