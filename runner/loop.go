// Package runner is the autonomous loop: one bounded session of work on a list
// of features, verified by the harness and remembered in git.
//
// The loop is procedural and reads like its diagram. Every decision in it is a
// pure function from values to values: what kind of session this is ([State]
// and detect), which feature is next ([State.Next]), what follows a verdict
// (follows), whether a limit is near (reached), how the session ends (end).
// Every effect goes through the six interfaces of ports.go. The clock comes
// as a value; nothing here reads the environment or the network.
package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Session is one CI job's worth of the loop. Its fields are its whole world.
type Session struct {
	Repo    Repo
	Planner Planner
	Agent   Agent
	Gates   Gates
	Forge   Forge
	Memory  Memory // nil: nothing is remembered
	Config  LoopConfig

	Loop    string // the loop's name
	Lineage string // of the loop that the request for this session names, if any
	Fresh   string // lineage for a loop that begins now
	Owner   Owner  // the run that this session belongs to
	Spec    Spec
	Unclear *UnclearError // what the spec leaves open, if that is too much to draw up a list from
	Down    error         // why no model can be asked, if that was found out already

	Cancelled <-chan struct{} // closed when the run is told to end; nil: never
	Hurry     <-chan struct{} // closed when there is no time left to put in order what that interrupted

	Now    func() time.Time
	Notify func(Event)                    // every transition, in order
	Health func() []Breaker               // of the models, to be remembered; nil: nothing is
	Known  func() []Endpoint              // about the models' endpoints, likewise
	Papers func(State, LoopResult) Papers // what people and the next session read
	// Artifact reads what the session of a run uploaded; nil: it cannot be had.
	Artifact func(ctx context.Context, run, name string) ([]File, error)
	Words    func(Record) []byte // a record of evidence for people, in Markdown; nil: none is kept

	owed []File // of transactions that could not be saved

	saved State // as this session saved it last
}

// Papers are a state and a result put into words.
type Papers struct {
	State  []File // for the state branch: progress.md, handoff.json
	Report []File // for the forge: comment.md, summary.md, pull-request.md
	Upload []File // for the artifact
}

// Run runs one session.
//
//	INITIALIZE     detect INIT or CONTINUE, claim the session, create the feature list, or take up what a person changed
//	FEATURE LOOP   take in what others committed, select, create a checkpoint, implement test first, judge, keep or roll back
//	CONTEXT CHECK  stop while there is still room to say why
//	COMPLETION     save, report, request the continuation if work remains
//
// A session may die at any line. Whatever it had not saved never happened, and
// the next session starts again from INITIALIZE.
func (s *Session) Run(ctx context.Context) (LoopResult, error) {
	tidy, cancel := withGrace(ctx, s.Config.Grace, s.Hurry)
	defer cancel()

	// INITIALIZE
	st, err := s.claim(tidy)
	if errors.Is(err, errDown) {
		return s.postpone(tidy, st)
	}
	if err != nil {
		return s.leave(tidy, st, err)
	}
	ctx, unwatch := s.watch(ctx, st) // a person may stop it
	defer unwatch()
	st, err = s.list(ctx, tidy, st)

	// FEATURE LOOP
	for completed := 0; err == nil; completed = st.completedNow() {
		if st, err = s.takeIn(ctx, tidy, st); err != nil {
			break
		}
		f, more := st.Next(s.Config.AttemptsPerFeature)
		if !more {
			break
		}
		// CONTEXT CHECK
		if err = s.Config.reached(ctx, st, completed); err != nil {
			break
		}
		if st, err = s.checkpoint(tidy, st, f); err == nil {
			st, err = s.attempt(ctx, tidy, st)
		}
		st, err = s.refused(tidy, st, err)
	}

	// COMPLETION
	unwatch()
	return s.complete(tidy, st, err)
}

// claim makes the session the loop's owner. No token is spent before that: of two
// sessions that start at once one claims and the other leaves.
func (s *Session) claim(ctx context.Context) (State, error) {
	st, err := s.find(ctx)
	if err != nil {
		return st, err
	}
	if st, err = s.overruled(ctx, st); err != nil {
		return st, err
	}
	if s.Down != nil && s.asks(st) {
		return st, errDown
	}
	if st, err = s.save(ctx, st.claimed(s.Owner, s.Config), fmt.Sprintf("claim session %d", st.Spent.Sessions+1)); err == nil {
		st = s.wentOn(ctx, st)
	}
	return st, err
}

