package forge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
	"github.com/autonomous-loop/autonomous-loop/internal/faults"
	"github.com/autonomous-loop/autonomous-loop/runner"
)

const (
	whose     = "GET /user"
	pulls     = "GET /repos/*/*/pulls"
	openPulls = "POST /repos/*/*/pulls"
	editNote  = "PATCH /repos/*/*/issues/comments/*"
	attempts  = "GET /repos/*/*/actions/runs/*/attempts/*"
)

// A fault is played in the middle of one of these.
type part func(t *testing.T, w *world, h *Hub) (ends, reads string)

// reporting: the session can do without, and says so.
func reporting(t *testing.T, w *world, h *Hub) (ends, reads string) {
	t.Helper()
	out, err := h.Report(t.Context(), w.known())
	said := slices.Clone(out.Warnings)
	if err != nil {
		said = append(said, err.Error())
	}
	return faults.EndOfExtra(err, out.Warnings), strings.Join(said, "\n")
}

// noting is reporting that tells something but misses nothing.
func noting(t *testing.T, w *world, h *Hub) (ends, reads string) {
	t.Helper()
	out, err := h.Report(t.Context(), w.known())
	if err != nil || out.Keys[KeyPull] == "" || out.Keys[KeyComment] == "" {
		return faults.EndOfExtra(err, []string{"something is missing"}), strings.Join(out.Warnings, "\n")
	}
	return faults.GoesOn, strings.Join(out.Warnings, "\n")
}

// quietly is noting with nothing to tell: what worked in the end is nobody's concern.
func quietly(t *testing.T, w *world, h *Hub) (ends, reads string) {
	t.Helper()
	if ends, reads = noting(t, w, h); reads != "" {
		ends = faults.EndOfExtra(nil, []string{reads})
	}
	return ends, reads
}

// continuing: without a successor the loop stands still, so that the job is red.
func continuing(t *testing.T, _ *world, h *Hub) (ends, reads string) {
	t.Helper()
	if _, err := h.Continue(t.Context(), next); err != nil {
		return faults.WantsPerson, err.Error()
	}
	return faults.GoesOn, ""
}

// asking whether the owner of a session is over, before anything is claimed.
func asking(t *testing.T, w *world, h *Hub) (ends, reads string) {
	t.Helper()
	_, err := h.Over(t.Context(), runner.Owner{Run: fmt.Sprint(w.run.ID), Attempt: 1})
	return faults.EndOf(err), fmt.Sprint(err)
}

func uploading(t *testing.T, _ *world, h *Hub) (ends, reads string) {
	t.Helper()
	_, err := h.Upload(t.Context(), "main-4", handoff)
	return faults.EndOfExtra(err, nil), fmt.Sprint(err)
}

// known is a report of a session that knows what the one before was answered.
func (w *world) known() runner.Report {
	r := w.report("2 of 3")
	r.State.Effects = w.receipts
	return r
}

// before lets a session report before the one that meets the fault.
func (w *world) reported() {
	w.t.Helper()
	w.receipts = got(w.hub().Report(w.t.Context(), w.report("1 of 3")))(w.t).Keys
	w.clock.slept = nil
}

// matching counts the requests to what the fault is played on.
func (w *world) matching(match string) int {
	n := 0
	for _, r := range w.Requests() {
		if ok, _ := path.Match(match, r); ok {
			n++
		}
	}
	return n
}

func primary(w *world, status int, after time.Duration) fakegithub.Fault {
	return limit("", status, "API rate limit exceeded for installation ID 1.", map[string]string{
		"X-RateLimit-Remaining": "0", "X-RateLimit-Limit": "1000", "X-RateLimit-Reset": strconv.FormatInt(w.clock.Now().Add(after).Unix(), 10),
	})
}

