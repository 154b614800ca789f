package report

import (
	"strings"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// What is down, who took over and when the loop may go on is said wherever a
// person looks; what is over is not.
func TestWaitsAndModelsThatAreDownAreSaid(t *testing.T) {
	v := sample()
	v.State.Status, v.State.Reason, v.State.Until = runner.Waiting, runner.RateLimit, noon.Add(time.Hour)
	v.State.Models = []runner.Breaker{
		{Model: "first", Failures: 1, Until: noon.Add(10 * time.Minute), Why: "HTTP 529", Instead: "second"},
		{Model: "third", Failures: 1, Until: noon.Add(-time.Minute), Why: "HTTP 500"},
	}
	html, err := HTML(v)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"comment": Comment(v), "summary": Summary(v), "status": Text(v), "html": string(html)} {
		for _, want := range []string{"model first is taken for down until 12:10 UTC on 2026-11-23: HTTP 529; second has taken over", "Wait until 13:00 UTC on 2026-11-23"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q", name, want)
			}
		}
		if strings.Contains(text, "third") {
			t.Errorf("%s speaks of a model that is tried again", name)
		}
	}
}

// What no provider told is not said: that nothing was cached would be a guess.
func TestWhatIsNotKnownIsNotSaid(t *testing.T) {
	for name, tt := range map[string]struct {
		used runner.Usage
		says string // "": nothing of a cache
	}{
		"a script, or a provider that does not say": {runner.Usage{Calls: 2, Tokens: 1000, Output: 100}, ""},
		"said to be nothing":                        {runner.Usage{Calls: 2, Tokens: 1000, Output: 100, CacheTold: 900}, "0 % of the input was cached"},
		"half of it":                                {runner.Usage{Calls: 2, Tokens: 1000, Output: 100, CacheTold: 900, Cached: 450}, "50 % of the input was cached"},
	} {
		v := sample()
		v.State.Spent.Usage = tt.used
		v.Result = v.State.Result(runner.Continue)
		html, err := HTML(v)
		if err != nil {
			t.Fatal(err)
		}
		for place, text := range map[string]string{"comment": Comment(v), "summary": Summary(v), "status": Text(v), "html": string(html)} {
			if !strings.Contains(text, tt.says) || strings.Contains(text, "cached") != (tt.says != "") {
				t.Errorf("%s: the %s does not say %q, or more:\n%s", name, place, tt.says, text)
			}
		}
	}
}

// People are mentioned only where the loop needs one, by names that are names.
func TestWhoIsMentioned(t *testing.T) {
	for name, tt := range map[string]struct {
		status  runner.LoopStatus
		reason  runner.Reason
		until   time.Time
		starter string
		notify  []string
		want    string
	}{
		"who started it":            {runner.Stopped, runner.NoProgress, time.Time{}, "ada", nil, "@ada the loop needs"},
		"those whom a person named": {runner.DoneWithExcept, runner.Escalated, time.Time{}, "ada", []string{"org/team", "bob"}, "@org/team @bob the loop needs"},
		"nobody is known":           {runner.Waiting, runner.Paused, time.Time{}, "", nil, ""},
		"no name":                   {runner.Waiting, runner.Paused, time.Time{}, "ada\n@everybody", nil, ""},
		"it goes on by itself":      {runner.AwaitingSuccessor, runner.SessionTime, time.Time{}, "ada", nil, ""},
		"it waits for a time":       {runner.Waiting, runner.Paused, noon, "ada", nil, ""},
		"a person ended it":         {runner.Stopped, runner.Cancelled, time.Time{}, "ada", nil, ""},
	} {
		v := sample()
		v.State.Status, v.State.Reason, v.State.Until, v.State.Starter, v.Notify = tt.status, tt.reason, tt.until, tt.starter, tt.notify
		text := Comment(v)
		if !strings.Contains(text, tt.want) || strings.Contains(strings.ReplaceAll(text, "@\u200b", ""), "@") != (tt.want != "") {
			t.Errorf("%s: not %q:\n%s", name, tt.want, text)
		}
		if summary := Summary(v); strings.Contains(strings.ReplaceAll(summary, "@\u200b", ""), "@") {
			t.Errorf("%s: the summary mentions somebody", name)
		}
	}
}
