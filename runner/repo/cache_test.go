package repo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// grown waits until what was written is no longer young.
func grown() { time.Sleep(40 * time.Millisecond) }

// restarted is what another process finds in r's directory.
func restarted(t *testing.T, r *Repo) *Repo {
	t.Helper()
	again := open(t, r.o.Remote, func(o *Options) { o.Dir = r.o.Dir })
	load(t, again)
	return again
}

// asGit takes a snapshot and expects it to be git's.
func asGit(t *testing.T, r *Repo, parent string) {
	t.Helper()
	want, ok := gitTree(t, r, parent)
	if got := tree2(t, r, parent); !ok || got != want {
		diff, _ := gitErr(filepath.Join(r.o.Dir, "git"), nil, "diff-tree", "-r", got, want)
		t.Fatalf("from ours to git's:\n%s", diff)
	}
}

var woods = map[string]string{".gitignore": "*.log\nbuild/\n", "a/b/c": "1\n", "a/b/d": "2\n", "a/e": "3\n", "f": "4\n", "run": "-> f", "crlf": "a\r\nb\r\n"}

// TestRestartReadsNothing counts what a process looks at that finds what another
// one has seen.
func TestRestartReadsNothing(t *testing.T) {
	t.Parallel()
	r, base := laid(t, woods)
	write(t, r.Work(), map[string]string{"x.log": "ignored\n", "build/y": "ignored\n"})
	grown()
	tree2(t, r, base) // which lists what Restore has written
	again := restarted(t, r)
	asGit(t, again, base)
	if n := again.index.fresh; n != 0 {
		t.Errorf("%d files and directories were looked into anew", n)
	}
	write(t, r.Work(), map[string]string{"a/e": "changed\n", "a/new": "new\n", "a/z.log": "ignored\n"})
	grown()
	again = restarted(t, r)
	asGit(t, again, base)
	if n := again.index.fresh; n > 4 {
		t.Errorf("%d files and directories were looked into anew for two", n)
	}
}

// TestForgedTimesHideNothing changes files and directories, and sets every time
// back that a program can set, within one process and across two.
func TestForgedTimesHideNothing(t *testing.T) {
	t.Parallel()
	r, base := laid(t, woods)
	w := r.Work()
	hide := func(name string, change func(path string)) {
		t.Helper()
		p := filepath.Join(w, name)
		fi, err := os.Lstat(p)
		must(t, err)
		change(p)
		must(t, os.Chtimes(p, fi.ModTime(), fi.ModTime()))
	}
	for n, other := range []bool{false, true, true, false} {
		grown()
		tree2(t, r, base)
		if other {
			r = restarted(t, r)
		}
		before := tree2(t, r, base)
		hide("a/b/c", func(p string) { // in place, of the same size
			f, err := os.OpenFile(p, os.O_WRONLY, 0)
			must(t, err)
			_, err = fmt.Fprintf(f, "%d\n", n+2)
			must(t, err)
			must(t, f.Close())
		})
		hide("a/b/d", func(p string) { // by another file
			must(t, os.WriteFile(p+"~", fmt.Appendf(nil, "%d\n", n+3), 0o644))
			must(t, os.Rename(p+"~", p))
		})
		hide("a", func(p string) { must(t, os.WriteFile(filepath.Join(p, fmt.Sprint("new", n)), nil, 0o644)) })
		grown()
		if other {
			r = restarted(t, r)
		}
		asGit(t, r, base)
		if changed, err := r.Changed(t.Context(), before, tree2(t, r, base)); err != nil || len(changed) != 3 {
			t.Errorf("round %d: changed %q, %v", n, changed, err)
		}
	}
}

