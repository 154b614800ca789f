package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
)

// A tree is the files of a project, by path. Below, an empty text removes a file.
type tree map[string]string

func (t tree) with(edits ...tree) tree {
	all := maps.Clone(t)
	for _, e := range edits {
		for p, text := range e {
			if all[p] = text; text == "" {
				delete(all, p)
			}
		}
	}
	return all
}

// samples reads testdata/<name>.txtar, whose files stand in directories.
func samples(t *testing.T, name string) map[string]tree {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]tree{}
	for _, f := range a.Files {
		dir, p, _ := strings.Cut(f.Name, "/")
		if all[dir] == nil {
			all[dir] = tree{}
		}
		all[dir][p] = string(f.Data)
	}
	return all
}

// gitTrees are [Trees] in a real repository.
type gitTrees struct {
	t   *testing.T
	dir string
	mu  sync.Mutex
	n   int // exports
}

func newGit(t *testing.T) *gitTrees {
	g := &gitTrees{t: t, dir: t.TempDir()}
	g.git(nil, "init", "-q", "--bare", g.dir)
	return g
}

func (g *gitTrees) git(env []string, args ...string) string {
	g.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = g.dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		g.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// write stores files as a tree and returns its id.
func (g *gitTrees) write(files tree) string {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	work := g.t.TempDir()
	for p, text := range files {
		put(g.t, filepath.Join(work, filepath.FromSlash(p)), text)
	}
	env := []string{"GIT_DIR=" + g.dir, "GIT_WORK_TREE=" + work, "GIT_INDEX_FILE=" + filepath.Join(g.t.TempDir(), "index")}
	g.git(env, "-C", work, "add", "-A", "-f")
	return g.git(env, "write-tree")
}

// commit records a tree as a commit.
func (g *gitTrees) commit(tree string) string {
	g.t.Helper()
	return g.git([]string{
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@a", "GIT_AUTHOR_DATE=1000000000 +0000",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@a", "GIT_COMMITTER_DATE=1000000000 +0000",
	}, "commit-tree", "-m", "x", tree)
}

func (g *gitTrees) Export(ctx context.Context, commit, dir string) error {
	g.mu.Lock()
	g.n++
	g.mu.Unlock()
	cmd := exec.CommandContext(ctx, "sh", "-c", `git archive "$1" | tar -x -C "$2"`, "sh", commit, dir)
	cmd.Dir = g.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func (g *gitTrees) Changed(ctx context.Context, from, to string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "git", "diff-tree", "-r", "--name-only", "--no-renames", from, to)
	cmd.Dir = g.dir
	out, err := cmd.Output()
	return strings.Fields(string(out)), err
}

// execRunner runs commands without isolating them.
type execRunner struct {
	cut int64               // bytes of the log that get lost; a fault
	as  *syscall.Credential // nil: as us
}

func (e execRunner) Run(ctx context.Context, c sandbox.Command) (sandbox.Output, error) {
	run, cancel := ctx, func() {}
	if c.Timeout > 0 {
		run, cancel = context.WithTimeout(ctx, c.Timeout)
	}
	defer cancel()
	cmd := exec.CommandContext(run, c.Argv[0], c.Argv[1:]...)
	cmd.Dir = c.Dir
	home, tmp := filepath.Dir(c.Dir), os.TempDir()
	if c.Place != "" {
		home, tmp = filepath.Join(c.Place, "home"), filepath.Join(c.Place, "tmp")
	}
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + tmp, "NO_COLOR=1"}, c.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: e.as}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	err := cmd.Run()
	o := sandbox.Output{Text: out.String(), Bytes: int64(out.Len()), Log: c.Log, Wall: time.Since(start)}
	if c.Log != "" {
		if err := os.WriteFile(c.Log, out.Bytes()[:max(0, int64(out.Len())-e.cut)], 0o600); err != nil {
			return o, err
		}
	}
	if cmd.ProcessState == nil {
		return o, err
	}
	o.Code, o.TimedOut, o.Cancelled = cmd.ProcessState.ExitCode(), run.Err() != nil && ctx.Err() == nil, ctx.Err() != nil
	if o.Code < 0 {
		o.Code = 137
	}
	return o, nil
}

// pageBrowser is a [Browser] for applications whose only page is described by
// page.txt, in lines: "shows TEXT", "button NAME", "echo FIELD" (what is filled
// in is shown), "down" (the application does not start), "breaks N" (the
// browser breaks down in the first N runs), "flaky" (every second run fails).
// What it finds depends on nothing but the checkout and the number of runs.
type pageBrowser struct {
	mu    sync.Mutex
	runs  map[string]int // by feature
	seen  []App
	lines []string // of the last page
}

