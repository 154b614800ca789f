//go:build deep

package runner

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"
)

// The deep spaces, the largest first: together more than 100,000 executions.
var deep = []namedSpace{
	{"stops and chain", space{features: 2, attempts: 1, repairs: 1, perSession: 1, stops: 1, outcomes: 9, chained: true, testFirst: true}},
	{"more repairs", space{features: 2, attempts: 1, repairs: 2, perSession: 2, outcomes: 4, chained: true}},
	{"inconclusive again", space{features: 1, attempts: 3, repairs: 1, perSession: 1, outcomes: 2, judgements: 2}},
	{"crash and chain", space{features: 2, attempts: 2, perSession: 2, crashes: 1, outcomes: 4, chained: true}},
	{"crash and stop", space{features: 1, attempts: 2, repairs: 1, perSession: 1, crashes: 1, stops: 1, outcomes: 9, testFirst: true}},
	{"two stops and chain", space{features: 2, attempts: 1, perSession: 2, stops: 2, outcomes: 9, chained: true, testFirst: true}},
	{"two crashes", space{features: 1, attempts: 2, perSession: 1, crashes: 2, outcomes: 2}},
	{"two rivals", space{features: 1, attempts: 2, perSession: 1, crashes: 1, rivals: 2, outcomes: 2}},
	{"broken and crashed", space{features: 2, attempts: 1, perSession: 1, crashes: 1, rots: 1, outcomes: 2}},
	{"broken and stopped", space{features: 2, attempts: 1, perSession: 1, stops: 1, rots: 1, outcomes: 4, testFirst: true}},
	{"three features", space{features: 3, attempts: 1, perSession: 1, outcomes: 4, chained: true}},
	{"the base branch moves in conflict, and a crash", space{features: 2, attempts: 1, perSession: 1, bases: 2, crashes: 1, outcomes: 1}},
	{"the spec changes under any work", space{features: 1, attempts: 1, perSession: 1, stops: 1, changes: 1, outcomes: 5}},
}

func TestEveryDeepExecution(t *testing.T) {
	// Little lives long here, so collecting it seldom halves the time.
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	var mu sync.Mutex
	var all tally
	spaces := 0
	begun := time.Now()
	t.Run("spaces", func(t *testing.T) { // over when all of them are
		for _, s := range deep {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				one := enumerate(t, s.space)
				mu.Lock()
				defer mu.Unlock()
				spaces++
				all = tally{all.executions + one.executions, all.sessions + one.sessions, all.crashes + one.crashes, all.choices + one.choices}
			})
		}
	})
	t.Logf("all: %v, %.1f s", all, time.Since(begun).Seconds())
	if all.executions < 100_000 && spaces == len(deep) && *replay == "" {
		t.Errorf("%d executions are enumerated, want at least 100,000", all.executions)
	}
}

