package model

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/internal/faults"
)

// TestModelFaults plays each fault of a provider against real HTTP, and holds
// the ending, the waits, the requests and the words against the document. The
// waits are those at a jitter of one half.
func TestModelFaults(t *testing.T) {
	again := func(n int, h http.HandlerFunc) []http.HandlerFunc { return slices.Repeat([]http.HandlerFunc{h}, n) }
	once := func(h ...http.HandlerFunc) []http.HandlerFunc { return append(h, good()) }
	cutShort := stream(says("hel"))
	hang := func(w http.ResponseWriter, r *http.Request) {
		stream(says("hel"))(w, r)
		<-r.Context().Done()
	}
	for _, c := range []struct {
		id      string
		answers []http.HandlerFunc // the last one again and again
		change  func(*bench)
	}{
		{"M1a", once(status(429, `{"error":{"message":"slow down","code":"rate_limit_exceeded"}}`, "Retry-After", "20")), nil},
		{"M1b", once(status(429, `{}`, "Retry-After-Ms", "1500", "Retry-After", "60")), nil},
		{"M1c", again(1, status(429, `{"error":{"message":"daily limit"}}`, "Retry-After", "3600")), nil},
		{"M1d", again(1, status(429, ``)), nil},
		{"M2a", again(1, status(429, `{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}`, "Retry-After", "1")), nil},
		{"M2b", again(1, status(429, `{"error":{"type":"rate_limit_error","message":"limit","details":{"error_code":"enforced_spend_limit_reached"}}}`)), nil},
		{"M2c", again(1, status(402, `{"error":{"message":"This request requires more credits","code":402}}`)), nil},
		{"M3a", once(status(500, `{}`), status(502, `<html>bad gateway</html>`, "Content-Type", "text/html"), status(503, ``), status(529, `{"error":{"type":"overloaded_error","message":"Overloaded"}}`), status(500, ``)), nil},
		{"M3b", again(1, status(529, `{"error":{"type":"overloaded_error","message":"Overloaded"}}`)), nil},
		{"M3c", again(1, status(500, ``)), nil},
		{"M4b", again(1, status(400, `{"error":{"message":"This model's maximum context length is 8192 tokens.","code":"context_length_exceeded"}}`)), nil},
		{"M4c", again(1, status(413, ``)), nil},
		{"M5a", again(1, status(401, `{"error":{"message":"Incorrect API key provided: `+testKey+`","code":"invalid_api_key"}}`)), nil},
		{"M5b", again(1, status(403, `{"error":{"message":"forbidden"}}`)), nil},
		{"M5c", again(1, status(404, `{"error":{"message":"The model test-model does not exist","code":"model_not_found"}}`)), nil},
		{"M5d", again(1, status(400, `{"error":{"message":"Invalid schema for function 'shell'"}}`)), nil},
		{"M6a", []http.HandlerFunc{cutShort, cutShort, cutShort, status(200, `{"choices":[{"message":{"content":"hello"},"finish_reason":"stop"}]}`)}, nil},
		{"M6b", again(1, cutShort), nil},
		{"M6c", once(stream(`{"choices":[],"error":{"message":"upstream died","code":502}}`, done)), nil},
		{"M6d", once(stream(says("hel"), tools(`{"index":0,"id":"a","function":{"name":"shell","arguments":"{\"command\":\"rm -r x\"}"}}`))), nil},
		{"M7", once(hang), func(b *bench) {
			if b.idle != 90*time.Second {
				t.Errorf("silence is taken for a cut after %s", b.idle)
			}
			b.idle = 300 * time.Millisecond
		}},
		{"M8", []http.HandlerFunc{stream(append(slices.Repeat([]string{": OPENROUTER PROCESSING"}, 1000), says("hello"), stops, used, done)...)}, nil},
		{"M11b", once(stream(`{"choices":[]}`, done)), nil},
		{"M15", []http.HandlerFunc{stream(says("hello"), stops, done)}, nil},
		{"M16", []http.HandlerFunc{stream(`{"model":"tiny-model","choices":[{"index":0,"delta":{"content":"hello"}}]}`, stops, used, done)}, nil},
		{"M17a", again(1, status(200, "<!doctype html><p>Welcome", "Content-Type", "text/html")), nil},
		{"M17b", again(1, status(403, "<html>sign in", "Content-Type", "text/html")), nil},
	} {
		t.Run(c.id, func(t *testing.T) {
			p := serve(t, c.answers...)
			b := open(t, p.URL+"/v1", func(o *Options) { o.API = Chat })
			if c.change != nil {
				c.change(b)
			}
			b.check(t, c.id, p.asked)
		})
	}
}

// check asks once, and holds what was seen against the document.
func (b *bench) check(t *testing.T, id string, asked func() int) {
	t.Helper()
	got, err := b.Complete(t.Context(), question1)
	reads := strings.Join(b.lines, "\n")
	if err != nil {
		reads += "\n" + err.Error()
	}
	if err == nil && got.Content != "hello" || len(got.Calls) > 0 {
		t.Errorf("%s: got %+v", id, got)
	}
	if strings.Contains(reads, testKey) {
		t.Errorf("%s: the key is shown: %s", id, reads)
	}
	faults.Check(t, id, faults.Seen{Ends: faults.EndOf(err), Waits: b.waits, Requests: asked(), Reads: reads})
}

// TestModelThatCannotBeReached has nobody at the address, no name for it, and
// somebody who cannot prove who they are.
func TestModelThatCannotBeReached(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		b, dialed := dialing(t, "http://"+l.Addr().String()+"/v1", new(net.Dialer))
		b.check(t, "M18a", dialed)
	})
	t.Run("name", func(t *testing.T) {
		socket, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		nobody := socket.LocalAddr().String()
		if err := socket.Close(); err != nil {
			t.Fatal(err)
		}
		b, dialed := dialing(t, "https://llm.nowhere.invalid/v1", &net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", nobody)
		}}})
		b.check(t, "M18b", dialed)
	})
	t.Run("certificate", func(t *testing.T) {
		s := httptest.NewTLSServer(http.NotFoundHandler())
		defer s.Close()
		s.Config.ErrorLog = nil
		b, dialed := dialing(t, s.URL+"/v1", new(net.Dialer))
		b.check(t, "M18c", dialed)
	})
}

// dialing is a client that counts how often it dials.
func dialing(t *testing.T, base string, d *net.Dialer) (*bench, func() int) {
	t.Helper()
	n := 0
	b := open(t, base, func(o *Options) {
		o.API = Chat
		o.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			n++
			return d.DialContext(ctx, network, addr)
		}}
	})
	return b, func() int { return n }
}

func TestAnotherModelIsToldOnce(t *testing.T) {
	for _, tt := range []struct {
		asked, named string
		want         bool
	}{
		{"gpt-5.5", "gpt-5.5-2026-08-01", false},
		{"openai/gpt-5.5", "gpt-5.5", false},
		{"gpt-5.5", "", false},
		{"GPT-5.5", "gpt-5.5", false},
		{"gpt-5.5", "gpt-4o-mini", true},
	} {
		if got := another(tt.asked, tt.named); got != tt.want {
			t.Errorf("%s for %s: %v", tt.named, tt.asked, got)
		}
	}
	p := serve(t, stream(`{"model":"tiny-model","choices":[{"index":0,"delta":{"content":"hello"}}]}`, stops, used, done))
	b := open(t, p.URL)
	for range 3 {
		if _, err := b.Complete(t.Context(), question1); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.lines) != 1 {
		t.Errorf("said %s", fmt.Sprint(b.lines))
	}
}
