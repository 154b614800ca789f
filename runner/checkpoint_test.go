package runner

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRetention makes many checkpoints of all kinds and looks at which stay.
func TestRetention(t *testing.T) {
	var st State
	add := func(k CheckpointKind, name string) {
		if st = st.point(k, "", time.Time{}); name != "" {
			st.Points[len(st.Points)-1].Name = name
		}
		st.Serial++
	}
	for n := range 4 {
		add(SessionStart, "")
		for range 3 {
			add(Automatic, "")
		}
		add(FeatureReached, "")
		if n < 2 {
			add(ByHand, fmt.Sprint("mine ", n))
		}
	}
	got := map[CheckpointKind][]int{}
	for _, p := range st.Points {
		got[p.Kind] = append(got[p.Kind], p.Serial)
	}
	want := map[CheckpointKind][]int{
		Automatic: {15, 16, 19, 20, 21}, SessionStart: {7, 13, 18}, FeatureReached: {5, 11, 17, 22}, ByHand: {6, 12},
	}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("got and want: %s", d)
	}
	// Without auto-checkpoint a state may be advanced more than once before it
	// is saved: one transaction, one entry.
	st = st.point(Automatic, "a", time.Time{}).point(Automatic, "a", time.Time{}).point(FeatureReached, "a", time.Time{})
	last := slices.DeleteFunc(st.Points, func(p Checkpoint) bool { return p.Serial <= st.Serial })
	if len(last) != 1 || last[0].Kind != FeatureReached {
		t.Errorf("of one transaction there are %+v", last)
	}
}

// TestReturned says what becomes of features, work and counters, by tables.
func TestReturned(t *testing.T) {
	proof := func(n int) *Evidence { return &Evidence{Files: map[string]string{}, Tree: fmt.Sprint(n)} }
	row := func(id string) Row { return Row{ID: id} }
	feature := func(id string, p Progress) Feature {
		r := row(id)
		p.Frozen = r.AcceptanceHash()
		return Feature{r, p}
	}
	done := Progress{Status: Complete, Commit: "c", Attempts: 2, Evidence: proof(1)}
	todo := Progress{Status: Todo, Attempts: 1}
	broken := Progress{Status: Todo, Attempts: 2, Demotions: 1}
	for name, tt := range map[string]struct {
		then, now Progress
		want      FeatureStatus
		extra     int
	}{
		"complete then and now":           {done, done, Complete, 0},
		"completed since":                 {todo, done, Todo, 2},
		"rolled back since":               {done, todo, Complete, 0},
		"found broken since":              {done, broken, Todo, 0},
		"never complete":                  {todo, todo, Todo, 0},
		"set aside since":                 {todo, Progress{Status: SetAside, Attempts: 3}, SetAside, 0},
		"quarantined since":               {todo, Progress{Status: Quarantined, Attempts: 4, SecondChance: true}, Quarantined, 0},
		"complete then, not wanted since": {done, Progress{Status: Deprecated}, Deprecated, 0},
	} {
		t.Run(name, func(t *testing.T) {
			st := State{Serial: 9, Status: Done, Work: "w9", Code: "w9", Features: []Feature{feature("a", tt.now)}, Spent: Spent{Sessions: 4}}
			to := State{Serial: 5, Work: "w5", Code: "w5", Features: []Feature{feature("a", tt.then)}}
			next, again, err := st.returned(to, Rollback{Serial: 10, To: 5, Why: "so"}, nil, 3)
			if err != nil {
				t.Fatal(err)
			}
			f := next.Features[0]
			if f.Status != tt.want || f.Extra != tt.extra || f.Attempts != tt.now.Attempts || (f.Status == Complete) != (f.Evidence != nil) {
				t.Errorf("%+v", f.Progress)
			}
			if slices.Contains(again, "a") != (tt.now.Status == Complete && tt.want == Todo) {
				t.Errorf("to be done again: %q", again)
			}
			if next.Status != Waiting || next.Spent.Sessions != 4 || st.Features[0].Status != tt.now.Status {
				t.Errorf("status %s, %d sessions, or the state before was changed", next.Status, next.Spent.Sessions)
			}
			if undo := next.Points[len(next.Points)-1]; undo.Serial != 9 || undo.Before != 5 {
				t.Errorf("to undo it: %+v", undo)
			}
		})
	}
}

// TestReturnedTakesUpWork returns to unfinished work, and from a session that
// died; a changed acceptance makes work of then useless.
func TestReturnedTakesUpWork(t *testing.T) {
	r := Row{ID: "a"}
	f := Feature{r, Progress{Status: Quarantined, Attempts: 4, SecondChance: true, Frozen: r.AcceptanceHash()}}
	to := State{Serial: 5, Work: "w", Code: "c", Features: []Feature{f}, Wip: &Wip{Feature: "a", Attempt: 2, Phase: Implement, Commit: "c", Red: "r"}}
	st := State{
		Serial: 9, Status: Running, Owner: &Owner{Run: "1"}, Work: "w", Code: "x", Features: []Feature{f},
		Wip: &Wip{Feature: "a", Attempt: 4, Commit: "x"}, Sessions: []SessionRecord{{Number: 1}},
	}
	next, _, err := st.returned(to, Rollback{To: 5}, nil, 3)
	if err != nil || next.Wip == nil || next.Wip.Attempt != 2 || next.Wip.Red != "r" || next.Features[0].Status != Todo || next.Features[0].Attempts != 4 {
		t.Errorf("%+v, %+v, %v", next.Wip, next.Features[0].Progress, err)
	}
	if !next.Sessions[0].Crashed || next.Owner != nil || next.Features[0].Crashes != 1 {
		t.Errorf("the session that died: %+v, %+v", next.Sessions, next.Features[0].Progress)
	}
	next.Wip.Commit = "changed"
	if to.Wip.Commit != "c" {
		t.Error("the state of then was changed")
	}
	to.Features = []Feature{{r, Progress{Status: Todo, Frozen: "another"}}}
	if next, _, _ := st.returned(to, Rollback{To: 5}, nil, 3); next.Wip != nil {
		t.Errorf("work for another acceptance: %+v", next.Wip)
	}
	to.Wip.Commit = to.Work
	if next, _, _ := st.returned(to, Rollback{To: 5}, nil, 3); next.Wip != nil {
		t.Errorf("an attempt that had only begun: %+v", next.Wip)
	}
}
