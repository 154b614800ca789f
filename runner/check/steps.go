package check

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// already says whether the feature was there before the work began. It is asked
// first, so that nothing is spent on building what exists.
func (g *Gates) already(ctx context.Context, j *judgement) error {
	if !g.browses(j.Feature.Row) {
		return nil
	}
	j.begin()
	run, err := g.onParent(ctx, j)
	if err != nil {
		return err
	}
	j.browse.Parent = run.performances
	switch {
	case run.held:
		f := run.finding
		f.Reason = fmt.Sprintf("The acceptance of %s holds before the work begins, twice, with data drawn anew: the feature is already there.", j.Feature.ID)
		j.decide("already", j.Parent, f)
		j.verdict.Outcome, j.verdict.Reason = runner.Already, f.Reason
	case run.Outcome == runner.Inconclusive:
		j.decide("already", j.Parent, run.finding)
	}
	return nil
}

// failing is the gate after the tests phase: the new tests fail as they should.
func (g *Gates) failing(ctx context.Context, j *judgement) error {
	j.begin()
	changed, err := g.o.Trees.Changed(ctx, j.Parent, j.Tree)
	if err != nil {
		return fmt.Errorf("compare %s with its parent: %w", j.Tree, err)
	}
	wrote := only(changed, suite.IsTest)
	parent, err := g.parent(ctx, j)
	if err != nil {
		return err
	}
	dir, done, err := g.checkout(ctx, j.Tree)
	if err != nil {
		return err
	}
	defer done()
	red, err := g.test(ctx, g.o.Run, dir, "")
	if err != nil {
		return err
	}
	f := judgeRed(parent, red, wrote, false)
	if other := only(changed, func(p string) bool { return !suite.IsTest(p) && !suite.IsManifest(p) }); len(other) > 0 && !f.passed() {
		f.Reason += " Besides tests this phase changed " + list(other) + ", which belongs to the next phase."
	}
	j.log("red.txt", j.Tree, red, f)
	j.decide("red", j.Tree, f)
	return nil
}

// red is the gate that proves the candidate's tests: on the parent tree, which
// lacks the feature, they fail.
func (g *Gates) red(ctx context.Context, j *judgement) error {
	if !g.o.TDD {
		return nil
	}
	j.begin()
	changed, err := g.o.Trees.Changed(ctx, j.Parent, j.Tree)
	if err != nil {
		return fmt.Errorf("compare %s with its parent: %w", j.Tree, err)
	}
	wrote := only(changed, suite.IsTest)
	parent, err := g.parent(ctx, j)
	if err != nil {
		return err
	}
	dir, done, err := g.mixed(ctx, j.Parent, j.Tree, only(changed, func(p string) bool { return suite.IsTest(p) || suite.IsManifest(p) }))
	if err != nil {
		return err
	}
	defer done()
	red, err := g.test(ctx, g.o.Run, dir, "")
	if err != nil {
		return err
	}
	f := judgeRed(parent, red, wrote, true)
	j.log("red.txt", j.Parent+" with the tests of "+j.Tree, red, f)
	j.decide("red", j.Parent, f)
	j.redRun = &red
	return nil
}

// passes is the gate on the project's tests, in a clean checkout of the tree.
func (g *Gates) passes(ctx context.Context, j *judgement) error {
	j.begin()
	parent, err := g.parent(ctx, j)
	if err != nil {
		return err
	}
	once := func() (suite.Report, finding, error) {
		dir, done, err := g.checkout(ctx, j.Tree)
		if err != nil {
			return suite.Report{}, finding{}, err
		}
		defer done()
		r, err := g.test(ctx, g.o.Run, dir, "")
		if err != nil {
			return suite.Report{}, finding{}, err
		}
		if !g.o.TDD && len(r.Cases)+len(parent.Cases) == 0 && r.Command == "" && g.browses(j.Feature.Row) {
			return r, finding{Reason: "the project has no tests; the acceptance alone decides."}, nil
		}
		return r, judgeGreen(parent, j.redRun, r), nil
	}
	green, f, err := once()
	if err != nil {
		return err
	}
	if !f.passed() {
		again, second, err := once()
		if err != nil {
			return err
		}
		f = judgeBoth(f, second)
		if f.Outcome == runner.Failed {
			green = again
		}
	}
	j.log("green.txt", j.Tree, green, f)
	j.decide("green", j.Tree, f)
	if f.passed() {
		g.mu.Lock()
		g.green = &recorded{tree: j.Tree, report: green}
		g.mu.Unlock()
	}
	return nil
}

// falsifiable is the gate that proves the acceptance: on the parent it fails.
func (g *Gates) falsifiable(ctx context.Context, j *judgement) error {
	if !g.browses(j.Feature.Row) {
		return nil
	}
	if err := g.already(ctx, j); err != nil || j.decided() {
		return err
	}
	reason := "the acceptance fails on the parent, as it should."
	if len(j.browse.Parent) == 0 {
		reason = "the parent has no application that could be started."
	}
	j.decide("acceptance-red", j.Parent, finding{Reason: reason, Counts: last(j.browse.Parent)})
	return nil
}

