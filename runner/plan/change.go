package plan

import (
	"fmt"
	"slices"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// merge is the list that comes of old by what a model says changes in it: rows
// that are new or different, and the ids of those that are no longer wanted.
// What it says nothing of stays as it is. A row that is gone can be no
// dependency any more.
func merge(old []runner.Feature, rows []runner.Row, gone []string) (all []runner.Row, wrong []string) {
	known := func(id string) bool {
		return slices.ContainsFunc(old, func(f runner.Feature) bool { return f.ID == id })
	}
	said := map[string]int{}
	for i, r := range rows {
		if slices.Contains(gone, r.ID) {
			wrong = append(wrong, fmt.Sprintf("%s: it is to be changed and to be deprecated", label(i, r)))
		}
		if first, twice := said[r.ID]; twice && r.ID != "" {
			wrong = append(wrong, fmt.Sprintf("%s: id %s is taken by row %d", label(i, r), r.ID, first+1))
			continue
		}
		said[r.ID] = i
	}
	for _, id := range gone {
		if !known(id) {
			wrong = append(wrong, fmt.Sprintf("%q is to be deprecated, but is not in the list", id))
		}
	}
	for _, f := range old {
		i, changed := said[f.ID]
		switch {
		case changed:
			all = append(all, rows[i])
		case f.Status == runner.Deprecated || slices.Contains(gone, f.ID):
		default:
			r := f.Row
			r.Passes = false
			r.DependsOn = slices.DeleteFunc(slices.Clone(r.DependsOn), func(id string) bool { return slices.Contains(gone, id) })
			if len(r.DependsOn) == 0 {
				r.DependsOn = nil
			}
			all = append(all, r)
		}
	}
	for _, r := range rows {
		if !known(r.ID) {
			all = append(all, r)
		}
	}
	return all, wrong
}
