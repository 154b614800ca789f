package suite

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIsTest(t *testing.T) {
	for p, want := range map[string]bool{
		"test/a.js": true, "a.test.js": true, "src/a.spec.tsx": true, "a.test.mjs": true, "src/__tests__/a.js": true, "test-a.js": true, "a-test.cjs": true,
		"a_test.go": true, "pkg/testdata/x.json": true, "test_a.py": true, "pkg/conftest.py": true, "tests/a.rs": true, "src/test/java/A.java": true, "ATest.java": true,
		"a_spec.rb": true, "__snapshots__/a.snap": true, "e2e/flow.js": true, "fixtures/a.csv": true,
		"a.js": false, "src/testing.js": false, "contest.js": false, "latest.js": false, "attest/a.go": false, "test.md": false, "package.json": false, "test": false, "a_test.go.txt": false,
	} {
		if got := IsTest(p); got != want {
			t.Errorf("IsTest(%q) = %v", p, got)
		}
	}
}

func TestSuites(t *testing.T) {
	manifest := func(test string) tree { return tree{"package.json": `{"scripts": {` + test + `}}`} }
	type row struct{ Tool, Command, Head, Args string }
	tests := []struct {
		name     string
		files    tree
		override string
		want     []row
	}{
		{"empty", tree{"README.md": "x"}, "", nil},
		{"npm's default script", manifest(`"test": "echo \"Error: no test specified\" && exit 1"`), "", nil},
		{"test files alone", tree{"test/a.mjs": ""}, "", []row{{"node --test", "node --test", "", "--test"}}},
		{"test script", manifest(`"test": "node --test test/*.test.js"`), "", []row{{"node --test", "node --test test/*.test.js", "", "--test test/*.test.js"}}},
		{"environment and reporter", manifest(`"test": "NODE_ENV=test node --test --test-reporter=spec --test-reporter-destination stdout --watch"`), "", []row{{"node --test", "NODE_ENV=test node --test --test-reporter=spec --test-reporter-destination stdout --watch", "NODE_ENV=test ", "--test   "}}},
		{"chain with a linter, pre script and detour", manifest(`"pretest": "npm run lint", "lint": "eslint .", "test": "npm run unit && tsc", "unit": "node --test"`), "", []row{
			{"exit code", "eslint .", "", ""}, {"node --test", "node --test", "", "--test"}, {"exit code", "tsc", "", ""},
		}},
		{"pipe", manifest(`"test": "node --test | tee log"`), "", []row{{"exit code", "node --test | tee log", "", ""}}},
		{"or", manifest(`"test": "node --test || true"`), "", []row{{"exit code", "node --test || true", "", ""}}},
		{"loop of scripts", manifest(`"test": "npm test"`), "", []row{{"exit code", "npm test", "", ""}}},
		{"node without --test", manifest(`"test": "node run-tests.js"`), "", []row{{"exit code", "node run-tests.js", "", ""}}},
		{"go", tree{"go.mod": "module x\n"}, "", []row{{"go test", "go test ./...", "", "./..."}}},
		{"go and node", tree{"go.mod": "module x\n", "web/a.test.js": ""}, "", []row{{"node --test", "node --test", "", "--test"}, {"go test", "go test ./...", "", "./..."}}},
		{"override", tree{"go.mod": "module x\n", "a.test.js": ""}, "CGO_ENABLED=0 go test -v -count=3 -tags=a ./pkg/...", []row{{"go test", "CGO_ENABLED=0 go test -v -count=3 -tags=a ./pkg/...", "CGO_ENABLED=0 ", "-tags=a ./pkg/..."}}},
		{"override by npm", manifest(`"test": "node --test"`), "npm test", []row{{"node --test", "node --test", "", "--test"}}},
		{"broken package.json", tree{"package.json": "{"}, "", nil},
	}
	for _, tt := range tests {
		root, err := os.OpenRoot(lay(t, tt.files))
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		all, err := Find(root, tt.override)
		if err != nil {
			t.Fatal(err)
		}
		var got []row
		for _, s := range all {
			got = append(got, row{s.tool, s.Command, s.head, s.args})
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
}
