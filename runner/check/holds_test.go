package check

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Every feature that does not hold is named, whatever shows it, in the order
// asked for.
func TestHolds(t *testing.T) {
	test := func(name string, holds bool) string {
		return fmt.Sprintf("import test from 'node:test';\nimport assert from 'node:assert';\ntest('%s', () => assert.equal(%v, true));\n", name, holds)
	}
	all := tree{"package.json": `{"type":"module","scripts":{"test":"node --test","start":"node app.js"}}`, "page.txt": "shows one\nshows three\nshows five"}
	var features []runner.Feature
	for _, id := range []string{"one", "two", "three", "four", "five"} {
		f := runner.Feature{Row: runner.Row{ID: id}, Progress: runner.Progress{Evidence: &runner.Evidence{Tests: []string{"test/" + id + ".test.js"}}}}
		if id != "two" && id != "four" {
			f.Acceptance = []runner.Step{{Step: 1, Action: "assert_text", Expected: id}}
		}
		features = append(features, f)
		all["test/"+id+".test.js"] = test(id, true)
	}
	seen := filepath.Join(t.TempDir(), "seen")
	flaky := strings.NewReplacer("import assert", "import { existsSync, writeFileSync } from 'node:fs';\nconst seen = existsSync('"+seen+"');\nwriteFileSync('"+seen+"', '');\nimport assert", "true, true", "seen, true").Replace(test("two", true))
	for _, tt := range []struct {
		name    string
		tree    tree
		outcome runner.Outcome
		broken  []string
	}{
		{"all hold", all, runner.Verified, nil},
		{"tests of some", all.with(tree{"test/four.test.js": test("four", false), "test/two.test.js": test("two", false), "test/one.test.js": test("one", false)}), runner.Failed, []string{"one", "two", "four"}},
		{"acceptance and tests", all.with(tree{"test/four.test.js": test("four", false), "page.txt": "shows three"}), runner.Failed, []string{"one", "four", "five"}},
		{"both of one", all.with(tree{"test/one.test.js": test("one", false), "page.txt": "shows three\nshows five"}), runner.Failed, []string{"one"}},
		{"tests of none", all.with(tree{"test/other.test.js": test("other", false)}), runner.Failed, nil},
		{"a flaky test breaks none", all.with(tree{"test/two.test.js": flaky}), runner.Inconclusive, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			v, err := w.Holds(t.Context(), w.git.commit(w.git.write(tt.tree)), features)
			if err != nil {
				t.Fatal(err)
			}
			var broken []string
			for _, b := range v.Broken {
				broken = append(broken, b.Feature)
			}
			if v.Outcome != tt.outcome || !slices.Equal(broken, tt.broken) {
				t.Errorf("%s, broken: %v, want %s, %v\n%s\n%s", v.Outcome, broken, tt.outcome, tt.broken, v.Reason, gatesOf(v))
			}
		})
	}
}
