package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Others commit, too: people to the work branch, and everybody to the base
// branch. What they did is merged into the verified line, never rebased, and
// nothing of theirs is lost or rewritten. It counts when everything that was
// complete has been proved again on what comes of it.

// A Source is whose commits are taken in.
type Source string

// The sources.
const (
	People   Source = "people" // who went on from the work branch
	BaseLine Source = "base"   // the branch that the loop started from
)

// Taken is what became of commits of others.
type Taken struct {
	Serial   int      `json:"serial"` // of the transaction that took them in, or not
	Session  int      `json:"session"`
	From     Source   `json:"from"`
	Branch   string   `json:"branch,omitempty"`   // of the base
	Tip      string   `json:"tip"`                // of theirs
	Commit   string   `json:"commit,omitempty"`   // what came of it; "": it was not taken in
	Broken   []string `json:"broken,omitempty"`   // complete features that do not hold on it, to be mended
	Paths    []string `json:"paths,omitempty"`    // that conflict
	Resolved int      `json:"resolved,omitempty"` // the attempt in which their conflict was resolved; 0: there was none
	Remark   string   `json:"remark,omitempty"`   // why it was not taken in, or what else there is to say
}

// String is what happened, for people.
func (t Taken) String() string {
	what := fmt.Sprintf("people's commits up to %s", short(t.Tip))
	if t.From == BaseLine {
		what = fmt.Sprintf("%s at %s", t.Branch, short(t.Tip))
	}
	switch {
	case t.Commit == "":
		what = "not taken in: " + what
	case len(t.Broken) > 0:
		what = fmt.Sprintf("taken in: %s; %s no longer hold with it and are mended first", what, strings.Join(t.Broken, ", "))
	case t.Resolved > 0:
		what = fmt.Sprintf("taken in: %s; its conflict was resolved, and everything that was complete proved again", what)
	default:
		what = fmt.Sprintf("taken in: %s; everything that was complete was proved again", what)
	}
	if t.Remark != "" {
		what += ": " + t.Remark
	}
	return what
}

// takeIn takes in what others committed since: what people did to the work
// branch first, as nothing can be published beside it, then the base branch as
// it was when the session began.
func (s *Session) takeIn(ctx, tidy context.Context, st State) (State, error) {
	var err error
	// Some may go on committing while theirs is being proved.
	for tries := 5; st.theirs != "" && tries > 0 && ctx.Err() == nil; tries-- {
		if st, err = s.join(ctx, tidy, st, Taken{From: People, Tip: st.theirs}); err != nil {
			return st, err
		}
	}
	if st.behind() && ctx.Err() == nil {
		return s.join(ctx, tidy, st, Taken{From: BaseLine, Tip: st.onto.Commit, Branch: st.onto.Branch})
	}
	return st, nil
}

// behind says whether the base branch has moved since it was taken in last.
func (st State) behind() bool {
	last := st.Merged
	if last == "" {
		last = st.Base.Commit
	}
	return st.onto.Commit != "" && st.onto.Commit != last
}

// join brings others' commits and the verified line together. What cannot be
// taken in of the base is left, and said; without what people did to the work
// branch nothing can be published, so that a person is asked.
func (s *Session) join(ctx, tidy context.Context, st State, t Taken) (State, error) {
	if t.From == BaseLine && st.Work == st.Base.Commit && st.Wip == nil {
		st.Base, st.Work, st.Code = st.onto, st.onto.Commit, st.onto.Commit // nothing was built yet
		return st, nil
	}
	if old := st.Base.Branch; t.From == BaseLine && t.Branch != old {
		t.Remark = fmt.Sprintf("the base branch was %s before", old)
	}
	s.notify(st, Event{Step: "merge", Text: fmt.Sprintf("%s moved to %s", cmp.Or(t.Branch, "the work branch"), short(t.Tip))})
	m, err := s.Repo.Merge(ctx, st.Work, t.Tip, t.message(st), s.Now())
	if err != nil {
		return s.unjoined(ctx, st, t, err)
	}
	if len(m.Conflicts) > 0 {
		return s.resolve(ctx, tidy, st, t, m)
	}
	if m.Commit == st.Work { // it is in there already
		return st.caughtUp(t), nil
	}
	v, err := s.again(ctx, st, m.Commit)
	if err == nil {
		err = unsaid(v)
	}
	if err != nil {
		return s.unjoined(ctx, st, t, err)
	}
	return s.enter(ctx, tidy, st, t, m, v)
}

