package suite

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type said struct {
	Name  string
	State State
	Kind  Kind
	Load  bool
}

func summary(r Report) []said {
	var all []said
	for _, c := range r.Leaves() {
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
	r := do(t, dir, "")
	if r.Broken != "" {
		t.Fatal(r.Broken)
	}
	want := []said{
		{"test/cases.test.js: no function", Fail, Missing, false},
		{"test/cases.test.js: ok", Pass, "", false},
		{"test/cases.test.js: string", Fail, Crash, false},
		{"test/cases.test.js: thrown", Fail, Crash, false},
		{"test/cases.test.js: wrong", Fail, Assertion, false},
		{"test/dynamic.test.js: imports", Fail, Missing, false},
		{"test/export.test.js", Fail, Missing, true},
		{"test/forge.test.js: f", Pass, "", false},
		{"test/hook.test.js: h", Fail, Crash, false},
		{"test/hook.test.js: h › i", Fail, Timeout, false},
		{"test/kill.test.js", Fail, Crash, true},
		{"test/late.test.js: (the file)", Fail, Crash, false},
		{"test/late.test.js: l", Pass, "", false},
		{"test/module.test.cjs", Fail, Missing, true},
		{"test/nested.test.js: own", Fail, Assertion, false},
		{"test/nested.test.js: own › q", Pass, "", false},
		{"test/nested.test.js: p › q", Pass, "", false},
		{"test/nested.test.js: s › one", Pass, "", false},
		{"test/nested.test.js: s › t › two", Fail, Assertion, false},
		{"test/package.test.cjs", Fail, Dependency, true},
		{"test/pending.test.js: never", Fail, Timeout, false},
		{"test/same.test.js: x", Pass, "", false},
		{"test/same.test.js: x #2", Fail, Assertion, false},
		{"test/skips.test.js: a", Skip, "", false},
		{"test/skips.test.js: b", Skip, "", false},
		{"test/skips.test.js: c", Skip, Assertion, false},
		{"test/skips.test.js: d", Skip, "", false},
		{"test/top.test.js", Fail, Assertion, true},
	}
	slices.SortFunc(want, func(a, b said) int { return strings.Compare(a.Name, b.Name) })
	// How much of exit.test.js was reported before it left is a matter of luck.
	got := slices.DeleteFunc(summary(r), func(s said) bool { return strings.HasPrefix(s.Name, "test/exit.test.js: ") && s.State == Pass })
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"test/exit.test.js", "test/fork.test.js"}, r.Early); d != "" {
		t.Error(d)
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
