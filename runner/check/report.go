package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A report is what one run of a project's tests said, case by case. It is made
// from the runner's own events; text that a test prints decides nothing.
type report struct {
	Cases   []testCase
	Early   []string // files or packages that ended before their tests were over
	Broken  string   // why the report as a whole cannot be believed; "": it can
	Hung    bool     // the run was ended by its time limit
	Command string   // as it was meant, without what was added to get events
	Tail    string   // end of the raw output
	Wall    time.Duration
}

// A testCase is one test, or a file or package that could not be loaded.
type testCase struct {
	File    string // relative to the checkout; for Go the package's directory
	Name    string
	State   state
	Kind    kind   // why it failed
	Message string // of the failure
	Wall    time.Duration
	Group   bool // holds other cases; only they count
	Load    bool // stands for a file or package that did not load: its cases are unknown
	Weak    bool // stands for a command of which only the exit code is known
}

type state string

const (
	pass state = "pass"
	fail state = "fail"
	skip state = "skip"
)

// A kind says why a case failed. Only the first two prove that a feature is
// missing; the others prove that a test or its surroundings are.
type kind string

const (
	assertion  kind = "assertion"       // the test looked and did not find
	missing    kind = "missing symbol"  // or module, of the project itself
	dependency kind = "missing package" // that is not the project's own
	syntax     kind = "syntax error"
	timeout    kind = "timeout"
	crash      kind = "error" // anything else that was thrown, panicked or exited
	unknown    kind = "exit code"
)

// id names a case across runs.
func (c testCase) id() string {
	if c.Load || c.Weak {
		return c.Name
	}
	return c.File + " › " + c.Name
}

func (c testCase) String() string {
	switch {
	case c.Load || c.Weak:
		return c.Name
	case c.File == "." || c.File == "":
		return c.Name
	}
	return c.File + ": " + c.Name
}

// leaves are the cases that count.
func (r report) leaves() []testCase {
	return slices.DeleteFunc(slices.Clone(r.Cases), func(c testCase) bool { return c.Group })
}

// failed are the cases that failed, those that did not load first.
func (r report) failed() []testCase {
	cs := slices.DeleteFunc(r.leaves(), func(c testCase) bool { return c.State != fail })
	slices.SortStableFunc(cs, func(a, b testCase) int { return cmp.Compare(order(a), order(b)) })
	return cs
}

func order(c testCase) int {
	if c.Load {
		return 0
	}
	return 1
}

// index finds cases by id, groups included.
func (r report) index() map[string]testCase {
	m := make(map[string]testCase, len(r.Cases))
	for _, c := range r.Cases {
		m[c.id()] = c
	}
	return m
}

// unloaded are the files and packages that did not load.
func (r report) unloaded() map[string]testCase {
	m := map[string]testCase{}
	for _, c := range r.Cases {
		if c.Load {
			m[c.File] = c
		}
	}
	return m
}

func counts(cases []testCase) runner.Counts {
	var n runner.Counts
	for _, c := range cases {
		switch c.State {
		case pass:
			n.Run++
			n.Passed++
		case fail:
			n.Run++
			n.Failed++
		case skip:
			n.Skipped++
		}
	}
	return n
}

// merge joins the reports of a project that is tested by several commands.
func merge(rs []report) report {
	if len(rs) == 1 {
		return rs[0]
	}
	var all report
	var commands, tails []string
	for _, r := range rs {
		all.Cases = append(all.Cases, r.Cases...)
		all.Early = append(all.Early, r.Early...)
		all.Broken = cmp.Or(all.Broken, r.Broken)
		all.Hung = all.Hung || r.Hung
		all.Wall += r.Wall
		commands = append(commands, r.Command)
		tails = append(tails, r.Tail)
	}
	all.Command = strings.Join(commands, " && ")
	all.Tail = strings.Join(tails, "\n")
	return all
}

// distinct numbers cases that bear the same name, in the order in which they
// ran, so that none hides behind another.
func distinct(cases []testCase) []testCase {
	seen := map[string]int{}
	for i, c := range cases {
		id := c.id()
		seen[id]++
		if n := seen[id]; n > 1 {
			cases[i].Name = fmt.Sprintf("%s #%d", c.Name, n)
		}
	}
	return cases
}
