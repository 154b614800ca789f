package check

import (
	"slices"

	"github.com/autonomous-loop/autonomous-loop/runner/audit"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// A feature that a person changed has tests that say what it was to be before.
// Those that are its own may change with it: they are judged as if they were
// new, and have to be red without what is asked for now. All others stay.

// released says whether the tests in file are the feature's own from before, and
// no completed feature's.
func (j *judgement) released(file string) bool {
	if !touches(j.Feature.Former, file) {
		return false
	}
	for _, f := range j.Completed {
		if f.ID != j.Feature.ID && f.Evidence != nil && touches(f.Evidence.Tests, file) {
			return false
		}
	}
	return true
}

// earlier is the parent's report, without the cases that may change.
func (j *judgement) earlier(r suite.Report) suite.Report {
	if len(j.Feature.Former) > 0 {
		r.Cases = slices.DeleteFunc(slices.Clone(r.Cases), func(c suite.Case) bool { return j.released(c.File) })
	}
	return r
}

// asNew are changes in which the files that may change are new ones.
func (j *judgement) asNew(changes []audit.Change) []audit.Change {
	if len(j.Feature.Former) == 0 {
		return changes
	}
	var all []audit.Change
	for _, c := range changes {
		if slices.Contains(j.Feature.Former, c.Path) && j.released(c.Path) {
			c.Before = audit.File{}
			if c.After.Mode == audit.Absent {
				continue
			}
		}
		all = append(all, c)
	}
	return all
}
