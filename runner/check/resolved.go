package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// Resolved gives a verdict on how a conflict with others' commits was resolved.
// What git had merged by itself is neither side's to weaken: of tests only those
// in conflict may differ from it. A feature that does not hold on the result is
// the resolution's fault.
func (g *Gates) Resolved(ctx context.Context, r runner.Resolution) (runner.Verdict, error) {
	j := &judgement{Candidate: runner.Candidate{Tree: r.Commit, Commit: r.Commit, Phase: runner.Merging}, now: g.o.Now}
	err := g.unmarked(ctx, j, r)
	if err == nil && !j.decided() {
		err = g.stands(ctx, j, r.Completed)
	}
	if err == nil && !j.decided() {
		g.testsKept(j, r)
	}
	if setup, ok := errors.AsType[*setupError](err); ok {
		j.decide("setup", r.Commit, setup.finding())
		err = nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return runner.Verdict{}, fmt.Errorf("judge the merge %.7s: %w", r.Commit, err)
	}
	j.verdict.Broken = nil
	if !j.decided() {
		j.pass()
	}
	return j.verdict, nil
}

// unmarked is the gate on the files of a resolution.
func (g *Gates) unmarked(ctx context.Context, j *judgement, r runner.Resolution) error {
	j.begin()
	no := func(format string, args ...any) error {
		j.decide("merge", r.Commit, failed("", format, args...))
		return nil
	}
	changed, err := g.o.Trees.Changed(ctx, r.Merged, r.Commit)
	if err != nil {
		return err
	}
	if taken := only(changed, isOwned); len(taken) > 0 {
		return no("%s belongs to the repository's automation and was changed. Put it back as git had merged it.", list(taken))
	}
	tests := only(changed, func(p string) bool { return suite.IsTest(p) && !slices.Contains(r.Paths, p) })
	if len(tests) > 0 {
		return no("%s was not in conflict and is a test: put it back as git had merged it.", list(tests))
	}
	dir, err := os.MkdirTemp(g.dir, "merge-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := g.o.Trees.Export(ctx, r.Commit, dir); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir) // a symbolic link of the tree leads nowhere else
	if err != nil {
		return err
	}
	defer root.Close()
	var left []string
	for _, p := range r.Paths {
		data, err := root.ReadFile(filepath.FromSlash(p))
		if errors.Is(err, fs.ErrNotExist) {
			continue // resolved by taking it away
		}
		if err != nil {
			return fmt.Errorf("look for marks of the conflict: %w", err)
		}
		if marked(data) {
			left = append(left, p)
		}
	}
	if len(left) > 0 {
		return no("%s still holds marks of the conflict.", list(left))
	}
	j.decide("merge", r.Commit, finding{Reason: fmt.Sprintf("no mark of a conflict is left in %s.", list(r.Paths))})
	return nil
}

// marked says whether a file holds a mark that git makes at a conflict.
func marked(data []byte) bool {
	for line := range bytes.Lines(data) {
		if bytes.HasPrefix(line, []byte("<<<<<<< ")) || bytes.HasPrefix(line, []byte(">>>>>>> ")) {
			return true
		}
	}
	return false
}

// testsKept is the gate on the tests that features were proved with: where one of
// their files was in conflict, it still has tests that pass.
func (g *Gates) testsKept(j *judgement, r runner.Resolution) {
	var lost []string
	for _, f := range r.Completed {
		if f.Evidence == nil {
			continue
		}
		for _, file := range f.Evidence.Tests {
			if slices.Contains(r.Paths, file) && !j.passedIn(file) {
				lost = append(lost, fmt.Sprintf("%s (of %s)", file, f.ID))
			}
		}
	}
	if len(lost) > 0 {
		j.begin()
		j.decide("merge", r.Commit, failed("", "No test passes any more in %s, which a feature was proved with. Keep its tests.", list(lost)))
	}
}

// passedIn says whether a test of a file passed in the last run.
func (j *judgement) passedIn(file string) bool {
	return j.ran != nil && slices.ContainsFunc(j.ran.Leaves(), func(c suite.Case) bool {
		return c.State == suite.Pass && touches([]string{file}, c.File)
	})
}
