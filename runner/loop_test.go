package runner

import (
	"bytes"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/internal/choose"
)

var replay = flag.String("replay", "", "run only this execution of the space that -run selects: the first word of its failure")

// TestEveryExecution runs the loop through every sequence of outcomes, crashes,
// interruptions and rival sessions of some small spaces, and asserts the
// invariants of DESIGN.md after every session. A failure begins with the
// choices that led to it; -replay runs them again.
//
// Its teeth are kept sharp by TestPlantedBugs (build tag deep), which plants
// these bugs in the loop one by one and sees it fail: the attempt is not spent
// before it is made; a feature is complete whatever the verdict; a candidate
// goes to the work branch without a verdict; a crash is forgotten and its work
// kept; the second chance is given again and again; a session that lost the
// compare-and-swap works on; what others committed is not proved again, stays complete though
// it is broken, is published past or left; a stop is not seen, or a schedule revives what was
// stopped; the successor is asked for twice, or although the
// loop stops, or not at all; a broken feature stays complete, or is not mended
// first; the evidence is left out; the work branch stays
// behind after a crash; a running session is not respected; an interrupted
// attempt is spent again; the end is not told; an honest failure is retried for
// ever; the gates look at another commit than the one that is kept; the tests that were seen
// red are forgotten, or not saved; a feature that a person changed stays
// complete, or one that they took out is lost.
func TestEveryExecution(t *testing.T) {
	for _, s := range spaces {
		t.Run(s.name, func(t *testing.T) { enumerate(t, s.space) })
	}
}

// A tally counts what was enumerated.
type tally struct{ executions, sessions, crashes, choices int }

func (a tally) String() string {
	return fmt.Sprintf("%d executions, %d sessions, %d crashes, %d choices", a.executions, a.sessions, a.crashes, a.choices)
}

func enumerate(t *testing.T, s space) tally {
	if *replay != "" {
		c, err := choose.Replay(*replay)
		if err != nil {
			t.Fatal(err)
		}
		execution(t, c, s, &readings{})
		return tally{}
	}
	var all tally
	var read readings
	begun := time.Now()
	for c := range choose.All() {
		sessions, crashes := execution(t, c, s, &read)
		all = tally{all.executions + 1, all.sessions + sessions, all.crashes + crashes, all.choices + len(c.String())}
	}
	t.Logf("%v, %.1f s", all, time.Since(begun).Seconds())
	return all
}

type namedSpace struct {
	name string
	space
}

// The spaces of every test run; the deep ones are behind the build tag deep.
var spaces = []namedSpace{
	{"broken later", space{features: 2, attempts: 1, perSession: 2, crashes: 1, rots: 1, outcomes: 1}},
	{"broken twice", space{features: 2, attempts: 1, perSession: 2, rots: 2, outcomes: 2}},
	{"broken after two attempts", space{features: 2, attempts: 2, perSession: 2, rots: 1, outcomes: 2}},
	{"one crash", space{features: 2, attempts: 1, perSession: 1, crashes: 1, outcomes: 2, testFirst: true}},
	{"interruptions", space{features: 1, attempts: 2, perSession: 1, stops: 2, outcomes: 9, testFirst: true}},
	{"interruptions, seldom saved", space{features: 1, attempts: 1, perSession: 1, stops: 1, outcomes: 9, testFirst: true, seldom: true}},
	{"budgets", space{features: 1, attempts: 1, perSession: 1, stops: 2, outcomes: 11, testFirst: true}},
	{"repairs", space{features: 2, attempts: 1, repairs: 1, perSession: 2, outcomes: 4, chained: true}},
	{"rivals", space{features: 1, attempts: 1, perSession: 1, crashes: 1, rivals: 1, outcomes: 1}},
	{"the spec changes", space{features: 2, attempts: 1, perSession: 2, changes: 1, outcomes: 2}},
	{"the spec changes, and a crash", space{features: 1, attempts: 1, perSession: 2, crashes: 1, changes: 1, outcomes: 1}},
	{"the spec changes under work", space{features: 2, attempts: 1, perSession: 1, stops: 1, changes: 1, halfway: true}},
	{"the spec is unclear", space{features: 1, attempts: 1, perSession: 1, changes: 1, unclear: 1, outcomes: 1}},
	{"a person stops it", space{features: 2, attempts: 1, perSession: 1, halts: 2, outcomes: 1}},
	{"a person stops it, and a crash", space{features: 1, attempts: 1, perSession: 1, halts: 1, crashes: 1, outcomes: 1}},
	{"a transaction cannot be saved", space{features: 2, attempts: 2, perSession: 1, refused: 1, outcomes: 1, testFirst: true}},
	{"the remote refuses work", space{features: 1, attempts: 1, perSession: 1, strips: 2, outcomes: 1, testFirst: true}},
	{"the remote refuses work that is interrupted", space{features: 1, attempts: 1, perSession: 1, strips: 1, stops: 1, outcomes: 5}},
	{"people commit", space{features: 2, attempts: 1, perSession: 1, people: 2, outcomes: 1}},
	{"people commit under work in progress", space{features: 1, attempts: 1, perSession: 1, people: 1, bases: 1, stops: 1, outcomes: 5, testFirst: true}},
	{"people commit, and a crash", space{features: 2, attempts: 1, perSession: 2, people: 1, crashes: 1, outcomes: 1}},
	{"the base branch moves", space{features: 2, attempts: 1, perSession: 1, bases: 2, outcomes: 1}},
	{"the base branch moves in conflict", space{features: 2, attempts: 2, perSession: 1, repairs: 1, bases: 2, outcomes: 1}},
	{"the base branch moves, and a crash", space{features: 1, attempts: 1, perSession: 1, bases: 1, crashes: 1, outcomes: 1}},
	{"inconclusive", space{features: 1, attempts: 2, repairs: 1, perSession: 1, outcomes: 2, judgements: 2}},
}

