//go:build deep

package suite

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// packages installs the packages that testdata/npm names, once for each of its
// versions, and gives the node_modules.
func packages(t *testing.T) string {
	t.Helper()
	manifest, err := os.ReadFile("testdata/npm/package.json")
	if err != nil {
		t.Fatal(err)
	}
	var m struct{ Dependencies map[string]string }
	if err := json.Unmarshal(manifest, &m); err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	key := "jest-" + m.Dependencies["jest"] + "-vitest-" + m.Dependencies["vitest"] + "-mocha-" + m.Dependencies["mocha"]
	dir := filepath.Join(cache, "autonomous-loop", "npm", key)
	if _, err := os.Stat(filepath.Join(dir, "done")); err == nil {
		return filepath.Join(dir, "node_modules")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "package.json"), string(manifest))
	cmd := exec.CommandContext(t.Context(), "npm", "install", "--no-audit", "--no-fund")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm install: %v\n%s", err, out)
	}
	put(t, filepath.Join(dir, "done"), "")
	return filepath.Join(dir, "node_modules")
}

// linked lays files out beside those packages.
func linked(t *testing.T, files tree) string {
	t.Helper()
	dir := lay(t, files)
	if err := os.Symlink(packages(t), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestJestReport(t *testing.T) {
	dir := linked(t, tree{
		"package.json":         `{"scripts": {"test": "jest --watchAll=false"}}`,
		"notes.js":             "exports.add = (x) => x;\n",
		"test/cases.test.js":   "const notes = require('../notes');\nconst assert = require('node:assert');\ndescribe('notes', () => {\n  test('ok', () => expect(notes.add(1)).toBe(1));\n  it('wrong', () => expect(notes.add(1)).toBe(2));\n  it('assert', () => assert.equal(1, 2));\n  it('missing', () => notes.remove(1));\n  it('crash', () => { nothing.at.all(); });\n  it('thrown', () => { throw new Error('no'); });\n  it('string', () => { throw 'no'; });\n  it.skip('skipped', () => {});\n  it.todo('todo');\n  it('slow', () => new Promise(() => {}), 50);\n  it('same', () => {});\n  it('same', () => expect(1).toBe(2));\n  it('ünï › code', () => { console.log('\\nloop-5eed 3 {\"k\":\"end\"}\\n'); process.stdout.write('\\nloop-5eed 4 {\"k\":\"end\"}x\\n'.slice(0, 5)); });\n});\n",
		"test/hook.test.js":    "beforeAll(() => { throw new Error('hook'); });\ntest('h', () => {});\n",
		"test/import.test.js":  "const { b } = require('../missing');\ntest('x', () => {});\n",
		"test/package.test.js": "require('left-pad');\ntest('x', () => {});\n",
		"test/syntax.test.js":  "test('x', () => {\n",
		"test/dies.test.js":    "throw new Error('top');\n",
		"test/empty.test.js":   "\n",
	})
	r := do(t, dir, "")
	if r.Command != "jest --watchAll=false" || believed(r) != "" {
		t.Fatal(r.Command, believed(r))
	}
	want := sorted([]said{
		{"test/cases.test.js: notes › assert", Fail, Assertion, false},
		{"test/cases.test.js: notes › crash", Fail, Crash, false},
		{"test/cases.test.js: notes › missing", Fail, Missing, false},
		{"test/cases.test.js: notes › ok", Pass, "", false},
		{"test/cases.test.js: notes › same", Pass, "", false},
		{"test/cases.test.js: notes › same #2", Fail, Assertion, false},
		{"test/cases.test.js: notes › skipped", Skip, "", false},
		{"test/cases.test.js: notes › slow", Fail, Timeout, false},
		{"test/cases.test.js: notes › string", Fail, Crash, false},
		{"test/cases.test.js: notes › thrown", Fail, Crash, false},
		{"test/cases.test.js: notes › todo", Skip, "", false},
		{"test/cases.test.js: notes › wrong", Fail, Assertion, false},
		{"test/cases.test.js: notes › ünï › code", Pass, "", false},
		{"test/dies.test.js", Fail, Crash, true},
		{"test/empty.test.js", Fail, Crash, true},
		{"test/hook.test.js: h", Fail, Crash, false},
		{"test/import.test.js", Fail, Missing, true},
		{"test/package.test.js", Fail, Dependency, true},
		{"test/syntax.test.js", Fail, Syntax, true},
	})
	if d := cmp.Diff(want, summary(r)); d != "" {
		t.Error(d)
	}
}

func TestVitestReport(t *testing.T) {
	const head = "import { test, expect, describe, it, beforeAll } from 'vitest';\n"
	dir := linked(t, tree{
		"package.json":         `{"type": "module", "devDependencies": {"vitest": "x"}}`,
		"notes.js":             "export const add = (x) => x;\n",
		"test/cases.test.js":   head + "import * as notes from '../notes.js';\nimport assert from 'node:assert';\ndescribe('notes', () => {\n  test('ok', () => expect(notes.add(1)).toBe(1));\n  it('wrong', () => expect(notes.add(1)).toBe(2));\n  it('assert', () => assert.equal(1, 2));\n  it('missing', () => notes.remove(1));\n  it('crash', () => { nothing.at.all(); });\n  it('thrown', () => { throw new Error('no'); });\n  it('string', () => { throw 'no'; });\n  it.skip('skipped', () => {});\n  it.todo('todo');\n  it('slow', () => new Promise(() => {}), 50);\n  it('same', () => {});\n  it('same', () => expect(1).toBe(2));\n  it('ünï', () => {});\n});\n",
		"test/hook.test.js":    head + "beforeAll(() => { throw new Error('hook'); });\ntest('h', () => {});\n",
		"test/import.test.js":  head + "import { b } from '../missing.js';\ntest('x', () => {});\n",
		"test/package.test.js": head + "import 'left-pad';\ntest('x', () => {});\n",
		"test/syntax.test.js":  head + "test('x', () => {\n",
		"test/dies.test.js":    "throw new Error('top');\n",
	})
	r := do(t, dir, "")
	if r.Command != "vitest run" || believed(r) != "" {
		t.Fatal(r.Command, believed(r))
	}
	want := sorted([]said{
		{"test/cases.test.js: notes › assert", Fail, Assertion, false},
		{"test/cases.test.js: notes › crash", Fail, Crash, false},
		{"test/cases.test.js: notes › missing", Fail, Missing, false},
		{"test/cases.test.js: notes › ok", Pass, "", false},
		{"test/cases.test.js: notes › same", Pass, "", false},
		{"test/cases.test.js: notes › same #2", Fail, Assertion, false},
		{"test/cases.test.js: notes › skipped", Skip, "", false},
		{"test/cases.test.js: notes › slow", Fail, Timeout, false},
		{"test/cases.test.js: notes › string", Fail, Crash, false},
		{"test/cases.test.js: notes › thrown", Fail, Crash, false},
		{"test/cases.test.js: notes › todo", Skip, "", false},
		{"test/cases.test.js: notes › wrong", Fail, Assertion, false},
		{"test/cases.test.js: notes › ünï", Pass, "", false},
		{"test/dies.test.js", Fail, Crash, true},
		{"test/hook.test.js: (the file)", Fail, Crash, false},
		{"test/hook.test.js: h", Skip, "", false},
		{"test/import.test.js", Fail, Missing, true},
		{"test/package.test.js", Fail, Dependency, true},
		{"test/syntax.test.js", Fail, Syntax, true},
	})
	if d := cmp.Diff(want, summary(r)); d != "" {
		t.Error(d)
	}
}

func TestMochaReport(t *testing.T) {
	dir := linked(t, tree{
		"package.json":       `{"scripts": {"test": "mocha 'test/**/*.test.js' --timeout 100 --reporter dot"}}`,
		"notes.js":           "exports.add = (x) => x;\n",
		"test/cases.test.js": "const notes = require('../notes');\nconst assert = require('node:assert');\ndescribe('notes', () => {\n  it('ok', () => assert.equal(notes.add(1), 1));\n  it('wrong', () => assert.equal(notes.add(1), 2));\n  it('missing', () => notes.remove(1));\n  it('crash', () => { nothing.at.all(); });\n  it('thrown', () => { throw new Error('no'); });\n  it.skip('skipped', () => {});\n  it('pending');\n  it('slow', (done) => {});\n  it('same', () => {});\n  it('same', () => assert.ok(false));\n  it('ünï', () => {});\n});\n",
		"test/hook.test.js":  "describe('h', () => { before(() => { throw new Error('hook'); });\n  it('a', () => {}); it('b', () => {}); });\n",
	})
	r := do(t, dir, "")
	if believed(r) != "" {
		t.Fatal(r.Command, believed(r))
	}
	want := sorted([]said{
		{"test/cases.test.js: notes › crash", Fail, Crash, false},
		{"test/cases.test.js: notes › missing", Fail, Missing, false},
		{"test/cases.test.js: notes › ok", Pass, "", false},
		{"test/cases.test.js: notes › pending", Skip, "", false},
		{"test/cases.test.js: notes › same", Pass, "", false},
		{"test/cases.test.js: notes › same #2", Fail, Assertion, false},
		{"test/cases.test.js: notes › skipped", Skip, "", false},
		{"test/cases.test.js: notes › slow", Fail, Timeout, false},
		{"test/cases.test.js: notes › thrown", Fail, Crash, false},
		{"test/cases.test.js: notes › wrong", Fail, Assertion, false},
		{"test/cases.test.js: notes › ünï", Pass, "", false},
		{"test/hook.test.js: (h › \"before all\" hook for \"a\")", Fail, Crash, false},
		{"test/hook.test.js: h › a", Fail, Crash, false},
	})
	if d := cmp.Diff(want, summary(r)); d != "" {
		t.Error(d)
	}
	for name, tt := range map[string]struct {
		text string
		kind Kind
	}{
		"missing": {"require('../missing');\n", Missing}, "package": {"require('left-pad');\n", Dependency}, "syntax": {"it('x', () => {\n", Syntax}, "dies": {"throw new Error('top');\n", Crash},
	} {
		r := do(t, linked(t, tree{"test/x.test.js": tt.text}), "npx mocha test")
		if d := cmp.Diff([]said{{"test/x.test.js", Fail, tt.kind, true}}, summary(r)); d != "" || believed(r) != "" {
			t.Errorf("%s: %s %s", name, d, believed(r))
		}
	}
}

// An exit in the middle of the tests never passes for their end.
func TestJavaScriptThatDoesNotEnd(t *testing.T) {
	for _, tool := range []string{"jest", "jest -i", "vitest run", "mocha test"} {
		for name, tt := range map[string]struct {
			text string
			fine bool
			none bool
		}{
			"whole":        {"test('a', () => {});\n", true, false},
			"exit":         {"test('a', () => {});\ntest('b', () => process.exit(0));\ntest('c', () => { throw new Error('no'); });\n", false, false},
			"exit at load": {"process.exit(0);\n", false, false},
			"real exit":    {"test('a', () => {});\ntest('b', () => process.reallyExit(0));\ntest('c', () => { throw new Error('no'); });\n", false, false},
			"killed":       {"test('a', () => {});\ntest('b', () => process.kill(process.pid, 'SIGKILL'));\n", false, false},
			"nothing":      {"", true, true},
		} {
			t.Run(tool+"/"+name, func(t *testing.T) {
				t.Parallel()
				text := tt.text
				switch {
				case strings.Contains(tool, "vitest"):
					text = "import { test } from 'vitest';\n" + text
				case strings.Contains(tool, "mocha"):
					text = "const test = it;\n" + text
				}
				files := tree{"test/x.test.js": text, "package.json": "{}"}
				if tt.none {
					files = tree{"x.js": "", "package.json": "{}"}
				}
				r := do(t, linked(t, files), "PATH=node_modules/.bin:$PATH "+tool)
				failed := len(r.Failed()) > 0
				switch {
				case tt.fine && (believed(r) != "" || failed || r.None != tt.none):
					t.Errorf("not believed: %q %v, none %v", believed(r), summary(r), r.None)
				case !tt.fine && believed(r) == "" && !failed:
					t.Errorf("believed: %v", summary(r))
				}
				if !tt.fine {
					t.Logf("%s", believed(r))
				}
			})
		}
	}
}
