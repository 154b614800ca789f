package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

const goodSummary = `# Decisions
- Titles are kept in a list, because the spec sorts them.
- A map was ruled out.
# Open problems
1. The list does not survive a restart.
# State
The store is done; the page comes next.`

// long is an implement phase of n turns in which files are edited, read and
// tested, commands fail and are mended, and notes are written.
func long(n int) (map[string]Reply, map[string]func(context.Context, Call) string) {
	replies := map[string]Reply{}
	for i := range n {
		replies[fmt.Sprintf("implement/%d", i+1)] = Reply{Content: fmt.Sprintf("Step %d: I use the list. %s", i, strings.Repeat("It has an order. ", 100)), Calls: []Call{
			call("read_file", fmt.Sprintf(`{"path":"f%d"}`, i)),
			call("edit_file", fmt.Sprintf(`{"path":"lib/%d.js","edits":[{"old":"a%d","new":"b%d"}]}`, i, i, i)),
			call("run_tests", `{}`),
		}}
	}
	replies["implement/3"] = calls(call("note", `{"text":"The port is 3000."}`), call("shell", `{"command":"jest"}`))
	replies[fmt.Sprintf("implement/%d", n+1)] = tidy
	ran := 0
	return replies, map[string]func(context.Context, Call) string{
		"read_file": func(_ context.Context, c Call) string { return c.Args + strings.Repeat("x", 5000) },
		"edit_file": says("edited"),
		"run_tests": func(context.Context, Call) string { ran++; return fmt.Sprintf("1 failed, %d passed", ran) },
		"shell":     says("exit 127 · 0.1 s\nbash: line 1: jest: command not found"),
	}
}

func TestTwoCompactionsAndStillDone(t *testing.T) {
	replies, use := long(60)
	replies["compact/1"] = Reply{Content: goodSummary}
	a, s, b := open(t, replies, use)
	s.window = 24_000
	claim, err := a.Work(t.Context(), task(runner.Implement, 0))
	if err != nil || claim.Stopped != "" || s.resets < 2 {
		t.Fatalf("%v, %q after %d resets and %d masks", err, claim.Stopped, s.resets, s.masks)
	}
	if len(b.used) != 59*3+1 {
		t.Errorf("%d calls were made, want each once", len(b.used))
	}
	said := s.last().Messages[2].Content
	for _, want := range []string{
		"\n- Titles are kept in a list", "\n- A map was ruled out.", "open problems:\n- The list does not survive a restart.", "The store is done",
		"lib/%d.js: edited in 1 places", "the last run of the tests:\n1 failed", "environment (command): bash: line 1: jest: command not found", "The port is 3000.",
		"add numbers", "You are in the middle of this phase", "Phase implement",
	} {
		if strings.Contains(want, "%d") {
			if n := strings.Count(said, "edited in 1 places"); n != mostFiles {
				t.Errorf("%d changed files are named, want %d", n, mostFiles)
			}
		} else if !strings.Contains(said, want) {
			t.Errorf("it lacks %q:\n%s", want, said)
		}
	}
	for _, r := range s.reqs {
		if n := s.count(r); n > s.window*DefaultBands.HandOff/100 {
			t.Errorf("a request of %d tokens for a window of %d", n, s.window)
		}
	}
}

// A decision that was once noted stays, whatever a later summary leaves out;
// what was an open problem then may be none now.
func TestADecisionIsNeverDropped(t *testing.T) {
	replies, use := long(60)
	replies["compact/1"] = Reply{Content: goodSummary}
	edits := 0
	use["edit_file"] = func(context.Context, Call) string {
		if edits++; edits == 40 {
			replies["compact/1"] = Reply{Content: "# Decisions\n- The page is last.\n# Open problems\n- none\n# State\nNearly done."}
		}
		return "edited"
	}
	a, s, _ := open(t, replies, use)
	s.window = 24_000
	claim, err := a.Work(t.Context(), task(runner.Implement, 0))
	if err != nil || s.resets < 2 {
		t.Fatalf("%v after %d resets", err, s.resets)
	}
	want := []string{"Titles are kept in a list, because the spec sorts them.", "A map was ruled out.", "The page is last."}
	if d := cmp.Diff(claim.Brief.Decisions, want); d != "" || len(claim.Brief.Problems) != 0 || claim.Brief.State != "Nearly done." {
		t.Errorf("%s; %q, %q", d, claim.Brief.Problems, claim.Brief.State)
	}
}

