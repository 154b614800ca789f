package verify

import (
	"context"
	"fmt"
	"slices"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// features asks the gates for each feature again what they were asked when it
// was completed: with the recorded parent, the recorded tree, and the tests and
// the acceptance of today, which are those of then.
func (p *prover) features(ctx context.Context) error {
	for _, f := range p.complete() {
		if err := p.kept(ctx, f); err != nil {
			return err
		}
		there, err := p.code(ctx, f)
		if err != nil {
			return err
		}
		switch {
		case p.Gates == nil:
			p.say(Proof{Feature: f.ID, Name: "gates", Result: NotRun, Says: "nothing was to be run."})
		case len(p.Features) > 0 && !slices.Contains(p.Features, f.ID):
			p.say(Proof{Feature: f.ID, Name: "gates", Result: NotRun, Says: "this feature was not asked for."})
		case !there:
			p.say(Proof{Feature: f.ID, Name: "gates", Result: NotRun, Says: "its code is not there as it was judged."})
		default:
			err = p.judge(ctx, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *prover) judge(ctx context.Context, f runner.Feature) error {
	c := runner.Candidate{Feature: f, Attempt: f.Attempts, Phase: runner.Implement, Parent: f.Commit, Commit: f.Commit, Tree: f.Evidence.Tree}
	if f.Evidence.Outcome == runner.Already {
		c.Phase, c.Tree = runner.Tests, f.Commit
	} else {
		// The commit's own parent: what a record says of it was held against it.
		parents, err := p.Repo.Parents(ctx, f.Commit)
		if err != nil {
			return err
		}
		if len(parents) > 0 {
			c.Parent = parents[0]
		}
		if r, ok := p.record(f); ok {
			c.Parent, c.Attempt = r.Parent, r.Attempt
		}
	}
	v, err := p.Gates.Judge(ctx, c)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		p.say(Proof{Feature: f.ID, Name: "gates", Result: Inconclusive, Says: fmt.Sprintf("they could not be asked: %v", err)})
		return nil
	}
	said := p.tell(f.ID, v)
	if v.Outcome != f.Evidence.Outcome && !said {
		p.say(Proof{Feature: f.ID, Name: "verdict", Result: Broken, Says: fmt.Sprintf("the verdict is %s now and was %s: %s", v.Outcome, f.Evidence.Outcome, v.Reason)})
	}
	r, _ := p.record(f)
	for _, g := range r.Gates {
		asked := slices.ContainsFunc(v.Gates, func(now runner.Gate) bool { return now.Name == g.Name })
		if !asked && !said && !relative(g.Name) {
			p.say(Proof{Feature: f.ID, Name: g.Name, Result: NotRun, Says: "it was asked then and is not asked with today's settings: " + g.Reason})
		}
	}
	return nil
}

// relative says whether a gate looks at other features as well: those are all
// asked on the tip.
func relative(gate string) bool { return gate == "regression" }

// tell notes what the gates found, and whether one of them objected.
func (p *prover) tell(feature string, v runner.Verdict) (objected bool) {
	for _, g := range v.Gates {
		proof := Proof{Feature: feature, Name: g.Name, Result: Holds, Says: g.Reason, Counts: g.Counts, Millis: g.Millis}
		if !g.Passed {
			objected = true
			proof.Result = Broken
			if g.Result == runner.Inconclusive {
				proof.Result = Inconclusive
			}
		}
		p.say(proof)
	}
	return objected
}

// tip asks whether everything holds together, where people would merge it.
func (p *prover) tip(ctx context.Context) error {
	features := p.complete()
	if len(features) == 0 || p.Gates == nil {
		return nil
	}
	tip, _ := p.merged()
	v, err := p.Gates.Holds(ctx, tip, features)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		p.say(Proof{Name: "tip tests", Result: Inconclusive, Says: fmt.Sprintf("it could not be tried: %v", err)})
		return nil
	}
	for i := range v.Gates {
		v.Gates[i].Name = "tip " + v.Gates[i].Name
	}
	p.tell("", v)
	return nil
}
