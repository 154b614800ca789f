package check

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

func TestFeedback(t *testing.T) {
	s := samples(t, "node")
	w := newWorld(t, nil)
	ask := func(dir, scope string, words ...string) {
		t.Helper()
		got, _, err := w.Feedback(t.Context(), dir, scope)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range words {
			if no, ok := strings.CutPrefix(word, "!"); ok && strings.Contains(got, no) || !ok && !strings.Contains(got, word) {
				t.Errorf("feedback lacks %q:\n%s", word, got)
			}
		}
		if strings.Contains(got, dir) || len(got) > mostDetail {
			t.Errorf("feedback shows the directory or is too long:\n%s", got)
		}
	}
	ask(lay(t, tree{"README.md": "x"}), "", "no tests yet")

	dir := lay(t, s["parent"].with(s["tests"]))
	ask(dir, "", "1 failed, 2 passed", "FAIL test/remove.test.js [missing symbol]", "does not provide an export named 'remove'")
	ask(dir, "all", "1 failed (the same as before), 2 passed")
	if bad := w.Failing(); len(bad) != 1 || !strings.Contains(bad["test/remove.test.js"], "does not provide") {
		t.Errorf("failing: %q", bad)
	}
	put(t, filepath.Join(dir, "notes.js"), s["impl"]["notes.js"])
	ask(dir, "changed", "0 failed (no longer failing: test/remove.test.js), 4 passed")
	if bad := w.Failing(); bad == nil || len(bad) != 0 {
		t.Errorf("failing: %q", bad)
	}
	put(t, filepath.Join(dir, "test/titles.js"), "export const titles = ['bread'];\n")
	ask(dir, "", "1 failed (1 new: test/notes.test.js: all › lists the titles), 3 passed", "+   'bread'")
	ask(dir, "test/remove.test.js", "0 failed, 2 passed")
	ask(dir, "removes a", "0 failed, 1 passed", "!skipped")
	ask(dir, "no such test", "No test was run at all")

	s = samples(t, "go")
	dir = lay(t, s["parent"].with(s["tests"], s["impl"], tree{"sub/x_test.go": "package sub\n\nimport \"testing\"\n\nfunc TestSub(t *testing.T) {}\n"}))
	ask(dir, "", "0 failed, 3 passed")
	ask(dir, "TestReset", "0 failed, 1 passed", "!Ended before")
	ask(dir, "sub/x_test.go", "0 failed, 1 passed")
}

func TestBriefFoldsAndShortens(t *testing.T) {
	var cases []suite.Case
	for i := range 30 {
		cases = append(cases, suite.Case{File: "a.test.js", Name: fmt.Sprint("same ", i), State: suite.Fail, Kind: suite.Assertion, Message: fmt.Sprintf("expected %d\n    at node:internal/x:%d\n", i, i)})
	}
	for i := range 12 {
		cases = append(cases, suite.Case{File: "b.test.js", Name: string(rune('a' + i)), State: suite.Fail, Kind: suite.Crash, Message: "\x1b[31m" + strings.Repeat(string(rune('a'+i)), 5000) + "\x1b[0m"})
	}
	got := brief(cases)
	for _, word := range []string{"FAIL a.test.js: same 0 [assertion]", "(+29 more with the same error", "FAIL b.test.js: g [", "(and 5 more failures of other kinds: b.test.js: h; b.test.js: i; b.test.js: j; b.test.js: k; b.test.js: l)", "aaa […]"} {
		if !strings.Contains(got, word) {
			t.Errorf("lacks %q:\n%s", word, got)
		}
	}
	if len(got) > mostDetail || strings.Contains(got, "node:internal") || strings.Contains(got, "\x1b") {
		t.Errorf("%d bytes:\n%s", len(got), got)
	}
}

// Where nothing is known but an exit code, that has to do, and it says so.
func TestPlainCommand(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Test = "sh tests/run.sh" })
	parent := tree{"app": "one\n", "tests/run.sh": "grep -q one app\n"}
	tests := parent.with(tree{"tests/run.sh": "grep -q one app && grep -q two app\n"})
	want(t, w.judge(runner.Tests, parent, tests, runner.Row{ID: "x"}), runner.Red, "red", "sh tests/run.sh")
	want(t, w.judge(runner.Tests, parent, parent.with(tree{"tests/more.sh": "true\n"}), runner.Row{ID: "x"}), runner.Failed, "red", "although the feature is not there")
	want(t, w.judge(runner.Tests, parent, parent.with(tree{"app": "two\n"}), runner.Row{ID: "x"}), runner.Failed, "red", "earlier test")
	want(t, w.judge(runner.Implement, parent, tests.with(tree{"app": "one\ntwo\n"}), runner.Row{ID: "x"}), runner.Verified, "revert", "weak evidence")
	want(t, w.judge(runner.Implement, parent, tests, runner.Row{ID: "x"}), runner.Failed, "green", "exit code 1")
}

