package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Before the time that the provider named nobody calls it, not even to see
// whether it answers; unless a person starts the loop, who may have mended it.
func TestNoModelIsAskedBeforeItsTime(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":{"message":"messages is required"}}`))
	}))
	defer srv.Close()
	c, err := parseConfig(func(name string) string {
		return map[string]string{"model": "who-knows", "fallback-model": "one, two", "base-url": srv.URL, "api-key": "k"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	state := func(change func(*runner.State)) runner.Found {
		st := runner.State{Schema: runner.Schema, Loop: "main", Lineage: "l1", Serial: 4, Status: runner.Waiting, Reason: runner.RateLimit}
		change(&st)
		state, list, err := runner.Encode(st)
		if err != nil {
			t.Fatal(err)
		}
		return runner.Found{State: state, List: list}
	}
	held := func(st *runner.State) { st.Until = now.Add(time.Hour) }
	down := func(st *runner.State) {
		for _, m := range []string{"who-knows", "one", "two"} {
			st.Models = append(st.Models, runner.Breaker{Model: m, Failures: 1, Until: now.Add(time.Hour), Why: "HTTP 529"})
		}
	}
	for name, tt := range map[string]struct {
		found   runner.Found
		trigger runner.Trigger
		asked   int
		fails   string
	}{
		"a new loop":                      {runner.Found{}, runner.ByClock, 1, ""},
		"held, by the clock":              {state(held), runner.ByClock, 0, ""},
		"held, by the chain":              {state(held), runner.ByChain, 0, ""},
		"held, by a person":               {state(held), runner.ByPerson, 1, ""},
		"all breakers open, by the clock": {state(down), runner.ByClock, 0, "is down: HTTP 529"},
		"all breakers open, by a person":  {state(down), runner.ByPerson, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			asked = 0
			var said []string
			var s session
			defer s.Close()
			chain, err := s.models(t.Context(), environment{now: func() time.Time { return now }}, c, tt.trigger, tt.found, func(e runner.Event) { said = append(said, sentence(e)) })
			if (err != nil) != (tt.fails != "") || err != nil && !strings.Contains(err.Error(), tt.fails) {
				t.Fatalf("got %v", err)
			}
			if asked != tt.asked {
				t.Errorf("asked %d times, want %d", asked, tt.asked)
			}
			if err == nil && chain.Price(1_000_000, 0) < 30*runner.Dollar {
				t.Errorf("an unknown model costs %v", chain.Price(1_000_000, 0))
			}
			if all := strings.Join(said, "\n"); !strings.Contains(all, "the price of who-knows, one, two is not known") {
				t.Errorf("said:\n%s", all)
			}
		})
	}
}

// What one session found out about the endpoint the next one begins with.
func TestTheNextSessionKnowsTheEndpoint(t *testing.T) {
	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		if strings.HasSuffix(r.URL.Path, "/responses") {
			_, _ = w.Write([]byte(`{"error":{"message":"input is required"}}`))
			return
		}
		_, _ = w.Write([]byte(`{"error":{"message":"Function tools with reasoning_effort are not supported for m in /v1/chat/completions. To use function tools, use /v1/responses."}}`))
	}))
	defer srv.Close()
	c, err := parseConfig(lookupIn(map[string]string{"model": "m", "base-url": srv.URL + "/v1", "api-key": "k"}))
	if err != nil {
		t.Fatal(err)
	}
	found := runner.Found{}
	for n := range 2 {
		asked = nil
		var s session
		chain, err := s.models(t.Context(), environment{now: time.Now}, c, runner.ByChain, found, func(runner.Event) {})
		if err != nil {
			t.Fatal(err)
		}
		if want := 2 - n; len(asked) != want || asked[len(asked)-1] != "/v1/responses" {
			t.Errorf("session %d asked %v", n+1, asked)
		}
		state, list, err := runner.Encode(runner.State{Schema: runner.Schema, Loop: "main", Lineage: "l1", Serial: 4, Status: runner.Waiting, Endpoints: chain.Known()})
		if err != nil {
			t.Fatal(err)
		}
		found = runner.Found{State: state, List: list}
	}
}

func TestFallbackModelsAreNames(t *testing.T) {
	for value, says := range map[string]string{
		"a,,b":     "input fallback-model",
		"a, a":     "input fallback-model",
		"script:x": "input fallback-model",
		"m":        "input fallback-model: m is the model itself",
	} {
		_, err := parseConfig(func(name string) string {
			return map[string]string{"model": "m", "api-key": "k", "fallback-model": value}[name]
		})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", value, err)
		}
	}
}
