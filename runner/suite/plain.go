package suite

import (
	"fmt"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

const plain = "exit code"

// Of any other command only the exit code is known. That is weaker evidence, and
// its one case says so; unless what it wrote is a test stream by itself.
var plainAdapter = adapter{
	name: plain,
	plan: func(s Suite, _ Kit) Plan { return Plan{Script: s.Command} },
	read: func(s Suite, run Run) (Report, error) {
		if tapVersion.MatchString(run.Log) {
			return parseTAP(run.Log, run.Dir), nil
		}
		return parsePlain(s.Command, run), nil
	},
}

// nothingRun are the words with which runners pass although they ran nothing.
var nothingRun = pattern.MustCompile(`(?mi)^no tests? (ran|found|to run)|collected 0 items|no test files found|tests?:\s+0 total|\b0 passed\b|\bran 0 tests\b|^# tests 0$|running 0 tests`)

var somethingRun = pattern.MustCompile(`(?i)\b[1-9]\d* (passed|passing|ok|examples?)\b|ran [1-9]\d* tests?|running [1-9]\d* tests?`)

// parsePlain makes the most of a command of which only the exit code is known.
func parsePlain(command string, run Run) Report {
	c := Case{Name: command, State: Pass, Weak: true, Wall: run.Wall}
	switch text := Clean(Tail(run.Log, 64<<10)); {
	case run.Code != 0:
		c.State, c.Kind, c.Message = Fail, Unknown, fmt.Sprintf("exit code %d\n%s", run.Code, Tail(text, 700))
	case nothingRun.MatchString(text) && !somethingRun.MatchString(text):
		c.State, c.Kind, c.Message = Fail, Unknown, "passed without running any test\n"+Tail(text, 700)
	}
	return Report{Cases: []Case{c}}
}
