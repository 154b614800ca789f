package runner

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/internal/choose"
)

// limited is a world whose model's provider names a time, or is down.
type limited struct {
	*world
	stop *StopError // of the next call
}

func (w *limited) Work(ctx context.Context, t Task) (Claim, error) {
	if w.stop != nil {
		return Claim{Usage: Usage{Calls: 1, Tokens: 5}}, w.stop
	}
	return w.world.Work(ctx, t)
}

// A limit with a time is kept in the state. Runs before that say so, change
// nothing, ask nobody and fail nothing; at its time the loop goes on.
func TestSessionsWaitForTheTimeThatWasNamed(t *testing.T) {
	for c := range choose.All() {
		w := &limited{world: &world{t: t, c: c, read: &readings{}, space: space{features: 1, attempts: 1, perSession: 9, outcomes: 1}, clock: time.Unix(1e9, 0).UTC(), begun: map[string]int{}, meant: map[string]string{}}}
		w.remote.commits = map[string]commit{"base": {tree: tree{}}}
		w.remote.files, w.remote.over, w.remote.asked, w.remote.rotten = map[string][]byte{}, map[string]bool{}, map[int]int{}, map[string]bool{}
		breaker := Breaker{Model: "m", Failures: 2, Until: w.clock.Add(time.Hour), Why: "HTTP 529"}
		run := func(trigger Trigger) (State, LoopResult, string, error) {
			w.process = process{run: "r"}
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			w.cancel = cancel
			var said string
			s := Session{
				Repo: w, Planner: w, Agent: w, Gates: w, Forge: w, Loop: "main", Fresh: "l1", Owner: Owner{Run: "r", Attempt: 1},
				Config: LoopConfig{MaxSessions: 9, TokenBudget: 1e6, FeaturesPerSession: 9, AttemptsPerFeature: 1, Trigger: trigger, Grace: time.Minute, Continuation: Auto, Mode: RunMode},
				Now:    func() time.Time { w.clock = w.clock.Add(time.Second); return w.clock },
				Notify: func(e Event) { said = e.Text },
				Health: func() []Breaker { return []Breaker{breaker} },
				Known: func() []Endpoint {
					return []Endpoint{{Model: "m", Endpoint: "e", API: "responses", Refused: []string{"images"}}}
				},
				Papers: func(State, LoopResult) Papers { return Papers{} },
			}
			res, err := s.Run(ctx)
			w.remote.over["r"] = true
			st, decodeErr := Decode(w.remote.state, w.remote.list)
			if decodeErr != nil {
				t.Fatal(decodeErr)
			}
			return st, res, said, err
		}

		until := w.clock.Add(time.Hour)
		w.stop = &StopError{Reason: RateLimit, Err: errors.New("HTTP 429"), Until: until}
		st, res, said, err := run(ByChain)
		if err != nil || res.Decision != Wait || st.Status != Waiting || !st.Until.Equal(until) || !strings.Contains(said, "it may be tried again at 02:46 UTC on 2001-09-09") {
			t.Fatalf("%s, %v, until %s: %q, %v", res.Decision, st.Status, st.Until, said, err)
		}
		if len(st.Models) != 1 || st.Models[0] != breaker || len(w.remote.asked) != 0 {
			t.Errorf("models %+v, asked for %v", st.Models, w.remote.asked)
		}
		if len(st.Endpoints) != 1 || st.Endpoints[0].API != "responses" || len(st.Endpoints[0].Refused) != 1 {
			t.Errorf("endpoints %+v", st.Endpoints)
		}
		for _, trigger := range []Trigger{ByClock, ByEvent, ByChain} {
			early, res, said, err := run(trigger)
			if err != nil || early.Serial != st.Serial || res.Decision != Wait || !strings.Contains(said, "no model is asked before that, unless a person starts the loop") || !strings.Contains(said, "02:46 UTC") {
				t.Errorf("%s, early: serial %d, %s, %q, %v", trigger, early.Serial, res.Decision, said, err)
			}
		}
		w.clock, w.stop = until, nil
		if st, _, _, err = run(ByClock); err != nil || st.Status != Done || !st.Until.IsZero() {
			t.Errorf("at its time: %s, until %s, %v", st.Status, st.Until, err)
		}
	}
}

func TestBreakerOpensForLonger(t *testing.T) {
	now := time.Unix(1e9, 0).UTC()
	var b Breaker
	for i, want := range []time.Duration{10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 80 * time.Minute, 160 * time.Minute, 320 * time.Minute, 6 * time.Hour, 6 * time.Hour} {
		b = b.Tripped(now, "HTTP 500", false)
		if got := b.Until.Sub(now); got != want || b.Failures != i+1 || !b.Open(now) || b.Open(now.Add(want)) {
			t.Errorf("failure %d: open for %v, want %v", i+1, got, want)
		}
	}
	if b = b.Tripped(now, "gone", true); b.Until.Sub(now) != 24*time.Hour {
		t.Errorf("gone: %+v", b)
	}
}
