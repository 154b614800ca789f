package agent

import (
	"fmt"
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// transcript reads what happened in a phase. A step is tool:args=result; ! before the result:
// nothing was done; ? : it could not be read. @ brings the tree after it, #
// the tests that fail, a,b, with what they said after a slash, and % the
// fingerprint of the error that a command ended in. + before a step: of the
// same turn as the one before.
func transcript(text string) []step {
	steps := []step{{Tree: "t0"}}
	if !strings.Contains(text, "@") && !strings.Contains(text, "#") {
		steps[0].Tree = "" // nobody looks
	}
	turn := 0
	for f := range strings.FieldsSeq(text) {
		f, joined := strings.CutPrefix(f, "+")
		if !joined {
			turn++
		}
		f, trouble, _ := strings.Cut(f, "%")
		f, fails, tested := strings.Cut(f, "#")
		f, tree, _ := strings.Cut(f, "@")
		call, result, _ := strings.Cut(f, "=")
		tool, args, _ := strings.Cut(call, ":")
		s := step{Turn: turn, Tool: tool, Args: args, Result: strings.ReplaceAll(strings.TrimLeft(result, "!?"), "_", " "), Failed: strings.HasPrefix(result, "!"), Malformed: strings.HasPrefix(result, "?"), Tree: tree, Trouble: trouble}
		s.Waits = waiting(tool, s.Result)
		if tested {
			names, words, _ := strings.Cut(fails, "/")
			failing := map[string]string{}
			for name := range strings.SplitSeq(names, ",") {
				if name != "" {
					failing[name] = words
				}
			}
			s.Names, s.Words = failures(failing)
		}
		steps = append(steps, s)
	}
	return steps
}

// each is format for the numbers from 1 to n.
func each(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, strings.ReplaceAll(format, "N", "%[1]d")+" ", i+1)
	}
	return b.String()
}

// worst is all that the rules say of a phase from its first step to its last,
// each rule once, with a ! if it stops the phase.
func worst(phase runner.Phase, steps []step) string {
	var order []string
	stops := map[string]bool{}
	for n := range steps {
		if n == 0 {
			continue
		}
		for _, f := range stuck(phase, steps[:n+1]) {
			if _, known := stops[f.Rule]; !known {
				order = append(order, f.Rule)
			}
			stops[f.Rule] = stops[f.Rule] || f.Stop
		}
	}
	for i, rule := range order {
		if stops[rule] {
			order[i] += "!"
		}
	}
	return strings.Join(order, " ")
}