// TestDamagedCacheIsNotBelieved alters every byte of the file, cuts it off
// everywhere, and hands over what another version, another work tree or a forger
// has written.
func TestDamagedCacheIsNotBelieved(t *testing.T) {
	t.Parallel()
	r, base := laid(t, woods)
	grown()
	tree2(t, r, base)
	g, err := openGround(r.Work())
	must(t, err)
	defer g.close()
	top, err := g.stamp()
	must(t, err)
	good, err := os.ReadFile(r.cache())
	must(t, err)
	if _, err := decodeIndex(t.Context(), good, top); err != nil {
		t.Fatal("the file itself: ", err)
	}
	refused := func(what string, b []byte, top stamp) {
		t.Helper()
		if _, err := decodeIndex(t.Context(), b, top); err == nil {
			t.Errorf("believed: %s", what)
		}
	}
	signed := func(b []byte) []byte {
		sum := sha256.Sum256(b[:len(b)-sha256.Size])
		return append(bytes.Clone(b[:len(b)-sha256.Size]), sum[:]...)
	}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 1 << (i % 8)
		refused(fmt.Sprint("another byte at ", i), b, top)
		refused(fmt.Sprint("cut off at ", i), good[:i], top)
		if i < len(good)-sha256.Size {
			_, _ = decodeIndex(t.Context(), signed(b), top) // may be anything, and must be survived
			_, _ = decodeIndex(t.Context(), signed(append(bytes.Clone(good[:i]), make([]byte, sha256.Size)...)), top)
		}
	}
	refused("longer", append(bytes.Clone(good), 0), top)
	refused("another version", signed(bytes.Replace(good, []byte("index 1"), []byte("index 0"), 1)), top)
	other := top
	other.ino++
	refused("another work tree's", good, other)
	// A file that is said to have another content than the commit's tree holds.
	id := mustID(t, git(t, filepath.Join(r.o.Dir, "git"), "rev-parse", base+":a/e"))
	forged := bytes.Clone(id[:])
	forged[5] ^= 1
	if n := bytes.Count(good, id[:]); n != 1 {
		t.Fatalf("the id stands %d times in the file", n)
	}
	refused("a forged id", signed(bytes.ReplaceAll(good, id[:], forged)), top)

	for name, b := range map[string][]byte{"empty": nil, "cut off": good[:len(good)/2], "zeros": make([]byte, len(good)), "forged": signed(bytes.ReplaceAll(good, id[:], forged))} {
		must(t, os.WriteFile(r.cache(), b, 0o600))
		must(t, os.WriteFile(r.cache()+".new", b, 0o600)) // of a process that was killed
		again := restarted(t, r)
		asGit(t, again, base)
		if again.index.fresh != 0 {
			t.Errorf("%s: nothing was remembered afterwards", name)
		}
		if b, err := os.ReadFile(r.cache()); err != nil || len(b) != len(good) {
			t.Errorf("%s: the file was not written anew: %d bytes, %v", name, len(b), err)
		}
	}
}

// TestYoungFilesAreNotRemembered: what may have changed without a new stamp is
// not in the file.
func TestYoungFilesAreNotRemembered(t *testing.T) {
	t.Parallel()
	r, base := laid(t, woods)
	grown()
	tree2(t, r, base)
	r.index.root.file("f").racy = true
	top := stamp{dev: 1, ino: 2}
	x, err := decodeIndex(t.Context(), encodeCache(r.index, top), top)
	must(t, err)
	if f := x.root.file("f"); f.seen.mode != 0 || f.state != unsure {
		t.Errorf("a young file is known: %+v", f)
	}
	if f := x.root.dir("a").file("e"); f.state != here || f.seen != f.base || !f.still(f.stamp) {
		t.Errorf("an old file is not known: %+v", f)
	}
	if !x.root.dir("a").listed {
		t.Error("an old directory is to be listed again")
	}
}

// TestKilledWhileRemembering kills a process again and again that does nothing
// but to change files and to remember them.
func TestKilledWhileRemembering(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	for i := range 800 {
		files[name(i)] = "0\n"
	}
	r, base := laid(t, files)
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range 8 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(100+rnd.IntN(400))*time.Millisecond)
		cmd := childCommand(t, ctx, childOptions{What: "remember", Remote: r.o.Remote, Dir: r.o.Dir, Base: base})
		out, err := cmd.CombinedOutput()
		cancel()
		if len(out) > 0 || err == nil {
			t.Fatalf("it was not killed: %v\n%s", err, out)
		}
		must(t, os.WriteFile(filepath.Join(r.Work(), name(n)), fmt.Appendf(nil, "round %d\n", n), 0o644))
		asGit(t, restarted(t, r), base)
	}
}

func childCommand(tb testing.TB, ctx context.Context, c childOptions) *exec.Cmd {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), childEnv+"="+c.encode(tb))
	return cmd
}
