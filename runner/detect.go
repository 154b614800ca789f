package runner

import (
	"cmp"
	"errors"
	"fmt"
)

// A SessionType says what a session finds when it starts.
type SessionType string

// The session types. A damaged state is never taken for a missing one: that
// would destroy the work it speaks of.
const (
	Init       SessionType = "INIT"     // nothing there: draw up the feature list
	Resume     SessionType = "CONTINUE" // go on from the state
	Finished   SessionType = "COMPLETE" // nothing left that a session could do
	Corrupt    SessionType = "CORRUPT"  // the state cannot be trusted
	Deleted    SessionType = "DELETED"  // a person deleted a branch of the loop: stop
	Interfered SessionType = "PAUSED"   // a person's commits are in the way: wait
)

// A StateError says that the branches of the loop are not as they should be, so
// that no session may touch them. Its text tells a person what to do.
type StateError struct {
	Type SessionType // Corrupt, Deleted or Interfered
	Err  error
}

func (e *StateError) Error() string { return e.Err.Error() }
func (e *StateError) Unwrap() error { return e.Err }

// reason is the handoff reason of a session that meets the error.
func (e *StateError) reason() Reason {
	if e.Type == Deleted {
		return StoppedByPerson
	}
	return Paused
}

// detect decides what kind of session this is. lineage is what the request that
// started it names, if any. The error is a [*StateError].
func detect(found Found, lineage string, attempts int) (SessionType, State, error) {
	kind, st, err := inspect(found, lineage, attempts)
	if err != nil {
		return kind, st, &StateError{kind, err}
	}
	return kind, st, nil
}

func inspect(found Found, lineage string, attempts int) (SessionType, State, error) {
	if found.State == nil {
		switch {
		case found.Work != "":
			return Deleted, State{}, errors.New("the state branch is gone but the work branch is there: it was deleted, which stops the loop; delete the work branch too to start anew")
		case lineage != "":
			return Deleted, State{}, fmt.Errorf("asked to continue loop %s, but its state branch is gone: deleting it stops the loop", lineage)
		}
		return Init, State{}, nil
	}
	if found.Chain != nil {
		return Corrupt, State{}, fmt.Errorf("the state branch does not check: %w", found.Chain)
	}
	st, err := Decode(found.State, found.List)
	switch {
	case err != nil:
		return Corrupt, State{}, fmt.Errorf("the state is damaged: %w", err)
	case lineage != "" && lineage != st.Lineage:
		return Deleted, State{}, fmt.Errorf("asked to continue loop %s, but the state branch holds loop %s", lineage, st.Lineage)
	case found.Work == "" && st.Published != "":
		return Deleted, st, errors.New("the work branch was deleted, which stops the loop; delete the state branch too to start anew")
	case found.Foreign:
		return Interfered, st, fmt.Errorf("the work branch is at %s, where the state has it at %s: one of the two was moved back or replaced; nothing is overwritten", short(found.Work), short(cmp.Or(st.Published, st.Work)))
	}
	st.onto = found.Base
	if found.Ahead {
		st.theirs = found.Work
	}
	// A session that died on its last lines may have left the end to be told,
	// or the work branch to be moved: then there is still something to do.
	_, more := st.Next(attempts)
	if ended := st.Status == Done || st.Status == DoneWithExcept; ended && !more && found.Work == st.tip() {
		return Finished, st, nil
	}
	return Resume, st, nil
}
