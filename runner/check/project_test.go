package check

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

func TestMayWrite(t *testing.T) {
	tests := []struct {
		phase runner.Phase
		path  string
		hint  string // of the refusal; "": allowed
	}{
		{runner.Tests, "test/a.test.js", ""},
		{runner.Tests, "testdata/a.json", ""},
		{runner.Tests, "package.json", ""},
		{runner.Tests, "a.js", "the implementation comes in the next phase"},
		{runner.Tests, "test/../a.js", "next phase"},
		{runner.Implement, "a.js", ""},
		{runner.Implement, "test/a.test.js", ""},
		{runner.Implement, ".github/ISSUE_TEMPLATE.md", ""},
		{runner.Implement, ".gitignore", ""},
		{runner.Implement, ".github/workflows/ci.yml", "cannot_complete"},
		{runner.Implement, ".GitHub/Workflows/ci.yml", "cannot_complete"},
		{runner.Repair, "./.github/autonomous-loop.yml", "cannot_complete"},
		{runner.Repair, ".autonomous-loop/state.json", "cannot_complete"},
		{runner.Repair, ".git/hooks/pre-commit", "cannot_complete"},
		{runner.Repair, "vendor/x/.git/config", "cannot_complete"},
		{runner.Repair, "../x", "outside the project"},
		{runner.Repair, "/etc/passwd", "outside the project"},
		{runner.Tests, ".github/workflows/a.test.js", "cannot_complete"},
	}
	for _, tt := range tests {
		err := MayWrite(tt.phase, tt.path)
		if (err == nil) != (tt.hint == "") || err != nil && !strings.Contains(err.Error(), tt.hint) {
			t.Errorf("MayWrite(%s, %s) = %v, want %q", tt.phase, tt.path, err, tt.hint)
		}
	}
}

func TestStartCommand(t *testing.T) {
	main := "package main\n\nfunc main() {}\n"
	tests := []struct {
		name     string
		files    tree
		override string
		want     string
	}{
		{"nothing", tree{"README.md": "x"}, "", ""},
		{"override", tree{"Procfile": "web: a\n"}, "make run", "make run"},
		{"script", tree{"package.json": `{"scripts": {"start": "node server.js", "prestart": "node build.js"}}`}, "", "node build.js && node server.js"},
		{"script with programs of its packages", tree{"package.json": `{"scripts": {"start": "vite"}}`, "node_modules/.bin/vite": ""}, "", `PATH="$PWD/node_modules/.bin:$PATH"; export PATH; vite`},
		{"server.js", tree{"package.json": `{}`, "server.js": ""}, "", "node server.js"},
		{"Procfile", tree{"Procfile": "worker: x\nweb: gunicorn app\n"}, "", "gunicorn app"},
		{"go", tree{"go.mod": "module x\n", "main.go": main}, "", "go run ."},
		{"go command", tree{"go.mod": "module x\n", "x.go": "package x\n", "cmd/serve/main.go": main}, "", "go run ./cmd/serve"},
		{"two go commands", tree{"go.mod": "module x\n", "cmd/a/main.go": main, "cmd/b/main.go": main}, "", ""},
		{"go library", tree{"go.mod": "module x\n", "x.go": "package x\n", "main_test.go": main}, "", ""},
	}
	for _, tt := range tests {
		got, err := startCommand(lay(t, tt.files), tt.override)
		if err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}

// A project may hold links that lead out of it; the gates follow none.
func TestCheckoutsAreNotLeftByLinks(t *testing.T) {
	outside := t.TempDir()
	put(t, filepath.Join(outside, "secret"), "s3cret")
	from, to := lay(t, tree{"test/a.js": "new"}), lay(t, tree{"a": "x"})
	for name, target := range map[string]string{"package.json": filepath.Join(outside, "secret"), "up": "../..", "test/l.js": filepath.Join(outside, "secret")} {
		if err := os.Symlink(target, filepath.Join(from, name)); err != nil {
			t.Fatal(err)
		}
	}
	dst := t.TempDir()
	if err := copyTree(from, dst); err != nil {
		t.Fatal(err)
	}
	if got, err := os.Readlink(filepath.Join(dst, "test/l.js")); err != nil || got != filepath.Join(outside, "secret") {
		t.Errorf("the link was not copied as a link: %q, %v", got, err)
	}
	root, err := os.OpenRoot(from)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if scripts, err := suite.Scripts(root); err == nil {
		t.Errorf("package.json was read outside the project: %v", scripts)
	}

	// Where the parent has a link in place of a directory, tests stay inside.
	if err := os.Symlink(outside, filepath.Join(to, "test")); err != nil {
		t.Fatal(err)
	}
	if err := transplant(from, to, []string{"test/a.js"}); err == nil {
		t.Error("a test was put through a link")
	}
	if entries, _ := os.ReadDir(outside); len(entries) != 1 {
		t.Errorf("outside holds %v", entries)
	}
}

func TestFill(t *testing.T) {
	steps := []Step{{Step: 1, Action: "fill", Target: `role=textbox[name="{{n}}"]`, Value: "{{s}} {{ n }}", Expected: "{{e}} {{d}} {{i}} {{w}}"}}
	data := map[string]Datum{"n": {Kind: "name"}, "s": {Kind: "sentence"}, "e": {Kind: "email"}, "d": {Kind: "date"}, "i": {Kind: "number"}, "w": {Kind: "word"}}
	a, err := fill(steps, data, seeded(1))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := fill(steps, data, seeded(1))
	if d := cmp.Diff(a, b); d != "" {
		t.Error("the same seed draws other data: ", d)
	}
	c, _ := fill(steps, data, seeded(2))
	if a[0].Value == c[0].Value || a[0].Expected == c[0].Expected {
		t.Errorf("another seed draws the same data: %+v", a)
	}
	if steps[0].Value != "{{s}} {{ n }}" || strings.Contains(a[0].Target+a[0].Value+a[0].Expected, "{{") {
		t.Errorf("%+v became %+v", steps[0], a[0])
	}
	if !strings.HasSuffix(a[0].Value, strings.TrimSuffix(strings.TrimPrefix(a[0].Target, `role=textbox[name="`), `"]`)) {
		t.Errorf("a name has two values in one run: %+v", a[0])
	}
	if _, err := fill(steps, nil, seeded(1)); err == nil || !strings.Contains(err.Error(), "does not declare") {
		t.Errorf("undeclared data: %v", err)
	}
	if _, err := fill(steps, map[string]Datum{"n": {Kind: "colour"}}, seeded(1)); err == nil || !strings.Contains(err.Error(), "no kind of data") {
		t.Errorf("unknown kind: %v", err)
	}
}

func TestOpenSaysEveryMistake(t *testing.T) {
	_, err := Open(Options{Dir: t.TempDir(), E2E: E2ERequired})
	for _, word := range []string{"trees", "runner", "randomness", "clock", "no browser"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("nothing is said of %s: %v", word, err)
		}
	}
	if _, err = Open(Options{Dir: t.TempDir(), E2E: "sometimes"}); err == nil || !strings.Contains(err.Error(), "required, auto, off") {
		t.Errorf("got %v", err)
	}
}

