package main

import (
	"os"
	"runtime"
	"syscall"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/internal/faults"
)

// TestRoomAtTheStart asks for room on a file system of its own, of 2 MB.
func TestRoomAtTheStart(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("a file system of its own needs root on Linux")
	}
	at := t.TempDir()
	if err := roomy(at, 1<<20); err != nil {
		t.Error(err)
	}
	if err := syscall.Mount("tmpfs", at, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("a file system cannot be mounted here: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(at, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	if err := roomy(at, 1<<20); err != nil {
		t.Error(err)
	}
	err := roomy(at, leastRoom)
	if err == nil {
		t.Fatal("2 MB are enough")
	}
	faults.Check(t, "R6", faults.Seen{Ends: faults.EndOf(err), Reads: err.Error()})
}
