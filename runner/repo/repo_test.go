package repo

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/check"
)

var (
	_ runner.Repo = (*Repo)(nil)
	_ check.Trees = (*Repo)(nil)
)

const (
	stateRef = "refs/heads/autonomous-loop-state/main"
	workRef  = "refs/heads/autonomous-loop/main"
	author   = "loop[bot] <loop@example.invalid>"
)

// git runs the git command line without anybody's configuration.
func git(tb testing.TB, dir string, args ...string) string {
	tb.Helper()
	out, err := gitErr(dir, nil, args...)
	if err != nil {
		tb.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(out)
}

func gitErr(dir string, env []string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=Jane", "GIT_AUTHOR_EMAIL=jane@example.invalid", "GIT_COMMITTER_NAME=Jane", "GIT_COMMITTER_EMAIL=jane@example.invalid",
	}, env...)
	b, err := cmd.CombinedOutput()
	return string(b), err
}

// bare makes a bare repository whose branch main holds files, and checks it
// when the test is over.
func bare(tb testing.TB, files map[string]string) string {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "remote.git")
	git(tb, "", "init", "-q", "--bare", "-b", "main", dir)
	git(tb, dir, "config", "receive.fsckObjects", "true")
	git(tb, dir, "config", "receive.autogc", "false") // it would outlive the test
	if files != nil {
		push(tb, dir, "main", files, "first")
	}
	tb.Cleanup(func() { git(tb, dir, "fsck", "--strict", "--full") })
	return dir
}

// push commits files on branch from a clone, as a person would.
func push(tb testing.TB, remote, branch string, files map[string]string, message string) string {
	tb.Helper()
	dir := tb.TempDir()
	git(tb, dir, "init", "-q", "-b", "x")
	git(tb, dir, "remote", "add", "origin", remote)
	if _, err := gitErr(dir, nil, "fetch", "-q", "origin", branch); err == nil {
		git(tb, dir, "reset", "-q", "--hard", "FETCH_HEAD")
	}
	write(tb, dir, files)
	git(tb, dir, "add", "-A", "-f")
	git(tb, dir, "commit", "-q", "--allow-empty", "-m", message)
	if !strings.HasPrefix(branch, "refs/") {
		branch = "refs/heads/" + branch
	}
	git(tb, dir, "push", "-q", "origin", "HEAD:"+branch)
	return git(tb, dir, "rev-parse", "HEAD")
}

func write(tb testing.TB, dir string, files map[string]string) {
	tb.Helper()
	for name, text := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			tb.Fatal(err)
		}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			if err := os.Symlink(target, p); err != nil {
				tb.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
}

