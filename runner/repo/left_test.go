package repo

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree lists the files of a commit or tree with their modes.
func tree(t *testing.T, r *Repo, id string) []string {
	t.Helper()
	out := git(t, filepath.Join(r.o.Dir, "git"), "ls-tree", "-r", id)
	var files []string
	for line := range strings.Lines(out) {
		head, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		files = append(files, name+" "+head[:6])
	}
	return files
}

// laid is a repository with files, and its work tree at the base commit.
func laid(t *testing.T, files map[string]string, change ...func(*Options)) (*Repo, string) {
	t.Helper()
	r := open(t, bare(t, files), change...)
	base := load(t, r).Base.Commit
	if err := r.Restore(t.Context(), base); err != nil {
		t.Fatal(err)
	}
	return r, base
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestLeftOut makes every change that must not be in a commit, beside some that
// must, and does so twice: what was left out once is left out again.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	r, base := laid(t, map[string]string{
		".github/workflows/ci.yml": "on: push\n", ".github/workflows/old.yml": "on: push\n", ".github/dependabot.yml": "x\n",
		"big.bin": "small once\n", "lib/x.js": "1\n", "link": "-> lib", "key.pem": "none yet\n", "a/b": "c\n",
	})
	w := r.Work()
	must(t, os.Remove(filepath.Join(w, ".github/workflows/old.yml")))
	must(t, os.Remove(filepath.Join(w, "link")))
	key := "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAx0u3sQv9aK7mPp2c\n-----END RSA PRIVATE KEY-----\n"
	write(t, w, map[string]string{
		".github/workflows/ci.yml":  "on: schedule\n",
		".github/workflows/new.yml": "on: push\n",
		".github/dependabot.yml":    "y\n",
		".gitmodules":               "[submodule \"x\"]\n",
		"link":                      "-> ../../etc",
		"abs":                       "-> /etc/passwd",
		"deep/er/up":                "-> ../../../x",
		"deep/er/ok":                "-> ../../lib/x.js",
		"deep/er/sly":               "-> ../er/../../../x",
		"key.pem":                   key,
		"vendor/x/.git/config":      "[core]\n\tfsmonitor = touch /tmp/x\n",
		"vendor/x/main.c":           "int main;\n",
		"lib/.GIT/hooks/y":          "x\n",
		"lib/git~1":                 "x\n",
		"lib/.g\u200cit/x":          "x\n",
		".git":                      "gitdir: /etc\n",
		"new.js":                    "1\n",
		"docs/" + "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8": "x\n",
	})
	for _, name := range []string{"big.bin", "lib/big.iso"} {
		f, err := os.Create(filepath.Join(w, name))
		must(t, err)
		must(t, f.Truncate(largest+1))
		must(t, f.Close())
	}
	must(t, syscall.Mkfifo(filepath.Join(w, "pipe"), 0o644))
	must(t, os.Remove(filepath.Join(w, "a/b")))
	must(t, syscall.Mkfifo(filepath.Join(w, "a/b"), 0o644)) // a pipe for a file: gone

	wantTree := []string{
		".github/dependabot.yml 100644", ".github/workflows/ci.yml 100644", ".github/workflows/old.yml 100644", "big.bin 100644",
		"deep/er/ok 120000", "key.pem 100644", "lib/x.js 100644", "link 120000", "new.js 100644", "vendor/x/main.c 100644",
	}
	wantLeft := []string{
		".git: a nested repository; the files beside it are taken as they are",
		".github/workflows/ci.yml: the job's token cannot push workflows",
		".github/workflows/new.yml: the job's token cannot push workflows",
		".github/workflows/old.yml: deleted; the job's token cannot push workflows",
		".gitmodules: submodules are the owner's to change",
		"abs: the link leads out of the tree",
		"big.bin: 100 MB; files over 100 MB cannot be pushed",
		"deep/er/sly: the link leads out of the tree",
		"deep/er/up: the link leads out of the tree",
		"docs/***: it holds a GitHub token (finding " + finding([]byte("ghp_"+"a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8")) + ")",
		"key.pem: it holds a private key (finding " + finding([]byte(key[:len("-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAx0u3sQv9aK7mPp2c")])) + ")",
		"lib/.GIT: a nested repository; the files beside it are taken as they are",
		"lib/.g\u200cit: a nested repository; the files beside it are taken as they are",
		"lib/big.iso: 100 MB; files over 100 MB cannot be pushed",
		"lib/git~1: a nested repository; the files beside it are taken as they are",
		"link: the link leads out of the tree",
		"vendor/x/.git: a nested repository; the files beside it are taken as they are",
	}
	for range 2 {
		s, err := r.Snapshot(t.Context(), base, "x")
		must(t, err)
		if d := cmp.Diff(tree(t, r, s.Tree), wantTree); d != "" {
			t.Errorf("tree, got and want:\n%s", d)
		}
		if d := cmp.Diff(s.Left, wantLeft); d != "" {
			t.Errorf("left out, got and want:\n%s", d)
		}
		c, err := r.Changed(t.Context(), base, s.Tree)
		must(t, err)
		if d := cmp.Diff(c, []string{".github/dependabot.yml", "a/b", "deep/er/ok", "new.js", "vendor/x/main.c"}); d != "" {
			t.Errorf("changed, got and want:\n%s", d)
		}
	}
}

