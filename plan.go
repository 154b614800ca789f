package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/plan"
)

// A planned is what `plan` tells: how ready the spec is, and the feature list
// that a session would work off, beside the one that there is.
type planned struct {
	Schema    int            `json:"schema"`
	Source    string         `json:"source"`
	Readiness plan.Readiness `json:"readiness"`
	Least     int            `json:"least"`
	Questions []string       `json:"questions"`
	Features  []runner.Row   `json:"features"` // none: it was not drawn up

	// What would become of the list that there is; nothing if there is none.
	Added      []string `json:"added,omitempty"`
	Changed    []string `json:"changed,omitempty"`
	Deprecated []string `json:"deprecated,omitempty"`

	Tokens      int64   `json:"tokens"`
	CostDollars float64 `json:"cost_dollars"`

	owned bool // the list is a person's own, and readiness does not matter
}

// planList is `plan`: it draws up the feature list and shows it. Nothing is
// written to the repository.
func planList(ctx context.Context, env environment, f *flags) error {
	c, err := parseConfig(f.optional)
	if err != nil {
		return usage(err)
	}
	if len(f.rest) > 0 {
		return usage(fmt.Errorf("plan takes flags only, not %q", f.rest))
	}
	p, err := remotePlace(env, f.repo, c)
	if err != nil {
		return usage(err)
	}
	p.local = !strings.Contains(f.repo, "://")
	if f.write != "" {
		if _, err := os.Lstat(f.write); err == nil {
			return usage(fmt.Errorf("--write %s: it is there already; take it away first, or name another", f.write))
		}
	}
	dir, remove, err := privateDir()
	if err != nil {
		return err
	}
	defer remove()
	res, err := planPlace(ctx, env, f, c, p, dir)
	if res.Source != "" {
		show := res.show
		if f.json {
			show = func(w io.Writer) error { return json.NewEncoder(w).Encode(res) }
		}
		err = errors.Join(show(env.stdout), err)
	}
	if err != nil || f.write == "" {
		return err
	}
	return res.write(f.write, env.stderr)
}

func planPlace(ctx context.Context, env environment, f *flags, c config, p place, dir string) (res planned, err error) {
	s := &session{}
	defer func() { err = errors.Join(err, s.Close()) }()
	r, found, c, err := openLoop(ctx, env, c, p, dir, nil, f.optional)
	if err != nil {
		return res, err
	}
	src, err := readSpec(ctx, c, p, r, found.Base.Commit)
	if err != nil {
		return res, usage(err)
	}
	var st runner.State
	if found.State != nil && found.Chain == nil {
		if st, err = runner.Decode(found.State, found.List); err != nil {
			return res, &runner.StateError{Type: runner.Corrupt, Err: fmt.Errorf("the state is damaged: %w", err)}
		}
	}
	ready := src.ready()
	res = planned{Schema: 1, Source: cmp.Or(src.ListSource, src.Source), Readiness: ready, Least: c.Readiness, Questions: ready.Questions(), owned: src.features != nil}
	if len(st.Features) > 0 && st.From(src.Spec) {
		res.take(st)
		return res, nil
	}
	if unclear := src.unclear(c); unclear != nil {
		return res, unclear
	}
	o := src.options(c, nil)
	if src.features == nil {
		if err := errors.Join(c.missing()...); err != nil {
			return res, usage(err)
		}
		c.ReviewModel = "" // nothing is reviewed here
		models, down, err := s.models(ctx, env, c, runner.ByPerson, runner.Found{}, func(e runner.Event) { fmt.Fprintln(env.stderr, logLine(e.Text)) })
		if err = errors.Join(err, down); err != nil {
			return res, err
		}
		o.Ask = models.build
	}
	planner, err := plan.Open(o)
	if err != nil {
		return res, usage(err)
	}
	rows, used, err := planner.Plan(ctx, st.Features, runner.Purse{Tokens: c.LoopConfig.TokenBudget, Cost: c.LoopConfig.CostBudget, Capped: c.LoopConfig.CostBudget > 0})
	res.Tokens, res.CostDollars = used.Tokens, float64(used.Cost)/float64(runner.Dollar)
	if err != nil {
		return res, err
	}
	began := len(st.Features) > 0
	st = st.Resynced(rows, src.Spec)
	res.take(st)
	if y := st.Syncs[len(st.Syncs)-1]; began {
		res.Added, res.Changed, res.Deprecated = y.Added, y.Changed, y.Deprecated
	}
	return res, nil
}

// take takes the rows that a session would work off.
func (p *planned) take(st runner.State) {
	for _, f := range st.Features {
		if f.Status != runner.Deprecated {
			p.Features = append(p.Features, f.Row)
		}
	}
}

// show prints the plan for people. The text of rows was written by a model or
// by somebody else, so lines pass logLine.
func (p planned) show(w io.Writer) error {
	if !p.owned {
		fmt.Fprintf(w, "readiness %d of 100 (%d are asked for)\n", p.Readiness.Score, p.Least)
		for _, r := range p.Readiness.Rules {
			points := fmt.Sprintf("%d of %d", r.Points, r.Of)
			if r.Of == 0 {
				points = fmt.Sprint(r.Points)
			}
			fmt.Fprintln(w, logLine(strings.TrimRight(fmt.Sprintf("  %-14s %-9s %s", r.Name, points, strings.Join(r.Found, ", ")), " ")))
		}
		for _, q := range p.Questions {
			fmt.Fprintln(w, logLine("  ? "+q))
		}
	}
	if len(p.Features) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n%d features from %s\n", len(p.Features), logLine(p.Source))
	marks := map[string]string{}
	for _, of := range []struct {
		ids  []string
		mark string
	}{{p.Added, "new"}, {p.Changed, "again"}} {
		for _, id := range of.ids {
			marks[id] = of.mark
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range p.Features {
		proof := "no acceptance"
		if n := len(r.Acceptance); n > 0 {
			proof = fmt.Sprintf("%d steps", n)
		}
		after := ""
		if len(r.DependsOn) > 0 {
			after = "after " + strings.Join(r.DependsOn, ", ")
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%d\t%s\t%s\t%s\n", marks[r.ID], r.ID, r.Category, r.Priority, proof, logLine(after), logLine(r.Description))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, id := range p.Deprecated {
		fmt.Fprintf(w, "  deprecated: %s\n", logLine(id))
	}
	if p.Tokens > 0 {
		fmt.Fprintf(w, "%d tokens\n", p.Tokens)
	}
	return nil
}

// write keeps the list as a person's own.
func (p planned) write(name string, said io.Writer) error {
	data, err := json.MarshalIndent(p.Features, "", "  ")
	if err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // meant to be read
	if err != nil {
		return err
	}
	_, err = file.Write(append(data, '\n'))
	if err = errors.Join(err, file.Close()); err == nil {
		fmt.Fprintf(said, "written to %s; change it as you like, commit it, and name it in the input features\n", name)
	}
	return err
}
