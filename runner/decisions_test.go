package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/autonomous-loop/autonomous-loop/internal/choose"
)

func feature(id string, change ...func(*Feature)) Feature {
	f := Feature{Row{ID: id, Description: "what " + id + " does", Priority: 1}, Progress{Status: Todo}}
	f.Frozen = f.AcceptanceHash()
	for _, c := range change {
		c(&f)
	}
	return f
}

func with(status FeatureStatus, attempts int) func(*Feature) {
	return func(f *Feature) { f.Status, f.Attempts = status, attempts }
}
func urgent(p int) func(*Feature)        { return func(f *Feature) { f.Priority = p } }
func after(ids ...string) func(*Feature) { return func(f *Feature) { f.DependsOn = ids } }
func chanced(f *Feature)                 { f.SecondChance = true }

func TestNext(t *testing.T) {
	for _, tt := range []struct {
		name     string
		features []Feature
		wip      *Wip
		want     string
	}{
		{"nothing", nil, nil, ""},
		{"place in the list", []Feature{feature("a"), feature("b")}, nil, "a"},
		{"the more urgent", []Feature{feature("a", urgent(2)), feature("b", urgent(1))}, nil, "b"},
		{"the less tried before the more urgent", []Feature{feature("a", with(Todo, 1)), feature("b", urgent(9))}, nil, "b"},
		{"dependencies first", []Feature{feature("a", after("b")), feature("b", urgent(9))}, nil, "b"},
		{"out of attempts", []Feature{feature("a", with(Todo, 3))}, nil, ""},
		{"a second chance when no other is left", []Feature{feature("a", with(SetAside, 3)), feature("b", with(Complete, 1))}, nil, "a"},
		{"no second chance while another is left", []Feature{feature("a", with(SetAside, 1)), feature("b", with(Todo, 2))}, nil, "b"},
		{"only one second chance", []Feature{feature("a", with(SetAside, 3), chanced)}, nil, ""},
		{"no second chance before its dependency", []Feature{feature("a", with(SetAside, 1), after("b")), feature("b", with(SetAside, 2))}, nil, "b"},
		{"what is in progress", []Feature{feature("a"), feature("b", with(Todo, 3))}, &Wip{Feature: "b"}, "b"},
		{"unknown dependency", []Feature{feature("a", after("x"))}, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, ok := State{Features: tt.features, Wip: tt.wip}.Next(3)
			if f.ID != tt.want || ok != (tt.want != "") {
				t.Errorf("Next = %q, %v, want %q", f.ID, ok, tt.want)
			}
		})
	}
}

func TestBlockedFollowsFromDependencies(t *testing.T) {
	st := State{Features: []Feature{
		feature("quarantined", with(Quarantined, 4)), feature("aside", with(SetAside, 3)), feature("lost", with(SetAside, 3), chanced),
		feature("a", after("quarantined")), feature("b", after("a")), feature("c", after("aside")), feature("d", after("lost")), feature("e"),
	}}
	got := map[string]bool{}
	for _, f := range st.Features[3:] {
		got[f.ID] = st.Blocked(f)
	}
	if diff := cmp.Diff(map[string]bool{"a": true, "b": true, "c": false, "d": true, "e": false}, got); diff != "" {
		t.Errorf("Blocked (-want +got):\n%s", diff)
	}
}

// Only a person changes what a feature is measured by, and then it is done again.
func TestResynced(t *testing.T) {
	st := saved(func(st *State) {
		st.Spec.List = "old"
		st.Features = append(st.Features, feature("c", with(Quarantined, 4), chanced), feature("d", with(Complete, 2)))
		st.Features[3].Commit, st.Features[3].Evidence = "c", st.Features[0].Evidence
		st.Wip = &Wip{Feature: "b", Attempt: 1, Commit: "w"}
	})
	changed := func(id string) Row {
		r := feature(id).Row
		r.Acceptance = []Step{{Step: 1, Action: "goto", Value: "/"}}
		return r
	}
	got := st.Resynced([]Row{changed("d"), feature("a").Row, changed("c"), feature("new").Row}, Spec{List: "new"})
	want := map[string]FeatureStatus{"d": Todo, "a": Complete, "c": Todo, "new": Todo, "b": Deprecated}
	have := map[string]FeatureStatus{}
	for _, f := range got.Features {
		have[f.ID] = f.Status
		if f.Frozen != f.AcceptanceHash() {
			t.Errorf("the acceptance of %s is not frozen as it is now", f.ID)
		}
	}
	if diff := cmp.Diff(want, have); diff != "" || got.Wip != nil || got.Spec.List != "new" {
		t.Errorf("(-want +got)\n%s%+v", diff, got)
	}
	if next, ok := got.Next(3); !ok || next.ID != "new" && next.ID != "d" {
		t.Errorf("next is %s", next.ID)
	}
	if c, _ := got.Feature("c"); c.SecondChance || c.Attempts >= 3+c.Extra {
		t.Errorf("what a person changed has no attempts left: %+v", c.Progress)
	}
	if _, _, err := Encode(got); err != nil {
		t.Error(err)
	}
}

