package sim

import (
	"context"
	"fmt"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/forge"
)

var ada = fakegithub.Actor{Login: "ada", ID: 7}

// people enters what happens by itself: the first run, the schedule, and what
// people do.
func (w *world) people() {
	w.in(0, func() { w.request("workflow_dispatch") })
	var cron, operator func()
	cron = func() {
		w.in(6*time.Hour, cron)
		w.request("schedule")
	}
	w.in(6*time.Hour, cron)
	// Whoever runs the loop looks at it once a day, and starts it again where it
	// has stopped short of its end.
	operator = func() {
		w.in(24*time.Hour, operator)
		if st := w.remote.truth; st.Status == runner.Stopped || st.Status == runner.Waiting || w.remote.state == nil {
			w.request("workflow_dispatch")
		}
	}
	w.in(25*time.Hour, operator)
	w.in(healthy, func() { w.healed = true; w.say("nothing goes wrong any more") })
	if !w.random {
		return
	}
	for range w.rng.IntN(4) { // somebody starts it beside what is there
		w.in(w.between(0, healthy/10), func() { w.count.Rivals++; w.request("workflow_dispatch") })
	}
	if w.chance(30) {
		w.in(w.between(0, healthy/20), w.cancelOne)
	}
	if w.chance(30) {
		w.in(w.between(0, healthy/4), func() {
			w.spec++
			w.count.Changes++
			w.say("ada changes the spec")
		})
	}
	if w.chance(20) {
		w.in(w.between(0, healthy/10), w.deleteComment)
	}
	if w.chance(40) {
		for range 1 + w.rng.IntN(3) {
			w.in(w.between(0, healthy/8), w.commits)
		}
	}
	if w.chance(30) {
		for range 1 + w.rng.IntN(2) {
			w.in(w.between(0, healthy/8), w.moves)
		}
	}
	if w.chance(10) { // when all is done, most of the time
		w.in(w.between(healthy/4, healthy), w.commits)
	}
	if w.chance(20) {
		w.in(w.between(0, healthy/20), func() {
			if len(w.procs) > 0 {
				w.procs[0].kill()
			}
		})
	}
}

func (w *world) request(event string) {
	run, err := w.hub.StartRun(repoName, "loop.yml", event, ada, nil)
	if err != nil {
		panic(err)
	}
	w.say("run %d is asked for: %s", run.ID, event)
}

// cancelOne cancels what runs, as a person does: it is interrupted, and killed
// ten seconds later.
func (w *world) cancelOne() {
	if len(w.procs) == 0 {
		return
	}
	p := w.procs[0]
	w.count.Cancels++
	w.say("ada cancels run %d", p.run)
	w.hub.SetRun(p.run, "in_progress", "cancelled")
	w.in(10*time.Second, p.kill)
	p.interrupt(&runner.StopError{Reason: runner.Cancelled})
}

func (w *world) deleteComment() {
	for _, pull := range w.hub.Pulls(repoName) {
		for _, c := range w.hub.Comments(repoName, pull.Number) {
			w.say("ada deletes the comment")
			r := httptest.NewRequest("DELETE", fmt.Sprintf("http://sim/repos/%s/issues/comments/%d", repoName, c.ID), nil)
			r.Header.Set("Authorization", "Bearer "+jobToken)
			w.hub.ServeHTTP(httptest.NewRecorder(), r)
		}
	}
}

// runners take the runs that wait. In a concurrency group one is at work and one
// waits; one that comes later takes the waiting one's place.
func (w *world) runners() {
	var waiting []fakegithub.Run
	busy := false
	for _, r := range w.hub.Runs(repoName) {
		switch r.Status {
		case "queued":
			waiting = append(waiting, r)
		case "in_progress":
			busy = true
		}
	}
	if w.group {
		for len(waiting) > 1 {
			w.hub.SetRun(waiting[0].ID, "completed", "cancelled")
			w.say("run %d makes room", waiting[0].ID)
			waiting = waiting[1:]
		}
		if busy {
			return
		}
	}
	for _, r := range waiting {
		w.hub.SetRun(r.ID, "in_progress", "")
		w.job(r)
	}
	if len(waiting) == 0 && !busy && len(w.procs) == 0 && w.finished() && w.lived && (w.healed || !w.random || w.rng.IntN(50) == 0) {
		w.quiet = true
	}
}

