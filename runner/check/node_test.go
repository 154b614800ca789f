package check

import (
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// What node --test is told about a feature that the author tries to get through
// with something less than tests and code.
func TestNodeCandidates(t *testing.T) {
	s := samples(t, "node")
	parent, honest := s["parent"], s["tests"]
	built := tree{}.with(honest, s["impl"])
	remove := "test/remove.test.js"
	const head = "import test from 'node:test';\nimport assert from 'node:assert/strict';\n"

	tests := []struct {
		name    string
		phase   runner.Phase
		edits   tree
		outcome runner.Outcome
		gate    string
		words   []string
	}{
		{"honest tests", runner.Tests, honest, runner.Red, "red", []string{"1 new test fails"}},
		{"honest feature", runner.Implement, built, runner.Verified, "canaries", []string{"4 tests pass", "2 of them new"}},
		{"no tests written", runner.Tests, tree{"README.md": "remove\n"}, runner.Failed, "red", []string{"No test file", "README.md"}},
		{"tests that pass already", runner.Tests, tree{remove: head + "test('adds up', () => assert.equal(1 + 1, 2));\n"}, runner.Failed, "red", []string{"although the feature is not there", "adds up"}},
		{"implementation in the tests phase", runner.Tests, built, runner.Failed, "red", []string{"although the feature is not there", "notes.js"}},
		{"syntax error in a test", runner.Tests, tree{remove: head + "test('removes', () => {\n"}, runner.Failed, "red", []string{"syntax error", remove}},
		{"package that nobody installed", runner.Tests, tree{remove: head + "import chai from 'chai';\ntest('removes', () => {});\n"}, runner.Failed, "red", []string{"missing package"}},
		{"test that only crashes", runner.Tests, tree{remove: head + "test('removes', () => { nothing.at.all(); });\n"}, runner.Failed, "red", []string{"dies by itself", "nothing is not defined"}},
		{"test that hangs", runner.Tests, tree{remove: head + "test('removes', { timeout: 50 }, () => new Promise((r) => setTimeout(r, 400)));\n"}, runner.Failed, "red", []string{"timeout"}},
		{"only skipped tests", runner.Tests, tree{remove: head + "test.skip('removes', () => { assert.ok(false); });\n"}, runner.Failed, "red", []string{"ran no new test"}},
		{"tests where none is looked for", runner.Tests, tree{"spec/remove.js": head + "test('removes', () => { assert.ok(false); });\n"}, runner.Failed, "red", []string{"ran no new test", "spec/remove.js"}},
		{"new case fails beside one that passes", runner.Tests, tree{remove: head + "test('a', () => { assert.ok(false); });\ntest('b', () => {});\n"}, runner.Red, "red", []string{"1 new test fails", "proves nothing: " + remove + ": b"}},
		{"earlier test broken", runner.Tests, honest.with(tree{"test/titles.js": "export const titles = ['bread'];\n", remove: head + "test('a', () => { assert.ok(false); });\n"}), runner.Failed, "red", []string{"lists the titles", "Restore"}},
		{"process.exit(0) in a test", runner.Tests, tree{remove: head + "test('a', () => { assert.ok(false); });\ntest('b', () => { process.exit(0); });\n"}, runner.Invalid, "red", []string{"process.exit", remove}},

		{"only asserts true", runner.Implement, built.with(tree{remove: head + "test('removes', () => { assert.ok(true); });\n"}), runner.Failed, "red", []string{"although the feature is not there"}},
		{"implementation missing", runner.Implement, honest, runner.Failed, "green", []string{remove, "missing symbol"}},
		{"implementation wrong", runner.Repair, built.with(tree{"notes.js": s["impl"]["notes.js"] + "export const wrong = add('x');\n"}), runner.Failed, "green", []string{"removes a note", "Passed before this feature", "adds a note"}},
		{"earlier test deleted", runner.Implement, built.with(tree{"test/notes.test.js": "\n"}), runner.Failed, "red", []string{"gone or skipped", "adds a note"}},
		{"earlier test file removed", runner.Implement, tree{"test/notes.test.js": ""}.with(built), runner.Failed, "red", nil},
		{"process.exit(0) in the implementation", runner.Implement, built.with(tree{"notes.js": s["impl"]["notes.js"] + "process.exit(0);\n"}), runner.Invalid, "green", []string{"Ended before its tests were over", "process.exit", "test/notes.test.js", remove}},
		{"process.exit(0) later in the implementation", runner.Implement, built.with(tree{"notes.js": s["impl"]["notes.js"] + "setTimeout(() => process.exit(0), 1);\n", remove: honest[remove] + "test('slow', () => new Promise((r) => setTimeout(r, 300)));\n"}), runner.Failed, "green", []string{"process.exit", remove}},
		{"new test vanishes with the feature", runner.Implement, built.with(tree{remove: head + "import * as notes from '../notes.js';\nif (!notes.remove) test('removes', () => { assert.ok(false); });\n"}), runner.Failed, "green", []string{"does not pass with it"}},
		{"new test is skipped with the feature", runner.Implement, built.with(tree{remove: head + "import * as notes from '../notes.js';\ntest('removes', { skip: !!notes.remove }, () => { assert.ok(false); });\n"}), runner.Failed, "green", []string{"does not pass with it"}},
		{"earlier test skipped by the implementation", runner.Implement, built.with(tree{"test/notes.test.js": strings.ReplaceAll(parent["test/notes.test.js"], "it('lists the titles', ", "it('lists the titles', { skip: globalThis.done }, "), "notes.js": "globalThis.done = true;\n" + s["impl"]["notes.js"]}), runner.Failed, "green", []string{"skipped now", "lists the titles"}},
		{"workflow changed", runner.Implement, built.with(tree{".github/workflows/ci.yml": "on: push\n"}), runner.Failed, "audit", []string{".github/workflows/ci.yml", "Put it back"}},
		{"test command emptied", runner.Implement, built.with(tree{"package.json": `{"type": "module", "scripts": {"test": "true", "start": "node server.js"}}`}), runner.Invalid, "red", []string{"cannot be trusted", "test/remove.test.js"}},
	}
	w := newWorld(t, nil) // one for all, so that the parent is run once
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			candidate := parent.with(tt.edits)
			if text, there := tt.edits["test/notes.test.js"]; there && text == "" {
				delete(candidate, "test/notes.test.js")
			}
			v := w.judge(tt.phase, parent, candidate, runner.Row{ID: "remove"})
			want(t, v, tt.outcome, tt.gate, tt.words...)
		})
	}
}
