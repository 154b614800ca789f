package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// regression is the gate on everything that was complete before. What does not
// hold on the candidate is performed on its parent, too: if it does not hold
// there either, the candidate is not to blame, and the feature is broken.
func (g *Gates) regression(ctx context.Context, j *judgement) error {
	earlier := g.earlier(j)
	if len(earlier) == 0 {
		return nil
	}
	j.begin()
	results, err := j.regressed()
	if err != nil {
		return err
	}
	all := finding{Reason: fmt.Sprintf("%s as before.", plural(len(earlier), "earlier feature works", "earlier features work"))}
	for i, f := range earlier {
		r := results[i]
		j.browse.Regression = append(j.browse.Regression, r.performances...)
		j.watched(r.performances)
		all.Counts.Run += r.finding.Counts.Run
		all.Counts.Passed += r.finding.Counts.Passed
		all.Counts.Failed += r.finding.Counts.Failed
		if r.finding.passed() {
			continue
		}
		was, err := g.before(ctx, j, f)
		if err != nil {
			return err
		}
		verdict, broken := judgeRegression(f, r.finding, was)
		verdict.Counts = all.Counts
		if broken != nil {
			if broken.Culprit, err = g.culprit(ctx, j, f); err != nil {
				return err
			}
			if broken.Culprit != "" {
				broken.Why += fmt.Sprintf(" It does not hold since %s was completed.", broken.Culprit)
			}
			verdict = setBack([]runner.Broken{*broken}, verdict)
			j.verdict.Broken = append(j.verdict.Broken, *broken)
		}
		all = verdict
		break
	}
	j.decide("regression", j.Tree, all)
	return nil
}

// earlier are the features whose acceptance must still hold.
func (g *Gates) earlier(j *judgement) []runner.Feature {
	return slices.DeleteFunc(slices.Clone(j.Completed), func(f runner.Feature) bool { return !g.browses(f.Row) || f.ID == j.Feature.ID })
}

// acceptAll performs the acceptances of completed features on tree, side by side,
// because most of a performance is waiting. Once is enough where it passes: it
// was proved more than once when it was completed, and every candidate to come
// asks it again.
func (g *Gates) acceptAll(ctx context.Context, tree string, features []runner.Feature) ([]accepted, error) {
	results, errs := make([]accepted, len(features)), make([]error, len(features))
	var wg sync.WaitGroup
	for i, f := range features {
		wg.Go(func() { results[i], errs[i] = g.accept(ctx, tree, f.Row, 1) })
	}
	wg.Wait()
	return results, errors.Join(errs...)
}

// judgeRegression says who is to blame that an earlier feature does not hold on
// the candidate: was is what the same acceptance said on the candidate's parent.
// broken is the feature if it is not the candidate.
func judgeRegression(f runner.Feature, now, was finding) (verdict finding, broken *runner.Broken) {
	what := fmt.Sprintf("%s (%s)", f.ID, shorten(f.Description, 1, 120))
	switch {
	case now.Outcome != runner.Failed:
		now.Reason = what + " was complete and cannot be judged now. " + now.Reason
	case was.Outcome == runner.Failed:
		return now, &runner.Broken{Feature: f.ID, Why: what + " was complete and does not hold any more, on what was verified before this candidate either. " + was.Reason}
	case !was.passed():
		now.Outcome = runner.Inconclusive
		now.Reason = what + " was complete and fails on this candidate; whether it held before cannot be said. " + was.Reason
	default:
		now.Reason = what + " was complete and is broken by this change. " + now.Reason
	}
	return now, nil
}

// setBack is the finding on a candidate that nothing can be said of, because
// something that it builds on is broken.
func setBack(broken []runner.Broken, f finding) finding {
	var ids []string
	for _, b := range broken {
		ids = append(ids, b.Feature)
	}
	f.Outcome = runner.Inconclusive
	f.Reason = fmt.Sprintf("An earlier feature is broken, and not by this candidate: %s. It is mended first. %s", list(ids), broken[0].Why)
	return f
}

