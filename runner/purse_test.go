package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/internal/choose"
)

func TestPurse(t *testing.T) {
	p := LoopConfig{TokenBudget: 1000, CostBudget: 10 * Dollar}.purse(State{Spent: Spent{Usage: Usage{Tokens: 700, Cost: 7 * Dollar}}})
	for _, tt := range []struct {
		spent  Usage
		tokens int64
		cost   Money
		want   Reason
	}{
		{Usage{}, 300, 3 * Dollar, ""},
		{Usage{}, 301, 0, TokenBudget},
		{Usage{}, 0, 3*Dollar + 1, CostBudget},
		{Usage{Tokens: 100, Cost: Dollar}, 200, 2 * Dollar, ""},
		{Usage{Tokens: 100}, 201, 0, TokenBudget},
		{Usage{Cost: 3 * Dollar}, 1, 0, CostBudget}, // nothing is free when there is nothing left
		{Usage{Tokens: 5000, Cost: 50 * Dollar}, 1, 0, TokenBudget},
	} {
		stop, _ := errors.AsType[*StopError](p.After(tt.spent).Holds(tt.tokens, tt.cost))
		if stop == nil != (tt.want == "") || stop != nil && stop.Reason != tt.want {
			t.Errorf("after %+v, %d tokens for %d: %v, want %q", tt.spent, tt.tokens, tt.cost, stop, tt.want)
		}
	}
	if err := (Purse{Tokens: 10}).Holds(10, 1<<60); err != nil {
		t.Errorf("without a cap: %v", err)
	}
}

// From 80 % on the loop saves: it begins no feature that the rest would not pay
// for on average, and goes on with one that it has begun.
func TestThrift(t *testing.T) {
	c := LoopConfig{TokenBudget: 1000, CostBudget: 10 * Dollar, FeaturesPerSession: 9, AttemptsPerFeature: 3}
	one := func(tokens int64, cost Money) Feature {
		f := feature("done", with(Complete, 1))
		f.Usage = Usage{Calls: 1, Tokens: tokens, Cost: cost}
		return f
	}
	for name, tt := range map[string]struct {
		spent Usage
		done  []Feature
		wip   bool
		lean  bool
		says  string
	}{
		"far from it":                     {Usage{Tokens: 799, Cost: 7 * Dollar}, []Feature{one(500, 1)}, false, false, ""},
		"tokens, and enough":              {Usage{Tokens: 800}, []Feature{one(200, 1)}, false, true, ""},
		"tokens, and not enough":          {Usage{Tokens: 800}, []Feature{one(100, 1), one(302, 1)}, false, true, "200 tokens of token-budget are left, and a feature has taken 201 tokens on average"},
		"tokens, and a feature under way": {Usage{Tokens: 800}, []Feature{one(500, 1)}, true, true, ""},
		"tokens, and nothing to go by":    {Usage{Tokens: 900}, nil, false, true, ""},
		"money, and enough":               {Usage{Tokens: 1, Cost: 8 * Dollar}, []Feature{one(1, 2*Dollar)}, false, true, ""},
		"money, and not enough":           {Usage{Tokens: 1, Cost: 8 * Dollar}, []Feature{one(1, 3*Dollar)}, false, true, "$2.0000 of cost-budget are left, and a feature has taken $3.0000 on average"},
	} {
		st := State{Spent: Spent{Usage: tt.spent}, Features: append(tt.done, feature("open"))}
		if tt.wip {
			st.Wip = &Wip{Feature: "open"}
		}
		if got := c.purse(st).Lean(); got != tt.lean {
			t.Errorf("%s: lean %v", name, got)
		}
		err := c.reached(t.Context(), st, 0)
		if (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		}
	}
}

