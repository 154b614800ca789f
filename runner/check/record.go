package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// A recorded run is one run of the project's tests, with all that a gate may
// judge it by. Gates see recorded runs and nothing else, so that whoever has
// the same runs comes to the same verdict.
type recorded struct {
	suite.Report
	Commands []runner.Run // of which it consists
}

const mostTail = 2 << 10 // bytes of what a command said that its record keeps

// on says what the run was made on: a tree, and if tests is not "", with the
// tests of another.
func (r recorded) on(tree, tests string) recorded {
	r.Commands = slices.Clone(r.Commands)
	for i := range r.Commands {
		r.Commands[i].Tree, r.Commands[i].Tests = tree, tests
	}
	return r
}

// environment is what may be told of a command's environment. Paths would tell
// of the machine, and nobody else has the same.
func environment(env []string) []string {
	shown := []string{}
	for _, e := range env {
		if name, value, _ := strings.Cut(e, "="); strings.ContainsRune(value, '/') {
			e = name
		}
		shown = append(shown, e)
	}
	slices.Sort(shown)
	return shown
}

// told is what a run said, for people: its cases, those that failed first, or
// the end of its output where no cases are known. What a runner reports for
// machines is left out.
func told(r suite.Report) string {
	var b strings.Builder
	more := 0
	say := func(c suite.Case) {
		line := fmt.Sprintf("%-4s %s", c.State, c)
		if c.Kind != "" {
			line += fmt.Sprintf(" [%s] %s", c.Kind, shorten(suite.Clean(c.Message), 1, 200))
		}
		if line = strings.TrimSpace(line); b.Len()+len(line) > mostTail {
			more++
			return
		}
		b.WriteString(line + "\n")
	}
	for _, c := range r.Failed() {
		say(c)
	}
	weak := true
	for _, c := range r.Leaves() {
		weak = weak && c.Weak
		if c.State != suite.Fail {
			say(c)
		}
	}
	if more > 0 {
		fmt.Fprintf(&b, "and %d more\n", more)
	}
	if weak || r.Broken != "" {
		b.WriteString(suite.Tail(suite.Clean(r.Tail), mostTail))
	}
	return strings.TrimSpace(b.String())
}
