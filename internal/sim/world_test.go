// Package sim holds no code but tests: a loop in a simulated world, over virtual
// time. The sessions and the forge's adapter are the real ones; git, GitHub, the
// model and the people are in this process, and a seed decides what they do and
// what goes wrong, so that a run can be played again to the byte.
package sim

import (
	"bytes"
	"container/heap"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
	"github.com/autonomous-loop/autonomous-loop/runner"
)

const (
	repoName = "octo/sim"
	jobToken = "job"
	flow     = `name: loop
run-name: loop ${{ inputs.lineage || github.event_name }}#${{ inputs.serial || '-' }}
on:
  schedule: [{cron: '23 */6 * * *'}]
  workflow_dispatch:
    inputs: { loop: { type: string }, lineage: { type: string }, serial: { type: string } }
jobs: {}
`
)

// A world is everything outside of the sessions. One goroutine is at work at a
// time, which the queue of events decides.
type world struct {
	rules
	rng    *rand.Rand
	now    time.Time
	events queue
	seq    int
	log    bytes.Buffer
	hub    *fakegithub.Server
	remote remote
	procs  []*proc // at work
	born   int     // processes so far
	wrong  []string
	active map[string]bool // sites of faults: whether they may have any, in this world
	healed bool
	count  counts
	spec   int  // how often a person changed it
	lived  bool // the last run did
	quiet  bool
	passed chan struct{} // the baton comes back to the queue
}

// Rules are how a world is set up, and what may happen in it.
type rules struct {
	seed     uint64
	random   bool // people, rivals, crashes and faults by the seed; else only what meet says
	two      bool // the two-job form
	group    bool // sessions wait for each other, as a concurrency group makes them
	others   bool // the base branch moves when the loop has begun, and a person commits as soon as there is a work branch
	atomic   bool // both branches move in one push
	features int
	// meet says what happens to the nth effect of the world; nil: nothing does.
	meet func(n int, what string) fault
}

// Counts are what happened in a world.
type counts struct {
	Effects, Processes, Sessions, Faults, Kills, Cancels, Rivals, Zombies, Changes, Commits, Moves int
	Virtual                                                                                        time.Duration
}

func (c *counts) add(o counts) {
	c.Effects += o.Effects
	c.Processes += o.Processes
	c.Sessions += o.Sessions
	c.Faults += o.Faults
	c.Kills += o.Kills
	c.Cancels += o.Cancels
	c.Rivals += o.Rivals
	c.Zombies += o.Zombies
	c.Changes += o.Changes
	c.Commits += o.Commits
	c.Moves += o.Moves
	c.Virtual += o.Virtual
}

func (c counts) String() string {
	return fmt.Sprintf("%d effects, %d processes, %d sessions, %d faults, %d kills, %d cancels, %d rivals, %d zombies, %d changes of the spec, %d commits of people, %d moves of the base branch, %.0f days of virtual time",
		c.Effects, c.Processes, c.Sessions, c.Faults, c.Kills, c.Cancels, c.Rivals, c.Zombies, c.Changes, c.Commits, c.Moves, c.Virtual.Hours()/24)
}

// An event is something that is due at a moment. Of two at the same moment the
// one that was entered first comes first.
type event struct {
	at  time.Time
	seq int
	do  func()
}

type queue []event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at.Before(q[j].at) || q[i].at.Equal(q[j].at) && q[i].seq < q[j].seq
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(event)) }
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}

var begin = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func newWorld(r rules) *world {
	w := &world{rules: r, rng: rand.New(rand.NewPCG(r.seed, 1)), now: begin, active: map[string]bool{}, passed: make(chan struct{})}
	if r.random {
		w.two, w.group, w.atomic, w.features = w.chance(50), w.chance(50), w.chance(70), 1+w.rng.IntN(3)
	}
	w.remote = newRemote()
	w.hub = fakegithub.New(fakegithub.Options{Token: jobToken, Now: func() time.Time { return w.now }, Git: w.git})
	if err := w.hub.AddRepo(repoName); err != nil {
		panic(err)
	}
	return w
}

// chance is true in so many of a hundred cases.
func (w *world) chance(percent int) bool { return w.rng.IntN(100) < percent }

// between draws a duration.
func (w *world) between(low, high time.Duration) time.Duration {
	if !w.random {
		return low
	}
	return low + time.Duration(w.rng.Int64N(int64(high-low)))
}

func (w *world) in(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.events, event{w.now.Add(d), w.seq, do})
}

func (w *world) say(format string, args ...any) {
	fmt.Fprintf(&w.log, "%s "+format+"\n", append([]any{w.now.Sub(begin)}, args...)...)
}

func (w *world) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.say("WRONG: %s", text)
	w.wrong = append(w.wrong, text)
}

// git answers the few questions that the fake GitHub has for git.
func (w *world) git(args ...string) (string, error) {
	last := args[len(args)-1]
	switch args[0] {
	case "ls-tree":
		return ".github/workflows/loop.yml", nil
	case "show":
		return flow, nil
	case "rev-parse":
		switch strings.TrimPrefix(last, "refs/heads/") {
		case "main":
			return w.remote.base, nil
		case "autonomous-loop/main":
			if w.remote.work != "" {
				return w.remote.work, nil
			}
		}
		return "", fmt.Errorf("no ref %s", last)
	case "rev-list":
		return fmt.Sprint(len(w.remote.commits)), nil
	}
	panic(fmt.Sprintf("sim: git %q", args))
}

