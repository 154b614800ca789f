package agent

import (
	"strings"
	"testing"
)

func TestStuck(t *testing.T) {
	// A step is tool:args=result; ! before the result: nothing was done; ? : it
	// could not be read.
	for _, c := range []struct {
		name, steps, rule string
		stop              bool
	}{
		{"nothing", "", "", false},
		{"twice the same", "run_tests:all=1 run_tests:all=1", "", false},
		{"three times the same", "run_tests:all=1 run_tests:all=1 run_tests:all=1", "same", false},
		{"five times the same", strings.Repeat("run_tests:all=1 ", 5), "same", true},
		{"another result each time", "shell:date=1 shell:date=2 shell:date=3 shell:date=4", "", false},
		{"the same failing call", "read_file:a=!1 read_file:a=!2 read_file:a=!3", "same", false},
		{"back and forth", strings.Repeat("read_file:a=1 read_file:b=2 ", 3), "same", false},
		{"back and forth for long", strings.Repeat("read_file:a=1 read_file:b=2 ", 5), "same", true},
		{"test after each new edit", "edit_file:1=ok run_tests:all=1 edit_file:2=ok run_tests:all=1 edit_file:3=ok run_tests:all=1 edit_file:4=ok run_tests:all=1 edit_file:5=ok run_tests:all=1", "", false},
		{"test after the same edit", strings.Repeat("write_file:1=ok run_tests:all=1 ", 4), "same", false},
		{"test after edits that miss", "edit_file:1=!m run_tests:all=1 edit_file:2=!m run_tests:all=1 write_file:1=!m run_tests:all=1", "same", false},
		{"edits that miss", "edit_file:1=!m read_file:a=1 edit_file:2=!m edit_file:3=!m", "misses", false},
		{"edits that miss for long", strings.Repeat("edit_file:1=!m read_file:a=1 ", 3) + "edit_file:2=!m edit_file:3=!m edit_file:4=!m", "misses", true},
		{"a hit between misses", "edit_file:1=!m edit_file:2=!m edit_file:3=ok edit_file:4=!m", "", false},
		{"unreadable calls", "shell:{}=? write_file:{}=? shell:{}=?", "malformed", false},
		{"unreadable calls for long", "shell:{}=? write_file:{}=? shell:{}=? shell:{}=?", "malformed", true},
		{"clicking through a page", "browser:click1=p browser:snap=p browser:click2=p browser:snap=p browser:click3=p browser:snap=p browser:click4=p browser:snap=p browser:click5=p browser:snap=p", "", false},
		{"waiting for a job", strings.Repeat("job:1=nothing ", 8), "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var steps []step
			for f := range strings.FieldsSeq(c.steps) {
				call, result, _ := strings.Cut(f, "=")
				tool, args, _ := strings.Cut(call, ":")
				steps = append(steps, step{tool, args, strings.TrimLeft(result, "!?"), strings.HasPrefix(result, "!"), strings.HasPrefix(result, "?")})
			}
			f, ok := stuck(steps)
			if ok != (c.rule != "") || f.Rule != c.rule || f.Stop != c.stop {
				t.Errorf("%v %q stop %v, want %q stop %v", ok, f.Rule, f.Stop, c.rule, c.stop)
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
