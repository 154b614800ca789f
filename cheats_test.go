package main

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/check"
	"github.com/autonomous-loop/autonomous-loop/runner/repo"
	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
)

// TestCheats judges every candidate of testdata/cheats as the loop does: in a
// real repository, in the sandbox, with the projects' own runners and a real
// browser. README.md beside the candidates says how they are written down.
//
// Without the tag deep it judges those that are marked as a sample.
func TestCheats(t *testing.T) {
	cases := cheats(t)
	// They wait for browsers and processes most of the time: two at once.
	const courts = 2
	free := make(chan *court, courts)
	for n := range courts {
		free <- newCourt(t, n)
	}
	for _, c := range cases {
		if !deepTests && !c.has("sample") {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			court := <-free
			defer func() { free <- court }()
			where := court
			if c.has("alone") { // what this one tries to leave is not for the others
				where = newCourt(t, courts+court.number)
			}
			where.try(t, c)
		})
	}
}

// A cheat is a candidate, honest or not, with what must become of it.
type cheat struct {
	name     string            // language/file
	header   map[string]string // lines "word: value" of the comment
	trees    [3]files          // parent, tests phase, implementation: each adds to the one before
	gone     [3][]string       // what each takes away
	shell    [3]string         // what the agent's shell does in the work tree, after that
	row      runner.Row
	complete []runner.Feature
}

type files map[string]string

// words are what may be said of a candidate in its comment. There is none for a
// cheat that gets by: it is a failing test until a gate holds it.
var words = []string{"base", "want", "reason", "sample", "alone", "test", "setup", "start", "url"}

func (c cheat) has(word string) bool { _, ok := c.header[word]; return ok }

// phases are the directories of a candidate's file.
var phases = []string{"parent", "tests", "impl"}

// cheats reads all candidates.
func cheats(t *testing.T) []cheat {
	t.Helper()
	names, err := filepath.Glob("testdata/cheats/*/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d candidates, %v", len(names), err)
	}
	var all []cheat
	for _, name := range names {
		if strings.HasPrefix(filepath.Base(name), "_") || strings.Contains(name, "/impossible/") {
			continue
		}
		c, err := readCheat(name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, c)
	}
	return all
}

var headerLine = regexp.MustCompile(`(?m)^([a-z0-9]+):(?:[ \t]+(.*))?$`)

func readCheat(name string) (cheat, error) {
	c := cheat{
		name:   strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(name), "testdata/cheats/"), ".txtar"),
		header: map[string]string{},
	}
	for i := range phases {
		c.trees[i] = files{}
	}
	a, err := txtar.ParseFile(name)
	if err != nil {
		return c, err
	}
	for _, m := range headerLine.FindAllStringSubmatch(string(a.Comment), -1) {
		c.header[m[1]] = strings.TrimSpace(m[2])
	}
	if base := c.header["base"]; base != "" {
		b, err := txtar.ParseFile(filepath.Join(filepath.Dir(name), "_"+base+".txtar"))
		if err != nil {
			return c, err
		}
		for _, m := range headerLine.FindAllStringSubmatch(string(b.Comment), -1) {
			if !c.has(m[1]) {
				c.header[m[1]] = strings.TrimSpace(m[2])
			}
		}
		if err := c.read(b); err != nil {
			return c, err
		}
	}
	if err := c.read(a); err != nil {
		return c, err
	}
	for word := range c.header {
		if !slices.Contains(words, word) {
			return c, fmt.Errorf("%s: no word of a candidate's comment; README.md lists them", word)
		}
	}
	for _, word := range []string{"want", "reason"} {
		if _, err := regexp.Compile(c.header[word]); err != nil || !c.has(word) {
			return c, fmt.Errorf("%s: %q is no pattern: %w", word, c.header[word], err)
		}
	}
	return c, nil
}

func (c *cheat) read(a *txtar.Archive) error {
	for _, f := range a.Files {
		name, deleted := strings.CutSuffix(f.Name, " deleted")
		dir, p, _ := strings.Cut(name, "/")
		i := slices.Index(phases, dir)
		var err error
		switch {
		case name == "feature.json":
			c.row = runner.Row{} // of this file, whole
			err = json.Unmarshal(f.Data, &c.row)
		case name == "completed.json":
			err = json.Unmarshal(f.Data, &c.complete)
		case i < 0:
			err = fmt.Errorf("%s is in none of %v", name, phases)
		case p == "shell":
			c.shell[i] = string(f.Data)
		case deleted:
			delete(c.trees[i], p)
			c.gone[i] = append(c.gone[i], p)
		default:
			c.trees[i][p] = string(f.Data)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return nil
}

// A court is what judges candidates: a sandbox and a browser.
type court struct {
	session // closes
	number  int
	box     *sandbox.Sandbox
	browser check.Browser
}

// newCourt opens one. Those that are open at once have numbers of their own, and
// with them users of their own: some candidates send signals to all they may.
func newCourt(t *testing.T, number int) *court {
	t.Helper()
	dir, remove, err := privateDir()
	if err != nil {
		t.Fatal(err)
	}
	c := &court{number: number}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		remove()
	})
	user := uint32(61440 + 10*number)
	c.box, err = sandbox.Open(t.Context(), sandbox.Options{Dir: filepath.Join(dir, "sandbox"), Path: "/usr/bin:/bin:" + os.Getenv("PATH"), UID: user, GID: user})
	if err != nil {
		t.Fatal(err)
	}
	c.close = append(c.close, c.box.Close)
	env := environment{getenv: os.Getenv, now: time.Now}
	b, err := c.session.browser(context.WithoutCancel(t.Context()), env, config{}, c.box, dir)
	if err != nil {
		t.Fatal(err)
	}
	c.browser = b
	return c
}

