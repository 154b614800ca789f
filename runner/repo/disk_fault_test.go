package repo

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/autonomous-loop/autonomous-loop/internal/faults"
)

// unreadable is a file that every read of fails with EIO: what stands at the first
// address of a process's memory, where nothing does.
const unreadable = "/proc/self/mem"

// TestFailingDisk has the disk fail in the middle of a session, for real: the file
// system is made read-only, reading gives EIO, and what was written is cut short.
// Each time the session ends with an error, nothing half is pushed, and another
// session goes on from what was saved.
func TestFailingDisk(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("a file system of its own needs root on Linux")
	}
	type world struct {
		at, remote, base string
		r                *Repo
		l                *loop
	}
	mount := func(t *testing.T, source, at, kind string, flags uintptr) {
		t.Helper()
		must(t, syscall.Mount(source, at, kind, flags, ""))
		t.Cleanup(func() { must(t, syscall.Unmount(at, syscall.MNT_DETACH)) })
	}
	// The same is mounted over it: nothing is open for writing there, which would
	// keep it writable.
	readOnly := func(t *testing.T, w *world) {
		t.Helper()
		mount(t, w.at, w.at, "", syscall.MS_BIND)
		must(t, syscall.Mount("", w.at, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""))
	}
	object := func(t *testing.T, w *world, id string) string {
		t.Helper()
		path := w.r.store.path(parseOr(t, id))
		must(t, os.Chmod(path, 0o600))
		return path
	}
	save := func(t *testing.T, w *world) error {
		tip := git(t, w.remote, "rev-parse", workRef)
		c := work(t, w.r, tip, "c.js", "2\n")
		return w.r.Save(t.Context(), w.l.next(c, c))
	}
	for _, c := range []struct {
		id string
		do func(t *testing.T, w *world) error
	}{
		{"T9f", func(t *testing.T, w *world) error { readOnly(t, w); return w.r.Save(t.Context(), w.l.next("", "")) }},
		{"T9f", func(t *testing.T, w *world) error { readOnly(t, w); return w.r.Restore(t.Context(), w.base) }},
		{"T9f", func(t *testing.T, w *world) error {
			readOnly(t, w)
			_, err := w.r.Snapshot(t.Context(), w.base, "x")
			return err
		}},
		{"T9f", func(t *testing.T, w *world) error {
			push(t, w.remote, "main", map[string]string{"new": "x\n"}, "more")
			readOnly(t, w)
			_, err := w.r.Load(t.Context())
			return err
		}},
		{"T9g", func(t *testing.T, w *world) error {
			// What was just recorded cannot be read back.
			tip := git(t, w.remote, "rev-parse", workRef)
			code := work(t, w.r, tip, "c.js", "2\n")
			file := object(t, w, code)
			must(t, os.Remove(file))
			must(t, os.Symlink(unreadable, file))
			return w.r.Save(t.Context(), w.l.next(code, code))
		}},
		{"T9h", func(t *testing.T, w *world) error {
			must(t, w.r.Restore(t.Context(), w.base))
			write(t, w.r.Work(), map[string]string{"c.js": "2\n"})
			mount(t, unreadable, filepath.Join(w.r.Work(), "c.js"), "", syscall.MS_BIND)
			_, err := w.r.Snapshot(t.Context(), w.base, "x")
			return err
		}},
		{"T11c", func(t *testing.T, w *world) error {
			tip := git(t, w.remote, "rev-parse", workRef)
			code := work(t, w.r, tip, "c.js", "2\n")
			packs, err := filepath.Glob(filepath.Join(w.at, "git", "objects", "pack", "*.pack"))
			must(t, err)
			for _, pack := range packs {
				must(t, os.Chmod(pack, 0o600))
				must(t, os.Truncate(pack, 20))
			}
			return w.r.Save(t.Context(), w.l.next(code, code))
		}},
		{"T11c", func(t *testing.T, w *world) error {
			tip := git(t, w.remote, "rev-parse", workRef)
			code := work(t, w.r, tip, "c.js", "2\n")
			garble(t, object(t, w, code))
			return w.r.Save(t.Context(), w.l.next(code, code))
		}},
		{"T11c", func(t *testing.T, w *world) error {
			// A whole object, but another one.
			tip := git(t, w.remote, "rev-parse", workRef)
			code, other := work(t, w.r, tip, "c.js", "2\n"), work(t, w.r, tip, "d.js", "3\n")
			must(t, os.Rename(object(t, w, other), object(t, w, code)))
			return w.r.Save(t.Context(), w.l.next(code, code))
		}},
		{"T11d", func(t *testing.T, w *world) error {
			// The notes of the work tree are only believed where they can be checked.
			must(t, w.r.Restore(t.Context(), w.base))
			notes, err := filepath.Glob(filepath.Join(w.at, "git", "worktree-*"))
			must(t, err)
			if len(notes) == 0 {
				t.Error("there are no notes")
			}
			for _, name := range append(notes, filepath.Join(w.at, "git", "clock")) {
				if _, err := os.Lstat(name); err == nil {
					must(t, os.Truncate(name, 1))
				}
			}
			return save(t, w)
		}},
	} {
		t.Run(c.id, func(t *testing.T) {
			w := &world{at: t.TempDir(), remote: bare(t, map[string]string{"README.md": "hello\n"})}
			if err := syscall.Mount("tmpfs", w.at, "tmpfs", 0, ""); err != nil {
				t.Skipf("a file system cannot be mounted here: %v", err)
			}
			t.Cleanup(func() { must(t, syscall.Unmount(w.at, syscall.MNT_DETACH)) })
			a := &account{}
			s := serve(t, w.remote)
			w.r, w.l = started(t, s.url, withAuth, a.patient, func(o *Options) { o.Dir = w.at })
			w.base = load(t, w.r).Base.Commit
			before := tipsOf(t, w.remote)
			err := c.do(t, w)
			a.check(t, c.id, err)
			if faults.EndOf(err) == faults.GoesOn {
				return
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("in several lines: %v", err)
			}
			if got := tipsOf(t, w.remote); got != before && c.id != "T9f" {
				t.Errorf("refs were\n%s\nand are\n%s", before, got)
			}
			r := open(t, s.url, withAuth) // the next one, elsewhere
			l := begin(load(t, r))
			tip := git(t, w.remote, "rev-parse", workRef)
			code := work(t, r, tip, "c.js", "2\n")
			l.save(t, r, code, code)
		})
	}
}

// TestMissingObjectIsNoMissingPath: what a damaged disk has lost is an error, and
// never the word that a commit has no such file, or damage here would look like
// damage of the loop.
func TestMissingObjectIsNoMissingPath(t *testing.T) {
	t.Parallel()
	r, base := laid(t, map[string]string{"a": "b\n"})
	lost := parseOr(t, strings.Repeat("12", 20))
	tree, err := r.store.put(plumbing.TreeObject, encodeTree([]entry{{"d", modeDir, lost}, {"f", modeFile, lost}}))
	must(t, err)
	c, err := r.Commit(t.Context(), tree.String(), base, "x", r.o.Now())
	must(t, err)
	for path, absent := range map[string]bool{"d/x": false, "f": false, "g": true} {
		if _, err := r.store.file(parseOr(t, c), path); err == nil || errors.Is(err, fs.ErrNotExist) != absent {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := r.store.file(lost, "a"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a commit that is lost: %v", err)
	}
}
