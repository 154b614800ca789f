package repo

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Merge brings ours and theirs together, as git does: what is in one already is
// not merged, what only went on is moved on to, and else a commit of both is
// made. Nothing is ever rebased, and nothing is laid out.
func (r *Repo) Merge(ctx context.Context, ours, theirs, message string, when time.Time) (runner.Merge, error) {
	fail := func(err error) (runner.Merge, error) {
		return runner.Merge{}, fmt.Errorf("merge %.7s into %.7s: %w", theirs, ours, err)
	}
	a, err := parseID(ours)
	if err != nil {
		return fail(err)
	}
	b, err := parseID(theirs)
	if err != nil {
		return fail(err)
	}
	there, err := r.store.descends(a, b)
	if err != nil {
		return fail(err)
	}
	forward, err := r.store.descends(b, a)
	if err != nil {
		return fail(err)
	}
	switch {
	case there:
		return r.at(a)
	case forward:
		return r.at(b)
	}
	tree, paths, err := r.mergeTree(ctx, a, b)
	if err != nil {
		return fail(err)
	}
	m := runner.Merge{Tree: tree.String(), Conflicts: paths}
	if len(paths) > 0 {
		return m, nil
	}
	m.Commit, err = r.join(ctx, tree, a, b, message, when)
	if err != nil {
		return fail(err)
	}
	return m, nil
}

func (r *Repo) at(id oid) (runner.Merge, error) {
	c, err := r.store.commit(id)
	return runner.Merge{Commit: id.String(), Tree: c.tree.String()}, err
}

// Join records tree as a commit of both ours and theirs.
func (r *Repo) Join(ctx context.Context, tree, ours, theirs, message string, when time.Time) (string, error) {
	ids := [3]oid{}
	for i, s := range []string{tree, ours, theirs} {
		id, err := parseID(s)
		if err != nil {
			return "", fmt.Errorf("commit tree %s: %w", tree, err)
		}
		ids[i] = id
	}
	return r.join(ctx, ids[0], ids[1], ids[2], message, when)
}

// join makes a commit of two parents. The first is ours, unless theirs brings
// changes of workflows: GitHub refuses those from a job's token, and looks at
// the first parent, for which they must be no changes.
func (r *Repo) join(ctx context.Context, tree, ours, theirs oid, message string, when time.Time) (string, error) {
	parents := []oid{ours, theirs}
	differ, err := r.Changed(ctx, ours.String(), tree.String())
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(differ, func(path string) bool { return strings.HasPrefix(path, ".github/workflows/") }) {
		slices.Reverse(parents)
	}
	id, err := r.store.put(plumbing.CommitObject, encodeCommit(tree, parents, r.o.Author, message, when))
	return id.String(), err
}

// mergeTree merges two commits into a tree. Where they conflict, paths names the
// files, and the tree holds them with git's marks in them.
func (r *Repo) mergeTree(ctx context.Context, ours, theirs oid) (tree oid, paths []string, err error) {
	out, err := r.store.git(ctx, nil, "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours.String(), theirs.String())
	exit, ran := errors.AsType[*exec.ExitError](err)
	if err != nil && (!ran || exit.ExitCode() != 1) { // 1: there are conflicts
		return none, nil, err
	}
	parts := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if tree, err = parseID(parts[0]); err != nil {
		return none, nil, fmt.Errorf("git merge-tree says %q", parts[0])
	}
	if ran {
		paths = slices.Compact(slices.Sorted(slices.Values(parts[1:])))
		if len(paths) == 0 {
			return none, nil, errors.New("git merge-tree names no conflict")
		}
	}
	return tree, paths, r.store.packs.refresh()
}

// ahead says whether tip is where somebody went on from where the loop's work
// was published: it descends from one of published, and no commit that is new on
// it was made by the loop itself. Such a one would be a state that was rewound.
func (r *Repo) ahead(tip oid, published, known []oid) (bool, error) {
	for _, p := range published {
		if p == none || !r.store.has(p) {
			continue
		}
		on, err := r.store.descends(tip, p)
		if err != nil {
			return false, err
		}
		if !on {
			continue
		}
		fresh, err := r.store.since([]oid{tip}, known)
		if err != nil {
			return false, err
		}
		for _, id := range fresh {
			c, err := r.store.commit(id)
			if err != nil {
				return false, err
			}
			if c.committer == r.o.Author {
				return false, nil
			}
		}
		return true, nil
	}
	return false, nil
}