// enter makes a merge that was proved the verified line.
func (s *Session) enter(ctx, tidy context.Context, st State, t Taken, m Merge, v Verdict) (State, error) {
	t.Commit = m.Commit
	next, files, err := s.joined(tidy, st, t, m, v)
	if err != nil {
		return st, err
	}
	owed := s.owed
	saved, err := s.save(tidy, next, next.Taken[len(next.Taken)-1].String(), files...)
	if no, ok := errors.AsType[refusal](err); ok && t.From == BaseLine {
		s.owed = owed
		t.Commit, st.Merged = "", st.given(t) // a job's token may not push changes of workflows
		return s.unjoined(ctx, st, t, no)
	}
	if err != nil {
		return saved, err // with the next transaction, if there is one, it is saved all the same
	}
	s.notify(saved, Event{Step: "taken", Text: saved.Taken[len(saved.Taken)-1].String()})
	for _, b := range v.Broken {
		s.notify(saved, Event{Step: "demoted", Feature: b.Feature, Outcome: Failed, Text: b.Why})
	}
	return saved, nil
}

// again asks whether everything that is complete holds on a commit, and once
// more if that cannot be said.
func (s *Session) again(ctx context.Context, st State, commit string) (Verdict, error) {
	complete := st.completed()
	if len(complete) == 0 {
		return Verdict{Outcome: Verified, Reason: "nothing was complete."}, nil
	}
	v, err := s.Gates.Holds(ctx, commit, complete)
	if err == nil && unsaid(v) != nil {
		v, err = s.Gates.Holds(ctx, commit, complete)
	}
	return v, err
}

// unsaid says why a verdict leaves open which features hold; nil if it does not.
func unsaid(v Verdict) error {
	for _, g := range v.Gates {
		breaks := slices.ContainsFunc(v.Broken, func(b Broken) bool { return b.Feature == g.Name })
		if g.Passed || breaks || g.Name == "tests" && g.Result == Failed && g.Counts.Failed > 0 {
			continue
		}
		return fmt.Errorf("whether what was complete still holds cannot be said: %s", g.Reason)
	}
	return nil
}

// joined is the state after others' commits were taken in, with the record of
// what was proved again.
func (s *Session) joined(ctx context.Context, st State, t Taken, m Merge, v Verdict) (State, []File, error) {
	old := st.Work
	for _, b := range v.Broken {
		t.Broken = append(t.Broken, b.Feature)
	}
	if g := failing(v); g != "" && len(v.Broken) == 0 {
		t.Remark = strings.TrimSpace(t.Remark + " " + g)
	}
	st, files, err := st.reproved(t, old, m, v, s.Now())
	if err != nil {
		return st, nil, err
	}
	st.Work = m.Commit
	if len(v.Broken) > 0 {
		st = st.demoted(v.Broken)
	}
	if st, err = s.carry(ctx, st, old); err != nil {
		return st, nil, err
	}
	return st.caughtUp(t).took(t), files, nil
}

// failing is what the tests gate says, if tests fail that belong to no feature.
func failing(v Verdict) string {
	for _, g := range v.Gates {
		if g.Name == "tests" && !g.Passed {
			return g.Reason
		}
	}
	return ""
}

// caughtUp notes that there is nothing left to take in of a source.
func (st State) caughtUp(t Taken) State {
	switch t.From {
	case People:
		st.theirs = ""
	case BaseLine:
		st.Merged, st.Base.Branch = t.Tip, t.Branch
	}
	return st
}

// took remembers what was taken in, or could not be.
func (st State) took(t Taken) State {
	const most = 10
	t.Serial, t.Session, t.Remark = st.Serial+1, st.Spent.Sessions, legible(t.Remark, noteBytes)
	t.Paths = t.Paths[:min(len(t.Paths), 20)]
	st.Taken = append(slices.Clip(st.Taken), t)
	st.Taken = st.Taken[max(0, len(st.Taken)-most):]
	st.Idle = min(st.Idle, 1) // somebody did something
	return st
}

