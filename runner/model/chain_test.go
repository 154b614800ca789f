package model

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// byModel answers each model in its own way, and writes down who was asked.
func byModel(asked *[]string, answers map[string]http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Model string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		*asked = append(*asked, in.Model)
		answers[in.Model](w, r)
	}
}

// chained opens a chain of models at one endpoint and one clock.
func chained(t *testing.T, url string, health []runner.Breaker, names ...string) (*Chain, *bench) {
	t.Helper()
	var first *bench
	var clients []*Client
	for _, n := range names {
		b := open(t, url, func(o *Options) {
			o.Name = n
			o.Prices = Prices{"main": {Input: 8 * runner.Dollar, Output: 8 * runner.Dollar}, "second": {Input: 2 * runner.Dollar, Output: 2 * runner.Dollar}}
			if first != nil {
				o.Now, o.Sleep, o.Log = first.Client.now, first.sleep, first.log
			}
		})
		if first == nil {
			first = b
		}
		clients = append(clients, b.Client)
	}
	return NewChain(health, clients[0], clients[1:]...), first
}

// at is where h answers.
func at(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestFallbackTakesOver(t *testing.T) {
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		calls  int // of the main model, before the other
	}{
		"overloaded":               {status(529, `{"error":{"type":"overloaded_error","message":"Overloaded"}}`), 6},
		"overloaded in the stream": {stream(`{"error":{"type":"overloaded_error","message":"Overloaded"}}`), 6},
		"broken":                   {status(500, `{}`), 6},
		"unavailable for hours":    {status(503, `{}`, "Retry-After", "7200"), 1},
		"cut again and again":      {stream(says("hel")), 4},
		"unknown":                  {status(404, `{"error":{"message":"The model main does not exist","code":"model_not_found"}}`), 1},
		"retired":                  {status(410, `{"error":{"message":"gone"}}`), 1},
		"retired, in words":        {status(400, `{"error":{"message":"The model main has been decommissioned"}}`), 1},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			url := at(t, byModel(&asked, map[string]http.HandlerFunc{"main": tt.answer, "second": good()}))
			c, b := chained(t, url, nil, "main", "second")
			got, err := c.Complete(t.Context(), question1)
			if err != nil || got.Content != "hello" {
				t.Fatalf("got %+v, %v", got, err)
			}
			want := append(slices.Repeat([]string{"main"}, tt.calls), "second")
			if diff := cmp.Diff(want, asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			h := c.Health()
			if len(h) != 1 || h[0].Model != "main" || h[0].Instead != "second" || !h[0].Open(b.now) || h[0].Why == "" {
				t.Errorf("health %+v", h)
			}
			if all := strings.Join(b.lines, "\n"); !strings.Contains(all, "model main: down") || !strings.Contains(all, "second: takes over from main") {
				t.Errorf("said:\n%s", all)
			}
			asked = nil
			if _, err := c.Complete(t.Context(), question1); err != nil || !slices.Equal(asked, []string{"second"}) {
				t.Errorf("while it is open: asked %v, %v", asked, err)
			}
		})
	}
}

// An empty account, a refused key, a limit that asks to wait, a mistake of ours
// and an unreachable host are not mended by another model.
func TestFallbackIsNotForMoneyNorKeys(t *testing.T) {
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		reason runner.Reason
	}{
		"no quota":         {status(429, `{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}`), runner.Paused},
		"no credit":        {status(402, `{}`), runner.Paused},
		"a refused key":    {status(401, `{}`), runner.Paused},
		"no right":         {status(403, `{}`), runner.Paused},
		"a limit for long": {status(429, `{}`, "Retry-After", "3600"), runner.RateLimit},
		"too long":         {status(400, `{"error":{"message":"x","code":"context_length_exceeded"}}`), runner.ContextLimit},
		"a web page":       {status(200, "<html>", "Content-Type", "text/html"), runner.Paused},
		"hangs up":         {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, runner.Paused},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			url := at(t, byModel(&asked, map[string]http.HandlerFunc{"main": tt.answer, "second": good()}))
			c, _ := chained(t, url, nil, "main", "second")
			_, err := c.Complete(t.Context(), question1)
			stopped(t, err, tt.reason)
			if slices.Contains(asked, "second") || len(c.Health()) != 0 {
				t.Errorf("asked %v, health %+v", asked, c.Health())
			}
			if err := c.Probe(t.Context()); slices.Contains(asked, "second") {
				t.Errorf("the probe asked %v, %v", asked, err)
			}
		})
	}
}