// execution runs sessions until the loop has come to its end, and returns how
// many, and how many of them crashed.
func execution(t *testing.T, c *choose.Chooser, s space, read *readings) (sessions, crashes int) {
	read.n = 0
	w := &world{t: t, c: c, space: s, read: read, crashes: s.crashes, rivals: s.rivals, stops: s.stops, rots: s.rots, changes: s.changes, unclear: s.unclear, refused: s.refused, strips: s.strips, halts: s.halts, people: s.people, bases: s.bases, clock: time.Unix(1e9, 0).UTC(), begun: map[string]int{}, meant: map[string]string{}}
	w.remote.commits = map[string]commit{"base": {tree: tree{}}}
	w.remote.base = "base"
	w.remote.rotten = map[string]bool{}
	w.remote.files, w.remote.over, w.remote.asked = map[string][]byte{}, map[string]bool{}, map[int]int{}
	person := false
	for n := 1; ; n++ {
		// I5: every loop ends.
		if n > w.maxSessions()+s.crashes+s.unclear+s.refused+4*s.halts+2 {
			t.Fatalf("%v: still going after %d sessions", c, n)
		}
		trigger := ByChain
		if n > 1 && !w.expected() {
			trigger = ByClock // the dead man's switch
		}
		if person {
			trigger, person = ByPerson, false
		}
		if w.changes > 0 && w.c.Bool() {
			w.changes--
			w.spec++
		}
		if w.people > 0 && w.remote.work != "" && w.c.Bool() {
			w.committed()
		}
		if w.bases > 0 && w.remote.state != nil && w.c.Bool() {
			w.moved()
		}
		before, atWork := w.remote.moves, w.frozen
		res, err, lived := w.session(trigger)
		w.check(res, err, lived, before)
		if atWork != "" { // another session owns the loop and is at work, however long
			if lived && w.claimed {
				t.Fatalf("%v: the loop was claimed while %s is at work on it", c, atWork)
			}
			w.remote.over[atWork], w.frozen = true, ""
		}
		if !lived || res.Decision != Stop || err != nil && w.remote.truth.Status == Running { // the end could not be saved
			continue
		}
		if res.HandoffReason != nil && *res.HandoffReason == Superseded {
			continue
		}
		if w.remote.halt.Why != "" && w.remote.truth.Status == Stopped {
			w.staysStopped()
			person = true
			continue
		}
		if w.changes > 0 && w.c.Bool() { // and a person starts the loop again
			w.changes--
			w.spec++
			continue
		}
		crashes = s.crashes - w.crashes
		w.changes = 0
		w.checkEnd(res)
		return n, crashes
	}
}

// expected says whether a successor was asked for.
func (w *world) expected() bool {
	return w.remote.asked[w.remote.truth.Serial] > 0
}

