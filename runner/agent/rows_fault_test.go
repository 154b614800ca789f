package agent

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/internal/faults"
	"github.com/autonomous-loop/autonomous-loop/runner"
)

// TestAgentFaults plays what a model's replies can have wrong with them, and
// holds how the phase ends, the requests and the words against the document.
func TestAgentFaults(t *testing.T) {
	filtered := Reply{Finish: FinishFilter, Content: "I", Calls: []Call{call("shell", `{"command":"x"}`)}}
	unknown, wrong := calls(call("fly", `{}`)), calls(call("shell", `{"command":`))
	long := Reply{Finish: FinishLength, Calls: []Call{call("shell", `{"command":"rm -rf /"}`)}}
	tooLong := &runner.StopError{Reason: runner.ContextLimit, Err: errors.New("400")}
	for _, c := range []struct {
		id      string
		replies map[string]Reply
		errs    map[string]error
	}{
		{"M9", map[string]Reply{"tests/1": long, "tests/2": tidy}, nil},
		{"M10a", map[string]Reply{"tests/1": filtered, "tests/2": tidy}, nil},
		{"M10b", map[string]Reply{"tests/1": filtered, "tests/2": filtered}, nil},
		{"M11a", map[string]Reply{"tests/1": {}, "tests/2": {Content: "Done."}, "tests/3": {}}, nil},
		{"M12a", map[string]Reply{"tests/1": unknown, "tests/2": tidy}, nil},
		{"M12b", map[string]Reply{"tests/1": unknown, "tests/2": wrong, "tests/3": unknown}, nil},
	} {
		t.Run(c.id, func(t *testing.T) {
			a, s, b := open(t, c.replies, nil)
			claim, err := a.Work(t.Context(), task(runner.Tests, 0))
			ends := faults.EndOf(err)
			if claim.GaveUp != "" {
				ends = faults.CostsAttempt
			}
			faults.Check(t, c.id, faults.Seen{Ends: ends, Requests: len(s.reqs), Reads: claim.Stopped + claim.Why})
			if len(b.used) > 0 {
				t.Errorf("of what was not to be done this was: %v", b.used)
			}
		})
	}
	t.Run("M4a", func(t *testing.T) {
		replies, use := reads(8, 4000)
		a, s, _ := open(t, replies, use)
		s.errs = map[string]error{"tests/8": tooLong}
		claim, err := a.Work(t.Context(), task(runner.Tests, 0))
		// Nine replies, and the question that was refused.
		faults.Check(t, "M4a", faults.Seen{Ends: faults.EndOf(err), Requests: claim.Usage.Calls - 8})
	})
}

// The filter is counted over an attempt, unusable calls only in a row.
func TestWhatIsCountedOverAnAttempt(t *testing.T) {
	filtered := Reply{Finish: FinishFilter}
	a, _, _ := open(t, map[string]Reply{"tests/1": filtered, "tests/2": tidy, "implement/1": filtered}, nil)
	if claim, err := a.Work(t.Context(), task(runner.Tests, 0)); err != nil || claim.GaveUp != "" {
		t.Fatalf("%+v, %v", claim, err)
	}
	if claim, err := a.Work(t.Context(), task(runner.Implement, 0)); err != nil || claim.GaveUp != runner.Hindered {
		t.Errorf("%+v, %v", claim, err)
	}

	unknown, fine := calls(call("fly", `{}`)), calls(call("run_tests", ""))
	a, s, _ := open(t, map[string]Reply{"tests/1": unknown, "tests/2": unknown, "tests/3": fine, "tests/4": unknown, "tests/5": unknown, "tests/6": tidy},
		map[string]func(context.Context, Call) string{"run_tests": says("1 failed")})
	claim, err := a.Work(t.Context(), task(runner.Tests, 0))
	if err != nil || claim.Stopped != "" || len(s.reqs) != 6 {
		t.Errorf("%+v, %v after %d requests", claim, err, len(s.reqs))
	}
	if n := strings.Count(strings.Join(s.results(), "\n"), "there is no tool"); n != 4 {
		t.Errorf("%d results say that there is no such tool", n)
	}
}