// before is what the acceptance of an earlier feature says of the parent.
func (g *Gates) before(ctx context.Context, j *judgement, f runner.Feature) (finding, error) {
	was, err := g.accept(ctx, j.Parent, f.Row, 1)
	j.browse.Culprit = append(j.browse.Culprit, was.performances...)
	return was.finding, err
}

// culprit is the feature whose commit was the first on which f does not hold,
// by halving; "" if that cannot be said, or if it is f itself.
func (g *Gates) culprit(ctx context.Context, j *judgement, f runner.Feature) (string, error) {
	later := after(f, j.Completed)
	low, high := 0, len(later) // later[:low] hold, later[high:] do not
	for low < high {
		mid := (low + high) / 2
		found, err := g.accept(ctx, later[mid].Commit, f.Row, 1)
		if err != nil {
			return "", err
		}
		j.browse.Culprit = append(j.browse.Culprit, found.performances...)
		switch found.Outcome { //nolint:exhaustive // the rest is neither
		case "":
			low = mid + 1
		case runner.Failed:
			high = mid
		default:
			return "", nil
		}
	}
	if high == len(later) || high == 0 && !g.held1(ctx, j, f) {
		return "", nil
	}
	return later[high].ID, nil
}

// held1 says whether f holds on the commit that completed it. If not, nothing
// that was built since is to blame, but what changed around the project.
func (g *Gates) held1(ctx context.Context, j *judgement, f runner.Feature) bool {
	found, err := g.accept(ctx, f.Commit, f.Row, 1)
	j.browse.Culprit = append(j.browse.Culprit, found.performances...)
	return err == nil && found.passed()
}

// after are the features that were completed after f, in that order: records of
// evidence are numbered.
func after(f runner.Feature, completed []runner.Feature) []runner.Feature {
	if f.Evidence == nil || f.Evidence.Record == "" {
		return nil
	}
	later := slices.DeleteFunc(slices.Clone(completed), func(c runner.Feature) bool {
		return c.Evidence == nil || c.Commit == "" || c.Evidence.Record <= f.Evidence.Record
	})
	slices.SortFunc(later, func(a, b runner.Feature) int { return cmp.Compare(a.Evidence.Record, b.Evidence.Record) })
	return later
}

// brokenTests are the earlier features whose tests fail on the candidate, passed
// when its parent was run, and fail on the parent when it is run anew.
func (g *Gates) brokenTests(ctx context.Context, j *judgement, parent, now suite.Report) ([]runner.Broken, error) {
	before := parent.Index()
	owners := map[string][]string{} // feature -> its tests that fail
	for _, c := range now.Failed() {
		if old, known := before[c.ID()]; !known || old.State != suite.Pass {
			continue
		}
		for _, f := range j.Completed {
			if e := f.Evidence; e != nil && (slices.Contains(e.Cases, c.ID()) || len(e.Cases) == 0 && touches(e.Tests, c.File)) {
				owners[f.ID] = append(owners[f.ID], c.ID())
			}
		}
	}
	if len(owners) == 0 {
		return nil, nil
	}
	again, err := g.testTree(ctx, j.Parent)
	if err != nil {
		return nil, err
	}
	j.saw(again.on(j.Parent, ""))
	index := again.Index()
	var broken []runner.Broken
	for _, f := range j.Completed {
		failed := slices.DeleteFunc(owners[f.ID], func(id string) bool { return index[id].State != suite.Fail })
		if len(failed) > 0 {
			broken = append(broken, runner.Broken{
				Feature: f.ID,
				Why:     fmt.Sprintf("Its tests passed when it was completed and fail on the same code now: %s.", list(failed)),
			})
		}
	}
	if len(broken) > 0 {
		g.mu.Lock()
		g.parents[j.Parent] = again.Report
		g.mu.Unlock()
	}
	return broken, nil
}

// wanted is how often the acceptance of f must pass in a row: more than once, so
// that luck has to hold each time, and much more often where luck was seen at
// work.
func (g *Gates) wanted(f runner.Feature) int {
	const sure, doubtful = 3, 8
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.doubted[f.ID] || strings.HasPrefix(string(f.Outcome), string(runner.Inconclusive)) {
		return doubtful
	}
	return sure
}

func (g *Gates) doubt(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.doubted[id] = true
}