// carry brings the work in progress onto the new verified commit. Where it does
// not go together with it the attempt ends, and is granted again.
func (s *Session) carry(ctx context.Context, st State, old string) (State, error) {
	if st.Wip == nil {
		st.Code = st.Work
		return st, nil
	}
	w := *st.Wip
	message := fmt.Sprintf("%s: attempt %d, carried over", w.Feature, w.Attempt)
	fits := true
	move := func(commit string) (string, error) {
		if commit == "" {
			return "", nil
		}
		apart := w.Red != "" && commit != w.Red // from the tests that were seen red, which have to stay within reach
		if commit == old && !apart {
			return st.Work, nil
		}
		m, err := s.Repo.Merge(ctx, commit, st.Work, message, s.Now())
		if err != nil || len(m.Conflicts) > 0 {
			fits = fits && err == nil && len(m.Conflicts) == 0
			return commit, err
		}
		if apart {
			return s.Repo.Join(ctx, m.Tree, st.Work, w.Red, message, s.Now())
		}
		return s.Repo.Commit(ctx, m.Tree, st.Work, message, s.Now())
	}
	var err error
	same := w.Red == w.Commit
	if w.Red, err = move(w.Red); err == nil && same {
		w.Commit = w.Red
	} else if err == nil {
		w.Commit, err = move(w.Commit)
	}
	if err != nil {
		return st, fmt.Errorf("carry the work on %s over: %w", w.Feature, err)
	}
	if !fits {
		return st.regranted("begun anew, because what others committed conflicts with it"), nil
	}
	st.Code, st.Wip = w.Commit, &w
	return st, nil
}

// unjoined is what comes of commits that could not be taken in.
func (s *Session) unjoined(ctx context.Context, st State, t Taken, why error) (State, error) {
	if ctx.Err() != nil {
		return st, s.stopped(ctx, why)
	}
	t.Remark = strings.TrimSpace(t.Remark + " " + why.Error())
	if t.From == People {
		return st.took(t), &StopError{Reason: Paused, Err: fmt.Errorf("the work branch holds commits of somebody else (its tip is %s) that cannot be taken in: %w; mend it there, then start the loop again", short(t.Tip), why)}
	}
	st = st.took(t)
	st.onto = Base{} // this session leaves it
	s.notify(st, Event{Step: "taken", Text: t.String()})
	return st, nil
}

// given is the commit of the base branch that is not tried again: it is the same
// each time.
func (st State) given(t Taken) string {
	if t.From == BaseLine {
		return t.Tip
	}
	return st.Merged
}

// beside is what comes of a transaction that was saved without the work branch.
func (s *Session) beside(st State, e *WorkError) (State, error) {
	switch {
	case e.Behind != nil:
		// Where it is meant to be is in the state. It goes with the next
		// transaction, or with the next session's first.
		if no, ok := errors.AsType[refusal](e.Behind); ok {
			return st, &StopError{Reason: Paused, Err: no}
		}
		s.notify(st, Event{Step: "beside", Text: clean(e.Error())})
		return st, nil
	case e.Ahead:
		st.theirs = e.Have
		s.notify(st, Event{Step: "beside", Text: "somebody has committed to the work branch; that is taken in next"})
		return st, nil
	case e.Have == "":
		st.adrift = true
		return st, &StopError{Reason: StoppedByPerson, Err: errors.New("the work branch was deleted")}
	}
	st.adrift = true
	return st, &StateError{Interfered, fmt.Errorf("the work branch was moved back or replaced while this session was at work: its tip is %s, and %s is gone from it; nothing is overwritten", short(e.Have), short(e.Want))}
}

// rescued keeps what the loop had made where people find it, and says so in the
// error. That it cannot be kept is said as well.
func (s *Session) rescued(ctx context.Context, st State, e *StateError) *StateError {
	if e.Type == Deleted {
		return e // on purpose
	}
	files, err := s.Repo.Rescue(ctx)
	if err == nil && len(files) == 0 {
		return e
	}
	var id string
	if err == nil {
		id, err = s.Forge.Upload(ctx, "rescue-"+artifactName(st, s.Owner), files)
	}
	if err != nil {
		return &StateError{e.Type, fmt.Errorf("%w (what the loop had made could not be packed for you: %w)", e.Err, err)}
	}
	return &StateError{e.Type, fmt.Errorf("%w. What the loop had made is kept in %s: RESCUE.md in it says how to restore it", e.Err, id)}
}

// message is that of the merge.
func (t Taken) message(st State) string {
	what := "the work branch"
	if t.From == BaseLine {
		what = "branch '" + clean(t.Branch) + "'"
	}
	return fmt.Sprintf("chore: merge %s\n\nWhat was complete was proved again.\n\nLoop-Session: %d\nLoop-Evidence: evidence/%s on the state branch, transaction %d\n", what, st.Spent.Sessions, TakenIn, st.Serial+1)
}

// some are the first of several paths.
func some(paths []string) string {
	const most = 5
	if len(paths) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(paths[:most], ", "), len(paths)-most)
	}
	return strings.Join(paths, ", ")
}
