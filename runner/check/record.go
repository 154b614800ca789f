package check

import (
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

const mostTail = 2 << 10 // of a command's output that its record keeps

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
