package runner

import (
	"context"
	"errors"
	"fmt"
)

// An UnsavedError says that a session could not save its last transaction, and
// keeps what it would have saved where it could not be uploaded either.
type UnsavedError struct {
	Err   error
	Files []File // a git bundle, and how to push it
}

func (e *UnsavedError) Error() string { return e.Err.Error() }
func (e *UnsavedError) Unwrap() error { return e.Err }

// unsaved ends a session whose last transaction could not be saved, because the
// remote is away, or refuses it for what it is. Nobody is asked to go on: they
// would not find it. It is kept for a person to push; but not what was refused
// for what is in it, nor what another session has overtaken.
func (s *Session) unsaved(ctx context.Context, st State, err error) (LoopResult, error) {
	st.Owner, st.Status, st.Reason = nil, Waiting, Paused
	st.Why = legible(err.Error(), noteBytes)
	_, moved := errors.AsType[*MovedError](err)
	_, refused := errors.AsType[*RefusedError](err)
	if moved || refused {
		return st.Result(Wait), err
	}
	files, packErr := s.Repo.Rescue(ctx)
	switch {
	case packErr != nil:
		err = fmt.Errorf("%w (what was not saved could not be packed for you: %w)", err, packErr)
	case len(files) > 0:
		id, upErr := s.Forge.Upload(ctx, "rescue-"+artifactName(st, s.Owner), files)
		if upErr != nil {
			err = &UnsavedError{fmt.Errorf("%w (nor could it be uploaded: %w)", err, upErr), files}
			break
		}
		err = fmt.Errorf("%w. What this session could not save is kept in %s: RESCUE.md in it says how to push it by hand", err, id)
	}
	st.Why = legible(err.Error(), noteBytes)
	s.notify(st, Event{Step: string(Wait), Text: st.Why})
	return st.Result(Wait), err
}
