package forge

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
	"github.com/autonomous-loop/autonomous-loop/runner"
)

const comments = "POST /repos/*/*/issues/*/comments"

// limit is an answer that refuses for a limit.
func limit(match string, status int, body string, header map[string]string) fakegithub.Fault {
	return fakegithub.Fault{Match: match, Status: status, Body: `{"message":"` + body + `","documentation_url":"x"}`, Header: header}
}

func TestLimitsAreWaitedFor(t *testing.T) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	reset := map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Limit": "1000", "X-RateLimit-Reset": strconv.FormatInt(start.Add(20*time.Minute).Unix(), 10)}
	for name, c := range map[string]struct {
		faults []fakegithub.Fault
		slept  []time.Duration
	}{
		"primary, as 403":                {[]fakegithub.Fault{limit(comments, 403, "API rate limit exceeded", reset)}, []time.Duration{20*time.Minute - apart + time.Second}},
		"primary, as 429":                {[]fakegithub.Fault{limit(comments, 429, "API rate limit exceeded", reset)}, []time.Duration{20*time.Minute - apart + time.Second}},
		"secondary with Retry-After":     {[]fakegithub.Fault{limit(comments, 403, "You have exceeded a secondary rate limit", map[string]string{"Retry-After": "17"})}, []time.Duration{17 * time.Second}},
		"secondary, told by its words":   {[]fakegithub.Fault{limit(comments, 403, "You have exceeded a secondary rate limit", nil)}, []time.Duration{time.Minute}},
		"429 with a date":                {[]fakegithub.Fault{limit(comments, 429, "Slow down", map[string]string{"Retry-After": start.Add(90 * time.Second).Format(http.TimeFormat)})}, []time.Duration{90*time.Second - apart}},
		"again and again, twice as long": {[]fakegithub.Fault{limit(comments, 429, "x", nil), limit(comments, 429, "x", nil), limit(comments, 429, "x", nil)}, []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute}},
		"a read as well":                 {[]fakegithub.Fault{limit("GET /user", 429, "x", map[string]string{"Retry-After": "3"})}, []time.Duration{3 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for _, f := range c.faults {
				w.Fail(f)
			}
			out := got(w.hub().Report(t.Context(), w.report("1 of 3")))(t)
			if len(out.Warnings) > 0 || out.Keys[KeyComment] == "" {
				t.Errorf("receipts %+v", out)
			}
			// The comment comes after the pull request, at a distance.
			want := slices.Concat(c.slept, []time.Duration{apart})
			if c.faults[0].Match == comments {
				want = slices.Concat([]time.Duration{apart}, c.slept)
			}
			if d := cmp.Diff(w.clock.slept, want); d != "" {
				t.Errorf("slept (-got +want):\n%s", d)
			}
			posts := 1
			if c.faults[0].Match == comments {
				posts += len(c.faults)
			}
			if n := w.count("POST /repos/octo/loop/issues/1/comments"); n != posts {
				t.Errorf("%d posts, want %d", n, posts)
			}
		})
	}
}

// After the last request that is allowed go-github refuses to send anything
// until the reset, by the machine's own clock. Only GitHub may refuse.
func TestLimitDoesNotBlockTheClient(t *testing.T) {
	w := newWorld(t)
	next := w.opts.HTTP
	h := w.hub(func(o *Options) {
		o.HTTP = roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err == nil {
				resp.Header.Set("X-RateLimit-Remaining", "0")
				resp.Header.Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10))
			}
			return resp, err
		})
	})
	r := w.report("1 of 3")
	w.AddToken(token, boss) // who may ask who it is, so that no request is refused
	if out := got(h.Report(t.Context(), r))(t); len(out.Warnings) > 0 || len(w.clock.slept) != 1 || w.clock.slept[0] != apart {
		t.Errorf("warnings %q, slept %v", out.Warnings, w.clock.slept)
	}
}

func TestLimitBeyondTheDeadlineStops(t *testing.T) {
	w := newWorld(t)
	w.clock.at = time.Now().UTC().Truncate(time.Second)
	w.Fail(limit(comments, 403, "API rate limit exceeded", map[string]string{"Retry-After": "600"}))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	out, err := w.hub().Report(ctx, w.report("1 of 3"))
	stop, ok := errors.AsType[*runner.StopError](err)
	if !ok || stop.Reason != runner.RateLimit || !stop.Until.Equal(w.clock.at.Add(10*time.Minute)) {
		t.Errorf("error %v", err)
	}
	if len(w.clock.slept) != 1 || w.clock.slept[0] != apart || w.count("POST /repos/octo/loop/issues/1/comments") != 1 {
		t.Errorf("slept %v in vain, after %q", w.clock.slept, w.Requests())
	}
	if out.Keys[KeyPull] == "" {
		t.Error("the receipt of what was done is lost")
	}
}

func TestLimitThatNeverEndsStops(t *testing.T) {
	w := newWorld(t)
	f := limit("GET /user", 429, "x", map[string]string{"Retry-After": "2"})
	f.Times = -1
	w.Fail(f)
	_, err := w.hub().Report(t.Context(), w.report("1 of 3"))
	if stop, ok := errors.AsType[*runner.StopError](err); !ok || stop.Reason != runner.RateLimit {
		t.Errorf("error %v", err)
	}
	if n := w.count("GET /user"); n != patience+1 {
		t.Errorf("%d requests", n)
	}
}