// try takes a candidate through its phases and compares the verdict.
func (c *court) try(t *testing.T, ch cheat) {
	t.Helper()
	v := c.judge(t, ch)
	good := regexp.MustCompile(`^(`+ch.header["want"]+`)$`).MatchString(string(v.Outcome)) &&
		regexp.MustCompile(`(?is)`+ch.header["reason"]).MatchString(v.Reason)
	var gates []string
	for _, g := range v.Gates {
		gates = append(gates, fmt.Sprintf("%s %t (%d of %d, %d ms)", g.Name, g.Passed, g.Counts.Passed, g.Counts.Run, g.Millis))
	}
	said := fmt.Sprintf("%s: %s\ngates: %s", v.Outcome, v.Reason, strings.Join(gates, ", "))
	if !good {
		t.Errorf("want %s, %q; got %s\n%s", ch.header["want"], ch.header["reason"], said, v.Detail)
		return
	}
	t.Log(said)
}

// judge does what the loop does with a candidate, and returns the verdict that
// ends the attempt.
func (c *court) judge(t *testing.T, ch cheat) runner.Verdict {
	t.Helper()
	ctx := t.Context()
	dir, remove, err := privateDir()
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	remote := bareRepo(t, ch)
	uid, gid := c.box.User()
	r, err := repo.Open(ctx, repo.Options{
		Remote: remote, Dir: filepath.Join(dir, "repo"), StateBranch: "refs/heads/autonomous-loop-state/main", WorkBranch: "refs/heads/autonomous-loop/main",
		Author: author, Now: time.Now, Owner: &repo.Owner{UID: uid, GID: gid},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "repo"), 0o711); err != nil {
		t.Fatal(err)
	}
	found, err := r.Load(ctx)
	if err != nil {
		t.Fatal(err)
	}
	gates, err := check.Open(check.Options{
		Trees: r, Browser: c.browser, Run: judged{c.box}, Own: c.box.OwnJudge, Place: c.box.Place, Compile: c.box.Compile, Work: c.box, Dir: filepath.Join(dir, "check"),
		Test: ch.header["test"], Setup: ch.header["setup"], Start: ch.header["start"], URL: ch.header["url"], TDD: true, E2E: check.E2EAuto,
		SetupNet: sandbox.Local, Rand: crand.Reader, Now: time.Now, Timeout: 4 * time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	parent := found.Base.Commit
	if err := r.Restore(ctx, parent); err != nil {
		t.Fatal(err)
	}
	var v runner.Verdict
	red := ""
	for i, phase := range []runner.Phase{runner.Tests, runner.Implement} {
		c.work(t, r.Work(), ch, i+1)
		snap, err := r.Snapshot(ctx, parent, string(phase))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // as the loop: once more if it is inconclusive
			v, err = gates.Judge(ctx, runner.Candidate{
				Feature: runner.Feature{Row: ch.row}, Attempt: 1, Phase: phase, Parent: parent, Commit: snap.Commit, Tree: snap.Tree, Red: red, Completed: ch.complete,
			})
			if err != nil {
				return runner.Verdict{Outcome: "error", Reason: err.Error()}
			}
			if v.Outcome != runner.Inconclusive {
				break
			}
		}
		if v.Outcome != runner.Red {
			break
		}
		red = snap.Commit
	}
	return v
}

// work lays one phase of a candidate into the work tree, as the agent's user.
func (c *court) work(t *testing.T, dir string, ch cheat, phase int) {
	t.Helper()
	for _, p := range ch.gone[phase] {
		if err := os.RemoveAll(filepath.Join(dir, p)); err != nil {
			t.Fatal(err)
		}
	}
	lay(t, dir, ch.trees[phase])
	if err := c.box.Own(dir); err != nil {
		t.Fatal(err)
	}
	if ch.shell[phase] == "" {
		return
	}
	out, err := c.box.Run(t.Context(), sandbox.Command{Argv: []string{"sh", "-c", ch.shell[phase]}, Dir: dir, Write: []string{dir}, Net: sandbox.Local, Timeout: time.Minute})
	if err != nil || out.Code != 0 {
		t.Fatalf("the agent's shell: %v, exit code %d\n%s", err, out.Code, out.Text)
	}
}

// bareRepo makes a repository whose one commit is the parent tree.
func bareRepo(t *testing.T, ch cheat) string {
	t.Helper()
	work := t.TempDir()
	lay(t, work, ch.trees[0])
	remote := filepath.Join(t.TempDir(), "remote.git")
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"add", "--all", "--force"},
		{"-c", "user.name=A maintainer", "-c", "user.email=maintainer@example.com", "-c", "commit.gpgsign=false", "commit", "--quiet", "--allow-empty", "-m", "Begin the project"},
		{"clone", "--quiet", "--bare", ".", remote},
	} {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = work
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args[0], err, out)
		}
	}
	return remote
}

func lay(t *testing.T, dir string, fs files) {
	t.Helper()
	for p, text := range fs {
		name := filepath.Join(dir, filepath.FromSlash(p))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), modeOf(p)); err != nil {
			t.Fatal(err)
		}
	}
}

func modeOf(p string) fs.FileMode {
	if strings.HasSuffix(p, ".sh") {
		return 0o755
	}
	return 0o644
}
