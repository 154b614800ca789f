package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
)

// What people do to a loop, as commands of the scripts in testdata/script.

// slow-script KEY: the model takes its time over one answer, so that a person can
// do something while it is at work.
func (h *hub) slowScript(ts *testscript.TestScript, args []string) {
	script := ts.ReadFile(strings.TrimPrefix(ts.Getenv("INPUT_MODEL"), "script:"))
	file := filepath.Join(h.work, "slow.txtar")
	ts.Setenv("FAST_MODEL", ts.Getenv("INPUT_MODEL"))
	ts.Check(os.WriteFile(file, []byte(script+"-- "+args[0]+" sleep 20s --\n"), 0o644))
	ts.Setenv("INPUT_MODEL", "script:"+file)
}

// poisoned-script: part-001 comes first and waits for nothing, and the model never
// gets to answer about it.
func (h *hub) poisonedScript(ts *testscript.TestScript, _ []string) {
	script := ts.ReadFile(strings.TrimPrefix(ts.Getenv("INPUT_MODEL"), "script:"))
	script = strings.NewReplacer(`, "depends_on": ["greet-001"]`, "", `"priority": 1`, `"priority": 3`).Replace(script)
	for attempt := range 3 {
		script += fmt.Sprintf("-- part-001/%d/tests/1 sleep 10m --\n-- part-001/%[1]d/tests/1 say --\nGood morning.\n", attempt+1)
	}
	file := filepath.Join(h.work, "poisoned.txtar")
	ts.Check(os.WriteFile(file, []byte(script), 0o644))
	ts.Setenv("INPUT_MODEL", "script:"+file)
}

// fast-script: it does not any more.
func (h *hub) fastScript(ts *testscript.TestScript, _ []string) {
	ts.Setenv("INPUT_MODEL", ts.Getenv("FAST_MODEL"))
}

// until PATTERN: waits for a transaction of the state branch whose subject matches.
func (h *hub) until(ts *testscript.TestScript, args []string) {
	want := regexp.MustCompile(args[0])
	for begun := time.Now(); time.Since(begun) < 2*time.Minute; time.Sleep(50 * time.Millisecond) {
		if want.MatchString(h.gitOut(ts, "for-each-ref", "--format=%(contents:subject)", "refs/heads/autonomous-loop-state/main")) {
			return
		}
	}
	ts.Fatalf("no transaction %s; there are:\n%s", args[0], h.gitOut(ts, "log", "--first-parent", "--format=%s", "autonomous-loop-state/main"))
}

// age DURATION: the run at work began that much earlier.
func (h *hub) age(ts *testscript.TestScript, args []string) {
	by, err := time.ParseDuration(args[0])
	ts.Check(err)
	h.Age(h.run, by)
}

// label NUMBER [LABEL...]: a person puts these labels on, and takes others off.
func (h *hub) label(ts *testscript.TestScript, args []string) {
	h.Label(repoName, count(ts, args[0]), args[1:]...)
}

// close-pull NUMBER: a person closes the pull request.
func (h *hub) closePull(ts *testscript.TestScript, args []string) {
	h.ClosePull(repoName, count(ts, args[0]), false)
}

// reopen-pull NUMBER: a person opens it again.
func (h *hub) reopenPull(ts *testscript.TestScript, args []string) {
	h.ReopenPull(repoName, count(ts, args[0]))
}

// says NUMBER LOGIN ID TEXT: somebody comments, which starts nothing.
func (h *hub) says(ts *testscript.TestScript, args []string) {
	h.AddComment(repoName, count(ts, args[0]), account(ts, args[1], args[2]), args[3])
}

// comment-event NUMBER LOGIN ID TEXT: somebody comments, which starts the workflow.
func (h *hub) commentEvent(ts *testscript.TestScript, args []string) {
	run, err := h.CommentRun(repoName, "loop.yml", count(ts, args[0]), account(ts, args[1], args[2]), args[3])
	ts.Check(err)
	h.begin(ts, run)
}

// issue TITLE: somebody opens an issue.
func (h *hub) issue(ts *testscript.TestScript, args []string) {
	h.AddIssue(repoName, account(ts, "ann", "7"), args[0], "")
}

func count(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	ts.Check(err)
	return n
}

// pushedForward asserts of everything that was ever pushed to a repository that
// it moved the loop's two branches forward, and touched no other ref: what was
// pushed once is never rewritten, and what a person deleted never made again.
func pushedForward(t *testing.T, dir string) {
	t.Helper()
	logs := filepath.Join(dir, "logs", "refs")
	err := filepath.WalkDir(logs, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		ref, _ := filepath.Rel(filepath.Dir(logs), path)
		before := map[string]bool{}
		for line := range strings.Lines(string(data)) {
			old, rest, _ := strings.Cut(line, " ")
			id, who, _ := strings.Cut(rest, " ")
			first := len(before) == 0
			before[id] = true
			if !strings.HasPrefix(who, fakegithub.Bot) {
				continue
			}
			forward := exec.Command("git", "-C", dir, "merge-base", "--is-ancestor", old, id).Run() == nil
			if strings.Trim(old, "0") == "" {
				forward = first
			}
			if !forward || ref != "refs/heads/autonomous-loop/main" && ref != "refs/heads/autonomous-loop-state/main" {
				t.Errorf("%s was pushed from %.7s to %.7s, which is not forward, or not the loop's", ref, old, id)
			}
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// commits BRANCH NAME FILE: a person commits FILE to a branch, as NAME.
func (h *hub) commits(ts *testscript.TestScript, args []string) {
	_, err := h.Seed(repoName, args[0], "", map[string]string{args[1]: ts.ReadFile(args[2])})
	ts.Check(err)
}

// conform FEATURE: all records of evidence on the state branch are as their schema
// says, and some are of FEATURE.
func (h *hub) conform(ts *testscript.TestScript, args []string) {
	schema, err := jsonschema.NewCompiler().Compile("docs/evidence.schema.json")
	ts.Check(err)
	const branch = "autonomous-loop-state/main"
	found := 0
	for name := range strings.Lines(h.gitOut(ts, "ls-tree", "-r", "--name-only", branch, "evidence/")) {
		name = strings.TrimSpace(name)
		if !strings.Contains(name, "/record-") {
			continue
		}
		text := h.gitOut(ts, "show", branch+":"+name)
		valid := func(text string) error {
			v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
			if err == nil {
				err = schema.Validate(v)
			}
			return err
		}
		if err := valid(text); err != nil {
			ts.Fatalf("%s: %v", name, err)
		}
		if !strings.HasPrefix(name, "evidence/"+args[0]+"/") {
			continue
		}
		found++
		// The negative control: somebody else's commits, and nobody's tree.
		for old, spoilt := range map[string]string{`"taken": "`: `"taken": "no`, `"tree":`: `"three":`} {
			if wrong := strings.Replace(text, old, spoilt, 1); wrong != text && valid(wrong) == nil {
				ts.Fatalf("%s: the schema takes anything", name)
			}
		}
	}
	if found == 0 {
		ts.Fatalf("there is no record of %s", args[0])
	}
}

// holds BRANCH COMMIT: the branch holds the commit.
func (h *hub) holds(ts *testscript.TestScript, args []string) {
	h.gitOut(ts, "merge-base", "--is-ancestor", args[1], args[0])
}
