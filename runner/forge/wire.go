package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A fault is what went wrong with a request, as far as it decides what to do
// about it.
type fault struct {
	kind kind
	wait time.Duration // limited: how long GitHub asks to wait; 0: it does not say
	why  string
}

type kind string

const (
	fine    kind = ""
	refused kind = "refused" // a definite no: nothing was done, and asking again will not help
	limited kind = "limited" // nothing was done, and asking again later will help
	lost    kind = "lost"    // whether it was done, nobody knows
)

// classify tells what became of a request: the one place that knows how GitHub
// says no. The status alone does not tell: a limit is a 403 or a 429, with or
// without Retry-After, and the secondary limits are told apart from missing
// permissions by their words only. The answer's body has been read.
func classify(resp *http.Response, body []byte, err error) fault {
	if err != nil {
		return fault{kind: lost, why: err.Error()}
	}
	words := strings.ToLower(string(body[:min(len(body), 4096)]))
	spent := resp.Header.Get("X-RateLimit-Remaining") == "0"
	switch code := resp.StatusCode; {
	case code == http.StatusTooManyRequests,
		code == http.StatusForbidden && (spent || resp.Header.Get("Retry-After") != "" ||
			strings.Contains(words, "rate limit") || strings.Contains(words, "abuse detection")):
		return fault{kind: limited, wait: pause(resp.Header, spent), why: resp.Status}
	case code >= 500, code == http.StatusRequestTimeout:
		return fault{kind: lost, why: resp.Status}
	case code >= 400:
		return fault{kind: refused, why: resp.Status}
	case code < 300 && len(body) > 0 && !json.Valid(body):
		return fault{kind: lost, why: resp.Status + " with an answer that is not whole"}
	}
	return fault{}
}

// pause is how long the server asks to wait: Retry-After, else until the limit
// is reset. It is told from the server's own clock, never from ours.
func pause(h http.Header, spent bool) time.Duration {
	after := h.Get("Retry-After")
	if n, err := strconv.Atoi(after); err == nil && n >= 0 {
		return time.Duration(n) * time.Second
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	if at, err := http.ParseTime(after); err == nil {
		return max(0, at.Sub(date))
	}
	if reset, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64); err == nil && spent {
		return max(0, time.Unix(reset, 0).Sub(date)) + time.Second
	}
	return 0
}

// A wire carries the requests of go-github. It waits where GitHub asks for it
// and repeats what can be repeated blindly, which a POST cannot. go-github's
// own idea of limits is kept out of it: it misses the 429 and then refuses to
// send by the clock of this machine.
type wire struct {
	next      http.RoundTripper
	host      string // the only one that gets the token
	authorize func(*http.Request)
	sleep     func(context.Context, time.Duration) error
	now       func() time.Time
}

const (
	tries    = 5                // of a request whose answers get lost
	patience = 4                // waits for a limit
	atOnce   = 2 * time.Minute  // for one request and its answer
	longest  = 65 * time.Minute // a wait that is worth it; limits are reset within the hour
	most     = 32 << 20         // bytes of an answer
)

// A lostError says that nobody knows whether a request was carried out.
type lostError struct {
	what string
	err  error
}

func (e *lostError) Error() string { return e.what + ": " + e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// wasLost says whether err leaves it open if the request was carried out.
func wasLost(err error) bool {
	_, ok := errors.AsType[*lostError](err)
	return ok
}

// backoff is the pause before the next of n tries that came to nothing.
func backoff(n int) time.Duration { return time.Second << n }

// RoundTrip sends a request until there is an answer that says something.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	for again, waited := 0, 0; ; {
		resp, body, err := w.once(req)
		f := classify(resp, body, err)
		switch f.kind {
		case limited:
			wait := f.wait
			if wait == 0 {
				wait = time.Minute << waited
			}
			if waited++; waited > patience {
				return nil, w.stop(f, wait)
			}
			if err := w.wait(req.Context(), f, wait); err != nil {
				return nil, err
			}
		case lost:
			if again++; again == tries || req.Method == http.MethodPost || req.Context().Err() != nil {
				return nil, &lostError{req.Method + " " + req.URL.Path, fmt.Errorf("no answer: %s", f.why)}
			}
			if err := w.sleep(req.Context(), backoff(again-1)); err != nil {
				return nil, err
			}
		case fine, refused:
			for _, k := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} {
				resp.Header.Del(k)
			}
			return resp, nil
		}
	}
}

// wait sleeps until a limit is over, unless the session is over sooner.
func (w *wire) wait(ctx context.Context, f fault, d time.Duration) error {
	if end, ok := ctx.Deadline(); d > longest || ok && w.now().Add(d).After(end) {
		return w.stop(f, d)
	}
	return w.sleep(ctx, d)
}

func (w *wire) stop(f fault, d time.Duration) error {
	return &runner.StopError{Reason: runner.RateLimit, Err: fmt.Errorf("GitHub limits the requests of this token (%s)", f.why), Until: w.now().Add(d)}
}

// once sends a request once and reads the whole answer.
func (w *wire) once(req *http.Request) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(req.Context(), atOnce)
	defer cancel()
	out := req.Clone(ctx)
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, nil, err
		}
		out.Body = body
	}
	out.Header.Del("Authorization")
	if out.URL.Host == w.host {
		w.authorize(out)
	}
	resp, err := w.next.RoundTrip(out)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return nil, nil, err
	}
	if len(body) > most {
		return nil, nil, fmt.Errorf("an answer of more than %d bytes", most)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, body, nil
}

// follow lets a request follow a repository that was renamed, but never to
// another host.
func (w *wire) follow(req *http.Request, via []*http.Request) error {
	if req.URL.Host != w.host || len(via) > 3 {
		return fmt.Errorf("a redirect to %s, where GitHub's API sends nobody", req.URL.Host)
	}
	return nil
}

// ensure makes something be there. It looks first and creates only what it did
// not find; when the answer to the creation is lost, it looks again after a
// while before it creates again.
func ensure[T any](ctx context.Context, h *Hub, find func(context.Context) (T, bool, error), create func(context.Context) (T, error)) (T, error) {
	for n := 0; ; n++ {
		v, ok, err := find(ctx)
		if err != nil || ok {
			return v, err
		}
		v, err = create(ctx)
		if !wasLost(err) || n == tries-1 {
			return v, err
		}
		if err := h.opts.Sleep(ctx, backoff(n+1)); err != nil {
			return v, err
		}
	}
}
