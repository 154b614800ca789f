package repo

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// TestListSeesWhatLstatSees lists one entry of every kind: a stamp from a list
// and one of the same file from lstat are compared all the time.
func TestListSeesWhatLstatSees(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, dir, map[string]string{"file": "x\n", "exec": "x\n", "setuid": "", "none": "", "link": "-> file", "dangling": "-> nothing", "d/x": "", "sticky/x": "", "é\xff\n": ""})
	for name, mode := range map[string]os.FileMode{
		"exec": 0o755, "setuid": 0o755 | os.ModeSetuid, "none": 0, "d": 0o750 | os.ModeSetgid, "sticky": 0o777 | os.ModeSticky,
	} {
		must(t, os.Chmod(at(name), mode))
	}
	must(t, syscall.Mkfifo(at("pipe"), 0o640))
	s, err := net.Listen("unix", at("s"))
	must(t, err)
	defer s.Close()
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer root.Close()
	items, err := list(root, ".")
	must(t, err)
	var names []string
	for _, e := range items {
		names = append(names, e.name)
		fi, err := os.Lstat(at(e.name))
		must(t, err)
		if want := stampOf(fi); e.stamp != want || e.mode != fi.Mode() {
			t.Errorf("%s: %+v; lstat says %+v, %v", e.name, e.stamp, want, fi.Mode())
		}
	}
	again, err := lookAt(dir, append(names, "gone", "file/below"))
	must(t, err)
	if !slices.Equal(again, items) {
		t.Errorf("%+v at the names that were listed, %+v with them", again, items)
	}
	slices.Sort(names)
	if want := []string{"d", "dangling", "exec", "file", "link", "none", "pipe", "s", "setuid", "sticky", "é\xff\n"}; !slices.Equal(names, want) {
		t.Errorf("listed %q, want %q", names, want)
	}
}

// TestYoungDirectoriesAreListedAgain adds a file to a directory that keeps its
// stamp, as it may where the clock of the file system is coarse or lags.
func TestYoungDirectoriesAreListedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"a": "x\n"})
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer root.Close()
	fi, err := root.Stat(".")
	must(t, err)
	p := place{d: newIndex().root, stamp: stampOf(fi)}
	for i, start := range []int64{p.stamp.mtime, p.stamp.mtime + 1e6, p.stamp.mtime + 1e9} {
		s := &scan{root: root, start: start}
		write(t, dir, map[string]string{string(rune('b' + i)): "x\n"})
		if es, err := s.list(p); err != nil || len(es) != i+2 {
			t.Errorf("start %d: %d entries, %v; want %d", i, len(es), err, i+2)
		}
		if kept := p.d.listed.names != nil; kept != (i == 2) {
			t.Errorf("start %d: names kept: %v", i, kept)
		}
	}
}
