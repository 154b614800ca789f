package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Links calls do for every commit of the state branch that was loaded, whatever
// is wrong with it, from the last to the first. ours says whether the loop made
// it, by its name. What it does not hold is nil in tx.
func (r *Repo) Links(ctx context.Context, do func(commit string, parents []string, ours bool, tx runner.Transaction) error) error {
	last, err := r.tips()
	if err != nil {
		return fmt.Errorf("read the state branch: %w", err)
	}
	for id := last.state; id != none; {
		if err := ctx.Err(); err != nil {
			return err
		}
		c, err := r.store.commit(id)
		if err != nil {
			return fmt.Errorf("read the state branch: %w", err)
		}
		tx := runner.Transaction{Message: c.message}
		for name, to := range map[string]*[]byte{"state.json": &tx.State, "feature_list.json": &tx.List} {
			if *to, err = r.store.file(id, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("read the state branch: %w", err)
			}
		}
		var parents []string
		for _, p := range c.parents {
			parents = append(parents, p.String())
		}
		if err := do(id.String(), parents, c.committer == r.o.Author, tx); err != nil {
			return err
		}
		if len(c.parents) == 0 {
			return nil
		}
		id = c.parents[0]
	}
	return nil
}
