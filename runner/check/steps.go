package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// frozen is the gate on what the feature is measured by: the acceptance is the
// one that was hashed when it was written. Only a person changes it, and then
// the feature is to be done again.
func (g *Gates) frozen(_ context.Context, j *judgement) error {
	j.begin()
	if f, asked := judgeFrozen(j.Feature, j.Completed); asked {
		j.decide("frozen", j.Tree, f)
	}
	return nil
}

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
	j.watched(run.performances)
	switch {
	case run.held:
		f := run.finding
		f.Reason = fmt.Sprintf("The acceptance of %s holds before the work begins, again and again, with data drawn anew: the feature is already there.", j.Feature.ID)
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
	ways, wrote, err := g.wrote(ctx, j, changed)
	if err != nil {
		return err
	}
	parent, err := g.parent(ctx, j)
	if err != nil {
		return err
	}
	red, err := j.tested()
	if err != nil {
		return err
	}
	g.mu.Lock()
	g.reds[j.Parent] = onTree{j.Tree, red}
	g.mu.Unlock()
	j.saw(red.on(j.Tree, ""))
	j.ran = &red.Report
	f := judgeRed(parent, red.Report, wrote, false)
	if other := only(changed, func(p string) bool { return !comesWithTests(ways, p) && !slices.Contains(wrote, p) }); len(other) > 0 && !f.passed() {
		f.Reason += " Besides tests this phase changed " + list(other) + ", which belongs to the next phase."
	}
	j.log("red.txt", j.Tree, red.Report, f)
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
	parent, err := g.parent(ctx, j)
	if err != nil {
		return err
	}
	changed, err := g.o.Trees.Changed(ctx, j.Parent, j.Tree)
	if err != nil {
		return fmt.Errorf("compare %s with its parent: %w", j.Tree, err)
	}
	_, wrote, err := g.wrote(ctx, j, changed)
	if err != nil {
		return err
	}
	red, known, err := g.redBefore(ctx, j)
	if err == nil && !known {
		red, err = g.withoutFeature(ctx, j, "")
	}
	if err != nil {
		return err
	}
	j.saw(red.on(j.Parent, j.Tree))
	f := judgeRed(parent, red.Report, wrote, true)
	j.log("red.txt", j.Parent+" with the tests of "+j.Tree, red.Report, f)
	j.decide("red", j.Parent, f)
	j.suspect = !f.passed() && !red.Hung
	j.redRun, j.proper = &red.Report, sortOut(parent, red.Report, wrote, true).proper
	j.verdict.Tests = only(wrote, func(p string) bool {
		return slices.ContainsFunc(j.proper, func(c suite.Case) bool { return touches([]string{p}, c.File) || c.Weak })
	})
	return nil
}

// redBefore is the run after the tests phase, if the tree it was made on has the
// very bytes that RED is to be judged on: the parent's, with all that the
// candidate has of tests and manifests.
func (g *Gates) redBefore(ctx context.Context, j *judgement) (recorded, bool, error) {
	g.mu.Lock()
	before, ok := g.reds[j.Parent]
	g.mu.Unlock()
	if !ok {
		return recorded{}, false, nil
	}
	wrote, err := g.o.Trees.Changed(ctx, j.Parent, before.tree)
	if err != nil {
		return recorded{}, false, fmt.Errorf("compare %s with its parent: %w", before.tree, err)
	}
	since, err := g.o.Trees.Changed(ctx, before.tree, j.Tree)
	if err != nil {
		return recorded{}, false, fmt.Errorf("compare %s with %s: %w", before.tree, j.Tree, err)
	}
	ways, err := g.ways(ctx, j.Parent)
	if err != nil {
		return recorded{}, false, err
	}
	within, err := g.within(ctx, before.tree, j.Tree, since)
	if err != nil {
		return recorded{}, false, err
	}
	ofTests := func(p string) bool { return comesWithTests(ways, p) }
	return before.recorded, len(only(wrote, ofTests)) == len(wrote) && len(only(since, ofTests))+len(within) == 0, nil
}

// withoutFeature runs the tests of the candidate on the parent.
func (g *Gates) withoutFeature(ctx context.Context, j *judgement, scope string) (recorded, error) {
	changed, err := g.o.Trees.Changed(ctx, j.Parent, j.Tree)
	if err != nil {
		return recorded{}, fmt.Errorf("compare %s with its parent: %w", j.Tree, err)
	}
	ways, err := g.ways(ctx, j.Parent)
	if err != nil {
		return recorded{}, err
	}
	laid := only(changed, func(p string) bool { return comesWithTests(ways, p) || mixes(p) })
	dir, done, err := g.mixed(ctx, j.Parent, j.Tree, laid)
	if err != nil {
		return recorded{}, err
	}
	defer done()
	return g.test(ctx, g.o.Run, dir, scope)
}

// wrote are the test files that the candidate added or changed, by the parent's
// conventions, with those that hold tests and implementation.
func (g *Gates) wrote(ctx context.Context, j *judgement, changed []string) (suite.Conventions, []string, error) {
	ways, err := g.ways(ctx, j.Parent)
	if err != nil {
		return ways, nil, err
	}
	within, err := g.within(ctx, j.Parent, j.Tree, changed)
	return ways, append(only(changed, ways.IsTest), within...), err
}

