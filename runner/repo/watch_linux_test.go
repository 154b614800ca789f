package repo

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// draft takes a draft and expects it to be git's tree.
func draft(t *testing.T, r *Repo, parent, what string) {
	t.Helper()
	want, ok := gitTree(t, r, parent)
	s, err := r.Draft(t.Context(), parent, "x")
	must(t, err)
	if !ok || s.Tree != want {
		diff, _ := gitErr(filepath.Join(r.o.Dir, "git"), nil, "diff-tree", "-r", s.Tree, want)
		t.Errorf("%s: from ours to git's:\n%s", what, diff)
	}
}

// believed says whether the next draft will look only where something happened.
func believed(r *Repo) bool { return r.watch != nil && r.watch.whole && !r.watch.over }

// TestDraftsSeeWhatHappened does to a watched work tree what moves watches to
// other paths, takes them away or makes them speak of something else.
func TestDraftsSeeWhatHappened(t *testing.T) {
	t.Parallel()
	r, base := laid(t, map[string]string{
		".gitignore": "*.log\nbuild/\n", "a/b/c": "1\n", "a/b/deep/d": "2\n", "a/e": "3\n", "x/y/z": "4\n", "tracked/in.log": "5\n", "f": "6\n",
	})
	w := r.Work()
	at := func(name string) string { return filepath.Join(w, name) }
	outside := filepath.Join(filepath.Dir(w), "outside")
	put := func(name, text string) {
		t.Helper()
		write(t, w, map[string]string{name: text})
	}
	draft(t, r, base, "the first")
	for n, step := range []struct {
		what string
		do   func()
	}{
		{"nothing", func() {}},
		{"a change", func() { put("a/b/c", "changed\n") }},
		{"a new directory, then a file far below", func() { put("new/er/est/file", "1\n") }},
		{"a file in what was new", func() { put("new/er/est/more", "1\n"); put("new/er/beside", "1\n") }},
		{"a directory is renamed", func() { must(t, os.Rename(at("a"), at("moved"))) }},
		{"a change below the new name", func() { put("moved/b/deep/d", "changed\n") }},
		{"two directories change places", func() {
			must(t, os.Rename(at("moved/b"), at("tmp")))
			must(t, os.Rename(at("x/y"), at("moved/b")))
			must(t, os.Rename(at("tmp"), at("x/y")))
		}},
		{"a change below both", func() { put("x/y/deep/d", "again\n"); put("moved/b/z", "again\n") }},
		{"a directory is taken outside and changed there", func() {
			must(t, os.Rename(at("x"), outside))
			must(t, os.WriteFile(filepath.Join(outside, "y/c"), []byte("outside\n"), 0o644))
		}},
		{"and brought back", func() { must(t, os.Rename(outside, at("x"))) }},
		{"a change in what came back", func() { put("x/y/c", "inside\n"); put("x/y/deep/more", "1\n") }},
		{"a link in the place of a directory", func() {
			must(t, os.Rename(at("x"), outside))
			must(t, os.Symlink("moved", at("x")))
		}},
		{"a change where the link leads", func() { put("moved/b/z", "by the link\n") }},
		{"a directory in the place of the link", func() {
			must(t, os.Remove(at("x")))
			must(t, os.Rename(outside, at("x")))
			put("x/y/c", "back\n")
		}},
		{"a directory is removed and made again, with other files", func() {
			must(t, os.RemoveAll(at("new")))
			put("new/er/other", "1\n")
		}},
		{"a change in it", func() { put("new/er/other", "2\n") }},
		{"what was ignored no longer is", func() { put("build/out", "1\n"); put("x/y/k.log", "1\n"); put(".gitignore", "*.tmp\n") }},
		{"a change in what was ignored", func() { put("build/out", "2\n"); put("x/y/k.log", "2\n") }},
		{"and is again", func() { put(".gitignore", "*.log\nbuild/\n") }},
		{"a tracked file among ignored ones", func() { put("tracked/in.log", "changed\n"); put("tracked/un.log", "1\n") }},
		{"rules of a directory's own", func() { put("x/.gitignore", "y/\n") }},
		{"which go", func() { must(t, os.Remove(at("x/.gitignore"))) }},
		{"a mode", func() { must(t, os.Chmod(at("f"), 0o755)) }},
		{"a file for a directory", func() { must(t, os.RemoveAll(at("new"))); put("new", "1\n") }},
		{"a directory for a file", func() { must(t, os.Remove(at("new"))); put("new/inner", "1\n") }},
		{"a file with a second name outside is written by that", func() {
			must(t, os.Link(at("f"), outside))
			put("a", "so that the directory is looked at\n")
		}},
		{"as it is", func() { must(t, os.WriteFile(outside, []byte("by its other name\n"), 0o755)) }},
		{"everything goes", func() {
			for _, name := range []string{"moved", "x", "new", "tracked", "build", "a"} {
				must(t, os.RemoveAll(at(name)))
			}
		}},
	} {
		if n > 0 && !believed(r) {
			t.Fatalf("before %q everything would be looked at", step.what)
		}
		step.do()
		draft(t, r, base, step.what)
	}
	parent, err := r.Snapshot(t.Context(), base, "x")
	must(t, err)
	draft(t, r, base, "after a snapshot")
	draft(t, r, parent.Commit, "on another commit")
	must(t, r.Restore(t.Context(), base))
	draft(t, r, base, "after a rollback")
	put("a/b/c", "after it\n")
	draft(t, r, parent.Commit, "a change after it, on another commit")
}

