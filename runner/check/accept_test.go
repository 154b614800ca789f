package check

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
)

// removing is a feature with an acceptance: only an application that shows what
// was filled in, whatever it was, and has the button, can pass it.
func removing() runner.Row {
	return runner.Row{
		ID: "remove", Description: "Notes can be removed", Data: map[string]runner.Datum{"title": {Kind: "sentence"}},
		Acceptance: []runner.Step{
			{Step: 1, Action: "goto", Value: "/"},
			{Step: 2, Action: "fill", Target: "title", Value: "{{title}}"},
			{Step: 3, Action: "assert_text", Expected: "{{title}}"},
			{Step: 4, Action: "click", Target: "Remove"},
		},
	}
}

func showing() runner.Row {
	return runner.Row{ID: "show", Description: "Notes are shown", Acceptance: []runner.Step{{Step: 1, Action: "assert_text", Expected: "Notes"}}}
}

func TestAcceptance(t *testing.T) {
	s := samples(t, "node")
	parent := s["parent"]
	built := parent.with(s["tests"], s["impl"])
	noStart := `{"name": "notes", "type": "module", "scripts": {"test": "node --test"}}`
	page := func(p string) tree { return tree{"page.txt": p} }
	tests := []struct {
		name      string
		phase     runner.Phase
		parent    tree
		candidate tree
		row       runner.Row
		e2e       E2E
		outcome   runner.Outcome
		gate      string
		words     []string
		runs      int // of the feature's acceptance
	}{
		{"passes", runner.Implement, parent, built, removing(), E2EAuto, runner.Verified, "canaries", []string{"1 earlier feature works", "fails on the parent, as it should"}, 4},
		{"after the tests phase", runner.Tests, parent, parent.with(s["tests"]), removing(), E2EAuto, runner.Red, "red", nil, 1},
		{"was there before", runner.Tests, parent.with(s["impl"]), built, removing(), E2EAuto, runner.Already, "already", []string{"again and again"}, 3},
		{"was there before, found late", runner.Implement, parent.with(page(s["impl"]["page.txt"])), built, removing(), E2EAuto, runner.Already, "already", nil, 3},
		{"there is no scenario to fail", runner.Implement, parent, built, runner.Row{ID: "remove"}, E2EAuto, runner.Verified, "canaries", []string{"the feature has none"}, 0},
		{"required and none", runner.Implement, parent, built, runner.Row{ID: "remove"}, E2ERequired, runner.Failed, "acceptance", []string{"e2e is required"}, 0},
		{"off", runner.Implement, parent, built.with(page("shows nothing")), removing(), E2EOff, runner.Verified, "canaries", nil, 0},
		{"button missing", runner.Implement, parent, built.with(page("shows Notes\necho title")), removing(), E2EAuto, runner.Failed, "acceptance", []string{"step 4 (click Remove)", "application log:\n  listening"}, 4},
		{"made for known data", runner.Implement, parent, built.with(page("shows Notes\nshows {{title}}\nshows milk\nbutton Remove")), removing(), E2EAuto, runner.Failed, "acceptance", []string{"step 2"}, 4},
		{"application does not start", runner.Implement, parent, built.with(page("down")), removing(), E2EAuto, runner.Failed, "acceptance", []string{"did not start"}, 4},
		{"start script removed", runner.Implement, parent, built.with(tree{"package.json": noStart}), removing(), E2EAuto, runner.Failed, "acceptance", []string{"start script"}, 1},
		{"parent cannot be started", runner.Implement, parent.with(tree{"package.json": noStart}), built, removing(), E2EAuto, runner.Verified, "canaries", []string{"no application that could be started"}, 3},
		{"flaky", runner.Implement, parent.with(tree{"package.json": noStart}), built.with(page(s["impl"]["page.txt"] + "flaky")), removing(), E2EAuto, runner.Inconclusive, "acceptance", []string{"flaky"}, 3},
		{"browser breaks down", runner.Implement, parent.with(tree{"package.json": noStart}), built.with(page(s["impl"]["page.txt"] + "breaks 9")), removing(), E2EAuto, runner.Inconclusive, "acceptance", []string{"target closed"}, 6},
		{"browser breaks down once", runner.Implement, parent.with(tree{"package.json": noStart}), built.with(page(s["impl"]["page.txt"] + "breaks 1\nshows Notes")), showing2(), E2EAuto, runner.Verified, "canaries", nil, 4},
		{"browser breaks down on the parent", runner.Tests, parent.with(page("breaks 9")), parent.with(s["tests"], page("breaks 9")), removing(), E2EAuto, runner.Inconclusive, "already", []string{"target closed"}, 2},
		{"flaky on the parent", runner.Tests, parent.with(page(s["impl"]["page.txt"] + "flaky")), parent.with(s["tests"]), removing(), E2EAuto, runner.Red, "red", nil, 1},
		{"earlier feature broken", runner.Implement, parent, built.with(page("echo title\nbutton Remove")), removing(), E2EAuto, runner.Failed, "regression", []string{"show (Notes are shown) was complete and is broken by this change", "step 1 (assert_text"}, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(o *Options) {
				if o.E2E = tt.e2e; tt.phase != runner.Tests {
					o.TDD, o.Test = false, canarySong // the tests themselves are the business of others
				}
			})
			var completed []runner.Row
			if tt.name != "browser breaks down once" {
				completed = []runner.Row{showing()}
			}
			v := w.judge(tt.phase, tt.parent, tt.candidate, tt.row, completed...)
			want(t, v, tt.outcome, tt.gate, tt.words...)
			if got := w.browser.runs[tt.row.ID]; got != tt.runs {
				t.Errorf("the acceptance was performed %d times, want %d", got, tt.runs)
			}
		})
	}
}