// bugs are planted in the loop one by one, by replacing text of one of its files.
// Each is seen in the executions of a space; where none is named, all are tried.
var bugs = []struct{ space, what, file, old, new string }{
	{"", "the attempt is not spent before it is made", "loop.go", `s.save(ctx, st.begun(f.ID, s.Config.first(), s.Now()), fmt.Sprintf("begin attempt %d at %s", f.Attempts+1, f.ID)); err`, `st.begun(f.ID, s.Config.first(), s.Now()), nil; err`},
	{"", "the tests that were seen red are forgotten", "state.go", "w.Red = commit", "w.Red = w.Commit[:0]"},
	{"", "the tests that were seen red are not saved", "loop.go", "s.Config.AutoCheckpoint || v.Outcome == Red", "s.Config.AutoCheckpoint"},
	{"", "complete whatever the verdict", "loop.go", "if v.Outcome == Verified || v.Outcome == Already {", "if w.Phase != Tests {\n\t\t\tv.Outcome = Verified"},
	{"", "a candidate goes to the work branch without a verdict", "state.go", "st.Code, st.Wip = w.Commit, &w", "st.Code, st.Wip, st.Work = w.Commit, &w, w.Commit"},
	{"", "a crash is forgotten and its work kept", "state.go", "st = st.crash(st.Wip.Feature, attempts)", "st.Wip.Commit = st.Work"},
	{"", "the second chance is given again and again", "feature.go", "f.Status == SetAside && !f.SecondChance", "f.Status == SetAside || f.Status == Quarantined"},
	{"rivals$", "a session that lost the compare-and-swap works on", "completion.go", "if err != nil && !aside {", "if err != nil && !aside && ctx.Err() != nil {"},
	{"", "the successor is asked for twice", "loop.go", "err = s.ask(ctx, st, &res)", "err = errors.Join(s.ask(ctx, st, &res), s.ask(ctx, st, &res))"},
	{"", "the successor is asked for although the loop stops", "loop.go", "err == nil && end.Decision == Continue && s.Config.Mode == RunMode", "err == nil && s.Config.Mode == RunMode"},
	{"", "no successor is asked for", "loop.go", "end.Decision == Continue && s.Config.Mode == RunMode", "end.Decision == Wait && s.Config.Mode == RunMode"},
	{"", "the evidence is left out", "evidence.go", "st.Evidence = Chain{Length: r.Number, Head: Hash(data)}\n\treturn st, ev", "st.Evidence, files = Chain{Length: r.Number, Head: Hash(data)}, nil\n\treturn st, ev"},
	{"", "a record of evidence does not name the one before it", "evidence.go", "Prev: st.Evidence.Head,\n\t\tLoop: st.Loop, Lineage: st.Lineage, Transaction: st.Serial + 1, Session: st.Spent.Sessions, Time: now.UTC(),\n\t\tFeature: f.ID", "Loop: st.Loop, Lineage: st.Lineage, Transaction: st.Serial + 1, Session: st.Spent.Sessions, Time: now.UTC(),\n\t\tFeature: f.ID"},
	{"", "the state does not name the last record", "evidence.go", "st.Evidence = Chain{Length: r.Number, Head: Hash(data)}\n\treturn st, ev", "st.Evidence.Length = r.Number\n\treturn st, ev"},
	{"", "the work branch stays behind after a crash", "detect.go", "if ended := st.Status == Done || st.Status == DoneWithExcept; ended && !more && found.Work == st.tip() {", "if !more && len(st.Features) > 0 {"},
	{"rivals$", "a running session is not respected", "loop.go", "if !over {", "if !over && st.Epoch < 0 {"},
	{"interruptions$", "an interrupted attempt is spent again", "loop.go", "if st.Wip == nil {\n\t\tvar err error", "if true {\n\t\tvar err error"},
	{"", "the features-per-session limit is not looked at, and the end is not told", "loop.go", "st = st.obeyed(err).ended(end, why, s.Now()).held(err).calling()", "st.Why = why"},
	{"", "an honest failure is retried for ever", "state.go", "case f.Attempts >= attempts+f.Extra || f.Crashes >= crashes:", "case f.Crashes >= crashes:"},
	{"", "a broken feature stays complete", "loop.go", "if len(v.Broken) > 0 {", "if len(v.Broken) > 9 {"},
	{"", "a broken feature keeps its status", "state.go", "f.Status, f.SecondChance, f.Outcome = Todo, false, Failed", "f.SecondChance, f.Outcome = false, Failed"},
	{"", "a broken feature is not mended first", "feature.go", "return open(f) && f.Demotions > 0", "return open(f) && f.Demotions > 9"},
	{"", "a broken feature has no attempts left", "state.go", "f.Extra = f.Attempts", "f.Extra += 0"},
	{"", "what was rolled back teaches as if it were verified", "loop.go", "f.Description, f.Note), Feature: f.Row}", `f.Description, f.Note), Feature: f.Row, Commit: "x"}`},
	{"a_transaction_cannot_be_saved$", "what could not be saved is left out for ever", "completion.go", "\t\ts.owed = files", "\t\ts.owed = nil"},
	{"people_commit$", "what people committed is not proved again", "takein.go", "v, err := s.again(ctx, st, m.Commit)", "v, err := Verdict{Outcome: Verified}, error(nil)"},
	{"people_commit$", "what people broke stays complete", "takein.go", "if len(v.Broken) > 0 {\n\t\tst = st.demoted", "if len(v.Broken) > 9 {\n\t\tst = st.demoted"},
	{"people_commit$", "the work branch is published past people's commits", "state.go", "|| st.theirs != \"\" || st.adrift", "|| st.adrift"},
	{"people_commit$", "people's commits are left where they are", "takein.go", "tries := 5; st.theirs", "tries := 0; st.theirs"},
	{"people_commit_under_work_in_progress$", "work in progress is laid over what others committed", "takein.go", "st.Code, st.Wip = w.Commit, &w", "st.Code = w.Commit"},
	{"people_commit$", "what was taken in is on no record", "takein.go", "st, files, err := st.reproved(t, old, m, v, s.Now())", "var files []File\n\tvar err error"},
	{"a_person_stops_it$", "a stop is seen when the session begins, and not heeded", "halt.go", "stop(err)\n\t}\n\tvar", "_ = err\n\t}\n\tvar"},
	{"a_person_stops_it$", "a stop is not seen before a successor is asked for", "loop.go", "if halt := s.look(ctx, st); halt != nil {", "if halt := s.look(ctx, st); halt != nil && ctx.Err() != nil {"},
	{"a_person_stops_it$", "a command stops the loop for ever", "halt.go", "st = st.effect(commandKey, h.Command)\n", "st = st.effect(commandKey, \"\")\n"},
	{"interruptions$", "a schedule revives a loop that a person stopped", "loop.go", "if st.Status == Stopped && s.Config.Trigger != ByPerson {", "if st.Status == Stopped && s.Config.Trigger == ByEvent {"},
	{"", "the gates look at another commit than the one that is kept", "loop.go", "s.Repo.Commit(ctx, snap.Tree, st.Work", "s.Repo.Commit(ctx, snap.Tree, st.Wip.Commit"},
	{"the_spec_changes$", "a feature that is not wanted any more is lost", "resync.go", "y.Deprecated = append(y.Deprecated, f.ID)\n\t\t}\n\t\tall = append(all, f)\n", "y.Deprecated = append(y.Deprecated, f.ID)\n\t\t}\n"},
	{"the_spec_changes$", "a feature that is not wanted any more is worked on", "resync.go", "f.Status = Deprecated\n", "f.Status = Todo\n"},
	{"the_spec_changes$", "a deprecated feature is selected", "feature.go", "return f.Status == Todo && f.Attempts", "return f.Status == Deprecated && f.Attempts < 3 || f.Status == Todo && f.Attempts"},
	{"the_spec_changes$", "a deprecated feature counts as one that is missing", "result.go", "case Todo, SetAside, Quarantined:\n\t\t\tr.FeaturesTotal++\n\t\tcase Deprecated:", "case Todo, SetAside, Quarantined, Deprecated:\n\t\t\tr.FeaturesTotal++"},
	{"the_spec_changes$", "a changed feature stays complete", "resync.go", `f.Status, f.Commit, f.Evidence, f.Outcome = Todo, "", nil, ""`, `f.Outcome = ""`},
	{"the_spec_changes$", "the acceptance of a changed feature is not frozen anew", "resync.go", "f.Row, f.Frozen = r, r.AcceptanceHash()\n", "f.Row = r\n"},
	{"the_spec_changes$", "a changed feature has no attempts left", "resync.go", "f.Extra, f.Crashes, f.SecondChance, f.Demotions = f.Attempts, 0, false, 0", "f.Crashes, f.SecondChance, f.Demotions = 0, false, 0"},
	{"the_spec_changes$", "a change is not taken up", "resync.go", "&& !st.From(s.Spec)", "&& len(s.Spec.SHA256) > 64"},
	{"the_spec_changes$", "a change is taken up again and again", "resync.go", "st.Features, st.Spec = all, spec", "st.Features = all"},
	{"the_spec_changes$", "a loop that had ended does not look at the spec", "loop.go", "if !s.changed(st) {\n\t\t\treturn st, errFinished", "if st.Serial > 0 {\n\t\t\treturn st, errFinished"},
	{"the_spec_changes$", "what a change did is not told", "resync.go", "y.Changed = append(y.Changed, r.ID)\n", ""},
	{"the_spec_changes_under_work$", "an attempt at what a person changed goes on", "resync.go", "if w := st.Wip; w != nil && (", "if w := st.Wip; w != nil && st.Serial < 0 && ("},
}

