package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// on lists a directory: kind, permissions and content of everything in it.
func on(t *testing.T, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		switch fi.Mode().Type() {
		case 0:
			b, err := os.ReadFile(p)
			m[rel] = fi.Mode().String() + " " + string(b)
			return err
		case os.ModeSymlink:
			to, err := os.Readlink(p)
			m[rel] = "-> " + to
			return err
		}
		m[rel] = fi.Mode().String()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var project = map[string]string{
	".gitignore": "node_modules/\n*.log\n", "src/a.js": "1\n", "src/deep/b.js": "2\n", "run": "#!/bin/sh\n", "link": "-> src/a.js", "docs/x": "y\n",
}

// TestRestoreUndoesWhatAnAgentDid does the worst to a work tree that a process
// without rights over anything else can do, and expects the files of the
// commit, what they ignore, and nothing else.
func TestRestoreUndoesWhatAnAgentDid(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	write(t, outside, map[string]string{"a.js": "theirs\n", "deep/b.js": "theirs\n", "x": "theirs\n"})
	before := on(t, outside)
	r, base := laid(t, project)
	w := r.Work()
	clean := on(t, w)

	write(t, w, map[string]string{
		"node_modules/p/index.js": "kept\n", "node_modules/p/.git/config": "kept\n", "a.log": "kept\n", "new/b.log": "kept\n",
		"new/gone.js": "gone\n", "new/er/gone.js": "gone\n", ".git/hooks/post-checkout": "gone\n",
		"hidden/.gitignore": "*\n", "hidden/gone": "gone\n", "src/.gitignore": "*\n", "src/gone": "gone\n",
		"dangling": "-> /nowhere",
	})
	must(t, os.RemoveAll(filepath.Join(w, "src/deep")))
	must(t, os.RemoveAll(filepath.Join(w, "docs")))
	must(t, os.Remove(filepath.Join(w, "src/a.js")))
	must(t, os.Remove(filepath.Join(w, "link")))
	must(t, os.Remove(filepath.Join(w, ".gitignore")))
	write(t, w, map[string]string{
		"src/deep":     "-> " + outside + "/deep", // a directory led outside
		"docs":         "-> " + outside,
		"src/a.js":     "-> " + outside + "/a.js", // and a file
		"link/in/side": "gone\n",                  // a directory for a link
		".gitignore":   "-> " + outside + "/x",
	})
	must(t, os.Chmod(filepath.Join(w, "run"), os.ModeSetuid|0o644))
	must(t, os.MkdirAll(filepath.Join(w, "locked/up"), 0o755))
	must(t, os.Chmod(filepath.Join(w, "locked"), 0))
	must(t, os.Chmod(filepath.Join(w, "src"), 0o500))
	must(t, syscall.Mkfifo(filepath.Join(w, "pipe"), 0o644))

	must(t, r.Restore(t.Context(), base))
	clean["node_modules"], clean["node_modules/p"], clean["node_modules/p/.git"] = "drwxr-xr-x", "drwxr-xr-x", "drwxr-xr-x"
	clean["node_modules/p/index.js"], clean["node_modules/p/.git/config"] = "-rw-r--r-- kept\n", "-rw-r--r-- kept\n"
	clean["a.log"], clean["new"], clean["new/b.log"] = "-rw-r--r-- kept\n", "drwxr-xr-x", "-rw-r--r-- kept\n"
	if d := cmp.Diff(on(t, w), clean); d != "" {
		t.Errorf("got and want:\n%s", d)
	}
	if d := cmp.Diff(on(t, outside), before); d != "" {
		t.Errorf("outside, now and before:\n%s", d)
	}
	s, err := r.Snapshot(t.Context(), base, "x")
	must(t, err)
	if c, err := r.Changed(t.Context(), base, s.Tree); err != nil || len(c) != 0 || len(s.Left) != 0 {
		t.Errorf("changed %q, left out %q, %v", c, s.Left, err)
	}
}

// TestRestoreWritesOnlyWhatDiffers goes back and forth between two commits: what
// is the same keeps its time, so that builds see no reason to start over.
func TestRestoreWritesOnlyWhatDiffers(t *testing.T) {
	t.Parallel()
	r, base := laid(t, project)
	w := r.Work()
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, f := range []string{"src/a.js", "src/deep/b.js", "run"} {
		must(t, os.Chtimes(filepath.Join(w, f), old, old))
	}
	must(t, os.Chmod(filepath.Join(w, "run"), 0o755))
	write(t, w, map[string]string{"src/a.js": "changed\n", "src/new.js": "3\n"})
	must(t, os.RemoveAll(filepath.Join(w, "docs")))
	s, err := r.Snapshot(t.Context(), base, "x")
	must(t, err)
	second := on(t, w)
	must(t, r.Restore(t.Context(), base))
	if d := cmp.Diff(tree(t, r, base), tree(t, r, tree2(t, r, base))); d != "" {
		t.Errorf("the tree is another one:\n%s", d)
	}
	must(t, r.Restore(t.Context(), s.Commit))
	if d := cmp.Diff(on(t, w), second); d != "" {
		t.Errorf("back again, got and want:\n%s", d)
	}
	fi, err := os.Stat(filepath.Join(w, "src/deep/b.js"))
	must(t, err)
	if !fi.ModTime().Equal(old) {
		t.Error("a file that is the same was written again")
	}
	// A Repo that knows nothing of the work tree reads it rather than writing it.
	again := open(t, r.o.Remote, func(o *Options) { o.Dir = r.o.Dir })
	load(t, again)
	must(t, again.Restore(t.Context(), s.Commit))
	if fi, err = os.Stat(filepath.Join(w, "src/deep/b.js")); err != nil || !fi.ModTime().Equal(old) {
		t.Error("a file that is the same was written again", err)
	}
}

// tree2 is the tree of a snapshot of the work tree as it is.
func tree2(t *testing.T, r *Repo, parent string) string {
	t.Helper()
	s, err := r.Snapshot(t.Context(), parent, "x")
	must(t, err)
	return s.Tree
}

// TestSnapshotSeesEveryEdit changes a file right after it was recorded, to
// something of the same size, and sets its time back: nothing may tell but what
// the kernel alone writes.
func TestSnapshotSeesEveryEdit(t *testing.T) {
	t.Parallel()
	r, base := laid(t, map[string]string{"x": "00000000\n"})
	p := filepath.Join(r.Work(), "x")
	at := time.Now().Add(-time.Hour)
	var trees []string
	for n := range 150 {
		text := []byte{byte('a' + n%26), byte('a' + n/26), '\n'}
		f, err := os.OpenFile(p, os.O_WRONLY|os.O_TRUNC, 0) // the same inode
		must(t, err)
		_, err = f.Write(text)
		must(t, errors.Join(err, f.Close()))
		must(t, os.Chtimes(p, at, at))
		trees = append(trees, tree2(t, r, base))
	}
	if slices.Sort(trees); len(slices.Compact(trees)) != 150 {
		t.Errorf("%d trees of 150 edits", len(slices.Compact(trees)))
	}
}

// TestYoungFilesAreReadAgain stands in for a file system whose clock is coarse:
// a file is changed, and its stamp is what it was before.
func TestYoungFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	r, base := laid(t, map[string]string{"x": "0000\n"})
	p := filepath.Join(r.Work(), "x")
	for n, young := 0, 0; young < 3; n++ {
		must(t, os.WriteFile(p, fmt.Appendf(nil, "%04d\n", n+1), 0o644))
		before := tree2(t, r, base)
		if !r.index.root.file("x").racy && n < 100 {
			continue // the machine was too slow for it to be young
		}
		young++
		must(t, os.WriteFile(p, fmt.Appendf(nil, "%04d\n", n+5), 0o644))
		fi, err := os.Lstat(p)
		must(t, err)
		r.index.root.file("x").stamp = stampOf(fi)
		if tree2(t, r, base) == before {
			t.Fatal("a change within a tick of the clock was not seen")
		}
	}
	st := stamp{mtime: 1000e6, ctime: 1000e6}
	if !st.touched(1005e6) || st.touched(1020e6) || !st.touched(900e6) || !(stamp{mtime: 1, ctime: 1000e6}).touched(1005e6) {
		t.Error("what counts as young is wrong")
	}
}

