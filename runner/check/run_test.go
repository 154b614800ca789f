package check

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
)

// lay writes a project into a directory.
func lay(t *testing.T, files tree) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for p, text := range files {
		put(t, filepath.Join(dir, p), text)
	}
	return dir
}

type said struct {
	Name  string
	State state
	Kind  kind
	Load  bool
}

func summary(r report) []said {
	var all []said
	for _, c := range r.leaves() {
		all = append(all, said{c.String(), c.State, c.Kind, c.Load})
	}
	slices.SortFunc(all, func(a, b said) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func TestNodeReport(t *testing.T) {
	const head = "import test, { describe, it, before } from 'node:test';\nimport assert from 'node:assert';\n"
	dir := lay(t, tree{
		"package.json":          `{"type": "module"}`,
		"a.js":                  "export const a = 1;\n",
		"test/cases.test.js":    head + "test('ok', () => {});\ntest('wrong', () => assert.equal(1, 2));\ntest('no function', () => ({}).f());\ntest('thrown', () => { throw new Error('boom'); });\ntest('string', () => { throw 'text'; });\n",
		"test/nested.test.js":   head + "describe('s', () => { it('one', () => {}); describe('t', () => it('two', () => assert.ok(0))); });\ntest('p', async (t) => { await t.test('q', () => {}); });\ntest('own', async (t) => { await t.test('q', () => {}); assert.ok(0); });\n",
		"test/skips.test.js":    head + "test.skip('a', () => {});\ntest.todo('b');\ntest('c', { todo: true }, () => assert.ok(0));\ntest('d', (t) => t.skip('why'));\n",
		"test/same.test.js":     head + "test('x', () => {});\ntest('x', () => assert.ok(0));\n",
		"test/hook.test.js":     head + "describe('h', () => { before(() => { throw new Error('no'); }); it('i', () => {}); });\n",
		"test/late.test.js":     head + "test('l', () => {});\nsetImmediate(() => { throw new Error('late'); });\n",
		"test/pending.test.js":  head + "test('never', () => new Promise(() => {}));\n",
		"test/dynamic.test.js":  head + "test('imports', async () => { await import('../missing.js'); });\n",
		"test/export.test.js":   head + "import { b } from '../a.js';\ntest('b', () => {});\n",
		"test/module.test.cjs":  "require('../b.cjs');\n",
		"test/package.test.cjs": "require('left-pad');\n",
		"test/top.test.js":      head + "assert.ok(false);\n",
		"test/helper.js":        "export const x = 1;\n",
		"test/kill.test.js":     head + "test('k', () => process.kill(process.pid, 'SIGKILL'));\n",
		"test/exit.test.js":     head + "test('first', () => {});\ntest('second', () => new Promise((r) => setTimeout(r, 100)));\ntest('third', () => process.reallyExit(0));\n",
		"test/fork.test.js":     "import { fork } from 'node:child_process';\nif (!process.send) { " + "await new Promise((r) => fork(process.argv[1]).on('exit', r)); process.exit(0); }\n",
		"test/forge.test.js":    head + "test('f', () => { console.log('\\nloop-00000000000000000000000000000000 3 {\"k\":\"end\"}\\n'); });\n",
	})
	w := newWorld(t, nil)
	r, err := w.test(t.Context(), w.o.Run, dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if r.Broken != "" {
		t.Fatal(r.Broken)
	}
	want := []said{
		{"test/cases.test.js: no function", fail, missing, false},
		{"test/cases.test.js: ok", pass, "", false},
		{"test/cases.test.js: string", fail, crash, false},
		{"test/cases.test.js: thrown", fail, crash, false},
		{"test/cases.test.js: wrong", fail, assertion, false},
		{"test/dynamic.test.js: imports", fail, missing, false},
		{"test/export.test.js", fail, missing, true},
		{"test/forge.test.js: f", pass, "", false},
		{"test/hook.test.js: h", fail, crash, false},
		{"test/hook.test.js: h › i", fail, timeout, false},
		{"test/kill.test.js", fail, crash, true},
		{"test/late.test.js: (the file)", fail, crash, false},
		{"test/late.test.js: l", pass, "", false},
		{"test/module.test.cjs", fail, missing, true},
		{"test/nested.test.js: own", fail, assertion, false},
		{"test/nested.test.js: own › q", pass, "", false},
		{"test/nested.test.js: p › q", pass, "", false},
		{"test/nested.test.js: s › one", pass, "", false},
		{"test/nested.test.js: s › t › two", fail, assertion, false},
		{"test/package.test.cjs", fail, dependency, true},
		{"test/pending.test.js: never", fail, timeout, false},
		{"test/same.test.js: x", pass, "", false},
		{"test/same.test.js: x #2", fail, assertion, false},
		{"test/skips.test.js: a", skip, "", false},
		{"test/skips.test.js: b", skip, "", false},
		{"test/skips.test.js: c", skip, assertion, false},
		{"test/skips.test.js: d", skip, "", false},
		{"test/top.test.js", fail, assertion, true},
	}
	slices.SortFunc(want, func(a, b said) int { return strings.Compare(a.Name, b.Name) })
	// How much of exit.test.js was reported before it left is a matter of luck.
	got := slices.DeleteFunc(summary(r), func(s said) bool { return strings.HasPrefix(s.Name, "test/exit.test.js: ") && s.State == pass })
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"test/exit.test.js", "test/fork.test.js"}, r.Early); d != "" {
		t.Error(d)
	}
}

func TestGoReport(t *testing.T) {
	const head = "import (\n\t\"os\"\n\t\"testing\"\n\t\"time\"\n)\n\nvar _, _ = os.Exit, time.Now\n\n"
	dir := lay(t, tree{
		"go.mod":                   "module example.test/many\n\ngo 1.21\n",
		"a.go":                     "package many\n",
		"a_test.go":                "package many\n\n" + head + "func TestOK(t *testing.T) {}\nfunc TestBad(t *testing.T) { t.Errorf(\"got %d, want %d\", 1, 2) }\nfunc TestSub(t *testing.T) { t.Run(\"a b\", func(t *testing.T) {}); t.Run(\"c\", func(t *testing.T) { t.Fatal(\"no\") }) }\nfunc TestOwn(t *testing.T) { t.Run(\"a\", func(t *testing.T) {}); t.Fatal(\"own\") }\nfunc TestSkip(t *testing.T) { t.Skip(\"why\") }\n",
		"none/n.go":                "package none\n",
		"symbol/s_test.go":         "package symbol\n\n" + head + "func TestS(t *testing.T) { New() }\n",
		"syntax/s_test.go":         "package syntax\n\n" + head + "func TestS(t *testing.T) {\n",
		"unused/s_test.go":         "package unused\n\n" + head + "func TestS(t *testing.T) { x := 1 }\n",
		"module/s_test.go":         "package module\n\nimport (\n\t\"testing\"\n\n\t_ \"example.test/many/later\"\n)\n\nfunc TestS(t *testing.T) {}\n",
		"foreign/s_test.go":        "package foreign\n\nimport (\n\t\"testing\"\n\n\t_ \"example.com/other\"\n)\n\nfunc TestS(t *testing.T) {}\n",
		"panics/p_test.go":         "package panics\n\n" + head + "func TestA(t *testing.T) {}\nfunc TestP(t *testing.T) { var m map[int]int; m[1] = 1 }\nfunc TestZ(t *testing.T) {}\n",
		"exit/e_test.go":           "package exit\n\n" + head + "func TestE(t *testing.T) { os.Exit(0) }\n",
		"quiet/q_test.go":          "package quiet\n\n" + head + "func TestMain(m *testing.M) { os.Exit(0) }\nfunc TestQ(t *testing.T) { t.Fatal(\"no\") }\n",
		"initexit/i_test.go":       "package initexit\n\n" + head + "func init() { os.Exit(0) }\nfunc TestI(t *testing.T) { t.Fatal(\"no\") }\n",
		"tagged/t_test.go":         "//go:build special\n\npackage tagged\n\n" + head + "func TestT(t *testing.T) {}\n",
		"tagged/t_windows_test.go": "package tagged\n\n" + head + "func TestW(t *testing.T) {}\n",
		"tagged/t.go":              "package tagged\n",
		"testdata/x/x_test.go":     "package x\n\n" + head + "func TestX(t *testing.T) {}\n",
		"nested/go.mod":            "module example.test/nested\n",
		"nested/n_test.go":         "package nested\n\n" + head + "func TestN(t *testing.T) {}\n",
	})
	w := newWorld(t, nil)
	r, err := w.test(t.Context(), w.o.Run, dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if r.Broken != "" {
		t.Fatal(r.Broken)
	}
	want := []said{
		{"TestBad", fail, assertion, false},
		{"TestOK", pass, "", false},
		{"TestOwn", fail, assertion, false},
		{"TestOwn/a", pass, "", false},
		{"TestSkip", skip, "", false},
		{"TestSub/a_b", pass, "", false},
		{"TestSub/c", fail, assertion, false},
		{"exit: TestE", fail, crash, false},
		{"package foreign", fail, dependency, true},
		{"package module", fail, missing, true},
		{"package symbol", fail, missing, true},
		{"package syntax", fail, syntax, true},
		{"package unused", fail, syntax, true},
		{"panics: TestA", pass, "", false},
		{"panics: TestP", fail, crash, false},
	}
	if d := cmp.Diff(want, summary(r)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"package initexit (TestI was never run)", "package quiet (TestQ was never run)"}, r.Early); d != "" {
		t.Error(d)
	}
	if i := slices.IndexFunc(r.Cases, func(c testCase) bool { return c.Name == "TestBad" }); !strings.Contains(r.Cases[i].Message, "a_test.go:12: got 1, want 2") {
		t.Errorf("message of TestBad: %q", r.Cases[i].Message)
	}
}

// A run of which not everything is known is never a pass.
func TestRunsThatCannotBeBelieved(t *testing.T) {
	s := samples(t, "node")
	parent := s["parent"]
	tests := []struct {
		name  string
		edits tree
		run   Runner
		words []string
	}{
		{"output cut", nil, execRunner{cut: 1}, []string{"cannot be believed", "cut"}},
		{"output lost", nil, execRunner{cut: 1 << 20}, []string{"cannot be believed", "cut"}},
		{"runner killed", nil, killing{}, []string{"no end"}},
		{"runner that cannot start", tree{"package.json": `{"scripts": {"test": "node --nonsense --test"}}`}, execRunner{}, []string{"no end", "bad option"}},
		{"setup of the tests leaves the runner", tree{"package.json": `{"type": "module", "scripts": {"test": "node --require ./out.cjs --test"}}`, "out.cjs": "if (!process.env.NODE_TEST_CONTEXT) process.exit(0);\n"}, execRunner{}, []string{"no end"}},
		{"exit code without a failure", tree{"package.json": `{"type": "module", "scripts": {"test": "node --require ./out.cjs --test"}}`, "out.cjs": "if (!process.env.NODE_TEST_CONTEXT) process.on('exit', () => { process.exitCode = 3; });\n"}, execRunner{}, []string{"exit code 3 though no test failed"}},
		{"no test at all", tree{"test": "", "test/notes.test.js": "", "test/titles.js": ""}, execRunner{}, []string{"ran no test at all"}},
		{"nothing to test", tree{"package.json": "", "test/notes.test.js": "", "test/titles.js": ""}, execRunner{}, []string{"Nothing says how the project is tested"}},
		{"all skipped", tree{"test/notes.test.js": "import test from 'node:test';\ntest.skip('x', () => {});\n"}, execRunner{}, []string{"ran no test at all (1 skipped)"}},
		{"command that runs no test", tree{"package.json": `{"scripts": {"test": "echo 0 passed, 5783 filtered out | cat"}}`}, execRunner{}, []string{"passed without running any test"}},
		{"command that fails", tree{"package.json": `{"scripts": {"test": "echo why >&2; false"}}`}, execRunner{}, []string{"exit code 1", "why"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(o *Options) { o.TDD, o.Run, o.Browser = false, tt.run, nil })
			v := w.judge(runner.Implement, tree{"README.md": "x"}, parent.with(tt.edits), runner.Row{ID: "x"})
			want(t, v, runner.Failed, "green", tt.words...)
		})
	}
}