// A phase that goes in circles is told so, and ended if it goes on.
func TestStuck(t *testing.T) {
	for _, c := range []struct{ name, steps, want string }{
		{"three times the same", "run_tests:all=1 run_tests:all=1 run_tests:all=1", "same"},
		{"five times the same", strings.Repeat("run_tests:all=1 ", 5), "same!"},
		{"the same failing call", "read_file:a=!1 read_file:a=!2 read_file:a=!3", "same"},
		{"back and forth", strings.Repeat("read_file:a=1 read_file:b=2 ", 3), "same pair"},
		{"back and forth for long", strings.Repeat("read_file:a=1 read_file:b=2 ", 5), "same! pair!"},
		{"back and forth between errors", strings.Repeat("shell:a=!1 read_file:b=!2 ", 5), "same! pair!"},
		{"test after the same edit", strings.Repeat("write_file:1=ok run_tests:all=1 ", 4), "same pair"},
		{"test after edits that miss", "edit_file:1=!m run_tests:all=1 edit_file:2=!m run_tests:all=1 write_file:1=!m run_tests:all=1", "same"},
		{"edits that miss", "edit_file:1=!m read_file:a=1 edit_file:2=!m edit_file:3=!m", "misses"},
		{"edits that miss for long", strings.Repeat("edit_file:1=!m read_file:a=1 ", 3) + "edit_file:2=!m edit_file:3=!m edit_file:4=!m", "misses! pair same"},
		{"unreadable calls", "shell:{}=? write_file:{}=? shell:{}=?", "malformed"},
		{"unreadable calls for long", "shell:{}=? write_file:{}=? shell:{}=? shell:{}=?", "malformed!"},
		{"a job that has ended, asked again", strings.Repeat("job:1=has_ended ", 3), "same"},
		{"one error behind many commands", each(4, "shell:N=xN%no_such_command"), "error"},
		{"one error behind many commands, for long", each(8, "shell:N=xN%no_such_command"), "error!"},
		{"one change back and forth", "edit_file:1=ok@A edit_file:2=ok@t0 edit_file:3=ok@A", "revert"},
		{"one change back and forth, for long", "edit_file:1=ok@A edit_file:2=ok@t0 edit_file:3=ok@A shell:4=ok@t0 edit_file:5=ok@A", "revert!"},
		{"three versions in turn", "write_file:1=ok@A write_file:2=ok@B write_file:3=ok@t0 write_file:4=ok@A", "revert"},
		{"the same tests whatever is changed", each(4, "edit_file:N=ok@TN run_tests:all=xN@TN#a,b/want"), "fails"},
		{"the same tests whatever is changed, for long", each(8, "edit_file:N=ok@TN run_tests:all=xN@TN#a,b/want"), "fails!"},
		{"the same test with ever other words", each(14, "edit_file:N=ok@TN run_tests:all=xN@TN#a/wantN"), "fails!"},
		{"commands that vary and change nothing", "run_tests:all=1@t0#a " + each(19, "shell:echo_N=N@t0"), "still"},
		{"commands that vary and change nothing, for long", "run_tests:all=1@t0#a " + each(35, "shell:echo_N=N@t0"), "still!"},
		{"reading for ever", "run_tests:all=1@t0#a " + each(69, "read_file:N=N"), "still!"},
		{"reading the same for ever", each(12, "read_file:a=1 read_file:b=1 read_file:c=1") + "shell:x=x@t0", "same still!"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := worst(runner.Implement, transcript(c.steps)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// Honest work looks like this, and is left alone.
func TestHonestWorkIsNotStuck(t *testing.T) {
	for _, c := range []struct {
		name, steps string
		phase       runner.Phase
	}{
		{"nothing", "", runner.Tests},
		{"twice the same", "run_tests:all=1 run_tests:all=1", runner.Tests},
		{"another result each time", "shell:date=1 shell:date=2 shell:date=3 shell:date=4", runner.Implement},
		{"test after each new edit", each(5, "edit_file:N=ok run_tests:all=1"), runner.Implement},
		{"a hit between misses", "edit_file:1=!m edit_file:2=!m edit_file:3=ok edit_file:4=!m", runner.Implement},
		{"clicking through a page", each(5, "browser:clickN=p browser:snap=p"), runner.Implement},
		{"waiting for a job", strings.Repeat("job:1=nothing ", 30) + "shell:x=x@t1", runner.Implement},
		{"waiting for a job and looking at its log", "write_file:a=ok@t1 " + strings.Repeat("job:1=running read_file:log=starting ", 2) + "job:1=has_ended", runner.Implement},
		{"reading again after each edit", each(8, "edit_file:N=ok@TN +read_file:a=N run_tests:all=rN@TN#a,bN"), runner.Implement},
		{"red and green in turn", each(10, "write_file:tN=ok@RN run_tests:all=rN@RN#caseN write_file:cN=ok@GN run_tests:all=ok@GN#"), runner.Implement},
		{"refactoring while all is green", each(12, "edit_file:N=ok@TN run_tests:all=ok@TN#"), runner.Repair},
		{"tests that are to fail are polished", each(9, "edit_file:N=ok@TN run_tests:all=r@TN#a,b/want"), runner.Tests},
		{"debugging for long, each try tells more", each(7, "shell:lookN=N@TN edit_file:N=ok@UN run_tests:all=rN@UN#a/wantN"), runner.Implement},
		{"one of many tests gets green each time", "run_tests:all=r0@t0#a,b,c,d,e edit_file:1=ok@A run_tests:all=r1@A#b,c,d,e edit_file:2=ok@B run_tests:all=r2@B#c,d,e edit_file:3=ok@C run_tests:all=r3@C#d,e edit_file:4=ok@D run_tests:all=r4@D#e", runner.Implement},
		{"prints come and go", each(6, "edit_file:addN=ok@PN run_tests:all=rN@PN#a/wantN edit_file:delN=ok@t0"), runner.Implement},
		{"the code is broken on purpose, to see the tests fail", "run_tests:all=ok@t0# " + each(5, "edit_file:breakN=ok@BN run_tests:all=rN@BN#a edit_file:mendN=ok@t0 run_tests:all=ok@t0#"), runner.Repair},
		{"getting to know a large project", each(19, "read_file:N=N search:xN=N") + "edit_file:1=ok@A", runner.Implement},
		{"errors of different kinds", "shell:a=1%no_module shell:b=2%syntax shell:c=3%no_file shell:d=4%no_module shell:e=5%type", runner.Implement},
		{"the same build error, while the code changes", each(8, "edit_file:N=ok@TN shell:build=N%undefined"), runner.Implement},
		{"a bisection of the test's names", each(6, "run_tests:nN=rN@t0#cN"), runner.Implement},
		{"a rebuilt file that is the same", each(6, "edit_file:N=ok@TN shell:make=ok@TN"), runner.Implement},
		{"one revert and on", "edit_file:1=ok@A run_tests:all=1@A#a,b edit_file:2=ok@t0 edit_file:3=ok@C run_tests:all=2@C#a", runner.Implement},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := worst(c.phase, transcript(c.steps)); got != "" {
				t.Errorf("it is said to be %q", got)
			}
		})
	}
}

func TestNormalKeepsWhatTellsProgress(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"3 failed in 12 ms", "3 failed in 9.5 ms", true},
		{"3 failed", "2 failed", false},
		{"panic at 0xc000123", "panic at 0xc000999", true},
		{"exit 1 · 1.2 s\n/tmp/x1/a", "exit 1 · 0.9 s\n/tmp/x2/a", true},
		{"listening on 127.0.0.1:4001", "listening on 127.0.0.1:5002", true},
		{"line 10: want 3", "line 10: want 4", false},
		{"log 001.log", "log 002.log", true},
	} {
		if got := normal(c.a) == normal(c.b); got != c.same {
			t.Errorf("%q and %q: same %v, want %v", c.a, c.b, got, c.same)
		}
	}
}