// Of several budgets the smallest binds, and its name is told.
func TestBudgetsOfSessionAndFeature(t *testing.T) {
	used := Usage{Calls: 1, Tokens: 60, Cost: 6 * Dollar}
	st := State{
		Spent: Spent{Usage: used.Plus(used)}, Wip: &Wip{Feature: "a"}, Sessions: []SessionRecord{{Usage: used}, {Usage: used}},
		Features: []Feature{feature("a", func(f *Feature) { f.Usage, f.Before = used, Cap{10, Dollar} })},
	}
	for _, tt := range []struct {
		c             LoopConfig
		tokens        int64
		cost          Money
		want          Reason
		lean, closing bool
	}{
		{LoopConfig{TokenBudget: 1000}, 880, 0, "", false, false},
		{LoopConfig{TokenBudget: 1000}, 881, 0, TokenBudget, false, false},
		{LoopConfig{TokenBudget: 1000, SessionBudget: Cap{Tokens: 100}}, 40, 1 << 50, "", false, false},
		{LoopConfig{TokenBudget: 1000, SessionBudget: Cap{Tokens: 100}}, 41, 0, SessionBudget, false, false},
		{LoopConfig{TokenBudget: 1000, SessionBudget: Cap{Cost: 10 * Dollar}}, 0, 4*Dollar + 1, SessionBudget, false, false},
		{LoopConfig{TokenBudget: 1000, SessionBudget: Cap{Cost: 6 * Dollar}}, 0, 0, SessionBudget, true, true}, // nothing is free when there is nothing left
		{LoopConfig{TokenBudget: 1000, FeatureBudget: Cap{Tokens: 100}}, 50, 0, "", false, false},              // 10 were used before a person changed it
		{LoopConfig{TokenBudget: 1000, FeatureBudget: Cap{Tokens: 100}}, 51, 0, FeatureBudget, false, false},
		{LoopConfig{TokenBudget: 1000, FeatureBudget: Cap{Cost: 10 * Dollar}}, 0, 5*Dollar + 1, FeatureBudget, false, false},
		{LoopConfig{TokenBudget: 1000, FeatureBudget: Cap{Tokens: 62}, SessionBudget: Cap{Tokens: 63}}, 13, 0, SessionBudget, true, true},
		{LoopConfig{TokenBudget: 1000, FeatureBudget: Cap{Tokens: 62}}, 13, 0, FeatureBudget, true, false},
		{LoopConfig{TokenBudget: 121, FeatureBudget: Cap{Tokens: 50}, SessionBudget: Cap{Tokens: 60}}, 2, 0, TokenBudget, true, true},
	} {
		p := tt.c.purse(st)
		stop, _ := errors.AsType[*StopError](p.Holds(tt.tokens, tt.cost))
		if stop == nil != (tt.want == "") || stop != nil && (stop.Reason != tt.want || !strings.Contains(stop.Error(), strings.ReplaceAll(string(tt.want), "_", "-"))) {
			t.Errorf("%+v, %d tokens for %d: %v, want %q", tt.c, tt.tokens, tt.cost, stop, tt.want)
		}
		if p.Lean() != tt.lean || (p.Closing() != nil) != tt.closing {
			t.Errorf("%+v: lean %v, closing %v", tt.c, p.Lean(), p.Closing())
		}
		if after := p.After(Usage{Tokens: 7, Cost: 7}); after.Session.Used.Tokens != 67 || after.Feature.Used.Cost != 5*Dollar+7 {
			t.Errorf("after: %+v", after)
		}
	}
}

// A reserved is a world whose agent asks its purse before each call, of 100
// tokens, and does what it is told at its calls, in order; then it does well.
type reserved struct {
	*world
	does  []string
	calls int
}

func (w *reserved) Work(ctx context.Context, t Task) (Claim, error) {
	if err := t.Purse.Holds(100, 0); err != nil {
		return Claim{}, err
	}
	w.calls++
	claim := Claim{Usage: Usage{Calls: 1, Tokens: 100}}
	if len(w.does) > 0 {
		w.tree[t.Feature.ID], w.does = w.does[0], w.does[1:]
		return claim, nil
	}
	w.tree[t.Feature.ID] = good(t.Feature)
	return claim, nil
}

func reserve(t *testing.T, c *choose.Chooser, features int, does ...string) (*reserved, func(LoopConfig) (State, LoopResult)) {
	w := &reserved{does: does, world: &world{t: t, c: c, read: &readings{}, space: space{features: features, attempts: 3, perSession: 9, outcomes: 1, chained: true}, clock: time.Unix(1e9, 0).UTC(), begun: map[string]int{}, meant: map[string]string{}}}
	w.remote.commits = map[string]commit{"base": {tree: tree{}}}
	w.remote.files, w.remote.over, w.remote.asked, w.remote.rotten = map[string][]byte{}, map[string]bool{}, map[int]int{}, map[string]bool{}
	return w, func(cfg LoopConfig) (State, LoopResult) {
		t.Helper()
		w.process = process{run: fmt.Sprint("r", len(w.remote.over))}
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		w.cancel = cancel
		cfg.MaxSessions, cfg.FeaturesPerSession, cfg.AttemptsPerFeature, cfg.RepairsPerAttempt = 9, 9, 3, 9
		cfg.Trigger, cfg.Grace, cfg.Continuation, cfg.Mode = ByClock, time.Minute, Auto, RunMode
		s := Session{
			Repo: w, Planner: w, Agent: w, Gates: w, Forge: w, Loop: "main", Fresh: "l1", Owner: Owner{Run: w.run, Attempt: 1}, Config: cfg,
			Now:    func() time.Time { w.clock = w.clock.Add(time.Second); return w.clock },
			Papers: func(State, LoopResult) Papers { return Papers{} },
		}
		res, err := s.Run(ctx)
		if err != nil {
			t.Fatal(err)
		}
		w.remote.over[w.run] = true
		return w.remote.truth, res
	}
}