// TestReadWaitsForNothing puts a pipe in the place of a file between a look at
// it and its reading.
func TestReadWaitsForNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"x": "y"})
	r, err := os.OpenRoot(dir)
	must(t, err)
	defer r.Close()
	fi, err := r.Lstat("x")
	must(t, err)
	must(t, os.Remove(filepath.Join(dir, "x")))
	must(t, syscall.Mkfifo(filepath.Join(dir, "x"), 0o644))
	done := make(chan error, 1)
	go func() { _, err := readFile(r, "x", fi); done <- err }()
	select {
	case err := <-done:
		if err == nil {
			t.Error("a pipe was read")
		}
	case <-time.After(5 * time.Second):
		t.Error("it hangs")
	}
}

// TestLockedDirectories is about a work tree of our own user, who is not root:
// what cannot be read is left out and kept, and Restore unlocks it.
func TestLockedDirectories(t *testing.T) {
	if os.Getuid() == 0 { // for whom nothing is locked: as somebody else
		const nobody = 65534
		tmp := t.TempDir()
		must(t, os.Chmod(filepath.Dir(tmp), 0o755))
		must(t, os.Chown(tmp, nobody, nobody))
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestLockedDirectories$", "-test.v")
		cmd.Env, cmd.Dir = append(os.Environ(), "TMPDIR="+tmp), tmp
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: TestLockedDirectories") {
			t.Errorf("as nobody: %v\n%s", err, out)
		}
		return
	}
	r, base := laid(t, map[string]string{"a/b/c": "1\n", "a/d": "2\n", "listed/x": "3\n", "file": "4\n", "new.ignored": "5\n"})
	w := r.Work()
	clean := on(t, w)
	write(t, w, map[string]string{"a/d": "changed\n", "fresh/x": "1\n", "other": "1\n", "file": "changed\n"})
	for dir, mode := range map[string]os.FileMode{"a/b": 0, "listed": 0o400, "fresh": 0, "file": 0} {
		must(t, os.Chmod(filepath.Join(w, dir), mode))
	}
	s, err := r.Snapshot(t.Context(), base, "x")
	must(t, err)
	if d := cmp.Diff(s.Left, []string{"a/b: it cannot be read", "file: it cannot be read", "fresh: it cannot be read", "listed: it cannot be read"}); d != "" {
		t.Errorf("left out, got and want:\n%s", d)
	}
	c, err := r.Changed(t.Context(), base, s.Tree)
	if must(t, err); !slices.Equal(c, []string{"a/d", "other"}) {
		t.Errorf("changed %q", c)
	}
	must(t, r.Restore(t.Context(), base))
	if d := cmp.Diff(on(t, w), clean); d != "" {
		t.Errorf("got and want:\n%s", d)
	}
}