// canarySong is a command that passes as long as there is no canary.
const canarySong = `! grep -qrsF -e ' breaks' -e ')]} (' test`

// showing2 is showing as a feature in progress: its id is its own.
func showing2() runner.Row {
	r := showing()
	r.ID = "show-2"
	return r
}

// The evidence of a verified feature says what was judged, run and seen.
func TestEvidence(t *testing.T) {
	s := samples(t, "node")
	w := newWorld(t, nil)
	candidate := s["parent"].with(s["tests"], s["impl"])
	id := w.git.write(candidate)
	v := w.judge(runner.Implement, s["parent"], candidate, removing(), showing())
	want(t, v, runner.Verified, "canaries")

	var gates []string
	for _, g := range v.Gates {
		gates = append(gates, g.Name)
		if g.Tree == "" || g.Counts.Run == 0 && g.Name != "frozen" {
			t.Errorf("gate %s has no tree or no counts: %+v", g.Name, g)
		}
	}
	if d := cmp.Diff([]string{"frozen", "red", "acceptance-red", "green", "revert", "acceptance", "regression", "canaries"}, gates); d != "" {
		t.Error(d)
	}
	var files []string
	for _, f := range v.Files {
		files = append(files, f.Name)
	}
	if d := cmp.Diff([]string{"verdict.json", "red.txt", "green.txt", "revert.txt", "acceptance.json", "screenshot.png"}, files); d != "" {
		t.Error(d)
	}
	var verdict struct {
		Feature, Tree, Outcome string
		Gates                  []runner.Gate
	}
	if err := json.Unmarshal([]byte(file(v, "verdict.json")), &verdict); err != nil {
		t.Fatal(err)
	}
	if verdict.Feature != "remove" || verdict.Tree != id || verdict.Outcome != "verified" || len(verdict.Gates) != 8 {
		t.Errorf("verdict.json says %+v", verdict)
	}
	for name, words := range map[string][]string{
		"red.txt":         {"command: node --test", "fail test/remove.test.js [missing symbol]", "does not provide an export named 'remove'"},
		"green.txt":       {"run 4, passed 4, failed 0", "pass test/remove.test.js: removes a note", id},
		"acceptance.json": {`"feature_id": "remove"`, `"steps_executed": 4`, `"feature_id": "show"`, `"parent"`},
		"screenshot.png":  {"png of shows Notes"},
	} {
		for _, word := range words {
			if !strings.Contains(file(v, name), word) {
				t.Errorf("%s does not say %q:\n%s", name, word, file(v, name))
			}
		}
	}
	var seen browsing
	if err := json.Unmarshal([]byte(file(v, "acceptance.json")), &seen); err != nil {
		t.Fatal(err)
	}
	if a, b := seen.Parent[0].Steps[1].Value, seen.Candidate[0].Steps[1].Value; a == b || strings.Contains(a+b, "{{") {
		t.Errorf("the data was not drawn anew: %q, %q", a, b)
	}
}