// finished says that the loop has come to an end, and a session has seen it, with
// all that people committed.
func (w *world) finished() bool {
	st := w.remote.truth
	if w.remote.work != "" && w.remote.work != st.Work && st.Reason != runner.MaxSessions {
		return false
	}
	return st.Status == runner.Done || st.Status == runner.DoneWithExcept || st.Status == runner.Stopped && st.Reason == runner.MaxSessions
}

// job runs a run's processes.
func (w *world) job(r fakegithub.Run) {
	trigger, lineage := runner.ByClock, ""
	if r.Event == "workflow_dispatch" {
		trigger = runner.ByPerson
		if lineage = r.Inputs["lineage"]; lineage != "" {
			trigger = runner.ByChain
		}
	}
	died := false // the session's job, which the one that continues comes after
	finish := func(p *proc, lived bool) {
		w.lived = lived && !died
		conclusion := map[bool]string{true: "success", false: "failure"}[w.lived]
		w.hub.SetRun(r.ID, "completed", conclusion)
	}
	p := &proc{run: r.ID, mode: runner.RunMode, trigger: trigger, lineage: lineage, over: finish}
	if w.two {
		p.mode = runner.SessionMode
		p.over = func(p *proc, lived bool) {
			for _, now := range w.hub.Runs(repoName) {
				if now.ID == r.ID && now.Conclusion == "cancelled" {
					w.hub.SetRun(r.ID, "completed", "cancelled")
					return
				}
			}
			died = !lived
			w.start(&proc{run: r.ID, mode: runner.ContinueMode, trigger: trigger, lineage: lineage, over: finish})
		}
	}
	w.start(p)
	// A process may live on where its run is over: the container of a client that
	// was killed does.
	if w.random && !w.healed && w.chance(3) {
		w.in(w.between(time.Minute, time.Hour), func() {
			if w.has(p) {
				w.count.Zombies++
				w.say("run %d is over, though %s lives", r.ID, p.name)
				w.hub.SetRun(r.ID, "completed", "failure")
			}
		})
	}
}

func (p *proc) id() string { return strconv.FormatInt(p.run, 10) }

// main is the process.
func (p *proc) main() {
	hub, err := forge.GitHub(forge.Options{
		Token: jobToken, APIURL: "http://sim", ServerURL: "http://sim", Repository: repoName,
		Branch: "autonomous-loop/main", Base: "main", PullRequest: forge.Draft, Summary: func([]byte) error { return nil },
		Loop: "main", Workflow: "loop.yml", Run: forge.Run{ID: p.run, Attempt: 1}, HTTP: p,
		Sleep: func(ctx context.Context, d time.Duration) error { p.pause(context.Background(), d); return ctx.Err() },
		Now:   func() time.Time { return p.w.now },
	})
	if err != nil {
		panic(err)
	}
	s := runner.Session{
		Repo: p, Planner: p, Agent: p, Gates: p, Forge: hub,
		Config: runner.LoopConfig{
			MaxSessions: 60, TokenBudget: 1e6, AutoCheckpoint: true, FeaturesPerSession: 1, AttemptsPerFeature: 3, RepairsPerAttempt: 1,
			TestFirst: true, Continuation: runner.Auto, Mode: p.mode, Trigger: p.trigger, Grace: 24 * time.Hour,
		},
		Loop: "main", Lineage: p.lineage, Fresh: "l" + p.name, Owner: runner.Owner{Run: p.id(), Attempt: 1, Claimed: p.w.now},
		Spec: runner.Spec{Source: "SPEC.md", SHA256: fmt.Sprint("spec", p.w.spec), Commit: "base"},
		Now:  func() time.Time { return p.w.now }, Notify: func(runner.Event) {},
		Papers: func(st runner.State, res runner.LoopResult) runner.Papers {
			text := fmt.Sprintf("%d of %d, %s", res.FeaturesCompleted, res.FeaturesTotal, st.Status)
			return runner.Papers{Report: []runner.File{{Name: "comment.md", Data: []byte(text)}, {Name: "pull-request.md", Data: []byte("# Loop\n\n" + text)}}}
		},
	}
	run := s.Run
	if p.mode == runner.ContinueMode {
		run = s.Continue
	}
	res, err := run(p.ctx)
	p.w.say("%s: %s, %v", p.name, res.Decision, err)
}