func TestOwnerGetsWhatIsWritten(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 { // who may give nothing away, and must not pass over that
		r := open(t, bare(t, project), func(o *Options) { o.Owner = &Owner{os.Getuid(), os.Getgid()} })
		base := load(t, r).Base.Commit
		must(t, r.Restore(t.Context(), base))
		r.o.Owner = &Owner{12345, 12345}
		if err := r.Export(t.Context(), base, t.TempDir()); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("got %v", err)
		}
		return
	}
	r, base := laid(t, project, func(o *Options) { o.Owner = &Owner{12345, 12345} })
	err := filepath.WalkDir(r.Work(), func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if err == nil && fi.Sys().(*syscall.Stat_t).Uid != 12345 {
			t.Errorf("%s was not given to the user", p)
		}
		return err
	})
	must(t, err)
	must(t, r.Restore(t.Context(), base))
	if s, err := r.Snapshot(t.Context(), base, "x"); err != nil || s.Tree != git(t, filepath.Join(r.o.Dir, "git"), "rev-parse", base+"^{tree}") {
		t.Errorf("%+v, %v", s, err)
	}
	// A link that the user planted in the place of a directory leads nobody
	// else's file to the user.
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "a.js"), nil, 0o600))
	must(t, os.RemoveAll(filepath.Join(r.Work(), "src")))
	must(t, os.Symlink(outside, filepath.Join(r.Work(), "src")))
	must(t, r.Restore(t.Context(), base))
	fi, err := os.Lstat(filepath.Join(outside, "a.js"))
	must(t, err)
	if fi.Sys().(*syscall.Stat_t).Uid == 12345 {
		t.Error("a file outside of the work tree was handed over")
	}
}

// TestExportIsTheTree compares with what git itself checks out.
func TestExportIsTheTree(t *testing.T) {
	t.Parallel()
	files := map[string]string{"empty": "", "ü/é": "x", "a b/c\nd": "y\n", "dangling": "-> /nowhere", "crlf.txt": "a\r\nb\r\n", ".gitattributes": "*.txt text=auto eol=crlf\n*.sub export-ignore\nid ident\n", "k.sub": "z\n", "id": "$Id$\n"}
	maps.Copy(files, project)
	r, base := laid(t, files)
	must(t, os.Chmod(filepath.Join(r.Work(), "run"), 0o755))
	s, err := r.Snapshot(t.Context(), base, "x")
	must(t, err)
	want := t.TempDir()
	out, err := gitErr(want, []string{"GIT_DIR=" + filepath.Join(r.o.Dir, "git"), "GIT_WORK_TREE=" + want, "GIT_INDEX_FILE=" + filepath.Join(t.TempDir(), "i")},
		"-c", "core.bare=false", "-c", "core.attributesFile=/dev/null", "read-tree", "--reset", "-u", s.Commit)
	if err != nil {
		t.Fatal(out)
	}
	for _, id := range []string{s.Commit, s.Tree} {
		dir := t.TempDir()
		must(t, r.Export(t.Context(), id, dir))
		got, wanted := on(t, dir), on(t, want)
		// What git would turn into something else for the work tree stays as it
		// is recorded.
		wanted["crlf.txt"], wanted["id"] = "-rw-r--r-- a\nb\n", "-rw-r--r-- $Id$\n"
		if d := cmp.Diff(got, wanted); d != "" {
			t.Errorf("got and want:\n%s", d)
		}
	}
	if err := r.Export(t.Context(), strings.Repeat("1", 40), t.TempDir()); err == nil {
		t.Error("exported what is not there")
	}
	if err := r.Export(t.Context(), s.Commit, filepath.Join(want, "nowhere")); err == nil {
		t.Error("exported to nowhere")
	}
}