// The parent is run once for a feature, whatever the number of phases, and the
// last green tree is not run again when it becomes the parent.
func TestParentIsRunOnce(t *testing.T) {
	s := samples(t, "node")
	w := newWorld(t, nil)
	parent := s["parent"]
	tests, built := parent.with(s["tests"]), parent.with(s["tests"], s["impl"])
	p := w.git.commit(w.git.write(parent))
	judge := func(phase runner.Phase, parent string, candidate tree, id string) runner.Verdict {
		row := removing()
		row.ID = id
		tree := w.git.write(candidate)
		v, err := w.Judge(t.Context(), runner.Candidate{Feature: runner.Feature{Row: row}, Phase: phase, Parent: parent, Commit: w.git.commit(tree), Tree: tree})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	want(t, judge(runner.Tests, p, tests, "remove"), runner.Red, "red")
	before := w.browser.runs["remove"]
	ran := &counting{Runner: w.o.Run}
	w.o.Run = ran
	v := judge(runner.Implement, p, built, "remove")
	want(t, v, runner.Verified, "canaries")
	if got := w.browser.runs["remove"]; before != 1 || got != 4 {
		t.Errorf("acceptance performed %d and then %d times, want once on the parent and three times on the candidate", before, got-before)
	}
	if !strings.Contains(file(v, "acceptance.json"), `"parent"`) {
		t.Error("the evidence lacks the parent's run of an earlier phase")
	}
	if ran.n != 5 {
		t.Errorf("%d runs of tests in the second phase, want 5: green twice, revert, two with canaries; red was run after the tests phase", ran.n)
	}
	next := w.git.commit(w.git.write(built))
	want(t, judge(runner.Tests, next, built.with(tree{"test/more.test.js": "import test from 'node:test';\nimport assert from 'node:assert';\ntest('more', () => assert.ok(false));\n"}), "off"), runner.Already, "already")
	ran.n = 0 // one more was made beside the acceptance, in vain
	w.o.Browser = nil
	want(t, judge(runner.Tests, next, built.with(tree{"test/more.test.js": "import test from 'node:test';\nimport assert from 'node:assert';\ntest('more', () => assert.ok(false));\n"}), "more"), runner.Red, "red")
	if ran.n != 1 {
		t.Errorf("%d runs of tests, want 1: that of the candidate", ran.n)
	}
}

type counting struct {
	Runner
	n int
}

func (c *counting) Run(ctx context.Context, cmd sandbox.Command) (sandbox.Output, error) {
	c.n++
	return c.Runner.Run(ctx, cmd)
}

// A browser that says it passed must have performed every step.
func TestPerformanceMustBeWhole(t *testing.T) {
	p := performance{Steps: removing().Acceptance, Acceptance: Acceptance{Passed: true, Executed: 4, Succeeded: 4}}
	if f := judgeAcceptance(p); !f.passed() {
		t.Fatalf("a whole performance is %+v", f)
	}
	for _, change := range []func(*performance){
		func(p *performance) { p.Executed, p.Succeeded = 3, 3 },
		func(p *performance) { p.Succeeded = 3 },
		func(p *performance) { p.Executed, p.Succeeded, p.Steps = 0, 0, nil },
		func(p *performance) { p.Failures = []string{"step 1: no"} },
		func(p *performance) { p.Passed = false },
		func(p *performance) { p.Broken = "crashed" },
	} {
		q := p
		change(&q)
		if judgeAcceptance(q).passed() {
			t.Errorf("passes: %+v", q.Acceptance)
		}
	}
}

// What keeps people from using a page is said with the verdict.
func TestBarriersAreNamed(t *testing.T) {
	p := performance{Steps: make([]Step, 2), Acceptance: Acceptance{Feature: "add-001", Passed: true, Executed: 2, Succeeded: 2, Accessibility: []Barrier{
		{Page: "/", Rule: "label", Impact: "critical"}, {Page: "/about", Rule: "label", Impact: "critical"},
	}}}
	if f := judgeAcceptance(p); !f.passed() || f.Reason != "the acceptance of add-001 passes (2 steps; accessibility: label on /, label on /about)." {
		t.Errorf("got %s", f.Reason)
	}
}