// open opens a repository as a session would; change may alter the options.
func open(tb testing.TB, remote string, change ...func(*Options)) *Repo {
	tb.Helper()
	clock := time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	o := Options{
		Remote: remote, Dir: tb.TempDir(), StateBranch: stateRef, WorkBranch: workRef, Author: author,
		Now: func() time.Time { clock = clock.Add(time.Second); return clock },
	}
	for _, c := range change {
		c(&o)
	}
	r, err := Open(context.Background(), o)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func load(tb testing.TB, r *Repo) runner.Found {
	tb.Helper()
	f, err := r.Load(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// A loop makes the transactions that a real one would, as far as this package
// looks at them.
type loop struct {
	state map[string]any
	last  []byte
}

func begin(f runner.Found) *loop {
	l := &loop{state: map[string]any{"lineage": "L1", "prev": "", "code": f.Base.Commit, "work": f.Base.Commit, "base": f.Base}}
	if f.State != nil {
		if err := json.Unmarshal(f.State, &l.state); err != nil {
			panic(err)
		}
		l.last = f.State
	}
	return l
}

// next makes the next transaction; what is "" stays as it was.
func (l *loop) next(code, work string, files ...runner.File) runner.Transaction {
	st := maps.Clone(l.state)
	if l.last != nil {
		sum := sha256.Sum256(l.last)
		st["prev"] = hex.EncodeToString(sum[:])
	}
	serial := 1
	if n, ok := st["serial"].(float64); ok {
		serial = int(n) + 1
	}
	st["serial"] = serial
	st["code"] = cmp.Or(code, st["code"].(string))
	st["work"] = cmp.Or(work, st["work"].(string))
	b, err := json.Marshal(st)
	if err != nil {
		panic(err)
	}
	return runner.Transaction{
		State: b, List: []byte("[]\n"), Code: st["code"].(string), Work: st["work"].(string),
		Files: files, Message: fmt.Sprintf("transaction %d", serial),
	}
}

// save saves the next transaction, from which the loop goes on.
func (l *loop) save(tb testing.TB, r *Repo, code, work string, files ...runner.File) {
	tb.Helper()
	tx := l.next(code, work, files...)
	save(tb, r, tx)
	l.saved(tx)
}

func (l *loop) saved(tx runner.Transaction) {
	l.last = tx.State
	if err := json.Unmarshal(tx.State, &l.state); err != nil {
		panic(err)
	}
}

func save(tb testing.TB, r *Repo, tx runner.Transaction) {
	tb.Helper()
	if err := r.Save(context.Background(), tx); err != nil {
		tb.Fatal(err)
	}
}

// TestFirstSession goes through a session on a repository that knows nothing of
// the loop yet, and looks at what the next one finds.
func TestFirstSession(t *testing.T) {
	t.Parallel()
	remote := bare(t, map[string]string{"README.md": "hello\n", "src/a.js": "1\n", ".gitignore": "node_modules/\n"})
	r := open(t, remote)
	ctx := t.Context()
	f := load(t, r)
	if f.State != nil || f.Work != "" || f.Foreign || f.Chain != nil || f.Base.Branch != "main" || f.Base.Commit != git(t, remote, "rev-parse", "main") {
		t.Fatalf("found %+v", f)
	}
	l := begin(f)
	l.save(t, r, "", "")
	if git(t, remote, "rev-parse", "--verify", "-q", stateRef+"^{tree}") == "" || git(t, remote, "rev-list", "--count", stateRef) != "1" {
		t.Error("the first transaction is no orphan root")
	}
	if out, err := gitErr(remote, nil, "rev-parse", "--verify", "-q", workRef); err == nil {
		t.Errorf("there is a work branch before there is work: %s", out)
	}

	if err := r.Restore(ctx, f.Base.Commit); err != nil {
		t.Fatal(err)
	}
	write(t, r.Work(), map[string]string{"src/b.js": "2\n", "node_modules/x/index.js": "junk\n"})
	s, err := r.Snapshot(ctx, f.Base.Commit, "wip")
	if err != nil || len(s.Left) != 0 {
		t.Fatal(s.Left, err)
	}
	l.save(t, r, s.Commit, "")
	done, err := r.Commit(ctx, s.Tree, f.Base.Commit, "feat: b\n\nFeature: b\n", time.Unix(1e9, 0))
	if err != nil {
		t.Fatal(err)
	}
	l.save(t, r, done, done, runner.File{Name: "evidence/b/green.txt", Data: []byte("ok\n")})
	l.save(t, r, "", "")

	if got := git(t, remote, "rev-parse", workRef); got != done {
		t.Errorf("work branch at %s, want %s", got, done)
	}
	if got, want := git(t, remote, "rev-parse", stateRef+"~2^2"), s.Commit; got != want {
		t.Errorf("second parent %s, want %s", got, want)
	}
	if got := git(t, remote, "show", stateRef+":evidence/b/green.txt"); got != "ok" {
		t.Errorf("evidence %q", got)
	}
	if got := git(t, remote, "ls-tree", "-r", "--name-only", workRef); got != ".gitignore\nREADME.md\nsrc/a.js\nsrc/b.js" {
		t.Errorf("work branch holds %q", got)
	}

	again := open(t, remote)
	f2 := load(t, again)
	if f2.Chain != nil || f2.Foreign || f2.Work != done || !bytes.Equal(f2.State, l.last) || string(f2.List) != "[]\n" {
		t.Errorf("the next session found %s, %+v", f2.State, f2)
	}
	files, err := again.StateFiles(ctx, "evidence/")
	if err != nil || len(files) != 1 || files[0].Name != "evidence/b/green.txt" {
		t.Errorf("state files %v, %v", files, err)
	}
	if b, err := again.Read(ctx, "README.md"); err != nil || string(b) != "hello\n" {
		t.Errorf("read %q, %v", b, err)
	}
	if c, err := again.Changed(ctx, f.Base.Commit, done); err != nil || len(c) != 1 || c[0] != "src/b.js" {
		t.Errorf("changed %v, %v", c, err)
	}
	dir := t.TempDir()
	if err := again.Export(ctx, done, dir); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "src/b.js")); err != nil || string(b) != "2\n" {
		t.Errorf("exported %q, %v", b, err)
	}
	begin(f2).save(t, again, "", "")
}
