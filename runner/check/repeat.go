package check

import (
	"fmt"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// judgeGreenTwice weighs two runs in a row of the same tree. What differs
// between them is a matter of luck, and proves nothing either way.
func judgeGreenTwice(parent suite.Report, red *suite.Report, first, second suite.Report) finding {
	a, b := judgeGreen(parent, red, first), judgeGreen(parent, red, second)
	_, soundA := judgeRun(first)
	_, soundB := judgeRun(second)
	switch {
	case a.passed() != b.passed():
		if !a.passed() {
			b = a
		}
		return flaky(b, "Failed once and passed once, for the same tree")
	case soundA && soundB:
		if luck := differ(first, second); len(luck) > 0 {
			return flaky(b, "Ran twice on the same tree and came out differently: "+list(luck))
		}
	}
	if b.passed() {
		b.Reason = "twice in a row " + b.Reason
	}
	return b
}

// flaky is the finding on runs of the same tree that contradict each other. f
// is that of the worse one.
func flaky(f finding, why string) finding {
	reason := why + ": flaky."
	if !f.passed() {
		reason += " The failure: " + f.Reason
	}
	return finding{Outcome: runner.Inconclusive, Reason: reason, Detail: f.Detail, Counts: f.Counts}
}

// differ names the cases that did not end the same way in both runs.
func differ(first, second suite.Report) []string {
	var names []string
	before := first.Index()
	for _, c := range second.Leaves() {
		if old, known := before[c.ID()]; !known || old.State != c.State {
			names = append(names, c.String())
		}
	}
	now := second.Index()
	for _, c := range first.Leaves() {
		if _, known := now[c.ID()]; !known {
			names = append(names, c.String())
		}
	}
	return names
}

// judgeRevert says whether the tests that were red before the feature was built
// are red again once its code is taken out. The tree is the one that RED judged,
// and that is the point: between the two runs the candidate's code ran. What it
// could not undo is that its tests depend on it; a test that is green now
// remembers something that is in no tree, or goes by luck or by the clock.
func judgeRevert(proper []suite.Case, again suite.Report) finding {
	now := again.Index()
	var green []string
	for _, c := range proper {
		got, there := now[c.ID()]
		if c.Load && !there {
			got.State, there = loaded(again, c.File)
		}
		if !there || got.State != suite.Fail {
			green = append(green, c.String())
		}
	}
	f := finding{Counts: counts(again.Leaves())}
	if len(green) > 0 && !again.Hung {
		f.Outcome, f.Detail = runner.Failed, limit(suite.Clean(again.Tail), mostDetail)
		f.Reason = fmt.Sprintf("With the implementation taken out again these tests do not fail any more: %s. They did before it was built, on the same files: "+
			"what makes them pass is in no file of the project. A test must depend on the feature, and not on what was run before, where, or when.", list(green))
		return f
	}
	f.Reason = fmt.Sprintf("%s again once the implementation is taken out.", plural(len(proper), "test fails", "tests fail"))
	return f
}

// loaded says how the cases of a file ended that did not load the last time.
func loaded(r suite.Report, file string) (suite.State, bool) {
	state, there := suite.Pass, false
	for _, c := range r.Leaves() {
		if c.File == file {
			there = true
			if c.State == suite.Fail {
				state = suite.Fail
			}
		}
	}
	return state, there
}
