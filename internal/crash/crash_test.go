package crash

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A golden run is one that nothing happened to.
type golden struct {
	projection
	effects []effect
	asked   int
	took    time.Duration
}

var goldens struct {
	sync.Mutex
	runs map[string]golden
}

// peace is what a loop comes to that is left in peace, run once for each form.
func peace(t *testing.T, form form) golden {
	t.Helper()
	goldens.Lock()
	defer goldens.Unlock()
	if g, ok := goldens.runs[form.name]; ok {
		return g
	}
	w := form.world(t)
	begun := time.Now()
	w.play()
	g := golden{projection: w.project(), effects: w.effects, asked: w.asked, took: time.Since(begun)}
	if len(g.Flaws) > 0 || g.Pulls != 1 || g.Comments != 1 || len(g.Verdicts) != 2 || len(g.Leftover) > 0 {
		w.fail("a loop that was left in peace came to %+v", g.projection)
	}
	for id, verdict := range g.Verdicts {
		if verdict != "complete, verified" {
			w.fail("%s is %s", id, verdict)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	if goldens.runs == nil {
		goldens.runs = map[string]golden{}
	}
	goldens.runs[form.name] = g
	return g
}

// A form is how a loop is set up.
type form struct {
	name   string
	binary func() (string, error)
	two    bool
	env    []string
	files  map[string]string // of the repository; nil: those of project
}

func (f form) world(t testing.TB) *world {
	files := f.files
	if files == nil {
		files = project
	}
	w := newWorld(t, need(t, f.binary), files, f.env...)
	w.two = f.two
	return w
}

var (
	oneJob  = form{name: "one job", binary: swift}
	twoJobs = form{name: "two jobs", binary: swift, two: true}
)

// same holds a loop that something happened to against one that was left in
// peace: it has come to the same end, and has not paid for it more than one
// retry for each time that something happened.
func (w *world) same(g golden, times int) {
	w.t.Helper()
	if d := cmp.Diff(g.projection, w.project()); d != "" {
		w.fail("it came to another end than in peace (-peace +this):\n%s", d)
	}
	// Of a session nothing is lost but the phase at work: it pays the first
	// question again, and the plan or the two of an attempt.
	const retry = 4
	if w.asked > g.asked+times*retry {
		w.fail("the model was asked %d times, in peace %d", w.asked, g.asked)
	}
}

// A count is what a test has done, for its last line.
type count struct {
	sync.Mutex
	executions, runs, met int
	begun                 time.Time
}

func (c *count) add(w *world) {
	c.Lock()
	defer c.Unlock()
	c.executions++
	c.runs += len(w.runs)
	c.met += w.met
}

func (c *count) tell(t *testing.T, what string) {
	t.Logf("%d executions, %d processes, %d %s, %.0f s", c.executions, c.runs, c.met, what, time.Since(c.begun).Seconds())
}

// chosen says whether a moment is tried. By the tag deep all are, but of the
// two-job form only those that a second job makes different; else a sample is.
func chosen(f form, n int, m kill, e effect) bool {
	switch {
	case deep && !f.two:
		return m != after || e.changes // after a question is before the next
	case deep:
		return e.changes && m == lost || e.job == "continue"
	}
	switch {
	case strings.HasSuffix(e.what, "/dispatches"):
		return m == lost
	case strings.HasPrefix(e.what, "POST /repos/"):
		return m == lost && !f.two
	}
	return !f.two && m == moments[n%len(moments)] && n%20 == 7
}

// TestKillAtEveryRequest kills the program with SIGKILL before, after,
// and with the answer lost of every request that a loop makes: to git, to the
// forge, to the artifact service and to the model. The schedule goes on from
// there, and the loop ends as if nothing had happened.
func TestKillAtEveryRequest(t *testing.T) {
	for _, f := range []form{oneJob, twoJobs} {
		g := peace(t, f)
		t.Logf("%s: in peace %d requests, %d questions, %.1f s", f.name, len(g.effects), g.asked, g.took.Seconds())
		c := count{begun: time.Now()}
		t.Run(f.name, func(t *testing.T) {
			for n, e := range g.effects {
				for _, m := range moments {
					if !chosen(f, n, m, e) {
						continue
					}
					t.Run(fmt.Sprintf("%d %s %s", n+1, m, strings.ReplaceAll(e.what, "/", "|")), func(t *testing.T) {
						t.Parallel()
						w := f.world(t)
						w.meet = func(w *world, at int, _ effect) fault {
							if at == n+1 {
								return fault{kill: m}
							}
							return fault{}
						}
						w.play()
						w.same(g, 1)
						if w.met != 1 {
							w.fail("it was killed %d times", w.met)
						}
						c.add(w)
					})
				}
			}
		})
		c.tell(t, "kills")
	}
}