// Tests that a person's change left without anybody who asks for them may change:
// by name where that is known, else by file.
func TestTestsThatAPersonFreed(t *testing.T) {
	proved := func(files, cases []string) func(*Feature) {
		return func(f *Feature) { f.Status, f.Evidence = Complete, &Evidence{Tests: files, Cases: cases} }
	}
	st := State{Features: []Feature{
		feature("named", proved([]string{"x"}, []string{"x › named"})), feature("filed", proved([]string{"own", "x"}, nil)),
		feature("dropped", proved([]string{"x"}, []string{"x › dropped"})), feature("old", proved([]string{"old"}, nil)), feature("kept", proved([]string{"x"}, []string{"x › kept"})),
	}}
	other := func(id string) Row { r := feature(id).Row; r.Description = "something else"; return r }
	st = st.Resynced([]Row{other("named"), other("filed"), feature("kept").Row, feature("new").Row}, Spec{})
	got := map[string][2][]string{}
	for _, f := range st.Features {
		free := st.freed(f)
		got[f.ID] = [2][]string{free.Former, free.FormerCases}
	}
	dropped := []string{"x › dropped"}
	want := map[string][2][]string{
		"named": {nil, {"x › named", "x › dropped"}}, "filed": {{"own"}, dropped}, "new": {nil, dropped}, "kept": {nil, dropped},
		"dropped": {nil, dropped}, "old": {nil, dropped},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// Only a spec drops a feature: one that was given up frees nothing.
	st = State{Features: []Feature{feature("new"), feature("given-up", proved([]string{"x"}, []string{"x › a"}), with(Quarantined, 4))}}
	if f := st.freed(st.Features[0]); len(f.FormerCases) > 0 {
		t.Errorf("freed %q", f.FormerCases)
	}
}

// Only other words of a spec ask for something else; of a list of their own a
// person changed what they changed.
func TestWhatAsksForSomethingElse(t *testing.T) {
	old := State{Spec: Spec{SHA256: "s1", Words: "w1", List: ""}}
	for name, tt := range map[string]struct {
		spec Spec
		same bool
	}{
		"the same":                     {Spec{SHA256: "s1", Words: "w1"}, true},
		"other blanks":                 {Spec{SHA256: "s2", Words: "w1"}, true},
		"other words":                  {Spec{SHA256: "s2", Words: "w2"}, false},
		"by a program that knows none": {Spec{SHA256: "s2"}, false},
		"a list now":                   {Spec{SHA256: "s1", Words: "w1", List: "l"}, false},
	} {
		if got := old.From(tt.spec); got != tt.same {
			t.Errorf("%s: %v", name, got)
		}
	}
	if (State{Spec: Spec{SHA256: "s1"}}).From(Spec{SHA256: "s2"}) {
		t.Error("two specs whose words nobody knows are taken for the same")
	}
}

// A loop that had ended goes on when a person changes their list.
func TestChangedListIsTakenUp(t *testing.T) {
	for c := range choose.All() {
		w := &listed{world: &world{t: t, c: c, read: &readings{}, space: space{features: 1, attempts: 1, perSession: 9, outcomes: 1}, clock: time.Unix(1e9, 0).UTC(), begun: map[string]int{}, meant: map[string]string{}}}
		w.remote.commits = map[string]commit{"base": {tree: tree{}}}
		w.remote.files, w.remote.over, w.remote.asked, w.remote.rotten = map[string][]byte{}, map[string]bool{}, map[int]int{}, map[string]bool{}
		run := func(list string, steps ...Step) State {
			w.process = process{run: "r" + list}
			w.steps, w.own = steps, Spec{List: list}
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			w.cancel = cancel
			s := Session{
				Repo: w, Planner: w, Agent: w, Gates: w, Forge: w, Spec: w.own, Loop: "main", Fresh: "l1", Owner: Owner{Run: w.run, Attempt: 1},
				Config: LoopConfig{MaxSessions: 9, TokenBudget: 1e6, FeaturesPerSession: 9, AttemptsPerFeature: 1, Trigger: ByPerson, Grace: time.Minute},
				Now:    func() time.Time { w.clock = w.clock.Add(time.Second); return w.clock },
				Papers: func(State, LoopResult) Papers { return Papers{} },
			}
			if _, err := s.Run(ctx); err != nil {
				t.Fatal(err)
			}
			w.remote.over[w.run] = true
			st, err := Decode(w.remote.state, w.remote.list)
			if err != nil {
				t.Fatal(err)
			}
			return st
		}
		first := run("a")
		if same := run("a"); same.Serial != first.Serial {
			t.Errorf("a list that did not change was taken up")
		}
		again := run("b", Step{Step: 1, Action: "goto", Value: "/"})
		f, _ := again.Feature("f0")
		if again.Status != Done || f.Attempts != 2 || f.Status != Complete || f.Frozen != f.AcceptanceHash() || len(f.Acceptance) != 1 {
			t.Errorf("%v: %s, %+v", c, again.Status, f)
		}
	}
}

// listed is a world whose list is a person's own.
type listed struct {
	*world
	steps []Step
}

func (w *listed) Plan(ctx context.Context, old []Feature, p Purse) ([]Row, Usage, error) {
	rows, _, err := w.world.Plan(ctx, old, p)
	rows[0].Acceptance = w.steps
	return rows, Usage{}, err
}

func TestFollows(t *testing.T) {
	for _, tt := range []struct {
		phase   Phase
		outcome Outcome
		repairs int
		want    Phase
	}{
		{Tests, Red, 0, Implement},
		{Tests, Failed, 1, Tests},
		{Tests, Failed, 0, ""},
		{Implement, Failed, 1, Repair},
		{Repair, Failed, 1, Repair},
		{Repair, Failed, 0, ""},
		{Implement, Invalid, 2, ""},
		{Implement, Inconclusive, 2, ""},
		{Implement, Verified, 2, ""},
	} {
		if got := follows(tt.phase, Verdict{Outcome: tt.outcome}, tt.repairs); got != tt.want {
			t.Errorf("follows(%s, %s, %d) = %q, want %q", tt.phase, tt.outcome, tt.repairs, got, tt.want)
		}
	}
}

func TestEnd(t *testing.T) {
	config := LoopConfig{MaxSessions: 10, AttemptsPerFeature: 3, Continuation: Auto}
	open := State{Features: []Feature{feature("a")}, Spent: Spent{Sessions: 1}}
	stop := func(r Reason) error { return fmt.Errorf("in the middle: %w", &StopError{Reason: r}) }
	for _, tt := range []struct {
		name   string
		state  State
		err    error
		config func(*LoopConfig)
		want   Ending
		fails  bool
	}{
		{name: "all complete", state: State{Features: []Feature{feature("a", with(Complete, 1))}}, want: Ending{Stop, Done, ""}},
		{name: "all complete at a limit", state: State{Features: []Feature{feature("a", with(Complete, 1))}}, err: stop(SessionTime), want: Ending{Stop, Done, ""}},
		{name: "exceptions", state: State{Features: []Feature{feature("a", with(Quarantined, 4)), feature("b", with(Complete, 1))}}, want: Ending{Stop, DoneWithExcept, Escalated}},
		{name: "the time is up", state: open, err: stop(SessionTime), want: Ending{Continue, AwaitingSuccessor, SessionTime}},
		{name: "the time is up, by hand", state: open, err: stop(SessionTime), config: func(c *LoopConfig) { c.Continuation = Manual }, want: Ending{Wait, Waiting, SessionTime}},
		{name: "the last session", state: State{Features: open.Features, Spent: Spent{Sessions: 10}}, err: stop(SessionTime), want: Ending{Stop, Stopped, MaxSessions}},
		{name: "no progress", state: State{Features: open.Features, Idle: 3}, err: stop(ContextLimit), want: Ending{Stop, Stopped, NoProgress}},
		{name: "tokens", state: open, err: stop(TokenBudget), want: Ending{Stop, Stopped, TokenBudget}},
		{name: "rate limit", state: open, err: stop(RateLimit), want: Ending{Wait, Waiting, RateLimit}},
		{name: "a refused key", state: open, err: stop(Paused), want: Ending{Wait, Waiting, Paused}, fails: true},
		{name: "cancelled", state: open, err: stop(Cancelled), want: Ending{Stop, Stopped, Cancelled}},
		{name: "approval", state: open, err: stop(AwaitingApproval), want: Ending{Wait, Waiting, AwaitingApproval}},
		{name: "the machinery failed", state: open, err: errors.New("disk full"), want: Ending{Wait, Waiting, Paused}, fails: true},
		{name: "no list", state: State{}, err: errors.New("no such model"), want: Ending{Wait, Waiting, Paused}, fails: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := config
			if tt.config != nil {
				tt.config(&c)
			}
			got, why, failure := c.end(tt.state, tt.err)
			if got != tt.want || (failure != nil) != tt.fails || why == "" && tt.err != nil {
				t.Errorf("end = %+v, %q, %v, want %+v", got, why, failure, tt.want)
			}
		})
	}
}

