//go:build deep

package check

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// off switches gates off, one at a time, by replacing text of a file, and names
// a test that must fail then.
var off = []struct{ what, file, old, new, test string }{
	{"owned", "gates.go", "gates := []gate{g.owned, g.frozen,", "gates := []gate{g.frozen,", "TestNodeCandidates/workflow_changed"},
	{"frozen", "gates.go", "g.owned, g.frozen, g.red,", "g.owned, g.red,", "TestFrozenAcceptance"},
	{"red after the tests phase", "gates.go", "g.already, g.failing}", "g.already}", "TestNodeCandidates/only_skipped_tests"},
	{"red", "gates.go", "g.frozen, g.red, g.falsifiable", "g.frozen, g.falsifiable", "TestNodeCandidates/only_asserts_true"},
	{"red by the acceptance", "gates.go", "g.red, g.falsifiable, g.browserAhead", "g.red, g.browserAhead", "TestAcceptance/was_there_before,_found_late"},
	{"already", "gates.go", "g.testsAhead, g.already, g.failing", "g.testsAhead, g.failing", "TestAcceptance/was_there_before"},
	{"green", "gates.go", "g.browserAhead, g.green, g.canariesAhead", "g.browserAhead, g.canariesAhead", "TestNodeCandidates/implementation_wrong"},
	{"green a second time", "steps.go", "second, err := g.testTree(ctx, j.Tree)", "second, err := first, error(nil)", "TestFlakyTests"},
	{"revert", "gates.go", "g.canariesAhead, g.revert, g.acceptance", "g.canariesAhead, g.acceptance", "TestTestsThatRemember"},
	{"acceptance", "gates.go", "g.revert, g.acceptance, g.regression", "g.revert, g.regression", "TestAcceptance/button_missing"},
	{"acceptance more than once", "regression.go", "const sure, doubtful = 3, 8", "const sure, doubtful = 1, 1", "TestFlakyApplication"},
	{"more of it where luck was seen", "regression.go", "const sure, doubtful = 3, 8", "const sure, doubtful = 3, 3", "TestFlakyApplication"},
	{"regression", "gates.go", "g.acceptance, g.regression}", "g.acceptance}", "TestAcceptance/earlier_feature_broken"},
	{"who is to blame", "regression.go", "case was.Outcome == runner.Failed:", "case was.Outcome == runner.Red:", "TestBrokenBefore"},
	{"whose tests broke", "steps.go", "if len(broken) > 0 {", "if len(broken) > 9 {", "TestBrokenTestsBefore"},
	{"canaries", "gates.go", "{g.canaries, g.audit}", "{g.audit}", "TestTamperedRun"},
	{"audit", "gates.go", "{g.canaries, g.audit}", "{g.canaries}", "TestNodeCandidates/process.exit(0)_in_the_implementation"},
	{"review", "gates.go", "[]gate{g.review}", "[]gate{}", "TestReview"},
	{"reports that are not believed", "judge.go", `case r.Broken != "":`, `case r.Broken == "no":`, "TestRunsThatCannotBeBelieved"},
	{"packages that are nobody's to write", "deps.go", "if apart && d.Type().IsRegular() {", "if d.Type().IsRegular() {", "TestPackagesCannotBePoisoned"},
	{"packages that lead back", "deps.go", "if ok, err := staysPut(home, p, s.paths); err != nil || !ok {", "if _, err := staysPut(home, p, s.paths); err != nil {", "TestPackagesAreKept"},
}

// TestEveryGateIsNeeded shows that each gate is held by a test: with it switched
// off, that test fails.
func TestEveryGateIsNeeded(t *testing.T) {
	for _, o := range off {
		t.Run(o.what, func(t *testing.T) {
			source, err := os.ReadFile(o.file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(source), o.old); n != 1 {
				t.Fatalf("%q occurs %d times in %s", o.old, n, o.file)
			}
			dir := t.TempDir()
			write := func(name string, data []byte) string {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			here, err := filepath.Abs(o.file)
			if err != nil {
				t.Fatal(err)
			}
			planted := write(o.file, []byte(strings.Replace(string(source), o.old, o.new, 1)))
			overlay, err := json.Marshal(map[string]map[string]string{"Replace": {here: planted}})
			if err != nil {
				t.Fatal(err)
			}
			name, sub, _ := strings.Cut(o.test, "/")
			pattern := "^" + name + "$"
			if sub != "" {
				pattern += "/^" + strings.NewReplacer("(", `\(`, ")", `\)`).Replace(sub) + "$"
			}
			out, err := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-overlay", write("overlay.json", overlay), "-run", pattern, "-timeout", "300s", ".").CombinedOutput()
			switch {
			case err == nil:
				t.Errorf("%s does not see it:\n%s", o.test, out)
			case !strings.Contains(string(out), "--- FAIL: "+name):
				t.Errorf("it fails for another reason:\n%s", out)
			}
		})
	}
}
