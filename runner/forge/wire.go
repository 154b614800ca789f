package forge

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/go-github/v62/github"

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

// A wire carries the requests of go-github, one after the other. It waits where
// GitHub asks for it, keeps a distance between two things that it writes, and
// repeats what can be repeated blindly, which a POST cannot. go-github's
// own idea of limits is kept out of it: it misses the 429 and then refuses to
// send by the clock of this machine.
type wire struct {
	next      http.RoundTripper
	host      string // the only one that gets the token
	authorize func(*http.Request)
	sleep     func(context.Context, time.Duration) error
	now       func() time.Time
	rand      func() float64 // in [0, 1); nil: no jitter
	limit     time.Duration  // for one request and its answer; 0: atOnce
	wrote     time.Time      // when something was written last, which one goroutine does
	moved     atomic.Bool    // the repository has another name
}

const (
	tries    = 6                // of a request whose answers get lost
	patience = 4                // waits for a limit
	atOnce   = 2 * time.Minute  // for one request and its answer
	longest  = 65 * time.Minute // a wait that is worth it; limits are reset within the hour
	apart    = 2 * time.Second  // between two things that are written: GitHub allows 80 a minute, and 500 an hour
	most     = 32 << 20         // bytes of an answer
)

// A lostError says that nobody knows whether a request was carried out.
type lostError struct {
	what string
	err  error
}

func (e *lostError) Error() string { return e.what + ": " + e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// wasLost says whether err leaves it open if the request was carried out: there
// was no answer, or that it will be (202).
func wasLost(err error) bool {
	_, lost := errors.AsType[*lostError](err)
	_, later := errors.AsType[*github.AcceptedError](err)
	return lost || later
}

// accepted is err, nil if GitHub says that it has the request and will see to
// it (202), which go-github takes for an error.
func accepted(err error) error {
	if _, later := errors.AsType[*github.AcceptedError](err); later {
		return nil
	}
	return err
}

// backoff is the pause before the next try, after n that came to nothing.
func backoff(n int) time.Duration { return time.Second << n }

// jittered makes a wait a little longer, so that not all who were sent away
// come back at the same moment.
func (w *wire) jittered(d time.Duration) time.Duration {
	if w.rand == nil {
		return d
	}
	return d + time.Duration(w.rand()*float64(d)/4)
}

// RoundTrip sends a request until there is an answer that says something.
func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	for again, waited, hops := 0, 0, 0; ; {
		if err := w.distance(req); err != nil {
			return nil, err
		}
		resp, body, err := w.once(req)
		if to := w.elsewhere(req, resp); to != nil && hops < 3 {
			req, hops = req.Clone(req.Context()), hops+1
			req.URL = to
			w.moved.Store(true)
			continue
		}
		if writes(req) {
			w.wrote = w.now()
		}
		f := classify(resp, body, err)
		switch f.kind {
		case limited:
			wait := f.wait
			if wait == 0 {
				wait = w.jittered(time.Minute << waited)
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
			if err := w.sleep(req.Context(), w.jittered(backoff(again-1))); err != nil {
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

// writes says whether a request creates or changes what people see. What is
// deleted is not counted by GitHub.
func writes(req *http.Request) bool {
	return req.Method == http.MethodPost || req.Method == http.MethodPatch
}

// distance keeps what is written apart.
func (w *wire) distance(req *http.Request) error {
	if !writes(req) || w.wrote.IsZero() {
		return nil
	}
	if d := apart - w.now().Sub(w.wrote); d > 0 {
		return w.sleep(req.Context(), min(d, apart))
	}
	return nil
}

// elsewhere is where a request that writes has to go instead, because the
// repository was renamed: nil if it was not. GitHub names the place by the
// repository's id. A client would make a GET of it, and lose what was to be
// written.
func (w *wire) elsewhere(req *http.Request, resp *http.Response) *url.URL {
	if resp == nil || !slices.Contains([]int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect}, resp.StatusCode) {
		return nil
	}
	to, err := resp.Location()
	if err != nil || req.Method == http.MethodGet || to.Host != w.host || to.Scheme != req.URL.Scheme {
		return nil
	}
	return to
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
	ctx, cancel := context.WithTimeout(req.Context(), cmp.Or(w.limit, atOnce))
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
	if via[0].Method != req.Method {
		return fmt.Errorf("a redirect to %s, by which what was to be written would be lost", req.URL.Path)
	}
	w.moved.Store(true)
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
		if err := h.opts.Sleep(ctx, h.wire.jittered(backoff(n+1))); err != nil {
			return v, err
		}
	}
}