// Every reason has a sentence and a decision: a new one cannot be forgotten.
func TestEveryReasonIsDecided(t *testing.T) {
	for _, r := range []Reason{
		ContextLimit, SessionTime, TokenBudget, CostBudget, SessionBudget, FeatureBudget, FeaturesPerSession, RateLimit, NoProgress, AwaitingApproval, UnclearSpec,
		Paused, BlockedLoop, Escalated, Cancelled, StoppedByPerson, Superseded, MaxSessions,
	} {
		e, why, _ := LoopConfig{MaxSessions: 2, Continuation: Auto}.end(State{Features: []Feature{feature("a")}}, &StopError{Reason: r})
		if e.Decision == "" || e.Status == "" || why == "" {
			t.Errorf("%s: %+v %q", r, e, why)
		}
	}
}

func TestReached(t *testing.T) {
	c := LoopConfig{TokenBudget: 100, CostBudget: Dollar, FeaturesPerSession: 2}
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(&StopError{Reason: SessionTime})
	for _, tt := range []struct {
		ctx       context.Context //nolint:containedctx // a row of a table
		spent     Spent
		completed int
		want      Reason
	}{
		{t.Context(), Spent{Usage: Usage{Tokens: 94, Cost: Dollar * 94 / 100}}, 1, ""},
		{t.Context(), Spent{Usage: Usage{Tokens: 95}}, 0, TokenBudget},
		{t.Context(), Spent{Usage: Usage{Cost: Dollar * 95 / 100}}, 0, CostBudget},
		{t.Context(), Spent{Usage: Usage{Tokens: 100}}, 0, TokenBudget},
		{t.Context(), Spent{Usage: Usage{Cost: Dollar}}, 0, CostBudget},
		{t.Context(), Spent{}, 2, FeaturesPerSession},
		{ended, Spent{}, 0, SessionTime},
	} {
		err := c.reached(tt.ctx, State{Spent: tt.spent}, tt.completed)
		stop, _ := errors.AsType[*StopError](err)
		if stop == nil != (tt.want == "") || stop != nil && stop.Reason != tt.want {
			t.Errorf("reached(%+v, %d) = %v, want %q", tt.spent, tt.completed, err, tt.want)
		}
	}
}

