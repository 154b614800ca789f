package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/audit"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// owned is the gate on what a candidate may not touch at all.
func (g *Gates) owned(ctx context.Context, j *judgement) error {
	j.begin()
	changed, err := g.o.Trees.Changed(ctx, j.Parent, j.Tree)
	if err != nil {
		return fmt.Errorf("compare %s with its parent: %w", j.Tree, err)
	}
	if taken := only(changed, isOwned); len(taken) > 0 {
		j.decide("audit", j.Tree, failed("", "%s belongs to the repository's automation and was changed. Put it back as it was.", list(taken)))
	}
	return nil
}

// audit is the gate on the change itself, as package audit reads it. Nothing of
// the candidate is run.
func (g *Gates) audit(ctx context.Context, j *judgement) error {
	j.begin()
	changed, err := g.o.Trees.Changed(ctx, j.Parent, j.Tree)
	if err != nil {
		return fmt.Errorf("compare %s with its parent: %w", j.Tree, err)
	}
	in, err := g.change(ctx, j, changed)
	if err == nil && j.Red != "" && j.Phase != runner.Tests {
		in.Since, err = g.since(ctx, in.Kind, j.Red, j.Tree)
	}
	if err != nil {
		return err
	}
	findings := audit.Judge(in)
	if len(findings) == 0 {
		return nil
	}
	j.decide("audit", j.Tree, judgeAudit(findings, len(changed)))
	last := &j.verdict.Gates[len(j.verdict.Gates)-1]
	for _, f := range findings {
		last.Findings = append(last.Findings, runner.Finding{Rule: f.Rule, Path: f.Path, Line: f.Line, Text: f.Said(), Block: f.Severity != audit.Note})
	}
	data, err := json.MarshalIndent(findings, "", "  ")
	if err != nil {
		return fmt.Errorf("write findings: %w", err)
	}
	j.keep("audit.json", string(data)+"\n")
	return nil
}

// judgeAudit weighs findings: the gravest decides, and all that block are told.
func judgeAudit(findings []audit.Finding, changed int) finding {
	f := finding{Reason: fmt.Sprintf("%s read", plural(changed, "changed file was", "changed files were"))}
	f.Reason += fmt.Sprintf("; %s for people to look at.", plural(len(findings), "thing is", "things are"))
	var told []string
	for _, a := range findings {
		outcome := map[audit.Severity]runner.Outcome{audit.Invalid: runner.Invalid, audit.Failed: runner.Failed}[a.Severity]
		if outcome == "" {
			continue
		}
		if f.Outcome == "" {
			f.Outcome = outcome
		}
		told = append(told, a.String())
	}
	if f.Outcome == "" {
		return f
	}
	what := "What was changed must be undone in part"
	if f.Outcome == runner.Invalid {
		what = "What was changed tampers with the proof"
	}
	f.Reason = what + ": " + strings.Join(told[:min(len(told), 3)], " ")
	if n := len(told) - 3; n > 0 {
		f.Reason += fmt.Sprintf(" And %s.", plural(n, "more finding", "more findings"))
	}
	f.Detail = strings.Join(told, "\n")
	return f
}

// change collects what the audit looks at.
func (g *Gates) change(ctx context.Context, j *judgement, paths []string) (audit.Input, error) {
	ways, err := g.ways(ctx, j.Parent)
	if err != nil {
		return audit.Input{}, err
	}
	in := audit.Input{Kind: kindOf(ways), Text: j.Feature.Description + "\n" + strings.Join(j.Feature.Steps, "\n")}
	for _, s := range j.Feature.Acceptance {
		in.Acceptance = append(in.Acceptance, audit.Step{Action: s.Action, Target: s.Target, Value: s.Value, Expected: s.Expected})
	}
	g.mu.Lock()
	in.Drawn = append(in.Drawn, g.drawn[j.Feature.ID]...)
	parent, known := g.parents[j.Parent]
	g.mu.Unlock()
	if known && j.ran != nil {
		in.CasesBefore, in.CasesNow = casesRun(j.earlier(parent), *j.ran)
	}
	in.Changes, err = g.differences(ctx, j.Parent, j.Tree, paths)
	in.Changes, in.Free = j.asNew(parent, in.Changes), j.free(parent)
	return in, err
}

