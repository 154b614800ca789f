package check

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// The implementation takes the teeth out of the assertions that its tests use:
// RED is red, GREEN is green, and only a test that must fail shows it.
func TestTamperedRun(t *testing.T) {
	s := samples(t, "node")
	toothless := tree{"notes.js": "import assert from 'node:assert/strict';\nconst names = Object.keys(assert);\nfor (const n of names) assert[n] = () => {};\n" + s["parent"]["notes.js"] + "export const remove = () => {};\n"}
	w := newWorld(t, nil)
	v := w.judge(runner.Implement, s["parent"], s["parent"].with(s["tests"], toothless), runner.Row{ID: "remove"})
	want(t, v, runner.Invalid, "canaries", "must fail was added to test/remove.test.js", "reported as passed")
}

// Tests that fail the first time they are run, and pass ever after, wherever the
// checkout is: they remember.
func TestTestsThatRemember(t *testing.T) {
	s := samples(t, "node")
	marker := filepath.Join(t.TempDir(), "been")
	remember := tree{"test/remove.test.js": "import test from 'node:test';\nimport assert from 'node:assert';\nimport { existsSync, writeFileSync } from 'node:fs';\n" +
		"const been = existsSync('" + marker + "');\nwriteFileSync('" + marker + "', '');\ntest('removes', () => assert.ok(been));\n"}
	w := newWorld(t, nil)
	v := w.judge(runner.Implement, s["parent"], s["parent"].with(s["impl"], remember), runner.Row{ID: "remove"})
	want(t, v, runner.Invalid, "revert", "do not fail any more", "test/remove.test.js: removes")
}

