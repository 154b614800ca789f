package check

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/audit"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// TestFormer says which tests may change with a feature that a person changed:
// its own, and no other's.
func TestFormer(t *testing.T) {
	report := suite.Report{Cases: []suite.Case{{File: "test/a.test.js", Name: "a"}, {File: "test/b.test.js", Name: "b"}, {File: "test/shared.test.js", Name: "s"}, {File: "test/base.test.js", Name: "nobody's"}}}
	text := audit.File{Mode: audit.Regular, Data: []byte("x")}
	changes := []audit.Change{{Path: "test/a.test.js", Before: text, After: text}, {Path: "test/b.test.js", Before: text}, {Path: "page.js", Before: text, After: text}}
	other := runner.Feature{Row: runner.Row{ID: "b-001"}, Progress: runner.Progress{Evidence: &runner.Evidence{Tests: []string{"test/b.test.js", "test/shared.test.js"}}}}
	judge := func(former ...string) *judgement {
		return &judgement{Candidate: runner.Candidate{
			Feature:   runner.Feature{Row: runner.Row{ID: "a-001"}, Progress: runner.Progress{Former: former}},
			Completed: []runner.Feature{other},
		}}
	}
	names := func(r suite.Report) (all []string) {
		for _, c := range r.Cases {
			all = append(all, c.Name)
		}
		return all
	}
	for _, tt := range []struct {
		former []string
		cases  []string
		before []bool // of changes: the file was there
	}{
		{nil, []string{"a", "b", "s", "nobody's"}, []bool{true, true, true}},
		{[]string{"test/a.test.js"}, []string{"b", "s", "nobody's"}, []bool{false, true, true}},
		{[]string{"test/a.test.js", "test/shared.test.js", "test/b.test.js"}, []string{"b", "s", "nobody's"}, []bool{false, true, true}},
	} {
		j := judge(tt.former...)
		var before []bool
		for _, c := range j.asNew(changes) {
			before = append(before, c.Before.Mode != audit.Absent)
		}
		if diff := cmp.Diff(tt.cases, names(j.earlier(report))) + cmp.Diff(tt.before, before); diff != "" {
			t.Errorf("%q: %s", tt.former, diff)
		}
	}
	if len(report.Cases) != 4 || changes[0].Before.Mode != audit.Regular {
		t.Error("what was given was changed")
	}
}
