package model

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// How long one call is pursued.
const (
	mostTries = 6                // requests that the provider turned away or broke
	mostCuts  = 3                // cut replies that are asked for again
	longWait  = 5 * time.Minute  // a longer one ends the session
	patient   = 10 * time.Minute // of waiting in all
	slowest   = 30 * time.Second // between tries, where the provider does not say
)

// patience counts what one call has met with so far.
type patience struct {
	tries, cuts int
	waited      time.Duration
}

// after decides what follows f: a wait and another request, or none. rand is in
// [0, 1).
func (p *patience) after(f fault, rand float64) (time.Duration, bool) {
	var n int
	switch f.kind {
	case cut:
		p.cuts++
		if n = p.cuts; p.cuts > mostCuts {
			return 0, false
		}
	case busy, broken:
		p.tries++
		if n = p.tries; p.tries >= mostTries || f.hint > longWait {
			return 0, false
		}
	case money, keyless, barred, nowhere, misfit, over, refused:
		return 0, false
	}
	wait := time.Duration(rand * float64(min(slowest, time.Second<<(n-1))))
	if f.hint > 0 {
		// Not all who were sent away return at the same moment.
		wait = f.hint + time.Duration(rand*float64(min(f.hint/10, time.Second)))
	}
	p.waited += wait
	return wait, p.waited <= patient
}

// plain says whether the next request is to ask for the reply in one piece:
// the last one does, after streams that were cut every time.
func (p *patience) plain() bool { return p.cuts == mostCuts }

// hint is how long the provider asks to wait, 0 if it does not say. now is
// ours: of a time that the provider names, its own clock's is taken off where
// it sends that.
func hint(status int, h http.Header, s said, now time.Time) time.Duration {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 {
		return length(ms / 1000)
	}
	if d := span(h.Get("Retry-After"), now); d > 0 {
		return d
	}
	if s.retry > 0 {
		return min(s.retry, mostWait)
	}
	if status != http.StatusTooManyRequests {
		return 0 // some send their limits with every answer
	}
	// A limit that is not used up was not the one.
	var longest time.Duration
	for _, of := range []string{"", "-Requests", "-Tokens"} {
		d := span(h.Get("X-Ratelimit-Reset"+of), now)
		left := h.Get("X-Ratelimit-Remaining" + of)
		if of != "-Tokens" && left != "" && left != "0" {
			continue
		}
		longest = max(longest, d)
	}
	if longest > 0 {
		longest = max(longest, time.Second)
	}
	return longest
}

// mostWait is the longest wait that is believed.
const mostWait = 365 * 24 * time.Hour

// span reads a wait in the forms there are: seconds, 6m0s, a date, or a
// moment as seconds or milliseconds since 1970.
func span(s string, now time.Time) time.Duration {
	return min(read(s, now), mostWait)
}

func read(s string, now time.Time) time.Duration {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		switch {
		case n > 1e12:
			return time.UnixMilli(int64(min(n, 1e15))).Sub(now)
		case n > 1e9:
			return time.Unix(int64(n), 0).Sub(now)
		}
		return length(n)
	}
	if d, err := time.ParseDuration(s); err == nil {
		return d
	}
	if t, err := http.ParseTime(s); err == nil {
		return t.Sub(now)
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.Sub(now)
	}
	return 0
}

// length is so many seconds, as far as they are believed.
func length(seconds float64) time.Duration {
	if math.IsNaN(seconds) {
		return 0
	}
	return time.Duration(max(0, min(seconds, mostWait.Seconds())) * float64(time.Second))
}
