package repo

import (
	"context"
	"fmt"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Transactions calls do for every transaction of the state branch that was
// loaded, from the last to the first, with the id of its commit.
func (r *Repo) Transactions(ctx context.Context, do func(commit string, tx runner.Transaction) error) error {
	last, err := r.tips()
	if err != nil {
		return fmt.Errorf("read the transactions: %w", err)
	}
	for id := last.state; id != none; {
		if err := ctx.Err(); err != nil {
			return err
		}
		c, err := r.store.commit(id)
		if err != nil {
			return fmt.Errorf("read the transactions: %w", err)
		}
		tx := runner.Transaction{Message: c.message}
		for name, to := range map[string]*[]byte{"state.json": &tx.State, "feature_list.json": &tx.List} {
			if *to, err = r.store.file(id, name); err != nil {
				return fmt.Errorf("read the transactions: %w", err)
			}
		}
		if len(c.parents) > 1 {
			tx.Code = c.parents[1].String()
		}
		if err := do(id.String(), tx); err != nil {
			return err
		}
		if len(c.parents) == 0 {
			return nil
		}
		id = c.parents[0]
	}
	return nil
}

// TreeOf returns the tree of a commit.
func (r *Repo) TreeOf(ctx context.Context, commit string) (string, error) {
	id, err := parseID(commit)
	if err != nil {
		return "", err
	}
	c, err := r.store.commit(id)
	if err != nil {
		return "", err
	}
	return c.tree.String(), nil
}

// Parents returns the parents of a commit.
func (r *Repo) Parents(ctx context.Context, commit string) ([]string, error) {
	id, err := parseID(commit)
	if err != nil {
		return nil, err
	}
	c, err := r.store.commit(id)
	if err != nil {
		return nil, err
	}
	var parents []string
	for _, p := range c.parents {
		parents = append(parents, p.String())
	}
	return parents, nil
}

// Descends says whether commit is ancestor, or was made from it.
func (r *Repo) Descends(ctx context.Context, commit, ancestor string) (bool, error) {
	a, err := parseID(commit)
	if err != nil {
		return false, err
	}
	b, err := parseID(ancestor)
	if err != nil {
		return false, err
	}
	return r.store.descends(a, b)
}
