package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/model"
)

// provider MODEL...: a provider whose models are these, down for two hours, or
// unknown to it, gone:MODEL; all others answer from the script.
func (h *hub) provider(ts *testscript.TestScript, args []string) {
	file := strings.TrimPrefix(ts.Getenv("SCRIPT"), "script:")
	if file == "" {
		file = strings.TrimPrefix(ts.Getenv("INPUT_MODEL"), "script:")
	}
	data, err := os.ReadFile(file)
	ts.Check(err)
	script, err := model.Script(file, data)
	ts.Check(err)
	ts.Defer(func() { _ = script.Close() })
	home, err := url.Parse(script.URL)
	ts.Check(err)
	forward := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = home.Scheme, home.Host
	}}
	h.questions = map[string]*atomic.Int64{}
	for _, name := range args {
		h.questions[strings.TrimPrefix(name, "gone:")] = new(atomic.Int64)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var in struct{ Model string }
		_ = json.Unmarshal(body, &in)
		if n := h.questions[in.Model]; n != nil {
			n.Add(1)
		}
		switch {
		case slices.Contains(args, in.Model):
			w.Header().Set("Retry-After", "7200")
			w.WriteHeader(http.StatusServiceUnavailable)
		case slices.Contains(args, "gone:"+in.Model):
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"error":{"message":"The model `+in.Model+` does not exist","code":"model_not_found"}}`)
		default:
			r.Body = io.NopCloser(bytes.NewReader(body))
			forward.ServeHTTP(w, r)
		}
	}))
	ts.Defer(srv.Close)
	ts.Setenv("INPUT_BASE-URL", srv.URL+home.Path)
}

// asked MODEL N: a model that is down was asked so often.
func (h *hub) asked(ts *testscript.TestScript, args []string) {
	if got := strconv.FormatInt(h.questions[args[0]].Load(), 10); got != args[1] {
		ts.Fatalf("%s was asked %s times, want %s", args[0], got, args[1])
	}
}

// The review model has those that take over for it, the builder's own not among
// them; what is down is remembered of both, and stops nothing.
func TestTheReviewModelFallsBack(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var asked []string
	down := map[string]bool{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Model    string
			Messages []json.RawMessage
		}
		_ = json.NewDecoder(r.Body).Decode(&in)
		asked = append(asked, in.Model)
		switch {
		case down[in.Model]:
			w.Header().Set("Retry-After", "7200")
			w.WriteHeader(http.StatusServiceUnavailable)
		case len(in.Messages) == 0:
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":{"message":"messages is required"}}`)
		default:
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"by `+in.Model+`"},"finish_reason":"stop"}]}`)
		}
	}))
	defer srv.Close()
	// One that nobody knows is a mistake, and said before anything begins.
	unknown := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Model string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		w.WriteHeader(map[string]int{"builder": 400}[in.Model] + map[string]int{"judge": 404}[in.Model])
		_, _ = io.WriteString(w, map[string]string{"builder": `{"error":{"message":"messages is required"}}`, "judge": `{"error":{"message":"no such model","code":"model_not_found"}}`}[in.Model])
	}))
	defer unknown.Close()
	c, err := parseConfig(func(name string) string {
		return map[string]string{"model": "builder", "review-model": "judge", "base-url": unknown.URL, "api-key": "k"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	var s session
	defer s.Close()
	if _, _, err := s.models(t.Context(), environment{now: func() time.Time { return now }}, c, runner.ByClock, runner.Found{}, func(runner.Event) {}); err == nil || !strings.Contains(err.Error(), "input review-model") {
		t.Errorf("a review model that nobody knows: %v", err)
	}
	for name, tt := range map[string]struct {
		down     []string
		asked    []string // at the start, where being busy is forgiven, then for a review
		answer   string   // "": none
		remember []string
	}{
		"all are up":                      {nil, []string{"builder", "judge", "judge"}, "by judge", nil},
		"the judge is down":               {[]string{"judge"}, []string{"builder", "judge", "judge", "last"}, "by last", []string{"judge"}},
		"the judge and the last are down": {[]string{"judge", "last"}, []string{"builder", "judge", "judge", "last", "first"}, "by first", []string{"judge", "last"}},
		"the builder is down, too":        {[]string{"builder", "judge"}, []string{"builder", "judge", "judge", "last"}, "by last", []string{"judge"}},
		"nobody but the builder is up":    {[]string{"judge", "first", "last"}, []string{"builder", "judge", "judge", "last", "first"}, "", []string{"first", "judge", "last"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := parseConfig(func(name string) string {
				return map[string]string{"model": "builder", "fallback-model": "first, judge, last", "review-model": "judge", "base-url": srv.URL, "api-key": "k"}[name]
			})
			if err != nil {
				t.Fatal(err)
			}
			asked, down = nil, map[string]bool{}
			for _, m := range tt.down {
				down[m] = true
			}
			var s session
			defer s.Close()
			all, why, err := s.models(t.Context(), environment{now: func() time.Time { return now }}, c, runner.ByClock, runner.Found{}, func(runner.Event) {})
			if err != nil || why != nil {
				t.Fatal(err, why)
			}
			answer, _, err := all.reviewer().Ask(t.Context(), "system", "prompt")
			if answer != tt.answer || (err != nil) != (tt.answer == "") {
				t.Errorf("answer %q, %v", answer, err)
			}
			var remembered []string
			for _, b := range all.health() {
				remembered = append(remembered, b.Model)
			}
			if diff := cmp.Diff(tt.asked, asked) + cmp.Diff(tt.remember, remembered); diff != "" {
				t.Error(diff)
			}
		})
	}
}

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
			opened, down, err := s.models(t.Context(), environment{now: func() time.Time { return now }}, c, tt.trigger, tt.found, func(e runner.Event) { said = append(said, sentence(e)) })
			if (down != nil) != (tt.fails != "") || down != nil && !strings.Contains(down.Error(), tt.fails) || err != nil {
				t.Fatalf("got %v, %v", down, err)
			}
			if asked != tt.asked {
				t.Errorf("asked %d times, want %d", asked, tt.asked)
			}
			if opened.build.Price(1_000_000, 0) < 30*runner.Dollar {
				t.Errorf("an unknown model costs %v", opened.build.Price(1_000_000, 0))
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
		opened, down, err := s.models(t.Context(), environment{now: time.Now}, c, runner.ByChain, found, func(runner.Event) {})
		if err != nil || down != nil {
			t.Fatal(err, down)
		}
		if want := 2 - n; len(asked) != want || asked[len(asked)-1] != "/v1/responses" {
			t.Errorf("session %d asked %v", n+1, asked)
		}
		state, list, err := runner.Encode(runner.State{Schema: runner.Schema, Loop: "main", Lineage: "l1", Serial: 4, Status: runner.Waiting, Endpoints: opened.known()})
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
