package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A Strategy is what is done about an error.
type Strategy string

// The strategies of recovery.
const (
	Retry        Strategy = "retry"
	RetryBackoff Strategy = "retry_backoff"
	FixAndRetry  Strategy = "fix_and_retry"
	Rollback     Strategy = "rollback"
	Skip         Strategy = "skip"
	Escalate     Strategy = "escalate"
)

// A move is one strategy, and what it asks for here.
type move struct {
	strategy Strategy
	advice   string
}

// moves are the strategies for each class, in the order in which they are
// tried: the same error once more is never met with the same strategy. The
// number of moves before escalation is the limit of attempts.
var moves = map[Class][]move{
	Transient: {
		{RetryBackoff, "wait for what it needs, then try it once more."},
		{Retry, "it does not pass by itself: see whether what it talks to runs at all, read its log, and try once more when the reason is gone."},
		{Skip, "do without it: take another way to the same end."},
		{Escalate, ""},
	},
	Resource: {
		{FixAndRetry, "correct the path, the port or the right, then try it again."},
		{Rollback, "take back what you changed last about it, and look at how the project does it elsewhere."},
		{Skip, "do without it: take another way to the same end."},
		{Escalate, ""},
	},
	Syntax: {
		{FixAndRetry, "mend it, then try again."},
		{Rollback, "go back to the last form of the file that could be read: read it as a whole and replace it with write_file."},
		{Escalate, ""},
	},
	Logic: {
		{FixAndRetry, ""}, // the error says all there is to say
		{Rollback, "the mend did not reach the cause: take it back, and print what the code really gets at that place."},
		{Skip, "leave this way: reproduce it in the smallest possible piece, or take another design that avoids that place."},
		{Escalate, ""},
	},
	Environment: {
		{FixAndRetry, "use what is there."},
		{Skip, "do without it: what is not installed will not be."},
		{Escalate, ""},
	},
	Unrecoverable: {
		{Escalate, ""},
	},
}

// A problem is an error that was met in an attempt and is not known to be gone.
type problem struct {
	trouble
	times int
	tool  string // the call that ended in it
	args  string
	since int // how many deeds there were when it was met last
	tried []Strategy
}

// met takes note of an error and gives what is to be said about it, "" if
// nothing. quiet is for phases in which the tests are to fail.
func (l *ledger) met(t trouble, tool, args string, quiet bool) (remark string, s Strategy) {
	key := t.print()
	i := slices.IndexFunc(l.problems, func(p problem) bool { return p.print() == key })
	if i < 0 {
		const most = 30
		if i = len(l.problems); i == most {
			l.problems = slices.Delete(l.problems, 0, 1)
			i--
		}
		l.problems = append(l.problems, problem{trouble: t})
	}
	p := &l.problems[i]
	p.times++
	p.tool, p.args, p.since = tool, args, len(l.deeds)
	all := moves[t.class]
	if quiet || p.times > len(all) {
		return "", ""
	}
	m := all[p.times-1]
	p.tried = append(p.tried, m.strategy)
	if m.strategy == Escalate {
		return fmt.Sprintf("%s error, %s: %s. This will not be mended from here. Write a note of what you saw and tried; if the feature cannot be done without it, call %s and say what is missing.",
			t.class, times(p.times), t.line, giveUpTool), Escalate
	}
	if m.advice == "" {
		return "", m.strategy
	}
	remark = fmt.Sprintf("%s error, %s (%s): %s", t.class, times(p.times), m.strategy, m.advice)
	if t.hint != "" && p.times == 1 {
		remark = fmt.Sprintf("%s error: %s Next: %s", t.class, t.hint, m.advice)
	}
	return remark, m.strategy
}

func times(n int) string {
	if n == 1 {
		return "for the first time"
	}
	return fmt.Sprintf("the same for the %s time", ordinal(n))
}

func ordinal(n int) string {
	switch n {
	case 2:
		return "2nd"
	case 3:
		return "3rd"
	}
	return fmt.Sprintf("%dth", n)
}

// passed takes note that a call went well: whatever errors it ended in before
// are gone, by what was done since.
func (l *ledger) passed(tool, args string) {
	l.problems = slices.DeleteFunc(l.problems, func(p problem) bool {
		if p.tool != tool || p.args != args {
			return false
		}
		if deeds := l.deeds[min(p.since, len(l.deeds)):]; len(deeds) > 0 {
			const most = 3
			l.brief.Fixes = append(l.brief.Fixes, runner.Fix{
				Class: string(p.class), Error: p.line, Fix: strings.Join(deeds[max(0, len(deeds)-most):], "; "),
			})
		}
		l.solved = append(l.solved, p.print())
		return true
	})
}

// patterns are the errors of the attempt, one line each: those that are open,
// and how many are gone.
func (l *ledger) patterns() []string {
	var out []string
	for _, p := range l.problems {
		var tried []string
		for _, s := range p.tried {
			tried = append(tried, string(s))
		}
		line := fmt.Sprintf("%s, %d times", p.trouble, p.times)
		if len(tried) > 0 {
			line += "; tried: " + strings.Join(tried, ", ")
		}
		out = append(out, line)
	}
	if len(l.solved) > 0 {
		out = append(out, fmt.Sprintf("%d errors are gone", len(l.solved)))
	}
	return out
}

// recover looks at how a call ended that runs something, and says what is to
// be done about its error, "" if there is none or all was said.
func (p *phase) recover(ctx context.Context, s *step, result string) string {
	l := &p.c.ledger
	if s.Failed || s.Tool != "shell" && s.Tool != "run_tests" {
		return ""
	}
	if wentWell(s, result) {
		l.passed(s.Tool, s.Args)
		return ""
	}
	t, ok := classify(result)
	if !ok {
		return ""
	}
	s.Trouble = t.print()
	red := p.t.Phase == runner.Tests && (t.class == Logic || s.Tool == "run_tests" && t.class != Transient && t.class != Unrecoverable)
	if s.Tool == "run_tests" && t.class == Logic {
		red = true // the rules on failing tests know more
	}
	remark, strategy := l.met(t, s.Tool, s.Args, red)
	if remark == "" {
		return ""
	}
	p.event(Event{Step: "recovery", Tool: s.Tool, Arg: string(strategy), Text: t.String()})
	if strategy == Escalate {
		p.claim.Notes = append(p.claim.Notes, fmt.Sprintf(runner.HarnessNote+"Escalated: %s error, met %s: %s", t.class, times(len(moves[t.class])), t.line))
	}
	if p.a.o.Similar != nil {
		if known := p.a.o.Similar(ctx, t.line); known != "" {
			remark += " An error like it was met before; what helped then, as data:\n" + data("memory", clip(known, mostSimilar))
		}
	}
	return remark
}

// wentWell says whether a command or the tests succeeded.
func wentWell(s *step, result string) bool {
	first, _, _ := strings.Cut(result, "\n")
	if s.Tool == "run_tests" {
		return s.Names == "none" || s.Names == "" && strings.HasPrefix(first, "0 failed") && !strings.Contains(result, "No test was run")
	}
	for _, bad := range []string{"exit ", "timed out", "killed"} {
		if strings.HasPrefix(first, bad) {
			return strings.HasPrefix(first+" ", "exit 0 ")
		}
	}
	return true
}
