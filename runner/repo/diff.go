package repo

import (
	"context"
	"fmt"
	"slices"
)

// Changed lists the paths that differ between two commits or trees, sorted.
func (r *Repo) Changed(ctx context.Context, from, to string) ([]string, error) {
	a, err := r.store.treeOf(from)
	if err != nil {
		return nil, fmt.Errorf("compare %s: %w", from, err)
	}
	b, err := r.store.treeOf(to)
	if err != nil {
		return nil, fmt.Errorf("compare %s: %w", to, err)
	}
	paths := map[string]bool{}
	err = r.store.diff(ctx, entry{mode: modeDir, id: a}, entry{mode: modeDir, id: b}, "", paths)
	if err != nil {
		return nil, fmt.Errorf("compare %s and %s: %w", from, to, err)
	}
	var sorted []string
	for p := range paths {
		sorted = append(sorted, p)
	}
	slices.Sort(sorted)
	return sorted, nil
}

// diff collects the files that are in one of two entries or different in both.
// An entry without a mode is not there.
func (s *store) diff(ctx context.Context, a, b entry, path string, paths map[string]bool) error {
	if a.id == b.id && a.mode == b.mode {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, e := range []entry{a, b} {
		if e.mode != modeDir && e.mode != 0 {
			paths[path] = true
		}
	}
	below := map[string][2]entry{}
	for i, e := range []entry{a, b} {
		if e.mode != modeDir {
			continue
		}
		es, err := s.tree(e.id)
		if err != nil {
			return err
		}
		for _, sub := range es {
			pair := below[sub.name]
			pair[i] = sub
			below[sub.name] = pair
		}
	}
	for name, pair := range below {
		p := name
		if path != "" {
			p = path + "/" + name
		}
		if err := s.diff(ctx, pair[0], pair[1], p, paths); err != nil {
			return err
		}
	}
	return nil
}
