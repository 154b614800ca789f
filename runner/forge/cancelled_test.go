package forge

import (
	"strconv"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
	"github.com/autonomous-loop/autonomous-loop/runner"
)

// What a person cancelled is told apart from what GitHub calls cancelled as well.
func TestCancelled(t *testing.T) {
	const session = 50 * time.Minute
	start := func(t *testing.T, w *world) fakegithub.Run {
		return got(w.StartRun(where, "loop.yml", "workflow_dispatch", boss, nil))(t)
	}
	owner := func(w *world, r fakegithub.Run) runner.Owner {
		return runner.Owner{Run: strconv.FormatInt(r.ID, 10), Attempt: 1, Claimed: w.clock.Now()}
	}
	for name, tt := range map[string]struct {
		happens func(t *testing.T, w *world) runner.Hold
		want    bool
	}{
		"a session that a person cancelled": {func(t *testing.T, w *world) runner.Hold {
			r := start(t, w)
			h := runner.Hold{Owner: owner(w, r)}
			w.clock.at = w.clock.at.Add(20 * time.Minute)
			w.SetRun(r.ID, "completed", "cancelled")
			return h
		}, true},
		"one whose time was up": {func(t *testing.T, w *world) runner.Hold {
			r := start(t, w)
			h := runner.Hold{Owner: owner(w, r)}
			w.clock.at = w.clock.at.Add(time.Hour)
			w.SetRun(r.ID, "completed", "cancelled")
			return h
		}, false},
		"one that had waited for hours before a person cancelled it": {func(t *testing.T, w *world) runner.Hold {
			r := start(t, w)
			w.clock.at = w.clock.at.Add(3 * time.Hour)
			h := runner.Hold{Owner: owner(w, r)}
			w.clock.at = w.clock.at.Add(time.Minute)
			w.SetRun(r.ID, "completed", "cancelled")
			return h
		}, true},
		"one whose job's time was up, which was shorter": {func(t *testing.T, w *world) runner.Hold {
			r := start(t, w)
			h := runner.Hold{Owner: owner(w, r), Due: w.clock.at.Add(30 * time.Minute)}
			w.clock.at = w.clock.at.Add(30*time.Minute - 5*time.Second)
			w.SetRun(r.ID, "completed", "cancelled")
			return h
		}, false},
		"one that a person cancelled late, but before its job's time was up": {func(t *testing.T, w *world) runner.Hold {
			r := start(t, w)
			h := runner.Hold{Owner: owner(w, r), Due: w.clock.at.Add(time.Hour)}
			w.clock.at = w.clock.at.Add(55 * time.Minute)
			w.SetRun(r.ID, "completed", "cancelled")
			return h
		}, true},
		"one that failed, one that a runner lost": {func(t *testing.T, w *world) runner.Hold {
			r := start(t, w)
			w.SetRun(r.ID, "completed", "failure")
			return runner.Hold{Owner: owner(w, r)}
		}, false},
		"one that was deleted": {func(t *testing.T, w *world) runner.Hold {
			return runner.Hold{Owner: runner.Owner{Run: "404404", Attempt: 1, Claimed: w.clock.Now()}}
		}, false},
		"a successor that a person cancelled in the queue": {func(t *testing.T, w *world) runner.Hold {
			r := start(t, w)
			w.SetRun(r.ID, "completed", "success")
			got(w.hub().Continue(t.Context(), next))(t)
			runs := w.Runs(where)
			w.clock.at = w.clock.at.Add(time.Minute)
			w.SetRun(runs[len(runs)-1].ID, "completed", "cancelled")
			w.clock.at = w.clock.at.Add(time.Hour)
			got(w.StartRun(where, "loop.yml", "schedule", boss, nil))(t) // who asks
			return runner.Hold{Owner: owner(w, r), Successor: &next}
		}, true},
		"a successor whose place another run took": {func(t *testing.T, w *world) runner.Hold {
			r := start(t, w)
			w.SetRun(r.ID, "completed", "success")
			got(w.hub().Continue(t.Context(), next))(t)
			runs := w.Runs(where)
			w.clock.at = w.clock.at.Add(time.Minute)
			got(w.StartRun(where, "loop.yml", "schedule", boss, nil))(t)
			w.clock.at = w.clock.at.Add(2 * time.Second)
			w.SetRun(runs[len(runs)-1].ID, "completed", "cancelled")
			return runner.Hold{Owner: owner(w, r), Successor: &next}
		}, false},
		"a successor that waits": {func(t *testing.T, w *world) runner.Hold {
			r := start(t, w)
			w.SetRun(r.ID, "completed", "success")
			got(w.hub().Continue(t.Context(), next))(t)
			return runner.Hold{Owner: owner(w, r), Successor: &next}
		}, false},
		"a successor that nobody asked for": {func(t *testing.T, w *world) runner.Hold {
			r := start(t, w)
			w.SetRun(r.ID, "completed", "success")
			return runner.Hold{Owner: owner(w, r), Successor: &next}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			hold := tt.happens(t, w)
			hold.Session = session
			if cancelled := got(w.hub().Cancelled(t.Context(), hold))(t); cancelled != tt.want {
				t.Errorf("cancelled by a person: %v", cancelled)
			}
		})
	}
}

// If GitHub cannot be asked, that is an error and never an answer.
func TestCancelledUnreachable(t *testing.T) {
	w := newWorld(t)
	w.Fail(fakegithub.Fault{Match: "GET /repos/*/*/actions/runs/*/attempts/*", Status: 500, Times: -1})
	if _, err := w.hub().Cancelled(t.Context(), runner.Hold{Owner: runner.Owner{Run: "1", Attempt: 1}}); err == nil {
		t.Error("no error")
	}
}