// follows holds a transaction against the one before it.
func (w *world) follows(before, next runner.State, old []byte) {
	if next.Serial != before.Serial+1 || before.Serial > 0 && (next.Prev != runner.Hash(old) || next.Lineage != before.Lineage) {
		w.fail("transaction %d does not follow from %d", next.Serial, before.Serial)
	}
	if next.Epoch != before.Epoch {
		owner := fmt.Sprint(*next.Owner)
		w.remote.claims[owner]++
		w.count.Sessions++
		if next.Epoch != before.Epoch+1 || w.remote.claims[owner] > 1 {
			w.fail("epoch %d is claimed after %d, by %s for the %d. time", next.Epoch, before.Epoch, owner, w.remote.claims[owner])
		}
		// Nobody is robbed of a loop whose run is not over.
		if before.Status == runner.Running && before.Owner != nil {
			for _, r := range w.hub.Runs(repoName) {
				if strconv.FormatInt(r.ID, 10) == before.Owner.Run && r.Status != "completed" {
					w.fail("the loop was taken from run %d, which is at work", r.ID)
				}
			}
		}
	}
	for _, f := range before.Features {
		if _, ok := next.Feature(f.ID); !ok {
			w.fail("%s was lost", f.ID)
		}
	}
}

// check asserts what holds after every transaction.
func (w *world) check() {
	r, st := &w.remote, w.remote.truth
	for id := r.work; id != ""; id = r.commits[id].parent { // I1
		if r.commits[id].others {
			continue
		}
		for name, is := range r.commits[id].tree {
			if is == "marks" || (is == "wrong" || is == "tests") && !r.broken[name] {
				w.fail("%s is %s on the work branch", name, is)
			}
		}
	}
	for _, f := range st.Features {
		if f.Status == runner.Complete && (r.commits[f.Commit].tree[f.ID] != wants(f) || !within(r.commits, f.Commit, st.Code)) { // I2
			w.fail("%s is complete, but its code is not there", f.ID)
		}
		if f.Attempts > 4+f.Extra { // I3
			w.fail("%s was tried %d times", f.ID, f.Attempts)
		}
	}
	var evidence []runner.File
	for name, data := range r.files {
		if strings.HasPrefix(name, "evidence/") {
			evidence = append(evidence, runner.File{Name: name, Data: data})
		}
	}
	slices.SortFunc(evidence, func(a, b runner.File) int { return strings.Compare(a.Name, b.Name) })
	if _, flaws := st.CheckEvidence(evidence); len(flaws) > 0 {
		w.fail("evidence: %v", flaws)
	}
	if st.Spent.Sessions > 60 { // I5
		w.fail("%d sessions", st.Spent.Sessions)
	}
}

// end asserts what holds when the world is quiet.
func (w *world) end() {
	st := w.remote.truth
	w.say("the end: %s after %d sessions", st.Status, st.Spent.Sessions)
	if !w.finished() {
		w.fail("it is quiet, but the loop is %s: %s", st.Status, st.Why)
	}
	if st.Owner != nil {
		w.fail("%v still owns the loop", *st.Owner)
	}
	asked := map[string]int{}
	for _, r := range w.hub.Runs(repoName) {
		if r.Inputs["serial"] != "" {
			asked[r.Inputs["serial"]]++
		}
	}
	for serial, n := range asked {
		if n > 1 && (w.group || !w.two) { // else two jobs may look at the same moment, and one of the two claims
			w.fail("%d successors were asked for after %s", n, serial)
		}
	}
	complete := 0
	for _, f := range st.Features {
		if f.Status == runner.Complete {
			complete++
			if !within(w.remote.commits, f.Commit, w.remote.work) {
				w.fail("%s is complete, but not on the work branch", f.ID)
			}
		}
	}
	open, comments := 0, 0
	for _, p := range w.hub.Pulls(repoName) {
		if p.State == "open" {
			open++
		}
		comments += len(w.hub.Comments(repoName, p.Number))
	}
	if st.Status == runner.Done || st.Status == runner.DoneWithExcept {
		w.takenIn()
	}
	if open > 1 || comments > 1 || complete > 0 && w.healed && (open != 1 || comments != 1) {
		w.fail("%d open pull requests, %d comments", open, comments)
	}
}