func saved(change ...func(*State)) State {
	st := State{Schema: Schema, Loop: "main", Lineage: "l1", Serial: 4, Status: AwaitingSuccessor, Base: Base{"main", "b"}, Code: "c", Work: "c", Published: "c"}
	st.Features = []Feature{feature("a", with(Complete, 1)), feature("b")}
	st.Features[0].Commit, st.Features[0].Evidence = "c", &Evidence{Outcome: Verified, Tree: "t", Files: map[string]string{"verdict.json": "00"}}
	for _, c := range change {
		c(&st)
	}
	return st
}

func found(t *testing.T, st State, change ...func(*Found)) Found {
	t.Helper()
	state, list, err := Encode(st)
	if err != nil {
		t.Fatal(err)
	}
	f := Found{State: state, List: list, Work: st.Work, Base: st.Base}
	for _, c := range change {
		c(&f)
	}
	return f
}

func TestDetect(t *testing.T) {
	replace := func(old, with string) func(*Found) {
		return func(f *Found) {
			f.State = []byte(strings.Replace(string(f.State), old, with, 1))
			f.List = []byte(strings.Replace(string(f.List), old, with, 1))
		}
	}
	for _, tt := range []struct {
		name    string
		found   Found
		lineage string
		want    SessionType
		says    string
	}{
		{"nothing there", Found{}, "", Init, ""},
		{"state deleted, work branch left", Found{Work: "c"}, "", Deleted, "delete the work branch too"},
		{"a dispatch names a loop that is gone", Found{}, "l1", Deleted, "its state branch is gone"},
		{"a dispatch names another loop", found(t, saved()), "l2", Deleted, "holds loop l1"},
		{"go on", found(t, saved()), "l1", Resume, ""},
		{"work branch deleted", found(t, saved(), func(f *Found) { f.Work = "" }), "", Deleted, "the work branch was deleted"},
		{"work branch not yet pushed", found(t, saved(func(st *State) { st.Published = "" }), func(f *Found) { f.Work = "" }), "", Resume, ""},
		{"a person's commits", found(t, saved(), func(f *Found) { f.Ahead, f.Work = true, "x" }), "", Resume, ""},
		{"a person's commits on what is done", found(t, saved(func(st *State) { st.Status, st.Features[0].Status = Done, Complete }), func(f *Found) { f.Ahead, f.Work = true, "x" }), "", Resume, ""},
		{"what was published is gone", found(t, saved(), func(f *Found) { f.Foreign, f.Work = true, "x" }), "", Interfered, "nothing is overwritten"},
		{"broken chain", found(t, saved(), func(f *Found) { f.Chain = errors.New("commit x is not ours") }), "", Corrupt, "commit x is not ours"},
		{"cut off", found(t, saved(), func(f *Found) { f.State = f.State[:len(f.State)/2] }), "", Corrupt, "state.json"},
		{"empty", found(t, saved(), func(f *Found) { f.State = []byte{} }), "", Corrupt, "state.json"},
		{"no list", found(t, saved(), func(f *Found) { f.List = nil }), "", Corrupt, "feature_list.json"},
		{"a row changed", found(t, saved(), replace("what b does", "what b is")), "", Corrupt, "feature b was changed"},
		{"complete by hand", found(t, saved(), replace(`"status": "todo"`, `"status": "complete"`)), "", Corrupt, "complete without evidence"},
		{"a status that is none", found(t, saved(), replace(`"status": "todo"`, `"status": "done"`)), "", Corrupt, "unknown status"},
		{"a schema of the future", found(t, saved(), replace(`"schema": 3`, `"schema": 4`)), "", Corrupt, "schema 4"},
		{"done", found(t, saved(func(st *State) { st.Status, st.Features = Done, st.Features[:1] })), "", Finished, ""},
		{"done, but the work branch stayed behind", found(t, saved(func(st *State) { st.Status, st.Features, st.Published = Done, st.Features[:1], "" }), func(f *Found) { f.Work = "" }), "", Resume, ""},
		{"died on its last lines", found(t, saved(func(st *State) { st.Status, st.Features = Running, st.Features[:1] })), "", Resume, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := detect(tt.found, tt.lineage, 3)
			if got != tt.want || (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("detect = %s, %v, want %s saying %q", got, err, tt.want, tt.says)
			}
			if state, ok := errors.AsType[*StateError](err); err != nil && (!ok || state.Type != got) {
				t.Errorf("the error is %T", err)
			}
		})
	}
}

