package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A Shelf reads what a feature list was drawn up from, as a commit has it.
// Package plan has one.
type Shelf interface {
	// Spec is the hash of a spec. What is not there is an [fs.ErrNotExist].
	Spec(commit, source string) (string, error)

	// List is the hash of a feature list of a person's own, and its rows with
	// the ids that they have where old was the list before.
	List(ctx context.Context, commit, source string, old []runner.Feature) (string, []runner.Row, error)
}

// agreed says what a feature is measured by, and since when.
func (p *prover) agreed(f runner.Feature) string {
	changes := p.past.frozen[f.ID]
	since, how := 0, "which drew it up"
	if len(changes) > 0 {
		since = changes[0].serial
	}
	if len(changes) > 1 {
		how = fmt.Sprintf("which took up what a person changed (commit %.7s)", changes[0].spec.Commit)
	}
	if len(f.Acceptance) == 0 {
		return fmt.Sprintf("it has no acceptance since transaction %d, %s.", since, how)
	}
	return fmt.Sprintf("its acceptance (%s, sha256 %.12s) is that of transaction %d, %s.", plural(len(f.Acceptance), "step"), f.Frozen, since, how)
}

// unfrozen says where a feature's acceptance was changed after it was drawn up,
// and not because a person changed what is asked for: the transaction that did
// it names a spec, or a list, that the base branch holds. Where that was never
// in the repository, as an issue is not, it cannot be told.
func (p *prover) unfrozen(ctx context.Context, f runner.Feature) (against []error, unknown Proof, err error) {
	changes := p.past.frozen[f.ID]
	for i, c := range changes[:max(0, len(changes)-1)] {
		older := changes[i+1]
		says := func(why string) string {
			return fmt.Sprintf("its acceptance was changed in transaction %d, from sha256 %.12s to %.12s, after it was frozen%s", c.serial, older.hash, c.hash, why)
		}
		switch {
		case c.spec == c.before || !c.synced:
			against = append(against, errors.New(says("")))
		case c.spec.Commit == "" && c.before.Commit == "":
			unknown = Proof{Result: NotRun, Says: says(fmt.Sprintf(", when %s was changed: that is not in the repository, and cannot be read again.", from(c.spec)))}
		case c.spec.Commit == "" || p.Shelf == nil:
			unknown = Proof{Result: Inconclusive, Says: says(fmt.Sprintf(": %s, which it names, is not in the repository, and what the list was from before is.", from(c.spec)))}
		default:
			why, err := p.invented(ctx, f, c)
			if ctx.Err() != nil {
				return nil, Proof{}, context.Cause(ctx)
			}
			if err != nil {
				return nil, Proof{}, err
			}
			if why != "" {
				against = append(against, errors.New(says(": "+why)))
			}
		}
	}
	return against, unknown, nil
}

// from is what a list is from, for people.
func from(s runner.Spec) string {
	if s.List != "" {
		return s.ListSource
	}
	return s.Source
}

// invented says why the base branch does not hold what a change of an acceptance
// is said to be from; "" if it does.
func (p *prover) invented(ctx context.Context, f runner.Feature, c change) (string, error) {
	base, commit := p.Found.Base.Commit, c.spec.Commit
	if on, err := p.Repo.Descends(ctx, base, commit); err != nil || !on {
		return fmt.Sprintf("commit %.7s, which it names, is not on the base branch", commit), nil //nolint:nilerr // what is not there is not on it
	}
	if c.before.Commit != "" {
		if later, err := p.Repo.Descends(ctx, commit, c.before.Commit); err != nil || !later {
			return fmt.Sprintf("commit %.7s, which it names, does not come after %.7s, from which the list was before", commit, c.before.Commit), nil //nolint:nilerr // likewise
		}
	}
	if c.spec.List == "" {
		hash, err := p.Shelf.Spec(commit, c.spec.Source)
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && hash != c.spec.SHA256:
			return fmt.Sprintf("%s is not in commit %.7s as it says (sha256 %.12s)", c.spec.Source, commit, c.spec.SHA256), nil
		}
		return "", err
	}
	hash, rows, err := p.Shelf.List(ctx, commit, c.spec.ListSource, c.list)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && hash != c.spec.List:
		return fmt.Sprintf("%s is not in commit %.7s as it says (sha256 %.12s)", c.spec.ListSource, commit, c.spec.List), nil
	case err != nil:
		return "", err
	}
	for _, r := range rows {
		if r.ID == f.ID && r.AcceptanceHash() == c.hash {
			return "", nil
		}
	}
	return fmt.Sprintf("%s in commit %.7s has another acceptance for it", c.spec.ListSource, commit), nil
}