// within are those of changed that hold tests and implementation, and whose tests
// changed.
func (g *Gates) within(ctx context.Context, from, to string, changed []string) ([]string, error) {
	changed = only(changed, mixes)
	if len(changed) == 0 {
		return nil, nil
	}
	var all []string
	err := g.compared(ctx, from, to, func(old, now *os.Root) error {
		for _, p := range changed {
			a, b, err := versions(old, now, p)
			if err != nil {
				return err
			}
			if !bytes.Equal(suite.Graft(p, a, b), suite.Graft(p, a, a)) {
				all = append(all, p)
			}
		}
		return nil
	})
	return all, err
}

// green is the gate on the project's tests: twice in a row they pass, each time
// in a checkout of its own of exactly the tree.
func (g *Gates) green(ctx context.Context, j *judgement) error {
	j.begin()
	parent, err := g.parent(ctx, j)
	if err != nil {
		return err
	}
	first, err := g.testTree(ctx, j.Tree)
	if err != nil {
		return err
	}
	j.saw(first.on(j.Tree, ""))
	if !g.o.TDD && len(first.Cases)+len(parent.Cases) == 0 && first.Command == "" && g.browses(j.Feature.Row) {
		j.decide("green", j.Tree, finding{Reason: "the project has no tests; the acceptance alone decides."})
		return nil
	}
	second, err := g.testTree(ctx, j.Tree)
	if err != nil {
		return err
	}
	j.saw(second.on(j.Tree, ""))
	j.ran = &second.Report
	f := judgeGreenTwice(parent, j.redRun, first.Report, second.Report)
	j.log("green.txt", j.Tree, second.Report, f)
	j.suspect = len(first.Early)+len(second.Early) > 0
	if f.Outcome == runner.Failed {
		broken, err := g.brokenTests(ctx, j, parent, second.Report)
		if err != nil {
			return err
		}
		if len(broken) > 0 {
			f = setBack(broken, f)
			j.verdict.Broken = broken
		}
	}
	if f.passed() {
		g.mu.Lock()
		before := g.parents[j.Parent]
		g.mu.Unlock()
		changed, err := g.o.Trees.Changed(ctx, j.Parent, j.Tree)
		if err != nil {
			return fmt.Errorf("compare %s with its parent: %w", j.Tree, err)
		}
		j.verdict.Cases = ownCases(parent, second.Report)
		j.let(before, second.Report, changed)
	}
	j.decide("green", j.Tree, f)
	if f.passed() {
		g.mu.Lock()
		g.greens = &onTree{j.Tree, second}
		g.mu.Unlock()
	}
	return nil
}

func (g *Gates) testTree(ctx context.Context, tree string) (recorded, error) {
	dir, done, err := g.checkout(ctx, tree)
	if err != nil {
		return recorded{}, err
	}
	defer done()
	return g.test(ctx, g.o.Run, dir, "")
}

// revert is the gate that takes the implementation out again, once it has run,
// and wants to see the tests red that were red before.
func (g *Gates) revert(ctx context.Context, j *judgement) error {
	if !g.o.TDD || len(j.proper) == 0 {
		return nil
	}
	j.begin()
	var f finding
	for try := range 2 {
		again, err := g.withoutFeature(ctx, j, fileOf(j.proper))
		if err != nil {
			return err
		}
		j.saw(again.on(j.Parent, j.Tree))
		got := judgeRevert(j.proper, again.Report)
		j.log("revert.txt", j.Parent+" with the tests of "+j.Tree, again.Report, got)
		switch {
		case got.passed() && try == 0:
			f = got
		case got.passed():
			f = flaky(f, "Without the implementation the tests passed once and failed once")
		default:
			got.Outcome = runner.Invalid
			f = got
			continue
		}
		break
	}
	j.decide("revert", j.Parent, f)
	return nil
}

// fileOf is the file that all of cases are in, "" if there is none: what else the
// tests hold is not asked for.
func fileOf(cases []suite.Case) string {
	file := cases[0].File
	if slices.ContainsFunc(cases, func(c suite.Case) bool { return c.Weak || c.File != file }) {
		return ""
	}
	return file
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
	a, err := j.performed()
	if err != nil {
		return err
	}
	j.browse.Candidate = a.performances
	j.watched(a.performances)
	if a.Outcome == runner.Inconclusive {
		g.doubt(j.Feature.ID)
	}
	j.decide("acceptance", j.Tree, a.finding)
	return nil
}

// sideBySide is how many acceptances are performed at a time: more than there are
// processors, because half of a performance is waiting.
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
	green := g.greens
	g.mu.Unlock()
	if ok {
		return j.earlier(r), nil
	}
	if green != nil {
		// The parent is most often the tree that was green last, committed.
		changed, err := g.o.Trees.Changed(ctx, j.Parent, green.tree)
		if err != nil {
			return suite.Report{}, fmt.Errorf("compare the parent with the last green tree: %w", err)
		}
		r, ok = green.Report, len(changed) == 0
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
	return j.earlier(r), nil
}

func (g *Gates) testParent(ctx context.Context, parent string) (suite.Report, error) {
	p, err := g.prepare(ctx, parent)
	if err != nil || !p.tests {
		return suite.Report{}, err // without tests, nothing that cannot even run is held against the project
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
		if f, ok = judgeRun(r.Report); ok {
			return r.Report, nil
		}
	}
	return suite.Report{}, fmt.Errorf("the tests of the parent commit cannot be run, so nothing can be compared with them; mend them on the base branch or set `test`: %s\n%s", f.Reason, f.Detail)
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