// TestGitHubFaults plays each fault of GitHub's API against real HTTP, and holds
// the ending, the waits, the requests and the words against the document.
func TestGitHubFaults(t *testing.T) {
	secondary := limit("", 403, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.", nil)
	seconds := func(f fakegithub.Fault, s string) fakegithub.Fault {
		f.Header = map[string]string{"Retry-After": s}
		return f
	}
	always := func(f fakegithub.Fault) fakegithub.Fault { f.Times = -1; return f }
	plain := func(f fakegithub.Fault) func(*world) fakegithub.Fault {
		return func(*world) fakegithub.Fault { return f }
	}
	none := plain(fakegithub.Fault{})
	for _, c := range []struct {
		id     string
		at     string // the requests that meet the fault, and are counted
		fault  func(*world) fakegithub.Fault
		part   part
		before func(*world)
		after  func(*world)
	}{
		{"G1a", pulls, plain(fakegithub.Fault{Status: 401, Body: `{"message":"Bad credentials","documentation_url":"x"}`, Times: -1}), reporting, nil, nil},
		{"G1b", dispatches, plain(fakegithub.Fault{Status: 401, Body: `{"message":"Bad credentials","documentation_url":"x"}`, Times: -1}), continuing, nil, nil},
		{"G2a", attempts, func(w *world) fakegithub.Fault { return primary(w, 403, 20*time.Minute) }, asking, nil, nil},
		{"G2b", attempts, func(w *world) fakegithub.Fault { return primary(w, 429, 20*time.Minute) }, asking, nil, nil},
		{"G2c", attempts, func(w *world) fakegithub.Fault { return always(primary(w, 403, 3*time.Hour)) }, asking, nil, nil},
		{"G2d", dispatches, func(w *world) fakegithub.Fault { return always(primary(w, 403, 3*time.Hour)) }, continuing, nil, nil},
		{"G3a", attempts, plain(seconds(secondary, "17")), asking, nil, nil},
		{"G3b", attempts, plain(always(secondary)), asking, nil, nil},
		{"G3c", comments, none, quietly, nil, nil},
		{"G4a", openPulls, none, reporting, func(w *world) { w.SetPermission("pull_requests", "read") }, nil},
		{"G4b", openPulls, none, reporting, func(w *world) { w.ForbidPullRequests() }, nil},
		{"G4c", comments, none, reporting, func(w *world) {
			w.AddPull(where, boss, "autonomous-loop/main", "main", "By hand", "")
			w.SetPermission("pull_requests", "read")
			w.SetPermission("issues", "read")
		}, nil},
		{"G4d", dispatches, none, continuing, func(w *world) { w.SetPermission("actions", "read") }, nil},
		{"G5", dispatches, plain(fakegithub.Fault{Status: 404}), continuing, nil, nil},
		{"G6a", comments, none, noting, func(w *world) {
			w.reported()
			w.RemoveComment(where, w.Comments(where, 1)[0].ID)
		}, func(w *world) { w.oneComment() }},
		{"G6b", editNote, plain(fakegithub.Fault{Status: 404}), quietly, func(w *world) { w.reported() }, func(w *world) { w.oneComment() }},
		{"G6c", openPulls, none, func(t *testing.T, w *world, h *Hub) (ends, reads string) {
			out := got(h.Report(t.Context(), w.known()))(t)
			st := w.known().State
			st.Published = st.Work
			halt := got(h.Stopped(t.Context(), st))(t)
			if out.Keys[KeyClosed] == w.receipts[KeyPull] && len(out.Warnings) == 0 && strings.Contains(halt.Why, "was deleted") {
				return "is told as closed", ""
			}
			return fmt.Sprintf("%+v, %q", out, halt.Why), ""
		}, func(w *world) {
			w.reported()
			w.RemovePull(where, 1)
		}, nil},
		{"G7", twirpPath + "CreateArtifact", none, uploading, func(w *world) {
			got(w.hub().Upload(w.t.Context(), "main-4", handoff))(w.t)
		}, func(w *world) {
			if n := len(w.Artifacts()); n != 1 {
				w.t.Errorf("%d artifacts", n)
			}
		}},
		{"G8", "GET /repos/*/*/actions/artifacts/*/zip", plain(fakegithub.Fault{Status: 410, Body: `{"message":"Artifact has expired","documentation_url":"x"}`}), func(t *testing.T, w *world, h *Hub) (ends, reads string) {
			_, err := h.Download(t.Context(), w.run.ID, "main-4")
			return faults.EndOfExtra(err, nil), fmt.Sprint(err)
		}, func(w *world) { got(w.hub().Upload(w.t.Context(), "main-4", handoff))(w.t) }, nil},
		{"G9a", openPulls, none, quietly, func(w *world) {
			w.AddPull(where, boss, "autonomous-loop/main", "main", "By hand", "")
			w.Fail(fakegithub.Fault{Match: pulls, Status: 200, Body: "[]"})
		}, func(w *world) {
			if p := w.Pulls(where); len(p) != 1 || p[0].Title != "By hand" {
				w.t.Errorf("pull requests %+v", p)
			}
		}},
		{"G9b", openPulls, none, reporting, func(w *world) { must(w.t, w.Point(where, "refs/heads/autonomous-loop/main", w.base)) }, nil},
		{"G9c", dispatches, none, continuing, func(w *world) {
			got(w.Seed(where, "main", "", map[string]string{".github/workflows/loop.yml": strings.Replace(loopYML, "serial: {", "number: {", 1)}))(w.t)
		}, nil},
		{"G9d", openPulls, plain(fakegithub.Fault{Status: 422, Body: `{"message":"Validation Failed","errors":[{"resource":"PullRequest","field":"title","code":"custom","message":"title is\n::error::not welcome"}],"documentation_url":"x"}`}), reporting, nil, nil},
		{"G10a", pulls, plain(fakegithub.Fault{Status: 451, Body: `{"message":"Repository access blocked","documentation_url":"x"}`}), reporting, nil, nil},
		{"G10b", openPulls, none, reporting, func(w *world) { w.Archive(where) }, nil},
		{"G10c", dispatches, none, continuing, func(w *world) { w.Archive(where) }, nil},
		{"G11a", attempts, plain(fakegithub.Fault{Status: 502, Times: 5}), asking, nil, nil},
		{"G11b", openPulls, plain(fakegithub.Fault{Lose: true}), quietly, nil, func(w *world) { w.onePull() }},
		{"G11c", openPulls, plain(fakegithub.Fault{Drop: true}), quietly, nil, func(w *world) { w.onePull() }},
		{"G11d", attempts, plain(fakegithub.Fault{Hang: true, Times: -1}), asking, func(w *world) { w.limit = 100 * time.Millisecond }, nil},
		{"G11e", comments, plain(fakegithub.Fault{Reset: true}), quietly, func(w *world) { w.bare() }, func(w *world) { w.oneComment() }},
		{"G12a", attempts, plain(fakegithub.Fault{Cut: true}), asking, nil, nil},
		{"G12b", openPulls, plain(fakegithub.Fault{Cut: true}), quietly, nil, func(w *world) { w.onePull() }},
		{"G12c", dispatches, plain(fakegithub.Fault{Cut: true}), continuing, nil, func(w *world) {
			if n := w.named(); n != 1 {
				w.t.Errorf("%d runs", n)
			}
		}},
		{"G13a", comments, plain(fakegithub.Fault{Later: true}), quietly, nil, func(w *world) { w.oneComment() }},
		{"G13b", editNote, plain(fakegithub.Fault{Later: true}), quietly, func(w *world) { w.reported() }, func(w *world) { w.oneComment() }},
		{"G14a", "GET /repos/octo/loop/pulls", none, noting, func(w *world) {
			w.reported()
			must(w.t, w.Rename(where, "lab/circle"))
		}, func(w *world) {
			if p := w.Pulls("lab/circle"); len(p) != 1 || p[0].Title != "List: 2 of 3" {
				w.t.Errorf("pull requests %+v", p)
			}
		}},
		{"G14b", "POST /repos/octo/loop/actions/workflows/loop.yml/dispatches", plain(fakegithub.Fault{Status: 301, Body: `{"message":"Moved Permanently"}`, Header: map[string]string{"Location": "/repos/octo/loop/actions/workflows/loop.yml/dispatches?moved=1"}}), continuing, nil, func(w *world) {
			if n := w.named(); n != 1 {
				w.t.Errorf("%d runs", n)
			}
		}},
		{"G14c", "POST /repos/octo/loop/actions/workflows/loop.yml/dispatches", none, continuing, func(w *world) { must(w.t, w.Rename(where, "lab/circle")) }, nil},
		{"G15", attempts, func(w *world) fakegithub.Fault { return primary(w, 403, 20*time.Minute) }, asking, func(w *world) {
			ours := w.opts.Now
			w.opts.Now = func() time.Time { return ours().Add(-26 * time.Hour) }
		}, nil},
		{"G16", "GET /repos/*/*/issues/*/comments", none, quietly, func(w *world) {
			w.reported()
			for i := range 150 {
				w.AddComment(where, 1, boss, fmt.Sprint("comment ", i))
			}
			next := w.opts.HTTP
			w.opts.HTTP = roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.URL.Query().Get("page") == "2" { // meanwhile
					w.AddComment(where, 1, boss, "one more")
				}
				return next.RoundTrip(r)
			})
		}, nil},
		{"G17a", "GET /*/*/*/*/*/*/*/*", plain(fakegithub.Fault{Status: 503, Times: -1}), asking, nil, nil},
		{"G17b", whose, plain(fakegithub.Fault{Status: 503, Times: -1}), reporting, nil, nil},
		{"G17c", "GET /repos/*/*/actions/workflows/*/runs", plain(fakegithub.Fault{Status: 503, Times: -1}), continuing, nil, nil},
	} {
		t.Run(c.id, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.before != nil {
				c.before(w)
			}
			if f := c.fault(w); f.Times != 0 || f.Status != 0 || f.Drop || f.Lose || f.Cut || f.Reset || f.Hang || f.Later {
				f.Match = c.at
				w.Fail(f)
			}
			h := w.hub()
			h.wire.limit = w.limit
			asked := w.matching(c.at)
			ends, reads := c.part(t, w, h)
			faults.Check(t, c.id, faults.Seen{Ends: ends, Waits: w.clock.slept, Requests: w.matching(c.at) - asked, Reads: reads})
			if strings.Contains(reads, token) || strings.Contains(reads, "\n::") {
				t.Errorf("what a person reads holds the token or a command: %q", reads)
			}
			if c.after != nil {
				c.after(w)
			}
		})
	}
}