// find finds out what kind of session this is, and the state that it may claim.
func (s *Session) find(ctx context.Context) (State, error) {
	found, err := s.Repo.Load(ctx)
	if err != nil {
		return State{}, fmt.Errorf("load the state: %w", err)
	}
	kind, st, err := detect(found, s.Lineage, s.Config.AttemptsPerFeature)
	s.notify(st, Event{Step: "initialize", Text: string(kind)})
	if err != nil {
		return st, err
	}
	if again := st.refilled(s.Config.FeatureBudget); kind == Resume || kind == Finished {
		if _, more := again.Next(s.Config.AttemptsPerFeature); more {
			kind, st = Resume, again
		}
	}
	switch kind {
	case Init:
		st = State{
			Schema: Schema, Loop: s.Loop, Lineage: s.Fresh, Base: found.Base, Spec: s.Spec,
			Code: found.Base.Commit, Work: found.Base.Commit, onto: found.Base,
		}
	case Finished:
		if !s.changed(st) {
			return st, errFinished
		}
		if err := s.Config.sessionsLeft(st); err != nil {
			return st, err
		}
	case Resume:
		if err := s.mayClaim(ctx, st); err != nil {
			return st, err
		}
		s.takeOver(ctx, found, st)
	case Corrupt, Deleted, Interfered:
		panic("runner: " + string(kind) + " comes with an error")
	}
	return st, s.clear(st)
}

// mayClaim says why the state may not be claimed, if so.
func (s *Session) mayClaim(ctx context.Context, st State) error {
	if err := s.free(ctx, st); err != nil {
		return err
	}
	if st.Status == Stopped && s.Config.Trigger != ByPerson {
		return &StopError{Reason: st.Reason, Err: errors.New("the loop was stopped; a person has to start it again")}
	}
	if err := errors.Join(s.wanted(ctx, st), s.spun(st), s.Config.awaits(st)); err != nil {
		return err
	}
	if !s.asks(st) && st.theirs == "" {
		return nil // all that is left is to say so
	}
	if err := s.Config.mayAsk(st, s.Now()); err != nil {
		return err
	}
	return s.Config.sessionsLeft(st)
}

// asks says whether there is anything to do for which a model is asked.
func (s *Session) asks(st State) bool {
	_, more := st.Next(s.Config.AttemptsPerFeature)
	return more || len(st.Features) == 0 || s.changed(st)
}

// free says that another run owns the loop, if so. Only the forge knows whether
// that run is over; the clock does not.
func (s *Session) free(ctx context.Context, st State) error {
	if st.Status != Running || st.Owner == nil {
		return nil
	}
	over, err := s.Forge.Over(ctx, *st.Owner)
	if err != nil {
		return fmt.Errorf("ask whether run %s, which owns the loop, is over: %w", st.Owner.Run, err)
	}
	if !over {
		return &StopError{Reason: Superseded, Err: fmt.Errorf("run %s is at work on this loop", st.Owner.Run)}
	}
	return nil
}

// list draws up the feature list if there is none yet, and takes up what a
// person changed in the spec, or in a list of their own.
func (s *Session) list(ctx, tidy context.Context, st State) (State, error) {
	if len(st.Features) == 0 {
		if err := s.Config.reached(ctx, st, 0); err != nil {
			return st, err
		}
		s.notify(st, Event{Step: "plan"})
		rows, usage, err := s.Planner.Plan(ctx, nil, s.Config.purse(st))
		st = st.charged("", usage)
		if err != nil {
			return st, s.stopped(ctx, fmt.Errorf("draw up the feature list: %w", err))
		}
		if st, err = s.save(tidy, st.planned(rows, s.Spec), fmt.Sprintf("draw up %d features", len(rows))); err != nil {
			return st, err
		}
		s.answered(tidy, st)
		s.notify(st, Event{Step: "planned", Text: fmt.Sprintf("%d features", len(rows))})
	}
	if s.changed(st) {
		var err error
		if st, err = s.resync(ctx, tidy, st); err != nil {
			return st, err
		}
	}
	if s.Config.ApproveFeatures && !st.Approved {
		return st, &StopError{Reason: AwaitingApproval, Err: errors.New("look at the feature list, then start the workflow by hand to approve it")}
	}
	st.Approved = true
	return st, nil
}

