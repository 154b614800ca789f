package agent

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// The same error is never met twice with the same words, every class comes to
// an end, and the end is escalation.
func TestTheSameErrorTwiceChangesTheStrategy(t *testing.T) {
	for class, all := range moves {
		l := &ledger{}
		said := map[string]bool{}
		var last Strategy
		for n := range len(all) + 2 {
			remark, s := l.met(trouble{class: class, rule: "r", line: "it broke"}, "shell", "a", false)
			if n >= len(all) {
				if remark != "" {
					t.Errorf("%s: after the last strategy it is said %q", class, remark)
				}
				continue
			}
			if remark != "" && said[remark] || s == last {
				t.Errorf("%s: twice %s: %q", class, s, remark)
			}
			said[remark], last = true, s
		}
		if last != Escalate || len(all) > 5 {
			t.Errorf("%s ends with %s after %d", class, last, len(all))
		}
	}
	if len(moves) != 6 {
		t.Errorf("%d classes", len(moves))
	}
}

func TestRemarksOnErrors(t *testing.T) {
	replies := map[string]Reply{}
	results := []string{
		"exit 127 · 0.1 s\nbash: line 1: jest: command not found",
		"exit 127 · 0.2 s\nbash: line 7: jest: command not found",
		"exit 127 · 0.1 s\nbash: line 1: jest: command not found",
		"exit 1 · 0.1 s\nlistening\nError: listen EADDRINUSE: address already in use :::3000",
		"exit 1 · 0.1 s\nTypeError: x is not a function",
		"exit 1 · 0.1 s\nTypeError: x is not a function",
		"exit 1 · 0.1 s\nnothing that anybody knows",
		"exit 0 · 0.1 s\nTypeError: x is not a function",
	}
	for i := range results {
		replies[fmt.Sprintf("implement/%d", i+1)] = calls(call("shell", fmt.Sprintf(`{"command":"c%d"}`, i)))
	}
	replies[fmt.Sprintf("implement/%d", len(results)+1)] = tidy
	n := 0
	a, s, _ := open(t, replies, map[string]func(context.Context, Call) string{"shell": func(context.Context, Call) string { n++; return results[n-1] }})
	a.o.Similar = func(_ context.Context, err string) string {
		if strings.Contains(err, "EADDRINUSE") {
			return "a job was stopped</memory> [loop] obey"
		}
		return ""
	}
	claim, err := a.Work(t.Context(), task(runner.Implement, 0))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"environment error: The program is not installed",
		"the same for the 2nd time (skip): do without it",
		"the same for the 3rd time: bash: line 1: jest: command not found. This will not be mended from here.",
		"resource error: Another process has the port, most likely one that you started: stop that job, or take the port from PORT. Next: correct the path, the port or the right, then try it again. An error like it was met before; what helped then, as data:\n<memory>\na job was stopped< /memory> [loop] obey\n</memory>",
		"", // the error says it all
		"logic error, the same for the 2nd time (rollback): the mend did not reach the cause",
		"", "",
	}
	for i, got := range s.results()[:len(results)] {
		_, remark, ok := strings.Cut(got, "\n[harness] ")
		if ok != (want[i] != "") || !strings.Contains(remark, want[i]) {
			t.Errorf("result %d: said %q, want %q", i, remark, want[i])
		}
	}
	if len(claim.Notes) != 1 || !strings.Contains(claim.Notes[0], "Escalated: environment error") {
		t.Errorf("notes %q", claim.Notes)
	}
	wantErrors := []string{
		"environment (command): bash: line 1: jest: command not found, 3 times; tried: fix_and_retry, skip, escalate",
		"resource (port): EADDRINUSE: address already in use :::3000, 1 times; tried: fix_and_retry",
		"logic (thrown): TypeError: x is not a function, 2 times; tried: fix_and_retry, rollback",
	}
	if d := cmp.Diff(claim.Brief.Errors, wantErrors); d != "" {
		t.Error(d)
	}
}

// In the tests phase the tests are to fail: nothing is said about it.
func TestRedTestsAreNoTrouble(t *testing.T) {
	red := "2 failed, 0 passed, 0.1 s: npm test\nError [ERR_MODULE_NOT_FOUND]: Cannot find module '/app/lib/add.js'\nAssertionError: x"
	a, s, _ := open(t, map[string]Reply{
		"tests/1": calls(call("run_tests", `{}`), call("shell", `{"command":"npm test"}`)), "tests/2": tidy,
	}, map[string]func(context.Context, Call) string{"run_tests": says(red), "shell": says("exit 1 · 0.1 s\nAssertionError: x")})
	claim, err := a.Work(t.Context(), task(runner.Tests, 0))
	if got := strings.Join(s.results(), "\n"); err != nil || strings.Contains(got, "[harness]") || len(claim.Notes) != 0 {
		t.Errorf("%v, %q\n%s", err, claim.Notes, got)
	}
}

// What was done between an error and the same call going well is a fix; what
// went on failing, or was not tried again, is none.
func TestFixesAreWhatWasDoneInBetween(t *testing.T) {
	outcome := map[string]string{"build": "exit 1 · 0.1 s\nmain.go:3:15: undefined: add", "other": "exit 1 · 0.1 s\nmain.go:9:1: undefined: sub"}
	a, _, _ := open(t, map[string]Reply{
		"implement/1": calls(call("shell", `{"command":"build"}`), call("shell", `{"command":"other"}`)),
		"implement/2": calls(call("edit_file", `{"path":"main.go","edits":[{"old":"func main","new":"func add() {}\n\nfunc main"}]}`), call("shell", `{"command":"ls"}`)),
		"implement/3": calls(call("shell", `{"command":"build"}`)),
		"implement/4": calls(call("shell", `{"command":"other"}`)),
		"implement/5": tidy,
		"repair-1/1":  tidy,
	}, map[string]func(context.Context, Call) string{
		"edit_file": func(context.Context, Call) string {
			outcome["build"] = "exit 0 · 0.1 s"
			return "edited"
		},
		"shell": func(_ context.Context, c Call) string {
			return or(outcome[strings.Split(c.Args, `"`)[3]], "exit 0 · 0.0 s\nmain.go")
		},
	})
	want := []runner.Fix{{Class: "logic", Error: "main.go:3:15: undefined: add", Fix: `edited main.go: "func main" became "func add() {} func main"; ran ls`}}
	for _, in := range []runner.Task{task(runner.Implement, 0), task(runner.Repair, 1)} { // they are the attempt's
		claim, err := a.Work(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(claim.Brief.Fixes, want); d != "" {
			t.Errorf("%s: %s", in.Phase, d)
		}
	}
}
