package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestLeftoversOfTheDeadAreRemoved: what a killed process left goes, and nothing
// else: not what is in use, by this process or another, nor what is not ours.
func TestLeftoversOfTheDeadAreRemoved(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	mine, remove, err := privateDir()
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	session := func(name string) *exec.Cmd {
		t.Helper()
		dir := filepath.Join(tmp, dirPrefix+name)
		must(os.MkdirAll(filepath.Join(dir, "sandbox", "deep"), 0o755))
		must(os.WriteFile(filepath.Join(dir, lockName), nil, 0o600))
		cmd := exec.CommandContext(t.Context(), "flock", "-s", filepath.Join(dir, lockName), "sh", "-c", "echo; exec sleep 600")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // flock, and the sleep that has its lock
		out, err := cmd.StdoutPipe()
		must(err)
		must(cmd.Start())
		_, err = out.Read(make([]byte, 1)) // it holds the lock now
		must(err)
		return cmd
	}
	kill := func(cmd *exec.Cmd) {
		t.Helper()
		must(syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL))
		_ = cmd.Wait() // says that it was killed
	}
	living, killed := session("living"), session("killed")
	defer kill(living)
	kill(killed)
	must(os.Mkdir(filepath.Join(tmp, dirPrefix+"unlocked"), 0o755))
	must(os.WriteFile(filepath.Join(tmp, dirPrefix+"file"), nil, 0o600))
	must(os.Symlink(mine, filepath.Join(tmp, dirPrefix+"link")))
	want := []string{filepath.Base(mine), dirPrefix + "file", dirPrefix + "link", dirPrefix + "living", dirPrefix + "unlocked"}
	if os.Geteuid() == 0 {
		foreign := filepath.Join(tmp, dirPrefix+"foreign")
		must(os.Mkdir(foreign, 0o755))
		must(os.WriteFile(filepath.Join(foreign, lockName), nil, 0o600))
		must(os.Lchown(foreign, 60001, 60001))
		want = append(want, dirPrefix+"foreign")
	}
	for range 500 { // until the kernel has buried the killed one
		if clearLeftovers(tmp); len(names(t, tmp)) == len(want) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), names(t, tmp)); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
	remove()
	if _, err := os.Stat(mine); err == nil {
		t.Error("a directory is there after it was removed")
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}
