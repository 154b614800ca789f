//go:build deep

package crash

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// controls are builds without one of the mechanisms that all this rests on, and
// the test that must see it.
var controls = []struct {
	what  string
	edits []edit
	in    string // package
	test  string
}{
	{"the compare-and-swap", []edit{
		{"runner/repo/save.go", "have != state.old && have != state.new {", "have != state.old && have != state.new && false {"},
		{"runner/repo/save.go", "state := update{r.o.StateBranch, r.last.state, next.state}", "state := update{r.o.StateBranch, p.refs.ids[r.o.StateBranch], next.state}"},
	}, "internal/crash", "TestEveryOrderOfDrivers"},
	{"the claim", []edit{
		{"runner/loop.go", `if st, err = s.save(ctx, st.claimed(s.Owner, s.Config), fmt.Sprintf("claim session %d", st.Spent.Sessions+1)); err == nil {`, "if st = st.claimed(s.Owner, s.Config); err == nil {"},
	}, "internal/crash", "TestEveryOrderOfDrivers"},
	{"the claim, in the simulation", []edit{
		{"runner/loop.go", `if st, err = s.save(ctx, st.claimed(s.Owner, s.Config), fmt.Sprintf("claim session %d", st.Spent.Sessions+1)); err == nil {`, "if st = st.claimed(s.Owner, s.Config); err == nil {"},
	}, "internal/sim", "TestSeeds"},
	{"the respect for an owner at work", []edit{
		{"runner/loop.go", "if !over {", "if !over && st.Epoch < 0 {"},
	}, "internal/sim", "TestSeeds"},
	{"the look before something is created", []edit{
		{"runner/forge/wire.go", "v, ok, err := find(ctx)", "v, ok, err := *new(T), false, error(nil)\n\t\tif n > 9 {\n\t\t\tv, ok, err = find(ctx)\n\t\t}"},
	}, "internal/sim", "TestEveryKillInTheModel"},
	{"the intent to have a successor", []edit{
		{"runner/limits.go", "e = Ending{Continue, AwaitingSuccessor, limit}", "e = Ending{Continue, Waiting, limit}"},
	}, "internal/sim", "TestEveryKillInTheModel"},
	{"the attempt that is spent before it is made", []edit{
		{"runner/loop.go", `s.save(ctx, st.begun(f.ID, s.Config.first(), s.Now()), fmt.Sprintf("begin attempt %d at %s", f.Attempts+1, f.ID)); err`, "st.begun(f.ID, s.Config.first(), s.Now()), nil; err"},
	}, "internal/sim", "TestSeeds"},
	{"what is owed to the next transaction", []edit{
		{"runner/completion.go", "\t\ts.owed = files", "\t\ts.owed = nil"},
	}, "internal/sim", "TestEveryError"},
	{"the old id that the work branch must have", []edit{
		{"runner/repo/save.go", "if have := now.ids[work.ref]; work.old != work.new && have != work.old && have != work.new {", "if have := now.ids[work.ref]; work.old != work.new && have != work.old && have != work.new && false {"},
		{"runner/repo/save.go", "work := update{r.o.WorkBranch, r.last.work, next.work}", "work := update{r.o.WorkBranch, p.refs.ids[r.o.WorkBranch], next.work}"},
	}, "runner/repo", "TestWorkBranchThatSomebodyMoved"},
	{"the proof of what was complete, with what people committed", []edit{
		{"runner/takein.go", "v, err := s.again(ctx, st, m.Commit)", "v, err := Verdict{Outcome: Verified}, error(nil)"},
	}, "internal/sim", "TestSeeds"},
	{"the look for a lock that a killed git has left", []edit{
		{"runner/repo/save.go", "r.unlocked(todo)", "r.unlocked(nil)"},
	}, "runner/repo", "TestLockThatAKilledGitLeft"},
}

// TestEveryMechanismIsNeeded shows the teeth of these tests: of a build without
// one of the mechanisms, a test that is named here fails.
func TestEveryMechanismIsNeeded(t *testing.T) {
	for i, c := range controls {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			file, err := overlay(filepath.Join(t.TempDir(), fmt.Sprint(i)), c.edits, nil)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-count=1", "-overlay", file, "-failfast", "-run", "^"+c.test+"$", "-timeout", "600s", ".")
			cmd.Dir = filepath.Join("../..", c.in)
			out, err := cmd.CombinedOutput()
			switch {
			case err == nil:
				t.Errorf("%s does not see it", c.test)
			case !strings.Contains(string(out), "--- FAIL: "+c.test):
				t.Errorf("it fails for another reason:\n%s", out)
			default:
				for line := range strings.Lines(string(out)) {
					if strings.Contains(line, "_test.go:") {
						t.Logf("%s: %.200s", c.test, strings.TrimSpace(line))
						break
					}
				}
			}
		})
	}
}
