package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// A refusal is the remote's no to a push, for whatever reason: nothing was changed.
type refusal interface {
	error
	Refused() bool
}

// A RefusedError says that the remote does not take what an attempt made, whoever
// pushes it: a secret in a file, or a file that is too large. It is the attempt's
// fault and not the machinery's.
type RefusedError struct {
	Err   error
	Paths []string // that the remote named, and that snapshots leave out from now on; none: the whole attempt is lost
}

func (e *RefusedError) Error() string { return e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

// mostStripped is how often the paths that the remote names are taken out of one
// attempt before all of it counts as refused.
const mostStripped = 5

// stripped says whether the paths that the remote did not take are left out now,
// so that the work can be recorded and judged again without them. It was not
// done, and costs no attempt.
func (s *Session) stripped(st State, w Wip, err error, times *int) bool {
	no, ok := errors.AsType[*RefusedError](err)
	if !ok || len(no.Paths) == 0 || *times == mostStripped {
		return false
	}
	*times++
	s.owed = nil // what it speaks of is not done
	s.notify(st, Event{
		Step: "refused", Feature: w.Feature, Attempt: w.Attempt, Phase: w.Phase, Repair: w.Repairs,
		Text: fmt.Sprintf("%s: left out from now on, and the rest is recorded again: %s", some(no.Paths), strings.TrimPrefix(no.Error(), "save ")),
	})
	return true
}

// refused rolls back the attempt whose work the remote does not take, with its
// words. Any other error is given back as it is.
func (s *Session) refused(ctx context.Context, st State, err error) (State, error) {
	no, ok := errors.AsType[*RefusedError](err)
	if !ok || s.saved.Wip == nil {
		return st, err
	}
	id := s.saved.Wip.Feature
	return s.rollback(ctx, s.without(st, no), id)
}

// without is the state as it was last saved, without the work that the remote
// does not take. What that has cost stays spent.
func (s *Session) without(st State, no *RefusedError) State {
	last := s.saved
	last.Spent = st.Spent
	s.owed = nil // what it speaks of is not done, and may be what was refused
	if last.Wip == nil {
		return last
	}
	return last.failed(last.Wip.Feature, no.Error(), s.Config.AttemptsPerFeature)
}

// last saves the last transaction of a session, with the papers that speak of
// it: without the paths that the remote refuses, or else without the unfinished
// work.
func (s *Session) last(ctx context.Context, st State, end Ending, why string, files ...File) (State, []File, error) {
	message, times := fmt.Sprintf("end session %d", st.Spent.Sessions), 0
	save := func(st State) (State, []File, error) {
		st, papers := s.handing(st, end.Decision)
		all := append(papers, files...)
		st, err := s.save(ctx, st, message, all...)
		return st, all, err
	}
	saved, all, err := save(st)
	for st.Wip != nil && s.stripped(st, *st.Wip, err, &times) {
		w := *st.Wip
		snap, snapErr := s.Repo.Snapshot(ctx, st.Work, fmt.Sprintf("%s: attempt %d, interrupted in %s", w.Feature, w.Attempt, w.Phase))
		if snapErr != nil {
			return st, all, errors.Join(err, snapErr)
		}
		w.Commit = snap.Commit
		st = s.omitted(st, w, snap).advanced(w, s.Now())
		saved, all, err = save(st)
	}
	if no, refused := errors.AsType[*RefusedError](err); refused {
		saved, all, err = save(s.without(st, no).ended(end, why, s.Now()))
	}
	return saved, all, err
}