// killing kills what it runs once it has written something of a report.
type killing struct{}

func (killing) Run(ctx context.Context, c sandbox.Command) (sandbox.Output, error) {
	c.Argv = []string{"sh", "-c", c.Argv[2] + ` | { read a; read b; kill -9 $$; }`}
	return execRunner{}.Run(ctx, c)
}

func TestTestsThatHang(t *testing.T) {
	s := samples(t, "node")
	candidate := s["parent"].with(tree{"test/hang.test.js": "import test from 'node:test';\ntest('hangs', () => { setInterval(() => {}, 1000); });\n"})
	w := newWorld(t, func(o *Options) { o.TDD, o.Timeout = false, 3*time.Second })
	v := w.judge(runner.Implement, tree{"README.md": "x"}, candidate, runner.Row{ID: "x"})
	want(t, v, runner.Failed, "green", "did not end in time")
}

// A run that fails once and passes once proves nothing. The marker that makes it
// so stands outside the checkout, as a clock or a network would.
func TestFlakyTests(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "been")
	candidate := samples(t, "node")["parent"].with(tree{"test/flaky.test.js": "import test from 'node:test';\nimport assert from 'node:assert';\nimport { existsSync, writeFileSync } from 'node:fs';\n" +
		"test('second time lucky', () => { const been = existsSync('" + marker + "'); writeFileSync('" + marker + "', ''); assert.ok(been); });\n"})
	w := newWorld(t, func(o *Options) { o.TDD = false })
	v := w.judge(runner.Implement, tree{"README.md": "x"}, candidate, runner.Row{ID: "x"})
	want(t, v, runner.Inconclusive, "green", "flaky", "second time lucky")
}