// checkpoint makes the point that an attempt can be rolled back to and lays the
// work tree there. The attempt is spent before it is made: a feature that kills
// the session must not be able to kill every session. An attempt that a limit
// interrupted goes on where it was and is not spent again.
func (s *Session) checkpoint(ctx context.Context, st State, f Feature) (State, error) {
	if st.Wip == nil {
		var err error
		if st, err = s.save(ctx, st.begun(f.ID, s.Config.first(), s.Now()), fmt.Sprintf("begin attempt %d at %s", f.Attempts+1, f.ID)); err != nil {
			return st, err
		}
	}
	s.notify(st, Event{Step: "checkpoint", Feature: f.ID, Attempt: st.Wip.Attempt, Text: f.Description})
	if p := s.Config.purse(st); p.Lean() {
		s.notify(st, Event{Step: "thrift", Feature: f.ID, Text: "more than 80 % of a budget is spent: conversations are kept shorter, a cheaper fallback-model is preferred, and no feature is begun that what is left would not pay on average"})
	}
	if err := s.Repo.Restore(ctx, st.Wip.Commit); err != nil {
		return st, fmt.Errorf("lay out %s: %w", short(st.Wip.Commit), err)
	}
	return st, nil
}

// attempt takes the feature in progress through its phases until the gates are
// satisfied, the repairs are used up, the agent gives up honestly, or a limit
// interrupts. Only the gates' word counts: what the agent says of its own work
// is not looked at.
func (s *Session) attempt(ctx, tidy context.Context, st State) (State, error) {
	w := *st.Wip
	stopped, memory, strips := "", s.recall(ctx, st, w.Feature), 0
	pulse := &pulse{s: s}
	for resumed := w.Commit != st.Work; ; resumed = false {
		if !w.Asked {
			var claim Claim
			var err error
			if st, claim, err = s.work(ctx, tidy, st, w, Task{Resumed: resumed, Brief: w.Brief, Memory: memory}, pulse); err != nil || claim.GaveUp != "" {
				return s.unfinished(ctx, tidy, st, w, claim, err)
			}
			w.Brief, w.Asked, stopped = claim.Brief, true, claim.Stopped
		}
		snap, err := s.Repo.Snapshot(ctx, st.Work, fmt.Sprintf("%s: attempt %d, %s", w.Feature, w.Attempt, w.Phase))
		if err != nil {
			return s.interrupted(ctx, tidy, st, w, fmt.Errorf("record the work on %s: %w", w.Feature, err))
		}
		st = s.omitted(st, w, snap)
		var v Verdict
		if st, v, err = s.judge(ctx, tidy, st, w, snap, pulse); err != nil {
			return s.interrupted(ctx, tidy, st, w, fmt.Errorf("judge %s: %w", w.Feature, err))
		}
		before := st // the verdict, in case the remote does not take what was judged
		st = st.judged(w.Feature, v)
		s.notify(st, Event{Step: "verdict", Feature: w.Feature, Attempt: w.Attempt, Phase: w.Phase, Repair: w.Repairs, Outcome: v.Outcome, Text: v.Reason})
		if len(v.Broken) > 0 {
			return s.demote(tidy, st, v.Broken)
		}
		if v.Outcome == Verified || v.Outcome == Already {
			kept, err := s.keep(tidy, st, snap, v, w.Brief)
			if s.stripped(before, w, err, &strips) {
				st = before
				continue
			}
			return kept, err
		}
		next := follows(w.Phase, v, s.Config.RepairsPerAttempt-w.Repairs)
		if next == "" {
			return s.rollback(tidy, st.failed(w.Feature, strings.TrimSpace(v.Reason+" "+stopped), s.Config.AttemptsPerFeature), w.Feature)
		}
		further := w.then(next, v, snap.Commit)
		st = st.advanced(further, s.Now())
		// The tests that were seen red are what later ones are held against, by
		// whatever session: they are always saved.
		if s.Config.AutoCheckpoint || v.Outcome == Red {
			st, err = s.save(tidy, st, fmt.Sprintf("%s: attempt %d comes to %s", w.Feature, w.Attempt, further.Phase))
			if s.stripped(before, w, err, &strips) {
				st = before
				continue
			}
			if err != nil {
				return st, err
			}
		}
		w = further
	}
}

// work asks the agent to do its part of a phase. Its claim is data: it is told,
// charged, and the gates decide.
func (s *Session) work(ctx, tidy context.Context, st State, w Wip, t Task, pulse *pulse) (State, Claim, error) {
	f, _ := st.Feature(w.Feature)
	s.notify(st, Event{Step: "phase", Feature: f.ID, Attempt: w.Attempt, Phase: w.Phase, Repair: w.Repairs})
	t.Feature, t.Attempt, t.Phase, t.Repair, t.Verdict = st.freed(f), w.Attempt, w.Phase, w.Repairs, w.verdict()
	t.Purse, t.Completed, t.Told = s.Config.purse(st), rows(st.completed()), pulse.told
	claim := Claim{Brief: w.Brief}
	err := t.Purse.Closing()
	if err == nil {
		working, rest := pulse.beat(ctx, tidy, st, w)
		claim, err = s.Agent.Work(working, t)
		st = rest(st)
	}
	claim.Brief = claim.Brief.Bounded()
	if err == nil && claim.GaveUp == "" && claim.Stopped != "" {
		s.notify(st, Event{Step: "stuck", Feature: f.ID, Attempt: w.Attempt, Phase: w.Phase, Repair: w.Repairs, Text: claim.Stopped})
	}
	return st.charged(f.ID, claim.Usage).filled(claim.Context).noted(f.ID, claim.Notes), claim, err
}

