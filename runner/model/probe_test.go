package model

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

func TestProbe(t *testing.T) {
	for _, tt := range []struct {
		name, kind, body string
		status           int
		want             string // part of the error, "" for none
	}{
		{"an endpoint that misses messages", "application/json", `{"error":{"message":"messages is required"}}`, 400, ""},
		{"one that is busy", "application/json", `{"error":{"message":"slow down"}}`, 429, ""},
		{"a web page", "text/html", "<html>welcome</html>", 200, "base-url"},
		{"a web page that is not there", "text/html", "<html>404</html>", 404, "base-url"},
		{"a wrong key", "application/json", `{"error":{"message":"Incorrect API key"}}`, 401, "api-key"},
		{"no such model", "application/json", `{"error":{"code":"model_not_found","message":"The model x does not exist"}}`, 404, "model"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			requests := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests++
				if body, err := io.ReadAll(r.Body); err != nil || !strings.Contains(string(body), `"messages":[]`) {
					t.Errorf("the request holds %s, %v", body, err)
				}
				w.Header().Set("Content-Type", tt.kind)
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			}))
			defer srv.Close()
			err := probing(t, srv.URL+"/v1").Probe(t.Context())
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Probe = %v, want %q", err, tt.want)
			}
			if _, ok := errors.AsType[*runner.StopError](err); err != nil && !ok {
				t.Errorf("the error is %T", err)
			}
			if requests != 1 {
				t.Errorf("%d requests", requests)
			}
		})
	}
}

func TestProbeWithoutANetwork(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	url := srv.URL
	srv.Close()
	if err := probing(t, url+"/v1").Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("Probe = %v", err)
	}
}

func probing(t *testing.T, base string) *Client {
	t.Helper()
	c, err := Open(Options{Name: "x", Key: "k", BaseURL: base, Now: time.Now, Rand: func() float64 { return 0 }, Sleep: func(context.Context, time.Duration) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
