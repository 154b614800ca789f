package model

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

const testKey = "sk-test-3x4mpl3-k3y"

// A bench is a client whose waits are written down instead of waited, at a
// clock that only they move.
type bench struct {
	*Client
	now   time.Time
	waits []time.Duration
	lines []string
}

func open(t *testing.T, base string, change ...func(*Options)) *bench {
	t.Helper()
	b := &bench{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	o := Options{
		Name: "test-model", Key: testKey, BaseURL: base,
		Prices: Prices{"test-model": {Input: 2 * runner.Dollar, Cached: runner.Dollar / 5, Output: 8 * runner.Dollar}},
		Sleep: func(ctx context.Context, d time.Duration) error {
			b.waits = append(b.waits, d)
			b.now = b.now.Add(d)
			return ctx.Err()
		},
		Now:  func() time.Time { return b.now },
		Rand: func() float64 { return 0.5 },
		Log:  func(s string) { b.lines = append(b.lines, s) },
	}
	for _, c := range change {
		c(&o)
	}
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	b.Client = c
	return b
}

// A provider answers its requests one after the other with what it was given,
// the last answer again and again, and keeps what it was asked.
type provider struct {
	*httptest.Server
	mu      sync.Mutex
	answers []http.HandlerFunc
	bodies  []string
	headers []http.Header
}

func serve(t *testing.T, answers ...http.HandlerFunc) *provider {
	t.Helper()
	p := &provider{answers: answers}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the request: %v", err)
		}
		p.mu.Lock()
		answer := p.answers[min(len(p.bodies), len(p.answers)-1)]
		p.bodies = append(p.bodies, string(body))
		p.headers = append(p.headers, r.Header.Clone())
		p.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.bodies)
}

// stream answers with a stream of events; a line that begins with ':' or holds
// more than data is sent as it is.
func stream(lines ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for _, l := range lines {
			if strings.HasPrefix(l, "{") || l == "[DONE]" {
				l = "data: " + l
			}
			_, _ = fmt.Fprintf(w, "%s\n\n", l)
			w.(http.Flusher).Flush()
		}
	}
}

func status(code int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func says(s string) string {
	return fmt.Sprintf(`{"choices":[{"index":0,"delta":{"content":%q}}]}`, s)
}

const (
	stops = `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
	calls = `{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`
	used  = `{"choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":50,"total_tokens":1050,"prompt_tokens_details":{"cached_tokens":600}}}`
	done  = "[DONE]"
)

func good() http.HandlerFunc { return stream(says("hello"), stops, used, done) }

func tools(deltas string) string {
	return `{"choices":[{"index":0,"delta":{"tool_calls":[` + deltas + `]}}]}`
}

var question1 = agent.Request{
	Messages: []agent.Message{{Role: agent.System, Content: "You build."}, {Role: agent.User, Content: "Build."}},
	Tools:    []agent.ToolSpec{{Name: "shell", Description: "Run.", Parameters: json.RawMessage(`{"type":"object"}`)}},
	MaxOut:   1000,
}

// stopped is the StopError in err, which must be there.
func stopped(t *testing.T, err error, want runner.Reason) *runner.StopError {
	t.Helper()
	stop, ok := errors.AsType[*runner.StopError](err)
	if !ok {
		t.Fatalf("got %v, want a stop with reason %s", err, want)
	}
	if stop.Reason != want {
		t.Fatalf("got reason %s, want %s (%v)", stop.Reason, want, err)
	}
	return stop
}

func compact(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(s)); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	return b.String()
}

// oneLine is JSON as an event's line holds it.
func oneLine(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "\n", ""), "\t", "") }

func raws(texts ...string) (raw []json.RawMessage) {
	for _, s := range texts {
		raw = append(raw, json.RawMessage(s))
	}
	return raw
}
