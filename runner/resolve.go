package runner

import (
	"context"
	"errors"
	"fmt"
)

// Resolving is a conflict with others' commits that the agent is at work on. An
// attempt at it is spent before it is made, as at a feature.
type Resolving struct {
	From     Source `json:"from"`
	Tip      string `json:"tip"`
	Attempts int    `json:"attempts"`
	Why      string `json:"why,omitempty"` // the last one failed

	// Commit is how far the attempt had come that a limit interrupted, on the
	// verified commit On: the state's code, so that it stays within reach.
	Commit string `json:"commit,omitempty"`
	On     string `json:"on,omitempty"`
}

// A Resolution is how a conflict was resolved.
type Resolution struct {
	Commit    string   // of both lines
	Merged    string   // the tree that git made of them, with its marks
	Paths     []string // that were in conflict
	Completed []Feature
}

// MergeID is by what the agent and people know the work on a conflict.
func MergeID(from Source) string { return "merge-" + string(from) }

// resolve lets the agent resolve a conflict, in attempts and repairs as for a
// feature, and judged as strictly: no mark of a conflict is left, and everything
// that was complete holds. What is resolved is taken in like any merge. One that
// is not is left, as if there were no agent.
func (s *Session) resolve(ctx, tidy context.Context, st State, t Taken, m Merge) (State, error) {
	work := Resolving{From: t.From, Tip: t.Tip}
	if r := st.Resolving; r != nil && r.Tip == t.Tip {
		work = *r
	}
	for work.Attempts < s.Config.AttemptsPerFeature {
		if err := s.Config.reached(ctx, st, 0); err != nil {
			return st, err
		}
		work.Attempts++
		var err error
		if st, err = s.save(tidy, st.resolving(work.anew()), fmt.Sprintf("begin attempt %d at %s", work.Attempts, MergeID(t.From))); err != nil {
			return st, err
		}
		if t.From == People && st.theirs != t.Tip {
			return st, nil // they went on meanwhile: another merge
		}
		var merged Merge
		var v Verdict
		if st, merged, v, err = s.mend(ctx, tidy, st, t, m, work); err != nil {
			work = *st.Resolving // with what was kept of it
			if _, limit := errors.AsType[*StopError](err); limit {
				work.Attempts-- // it is not its fault
			}
			return st.resolving(work), err
		}
		work = work.anew()
		if v.Outcome == Verified {
			t.Resolved = work.Attempts
			st.Resolving = nil
			return s.enter(ctx, tidy, st, t, merged, v)
		}
		work.Why = legible(v.Reason, noteBytes)
	}
	if st.Resolving = nil; st.Wip == nil {
		st.Code = st.Work
	}
	st.Merged, t.Paths = st.given(t), m.Conflicts
	return s.unjoined(ctx, st, t, fmt.Errorf("it conflicts with what was built, in %s, and was not resolved in %d attempts: %s", some(m.Conflicts), work.Attempts, work.Why))
}

// anew is r without what an attempt before has left.
func (r Resolving) anew() Resolving {
	r.Commit, r.On = "", ""
	return r
}

// brokenOff keeps the work on a conflict that a limit interrupted, for the same
// attempt to go on with, unless an attempt at a feature waits in its place: a
// transaction holds one code commit. What cannot be kept is begun anew.
func (s *Session) brokenOff(ctx context.Context, st State, work Resolving, err error) State {
	if _, limit := errors.AsType[*StopError](err); !limit || st.Wip != nil {
		return st
	}
	snap, lost := s.Repo.Snapshot(ctx, st.Work, fmt.Sprintf("%s: attempt %d, interrupted", MergeID(work.From), work.Attempts))
	if lost != nil {
		return st
	}
	work.Commit, work.On, st.Code = snap.Commit, st.Work, snap.Commit
	return st.resolving(work)
}

func (st State) resolving(r Resolving) State {
	st.Resolving = &r
	return st
}