func TestReadsAreRepeatedAndPostsAreNot(t *testing.T) {
	w := newWorld(t)
	w.Fail(fakegithub.Fault{Match: "GET /repos/*/*/pulls", Status: 500, Times: 3})
	w.Fail(fakegithub.Fault{Match: "POST /repos/*/*/pulls", Lose: true})
	got(w.hub().Report(t.Context(), w.report("1 of 3")))(t)
	if d := cmp.Diff(w.clock.slept, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 2 * time.Second}); d != "" {
		t.Errorf("slept (-got +want):\n%s", d)
	}
	if n := w.count("POST /repos/octo/loop/pulls"); n != 1 {
		t.Errorf("%d posts of a pull request that was there", n)
	}
}

func TestRefusalsAreNotRepeated(t *testing.T) {
	w := newWorld(t)
	w.SetPermission("pull_requests", "read")
	got(w.hub().Report(t.Context(), w.report("1 of 3")))(t)
	if n := w.count("POST /repos/octo/loop/pulls"); n != 1 || len(w.clock.slept) > 0 {
		t.Errorf("%d posts, slept %v", n, w.clock.slept)
	}
}

func TestTheTokenGoesToTheAPIOnly(t *testing.T) {
	w := newWorld(t)
	w.Fail(fakegithub.Fault{Match: "GET /user", Status: http.StatusFound, Body: "{}", Header: map[string]string{"Location": "http://attacker.test/user"}})
	w.Fail(fakegithub.Fault{Match: "GET /repos/*/*/pulls", Status: http.StatusMovedPermanently, Body: "{}", Header: map[string]string{"Location": w.url + "/repos/octo/loop/pulls?page=1"}})
	asked := map[string]string{}
	h := w.hub(func(o *Options) {
		o.HTTP = roundTrip(func(r *http.Request) (*http.Response, error) {
			asked[r.URL.Host] = r.Header.Get("Authorization")
			if r.URL.Host == "attacker.test" {
				return nil, errors.New("should not be asked")
			}
			return http.DefaultTransport.RoundTrip(r)
		})
	})
	out := got(h.Report(t.Context(), w.report("1 of 3")))(t)
	if _, ok := asked["attacker.test"]; ok {
		t.Error("followed a redirect to another host")
	}
	if len(out.Warnings) == 0 || !strings.Contains(out.Warnings[0], "a redirect to attacker.test, where GitHub's API sends nobody") {
		t.Errorf("warnings %q", out.Warnings)
	}
	out = got(h.Report(t.Context(), w.report("1 of 3")))(t)
	if len(out.Warnings) > 0 {
		t.Errorf("a renamed repository: %q", out.Warnings)
	}
}

func TestAnotherHostGetsNoToken(t *testing.T) {
	var sent string
	w := &wire{host: "api.test", authorize: bearer(token), next: roundTrip(func(r *http.Request) (*http.Response, error) {
		sent = r.Header.Get("Authorization")
		return &http.Response{StatusCode: 204, Header: http.Header{}, Body: http.NoBody}, nil
	})}
	for host, want := range map[string]string{"api.test": "Bearer " + token, "api.test.attacker.test": ""} {
		r := got(http.NewRequest(http.MethodGet, "https://"+host+"/", nil))(t)
		r.Header.Set("Authorization", "Bearer stray")
		got(w.RoundTrip(r))(t)
		if sent != want {
			t.Errorf("%s was sent %q", host, sent)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestCancelledReportSaysSo(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.hub().Report(ctx, w.report("1 of 3")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if w.summary.Len() == 0 {
		t.Error("no summary, which needs no network")
	}
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		status int
		header http.Header
		body   string
		want   kind
	}{
		{200, nil, `{"a":1}`, fine},
		{204, nil, "", fine},
		{302, nil, "<html>", fine},
		{200, nil, `{"a":`, lost},
		{200, nil, "<html>captive portal</html>", lost},
		{403, nil, `{"message":"Resource not accessible by integration"}`, refused},
		{403, nil, `{"message":"You have exceeded a secondary rate limit"}`, limited},
		{403, nil, `{"message":"You have triggered an abuse detection mechanism"}`, limited},
		{403, http.Header{"X-Ratelimit-Remaining": {"0"}}, "{}", limited},
		{429, nil, "", limited},
		{401, nil, "{}", refused},
		{404, nil, "{}", refused},
		{408, nil, "{}", lost},
		{422, nil, "{}", refused},
		{503, nil, "", lost},
	} {
		h := c.header
		if h == nil {
			h = http.Header{}
		}
		if f := classify(&http.Response{StatusCode: c.status, Header: h}, []byte(c.body), nil); f.kind != c.want {
			t.Errorf("%d %s: %s, want %s", c.status, c.body, f.kind, c.want)
		}
	}
	if f := classify(nil, nil, errors.New("connection reset")); f.kind != lost {
		t.Errorf("no answer: %s", f.kind)
	}
}