// A feature that has taken what a feature may take waits for a person, and costs
// nothing more; another limit gives it its second chance.
func TestAFeatureTakesNoMoreThanItsBudget(t *testing.T) {
	for c := range choose.All() {
		w, run := reserve(t, c, 2, "wrong", "wrong", "wrong")
		st, res := run(LoopConfig{TokenBudget: 1e6, FeatureBudget: Cap{Tokens: 260}})
		f, _ := st.Feature("f0")
		if w.calls != 2 || f.Status != Quarantined || f.Attempts != 1 || st.Status != DoneWithExcept || *res.HandoffReason != Escalated ||
			!strings.Contains(f.Note, "the feature's budget is spent: the next call may take 100 tokens, 60 tokens of feature-budget are left") {
			t.Fatalf("%d calls, %s %+v", w.calls, st.Status, f.Progress)
		}
		serial := st.Serial
		if st, _ = run(LoopConfig{TokenBudget: 1e6, FeatureBudget: Cap{Tokens: 260}}); st.Serial != serial {
			t.Error("the same budget changed something")
		}
		if st, _ = run(LoopConfig{TokenBudget: 1e6, FeatureBudget: Cap{Tokens: 150}}); st.Serial != serial {
			t.Error("a lower budget changed something")
		}
		st, _ = run(LoopConfig{TokenBudget: 1e6, FeatureBudget: Cap{Tokens: 1000}})
		f, _ = st.Feature("f0")
		if st.Status != Done || w.calls != 5 || f.Over != nil || !f.SecondChance {
			t.Errorf("with a higher budget: %s after %d calls, %+v", st.Status, w.calls, f.Progress)
		}
	}
}

// A session that has taken what a session may take hands over, and the next one
// goes on with the same attempt.
func TestASessionTakesNoMoreThanItsBudget(t *testing.T) {
	for c := range choose.All() {
		w, run := reserve(t, c, 1, "wrong", "wrong", "wrong")
		cfg := LoopConfig{TokenBudget: 1e6, SessionBudget: Cap{Tokens: 260}}
		st, res := run(cfg)
		if w.calls != 2 || *res.HandoffReason != SessionBudget || res.Decision != Continue || st.Wip == nil || st.Wip.Repairs != 2 {
			t.Fatalf("%d calls, %s, %+v", w.calls, res.Decision, st.Wip)
		}
		st, _ = run(cfg)
		if f, _ := st.Feature("f0"); st.Status != Done || w.calls != 4 || f.Attempts != 1 {
			t.Errorf("%s after %d calls, %+v", st.Status, w.calls, f.Progress)
		}
	}
	// One that is too small for anything ends the loop, by what ends every loop that does not get on.
	for c := range choose.All() {
		_, run := reserve(t, c, 1)
		var reasons []Reason
		for range 3 {
			_, res := run(LoopConfig{TokenBudget: 1e6, SessionBudget: Cap{Tokens: 90}})
			reasons = append(reasons, *res.HandoffReason)
		}
		if diff := cmp.Diff([]Reason{SessionBudget, SessionBudget, NoProgress}, reasons); diff != "" {
			t.Error(diff)
		}
	}
}

// When 95 % of a budget are spent no phase is begun; a verdict on what there is
// still is, and the work is kept.
func TestNoPhaseIsBegunWhenABudgetIsNearlySpent(t *testing.T) {
	for c := range choose.All() {
		w, run := reserve(t, c, 1, "wrong", "wrong", "wrong")
		st, res := run(LoopConfig{TokenBudget: 2000 + 110, CostBudget: Dollar})
		_ = st
		if res.HandoffReason != nil || w.calls != 4 {
			t.Fatalf("%d calls, %+v", w.calls, res)
		}
	}
	for c := range choose.All() {
		w, run := reserve(t, c, 1, "wrong", "wrong", "wrong")
		st, res := run(LoopConfig{TokenBudget: 215}) // 10 for the list, and two calls; 5 are left
		if *res.HandoffReason != TokenBudget || w.calls != 2 || st.Wip == nil || st.Wip.Asked || st.Wip.Phase != Repair || !strings.Contains(res.Why, "5 tokens of token-budget are left, less than 5 %") {
			t.Fatalf("%d calls, %+v, %+v", w.calls, res, st.Wip)
		}
	}
}