func (w *world) onePull() {
	w.t.Helper()
	if p := w.Pulls(where); len(p) != 1 {
		w.t.Errorf("pull requests %+v", p)
	}
}

func (w *world) oneComment() {
	w.t.Helper()
	if c := w.Comments(where, 1); len(c) != 1 || !strings.Contains(c[0].Body, "of 3") {
		w.t.Errorf("comments %+v", c)
	}
}

// bare serves the world without the check of its answers, which would keep a
// connection from being reset.
func (w *world) bare() {
	srv := httptest.NewServer(w.Server)
	w.t.Cleanup(srv.Close)
	w.opts.APIURL, w.opts.HTTP = srv.URL, srv.Client().Transport
}

// A resolver that is not there is a name that cannot be found.
func TestNameThatIsNotFound(t *testing.T) {
	w := newWorld(t)
	socket := got(net.ListenPacket("udp", "127.0.0.1:0"))(t)
	nobody := socket.LocalAddr().String()
	socket.Close()
	asked := 0
	dialer := &net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", nobody)
	}}}
	h := w.hub(func(o *Options) {
		o.APIURL, o.HTTP = "http://api.nowhere.invalid", &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			asked++
			return dialer.DialContext(ctx, network, addr)
		}}
	})
	ends, reads := asking(t, w, h)
	faults.Check(t, "G11f", faults.Seen{Ends: ends, Waits: w.clock.slept, Requests: asked, Reads: reads})
}

