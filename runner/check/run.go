package check

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
)

const mostLog = 64 << 20 // of a run's output; more of it is not read, and so not believed

// run runs a command of the project in a checkout. An error means that it could
// not be had, or that the judgement was called off.
func (g *Gates) run(ctx context.Context, r Runner, c sandbox.Command) (sandbox.Output, error) {
	c.Env = append(slices.Clone(g.o.Env), c.Env...)
	c.Read = append(slices.Clone(g.o.Read), c.Read...)
	c.Write = append(slices.Clone(g.o.Write), c.Dir)
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
func (g *Gates) test(ctx context.Context, r Runner, dir, scope string) (report, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return report{}, err
	}
	defer root.Close()
	all, err := suites(root, g.o.Test)
	if err != nil {
		return report{}, err
	}
	rs := []report{}
	for _, s := range all {
		if scope != "" {
			s = s.only(root, scope)
		}
		one, err := g.testSuite(ctx, r, s, dir, root)
		if err != nil {
			return report{}, fmt.Errorf("run %q: %w", s.command, err)
		}
		rs = append(rs, one)
		if one.Hung {
			break // the others would only take as long again
		}
	}
	return merge(rs), nil
}

func (g *Gates) testSuite(ctx context.Context, with Runner, s suite, dir string, root *os.Root) (report, error) {
	private, err := g.scratch("log")
	if err != nil {
		return report{}, err
	}
	defer remove(private)
	log := filepath.Join(private, "log")
	var nonce, script string
	read := []string{}
	switch s.tool {
	case nodeTest:
		kit := filepath.Join(private, "kit")
		if nonce, err = g.nonce(); err == nil {
			err = nodeKit(kit, nonce)
		}
		if err != nil {
			return report{}, err
		}
		read = append(read, kit)
		// The report goes to the runner's standard output, which only the sandbox
		// writes down: there is no file that the tests could reach.
		script = fmt.Sprintf("%snode --require %s --test-reporter=%s --test-reporter-destination=stdout %s", s.head,
			quote(filepath.Join(kit, "preload.cjs")), quote(filepath.Join(kit, "reporter.mjs")), s.args)
	case goTest:
		// Without -count=1 go test answers from its cache.
		script = fmt.Sprintf("%sgo test -json -count=1 -timeout=%s %s", s.head, (g.o.Timeout * 9 / 10).String(), s.args)
	case plain:
		script = s.command
	}
	if s.local {
		script = `PATH="$PWD/node_modules/.bin:$PATH"; export PATH; ` + script
	}
	out, err := g.run(ctx, with, sandbox.Command{Argv: []string{"sh", "-c", script}, Dir: dir, Net: sandbox.Local, Read: read, Log: log})
	if err != nil {
		return report{}, err
	}
	text, cut, err := readLog(log, out.Bytes)
	if err != nil {
		return report{}, err
	}
	var r report
	switch s.tool {
	case nodeTest:
		r = parseNode(text, nonce, dir)
	case goTest:
		r = parseGo(text, dir, goModule(root))
		if s.whole() {
			tests, err := declared(root, s.tags())
			if err != nil {
				return report{}, err
			}
			r.Early = append(r.Early, unreported(r, tests)...)
		}
	case plain:
		r = parsePlain(s.command, out)
	}
	r.Command, r.Wall, r.Hung = s.command, out.Wall, out.TimedOut
	if r.Tail == "" {
		r.Tail = tail(trimPaths(clean(out.Text), dir), 4<<10)
	}
	switch {
	case cut:
		r.Broken = "its output was cut, so not every result is known"
	case r.Broken == "" && out.Code != 0 && !out.TimedOut && len(r.Early) == 0 && len(r.failed()) == 0:
		r.Broken = fmt.Sprintf("it ended with exit code %d though no test failed", out.Code)
	}
	return r, nil
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

// nodeKit writes what node --test is run with.
func nodeKit(dir, nonce string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{"reporter.mjs": nodeReporter, "preload.cjs": nodePreload} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "@NONCE@", nonce)), 0o644); err != nil { // #nosec G306 -- read by another user
			return err
		}
	}
	return nil
}

// unreported names the packages of which a declared test was not heard of.
func unreported(r report, tests map[string][]string) []string {
	heard := r.index()
	var names []string
	for dir, fns := range tests {
		if slices.ContainsFunc(r.Cases, func(c testCase) bool { return c.File == dir && (c.Load || c.State == fail && c.Kind == crash) }) {
			continue // it did not build, or died: that is a failure of its own
		}
		for _, fn := range fns {
			if _, ok := heard[testCase{File: dir, Name: fn}.id()]; !ok {
				names = append(names, fmt.Sprintf("package %s (%s was never run)", dir, fn))
				break
			}
		}
	}
	slices.Sort(names)
	return names
}

// nothingRun are the words with which runners pass although they ran nothing.
var nothingRun = regexp.MustCompile(`(?mi)^no tests? (ran|found|to run)|collected 0 items|no test files found|tests?:\s+0 total|\b0 passed\b|\bran 0 tests\b|^# tests 0$|running 0 tests`)

var somethingRun = regexp.MustCompile(`(?i)\b[1-9]\d* (passed|passing|ok|examples?)\b|ran [1-9]\d* tests?|running [1-9]\d* tests?`)

// parsePlain makes the most of a command of which only the exit code is known.
func parsePlain(command string, out sandbox.Output) report {
	c := testCase{Name: command, State: pass, Weak: true, Wall: out.Wall}
	switch text := clean(out.Text); {
	case out.Code != 0:
		c.State, c.Kind, c.Message = fail, unknown, fmt.Sprintf("exit code %d\n%s", out.Code, tail(text, mostChars))
	case nothingRun.MatchString(text) && !somethingRun.MatchString(text):
		c.State, c.Kind, c.Message = fail, unknown, "passed without running any test\n"+tail(text, mostChars)
	}
	return report{Cases: []testCase{c}, Hung: out.TimedOut, Command: cmp.Or(command, "(no command)")}
}