// unfinished ends an attempt at which the agent could not work on, or gave up.
func (s *Session) unfinished(ctx, tidy context.Context, st State, w Wip, claim Claim, err error) (State, error) {
	spent, _ := errors.AsType[*StopError](err)
	switch {
	case spent != nil && spent.Reason == FeatureBudget:
		return s.rollback(tidy, st.exhausted(w.Feature, spent.says(), s.Config.FeatureBudget), w.Feature)
	case err != nil:
		w.Brief = claim.Brief
		return s.interrupted(ctx, tidy, st, w, fmt.Errorf("%s, attempt %d, %s: %w", w.Feature, w.Attempt, w.Phase, err))
	case claim.GaveUp == Conflict:
		return s.conflict(tidy, st, claim.Why)
	}
	return s.rollback(tidy, st.setAside(w.Feature, fmt.Sprintf("%s: %s", claim.GaveUp, claim.Why)), w.Feature)
}

// judge asks the gates for a verdict on exactly this snapshot, and once more if
// they could not come to one.
func (s *Session) judge(ctx, tidy context.Context, st State, w Wip, snap Snapshot, pulse *pulse) (State, Verdict, error) {
	f, _ := st.Feature(w.Feature)
	c := Candidate{
		Feature: st.freed(f), Attempt: w.Attempt, Phase: w.Phase, Parent: st.Work, Commit: snap.Commit, Tree: snap.Tree, Red: w.Red,
		Completed: st.completed(), Purse: s.Config.purse(st),
	}
	judging, rest := pulse.hold(ctx, tidy, st, w, snap)
	v, err := s.Gates.Judge(judging, c)
	if err == nil && v.Outcome == Inconclusive && len(v.Broken) == 0 {
		used := v.Usage
		v, err = s.Gates.Judge(judging, c)
		v.Usage = v.Usage.Plus(used)
	}
	if lost := context.Cause(judging); lost != nil && ctx.Err() == nil {
		err = lost // the loop, to another session
	}
	return rest(st).charged(w.Feature, v.Usage), snap.told(v), err
}

// conflict sets the feature aside whose spec and checks cannot both hold. To
// say so is right, so it counts as no failure.
func (s *Session) conflict(ctx context.Context, st State, why string) (State, error) {
	w := *st.Wip
	st = st.judged(w.Feature, Verdict{Outcome: Conflicting})
	s.notify(st, Event{Step: "verdict", Feature: w.Feature, Attempt: w.Attempt, Phase: w.Phase, Repair: w.Repairs, Outcome: Conflicting, Text: why})
	return s.rollback(ctx, st.setAside(w.Feature, fmt.Sprintf("%s: %s", Conflicting, why)), w.Feature)
}

// demote takes completion back from earlier features that the gates found
// broken on what was verified. They are mended before anything else is built.
func (s *Session) demote(ctx context.Context, st State, broken []Broken) (State, error) {
	id := st.Wip.Feature
	st, err := s.save(ctx, st.demoted(broken), fmt.Sprintf("demote %s, found broken while judging %s", broken[0].Feature, id))
	if err == nil {
		for _, b := range broken {
			s.notify(st, Event{Step: "demoted", Feature: b.Feature, Outcome: Failed, Text: b.Why})
		}
	}
	return st, err
}

