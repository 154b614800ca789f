package check

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
			outcome := runner.Failed
			if tt.edits["out.cjs"] != "" {
				outcome = runner.Invalid // the audit names the means, too
			}
			want(t, v, outcome, "green", tt.words...)
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
		want(t, w.judge(runner.Implement, s["parent"], candidate, runner.Row{ID: "x"}), runner.Verified, "canaries")
	}
	setups := 0
	for _, c := range rec.commands {
		if d := cmp.Diff([]string{c.Dir}, slices.DeleteFunc(slices.Clone(c.Write), func(p string) bool { return filepath.Base(p) == "out" })); d != "" {
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

// A gate and what is made beside it ask for the same parent, whose setup is tried
// anew for each.
func TestSetupThatFailsIsAskedForByTwo(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Setup = "exit 4" })
	parent := w.git.commit(w.git.write(samples(t, "node")["parent"]))
	var asked sync.WaitGroup
	for range 8 {
		asked.Go(func() {
			for range 5 {
				if _, err := w.testParent(t.Context(), parent); err == nil || !strings.Contains(err.Error(), "setup fails on the parent") {
					t.Errorf("got %v", err)
				}
			}
		})
	}
	asked.Wait()
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
	v = w.judge(runner.Tests, tree{"README.md": "x"}, tree{"package.json": `{"type": "module"}`}.with(tree{"test/a.test.js": "import assert from 'node:assert';\nimport test from 'node:test';\nimport { a } from '../a.js';\ntest('a', () => assert.equal(a(), 1));\n"}), runner.Row{ID: "x"})
	want(t, v, runner.Red, "red")

	// One with tests that cannot be set up is for a person to mend.
	p := w.git.commit(w.git.write(bare))
	c := w.git.write(s["parent"])
	_, err := w.Judge(t.Context(), runner.Candidate{Phase: runner.Tests, Parent: p, Tree: c, Commit: c})
	if err == nil || !strings.Contains(err.Error(), "setup fails on the parent") || !strings.Contains(err.Error(), "no manifest") {
		t.Errorf("got %v", err)
	}
}