func (b *pageBrowser) Accept(ctx context.Context, app App, s Scenario) (Acceptance, error) {
	if err := ctx.Err(); err != nil {
		return Acceptance{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.runs == nil {
		b.runs = map[string]int{}
	}
	b.runs[s.Feature]++
	b.seen = append(b.seen, app)
	page, err := os.ReadFile(filepath.Join(app.Dir, "page.txt"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return Acceptance{}, err
	}
	b.lines = strings.Split(strings.TrimSpace(string(page)), "\n")
	a := Acceptance{Feature: s.Feature, Duration: time.Second, Screenshot: []byte("png of " + string(page)), Server: "listening\n"}
	// The application writes where it runs; another run must not see it.
	mark := filepath.Join(app.Dir, "used")
	if _, err := os.Stat(mark); err == nil {
		return a, errors.New("the checkout was used before")
	}
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		return a, err
	}
	shown := ""
	for _, l := range b.lines {
		verb, rest, _ := strings.Cut(l, " ")
		var n int
		fmt.Sscan(rest, &n)
		switch {
		case verb == "breaks" && b.runs[s.Feature] <= n:
			a.Broken = "target closed"
			return a, nil
		case verb == "flaky" && b.runs[s.Feature]%2 == 1, verb == "down":
			a.Failures = []string{"the application did not start"}
			return a, nil
		case verb == "shows":
			shown += rest + "\n"
		}
	}
	for _, step := range s.Steps {
		a.Executed++
		ok := true
		switch step.Action {
		case "fill":
			if ok = slices.Contains(b.lines, "echo "+step.Target); ok {
				shown += step.Value + "\n"
			}
		case "click":
			ok = slices.Contains(b.lines, "button "+step.Target)
		case "assert_text":
			ok = strings.Contains(shown, step.Expected)
		}
		if !ok {
			a.Failures = append(a.Failures, fmt.Sprintf("step %d (%s %s): not there", step.Step, step.Action, step.Target+step.Expected))
			return a, nil
		}
		a.Succeeded++
	}
	a.Passed = true
	return a, nil
}

// A world is gates over real trees, with what their tests need to look at.
type world struct {
	*Gates
	t       *testing.T
	git     *gitTrees
	browser *pageBrowser
}

var devCache = sync.OnceValue(func() string {
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(out))
})

func newWorld(t *testing.T, change func(*Options)) *world {
	t.Helper()
	w := &world{t: t, git: newGit(t), browser: &pageBrowser{}}
	o := Options{
		Trees: w.git, Browser: w.browser, Run: execRunner{}, Dir: t.TempDir(), TDD: true,
		Env:  []string{"GOCACHE=" + devCache()}, // compiling the standard library anew would take most of the time
		Rand: seeded(1), Now: time.Now, Timeout: 2 * time.Minute,
	}
	if change != nil {
		change(&o)
	}
	g, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	w.Gates = g
	return w
}

func seeded(n byte) io.Reader { return rand.NewChaCha8([32]byte{n}) }

// judge judges candidate on parent.
func (w *world) judge(phase runner.Phase, parent, candidate tree, row runner.Row, completed ...runner.Row) runner.Verdict {
	w.t.Helper()
	p, c := w.git.write(parent), w.git.write(candidate)
	var earlier []runner.Feature
	for _, r := range completed {
		earlier = append(earlier, runner.Feature{Row: r, Progress: runner.Progress{Frozen: r.AcceptanceHash()}})
	}
	v, err := w.Judge(w.t.Context(), runner.Candidate{
		Feature: runner.Feature{Row: row, Progress: runner.Progress{Frozen: row.AcceptanceHash()}}, Attempt: 1, Phase: phase,
		Parent: w.git.commit(p), Commit: w.git.commit(c), Tree: c, Completed: earlier,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// want compares what matters of a verdict and shows the rest where it differs.
func want(t *testing.T, v runner.Verdict, outcome runner.Outcome, gate string, words ...string) {
	t.Helper()
	lastGate := "" // that was passed, or the first that was not
	for _, g := range v.Gates {
		if g.Name != "audit" || !g.Passed {
			lastGate = g.Name
		}
		if !g.Passed {
			break
		}
	}
	bad := v.Outcome != outcome || lastGate != gate
	for _, w := range words {
		bad = bad || !strings.Contains(v.Reason+"\n"+v.Detail, w)
	}
	if bad {
		t.Errorf("got %s at gate %q, want %s at %q with %q\nreason: %s\ndetail: %s\ngates: %s", v.Outcome, lastGate, outcome, gate, words, v.Reason, v.Detail, gatesOf(v))
	}
	if len(v.Detail) > mostDetail {
		t.Errorf("detail has %d bytes", len(v.Detail))
	}
	if strings.Contains(v.Reason+v.Detail, os.TempDir()) || strings.Contains(v.Detail, "\x1b") {
		t.Errorf("the verdict shows paths of this machine or escapes:\n%s\n%s", v.Reason, v.Detail)
	}
}

// gatesOf says in a line how the gates of a verdict came out.
func gatesOf(v runner.Verdict) string {
	var all []string
	for _, g := range v.Gates {
		all = append(all, fmt.Sprintf("%s %v %d/%d %d runs", g.Name, g.Passed, g.Counts.Passed, g.Counts.Run, len(g.Runs)))
	}
	return strings.Join(all, ", ")
}

func file(v runner.Verdict, name string) string {
	for _, f := range v.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(path.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