func TestStateSurvivesARestart(t *testing.T) {
	st := saved(func(st *State) {
		now := time.Date(2026, 11, 23, 8, 0, 0, 123, time.FixedZone("east", 3600))
		st.Owner = &Owner{"7", 1, now, "ada"}
		st.Wip = &Wip{Feature: "b", Attempt: 1, Phase: Repair, Repairs: 1, Commit: "w", Red: "r", Outcome: Failed, Reason: "no", Detail: "more"}
		st.Effects = map[string]string{"comment": "12"}
		st.Features[1].Notes = []string{"<b>&\u2028"}
		st.Sessions = []SessionRecord{{Number: 1, Run: "7", Begun: now, Completed: []string{"a"}}}
	})
	state, list, err := Encode(st)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(state, list)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(st, got, cmpopts.IgnoreUnexported(State{}), cmpopts.EquateApproxTime(0)); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
}

func TestStateThatWouldNotSurviveIsRefused(t *testing.T) {
	for name, change := range map[string]func(*State){
		"invalid UTF-8": func(st *State) { st.Features[1].Note = "\xff" },
		"no lineage":    func(st *State) { st.Lineage = "" },
		"twice":         func(st *State) { st.Features[1].ID = "a" },
		"wip of nobody": func(st *State) { st.Wip = &Wip{Feature: "x"} },
	} {
		if _, _, err := Encode(saved(change)); err == nil {
			t.Errorf("%s: encoded without an error", name)
		}
	}
}