func TestCancelledJudgementIsAnError(t *testing.T) {
	stop := &runner.StopError{Reason: runner.SessionTime}
	ctx, cancel := context.WithCancelCause(t.Context())
	w := newWorld(t, func(o *Options) { o.Run = cancelling{func() { cancel(stop) }} })
	s := samples(t, "node")
	c := w.git.write(s["parent"].with(s["tests"]))
	v, err := w.Judge(ctx, runner.Candidate{Phase: runner.Tests, Parent: w.git.commit(w.git.write(s["parent"])), Tree: c, Commit: c})
	if got, ok := errors.AsType[*runner.StopError](err); !ok || got != stop || v.Outcome != "" {
		t.Errorf("got %q and %v, want the cause of the stop", v.Outcome, err)
	}
}

// A browser that is called off may say that it broke, or that a step failed.
func TestCancelledAcceptanceIsAnError(t *testing.T) {
	stop := &runner.StopError{Reason: runner.SessionTime}
	for _, a := range []Acceptance{{Broken: "target closed"}, {Failures: []string{"step 1: context canceled"}}} {
		ctx, cancel := context.WithCancelCause(t.Context())
		w := newWorld(t, func(o *Options) { o.Browser = leaving{a, func() { cancel(stop) }} })
		c := w.git.write(samples(t, "node")["parent"])
		v, err := w.Judge(ctx, runner.Candidate{Feature: runner.Feature{Row: showing()}, Phase: runner.Tests, Parent: w.git.commit(c), Tree: c, Commit: c})
		if got, ok := errors.AsType[*runner.StopError](err); !ok || got != stop || v.Outcome != "" {
			t.Errorf("got %q and %v, want the cause of the stop", v.Outcome, err)
		}
		w.o.Browser = w.browser
		want(t, w.judge(runner.Tests, samples(t, "node")["parent"], samples(t, "node")["parent"], showing()), runner.Already, "already")
	}
}