// mend is one attempt at a conflict, with its repairs.
func (s *Session) mend(ctx, tidy context.Context, st State, t Taken, m Merge, work Resolving) (State, Merge, Verdict, error) {
	f := t.feature(m)
	f.Note = work.Why
	begun, err := s.Repo.Commit(ctx, m.Tree, st.Work, "with the marks of a conflict", s.Now())
	from, resumed := begun, work.Commit != "" && work.On == st.Work
	if resumed {
		from = work.Commit
	}
	if err == nil {
		err = s.Repo.Restore(ctx, from)
	}
	if err != nil {
		return st, Merge{}, Verdict{}, s.stopped(ctx, fmt.Errorf("lay out the conflict: %w", err))
	}
	s.notify(st, Event{Step: "checkpoint", Feature: f.ID, Attempt: work.Attempts, Text: f.Description})
	task := Task{Feature: f, Attempt: work.Attempts, Phase: Merging, Completed: rows(st.completed()), Resumed: resumed}
	for {
		s.notify(st, Event{Step: "phase", Feature: f.ID, Attempt: work.Attempts, Phase: task.Phase, Repair: task.Repair})
		task.Purse = s.Config.purse(st)
		claim, err := s.Agent.Work(ctx, task)
		st = st.charged("", claim.Usage).filled(claim.Context)
		task.Brief, task.Resumed = claim.Brief.Bounded(), false
		switch {
		case err != nil:
			err = s.stopped(ctx, fmt.Errorf("%s, attempt %d: %w", f.ID, work.Attempts, err))
			return s.brokenOff(tidy, st, work, err), Merge{}, Verdict{}, err
		case claim.GaveUp != "":
			return st, Merge{}, Verdict{Outcome: Failed, Reason: fmt.Sprintf("%s: %s", claim.GaveUp, claim.Why)}, nil
		}
		merged, v, err := s.resolved(ctx, st, t, m, begun)
		if err != nil {
			err = s.stopped(ctx, fmt.Errorf("judge %s: %w", f.ID, err))
			return s.brokenOff(tidy, st, work, err), Merge{}, Verdict{}, err
		}
		s.notify(st, Event{Step: "verdict", Feature: f.ID, Attempt: work.Attempts, Phase: task.Phase, Repair: task.Repair, Outcome: v.Outcome, Text: v.Reason})
		if v.Outcome != Failed || task.Repair == s.Config.RepairsPerAttempt {
			return st, merged, v, nil
		}
		task.Phase, task.Repair, task.Verdict = Repair, task.Repair+1, &v
	}
}

// resolved asks for a verdict on the work tree, as a commit of both lines.
func (s *Session) resolved(ctx context.Context, st State, t Taken, m Merge, begun string) (Merge, Verdict, error) {
	snap, err := s.Repo.Snapshot(ctx, begun, "resolved")
	if err != nil {
		return Merge{}, Verdict{}, err
	}
	commit, err := s.Repo.Join(ctx, snap.Tree, st.Work, t.Tip, t.message(st), s.Now())
	if err != nil {
		return Merge{}, Verdict{}, err
	}
	v, err := s.Gates.Resolved(ctx, Resolution{Commit: commit, Merged: m.Tree, Paths: m.Conflicts, Completed: st.completed()})
	return Merge{Commit: commit, Tree: snap.Tree}, v, err
}

// feature is the conflict as the agent is told of it. It stands in no list.
func (t Taken) feature(m Merge) Feature {
	what := "what people committed to the work branch"
	if t.From == BaseLine {
		what = fmt.Sprintf("the branch %s", t.Branch)
	}
	f := Feature{Row: Row{
		ID: MergeID(t.From), Category: "integration",
		Description: fmt.Sprintf("Merge %s (%s) into what was built", what, short(t.Tip)),
	}}
	for _, p := range m.Conflicts {
		f.Steps = append(f.Steps, fmt.Sprintf("Resolve the conflict in %s", p))
	}
	return f
}
