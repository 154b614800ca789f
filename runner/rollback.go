package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Rollback says that a person returned the loop to a checkpoint. Nothing is
// undone by it in history: the work branch got one commit more, and the
// transaction that did it is one like all others.
type Rollback struct {
	Serial   int       `json:"serial"` // of the transaction that did it
	To       int       `json:"to"`     // the checkpoint's
	Code     string    `json:"code"`   // the verified commit whose files the work branch holds again
	Commit   string    `json:"commit"` // that holds them: the tip of the work branch since
	Features []string  `json:"features,omitempty"`
	Why      string    `json:"why,omitempty"` // in a person's words
	Time     time.Time `json:"time"`
}

// A Past is what the state branch holds besides the last state. Package repo
// has it.
type Past interface {
	// Transactions calls do for every transaction, from the last to the first,
	// with the id of its commit.
	Transactions(ctx context.Context, do func(commit string, tx Transaction) error) error

	// StateFiles returns the files of the last transaction whose names begin
	// with prefix.
	StateFiles(ctx context.Context, prefix string) ([]File, error)

	// TreeOf returns the tree of a commit.
	TreeOf(ctx context.Context, commit string) (string, error)

	// Parents returns the parents of a commit.
	Parents(ctx context.Context, commit string) ([]string, error)
}

// LatestCheckpoint is the id of the last checkpoint that is no rollback's undoing.
const LatestCheckpoint = "latest"

// Rollback returns a loop that nobody is at work on to a checkpoint, by a new
// transaction. On the work branch a commit restores the files that were verified
// then; unfinished work of then is to be gone on with. Features that were not
// complete then are to be done again, with their evidence left where it is.
// Memory and counters stay as they are. To do it again, or to return to where
// the loop stands already, changes nothing.
func (s *Session) Rollback(ctx context.Context, past Past, id, why string) (State, Rollback, error) {
	st, err := s.idle(ctx)
	if err != nil {
		return st, Rollback{}, err
	}
	point, err := st.checkpoint(id)
	if err != nil {
		return st, Rollback{}, err
	}
	if n := len(st.Rollbacks); n > 0 && st.Rollbacks[n-1].Serial == st.Serial && st.Rollbacks[n-1].To == point.Serial {
		return st, st.Rollbacks[n-1], nil // an earlier try did it, whose answer was lost
	}
	to, err := then(ctx, past, point.Serial)
	if err != nil {
		return st, Rollback{}, err
	}
	files, err := past.StateFiles(ctx, "evidence/")
	if err != nil {
		return st, Rollback{}, err
	}
	r := Rollback{Serial: st.Serial + 1, To: point.Serial, Code: to.Work, Why: legible(clean(why), noteBytes), Time: s.Now()}
	next, again, err := st.returned(to, r, files, s.Config.AttemptsPerFeature)
	if err != nil {
		return st, r, err
	}
	r.Features = again
	if r.Commit, err = s.restored(ctx, past, st, to, r); err != nil {
		return st, r, err
	}
	next.Work, next.Code = r.Commit, r.Commit
	if next.Wip != nil {
		tree, err := past.TreeOf(ctx, next.Wip.Commit)
		if err == nil {
			next.Wip.Commit, err = s.Repo.Commit(ctx, tree, r.Commit, fmt.Sprintf("%s: attempt %d, as it was at checkpoint %d", next.Wip.Feature, next.Wip.Attempt, r.To), r.Time)
		}
		if err != nil {
			return st, r, fmt.Errorf("take up the unfinished work of then: %w", err)
		}
		next.Code = next.Wip.Commit
	}
	if r.Commit == st.Work && len(again) == 0 && !revives(st, next) {
		r.Serial = 0
		return st, r, nil // the loop stands there already
	}
	next.Rollbacks = append(slices.Clip(next.Rollbacks), r)
	var lessons []File
	for _, id := range again {
		f, _ := next.Feature(id)
		lessons = append(lessons, s.learn(ctx, next, Lesson{What: fmt.Sprintf("%s (%s) is to be done again: %s", id, f.Description, f.Note), Feature: f.Row})...)
	}
	next, err = s.amend(ctx, next, fmt.Sprintf("roll back to checkpoint %d", r.To), lessons...)
	return next, r, err
}

// revives says whether next has work, or features, that st has not.
func revives(st, next State) bool {
	return next.Wip != nil && (st.Wip == nil || st.Wip.Commit != next.Wip.Commit) ||
		st.Wip != nil && next.Wip == nil || len(next.completed()) != len(st.completed())
}

// checkpoint finds one in the index.
func (st State) checkpoint(id string) (Checkpoint, error) {
	for _, p := range slices.Backward(st.Points) {
		if id == LatestCheckpoint && p.Before == 0 || strconv.Itoa(p.Serial) == id || p.Name != "" && p.Name == id {
			return p, nil
		}
	}
	return Checkpoint{}, &CheckpointError{ID: id, Known: st.Points}
}

