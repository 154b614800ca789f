package check

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// Holds says whether a tree does what features ask that are complete in it: the
// project's tests pass, and so does every acceptance. Unlike Judge it compares
// with no parent, and asks all that it can whatever fails. The features that do
// not hold are the verdict's Broken, in the order given; tests that fail and
// belong to none of them are not among these.
func (g *Gates) Holds(ctx context.Context, tree string, features []runner.Feature) (runner.Verdict, error) {
	j := &judgement{Candidate: runner.Candidate{Tree: tree, Commit: tree}, now: g.o.Now}
	err := g.stands(ctx, j, features)
	if setup, ok := errors.AsType[*setupError](err); ok {
		j.decide("setup", tree, setup.finding())
		err = nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return runner.Verdict{}, fmt.Errorf("try %.7s: %w", tree, err)
	}
	if !j.decided() {
		j.pass()
	}
	return j.verdict, nil
}

func (g *Gates) stands(ctx context.Context, j *judgement, features []runner.Feature) error {
	j.begin()
	f, err := g.testsStand(ctx, j, features)
	if err != nil {
		return err
	}
	j.decide("tests", j.Tree, f)
	performed := slices.DeleteFunc(slices.Clone(features), func(f runner.Feature) bool { return !g.browses(f.Row) })
	j.begin()
	results, err := g.acceptAll(ctx, j.Tree, performed)
	if err != nil {
		return err
	}
	for i, feature := range performed {
		f := results[i].finding
		j.decide(feature.ID, j.Tree, f)
		if f.Outcome == runner.Failed {
			j.breaks(feature.ID, f.Reason)
		}
	}
	place := func(b runner.Broken) int {
		return slices.IndexFunc(features, func(f runner.Feature) bool { return f.ID == b.Feature })
	}
	slices.SortFunc(j.verdict.Broken, func(a, b runner.Broken) int { return place(a) - place(b) })
	return nil
}

// breaks notes that a feature does not hold.
func (j *judgement) breaks(id, why string) {
	i := slices.IndexFunc(j.verdict.Broken, func(b runner.Broken) bool { return b.Feature == id })
	if i < 0 {
		j.verdict.Broken = append(j.verdict.Broken, runner.Broken{Feature: id, Why: why})
		return
	}
	j.verdict.Broken[i].Why += " " + why
}

// failedOf are the tests of a report that fail and that a feature was proved
// with.
func failedOf(f runner.Feature, r suite.Report) []string {
	var tests []string
	for _, c := range r.Failed() {
		if f.Evidence != nil && touches(f.Evidence.Tests, c.File) {
			tests = append(tests, c.ID())
		}
	}
	return tests
}

func (g *Gates) testsStand(ctx context.Context, j *judgement, features []runner.Feature) (finding, error) {
	var last suite.Report
	once := func() (finding, error) {
		r, err := g.testTree(ctx, j.Tree)
		last, j.ran = r.Report, &last
		if err != nil {
			return finding{}, err
		}
		j.saw(r.on(j.Tree, ""))
		if r.Command == "" && !g.o.TDD && slices.ContainsFunc(features, func(f runner.Feature) bool { return g.browses(f.Row) }) {
			return finding{Reason: "the project has no tests; the acceptance alone decides."}, nil
		}
		return judgeStanding(r.Report), nil
	}
	first, err := once()
	if err != nil || first.passed() {
		return first, err
	}
	second, err := once()
	if second.passed() {
		return flaky(first, "Failed once and passed once, for the same tree"), err
	}
	for _, f := range features {
		if tests := failedOf(f, last); len(tests) > 0 {
			j.breaks(f.ID, fmt.Sprintf("Its tests fail: %s.", list(tests)))
		}
	}
	return second, err
}

// judgeStanding says whether the tests of a tree pass, whatever they were
// before.
func judgeStanding(r suite.Report) finding {
	f, ok := judgeRun(r)
	if !ok {
		return f
	}
	f.Counts = counts(r.Leaves())
	switch bad := r.Failed(); {
	case len(bad) > 0:
		f.Outcome, f.Detail = runner.Failed, brief(bad)
		f.Reason = fmt.Sprintf("%s in a clean checkout (`%s`): %s.", plural(len(bad), "test fails", "tests fail"), r.Command, list(names(bad)))
	case f.Counts.Run == 0:
		f.Outcome = runner.Failed
		f.Reason = fmt.Sprintf("`%s` ran no test at all%s; that is not a pass.", r.Command, skips(f.Counts.Skipped))
	default:
		f.Reason = fmt.Sprintf("%s in a clean checkout%s.", plural(f.Counts.Passed, "test passes", "tests pass"), skips(f.Counts.Skipped))
	}
	return f
}