// since is what became of the tests after they were seen red.
func (g *Gates) since(ctx context.Context, kind func(string) audit.Kind, red, tree string) ([]audit.Change, error) {
	changed, err := g.o.Trees.Changed(ctx, red, tree)
	if err != nil {
		return nil, fmt.Errorf("compare %s with the tests that were seen red: %w", tree, err)
	}
	return g.differences(ctx, red, tree, only(changed, func(p string) bool { return kind(p) == audit.Test }))
}

// differences reads paths in two trees.
func (g *Gates) differences(ctx context.Context, from, to string, paths []string) ([]audit.Change, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	var all []audit.Change
	err := g.compared(ctx, from, to, func(old, now *os.Root) error {
		for _, p := range paths {
			c := audit.Change{Path: p}
			var err error
			if c.Before, err = entry(old, p); err == nil {
				c.After, err = entry(now, p)
			}
			if err != nil {
				return err
			}
			all = append(all, c)
		}
		return nil
	})
	return all, err
}

// casesRun names the cases that ran on the parent and those that run now, as far as
// they can be compared: of a file that did not load the cases are not known. Nil:
// of a run that says nothing.
func casesRun(parent, now suite.Report) (before, after []string) {
	if _, sound := judgeRun(now); !sound || now.Partial || parent.Command == "" {
		return nil, nil
	}
	dead := now.Unloaded()
	names := func(cases []suite.Case) []string {
		ran := []string{}
		for _, c := range cases {
			if _, unknown := dead[c.File]; !unknown && !c.Load && !c.Weak && c.State != suite.Skip {
				ran = append(ran, c.String())
			}
		}
		return ran
	}
	return names(parent.Leaves()), names(now.Cases) // a test may have others in it now
}

// draw fills in the acceptance of row and remembers the values, which nobody can
// know by honest means before the next run.
func (g *Gates) draw(row runner.Row) ([]Step, error) {
	steps := slices.Clone(row.Acceptance)
	for _, name := range slices.Sorted(maps.Keys(row.Data)) {
		steps = append(steps, Step{Value: "{{" + name + "}}"})
	}
	steps, err := fill(steps, row.Data, g.o.Rand)
	if err != nil {
		return nil, err
	}
	n := len(row.Acceptance)
	for _, s := range steps[n:] {
		g.drawn[row.ID] = append(g.drawn[row.ID], s.Value)
	}
	return steps[:n:n], nil
}

// kindOf is what a file is to the project, by the conventions of its ecosystem.
func kindOf(ways suite.Conventions) func(p string) audit.Kind {
	return func(p string) audit.Kind {
		switch {
		case ways.IsTest(p):
			return audit.Test
		case suite.IsManifest(p) || audit.Configures(p):
			return audit.Config
		}
		return audit.Implementation
	}
}

// entry reads one entry of a tree, without following links and within bounds.
func entry(root *os.Root, p string) (audit.File, error) {
	name := filepath.FromSlash(p)
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return audit.File{}, nil
	}
	if err != nil {
		return audit.File{}, err
	}
	f := audit.File{Mode: audit.Other, Size: info.Size()}
	switch mode := info.Mode(); {
	case mode&fs.ModeSymlink != 0:
		to, err := root.Readlink(name)
		f.Mode, f.Data = audit.Link, []byte(to)
		return f, err
	case mode.IsRegular():
		if f.Mode = audit.Regular; mode&0o111 != 0 {
			f.Mode = audit.Executable
		}
		file, err := root.Open(name)
		if err != nil {
			return f, err
		}
		defer file.Close()
		f.Data, err = io.ReadAll(io.LimitReader(file, audit.MostFile))
		return f, err
	}
	return f, nil
}