// then is the state of an earlier transaction.
func then(ctx context.Context, past Past, serial int) (State, error) {
	var to State
	found := errors.New("found")
	err := past.Transactions(ctx, func(commit string, tx Transaction) error {
		st, err := Decode(tx.State, tx.List)
		if err != nil {
			return fmt.Errorf("read transaction %.7s: %w", commit, err)
		}
		if to = st; st.Serial == serial {
			return found
		}
		return nil
	})
	switch {
	case err == nil:
		return to, fmt.Errorf("transaction %d is not on the state branch", serial)
	case !errors.Is(err, found):
		return to, err
	}
	return to, nil
}

// returned is st with what it knows of features and unfinished work as it was
// at a checkpoint. What was complete then is so again if its proof still stands:
// the same acceptance, the last record of the chain about it, never found broken
// since. The names of those that are complete now and are not then come with it.
func (st State) returned(to State, r Rollback, files []File, attempts int) (next State, again []string, err error) {
	next = st
	if st.Status == Running {
		next = next.buried(attempts)
	}
	next.Owner, next.Wip = nil, nil
	next.Features = slices.Clone(next.Features)
	for i := range next.Features {
		f := &next.Features[i]
		was, known := to.Feature(f.ID)
		if known && was.Status == Complete && f.Status != Deprecated && f.Frozen == was.Frozen && f.Demotions == was.Demotions {
			f.Status, f.Commit, f.Evidence, f.Note = Complete, was.Commit, was.Evidence, was.Note
		} else if f.Status == Complete {
			f.undo(r)
		}
	}
	_, flaws := next.CheckEvidence(files)
	for _, flaw := range flaws {
		if flaw.Feature == "" {
			return st, nil, &StateError{Corrupt, fmt.Errorf("nothing is rolled back: %w", flaw)}
		}
		next = next.edit(flaw.Feature, func(f *Feature) { f.undo(r) })
	}
	for _, f := range st.completed() {
		if now, _ := next.Feature(f.ID); now.Status != Complete {
			again = append(again, f.ID)
		}
	}
	if w := to.Wip; w != nil && w.Commit != to.Work {
		f, known := next.Feature(w.Feature)
		was, _ := to.Feature(w.Feature)
		if known && f.Status != Complete && f.Status != Deprecated && f.Frozen == was.Frozen {
			next = next.edit(w.Feature, func(f *Feature) { f.Status = Todo })
			kept := *w
			next.Wip = &kept
		}
	}
	if next.Status != Stopped {
		next.Status, next.Reason = Waiting, Paused
	}
	next.Why = legible(fmt.Sprintf("a person rolled the loop back to checkpoint %d; start it to go on from there", r.To), noteBytes)
	if !slices.ContainsFunc(next.Points, func(p Checkpoint) bool { return p.Serial == st.Serial }) {
		next = next.indexed(Checkpoint{Serial: st.Serial, Kind: Automatic, Code: st.Code, Time: r.Time, Before: r.To})
	}
	return next, again, nil
}

// undo takes completion back from a feature whose code is no longer there, and
// lets it be tried as often as a new one.
func (f *Feature) undo(r Rollback) {
	why := fmt.Sprintf("the loop was rolled back to checkpoint %d, where it was not complete", r.To)
	if r.Why != "" {
		why += ": " + r.Why
	}
	f.Status, f.SecondChance, f.Outcome = Todo, false, ""
	f.Extra = f.Attempts
	f.Commit, f.Evidence, f.Former, f.Note = "", nil, nil, legible(why, noteBytes)
}

// restored is the commit on the work branch that holds the files of then: the
// tip, if it does already.
func (s *Session) restored(ctx context.Context, past Past, st, to State, r Rollback) (string, error) {
	now, err := past.TreeOf(ctx, st.Work)
	if err != nil {
		return "", err
	}
	tree, err := past.TreeOf(ctx, to.Work)
	if err != nil || tree == now {
		return st.Work, err
	}
	for id := st.Work; id != to.Work && id != st.Base.Commit; {
		parents, err := past.Parents(ctx, id)
		if err != nil {
			return "", err
		}
		if len(parents) != 1 {
			return "", fmt.Errorf("commit %s merged other work into the work branch since checkpoint %d; to roll back would take that back as well: roll back to a later checkpoint, or revert by hand", short(id), r.To)
		}
		id = parents[0]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "revert: return to checkpoint %d\n\n", r.To)
	if r.Why != "" {
		fmt.Fprintf(&b, "%s\n\n", r.Why)
	}
	fmt.Fprintf(&b, "The files are those of commit %s again.\n", short(to.Work))
	if len(r.Features) > 0 {
		fmt.Fprintf(&b, "To be done again: %s.\n", strings.Join(r.Features, ", "))
	}
	fmt.Fprintf(&b, "\nLoop-Rollback: %d\nLoop-Session: %d\n", r.To, st.Spent.Sessions)
	commit, err := s.Repo.Commit(ctx, tree, st.Work, b.String(), r.Time)
	if err != nil {
		return "", fmt.Errorf("restore the files of checkpoint %d: %w", r.To, err)
	}
	return commit, nil
}
