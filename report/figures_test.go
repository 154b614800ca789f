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
