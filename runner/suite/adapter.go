package suite

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// An adapter knows one runner of tests: how projects call it, how it is made to
// report each case, and what its words mean.
type adapter struct {
	name string

	// claim makes a suite of one simple command, as a person would type it, if
	// it calls this runner.
	claim func(command string) (Suite, bool)

	// detect names the commands with which a project that says nothing else is
	// tested by this runner.
	detect func(p place) []string

	plan func(s Suite, k Kit) Plan
	read func(s Suite, run Run) (Report, error)

	// only narrows s to a path, or to a pattern for the names of tests; nil: it
	// cannot be narrowed.
	only func(s Suite, scope string, isPath bool) Suite
}

// adding narrows a runner that takes a path, or a pattern, after all that its
// command says already.
func adding(file, pattern string) func(Suite, string, bool) Suite {
	return func(s Suite, scope string, isPath bool) Suite {
		if isPath {
			s.args += file + quote(scope)
		} else {
			s.args += pattern + quote(scope)
		}
		return s
	}
}

// replacing narrows a runner for which a path stands in place of what its command
// says, because that names paths, too.
func replacing(pattern string) func(Suite, string, bool) Suite {
	return func(s Suite, scope string, isPath bool) Suite {
		if isPath {
			s.args = quote(scope)
			return s
		}
		return adding("", pattern)(s, scope, false)
	}
}

// byClass narrows a runner that knows no paths: a file's tests are in the class
// that it is named after.
func byClass(flag, before, after string) func(Suite, string, bool) Suite {
	return func(s Suite, scope string, isPath bool) Suite {
		name := scope
		if isPath {
			name, _, _ = strings.Cut(path.Base(scope), ".")
		}
		s.args += flag + quote(before+name+after)
		return s
	}
}

// adapters are tried in this order.
func adapters() []adapter {
	return []adapter{
		nodeAdapter, jestAdapter, vitestAdapter, mochaAdapter,
		goAdapter,
		pytestAdapter, unittestAdapter,
		rspecAdapter, minitestAdapter,
		cargoAdapter,
		mavenAdapter, gradleAdapter,
		phpAdapter,
		dotnetAdapter,
		tapAdapter,
	}
}

// Runners names the runners of which results are read case by case.
func Runners() []string {
	var names []string
	for _, a := range adapters() {
		names = append(names, a.name)
	}
	return names
}

func (s Suite) adapter() adapter {
	for _, a := range append(adapters(), noted...) {
		if a.name == s.tool {
			return a
		}
	}
	return plainAdapter
}

// A Kit is what a run is given.
type Kit struct {
	Nonce   string        // that the tests cannot know beforehand: one word, not empty
	Dir     string        // where Plan.Files will be; the command reads it and cannot write it
	Out     string        // empty, for files of results; the command writes it
	Timeout time.Duration // when the command will be stopped
}

// A Plan says how a suite is run.
type Plan struct {
	Script string            // for a shell, in the checkout
	Files  map[string]string // to be put into Kit.Dir: name, which may have directories, -> text
}

// Plan says how to run s so that it reports its cases.
func (s Suite) Plan(k Kit) Plan {
	p := s.adapter().plan(s, k)
	for name, text := range p.Files {
		p.Files[name] = strings.ReplaceAll(text, "@NONCE@", k.Nonce)
	}
	if s.local != "" {
		p.Script = `PATH="$PWD/` + s.local + `:$PATH"; export PATH; ` + p.Script
	}
	if s.dir() != "." {
		p.Script = "cd " + quote(s.Dir) + " && " + p.Script
	}
	return p
}

// A Run is what became of the command of a plan.
type Run struct {
	Kit      Kit
	Dir      string   // the checkout, as the command saw it
	Root     *os.Root // the same
	Log      string   // everything that was written, in order
	Cut      bool     // Log does not hold everything
	Code     int
	TimedOut bool
	Wall     time.Duration
}

// Read says case by case what a run of s showed. What it cannot vouch for is in
// Broken, with the reason. An error means that the checkout could not be read.
func (s Suite) Read(run Run) (Report, error) {
	r, err := s.adapter().read(s, run)
	if err != nil {
		return Report{}, fmt.Errorf("read the results of %q: %w", s.Command, err)
	}
	r.Command, r.Wall, r.Hung = cmp.Or(s.Command, "(no command)"), run.Wall, run.TimedOut
	if s.dir() != "." {
		r.Command = "cd " + s.Dir + " && " + r.Command
	}
	if s.tool != goTest && !s.weak() {
		if err := r.locate(run, s.dir()); err != nil {
			return Report{}, err
		}
	}
	r.tidy()
	if r.Tail == "" {
		r.Tail = Tail(trimPaths(Clean(Tail(run.Log, 64<<10)), run.Dir), 4<<10)
	}
	failed := slices.ContainsFunc(r.Cases, func(c Case) bool { return c.State == Fail })
	switch {
	case run.Cut:
		r.Broken = "its output was cut, so not every result is known"
	case r.Broken != "" || run.TimedOut || len(r.Early) > 0:
	case run.Code != 0 && !failed && !r.None:
		r.Broken = fmt.Sprintf("it ended with exit code %d though no test failed", run.Code)
	case run.Code == 0 && failed && !s.weak():
		r.Broken = fmt.Sprintf("it ended with exit code 0 though a test failed: %s", r.Failed()[0])
	}
	return r, nil
}

func (s Suite) weak() bool { return s.tool == plain }