// TestLeftOutIsOffered takes the patch of what was left out to the tree that was
// recorded, with git, and gets what the work tree held; secrets are not in it.
func TestLeftOutIsOffered(t *testing.T) {
	t.Parallel()
	r, base := laid(t, map[string]string{".github/workflows/ci.yml": "on: push\n", ".github/workflows/old.yml": "on: push\n", "a.txt": "1\n"})
	must(t, os.Remove(filepath.Join(r.Work(), ".github/workflows/old.yml")))
	write(t, r.Work(), map[string]string{
		".github/workflows/ci.yml": "on: schedule\n", ".github/workflows/with: colon.yml": "on: push\n\x00", "a.txt": "2\n",
		".github/workflows/leak.yml": "token: ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8\n", ".gitmodules": "[submodule \"x\"]\n", "key": "AKIA" + "Q3EGZXCVBNMASDFG\n",
		".gitattributes": "*.yml diff=evil -text\n",
	})
	s, err := r.Snapshot(t.Context(), base, "x")
	must(t, err)
	if len(s.Left) != 6 || strings.Contains(string(s.Patch), "ghp_") || strings.Contains(string(s.Patch), "a.txt") {
		t.Errorf("left out %q, and offered:\n%s", s.Left, s.Patch)
	}
	dir := t.TempDir()
	git(t, dir, "init", "-q")
	must(t, r.Export(t.Context(), s.Tree, dir))
	patch := filepath.Join(t.TempDir(), "p")
	must(t, os.WriteFile(patch, s.Patch, 0o644))
	git(t, dir, "apply", patch)
	for name, want := range map[string]string{".github/workflows/ci.yml": "on: schedule\n", ".github/workflows/with: colon.yml": "on: push\n\x00", ".gitmodules": "[submodule \"x\"]\n", "a.txt": "2\n"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, ".github/workflows/old.yml")); err == nil {
		t.Error("what was deleted is there")
	}
	if s, err := r.Snapshot(t.Context(), s.Commit, "x"); err != nil || len(s.Patch) == 0 {
		t.Errorf("it is not offered again: %v", err)
	}
}

// TestBigFilesAreTold looks at the sizes that GitHub warns of and refuses.
func TestBigFilesAreTold(t *testing.T) {
	t.Parallel()
	r, base := laid(t, map[string]string{"a.txt": "1\n"})
	for name, size := range map[string]int64{"warned.bin": heavy + 1, "fine.bin": heavy, "refused.bin": largest + 1} {
		f, err := os.Create(filepath.Join(r.Work(), name))
		must(t, err)
		must(t, f.Truncate(size))
		must(t, f.Close())
	}
	s, err := r.Snapshot(t.Context(), base, "x")
	must(t, err)
	if d := cmp.Diff(s.Notes, []string{"warned.bin: 50 MB; GitHub warns of files over 50 MB, and refuses those over 100 MB"}); d != "" {
		t.Errorf("noted, got and want:\n%s", d)
	}
	if d := cmp.Diff(s.Left, []string{"refused.bin: 100 MB; files over 100 MB cannot be pushed"}); d != "" || len(s.Patch) > 0 {
		t.Errorf("left out, got and want:\n%s", d)
	}
	if d := cmp.Diff(tree(t, r, s.Tree), []string{"a.txt 100644", "fine.bin 100644", "warned.bin 100644"}); d != "" {
		t.Errorf("tree, got and want:\n%s", d)
	}
}

// TestKeptPathsAreNotOverlaid puts other things where a path stands that may
// not be deleted.
func TestKeptPathsAreNotOverlaid(t *testing.T) {
	t.Parallel()
	for _, file := range []string{".github", ".github/workflows"} {
		r, base := laid(t, map[string]string{".github/workflows/ci.yml": "on: push\n", ".gitmodules": "", "x": "y\n"})
		must(t, os.RemoveAll(filepath.Join(r.Work(), file)))
		must(t, os.Remove(filepath.Join(r.Work(), ".gitmodules")))
		write(t, r.Work(), map[string]string{file: "-> x", ".gitmodules/a/b": "c\n"})
		s, err := r.Snapshot(t.Context(), base, "x")
		must(t, err)
		if d := cmp.Diff(tree(t, r, s.Tree), []string{".github/workflows/ci.yml 100644", ".gitmodules 100644", "x 100644"}); d != "" {
			t.Errorf("got and want:\n%s", d)
		}
		if len(s.Left) != 4 {
			t.Errorf("left out %q", s.Left)
		}
	}
}

