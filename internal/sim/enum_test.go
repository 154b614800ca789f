package sim

import (
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A projection is what a loop came to, without what may differ between one that
// something happened to and one that was left in peace.
type projection struct {
	Status   runner.LoopStatus
	Features map[string]string
	Work     string // the tree of the work branch
	Pulls    int    // open
	Comments int
}

func (w *world) project() projection {
	work := maps.Clone(w.remote.commits[w.remote.work].tree)
	var base runner.Taken // what became of it last
	for _, t := range w.remote.truth.Taken {
		if t.From == runner.BaseLine {
			base = t
		}
	}
	if base.Tip != "" && base.Commit == "" { // the loop says that it has left it: people merge it with the pull request
		for name, text := range w.remote.commits[base.Tip].tree {
			if _, ok := work[name]; !ok {
				work[name] = text
			}
		}
	}
	p := projection{Status: w.remote.truth.Status, Features: map[string]string{}, Work: treeID(work)}
	for _, f := range w.remote.truth.Features {
		p.Features[f.ID] = fmt.Sprintf("%s, %s", f.Status, f.Outcome)
	}
	for _, pull := range w.hub.Pulls(repoName) {
		if pull.State == "open" {
			p.Pulls++
		}
		p.Comments += len(w.hub.Comments(repoName, pull.Number))
	}
	return p
}

// forms are the worlds in which every call fails once.
var forms = []rules{
	{features: 2, atomic: true, group: true},
	{features: 2, two: true},
	{features: 2, others: true},
}

// peaceful plays a world in which nothing happens.
func peaceful(t *testing.T, r rules) *world {
	t.Helper()
	w := newWorld(r)
	w.play()
	if len(w.wrong) > 0 || w.remote.truth.Status != runner.Done {
		t.Fatalf("in peace it comes to %s: %q\n%s", w.remote.truth.Status, w.wrong, tail(w.log.Bytes()))
	}
	asked := 0
	for _, run := range w.hub.Runs(repoName) {
		if run.Inputs["serial"] != "" {
			asked++
		}
	}
	if asked != r.features-1 {
		t.Fatalf("in peace %d successors are asked for, %d features\n%s", asked, r.features, tail(w.log.Bytes()))
	}
	return w
}

// meeting plays a world whose nth effect meets f, and says whether it did. The
// world must be right at every moment and come to the same end as in peace.
func meeting(t *testing.T, r rules, golden projection, at map[int]fault) (w *world, met bool) {
	t.Helper()
	left := len(at)
	r.meet = func(n int, _ string) fault {
		if f, ok := at[n]; ok {
			left--
			return f
		}
		return fault{}
	}
	w = newWorld(r)
	w.play()
	if d := cmp.Diff(golden, w.project()); d != "" || len(w.wrong) > 0 {
		t.Fatalf("two jobs: %v, faults %v: %q\n%s\n%s", r.two, at, w.wrong, d, tail(w.log.Bytes()))
	}
	return w, left == 0
}

// TestEveryError lets the nth call of a loop fail, for n = 1, 2, 3 ... until a run
// has not met it: to git, to the disk, to the forge, to the model and to the
// gates; in ten ways, once and from then on until the process ends. Then the
// fault is gone, and the loop comes to the same end.
func TestEveryError(t *testing.T) {
	t.Parallel()
	var all counts
	runs := 0
	for _, r := range forms {
		golden := peaceful(t, r).project()
		for i, kind := range errorKinds {
			for _, sticky := range []bool{false, true} {
				for n, met := 1, true; met; n++ {
					if (!deep || r.others) && n%len(errorKinds) != i {
						continue // a sample: each call fails in one of the ways
					}
					var w *world
					w, met = meeting(t, r, golden, map[int]fault{n: {kind, sticky}})
					all.add(w.count)
					runs++
				}
			}
		}
	}
	t.Logf("%d executions: %v", runs, all)
}

// TestEveryKillInTheModel kills the process at every effect, at its start, at its
// end, and with the answer lost.
func TestEveryKillInTheModel(t *testing.T) {
	t.Parallel()
	var all counts
	runs := 0
	for _, r := range forms {
		golden := peaceful(t, r).project()
		for _, kind := range killKinds[:2] { // after it is before the next
			for n, met := 1, true; met; n++ {
				var w *world
				w, met = meeting(t, r, golden, map[int]fault{n: {kind: kind}})
				all.add(w.count)
				runs++
			}
		}
	}
	t.Logf("%d executions: %v", runs, all)
}

// TestEveryPairOfFaults has a second fault happen while the first is recovered
// from: all pairs of remote effects, each with its answer lost and the process
// killed.
func TestEveryPairOfFaults(t *testing.T) {
	t.Parallel()
	var all counts
	runs := 0
	for _, r := range forms[:2] {
		in := peaceful(t, r)
		golden := in.project()
		step := 1
		if !deep {
			step = 7
		}
		for k := 1; k <= in.count.Effects; k += step {
			first, met := meeting(t, r, golden, map[int]fault{k: {kind: killLost}})
			if !met {
				t.Fatalf("%d effects, but %d is not met", in.count.Effects, k)
			}
			for j := k + 1; j <= first.count.Effects; j += step {
				w, _ := meeting(t, r, golden, map[int]fault{k: {kind: killLost}, j: {kind: killKinds[(k+j)%2]}})
				all.add(w.count)
				runs++
			}
		}
	}
	t.Logf("%d pairs: %v", runs, all)
}

// TestWrongWorldsAreSeen: the checks of the simulation see a world that is
// wrong in each of these ways.
func TestWrongWorldsAreSeen(t *testing.T) {
	t.Parallel()
	for what, spoil := range map[string]func(w *world){
		"an owner is left":             func(w *world) { w.remote.truth.Owner = &runner.Owner{Run: "1"} },
		"the work branch stays behind": func(w *world) { w.remote.work = "base" },
		"unverified code is on the branch": func(w *world) {
			w.remote.commits[w.remote.work].tree["f0"] = "wrong"
			w.check()
		},
		"evidence is lost": func(w *world) { clear(w.remote.files); w.check() },
	} {
		w := peaceful(t, forms[0])
		spoil(w)
		w.end()
		if len(w.wrong) == 0 {
			t.Errorf("%s, and nobody says so", what)
		}
	}
}