// play runs the world until nothing is left to happen.
func (w *world) play() {
	w.people()
	for len(w.events) > 0 && len(w.wrong) == 0 && !w.quiet {
		e := heap.Pop(&w.events).(event)
		if e.at.After(w.now) {
			w.now = e.at
		}
		e.do()
		w.runners()
		if w.now.Sub(begin) > patience {
			w.fail("it is not quiet after %v", w.now.Sub(begin))
		}
	}
	w.count.Virtual = w.now.Sub(begin)
	for _, p := range w.procs { // nobody is left behind
		p.dead = true
		p.resume()
	}
	if len(w.wrong) == 0 {
		w.end()
	}
}

const (
	healthy  = 3 * 24 * time.Hour // after it nothing goes wrong any more
	patience = 90 * 24 * time.Hour
)

// A proc is one process of the loop: a session, or the job that asks for the
// next one.
type proc struct {
	w       *world
	name    string
	run     int64
	mode    runner.Mode
	began   time.Time
	baton   chan struct{}
	wait    int // number of the wait it is in
	dead    bool
	cancel  context.CancelCauseFunc
	ctx     context.Context //nolint:containedctx // a process of the simulation ends with it
	over    func(*proc, bool)
	sticky  *fault
	trigger runner.Trigger
	lineage string
	shelf
}

// start begins a process now.
func (w *world) start(p *proc) {
	w.born++
	w.count.Processes++
	p.w, p.name, p.began, p.baton = w, fmt.Sprintf("p%d", w.born), w.now, make(chan struct{})
	ctx, cancel := context.WithCancelCause(context.Background())
	p.ctx, p.cancel = ctx, cancel
	w.procs = append(w.procs, p)
	w.say("%s starts: run %d, %s, by %s", p.name, p.run, p.mode, p.trigger)
	go func() {
		<-p.baton
		lived := false
		defer func() {
			if e := recover(); e != nil {
				w.fail("%s panics: %v", p.name, e)
			}
			cancel(nil)
			w.procs = remove(w.procs, p)
			w.say("%s is over, alive: %v", p.name, lived)
			p.over(p, lived)
			w.passed <- struct{}{}
		}()
		if !p.dead {
			p.main()
			lived = true
		}
	}()
	const soft = 42 * time.Minute
	w.in(soft, func() { p.interrupt(&runner.StopError{Reason: runner.SessionTime}) })
	w.in(0, p.resume)
}

// resume hands the baton to a process and waits until it comes back.
func (p *proc) resume() {
	p.baton <- struct{}{}
	<-p.w.passed
}

// pause lets d pass for the process, or less if it is interrupted and ctx given.
func (p *proc) pause(ctx context.Context, d time.Duration) {
	p.wait++
	n := p.wait
	if ctx.Err() != nil {
		d = 0
	}
	p.w.in(d, func() {
		if p.wait == n && p.w.has(p) {
			p.resume()
		}
	})
	p.w.passed <- struct{}{}
	<-p.baton
	p.wait++
	if p.dead {
		runtime.Goexit()
	}
}

// interrupt ends the process's work, for which it has some time left.
func (p *proc) interrupt(cause *runner.StopError) {
	if !p.w.has(p) || p.dead || p.ctx.Err() != nil {
		return
	}
	p.w.say("%s is interrupted: %s", p.name, cause.Reason)
	p.cancel(cause)
	if p.working {
		p.working = false
		p.resume()
	}
}

// kill ends the process at once.
func (p *proc) kill() {
	if !p.w.has(p) || p.dead {
		return
	}
	p.w.say("%s is killed", p.name)
	p.w.count.Kills++
	p.dead = true
	p.resume()
}

func (w *world) has(p *proc) bool {
	return slices.Contains(w.procs, p)
}

func remove(all []*proc, p *proc) []*proc {
	var kept []*proc
	for _, o := range all {
		if o != p {
			kept = append(kept, o)
		}
	}
	return kept
}

// A remote is the git repository that everybody pushes to.
type remote struct {
	state, list []byte
	truth       runner.State // both, decoded
	moves       int          // of the state branch
	work        string
	base        string
	broken      map[string]bool // features that a person once broke
	code        map[string]bool // all that the transactions spoke of
	commits     map[string]commit
	files       map[string][]byte
	claims      map[string]int // by owner
}

type commit struct {
	parent string
	tree   tree
	other  string // second parent
	others bool   // somebody else made it
}

// A tree says of each feature whether its code is good.
type tree map[string]string

func newRemote() remote {
	return remote{base: "base", broken: map[string]bool{}, commits: map[string]commit{"base": {tree: tree{}}}, files: map[string][]byte{}, claims: map[string]int{}, code: map[string]bool{}}
}

func treeID(t tree) string { return fmt.Sprint(map[string]string(t)) } // fmt sorts the keys

func within(commits map[string]commit, ancestor, id string) bool {
	for ; id != ""; id = commits[id].parent {
		if id == ancestor || ancestor == "" || commits[id].other != "" && within(commits, ancestor, commits[id].other) {
			return true
		}
	}
	return false
}

// A shelf is what a process has in memory and on its own disk.
type shelf struct {
	seen    int
	work    string // where the work branch is, as it knows
	local   map[string]commit
	tree    tree
	claimed bool
	working bool // in a wait that an interruption ends
}

func (p *proc) copies() { p.local = maps.Clone(p.w.remote.commits) }