func TestFrozenAcceptance(t *testing.T) {
	s := samples(t, "node")
	w := newWorld(t, func(o *Options) { o.TDD, o.Test = false, canarySong })
	judge := func(now, earlier runner.Feature) runner.Verdict {
		c := w.git.write(s["parent"].with(s["tests"], s["impl"]))
		v, err := w.Judge(t.Context(), runner.Candidate{
			Feature: now, Phase: runner.Implement, Parent: w.git.commit(w.git.write(s["parent"])), Commit: c, Tree: c, Completed: []runner.Feature{earlier},
		})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	now, earlier := runner.Feature{Row: removing()}, runner.Feature{Row: showing()}
	now.Frozen, earlier.Frozen = now.AcceptanceHash(), earlier.AcceptanceHash()
	want(t, judge(now, earlier), runner.Verified, "canaries")
	changed := now
	changed.Acceptance = changed.Acceptance[:1]
	want(t, judge(changed, earlier), runner.Invalid, "frozen", "The acceptance of remove is not the one that was frozen")
	changed = earlier
	changed.Acceptance = append([]runner.Step{}, changed.Acceptance...)
	changed.Acceptance[0].Expected = ""
	want(t, judge(now, changed), runner.Invalid, "frozen", "The acceptance of show is not")
}

func report(states ...string) suite.Report {
	r := suite.Report{Command: "t"}
	for _, s := range states {
		name, state, _ := strings.Cut(s, " ")
		c := suite.Case{File: "a.test.js", Name: name, State: suite.State(state)}
		if c.State == suite.Fail {
			c.Kind, c.Message = suite.Assertion, "no"
		}
		r.Cases = append(r.Cases, c)
	}
	return r
}

func TestGreenTwice(t *testing.T) {
	parent := report("old pass")
	for _, tt := range []struct {
		name          string
		first, second suite.Report
		want          runner.Outcome
		says          string
	}{
		{"both pass", report("old pass", "new pass"), report("old pass", "new pass"), "", "twice in a row"},
		{"both fail", report("old pass", "new fail"), report("old pass", "new fail"), runner.Failed, "new"},
		{"the first fails", report("old pass", "new fail"), report("old pass", "new pass"), runner.Inconclusive, "flaky"},
		{"the second fails", report("old pass", "new pass"), report("old pass", "new fail"), runner.Inconclusive, "flaky"},
		{"different ones fail", report("old pass", "a fail", "b pass"), report("old pass", "a pass", "b fail"), runner.Inconclusive, "a.test.js: a, a.test.js: b"},
		{"one comes and goes", report("old pass", "a pass"), report("old pass"), runner.Inconclusive, "a.test.js: a"},
		{"one is skipped now", report("old pass", "a pass"), report("old pass", "a skip"), runner.Inconclusive, "a.test.js: a"},
	} {
		f := judgeGreenTwice(parent, nil, tt.first, tt.second)
		if f.Outcome != tt.want || !strings.Contains(f.Reason, tt.says) {
			t.Errorf("%s: %q %s", tt.name, f.Outcome, f.Reason)
		}
	}
}

func performed(results string) []performance {
	var ps []performance
	for i, r := range results {
		p := performance{Steps: []Step{{Step: 1, Action: "goto"}}, Acceptance: Acceptance{Feature: "f"}, round: i}
		switch r {
		case '+':
			p.Passed, p.Executed, p.Succeeded = true, 1, 1
		case '-':
			p.Executed, p.Failures = 1, []string{"step 1: no"}
		case '1', '2', 'h': // fails later; h: with little patience
			p.Executed, p.Succeeded, p.Failures, p.hurried = 3, max(1, int(r-'0')), []string{"no"}, r == 'h'
		case 'x':
			p.Broken = "killed"
		}
		ps = append(ps, p)
	}
	return ps
}

// + passes, - fails, 1 and 2 fail after that many steps, x the browser breaks down.
func TestJudgePerformances(t *testing.T) {
	for _, tt := range []struct {
		seen   string
		wanted int
		want   runner.Outcome
		more   int
	}{
		{"", 3, "", 3},
		{"+", 3, "", 2},
		{"+", 1, "", 0},
		{"+++", 3, "", 0},
		{"++-", 3, runner.Inconclusive, 0},
		{"-", 1, runner.Failed, 1},
		{"-+", 1, runner.Inconclusive, 0},
		{"--", 3, runner.Failed, 0},
		{"---", 3, runner.Failed, 0},
		{"111", 3, runner.Failed, 0},
		{"1-1", 3, runner.Inconclusive, 0},
		{"121", 3, runner.Inconclusive, 0},
		{"-h", 1, runner.Failed, 0}, // had less patience
		{"1", 1, runner.Failed, 1},
		{"x", 3, "", 3},
		{"xx", 3, runner.Inconclusive, 0},
		{"x+++", 3, "", 0},
		{"x--", 1, runner.Failed, 0},
		{"+++++++", 8, "", 1},
	} {
		f, more := judgePerformances(performed(tt.seen), tt.wanted)
		if f.Outcome != tt.want || more != tt.more {
			t.Errorf("%q of %d: %q, %d more; want %q, %d", tt.seen, tt.wanted, f.Outcome, more, tt.want, tt.more)
		}
	}
}

// One browser that breaks down takes along all that is performed in it.
func TestBreakdownsCountByRounds(t *testing.T) {
	ps := performed("xxx")
	for i := range ps {
		ps[i].round = 0
	}
	if f, more := judgePerformances(ps, 3); f.Outcome != "" || more != 3 {
		t.Errorf("after one breakdown: %q, %d more", f.Outcome, more)
	}
	again := performed("x")
	again[0].round = 1
	if f, more := judgePerformances(append(ps, again...), 3); f.Outcome != runner.Inconclusive || more != 0 {
		t.Errorf("after two breakdowns: %q, %d more", f.Outcome, more)
	}
}

// luckyBrowser passes and fails as it is told, then begins anew.
type luckyBrowser struct {
	mu   sync.Mutex
	luck string
	n    int
}

func (b *luckyBrowser) Accept(_ context.Context, _ App, s Scenario) (Acceptance, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := performed(b.luck[b.n%len(b.luck):][:1])[0].Acceptance
	b.n++
	if a.Passed {
		a.Executed, a.Succeeded = len(s.Steps), len(s.Steps)
	}
	a.Feature = s.Feature
	return a, nil
}

// An application that works half of the time is never verified, and is said to
// be flaky; a browser that is killed once costs nothing but the time.
func TestFlakyApplication(t *testing.T) {
	s := samples(t, "node")
	for luck, outcome := range map[string]runner.Outcome{
		"-+-+++":    runner.Inconclusive, // the first is the parent's
		"-++-++":    runner.Inconclusive,
		"-+++":      runner.Verified,
		"-x+++++++": runner.Verified,
		"-+x++++++": runner.Verified,
		"-xx":       runner.Inconclusive,
		"---":       runner.Failed,
	} {
		b := &luckyBrowser{luck: luck}
		w := newWorld(t, func(o *Options) { o.TDD, o.Test, o.Browser = false, canarySong, b })
		v := w.judge(runner.Implement, s["parent"], s["parent"].with(s["tests"], s["impl"]), showing())
		if v.Outcome != outcome || outcome == runner.Inconclusive && !strings.Contains(luck, "x") && !strings.Contains(v.Reason, "flaky") {
			t.Errorf("%s: %s, %s", luck, v.Outcome, v.Reason)
		}
		if strings.Contains(luck, "+-") { // and luck the second time does not help
			b.luck, b.n = "+++++++-", 0
			if v = w.judge(runner.Implement, s["parent"], s["parent"].with(s["tests"], s["impl"]), showing()); v.Outcome != runner.Inconclusive {
				t.Errorf("%s, then lucky for a while: %s, %s", luck, v.Outcome, v.Reason)
			}
		}
	}
}

// An earlier feature that does not hold on the parent either is not the
// candidate's fault: it is demoted, and the commit since which it is so is named.
func TestBrokenBefore(t *testing.T) {
	s := samples(t, "node")
	whole := s["parent"]
	broken := whole.with(tree{"page.txt": "echo title\n"})
	w := newWorld(t, func(o *Options) { o.TDD, o.Test = false, canarySong })
	done := func(id string, n int, files tree) runner.Feature {
		row := showing()
		if row.ID = id; id != "show" {
			row.Acceptance = nil
		}
		return runner.Feature{Row: row, Progress: runner.Progress{
			Frozen: row.AcceptanceHash(), Commit: w.git.commit(w.git.write(files)), Evidence: &runner.Evidence{Record: fmt.Sprintf("record-%03d.json", n)},
		}}
	}
	for _, tt := range []struct {
		name     string
		earlier  []runner.Feature
		culprit  string
		parent   tree
		verdict  runner.Outcome
		isBroken bool
	}{
		{"by a feature in between", []runner.Feature{done("d", 4, broken), done("show", 1, whole), done("c", 3, broken.with(tree{"x": "1"})), done("b", 2, whole.with(tree{"x": "2"}))}, "c", broken, runner.Inconclusive, true},
		{"by the first after it", []runner.Feature{done("show", 1, whole), done("b", 2, broken)}, "b", broken, runner.Inconclusive, true},
		{"by nobody's commit", []runner.Feature{done("show", 1, broken), done("b", 2, broken)}, "", broken, runner.Inconclusive, true},
		{"by the candidate", []runner.Feature{done("show", 1, whole), done("b", 2, whole)}, "", whole, runner.Failed, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := w.git.write(broken.with(s["tests"], tree{"page.txt": "echo title\nbutton Remove\n"}))
			v, err := w.Judge(t.Context(), runner.Candidate{
				Feature: runner.Feature{Row: removing()}, Phase: runner.Implement, Parent: w.git.commit(w.git.write(tt.parent)), Commit: c, Tree: c, Completed: tt.earlier,
			})
			if err != nil {
				t.Fatal(err)
			}
			want(t, v, tt.verdict, "regression", "show")
			var got []runner.Broken
			if tt.isBroken {
				got = []runner.Broken{{Feature: "show", Culprit: tt.culprit}}
			}
			for i := range v.Broken {
				v.Broken[i].Why = ""
			}
			if d := cmp.Diff(got, v.Broken); d != "" {
				t.Error(d)
			}
			if !tt.isBroken && !strings.Contains(v.Reason, "broken by this change") {
				t.Errorf("the candidate is not said to be to blame: %s", v.Reason)
			}
		})
	}
}

