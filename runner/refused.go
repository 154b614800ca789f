package runner

import (
	"context"
	"errors"
)

// A RefusedError says that the remote does not take what an attempt made, whoever
// pushes it: a secret in a file, or a file that is too large. It is the attempt's
// fault and not the machinery's.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

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
