package check

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

const mostLog = 64 << 20 // of a run's output; more of it is not read, and so not believed

// run runs a command of the project in a checkout. An error means that it could
// not be had, or that the judgement was called off.
func (g *Gates) run(ctx context.Context, r Runner, c sandbox.Command) (sandbox.Output, error) {
	c.Read = append(slices.Clone(g.o.Read), c.Read...)
	if _, ok := r.(byHand); ok {
		c.Read = append(c.Read, g.shelfDirs()...)
	} else {
		place, env, read := g.around(c.Dir)
		c.Place, c.Env, c.Read = place, append(env, c.Env...), append(c.Read, read...)
	}
	c.Env = append(slices.Clone(g.o.Env), c.Env...)
	c.Write = slices.Concat(g.o.Write, c.Write, []string{c.Dir})
	c.Timeout = g.o.Timeout
	out, err := r.Run(ctx, c)
	if ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	if err == nil && out.Cancelled {
		err = errors.New("the command was called off")
	}
	return out, err
}

// test runs the tests of the project in dir by r. scope, if any, narrows it to a path
// or to names of tests. No suites: a report without cases.
func (g *Gates) test(ctx context.Context, r Runner, dir, scope string) (recorded, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return recorded{}, err
	}
	defer root.Close()
	all, err := suite.Find(root, g.o.Test)
	if err != nil {
		return recorded{}, err
	}
	rs, runs := []suite.Report{}, []runner.Run{}
	for _, s := range all {
		if scope != "" && len(all) == 1 { // of several it is not known whose it is
			s = s.Only(root, scope)
		}
		one, run, err := g.testSuite(ctx, r, s, dir, root)
		if err != nil {
			return recorded{}, fmt.Errorf("run %q: %w", s.Command, err)
		}
		rs, runs = append(rs, one), append(runs, run)
		if one.Hung {
			break // the others would only take as long again
		}
	}
	return recorded{Report: suite.Merge(rs), Commands: runs}, nil
}

func (g *Gates) testSuite(ctx context.Context, with Runner, s suite.Suite, dir string, root *os.Root) (r suite.Report, run runner.Run, err error) {
	private, err := g.scratch("log")
	if err != nil {
		return r, run, err
	}
	defer remove(private)
	log := filepath.Join(private, "log")
	kit := suite.Kit{Dir: filepath.Join(private, "kit"), Out: filepath.Join(private, "out"), Timeout: g.o.Timeout}
	if kit.Nonce, err = g.nonce(); err != nil {
		return r, run, err
	}
	plan := s.Plan(kit)
	read, err := layOut(kit.Dir, plan.Files)
	if err != nil {
		return r, run, err
	}
	if err := g.outDir(with, kit.Out); err != nil {
		return r, run, err
	}
	out, err := g.run(ctx, with, sandbox.Command{Argv: []string{"sh", "-c", plan.Script}, Dir: dir, Net: sandbox.Local, Read: read, Write: []string{kit.Out}, Log: log})
	if err != nil {
		return r, run, err
	}
	text, cut, err := readLog(log, out.Bytes)
	if err != nil {
		return r, run, err
	}
	r, err = s.Read(suite.Run{Kit: kit, Dir: dir, Root: root, Log: text, Cut: cut, Code: out.Code, TimedOut: out.TimedOut, Wall: out.Wall})
	return r, runner.Run{
		Command: s.Command, Env: environment(out.Env), Exit: out.Code,
		Counts: counts(r.Leaves()), Millis: out.Wall.Milliseconds(), Tail: told(r),
	}, err
}

// readLog reads the whole output of a command that wrote n bytes.
func readLog(name string, n int64) (text string, cut bool, err error) {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) && n == 0 {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, mostLog))
	return string(data), int64(len(data)) < n, err
}

// nonce is a word that the tests cannot know beforehand.
func (g *Gates) nonce() (string, error) {
	b := make([]byte, 16)
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, err := io.ReadFull(g.o.Rand, b); err != nil {
		return "", fmt.Errorf("draw a nonce: %w", err)
	}
	return "loop-" + hex.EncodeToString(b), nil
}

// layOut writes what a run is given into dir, which is not there yet, and names
// the directories that its command must be able to read.
func layOut(dir string, files map[string]string) ([]string, error) {
	if len(files) == 0 {
		return nil, nil
	}
	if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // read by another user
		return nil, err
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil { //nolint:gosec // likewise
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil { // #nosec G306 -- read by another user
			return nil, err
		}
	}
	return []string{dir}, nil
}

// byHand runs commands as the user of the agent's work tree, whom Options.Own
// does not know.
type byHand struct{ Runner }

// outDir makes the directory that with's command leaves its results in. In a
// judgement nobody else may write there.
func (g *Gates) outDir(with Runner, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // the command's user must get in
		return err
	}
	if _, ok := with.(byHand); ok {
		return os.Chmod(dir, 0o777) // #nosec G302 -- no verdict rests on it
	}
	return g.o.Own(dir)
}
