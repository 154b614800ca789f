package suite

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Kit is what a run is given.
type Kit struct {
	Nonce   string        // that the tests cannot know beforehand: one word, not empty
	Dir     string        // where Plan.Files will be; the command reads it and cannot write it
	Timeout time.Duration // when the command will be stopped
}

// A Plan says how a suite is run.
type Plan struct {
	Script string            // for a shell, in the checkout
	Files  map[string]string // to be put into Kit.Dir: name -> text
}

// Plan says how to run s so that it reports its cases.
func (s Suite) Plan(k Kit) Plan {
	var p Plan
	switch s.tool {
	case nodeTest:
		p.Files = map[string]string{}
		for name, text := range map[string]string{"reporter.mjs": nodeReporter, "preload.cjs": nodePreload} {
			p.Files[name] = strings.ReplaceAll(text, "@NONCE@", k.Nonce)
		}
		// The report goes to the runner's standard output, which only the sandbox
		// writes down: there is no file that the tests could reach.
		p.Script = fmt.Sprintf("%snode --require %s --test-reporter=%s --test-reporter-destination=stdout %s", s.head,
			quote(filepath.Join(k.Dir, "preload.cjs")), quote(filepath.Join(k.Dir, "reporter.mjs")), s.args)
	case goTest:
		// Without -count=1 go test answers from its cache.
		p.Script = fmt.Sprintf("%sgo test -json -count=1 -timeout=%s %s", s.head, (k.Timeout * 9 / 10).String(), s.args)
	case plain:
		p.Script = s.Command
	}
	if s.local {
		p.Script = `PATH="$PWD/node_modules/.bin:$PATH"; export PATH; ` + p.Script
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

// Read says case by case what a run of s showed.
func (s Suite) Read(run Run) (Report, error) {
	var r Report
	switch s.tool {
	case nodeTest:
		r = parseNode(run.Log, run.Kit.Nonce, run.Dir)
	case goTest:
		r = parseGo(run.Log, run.Dir, goModule(run.Root))
		if s.whole() {
			tests, err := declared(run.Root, s.tags())
			if err != nil {
				return Report{}, err
			}
			r.Early = append(r.Early, unreported(r, tests)...)
		}
	case plain:
		r = parsePlain(s.Command, run)
	}
	r.Command, r.Wall, r.Hung = s.Command, run.Wall, run.TimedOut
	if r.Tail == "" {
		r.Tail = Tail(trimPaths(Clean(run.Log), run.Dir), 4<<10)
	}
	switch {
	case run.Cut:
		r.Broken = "its output was cut, so not every result is known"
	case r.Broken == "" && run.Code != 0 && !run.TimedOut && len(r.Early) == 0 && len(r.Failed()) == 0:
		r.Broken = fmt.Sprintf("it ended with exit code %d though no test failed", run.Code)
	}
	return r, nil
}

// unreported names the packages of which a declared test was not heard of.
func unreported(r Report, tests map[string][]string) []string {
	heard := r.Index()
	var names []string
	for dir, fns := range tests {
		if slices.ContainsFunc(r.Cases, func(c Case) bool { return c.File == dir && (c.Load || c.State == Fail && c.Kind == Crash) }) {
			continue // it did not build, or died: that is a failure of its own
		}
		for _, fn := range fns {
			if _, ok := heard[Case{File: dir, Name: fn}.ID()]; !ok {
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
func parsePlain(command string, run Run) Report {
	c := Case{Name: command, State: Pass, Weak: true, Wall: run.Wall}
	switch text := Clean(Tail(run.Log, 64<<10)); {
	case run.Code != 0:
		c.State, c.Kind, c.Message = Fail, Unknown, fmt.Sprintf("exit code %d\n%s", run.Code, Tail(text, 700))
	case nothingRun.MatchString(text) && !somethingRun.MatchString(text):
		c.State, c.Kind, c.Message = Fail, Unknown, "passed without running any test\n"+Tail(text, 700)
	}
	return Report{Cases: []Case{c}, Hung: run.TimedOut, Command: cmp.Or(command, "(no command)")}
}