// TestWhatTheKernelDoesNotTell shows that drafts rely on the kernel's word, and
// snapshots do not: a file is written by a name that is not watched.
func TestWhatTheKernelDoesNotTell(t *testing.T) {
	t.Parallel()
	r, base := laid(t, map[string]string{"a/f": "1\n", ".gitignore": "build/\n"})
	must(t, os.Mkdir(filepath.Join(r.Work(), "build"), 0o755))
	grown()
	for range 2 {
		draft(t, r, base, "before")
	}
	other := filepath.Join(r.Work(), "build/f")
	must(t, os.Link(filepath.Join(r.Work(), "a/f"), other))
	must(t, os.WriteFile(other, []byte("2\n"), 0o644))
	s, err := r.Draft(t.Context(), base, "x")
	must(t, err)
	if want, _ := gitTree(t, r, base); s.Tree == want {
		t.Error("it was seen: the watch is not what drafts rely on, or tells more than it is said to")
	}
	asGit(t, r, base)
	draft(t, r, base, "after the snapshot, which has seen the second name")
	must(t, os.WriteFile(other, []byte("3\n"), 0o644))
	draft(t, r, base, "by a name that is known of")
}

// TestLostWords makes more happen than the kernel keeps, and takes the watch
// away.
func TestLostWords(t *testing.T) {
	t.Parallel()
	r, base := laid(t, map[string]string{"a/f": "1\n"})
	limit, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	must(t, err)
	var most int
	_, err = fmt.Sscan(string(limit), &most)
	must(t, err)
	for range 2 {
		draft(t, r, base, "before")
	}
	for n := range most + 10 { // one event each: a directory and its mode, in turns
		must(t, os.Chmod(filepath.Join(r.Work(), []string{"a", "a/f"}[n%2]), []os.FileMode{0o755, 0o644, 0o700, 0o600}[n%4]))
	}
	must(t, os.Chmod(filepath.Join(r.Work(), "a"), 0o755))
	write(t, r.Work(), map[string]string{"a/f": "2\n", "b/g": "new\n"})
	hot, ok := r.watch.heard()
	if ok {
		t.Fatalf("nothing was lost of what happened in %d directories", len(hot))
	}
	draft(t, r, base, "when words were lost")
	if !believed(r) {
		t.Error("the watch is not used again")
	}
	write(t, r.Work(), map[string]string{"b/g": "changed\n"})
	draft(t, r, base, "after that")

	null, err := os.Open(os.DevNull)
	must(t, err)
	defer null.Close()
	must(t, unix.Dup3(int(null.Fd()), r.watch.fd, unix.O_CLOEXEC)) // as if no watch could be set any more
	write(t, r.Work(), map[string]string{"c/d/e": "new\n", "b/g": "again\n"})
	for _, text := range []string{"1\n", "2\n"} {
		write(t, r.Work(), map[string]string{"c/d/e": text})
		draft(t, r, base, "without a watch")
	}
	if believed(r) {
		t.Error("a watch that is none is believed")
	}
}

// TestGroundIsNotLeft opens below a ground what is there, and nothing by a link,
// also where the kernel cannot do it in one step.
func TestGroundIsNotLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"in/a/b": "1\n", "in/up": "-> ..", "in/a/side": "-> ../a", "out": "2\n"})
	g, err := openGround(filepath.Join(dir, "in"))
	must(t, err)
	defer g.close()
	for how, open := range map[string]func(string, int) (int, error){"openat2": g.open, "openat": g.walk} {
		for path, want := range map[string]bool{"a": true, "a/b": true, "up": false, "up/out": false, "a/side": false, "a/side/b": false, "nowhere": false} {
			fd, err := open(path, unix.O_NOFOLLOW)
			if err == nil {
				handle(fd).close()
			}
			if (err == nil) != want {
				t.Errorf("%s %s: %v", how, path, err)
			}
		}
	}
}