func TestSubmodulesStayAsRecorded(t *testing.T) {
	t.Parallel()
	dir := bare(t, map[string]string{"x": "y\n"})
	env := []string{"GIT_INDEX_FILE=" + filepath.Join(t.TempDir(), "index")}
	sub := strings.Repeat("12", 20)
	for _, args := range [][]string{{"read-tree", "main"}, {"update-index", "--add", "--cacheinfo", "160000," + sub + ",sub"}} {
		if out, err := gitErr(dir, env, args...); err != nil {
			t.Fatal(out)
		}
	}
	tree, err := gitErr(dir, env, "write-tree")
	must(t, err)
	git(t, dir, "update-ref", "refs/heads/main", raw(t, dir, nil, strings.TrimSpace(tree)))
	r := open(t, dir)
	base := load(t, r).Base.Commit
	must(t, r.Restore(t.Context(), base))
	for step, change := range []func() error{
		func() error { return nil },
		func() error { return os.WriteFile(filepath.Join(r.Work(), "sub", "f"), nil, 0o644) },
		func() error { return os.RemoveAll(filepath.Join(r.Work(), "sub")) },
		func() error { return os.WriteFile(filepath.Join(r.Work(), "sub"), nil, 0o644) },
	} {
		must(t, change())
		s, err := r.Snapshot(t.Context(), base, "x")
		must(t, err)
		if s.Tree != strings.TrimSpace(tree) || step > 1 != (len(s.Left) == 1) {
			t.Errorf("step %d: tree %s, left out %q", step, s.Tree, s.Left)
		}
	}
	must(t, r.Restore(t.Context(), base))
	if fi, err := os.Lstat(filepath.Join(r.Work(), "sub")); err != nil || !fi.IsDir() {
		t.Errorf("%v, %v", fi, err)
	}
}

func TestLinksThatLeave(t *testing.T) {
	t.Parallel()
	for link, targets := range map[string]map[string]bool{
		"l":     {"x": false, "./x": false, "..": true, "../x": true, "/": true, "/x": true, "a/../x": true, "a//b": false, ".": false},
		"a/l":   {"..": false, "../x": false, "../..": true, "../../x": true, "../b/../../x": true},
		"a/b/l": {"../../x": false, "../../../x": true, "./../../x": false, "../c/../x": true},
	} {
		for target, want := range targets {
			if got := leaves(link, target); got != want {
				t.Errorf("%s -> %s: %v", link, target, got)
			}
		}
	}
}

func TestNamesThatAreGits(t *testing.T) {
	t.Parallel()
	for _, name := range []string{".git", ".GIT", ".Git", ".git.", ".git ", ".git . .", "git~1", "GIT~1", ".git::$INDEX_ALLOCATION", ".git\\hooks", ".g\u200cit", "\ufeff.git", ".git\u206f"} {
		if !isDotGit(name) {
			t.Errorf("%q passes", name)
		}
	}
	for _, name := range []string{"git", ".gitignore", ".gitkeep", ".github", "x.git", "git~2", ".gi", "", ".gitx"} {
		if isDotGit(name) {
			t.Errorf("%q is refused", name)
		}
	}
}

// TestUnpublishableTreeFails checks that a tree which somebody else made cannot
// plant a repository in the work tree.
func TestPlantedRepositoryIsNotLaidOut(t *testing.T) {
	t.Parallel()
	dir := bare(t, map[string]string{"x": "y\n"})
	git(t, dir, "config", "receive.fsckObjects", "false")
	r := open(t, dir)
	base := load(t, r).Base.Commit
	blob := git(t, dir, "rev-parse", "main:x")
	for _, name := range []string{".git", "..", ".GIT", "git~1"} {
		id, err := r.store.put(2, encodeTree([]entry{{name, modeFile, mustID(t, blob)}}))
		must(t, err)
		c, err := r.Commit(t.Context(), id.String(), base, "x", r.o.Now())
		must(t, err)
		if err := r.Restore(t.Context(), c); err == nil {
			t.Errorf("%s was laid out", name)
		}
		if err := r.Export(t.Context(), c, t.TempDir()); err == nil {
			t.Errorf("%s was exported", name)
		}
	}
}

func mustID(t *testing.T, s string) oid {
	t.Helper()
	id, err := parseID(s)
	must(t, err)
	return id
}