// The tests of a candidate come to the parent with what they need, and without the
// implementation: also where both stand in one file.
func TestMixed(t *testing.T) {
	const code, tests = "pub fn one() -> i32 {\n    1\n}\n", "#[cfg(test)]\nmod tests {\n    #[test]\n    fn adds() {\n        assert_eq!(super::%s, 2);\n    }\n}\n"
	parent := tree{
		"Cargo.toml": "[package]\n", "src/lib.rs": code + strings.ReplaceAll(tests, "%s", "one() + 1"), "src/plain.rs": "pub fn p() {}\n",
		".mocharc.yml": "spec:\n  - checks/**/*.js\n", "app.js": "old\n",
	}
	candidate := parent.with(tree{
		"src/lib.rs": code + "pub fn two() -> i32 {\n    2\n}\n" + strings.ReplaceAll(tests, "%s", "two()"), "src/plain.rs": "pub fn p() { q() }\n",
		"src/new.rs": "pub fn n() {}\n", "checks/two.js": "a test\n", "pytest.ini": "[pytest]\n", "app.js": "new\n",
	})
	w := newWorld(t, nil)
	p, c := w.git.write(parent), w.git.write(candidate)
	j := &judgement{Candidate: runner.Candidate{Parent: w.git.commit(p), Tree: c}}
	changed, err := w.git.Changed(t.Context(), j.Parent, c)
	if err != nil {
		t.Fatal(err)
	}
	ways, wrote, err := w.wrote(t.Context(), j, changed)
	if d := cmp.Diff([]string{"checks/two.js", "src/lib.rs"}, wrote); d != "" || err != nil {
		t.Errorf("the tests: %s %v", d, err)
	}
	laid := only(changed, func(p string) bool { return comesWithTests(ways, p) || mixes(p) })
	dir, done, err := w.mixed(t.Context(), j.Parent, c, laid)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	want := map[string]string{
		"src/lib.rs": code + strings.ReplaceAll(tests, "%s", "two()"), "src/plain.rs": parent["src/plain.rs"], "src/new.rs": "",
		"checks/two.js": "a test\n", "pytest.ini": "[pytest]\n", "app.js": "old\n",
	}
	for name, text := range want {
		data, _ := os.ReadFile(filepath.Join(dir, name)) // that is not there is what is asked
		if d := cmp.Diff(strings.Fields(text), strings.Fields(string(data))); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// What is a test the parent's configuration says, and no candidate's.
func TestTestsByConvention(t *testing.T) {
	s := samples(t, "node")
	apart := tree{"checks/remove.js": s["tests"]["test/remove.test.js"]}
	mocha := tree{".mocharc.yml": "spec:\n  - checks/**/*.js\n"}
	for _, tt := range []struct {
		name                string
		parent, tests, impl tree
		want                runner.Outcome
		gate                string
		says                string
	}{
		{"of the parent", mocha, apart, s["impl"], runner.Verified, "canaries", "1 new test fails without the feature"},
		{"of the candidate", nil, apart.with(mocha), s["impl"], runner.Failed, "red", "No test file was added"},
	} {
		w := newWorld(t, func(o *Options) { o.E2E, o.Test = E2EOff, "node --test test/*.js checks/*.js" })
		parent := s["parent"].with(tt.parent, tree{"checks/here.test.js": "import test from 'node:test';\ntest('is here', () => {});\n"})
		v := w.judge(runner.Implement, parent, parent.with(tt.tests, tt.impl), runner.Row{ID: "remove"})
		want(t, v, tt.want, tt.gate, tt.says)
	}
}