// TestPlantedBugs shows the teeth of TestEveryExecution: with any of the bugs
// planted it fails.
func TestPlantedBugs(t *testing.T) {
	for _, b := range bugs {
		run := "^TestEveryExecution$"
		if b.space != "" {
			run += "/^" + b.space
		}
		t.Run(b.what, func(t *testing.T) {
			t.Parallel()
			source, err := os.ReadFile(b.file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(source), b.old); n != 1 {
				t.Fatalf("%q occurs %d times in %s", b.old, n, b.file)
			}
			dir := t.TempDir()
			write := func(name string, data []byte) string {
				path := filepath.Join(dir, name)
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			here, err := filepath.Abs(b.file)
			if err != nil {
				t.Fatal(err)
			}
			planted := write(b.file, []byte(strings.Replace(string(source), b.old, b.new, 1)))
			overlay, err := json.Marshal(map[string]map[string]string{"Replace": {here: planted}})
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-overlay", write("overlay.json", overlay),
				"-tags", "deep", "-failfast", "-run", run, "-timeout", "600s", ".").CombinedOutput()
			switch {
			case err == nil:
				t.Errorf("the enumeration does not see it")
			case !strings.Contains(string(out), "--- FAIL: Test"):
				t.Errorf("it fails for another reason:\n%s", out)
			default:
				for line := range strings.Lines(string(out)) {
					if strings.Contains(line, "_test.go:") {
						t.Log(strings.TrimSpace(line))
						break
					}
				}
			}
		})
	}
}