// Tests of an earlier feature that passed when its commit was judged, and fail
// on the same commit now, are not the candidate's fault either.
func TestBrokenTestsBefore(t *testing.T) {
	s := samples(t, "node")
	marker := filepath.Join(t.TempDir(), "gone")
	parent := s["parent"].with(tree{"test/old.test.js": "import test from 'node:test';\nimport assert from 'node:assert';\nimport { existsSync } from 'node:fs';\nconst gone = '" + marker + "';\ntest('old', () => assert.equal(existsSync(gone), false));\n"})
	w := newWorld(t, func(o *Options) { o.Browser = nil })
	p, c := w.git.commit(w.git.write(parent)), w.git.write(parent.with(s["tests"], s["impl"]))
	earlier := runner.Feature{Row: runner.Row{ID: "old"}, Progress: runner.Progress{Evidence: &runner.Evidence{Tests: []string{"test/old.test.js"}}}}
	candidate := runner.Candidate{Feature: runner.Feature{Row: runner.Row{ID: "remove"}}, Phase: runner.Tests, Parent: p, Commit: c, Tree: w.git.write(parent.with(s["tests"])), Completed: []runner.Feature{earlier}}
	v, err := w.Judge(t.Context(), candidate)
	if err != nil {
		t.Fatal(err)
	}
	want(t, v, runner.Red, "red")
	put(t, marker, "")
	candidate.Phase, candidate.Tree = runner.Implement, c
	if v, err = w.Judge(t.Context(), candidate); err != nil {
		t.Fatal(err)
	}
	want(t, v, runner.Inconclusive, "green", "old", "mended first")
	if len(v.Broken) != 1 || v.Broken[0].Feature != "old" {
		t.Errorf("broken: %+v", v.Broken)
	}
}