// check asserts what must hold after every session.
func (w *world) check(res LoopResult, err error, lived bool, before int) {
	w.t.Helper()
	fail := func(format string, args ...any) {
		w.t.Helper()
		w.t.Fatalf("%v: "+format, append([]any{w.c}, args...)...)
	}
	if w.remote.state == nil {
		if w.remote.work != "" {
			fail("there is a work branch without a state")
		}
		return
	}
	st := w.remote.truth
	if w.loads > 1 {
		fail("the state was read %d times", w.loads) // I7
	}
	// I1: the work branch never holds code that was not verified as a whole. A
	// feature that broke is no part of that until it is complete again.
	for id := w.remote.work; id != ""; id = w.remote.commits[id].parent {
		for name, state := range w.remote.commits[id].tree {
			f, _ := st.Feature(name)
			if w.remote.commits[id].others || f.ID == "" {
				continue // people's own
			}
			if !works(state) && (f.Demotions == 0 || f.Status == Complete && id == w.remote.work && w.ancestor(f.Commit, id)) {
				fail("%s is %s on the work branch", name, state)
			}
		}
	}
	for _, f := range st.Features {
		// I2: complete means: code in this transaction's history, evidence in it.
		if f.Status == Complete {
			if !w.ancestor(f.Commit, w.remote.code) || !does(w.remote.commits[f.Commit].tree[f.ID], f) {
				fail("%s is complete but its code is not in %s", f.ID, w.remote.code)
			}
			if lived && w.claimed && !w.ancestor(f.Commit, w.remote.work) {
				fail("%s is complete but not on the work branch", f.ID)
			}
		}
		// I3: no feature is tried more often than allowed.
		if n := w.begun[f.ID]; n > w.space.attempts+1+f.Extra || n > f.Attempts {
			fail("%s was tried %d times, %d are counted", f.ID, n, f.Attempts)
		}
		// Only a demotion grants more, and each is for a feature that broke; and a
		// person who changes what it is to be.
		if f.Extra > (w.space.attempts+2)*(w.space.rots+w.space.changes+w.space.people+w.space.bases) || f.Demotions > w.space.rots+w.space.people {
			fail("%s was granted %d attempts and demoted %d times", f.ID, f.Extra, f.Demotions)
		}
		// What the gates found broken is complete no more, unless it was mended.
		if lived && err == nil && f.Status == Complete && slices.Contains(w.told, f.ID) && w.rotten(w.remote.commits[st.Work].tree, f.ID) {
			fail("%s is complete although it was found broken", f.ID)
		}
	}
	// I2, too: the evidence of what is complete is there, and its chain is whole.
	records, flaws := st.CheckEvidence(w.evidence())
	if len(flaws) > 0 {
		fail("evidence: %v", flaws)
	}
	for _, f := range st.Features {
		if !slices.ContainsFunc(records, func(r Record) bool { return r.Feature == f.ID && r.Commit == f.Commit }) && f.Status == Complete {
			fail("%s is complete without a record of evidence", f.ID)
		}
	}
	for _, t := range st.Taken {
		if !slices.ContainsFunc(records, func(r Record) bool { return r.Feature == TakenIn && r.Commit == t.Commit }) && t.Commit != "" {
			fail("%s was taken in without a record of what was proved again", t.Tip)
		}
	}
	// What others committed stays: no work of ours goes on from before it.
	for id, c := range w.remote.commits {
		for name := range c.tree {
			if _, there := w.remote.commits[w.remote.work].tree[name]; c.others && !there && (strings.HasPrefix(name, "person") || strings.HasPrefix(name, "base")) && w.ancestor(id, w.remote.work) {
				fail("%s, which somebody else committed, is lost", name)
			}
		}
	}
	if st.Spent.Sessions > w.maxSessions()+w.space.crashes {
		fail("%d sessions were claimed", st.Spent.Sessions) // I5
	}
	for serial, n := range w.remote.asked {
		if n > 1 {
			fail("%d successors were asked for after %d", n, serial) // I4
		}
	}
	if !lived {
		return
	}
	// I4: continue asks for one successor, wait and stop for none.
	if err == nil && res.Decision == Continue != (w.remote.asked[res.Serial] == 1 && res.Serial == st.Serial) {
		fail("decision %s, but %d successors of %d", res.Decision, w.remote.asked[res.Serial], res.Serial)
	}
	if lived && !w.claimed && w.remote.moves != before && w.rivals == w.space.rivals {
		fail("a session that did not claim the loop wrote to it")
	}
	if w.claimed && st.Status == Running && err == nil {
		fail("a session ended alive and left the loop running")
	}
	if s := w.space; err != nil && s.stops+s.refused+s.strips+s.unclear+s.rivals+s.halts+s.bases == 0 {
		fail("nothing went wrong, and a session ends with an error: %v", err)
	}
}