// keep marks the feature complete: its code becomes one commit on the work
// branch, with exactly the tree that was judged, in the transaction that holds
// the evidence.
func (s *Session) keep(ctx context.Context, st State, snap Snapshot, v Verdict, brief *Brief) (State, error) {
	f, _ := st.Feature(st.Wip.Feature)
	commit, tree := st.Work, snap.Tree
	if v.Outcome == Already {
		tree = "" // what was judged is the commit that the work began with
	}
	if v.Outcome == Verified && snap.Commit != st.Work {
		var err error
		if commit, err = s.Repo.Commit(ctx, snap.Tree, st.Work, message(f, st, v), s.Now()); err != nil {
			return st, fmt.Errorf("commit %s: %w", f.ID, err)
		}
	}
	st, ev, files, err := st.proved(f, tree, commit, v, s.Now(), s.Words)
	if err != nil {
		return st, err
	}
	files = append(files, s.learn(ctx, st, Lesson{
		What:    fmt.Sprintf("%s (%s) was %s in attempt %d.", f.ID, f.Description, v.Outcome, f.Attempts),
		Feature: f.Row, Commit: commit, Notes: f.Notes, Brief: brief,
	})...)
	st, err = s.save(ctx, st.complete(f.ID, commit, v, ev, s.Now()), "complete "+f.ID, files...)
	if err == nil {
		s.notify(st, Event{Step: "complete", Feature: f.ID, Outcome: v.Outcome, Text: v.Reason})
	}
	return st, err
}

// rollback saves a state whose code is the last verified commit again. The work
// tree follows with the next checkpoint.
func (s *Session) rollback(ctx context.Context, st State, id string) (State, error) {
	f, _ := st.Feature(id)
	lesson := Lesson{What: fmt.Sprintf("Attempt %d at %s (%s) was rolled back: %s", f.Attempts, id, f.Description, f.Note), Feature: f.Row}
	st, err := s.save(ctx, st, fmt.Sprintf("roll back %s: %s", id, f.Status), s.learn(ctx, st, lesson)...)
	if err == nil {
		s.notify(st, Event{Step: "rollback", Feature: id, Text: fmt.Sprintf("%s: %s", f.Status, f.Note)})
	}
	return st, err
}

// interrupted saves nothing yet but makes sure that COMPLETION can: a limit
// keeps the work in progress, for the same attempt to go on; any other error
// drops it, and the attempt stays spent.
func (s *Session) interrupted(ctx, tidy context.Context, st State, w Wip, err error) (State, error) {
	err = s.stopped(ctx, err)
	if _, limit := errors.AsType[*StopError](err); !limit {
		return st.failed(w.Feature, err.Error(), s.Config.AttemptsPerFeature), err
	}
	if snap, snapErr := s.Repo.Snapshot(tidy, st.Work, fmt.Sprintf("%s: attempt %d, interrupted in %s", w.Feature, w.Attempt, w.Phase)); snapErr == nil {
		w.Commit = snap.Commit
	} else {
		err = errors.Join(err, fmt.Errorf("save the work in progress: %w", snapErr))
	}
	return st.advanced(w, s.Now()), err
}

// stopped turns an error under a context that has ended into the reason for
// which it ended.
func (s *Session) stopped(ctx context.Context, err error) error {
	if _, limit := errors.AsType[*StopError](err); limit || ctx.Err() == nil {
		return err
	}
	stop := cause(ctx)
	if stop.Err == nil {
		stop.Err = err
	}
	return &stop
}

// complete is COMPLETION: save, artifact, report, and the request for the next
// session last, so that whoever answers it finds everything in place.
func (s *Session) complete(ctx context.Context, st State, err error) (LoopResult, error) {
	if _, moved := errors.AsType[*MovedError](err); moved {
		return s.leave(ctx, st, err)
	}
	if state, untouchable := errors.AsType[*StateError](err); untouchable {
		err = s.rescued(ctx, st, state)
	}
	end, why, failure := s.Config.end(st, err)
	if end.Decision == Continue { // unless a person has stopped the loop meanwhile
		if halt := s.look(ctx, st); halt != nil {
			err = halt
			end, why, failure = s.Config.end(st, err)
		}
	}
	end, why = s.yielded(end, why)
	st = st.obeyed(err).ended(end, why, s.Now()).held(err).calling()
	lesson := s.learn(ctx, st, Lesson{What: fmt.Sprintf("Session %d completed %d features and ended: %s", st.Spent.Sessions, st.completedNow(), why)})
	st, files, err := s.last(ctx, st, end, why, lesson...)
	if err != nil {
		res, err := s.unsaved(ctx, st, err)
		return res, errors.Join(failure, err)
	}
	st, res, err := s.report(ctx, st, end.Decision, files...)
	if err == nil && end.Decision == Continue && s.Config.Mode == RunMode && !s.cancelled() {
		err = s.ask(ctx, st, &res)
	}
	if end.Decision == Continue && s.cancelled() {
		revoked, saved := s.revoke(ctx, st, res)
		return revoked, errors.Join(failure, err, saved)
	}
	s.notify(st, Event{Step: string(end.Decision), Text: why})
	return res, errors.Join(failure, err)
}