func TestTextOfOthersIsMadeLegible(t *testing.T) {
	long := strings.Repeat("x", 1<<20) + "\xff"
	st := saved().noted("b", []string{"\xff"}).setAside("b", long)
	st = st.ended(Ending{Wait, Waiting, Paused}, "\xff", time.Time{})
	st.Wip = &Wip{Feature: "b", Attempt: 1}
	*st.Wip = st.Wip.then(Repair, Verdict{Outcome: Failed, Reason: "\xfe", Detail: long}, "w")
	state, _, err := Encode(st)
	if err != nil || len(state) > 64<<10 {
		t.Errorf("%d bytes, %v", len(state), err)
	}
}

// Old states stay here for ever and must always load.
func TestOldStatesLoad(t *testing.T) {
	dirs, err := filepath.Glob("testdata/states/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no old states: %v", err)
	}
	for _, dir := range dirs {
		state, err := os.ReadFile(filepath.Join(dir, "state.json"))
		if err != nil {
			t.Fatal(err)
		}
		list, err := os.ReadFile(filepath.Join(dir, "feature_list.json"))
		if err != nil {
			t.Fatal(err)
		}
		st, err := Decode(state, list)
		if err != nil {
			t.Errorf("%s: %v", dir, err)
			continue
		}
		if st.Schema != Schema || st.Features[0].Frozen == "" {
			t.Errorf("%s: not brought up to schema %d: %+v", dir, Schema, st.Features[0].Progress)
		}
		if _, _, err := Encode(st); err != nil {
			t.Errorf("%s: cannot be saved again: %v", dir, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	state, list, err := Encode(saved())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(state, list)
	f.Fuzz(func(t *testing.T, state, list []byte) {
		st, err := Decode(state, list)
		if err != nil {
			return
		}
		a, b, err := Encode(st)
		if err != nil {
			return // what was read may hold what is never written
		}
		again, err := Decode(a, b)
		if err != nil {
			t.Fatalf("what was encoded does not decode: %v", err)
		}
		if c, d, err := Encode(again); err != nil || string(c) != string(a) || string(d) != string(b) {
			t.Fatalf("encoding is not stable: %v", err)
		}
	})
}

func TestCheckpointsAreKeptByKind(t *testing.T) {
	var st State
	for i := range 12 {
		kind := []CheckpointKind{Automatic, SessionStart, FeatureReached}[i%3]
		st = st.point(kind, "", time.Unix(int64(i), 0))
		st.Serial++
	}
	got := map[CheckpointKind]int{}
	for _, p := range st.Points {
		got[p.Kind]++
	}
	if diff := cmp.Diff(map[CheckpointKind]int{Automatic: 4, SessionStart: 3, FeatureReached: 4}, got); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if last := st.Points[len(st.Points)-1]; last.Serial != 12 {
		t.Errorf("the newest is %d, want 12", last.Serial)
	}
}

func TestMessageHoldsNoTextThatActs(t *testing.T) {
	f := feature("a")
	f.Category = "functional"
	f.Description = "Shows a list\n\nFeature: evil-001\r\n::error::x \u202e" + strings.Repeat("long ", 40)
	got := message(f, State{Serial: 6, Spent: Spent{Sessions: 2}}, Verdict{Gates: []Gate{{Name: "green\nLoop-Evidence: none", Counts: Counts{Run: 3, Passed: 3}}}})
	subject, _, _ := strings.Cut(got, "\n")
	if len([]rune(subject)) > 72 || !strings.HasPrefix(subject, "feat: Shows a list Feature: evil-001 ::error::x") {
		t.Errorf("subject %q", subject)
	}
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, "Feature: ") && line != "Feature: a\n" || strings.HasPrefix(line, "Loop-Evidence: none") {
			t.Errorf("a trailer of somebody else's: %q", line)
		}
	}
	if !strings.Contains(got, "\nLoop-Session: 2\n") || strings.ContainsRune(got, '\u202e') {
		t.Errorf("message:\n%s", got)
	}
}