// acceptance is the gate on the feature itself, in a browser.
func (g *Gates) acceptance(ctx context.Context, j *judgement) error {
	j.begin()
	if !g.browses(j.Feature.Row) {
		switch {
		case g.o.E2E == E2EOff:
		case g.o.E2E == E2ERequired:
			j.decide("acceptance", j.Tree, failed("", "%s has no acceptance scenario, and e2e is required. A person must add one to the feature list, or set e2e to auto.", j.Feature.ID))
		case len(j.Feature.Acceptance) == 0:
			j.note("No acceptance was performed: the feature has none.")
		default:
			j.note("No acceptance was performed: there is no browser on this machine.")
		}
		return nil
	}
	ps, f, err := g.accept(ctx, j.Tree, j.Feature.Row)
	if err != nil {
		return err
	}
	j.browse.Candidate = ps
	j.decide("acceptance", j.Tree, f)
	return nil
}

// regression is the gate on everything that was complete before.
func (g *Gates) regression(ctx context.Context, j *judgement) error {
	rows := slices.DeleteFunc(slices.Clone(j.Completed), func(r runner.Row) bool { return !g.browses(r) || r.ID == j.Feature.ID })
	if len(rows) == 0 {
		return nil
	}
	j.begin()
	type result struct {
		performances []performance
		finding      finding
		err          error
	}
	// Side by side, because most of a performance is waiting; judged in order.
	results := make([]result, len(rows))
	var wg sync.WaitGroup
	places := make(chan struct{}, sideBySide)
	for i, row := range rows {
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			r := &results[i]
			r.performances, r.finding, r.err = g.accept(ctx, j.Tree, row)
		})
	}
	wg.Wait()
	all := finding{Reason: fmt.Sprintf("%s as before.", plural(len(rows), "earlier feature works", "earlier features work"))}
	for i, row := range rows {
		r := results[i]
		if r.err != nil {
			return r.err
		}
		f := r.finding
		j.browse.Regression = append(j.browse.Regression, r.performances...)
		all.Counts.Run += f.Counts.Run
		all.Counts.Passed += f.Counts.Passed
		all.Counts.Failed += f.Counts.Failed
		if !f.passed() {
			all.Outcome, all.Detail = f.Outcome, f.Detail
			all.Reason = fmt.Sprintf("%s (%s) was complete and is broken by this change. %s", row.ID, shorten(row.Description, 1, 120), f.Reason)
			break
		}
	}
	j.decide("regression", j.Tree, all)
	return nil
}

// sideBySide is how many acceptances are performed at a time.
const sideBySide = 3

// browses says whether the acceptance of row is to be performed here. That the
// application cannot be started is no excuse: an agent could bring that about.
func (g *Gates) browses(row runner.Row) bool {
	return g.o.E2E != E2EOff && g.o.Browser != nil && len(row.Acceptance) > 0
}

// parent is the report of the parent tree, made once.
func (g *Gates) parent(ctx context.Context, j *judgement) (suite.Report, error) {
	g.mu.Lock()
	r, ok := g.parents[j.Parent]
	green := g.green
	g.mu.Unlock()
	if ok {
		return r, nil
	}
	if green != nil {
		// The parent is most often the tree that was green last, committed.
		changed, err := g.o.Trees.Changed(ctx, j.Parent, green.tree)
		if err != nil {
			return suite.Report{}, fmt.Errorf("compare the parent with the last green tree: %w", err)
		}
		r, ok = green.report, len(changed) == 0
	}
	if !ok {
		var err error
		if r, err = g.testParent(ctx, j.Parent); err != nil {
			return suite.Report{}, err
		}
	}
	g.mu.Lock()
	g.parents[j.Parent] = r
	g.mu.Unlock()
	return r, nil
}

func (g *Gates) testParent(ctx context.Context, parent string) (suite.Report, error) {
	p, err := g.prepare(ctx, parent)
	if err != nil {
		return suite.Report{}, err
	}
	if tests, err := anyTest(p.dir); err != nil || !tests {
		return suite.Report{}, err // so that nothing that cannot even run is held against the project
	}
	var f finding
	for range 2 {
		dir, done, err := g.checkout(ctx, parent)
		if err != nil {
			if setup, ok := errors.AsType[*setupError](err); ok {
				// Not wrapped: it is no failure of the candidate.
				return suite.Report{}, fmt.Errorf("the setup fails on the parent commit, so nothing can be compared with it; mend `setup` or the base branch: %v\n%s", err, suite.Tail(suite.Clean(setup.out.Text), 2<<10)) //nolint:errorlint // see the line above
			}
			return suite.Report{}, err
		}
		r, err := g.test(ctx, g.o.Run, dir, "")
		done()
		if err != nil {
			return suite.Report{}, err
		}
		r.Early = nil // what it did report is still good to compare with
		var ok bool
		if f, ok = judgeRun(r); ok {
			return r, nil
		}
	}
	return suite.Report{}, fmt.Errorf("the tests of the parent commit cannot be run, so nothing can be compared with them; mend them on the base branch or set `test`: %s\n%s", f.Reason, f.Detail)
}

// anyTest says whether the tree in dir holds a test file.
func anyTest(dir string) (bool, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false, err
	}
	defer root.Close()
	return suite.AnyFile(root, suite.IsTest)
}

func only(paths []string, want func(string) bool) []string {
	return slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return !want(strings.TrimPrefix(p, "./")) })
}

func last(ps []performance) runner.Counts {
	if len(ps) == 0 {
		return runner.Counts{}
	}
	return judgeAcceptance(ps[len(ps)-1]).Counts
}
