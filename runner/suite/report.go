package suite

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Report is what one run of a project's tests said, case by case. It is made
// from the runner's own events; text that a test prints decides nothing.
type Report struct {
	Cases   []Case
	Early   []string // files or packages that ended before their tests were over
	Broken  string   // why the report as a whole cannot be believed; "": it can
	Hung    bool     // the run was ended by its time limit
	None    bool     // the runner itself says that it found no test
	Empty   []string // of several commands, those of which that is so
	Partial bool     // what did not load kept the runner from running the rest
	Command string   // as it was meant, without what was added to get events
	Tail    string   // end of the raw output
	Wall    time.Duration
}

// A Case is one test, or a file or package that could not be loaded.
type Case struct {
	File    string // relative to the checkout; for Go the package's directory
	Name    string
	State   State
	Kind    Kind   // why it failed
	Message string // of the failure
	Wall    time.Duration
	Group   bool // holds other cases; only they count
	Load    bool // stands for a file or package that did not load: its cases are unknown
	Weak    bool // stands for a command of which only the exit code is known
}

type State string

const (
	Pass State = "pass"
	Fail State = "fail"
	Skip State = "skip"
)

// A Kind says why a case failed. Only the first two prove that a feature is
// missing; the others prove that a test or its surroundings are.
type Kind string

const (
	Assertion  Kind = "assertion"       // the test looked and did not find
	Missing    Kind = "missing symbol"  // or module, of the project itself
	Dependency Kind = "missing package" // that is not the project's own
	Syntax     Kind = "syntax error"
	Timeout    Kind = "timeout"
	Crash      Kind = "error" // anything else that was thrown, panicked or exited
	Unknown    Kind = "exit code"
)

// ID names a case across runs.
func (c Case) ID() string {
	if c.Load || c.Weak {
		return c.Name
	}
	return c.File + " › " + c.Name
}

func (c Case) String() string {
	switch {
	case c.Load || c.Weak:
		return c.Name
	case c.File == "." || c.File == "":
		return c.Name
	}
	return c.File + ": " + c.Name
}

// Leaves are the cases that count.
func (r Report) Leaves() []Case {
	return slices.DeleteFunc(slices.Clone(r.Cases), func(c Case) bool { return c.Group })
}

// Failed are the cases that failed, those that did not load first.
func (r Report) Failed() []Case {
	cs := slices.DeleteFunc(r.Leaves(), func(c Case) bool { return c.State != Fail })
	slices.SortStableFunc(cs, func(a, b Case) int { return cmp.Compare(order(a), order(b)) })
	return cs
}

func order(c Case) int {
	if c.Load {
		return 0
	}
	return 1
}

// Index finds cases by id, groups included.
func (r Report) Index() map[string]Case {
	m := make(map[string]Case, len(r.Cases))
	for _, c := range r.Cases {
		m[c.ID()] = c
	}
	return m
}

// Unloaded are the files and packages that did not load.
func (r Report) Unloaded() map[string]Case {
	m := map[string]Case{}
	for _, c := range r.Cases {
		if c.Load {
			m[c.File] = c
		}
	}
	return m
}

// mostMessage bounds what is kept of one failure, mostCases what is kept at all.
const (
	mostMessage = 16 << 10
	mostCases   = 200_000
)

// tidy bounds a report and makes its names fit for one line each, and different.
func (r *Report) tidy() {
	if len(r.Cases) > mostCases {
		r.Broken = fmt.Sprintf("it reports %d cases; more than %d are not read", len(r.Cases), mostCases)
		r.Cases = r.Cases[:mostCases]
	}
	for i := range r.Cases {
		c := &r.Cases[i]
		c.Name, c.File = oneLine(c.Name), oneLine(c.File)
		if n := len(c.Message); n > mostMessage {
			c.Message = head(c.Message, mostMessage/2) + "\n" + Tail(c.Message, mostMessage/2)
		}
	}
	r.Cases = distinct(r.Cases)
}

// Merge joins the reports of a project that is tested by several commands.
func Merge(rs []Report) Report {
	if len(rs) == 1 {
		return rs[0]
	}
	var all Report
	var commands, tails []string
	for _, r := range rs {
		all.Cases = append(all.Cases, r.Cases...)
		all.Early = append(all.Early, r.Early...)
		all.Broken = cmp.Or(all.Broken, r.Broken)
		all.Hung = all.Hung || r.Hung
		if all.None = all.None || r.None; r.None {
			all.Empty = append(all.Empty, r.Command)
		}
		all.Partial = all.Partial || r.Partial
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
func distinct(cases []Case) []Case {
	seen := map[string]int{}
	for i, c := range cases {
		id := c.ID()
		seen[id]++
		if n := seen[id]; n > 1 {
			cases[i].Name = fmt.Sprintf("%s #%d", c.Name, n)
		}
	}
	return cases
}