func TestJudgeCanaries(t *testing.T) {
	placed := []canary{{"a.test.js", "abcdef"}}
	load := suite.Report{Command: "t", Cases: []suite.Case{{File: "a.test.js", Name: "a.test.js", State: suite.Fail, Load: true, Kind: suite.Syntax}}}
	weak := func(s suite.State) suite.Report {
		return suite.Report{Command: "t", Cases: []suite.Case{{Name: "t", State: s, Weak: true}}}
	}
	for _, tt := range []struct {
		name string
		run  suite.Report
		want runner.Outcome
	}{
		{"true", report("abcdef-holds pass", "abcdef-breaks fail", "x pass"), ""},
		{"title case", report("TestAbcdefholds pass", "TestAbcdefbreaks fail"), ""},
		{"a failure is reported as a pass", report("abcdef-holds pass", "abcdef-breaks pass"), runner.Invalid},
		{"a failure is skipped", report("abcdef-holds pass", "abcdef-breaks skip"), runner.Invalid},
		{"a failure is left out", report("abcdef-holds pass", "x pass"), runner.Invalid},
		{"one of two failures passes", report("abcdef-holds pass", "abcdef-breaks1 fail", "abcdef-breaks2 pass"), runner.Invalid},
		{"what passes is left out", report("abcdef-breaks fail"), runner.Invalid},
		{"all is left out", report("x pass"), runner.Invalid},
		{"all of the file is left out, another fails", suite.Report{Command: "t", Cases: []suite.Case{{File: "b.test.js", Name: "x", State: suite.Fail}}}, runner.Invalid},
		{"the file does not load with them", load, ""},
		{"an exit code", weak(suite.Fail), ""},
		{"an exit code that lies", weak(suite.Pass), runner.Invalid},
		{"a run that is not believed anyway", suite.Report{Command: "t", Broken: "cut"}, ""},
	} {
		if f := judgeCanaries(placed, tt.run); f.Outcome != tt.want || f.Reason == "" {
			t.Errorf("%s: %q %s", tt.name, f.Outcome, f.Reason)
		}
	}
	for run, outcome := range map[*suite.Report]runner.Outcome{
		new(report("x pass")): runner.Invalid, new(report("x pass", "y fail")): "", &load: "", {Command: "t", Early: []string{"a"}}: "", new(weak(suite.Pass)): runner.Invalid,
	} {
		if f := judgeSpoilt("a.test.js", *run); f.Outcome != outcome {
			t.Errorf("spoilt, %+v: %q", run, f.Outcome)
		}
	}
}

