package repo

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var (
	ignoreLines = []string{
		"*.log", "build/", "/out", "!keep.log", "a/**/z", "**/tmp", "foo*", "!foo1", "d?c", "x/y", "x/*", "!x/y1", "[ab]*.txt", "[!a]q",
		`\#hash`, `\!bang`, "sp ", `sp2\ `, "dir1/", "!dir1/", "*", "!*/", "!*.go", "a/b/", "**/c/*", "deep/**", "# comment", "", "/", `a\`,
		"n[0-9]", "q[[:digit:]]", "**", "[]-]", "[a-", "[[:nope:]]", "!", "a**b", "**a", "/**/b", "x\r",
	}
	attrLines = []string{
		"* text=auto", "*.go text", "*.txt -text", "*.txt eol=crlf", "* binary", "*.go text eol=lf", "a/*.txt !text", "*.txt crlf",
		"b.txt text=auto eol=crlf", "* -crlf", "/x/** text", "*.go ident", "* ident", "*.u16 working-tree-encoding=UTF-16", "[attr]mine text -diff", "*.txt mine", "x -mine", "* filter=none",
	}
	names = []string{
		"a", "b", "c", "x", "y", "y1", "z", "tmp", "out", "build", "foo1", "foo2", "dxc", "deep", "dir1", "keep.log", "e.log", "a.txt", "b.txt",
		"m.go", "n1", "q5", "bq", "#hash", "!bang", "sp", "sp2 ", "a.b", "a-b", "ab", "é", "]", "-", "a\\", "tab\tname",
		"k.u16", "cafe\u0301", "\xff", "new\nline", "A", "Build", "m.GO",
	}
)

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

func randomPath(r *rand.Rand) string {
	var p []string
	for range 1 + r.IntN(4) {
		p = append(p, pick(r, names))
	}
	return strings.Join(p, "/")
}

// disturb makes one random change to a work tree.
func disturb(r *rand.Rand, dir string) {
	p := filepath.Join(dir, randomPath(r))
	if p == dir || filepath.Base(p) == ".git" {
		return
	}
	at := func(p string) string { // a place to write to, whatever stands in the way
		os.MkdirAll(filepath.Dir(p), 0o755)
		return p
	}
	lines := func(from []string) []byte {
		var l []string
		for range 1 + r.IntN(3) {
			l = append(l, pick(r, from))
		}
		return []byte(strings.Join(l, "\n") + "\n")
	}
	near := dir
	if r.IntN(2) == 0 {
		near = filepath.Dir(p)
	}
	switch r.IntN(15) {
	case 13: // another name for a file
		os.Link(p, at(filepath.Join(dir, randomPath(r))))
	case 14:
		os.WriteFile(at(filepath.Join(near, "k.u16")), []byte(utf16le(fmt.Sprintf("z\u00e4hle %d\r\n$Id: 1 $\n", r.IntN(5)))), 0o644)
	case 0:
		os.RemoveAll(p)
	case 1:
		os.RemoveAll(p)
		os.Symlink("target"+fmt.Sprint(r.IntN(3)), at(p))
	case 2:
		if fi, err := os.Lstat(p); err == nil && fi.Mode().IsRegular() {
			os.Chmod(p, []os.FileMode{0o644, 0o755, 0o600, 0o744, 0o654}[r.IntN(5)])
		}
	case 3, 4:
		os.WriteFile(at(filepath.Join(near, ".gitignore")), lines(ignoreLines), 0o644)
	case 5:
		os.WriteFile(at(filepath.Join(near, ".gitattributes")), lines(attrLines), 0o644)
	case 6:
		os.Rename(p, at(filepath.Join(dir, randomPath(r))))
	case 7:
		os.Symlink(pick(r, []string{"a", "x"}), at(filepath.Join(near, ".gitignore")))
	case 8: // a file for a directory
		if filepath.Dir(p) == dir {
			return
		}
		os.RemoveAll(filepath.Dir(p))
		os.WriteFile(at(filepath.Dir(p)), []byte("instead\n"), 0o644)
	default:
		body := fmt.Sprintf("line %d\nline2\n", r.IntN(5))
		if r.IntN(4) == 0 {
			body = strings.ReplaceAll(body, "\n", "\r\n")
		}
		switch r.IntN(10) {
		case 0:
			body += "\x00\r\n"
		case 1:
			body += "\x01\x02\x03"
		case 2:
			body += "lone\rcr"
		case 3:
			body += "$Id: 12 $ $Id$\r\n$Id: over\nlines $"
		}
		os.WriteFile(at(p), []byte(body), 0o644)
	}
}

// TestSnapshotEqualsGit compares the trees of snapshots with those of git add
// --all && git write-tree, over random edits, moves, links, modes, rules and
// attributes; one snapshot is taken after the other, on changing parents, by
// the same Repo or one that finds what another left on disk, by going over
// everything or by what the kernel tells: what is remembered is tested too.
func TestSnapshotEqualsGit(t *testing.T) {
	remote := bare(t, map[string]string{"base": "x", "a/b/c.txt": "1\r\n2\r\n", "tracked.log": "ignored by and by\n"})
	if os.Getenv(coarse) != "" && !clockIsCoarse(t) {
		t.Fatal("the clock of this file system is not coarse")
	}
	var compared atomic.Int64
	t.Cleanup(func() {
		if os.Getenv(coarse) != "" {
			return // not all of them were asked for
		}
		t.Logf("%d trees compared; seeds 0 to %d, each replayed by -run 'TestSnapshotEqualsGit/^SEED$'", compared.Load(), rounds-1)
		if compared.Load() < leastCompared && !t.Failed() {
			t.Errorf("fewer than %d", leastCompared)
		}
	})
	for seed := range rounds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			compared.Add(int64(differential(t, remote, uint64(seed))))
		})
	}
}

const coarse = "REPO_TEST_COARSE_CLOCK"

// TestSnapshotEqualsGitOnACoarseClock does the same on a file system whose clock
// goes in ticks of milliseconds, as that of all of them did before Linux 6.13:
// there a file can change after it was looked at, with its size, and have the
// stamp that it had.
func TestSnapshotEqualsGitOnACoarseClock(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	must(t, err)
	dir := t.TempDir()
	args := []string{"-m"}
	if os.Geteuid() != 0 {
		args = []string{"-U", "-r", "-m"}
	}
	seeds := "^.$"
	if rounds > 100 {
		seeds = "^.?.$"
	}
	args = append(args, "sh", "-c", `mount -t ramfs ramfs "$0" && TMPDIR="$0" exec "$@"`, dir, self, "-test.run=^TestSnapshotEqualsGit$/"+seeds)
	if out, err := exec.CommandContext(t.Context(), "unshare", append(args[:len(args)-6:len(args)-6], "true")...).CombinedOutput(); err != nil {
		t.Skipf("no file system can be mounted here: %v: %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", args...)
	cmd.Env = append(os.Environ(), coarse+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// clockIsCoarse says whether a file can change without its stamp showing it.
func clockIsCoarse(t *testing.T) bool {
	t.Helper()
	p := filepath.Join(t.TempDir(), "f")
	for range 100 {
		must(t, os.WriteFile(p, []byte("1"), 0o600))
		a, err := os.Lstat(p)
		must(t, err)
		must(t, os.WriteFile(p, []byte("2"), 0o600))
		b, err := os.Lstat(p)
		must(t, err)
		if a.ModTime().Equal(b.ModTime()) {
			return true
		}
	}
	return false
}

func differential(t *testing.T, remote string, seed uint64) (compared int) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	t.Helper()
	r := open(t, remote)
	parent := load(t, r).Base.Commit
	if err := r.Restore(t.Context(), parent); err != nil {
		t.Fatal(err)
	}
	commits := []string{parent}
	rules := ""
	for step := range 6 {
		if rnd.IntN(3) == 0 {
			r = open(t, remote, func(o *Options) { o.Dir = r.o.Dir }) // another process
			load(t, r)
		}
		for range 1 + rnd.IntN(12) {
			disturb(rnd, r.Work())
		}
		if rnd.IntN(3) == 0 {
			parent = commits[rnd.IntN(len(commits))]
		}
		// Git looks at a file again for changed attributes only if it must for
		// another reason, so all of them must be.
		if now := attributes(t, r.Work()); now != rules {
			rules = now
			touch(t, r.Work())
		}
		want, ok := gitTree(t, r, parent)
		if rnd.IntN(2) == 0 {
			time.Sleep(25 * time.Millisecond) // what is not young is remembered on disk
		}
		record := r.Snapshot
		if rnd.IntN(2) == 0 {
			record = r.Draft
		}
		s, err := record(t.Context(), parent, "step")
		if err != nil {
			t.Fatalf("seed %d, step %d: %v", seed, step, err)
		}
		if rnd.IntN(4) == 0 { // the kernel tells what has happened since
			if again, err := r.Draft(t.Context(), parent, "step"); err != nil || again.Tree != s.Tree {
				t.Fatalf("seed %d, step %d: %+v and then %+v, %v", seed, step, s, again, err)
			}
		}
		if ok { // else git itself cannot add it
			compared++
		}
		if ok && s.Tree != want {
			diff, _ := gitErr(filepath.Join(r.o.Dir, "git"), nil, "diff-tree", "-r", s.Tree, want)
			t.Fatalf("seed %d, step %d: left out %q; from ours to git's:\n%s", seed, step, s.Left, diff)
		}
		if ok && len(s.Left) > 0 {
			t.Errorf("seed %d, step %d: left out %q", seed, step, s.Left)
		}
		// While the file system's clock does not go on: a change, a look, and a
		// change again.
		if flip := sleight(rnd, r.Work()); flip != nil {
			for range 3 {
				flip()
				if s, err = record(t.Context(), parent, "in the same tick"); err != nil {
					t.Fatalf("seed %d, step %d: %v", seed, step, err)
				}
			}
			if want, ok := gitTree(t, r, parent); ok {
				compared++
				if s.Tree != want {
					diff, _ := gitErr(filepath.Join(r.o.Dir, "git"), nil, "diff-tree", "-r", s.Tree, want)
					t.Fatalf("seed %d, step %d, changed in the same tick; from ours to git's:\n%s", seed, step, diff)
				}
			}
			parent = s.Commit
			commits = append(commits, s.Commit)
			continue
		}
		parent = s.Commit
		commits = append(commits, s.Commit)
	}
	git(t, filepath.Join(r.o.Dir, "git"), "fsck", "--strict", "--full")
	return compared
}

// sleight returns a function that changes the contents of some files, and
// neither sizes nor, as far as a program can help it, times; nil for none.
func sleight(rnd *rand.Rand, dir string) func() {
	var some []func()
	filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || e.Name()[0] == '.' || len(some) == 3 || rnd.IntN(3) > 0 {
			return nil //nolint:nilerr // another file will do
		}
		b, err := os.ReadFile(p)
		i := strings.IndexByte(string(b), ' ')
		if err != nil || i < 0 || i+1 >= len(b) || b[i+1] < '0' || b[i+1] > '9' {
			return nil //nolint:nilerr // likewise
		}
		digit := b[i+1] - '0'
		some = append(some, func() {
			digit = (digit + 1) % 10
			if f, err := os.OpenFile(p, os.O_WRONLY, 0); err == nil {
				f.WriteAt([]byte{'0' + digit}, int64(i+1))
				f.Close()
			}
		})
		return nil
	})
	if len(some) == 0 {
		return nil
	}
	return func() {
		for _, flip := range some {
			flip()
		}
	}
}

// TestLineEndsFollowTheParent takes snapshots of one work tree on two parents:
// with text=auto a file keeps CRLF only where it is recorded so.
func TestLineEndsFollowTheParent(t *testing.T) {
	t.Parallel()
	r, with := laid(t, map[string]string{"f": "a\r\nb\r\n"})
	write(t, r.Work(), map[string]string{".gitattributes": "* text=auto\n"})
	empty, err := r.Commit(t.Context(), emptyTree.String(), with, "x", r.o.Now())
	must(t, err)
	time.Sleep(30 * time.Millisecond) // old enough not to be read again for its age
	for range 2 {
		for parent, want := range map[string]string{with: "a\r\nb\r\n", empty: "a\nb\n"} {
			s, err := r.Snapshot(t.Context(), parent, "x")
			must(t, err)
			if b, err := r.store.file(mustID(t, s.Commit), "f"); err != nil || string(b) != want {
				t.Errorf("recorded %q, %v; want %q", b, err, want)
			}
			if want, _ := gitTree(t, r, parent); want != s.Tree {
				t.Errorf("git makes another tree")
			}
		}
	}
}

// gitTree is the tree that git makes of the work tree, from an index that holds
// parent.
func gitTree(t *testing.T, r *Repo, parent string) (string, bool) {
	t.Helper()
	env := []string{"GIT_DIR=" + filepath.Join(r.o.Dir, "git"), "GIT_INDEX_FILE=" + filepath.Join(t.TempDir(), "index"), "GIT_WORK_TREE=" + r.Work()}
	run := func(args ...string) (string, error) {
		return gitErr(r.Work(), env, append([]string{"-c", "core.bare=false"}, args...)...)
	}
	if out, err := run("read-tree", parent); err != nil {
		t.Fatal("read-tree: ", out, err)
	}
	if out, err := run("add", "-A"); err != nil {
		t.Logf("git add: %s, %v", out, err)
		return "", false
	}
	tree, err := run("write-tree")
	if err != nil {
		t.Fatal("write-tree: ", tree, err)
	}
	tree = strings.TrimSpace(tree)
	return tree[strings.LastIndexByte(tree, '\n')+1:], true // above it stand warnings
}

func attributes(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.Name() == ".gitattributes" {
			text, _ := os.ReadFile(p)
			fmt.Fprintf(&b, "%s\n%s\n", p, text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func touch(t *testing.T, dir string) {
	t.Helper()
	now := time.Now()
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			err = os.Chtimes(p, now, now)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The same files have the same name, whatever was in between; what git would
// ignore changes nothing.
func TestTreeNamesWhatIsThere(t *testing.T) {
	r := open(t, bare(t, map[string]string{"a.go": "package a\n", ".gitignore": "*.log\n"}))
	found, err := r.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Restore(t.Context(), found.Base.Commit); err != nil {
		t.Fatal(err)
	}
	tree := func() string {
		t.Helper()
		id, err := r.Tree(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	first := tree()
	write(t, r.Work(), map[string]string{"b.go": "package a\n", "x.log": "1"})
	second := tree()
	write(t, r.Work(), map[string]string{"x.log": "2"})
	if third := tree(); first == second || second != third {
		t.Errorf("%s, then %s with a new file, then %s with another log", first, second, third)
	}
	if err := os.Remove(filepath.Join(r.Work(), "b.go")); err != nil {
		t.Fatal(err)
	}
	if again := tree(); again != first {
		t.Errorf("%s, and %s with the same files", first, again)
	}
	snap, err := r.Snapshot(t.Context(), found.Base.Commit, "x")
	if err != nil || snap.Tree != first {
		t.Errorf("recorded as %s, named %s: %v", snap.Tree, first, err)
	}
}