func (w *world) evidence() []File {
	var files []File
	for name, data := range w.remote.files {
		if strings.HasPrefix(name, "evidence/") {
			files = append(files, File{name, data})
		}
	}
	return files
}

func (w *world) ancestor(ancestor, id string) bool {
	return reaches(w.remote.commits, id, ancestor)
}

// checkEnd asserts what must hold when the loop has stopped: the result tells
// what is on the work branch, and one more session changes nothing.
func (w *world) checkEnd(res LoopResult) {
	w.t.Helper()
	st := w.remote.truth
	for id, c := range w.remote.commits {
		if c.others && strings.HasPrefix(id, "base+") && !w.ancestor(id, w.remote.work) {
			w.t.Fatalf("%v: what a person committed, %s, is not on the work branch at the end", w.c, id)
		}
		if c.others && w.ancestor(id, st.Work) && !slices.ContainsFunc(st.Taken, func(t Taken) bool { return t.Commit != "" && w.ancestor(id, t.Tip) }) && !w.ancestor(id, st.Base.Commit) {
			w.t.Fatalf("%v: %s was taken in, and nothing says so", w.c, id)
		}
	}
	good := 0
	for id, state := range w.remote.commits[w.remote.work].tree {
		// Nobody knows of one that broke after it was judged last.
		if f, _ := st.Feature(id); f.Status != Deprecated && does(state, f) && (f.Demotions == 0 || !w.rotten(w.remote.commits[w.remote.work].tree, id)) {
			good++
		}
	}
	if res.FeaturesCompleted != good {
		w.t.Fatalf("%v: %d features are reported, the work branch has %d", w.c, res.FeaturesCompleted, good)
	}
	for _, f := range st.Features {
		if st.Status == DoneWithExcept && f.Status != Complete && f.Status != Quarantined && f.Status != Deprecated && !st.Blocked(f) {
			w.t.Fatalf("%v: the loop ended, but %s is %s and had no second chance", w.c, f.ID, f.Status)
		}
	}
	ended := st.Status == Done || st.Status == DoneWithExcept
	if ended && w.space.changes > 0 && !st.From(w.wants()) {
		w.t.Fatalf("%v: the loop ended, and what a person changed was not taken up", w.c)
	}
	if total := len(w.rows()); ended && res.FeaturesTotal != total {
		w.t.Fatalf("%v: %d features are asked for, and %d reported", w.c, total, res.FeaturesTotal)
	}
	state := w.remote.state
	w.crashes, w.rivals, w.people, w.bases = 0, 0, 0, 0
	if _, _, lived := w.session(ByClock); !lived || !bytes.Equal(w.remote.state, state) && !w.healed(st) {
		w.t.Fatalf("%v: a session after the end changed the state", w.c)
	}
}

// staysStopped asserts that nothing but a person starts a loop again that a
// person stopped, and they only when they have taken back what stopped it.
func (w *world) staysStopped() {
	w.t.Helper()
	state := w.remote.state
	in := func(trigger Trigger) {
		w.t.Helper()
		res, err, lived := w.session(trigger)
		if lived && (err != nil || res.Decision != Stop || w.claimed || !bytes.Equal(w.remote.state, state)) {
			w.t.Fatalf("%v: a loop that a person stopped goes on by %s: %s, %v", w.c, trigger, res.Decision, err)
		}
	}
	in(ByClock)
	if w.remote.halt.Command == "" {
		in(ByPerson)
		w.remote.halt = Halt{}
	}
}

// healed says whether all that a session after the end did was to keep a
// receipt that was lost.
func (w *world) healed(before State) bool {
	after := w.remote.truth
	return after.Serial == before.Serial+1 && after.Epoch == before.Epoch && after.Effects["comment"] != before.Effects["comment"]
}
