package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// A Checkpoint is a saved point that can be returned to: the transaction with
// its serial. The index says which are worth returning to; the transactions
// stay on the state branch, and their code with them, whatever the index says.
type Checkpoint struct {
	Serial      int            `json:"serial"`
	Kind        CheckpointKind `json:"kind"`
	Name        string         `json:"name,omitempty"`        // that a person gave it
	Description string         `json:"description,omitempty"` // likewise
	Feature     string         `json:"feature,omitempty"`
	Code        string         `json:"code"`
	Time        time.Time      `json:"time"`
	Before      int            `json:"before_rollback_to,omitempty"` // it undoes the rollback to that checkpoint
}

// A CheckpointKind decides how long a checkpoint stays in the index.
type CheckpointKind string

// The kinds of checkpoints: automatic ones (the last five stay), session starts
// (the last three), completed features (all), those that a person made (until
// they are deleted).
const (
	Automatic      CheckpointKind = "automatic"
	SessionStart   CheckpointKind = "session"
	FeatureReached CheckpointKind = "feature"
	ByHand         CheckpointKind = "manual"
)

var keep = map[CheckpointKind]int{Automatic: 5, SessionStart: 3}

// point enters the next transaction into the index of checkpoints.
func (st State) point(k CheckpointKind, feature string, now time.Time) State {
	return st.indexed(Checkpoint{Serial: st.Serial + 1, Kind: k, Feature: feature, Code: st.Code, Time: now})
}

// indexed enters a checkpoint and lets those go that are past their kind's
// retention. History keeps them all. A transaction that was not saved after all
// left an entry with the serial of the one that is.
func (st State) indexed(c Checkpoint) State {
	st.Points = append(slices.DeleteFunc(slices.Clone(st.Points), func(p Checkpoint) bool {
		return p.Serial == c.Serial && p.Kind == Automatic
	}), c)
	left := maps.Clone(keep)
	for i, p := range slices.Backward(st.Points) {
		n, limited := left[p.Kind]
		if limited && n == 0 {
			st.Points = slices.Delete(st.Points, i, i+1)
			continue
		}
		left[p.Kind] = n - 1
	}
	return st
}

// Checkpoint saves the loop as it stands under a name of a person's. It stays in
// the index until [Session.Forget].
func (s *Session) Checkpoint(ctx context.Context, name, description string) (Checkpoint, error) {
	st, err := s.idle(ctx)
	if err != nil {
		return Checkpoint{}, err
	}
	c := Checkpoint{
		Serial: st.Serial + 1, Kind: ByHand, Name: legible(clean(name), nameBytes), Description: legible(clean(description), noteBytes),
		Code: st.Code, Time: s.Now(),
	}
	_, err = s.amend(ctx, st.indexed(c), fmt.Sprintf("checkpoint %d, made by hand", c.Serial))
	return c, err
}

const nameBytes = 100

// Forget takes a checkpoint out of the index that a person made. One that is not
// there is gone already.
func (s *Session) Forget(ctx context.Context, serial int) error {
	st, err := s.idle(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(st.Points, func(p Checkpoint) bool { return p.Serial == serial })
	switch {
	case i < 0:
		return &CheckpointError{ID: fmt.Sprint(serial), Known: st.Points}
	case st.Points[i].Kind != ByHand:
		return fmt.Errorf("checkpoint %d is one of the loop's own (%s) and goes by itself; only those that were made by hand can be deleted", serial, st.Points[i].Kind)
	}
	st.Points = slices.Delete(slices.Clone(st.Points), i, i+1)
	_, err = s.amend(ctx, st, fmt.Sprintf("forget checkpoint %d", serial))
	return err
}

// A CheckpointError says that there is no checkpoint of this id.
type CheckpointError struct {
	ID    string
	Known []Checkpoint
}

func (e *CheckpointError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("there is no checkpoint %s, nor any other", e.ID)
	}
	var ids []int
	for _, p := range e.Known {
		ids = append(ids, p.Serial)
	}
	return fmt.Sprintf("there is no checkpoint %s; these are there: %v", e.ID, ids)
}

// Look reads the state of a loop, whoever is at work on it.
func (s *Session) Look(ctx context.Context) (State, error) {
	found, err := s.Repo.Load(ctx)
	if err != nil {
		return State{}, fmt.Errorf("load the state: %w", err)
	}
	kind, st, err := detect(found, "", s.Config.AttemptsPerFeature)
	if err == nil && kind == Init {
		err = &StateError{Deleted, fmt.Errorf("there is no loop %s in this repository yet", s.Loop)}
	}
	return st, err
}

// idle is the state of a loop that nobody is at work on: a person's hand must
// not take the lock away from a session.
func (s *Session) idle(ctx context.Context) (State, error) {
	st, err := s.Look(ctx)
	if err != nil {
		return st, err
	}
	return st, s.free(ctx, st)
}

// amend saves what a person did to a loop that is idle, with the papers that
// speak of it.
func (s *Session) amend(ctx context.Context, st State, message string, files ...File) (State, error) {
	st, papers := s.handing(st, "")
	files = append(files, papers...)
	st, err := s.put(ctx, st, message, files...)
	if _, moved := errors.AsType[*MovedError](err); moved {
		err = &StopError{Reason: Superseded, Err: err}
	}
	return st, err
}
