package check

import (
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/audit"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// A feature that a person changed has tests that say what it was to be before,
// and so has one that the spec dropped. Those that nobody else was proved with
// may change or go: they are judged as if they were new. All others stay, and so
// do those of which it is not known whose they are. Whose a test is is known by its
// name; by its file only where a feature was proved before names were kept.

// released says whether a test of the parent may change or go.
func (j *judgement) released(c suite.Case) bool {
	for _, f := range j.Completed {
		if f.ID == j.Feature.ID || f.Evidence == nil {
			continue
		}
		if names := f.Evidence.Cases; slices.Contains(names, c.ID()) || len(names) == 0 && touches(f.Evidence.Tests, c.File) {
			return false
		}
	}
	return slices.Contains(j.Feature.FormerCases, c.ID()) || touches(j.Feature.Former, c.File)
}

// frees says whether any test may change or go.
func (j *judgement) frees() bool { return len(j.Feature.Former)+len(j.Feature.FormerCases) > 0 }

// earlier is the parent's report, without the cases that may change.
func (j *judgement) earlier(r suite.Report) suite.Report {
	if j.frees() {
		r.Cases = slices.DeleteFunc(slices.Clone(r.Cases), j.released)
	}
	return r
}

// releasedFile says whether all tests that the parent ran of a file may change.
func (j *judgement) releasedFile(parent suite.Report, file string) bool {
	if slices.Contains(j.Feature.Former, file) && j.released(suite.Case{File: file}) {
		return true
	}
	cases := slices.DeleteFunc(parent.Leaves(), func(c suite.Case) bool { return !touches([]string{file}, c.File) })
	return len(cases) > 0 && !slices.ContainsFunc(cases, func(c suite.Case) bool { return !j.released(c) })
}

// asNew are changes in which the files that may change are new ones.
func (j *judgement) asNew(parent suite.Report, changes []audit.Change) []audit.Change {
	if !j.frees() {
		return changes
	}
	var all []audit.Change
	for _, c := range changes {
		if j.releasedFile(parent, c.Path) {
			c.Before = audit.File{}
			if c.After.Mode == audit.Absent {
				continue
			}
		}
		all = append(all, c)
	}
	return all
}

// free says of a test as it is written in a file of the parent whether it may
// change: every case that it may stand for may.
func (j *judgement) free(parent suite.Report) func(file, name string) bool {
	if !j.frees() {
		return nil
	}
	return func(file, name string) bool {
		cases := slices.DeleteFunc(parent.Leaves(), func(c suite.Case) bool { return !touches([]string{file}, c.File) || !stands(name, c.Name) })
		return len(cases) > 0 && !slices.ContainsFunc(cases, func(c suite.Case) bool { return !j.released(c) })
	}
}

var separators = strings.NewReplacer(" › ", "\x00", " > ", "\x00", "::", "\x00", ".", "\x00", "/", "\x00")

// stands says whether a test as it is written may be a case as it is reported:
// with what it is in before it, or what it is asked with after it.
func stands(written, reported string) bool {
	w, r := separators.Replace(written), separators.Replace(reported)
	return w == r || strings.HasPrefix(r, w+"\x00") || strings.HasSuffix(r, "\x00"+w) || strings.Contains(r, "\x00"+w+"\x00") || strings.HasPrefix(r, w+"[")
}

// ownCases are the tests that the feature brought, by name; none where there are
// so many that nobody would look at them.
func ownCases(parent, green suite.Report) []string {
	const most, longest = 200, 300
	before := parent.Index()
	var names []string
	for _, c := range green.Leaves() {
		if _, known := before[c.ID()]; known || c.State != suite.Pass || c.Weak || c.Load {
			continue
		}
		if names = append(names, c.ID()); len(names) > most || len(c.ID()) > longest {
			return nil
		}
	}
	return names
}

// let notes which tests of before are gone, or may be changed, because nobody
// asks for them any more.
func (j *judgement) let(parent, green suite.Report, changed []string) {
	now := green.Index()
	var gone []string
	for _, c := range parent.Leaves() {
		if !j.released(c) || c.Weak || c.Load {
			continue
		}
		if _, there := now[c.ID()]; !there {
			gone = append(gone, c.String())
		} else if !touches(changed, c.File) {
			continue
		}
		j.verdict.Freed = append(j.verdict.Freed, c.ID())
	}
	if len(gone) > 0 {
		j.note("%s that nobody asks for since a person changed the spec: %s.", plural(len(gone), "test is gone", "tests are gone"), list(gone))
	}
}