// A linter beside the tests is no test: that it objects does not show that a
// feature is missing, but a candidate must satisfy it.
func TestLinterBesideTests(t *testing.T) {
	w := newWorld(t, nil)
	s := samples(t, "node")
	parent := s["parent"].with(tree{"package.json": `{"type": "module", "scripts": {"test": "sh lint.sh && node --test"}}`, "lint.sh": "! grep -rq TABOO test notes.js\n"})
	empty := tree{"test/more.test.js": "// TABOO\nimport test from 'node:test';\ntest('more', () => {});\n"}
	want(t, w.judge(runner.Tests, parent, parent.with(empty), runner.Row{ID: "x"}), runner.Failed, "red", "although the feature is not there")
	want(t, w.judge(runner.Tests, parent, parent.with(s["tests"]), runner.Row{ID: "x"}), runner.Red, "red")
	built := parent.with(s["tests"], s["impl"])
	want(t, w.judge(runner.Implement, parent, built, runner.Row{ID: "x"}), runner.Verified, "canaries", "Of sh lint.sh only the exit code")
	built["notes.js"] += "// TABOO\n"
	want(t, w.judge(runner.Implement, parent, built, runner.Row{ID: "x"}), runner.Failed, "green", "sh lint.sh")
}

// A project that is not there yet: its first tests bring the manifest along.
func TestFirstFeature(t *testing.T) {
	s := samples(t, "go")
	w := newWorld(t, func(o *Options) { o.Setup = "test ! -f go.mod || go mod verify" })
	empty := tree{"README.md": "x"}
	mod := tree{"go.mod": s["parent"]["go.mod"]}
	tests := empty.with(mod, tree{"counter_test.go": s["parent"]["counter_test.go"]})
	want(t, w.judge(runner.Tests, empty, tests, runner.Row{ID: "x"}), runner.Red, "red", "package .")
	v := w.judge(runner.Implement, empty, tests.with(tree{"counter.go": s["parent"]["counter.go"]}), runner.Row{ID: "x"})
	want(t, v, runner.Verified, "canaries", "1 of them new")
}

// Without test first there is still no way to lose what counted before.
func TestWithoutTestFirst(t *testing.T) {
	s := samples(t, "node")
	w := newWorld(t, func(o *Options) { o.TDD = false })
	parent, built := s["parent"], s["parent"].with(s["impl"])
	want(t, w.judge(runner.Implement, parent, built, runner.Row{ID: "x"}), runner.Verified, "canaries", "0 of them new")
	deleted := built.with(tree{"test/notes.test.js": strings.ReplaceAll(parent["test/notes.test.js"], "adds a note", "adds")})
	want(t, w.judge(runner.Implement, parent, deleted, runner.Row{ID: "x"}), runner.Failed, "green", "are gone: test/notes.test.js: adds a note")
	grouped := built.with(tree{"test/notes.test.js": strings.Replace(parent["test/notes.test.js"], "() => { assert", "async (t) => { await t.test('inner', () => {}); assert", 1)})
	want(t, w.judge(runner.Implement, parent, grouped, runner.Row{ID: "x"}), runner.Verified, "canaries")

	// What was wrong before is said to be so, and does not count as believed.
	broken := parent.with(tree{"test/old.test.js": "import test from 'node:test';\nimport assert from 'node:assert';\ntest('old', () => assert.ok(false));\n", "test/exit.test.js": "process.exit(0);\n"})
	want(t, w.judge(runner.Implement, broken, broken.with(s["impl"]), runner.Row{ID: "x"}), runner.Failed, "green", "test/exit.test.js", "process.exit")
	want(t, w.judge(runner.Implement, broken, broken.with(s["impl"], tree{"test/exit.test.js": "1;\n"}), runner.Row{ID: "x"}), runner.Failed, "green", "Failed before this feature, too", "old")

	// A project without any tests is judged by the browser, or not at all.
	page := tree{"package.json": `{"scripts": {"start": "node server.js"}}`, "page.txt": s["impl"]["page.txt"]}
	want(t, w.judge(runner.Implement, tree{"README.md": "x"}, page, removing()), runner.Verified, "acceptance")
	want(t, w.judge(runner.Implement, tree{"README.md": "x"}, page, runner.Row{ID: "x"}), runner.Failed, "green", "Nothing says how the project is tested")
}
