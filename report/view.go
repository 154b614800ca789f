// Package report puts a loop's state and result into words and pictures: the
// progress comment, the job summary, the pull request, the files of the state
// branch, the HTML report. It is pure: the same view gives the same bytes.
//
// What it shows of a model's or a page's text passes one function, [inline] or
// [fence], that makes it harmless where it is shown. Nothing here says that a
// feature is done but the state.
package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A View is all that a report is made from.
type View struct {
	State     runner.State
	Result    runner.LoopResult
	Links     Links
	Isolation string   // the sandbox's rung, in words
	Notify    []string // who is mentioned when a person is needed; none: who started the loop
	Events    []runner.Event
	Records   map[string]runner.Record // of completed features, by id
	Images    map[string][]byte        // PNG of completed features, by id
	Now       time.Time
}

// Links are where things can be looked at; "" where there is no such place.
type Links struct {
	Repository string // name, for people
	Branch     string // the work branch, without refs/heads/
	BranchURL  string
	StateURL   string
	RunURL     string
	Resume     string // the command that goes on, for a person to copy
}

const width = 20

// Bar draws n of total, 20 wide. It is full only when all is done, and empty
// only when nothing is.
func Bar(n, total int) string {
	full := 0
	if total > 0 {
		full = n * width / total
		if n > 0 && full == 0 {
			full = 1
		}
	}
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}

// percent is never 100 before all is done.
func percent(n, total int) int {
	if total == 0 {
		return 0
	}
	return n * 100 / total
}

// headline says in a sentence where the loop stands.
func headline(v View) string {
	r := v.Result
	switch {
	case r.Success:
		return fmt.Sprintf("All %d features are complete.", r.FeaturesTotal)
	case v.State.Status == runner.DoneWithExcept:
		return fmt.Sprintf("%d of %d features are complete; the others need a person.", r.FeaturesCompleted, r.FeaturesTotal)
	case v.State.Status == runner.AwaitingSuccessor:
		return fmt.Sprintf("%d of %d features are complete; the next session goes on by itself.", r.FeaturesCompleted, r.FeaturesTotal)
	case v.State.Status == runner.Waiting:
		return fmt.Sprintf("%d of %d features are complete; the loop waits.", r.FeaturesCompleted, r.FeaturesTotal)
	case v.State.Status == runner.Stopped:
		return fmt.Sprintf("%d of %d features are complete; the loop has stopped.", r.FeaturesCompleted, r.FeaturesTotal)
	}
	return fmt.Sprintf("%d of %d features are complete; a session is at work.", r.FeaturesCompleted, r.FeaturesTotal)
}

// next is the one thing that a person can do now, "" if there is nothing.
func next(v View) string {
	switch v.State.Reason {
	case "", runner.ContextLimit, runner.SessionTime, runner.FeaturesPerSession, runner.SessionBudget, runner.FeatureBudget:
		if v.State.Status == runner.Waiting {
			return "Start the workflow to go on" + resume(v)
		}
		return ""
	case runner.AwaitingApproval:
		return "Look at the feature list; to approve it, start the workflow by hand" + resume(v)
	case runner.TokenBudget:
		return "Raise `token-budget` and start the workflow to go on" + resume(v)
	case runner.CostBudget:
		return "Raise `cost-budget` and start the workflow to go on" + resume(v)
	case runner.MaxSessions:
		return "Raise `max-sessions` and start the workflow to go on" + resume(v)
	case runner.RateLimit:
		if st := v.State; v.Now.Before(st.Until) {
			return "Wait until " + at(st.Until) + ": runs before that end by themselves and ask no model. Then start the workflow, or let its schedule do it" + resume(v)
		}
		return "Start the workflow later, or let its schedule do it" + resume(v)
	case runner.NoProgress, runner.Escalated, runner.BlockedLoop:
		return "Read why the features below were not completed, make the spec clearer or do them by hand"
	case runner.UnclearSpec:
		return "Answer the questions in the spec, then start the workflow" + resume(v)
	case runner.Paused:
		return "Mend what is said above, then start the workflow" + resume(v)
	case runner.Cancelled, runner.StoppedByPerson:
		return "Start the workflow by hand to go on" + resume(v)
	case runner.Superseded:
		return ""
	}
	return ""
}

func resume(v View) string {
	if v.Links.Resume == "" {
		return "."
	}
	return ": `" + v.Links.Resume + "`."
}

func mark(f runner.Feature, st runner.State) string {
	switch {
	case f.Status == runner.Complete:
		return "✅"
	case st.Wip != nil && st.Wip.Feature == f.ID:
		return "🔨"
	case f.Status == runner.SetAside:
		return "⏸️"
	case f.Status == runner.Quarantined:
		return "🚧"
	case f.Status == runner.Deprecated:
		return "➖"
	case st.Blocked(f):
		return "🔒"
	}
	return "⬜"
}

// standing is a feature's status in words.
func standing(f runner.Feature, st runner.State) string {
	switch {
	case f.Status == runner.Complete && f.Evidence != nil && f.Evidence.Outcome == runner.Already:
		return "held already"
	case f.Status == runner.Complete:
		return "verified"
	case st.Wip != nil && st.Wip.Feature == f.ID:
		return "in progress"
	case f.Status == runner.SetAside:
		return "set aside"
	case f.Status == runner.Quarantined:
		return "quarantined"
	case f.Status == runner.Deprecated:
		return "deprecated"
	case st.Blocked(f):
		return "blocked"
	}
	return "to do"
}

// cost is what was spent, in dollars; a guess is called one.
func cost(v View) string {
	s := fmt.Sprintf("$%.2f", v.Result.CostDollars)
	if v.Result.CostDollars > 0 && v.Result.CostDollars < 0.01 {
		s = "under $0.01"
	}
	if !v.Result.Priced && v.Result.TotalTokens > 0 {
		s = "at most about " + s
	}
	return s
}

func minutes(f float64) string {
	if f < 1 {
		return fmt.Sprintf("%.0f s", f*60)
	}
	return fmt.Sprintf("%.1f min", f)
}

func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// eta says how many sessions are left at the pace of the last five that ended.
func eta(st runner.State, r runner.LoopResult) string {
	var ended, done int
	for i := len(st.Sessions) - 1; i >= 0 && ended < 5; i-- {
		if st.Sessions[i].Ended.IsZero() && !st.Sessions[i].Crashed {
			continue
		}
		ended++
		done += len(st.Sessions[i].Completed)
	}
	left := r.FeaturesTotal - r.FeaturesCompleted
	switch {
	case left == 0:
		return "done"
	case done == 0:
		return "unknown"
	}
	n := (left*ended + done - 1) / done
	if n == 1 {
		return "1 session"
	}
	return fmt.Sprintf("%d sessions", n)
}