type leaving struct {
	Acceptance
	cancel func()
}

func (l leaving) Accept(context.Context, App, Scenario) (Acceptance, error) {
	l.cancel()
	return l.Acceptance, nil
}

type cancelling struct{ cancel func() }

func (c cancelling) Run(ctx context.Context, cmd sandbox.Command) (sandbox.Output, error) {
	c.cancel()
	return execRunner{}.Run(ctx, cmd)
}

// What runs may write its checkout and nothing else of the gates, and no run
// finds what another left behind.
func TestCommandsAreConfined(t *testing.T) {
	s := samples(t, "node")
	rec := &recording{}
	w := newWorld(t, func(o *Options) { o.Run, o.Setup = rec, "echo ready > ready.txt" })
	candidate := s["parent"].with(s["impl"], s["tests"], tree{"test/clean.test.js": "import test from 'node:test';\nimport assert from 'node:assert';\nimport { existsSync, writeFileSync } from 'node:fs';\n" +
		"test('clean', () => { assert.ok(existsSync('ready.txt')); assert.ok(existsSync('page.txt') && !existsSync('left.txt')); writeFileSync('left.txt', ''); writeFileSync('ready.txt', 'x'); });\n" +
		"test('new', async () => { assert.ok((await import('../notes.js')).remove); });\n"})
	for range 2 {
		want(t, w.judge(runner.Implement, s["parent"], candidate, runner.Row{ID: "x"}), runner.Verified, "green")
	}
	setups := 0
	for _, c := range rec.commands {
		if d := cmp.Diff([]string{c.Dir}, c.Write); d != "" {
			t.Error(d)
		}
		if strings.Contains(c.Argv[2], "ready.txt") {
			if setups++; c.Net != "" {
				t.Errorf("setup has network %q", c.Net)
			}
			continue
		}
		if c.Net != sandbox.Local || c.Timeout != w.o.Timeout || c.Log == "" {
			t.Errorf("tests run with %+v", c)
		}
		for _, r := range c.Read {
			if strings.HasPrefix(c.Log, r+"/") {
				t.Errorf("the tests may read their log %s", c.Log)
			}
		}
	}
	if setups != 2 {
		t.Errorf("setup ran %d times, want once for each tree", setups)
	}
	left, err := os.ReadDir(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if !strings.HasPrefix(e.Name(), "tree-") {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

type recording struct {
	execRunner
	commands []sandbox.Command
}

func (r *recording) Run(ctx context.Context, c sandbox.Command) (sandbox.Output, error) {
	r.commands = append(r.commands, c)
	c.Net = ""
	return r.execRunner.Run(ctx, c)
}

func TestSetupThatFails(t *testing.T) {
	s := samples(t, "node")
	w := newWorld(t, func(o *Options) { o.Setup = "test -f package.json || { echo no manifest; exit 4; }" })
	bare := s["parent"].with(tree{"package.json": ""})
	v := w.judge(runner.Implement, tree{"README.md": "x"}, bare, runner.Row{ID: "x"})
	want(t, v, runner.Failed, "setup", "exit code 4", "no manifest")

	// What fails once may have been the network.
	marker := filepath.Join(t.TempDir(), "been")
	w.o.Setup = "test -f " + marker + " || { touch " + marker + "; exit 1; }"
	want(t, w.judge(runner.Tests, tree{"README.md": "x"}, s["parent"].with(s["tests"]), runner.Row{ID: "x"}), runner.Red, "red")
	w.o.Setup = "test -f package.json || { echo no manifest; exit 4; }"

	// A parent without tests and without a manifest is where a project begins.
	v = w.judge(runner.Tests, tree{"README.md": "x"}, tree{"package.json": `{"type": "module"}`}.with(tree{"test/a.test.js": "import test from 'node:test';\nimport { a } from '../a.js';\ntest('a', () => a());\n"}), runner.Row{ID: "x"})
	want(t, v, runner.Red, "red")

	// One with tests that cannot be set up is for a person to mend.
	p := w.git.commit(w.git.write(bare))
	c := w.git.write(s["parent"])
	_, err := w.Judge(t.Context(), runner.Candidate{Phase: runner.Tests, Parent: p, Tree: c, Commit: c})
	if err == nil || !strings.Contains(err.Error(), "setup fails on the parent") || !strings.Contains(err.Error(), "no manifest") {
		t.Errorf("got %v", err)
	}
}

// What the reporter wrote is numbered, so that a lost or added line shows.
func TestNodeReportWithGaps(t *testing.T) {
	lines := []string{`{"k":"begin"}`, `{"k":"file","file":"/p/a.test.js"}`, `{"k":"case","ok":true,"file":"/p/a.test.js","name":"a"}`, `{"k":"over","file":"/p/a.test.js"}`, `{"k":"end"}`}
	log := func(skip int, extra string) string {
		var b strings.Builder
		for i, l := range lines {
			if i != skip {
				fmt.Fprintf(&b, "noise\nN %d %s\n", i, l)
			}
		}
		return b.String() + extra
	}
	if r := parseNode(log(-1, ""), "N", "/p"); r.Broken != "" || len(r.Early) > 0 || len(r.Cases) != 1 {
		t.Fatalf("a whole report is not believed: %+v", r)
	}
	for i := range lines {
		if r := parseNode(log(i, ""), "N", "/p"); r.Broken == "" {
			t.Errorf("line %d is missing, and the report is believed: %+v", i, r)
		}
	}
	for _, extra := range []string{"N 5 {\n", "N 3 {\"k\":\"end\"}\n", "N x {}\n"} {
		if r := parseNode(log(-1, extra), "N", "/p"); r.Broken == "" {
			t.Errorf("with %q the report is believed", extra)
		}
	}
	// Without the end of a file, nothing it said counts.
	lines[3] = `{"k":"out","file":"/p/a.test.js","text":"bye"}`
	if r := parseNode(log(-1, ""), "N", "/p"); len(r.Early) != 1 {
		t.Errorf("a file that did not end is not named: %+v", r)
	}
}