func TestChanged(t *testing.T) {
	t.Parallel()
	r, base := laid(t, map[string]string{"a": "1\n", "d/x": "1\n", "d/y": "1\n", "f": "1\n", "same/z": "1\n", "mode": "1\n"})
	w := r.Work()
	must(t, os.RemoveAll(filepath.Join(w, "d")))
	must(t, os.Remove(filepath.Join(w, "f")))
	must(t, os.Chmod(filepath.Join(w, "mode"), 0o755))
	write(t, w, map[string]string{"a": "2\n", "d": "a file now\n", "f/g": "a directory now\n", "new": "1\n"})
	s, err := r.Snapshot(t.Context(), base, "x")
	must(t, err)
	want := []string{"a", "d", "d/x", "d/y", "f", "f/g", "mode", "new"}
	for _, pair := range [][2]string{{base, s.Commit}, {s.Tree, base}} {
		if got, err := r.Changed(t.Context(), pair[0], pair[1]); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v", got, err)
		}
	}
	if got, err := r.Changed(t.Context(), s.Tree, s.Commit); err != nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
}

// TestAgentCannotInfluenceGit plants everything by which git can be made to run
// a program or to look elsewhere, and goes through a transaction.
func TestAgentCannotInfluenceGit(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	run := "#!/bin/sh\ntouch " + mark + "\ncat\n"
	config := "[core]\n\thooksPath = hooks\n\tfsmonitor = " + run + "\n\tworktree = /\n[filter \"x\"]\n\tclean = touch " + mark + "\n\tsmudge = touch " + mark + "\n\trequired = true\n[alias]\n\tindex-pack = !touch " + mark + "\n"
	r, base := laid(t, map[string]string{"x": "y\n", ".gitattributes": "* filter=x ident\n", ".gitconfig": config})
	write(t, r.Work(), map[string]string{".git/config": config, ".git/hooks/pre-commit": run, ".git/HEAD": "ref: refs/heads/x\n", "hooks/reference-transaction": run, "new": "$Id: 1 $\n", ".lfsconfig": "x"})
	for _, f := range []string{".git/hooks/pre-commit", "hooks/reference-transaction"} {
		must(t, os.Chmod(filepath.Join(r.Work(), f), 0o755))
	}
	t.Chdir(r.Work())
	l := begin(load(t, r))
	l.save(t, r, "", "")
	s, err := r.Snapshot(t.Context(), base, "x")
	must(t, err)
	l.save(t, r, s.Commit, s.Commit)
	load(t, open(t, r.o.Remote))
	must(t, r.Restore(t.Context(), base))
	if _, err := os.Stat(mark); err == nil {
		t.Error("a program of the work tree was run")
	}
	if got := git(t, r.o.Remote, "show", workRef+":new"); got != "$Id$" {
		t.Errorf("recorded %q", got)
	}
}

func TestCancelledWorkIsDoneAgain(t *testing.T) {
	t.Parallel()
	r, base := laid(t, project)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	write(t, r.Work(), map[string]string{"src/a.js": "changed\n"})
	if _, err := r.Snapshot(ctx, base, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	s, err := r.Snapshot(t.Context(), base, "x")
	must(t, err)
	if c, err := r.Changed(t.Context(), base, s.Commit); err != nil || len(c) != 1 {
		t.Errorf("%q, %v", c, err)
	}
	if err := r.Restore(ctx, base); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	must(t, r.Restore(t.Context(), base))
	if b, err := os.ReadFile(filepath.Join(r.Work(), "src/a.js")); err != nil || string(b) != "1\n" {
		t.Errorf("%q, %v", b, err)
	}
}