// Jitter makes waits longer and never shorter than what GitHub asks for.
func TestJitter(t *testing.T) {
	w := newWorld(t)
	w.opts.Rand = func() float64 { return 0.5 }
	f := limit(attempts, 403, "You have exceeded a secondary rate limit", nil)
	f.Times = 2
	w.Fail(f)
	w.Fail(fakegithub.Fault{Match: attempts, Status: 500, Times: 2})
	w.Fail(limit(attempts, 429, "x", map[string]string{"Retry-After": "10"}))
	asking(t, w, w.hub())
	if got := faults.Spell(w.clock.slept); got != "1m7.5s, 2m15s, 1.125s, 2.25s, 10s" {
		t.Errorf("waited %s", got)
	}
}

// What is written keeps its distance, whatever the session does in between.
func TestWritesKeepTheirDistance(t *testing.T) {
	w := newWorld(t)
	h := w.hub()
	var at []time.Time
	inner := h.wire.next
	h.wire.next = roundTrip(func(r *http.Request) (*http.Response, error) {
		if writes(r) {
			at = append(at, w.clock.Now())
		}
		return inner.RoundTrip(r)
	})
	for n := range 3 {
		got(h.Report(t.Context(), w.report(fmt.Sprint(n))))(t)
	}
	got(h.Continue(t.Context(), runner.Successor{Loop: "main", Lineage: lineage, Serial: 9}))(t)
	if len(at) != 7 {
		t.Fatalf("%d writes", len(at))
	}
	for i := range at[1:] {
		if d := at[i+1].Sub(at[i]); d < apart {
			t.Errorf("write %d comes %s after the one before", i+2, d)
		}
	}
}

// A write that is sent to another host goes nowhere.
func TestWritesFollowWithinTheHostOnly(t *testing.T) {
	w := newWorld(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("another host was asked") }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 307, 308} {
		w.Fail(fakegithub.Fault{Match: dispatches, Status: status, Body: "{}", Header: map[string]string{"Location": elsewhere.URL + "/x"}})
		if _, err := w.hub().Continue(t.Context(), next); err == nil {
			t.Errorf("%d: no error", status)
		}
	}
	if n := w.named(); n != 0 {
		t.Errorf("%d runs", n)
	}
	if _, err := w.hub().Continue(t.Context(), next); err != nil || errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