// Canaries run as they should in the languages that are at hand.
func TestCanariesSing(t *testing.T) {
	py := withCanaryOf(t, "test_a.py", "import unittest\n\nclass TestA(unittest.TestCase):\n    def test_a(self):\n        pass\n")
	dir := lay(t, tree{"test_a.py": py})
	cmd := exec.CommandContext(t.Context(), "python3", "-m", "unittest", "-v", "test_a")
	cmd.Dir = dir
	out, _ := cmd.CombinedOutput()
	if text := string(out); !strings.Contains(text, "abcdef_holds") || !strings.Contains(text, "FAIL: test_abcdef_breaks") || !strings.Contains(text, "Ran 3 tests") || !strings.Contains(text, "failures=1") {
		t.Errorf("Python: %s", text)
	}
	for name, source := range map[string]string{
		"module.test.js":  "import t from 'node:test';\nt('a', () => {});\nexport const test = 1;\n",
		"common.test.cjs": "const { it } = require('node:test');\nconst assert = require('assert');\nit('a', () => assert.ok(1));\n",
		"mixed.test.mjs":  "import { describe, it } from \"node:test\";\nimport assert from \"node:assert/strict\";\ndescribe('a', () => { it('b', () => assert.ok(1)); });\n",
	} {
		dir := lay(t, tree{name: withCanaryOf(t, name, source)})
		w := newWorld(t, nil)
		r, err := w.test(t.Context(), w.o.Run, dir, "")
		if err != nil {
			t.Fatal(err)
		}
		if f := judgeCanaries([]canary{{name, "abcdef"}}, r.Report); !f.passed() || f.Counts.Passed != 1 || f.Counts.Failed < 2 {
			t.Errorf("%s: %+v\n%s", name, f, r.Tail)
		}
	}
	for name, source := range map[string]string{"a.test.txt": "test", "helper.js": "export const a = 1;", "a_test.go": "package a\n", "conftest.py": "import pytest\n", "data.json": "{}"} {
		if _, ok := withCanary(name, source, "abcdef"); ok {
			t.Errorf("a canary was placed in %s", name)
		}
	}
	for name, source := range map[string]string{
		"a_spec.rb": "RSpec.describe('a') {}\n", "a_test.rb": "class A < Minitest::Test\nend\n", "ATest.php": "<?php class ATest { }\n",
		"ATest.java": "import org.junit.jupiter.api.Test;\nclass ATest { }\n", "tests/a.rs": "#[test]\nfn a() {}\n", "a.spec.ts": "it('a', () => { expect(1).toBe(1); });\n",
	} {
		if text := withCanaryOf(t, name, source); !strings.Contains(strings.ToLower(text), "abcdef") || !strings.Contains(strings.ToLower(text), mustFail) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

func withCanaryOf(t *testing.T, name, source string) string {
	t.Helper()
	text, ok := withCanary(name, source, "abcdef")
	if !ok {
		t.Fatalf("no canary for %s", name)
	}
	return text
}

// oneReviewer answers everything in the same way.
type oneReviewer struct {
	answer string
	err    error
	asked  []string
}

func (r *oneReviewer) Ask(_ context.Context, system, prompt string) (string, runner.Usage, error) {
	r.asked = append(r.asked, prompt)
	return r.answer, runner.Usage{Calls: 1, Tokens: 7}, r.err
}

func TestReview(t *testing.T) {
	s := samples(t, "node")
	for _, tt := range []struct {
		name    string
		r       oneReviewer
		purse   runner.Purse
		outcome runner.Outcome
		says    string
	}{
		{"no objection", oneReviewer{answer: `{"veto": false, "reason": "fine"}`}, runner.Purse{Tokens: 1}, runner.Verified, "does not object"},
		{"a veto", oneReviewer{answer: "Here:\n```json\n{\"veto\": true, \"reason\": \"the answer is hard-coded\"}\n```"}, runner.Purse{Tokens: 1}, runner.Failed, "the answer is hard-coded"},
		{"a veto without a reason", oneReviewer{answer: `{"veto": true}`}, runner.Purse{Tokens: 1}, runner.Verified, "no opinion: a veto without a reason is none"},
		{"praise", oneReviewer{answer: "Looks good to me!"}, runner.Purse{Tokens: 1}, runner.Verified, "no opinion: the answer is not the JSON"},
		{"half an answer", oneReviewer{answer: `{"reason": "x"}`}, runner.Purse{Tokens: 1}, runner.Verified, "no opinion"},
		{"out of order", oneReviewer{err: errors.New("status 500")}, runner.Purse{Tokens: 1}, runner.Verified, "no opinion: status 500"},
		{"out of money", oneReviewer{answer: `{"veto": true, "reason": "x"}`}, runner.Purse{}, runner.Verified, "the budget is spent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(o *Options) { o.TDD, o.Test, o.Review = false, canarySong, &tt.r })
			c := w.git.write(s["parent"].with(s["tests"], s["impl"]))
			v, err := w.Judge(t.Context(), runner.Candidate{Feature: runner.Feature{Row: removing()}, Phase: runner.Implement, Parent: w.git.commit(w.git.write(s["parent"])), Commit: c, Tree: c, Purse: tt.purse})
			if err != nil {
				t.Fatal(err)
			}
			want(t, v, tt.outcome, "review", tt.says)
			if len(tt.r.asked) == 0 {
				return
			}
			if v.Usage.Tokens != 7 {
				t.Errorf("used %+v", v.Usage)
			}
			for _, part := range []string{"[loop] review feature=remove\n", "+export function remove(title) {", `"expected": "{{title}}"`, "acceptance: 12 run, 12 passed", "+test('removes a note'"} {
				if !strings.Contains(tt.r.asked[0], part) {
					t.Errorf("it is not shown %q:\n%s", part, tt.r.asked[0])
				}
			}
		})
	}
	// What already failed is nothing to have an opinion on.
	r := &oneReviewer{answer: `{"veto": false, "reason": "let it pass"}`}
	w := newWorld(t, func(o *Options) { o.TDD, o.Test, o.Review = false, "false", r })
	want(t, w.judge(runner.Implement, s["parent"], s["parent"].with(s["impl"]), removing()), runner.Failed, "green")
	if len(r.asked) > 0 {
		t.Error("the reviewer was asked about a candidate that failed")
	}
}

func TestHunks(t *testing.T) {
	lines := func(s string) []string { return strings.SplitAfter(strings.TrimSuffix(s, "\n"), "\n") }
	for _, tt := range []struct{ a, b, want string }{
		{"a\nb\nc\nd\ne\nf\ng\nh\ni\n", "a\nb\nc\nd\nE\nf\ng\nh\ni\n", "@@\n b\n c\n d\n-e\n+E\n f\n g\n h\n"},
		{"x\n", "x\n", ""},
	} {
		if got := hunks(lines(tt.a), lines(tt.b)); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	if got := hunks(nil, []string{"a\n", "b\n"}); got != "@@\n+a\n+b\n" {
		t.Errorf("a new file is %q", got)
	}
}

// One of several commands that ran no test is no pass, unless it was so before.
func TestEmptySuite(t *testing.T) {
	with := func(command string, none bool, states ...string) suite.Report {
		r := report(states...)
		r.Command, r.None = command, none
		return r
	}
	node, nothing, pytest := with("npm test", false, "old pass"), with("pytest", true), with("pytest", false, "py pass")
	for _, tt := range []struct {
		name          string
		parent, green []suite.Report
		want          runner.Outcome
		says          string
	}{
		{"both ran", []suite.Report{node, pytest}, []suite.Report{node, pytest}, "", "2 tests pass"},
		{"one comes without tests", []suite.Report{node}, []suite.Report{node, nothing}, runner.Failed, "`pytest` ran no test"},
		{"one has lost its tests", []suite.Report{node, pytest}, []suite.Report{node, nothing}, runner.Failed, "`pytest` ran no test"},
		{"one never had any", []suite.Report{node, nothing}, []suite.Report{node, nothing}, "", "`pytest` finds no test, as before"},
		{"the only one never had any", []suite.Report{nothing}, []suite.Report{node, nothing}, "", "as before"},
		{"a single one", []suite.Report{nothing}, []suite.Report{nothing}, runner.Failed, "ran no test at all"},
	} {
		if f := judgeGreen(suite.Merge(tt.parent), nil, suite.Merge(tt.green)); f.Outcome != tt.want || !strings.Contains(f.Reason, tt.says) {
			t.Errorf("%s: %q %s", tt.name, f.Outcome, f.Reason)
		}
	}
}

// Cases are compared as far as the runs tell.
func TestCasesRun(t *testing.T) {
	parent := report("a pass", "b fail", "c skip")
	grown := report("a pass", "b pass")
	grown.Cases = append(grown.Cases, suite.Case{File: "a.test.js", Name: "a › x", State: suite.Pass})
	grown.Cases[0].Group = true
	unloaded := report("x pass")
	unloaded.Cases = append(unloaded.Cases, suite.Case{File: "a.test.js", Name: "a.test.js", Load: true, State: suite.Fail})
	broken := report("a pass")
	broken.Broken = "cut"
	for _, tt := range []struct {
		name        string
		parent, now suite.Report
		before, ran []string
	}{
		{"all", parent, report("a pass", "b pass", "d pass"), []string{"a.test.js: a", "a.test.js: b"}, []string{"a.test.js: a", "a.test.js: b", "a.test.js: d"}},
		{"one holds others", parent, grown, []string{"a.test.js: a", "a.test.js: b"}, []string{"a.test.js: a", "a.test.js: b", "a.test.js: a › x"}},
		{"one is skipped", parent, report("a pass", "b skip"), []string{"a.test.js: a", "a.test.js: b"}, []string{"a.test.js: a"}},
		{"the file does not load", parent, unloaded, []string{}, []string{}},
		{"not to be believed", parent, broken, nil, nil},
		{"the parent has no tests", suite.Report{}, report("a pass"), nil, nil},
	} {
		before, ran := casesRun(tt.parent, tt.now)
		if d := cmp.Diff([][]string{tt.before, tt.ran}, [][]string{before, ran}); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
}

// After its tests were seen red a feature may not weaken them, in whatever session:
// the gates know of them by the candidate alone.
func TestWeakenedSinceRed(t *testing.T) {
	s := samples(t, "node")
	whole, again := s["parent"].with(s["tests"]), s["parent"].with(s["tests"], s["impl"])
	weak := again.with(tree{"test/remove.test.js": "import test from 'node:test';\nimport assert from 'node:assert/strict';\nimport * as notes from '../notes.js';\n\n" +
		"test('gives something', () => {\n  assert.equal(typeof notes.remove('nothing'), 'boolean');\n});\n"})
	for _, tt := range []struct {
		name      string
		red       tree // nil: not known
		candidate tree
		want      runner.Outcome
	}{
		{"as they were seen", whole, again, runner.Verified},
		{"weakened", whole, weak, runner.Failed},
		{"weakened, and never seen", nil, weak, runner.Verified},
	} {
		w := newWorld(t, func(o *Options) { o.E2E = E2EOff })
		c := w.git.write(tt.candidate)
		candidate := runner.Candidate{Feature: runner.Feature{Row: runner.Row{ID: "remove"}}, Phase: runner.Implement, Parent: w.git.commit(w.git.write(s["parent"])), Commit: c, Tree: c}
		if tt.red != nil {
			candidate.Red = w.git.commit(w.git.write(tt.red))
		}
		v, err := w.Judge(t.Context(), candidate)
		if err != nil {
			t.Fatal(err)
		}
		if v.Outcome != tt.want || strings.Contains(v.Reason, "Changed since the tests were seen red") != (tt.want == runner.Failed) {
			t.Errorf("%s: %s %s", tt.name, v.Outcome, v.Reason)
		}
	}
}
