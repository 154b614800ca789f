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
// with no parent, and asks all that it can whatever fails.
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
		j.decide(feature.ID, j.Tree, results[i].finding)
	}
	return nil
}

func (g *Gates) testsStand(ctx context.Context, j *judgement, features []runner.Feature) (finding, error) {
	once := func() (finding, error) {
		r, err := g.testTree(ctx, j.Tree)
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