// What the summariser does cannot hurt: without a summary that will do, the
// facts and what was said while working stand in.
func TestASummaryThatFailsIsDoneWithout(t *testing.T) {
	for name, reply := range map[string]Reply{
		"silent":  {},
		"partial": {Content: "# Decisions\n- x\n# State\ny"},
		"cut":     {Content: goodSummary, Finish: FinishLength},
		"acts":    calls(call("shell", `{"command":"rm -rf /"}`)),
		"error":   {Finish: "error"},
	} {
		t.Run(name, func(t *testing.T) {
			replies, use := long(30)
			replies["compact/1"] = reply
			a, s, b := open(t, replies, use)
			s.window = 24_000
			if name == "error" {
				s.errs = map[string]error{"compact/1": errors.New("connection reset")}
			}
			claim, err := a.Work(t.Context(), task(runner.Implement, 0))
			if err != nil || claim.Stopped != "" || s.resets == 0 || len(b.used) != 29*3+1 {
				t.Fatalf("%v, %q after %d resets, %d calls", err, claim.Stopped, s.resets, len(b.used))
			}
			said := s.last().Messages[2].Content
			for _, want := range []string{"I use the list", "no summary of it could be had", "files changed last", "The port is 3000."} {
				if !strings.Contains(said, want) {
					t.Errorf("it lacks %q:\n%s", want, said)
				}
			}
		})
	}
}

// A limit of the session that is met while asking is one.
func TestALimitWhileCompactingEndsTheSession(t *testing.T) {
	replies, use := long(30)
	a, s, _ := open(t, replies, use)
	s.window = 24_000
	s.errs = map[string]error{"compact/1": &runner.StopError{Reason: runner.RateLimit}}
	_, err := a.Work(t.Context(), task(runner.Implement, 0))
	if stop, ok := errors.AsType[*runner.StopError](err); !ok || stop.Reason != runner.RateLimit {
		t.Errorf("got %v", err)
	}
}

// In an emergency there is no room to ask.
func TestNothingIsAskedAboveTheLastBand(t *testing.T) {
	replies, use := reads(12, 3000)
	replies["tests/5"] = calls(call("read_file", `{"path":"x"}`), call("read_file", `{"path":"y"}`))
	inner := use["read_file"]
	use["read_file"] = func(ctx context.Context, c Call) string {
		if c.Args == `{"path":"x"}` || c.Args == `{"path":"y"}` {
			return strings.Repeat("x", 60_000)
		}
		return inner(ctx, c)
	}
	a, s, _ := open(t, replies, use) // which has no reply to a question for a summary
	s.window = 30_000
	if _, err := a.Work(t.Context(), task(runner.Tests, 0)); err != nil || s.resets != 1 {
		t.Errorf("%v after %d resets", err, s.resets)
	}
}

// A session that goes on after a limit gets the same facts in the same words.
func TestAResumedAttemptIsToldTheSame(t *testing.T) {
	a, s, _ := open(t, map[string]Reply{"implement/1": tidy}, nil)
	in := task(runner.Implement, 0)
	in.Resumed = true
	in.Brief = &runner.Brief{Decisions: []string{"a list"}, Files: []string{"a.js: written"}, Errors: []string{"syntax (json): x, 2 times"}}
	claim, err := a.Work(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if said := s.last().Messages[2].Content; !strings.Contains(said, standing(*in.Brief)) {
		t.Errorf("it is not told:\n%s", said)
	}
	if d := cmp.Diff(claim.Brief, in.Brief); d != "" {
		t.Errorf("what was known is lost: %s", d)
	}
}

func TestASummaryHasThreeParts(t *testing.T) {
	got, err := parseSummary(strings.ReplaceAll(goodSummary, "ruled out.", "ruled out,\n  as it has no order."))
	want := summary{[]string{"Titles are kept in a list, because the spec sorts them.", "A map was ruled out, as it has no order."}, []string{"The list does not survive a restart."}, "The store is done; the page comes next."}
	if d := cmp.Diff(got, want, cmp.AllowUnexported(summary{})); d != "" || err != nil {
		t.Error(d, err)
	}
	if got, err := parseSummary("## DECISIONS\n\nnone\n## Open problems:\n- none.\n## State\nx"); err != nil || len(got.decisions)+len(got.problems) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}