// The state keeps the breaker: the next session makes no call before its time,
// then one, which opens it for longer or closes it.
func TestBreakerSurvives(t *testing.T) {
	var asked []string
	answers := map[string]http.HandlerFunc{"main": status(529, `{}`), "second": good()}
	url := at(t, byModel(&asked, answers))
	c, b := chained(t, url, nil, "main")
	_, err := c.Complete(t.Context(), question1)
	stop := stopped(t, err, runner.RateLimit)
	until := c.Health()[0].Until
	if !stop.Until.Equal(until) || until.Sub(b.now) < 9*time.Minute {
		t.Errorf("until %s, at %s the breaker is open to %s", stop.Until, b.now, until)
	}

	next := func(at time.Time) *Chain {
		c, nb := chained(t, url, c.Health(), "main")
		nb.now = at
		asked = nil
		return c
	}
	c = next(until.Add(-time.Second))
	_, err = c.Complete(t.Context(), question1)
	if stop := stopped(t, err, runner.RateLimit); len(asked) != 0 || !stop.Until.Equal(until) {
		t.Errorf("open: asked %v, %v", asked, err)
	}
	if err := c.Probe(t.Context()); len(asked) != 0 || err == nil {
		t.Errorf("open: the probe asked %v, %v", asked, err)
	}

	c = next(until)
	_, err = c.Complete(t.Context(), question1)
	if stop := stopped(t, err, runner.RateLimit); len(asked) != 1 || !stop.Until.Equal(until.Add(20*time.Minute)) || c.Health()[0].Failures != 2 {
		t.Errorf("half open: asked %v, %v, %+v", asked, err, c.Health())
	}

	c = next(c.Health()[0].Until)
	if err := c.Probe(t.Context()); len(asked) != 1 || err == nil {
		t.Errorf("half open: the probe asked %v, %v", asked, err)
	}

	answers["main"] = good()
	c = next(c.Health()[0].Until)
	if _, err := c.Complete(t.Context(), question1); err != nil || len(asked) != 1 || len(c.Health()) != 0 {
		t.Errorf("mended: asked %v, %v, %+v", asked, err, c.Health())
	}
}

// A conversation stays with whoever answers it; only a new one goes back to the
// model that is up again. With thrift a new one goes to the cheapest.
func TestConversationStaysWithItsModel(t *testing.T) {
	var asked []string
	answers := map[string]http.HandlerFunc{"main": status(404, `{"error":{"code":"model_not_found"}}`), "second": good()}
	c, b := chained(t, at(t, byModel(&asked, answers)), nil, "main", "second")
	begin, goOn := question1, follow(question1, agent.Reply{Content: "hello"}, "go on")
	thrifty := begin
	thrifty.Thrift = true
	ask := func(r agent.Request, want ...string) {
		t.Helper()
		asked = nil
		if _, err := c.Complete(t.Context(), r); err != nil || !slices.Equal(asked, want) {
			t.Errorf("asked %v, %v, want %v", asked, err, want)
		}
	}
	ask(begin, "main", "second")
	answers["main"] = good()
	b.now = b.now.Add(25 * time.Hour)
	ask(goOn, "second")
	ask(begin, "main")
	ask(goOn, "main")
	ask(thrifty, "second")
	if got := c.Price(1_000_000, 0); got != 8*runner.Dollar {
		t.Errorf("the most a call can cost is %v", got)
	}
}

func TestAllModelsDown(t *testing.T) {
	var asked []string
	gone := status(404, `{"error":{"code":"model_not_found"}}`)
	url := at(t, byModel(&asked, map[string]http.HandlerFunc{"main": gone, "second": gone}))
	c, _ := chained(t, url, []runner.Breaker{{Model: "forgotten", Failures: 1}}, "main", "second")
	_, err := c.Complete(t.Context(), question1)
	if stop := stopped(t, err, runner.Paused); !stop.Until.IsZero() || !strings.Contains(err.Error(), "no model of model and fallback-model is up") {
		t.Errorf("got %v", err)
	}
	if h := c.Health(); len(h) != 2 || h[0].Until.Sub(noonOf(c)) != 24*time.Hour {
		t.Errorf("health %+v", h)
	}
}

func noonOf(c *Chain) time.Time { return c.clients[0].now() }
