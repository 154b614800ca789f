package runner

import (
	"errors"
	"strings"
	"testing"
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
		"tokens, and not enough":          {Usage{Tokens: 800}, []Feature{one(100, 1), one(302, 1)}, false, true, "200 tokens are left, and a feature has taken 201 on average"},
		"tokens, and a feature under way": {Usage{Tokens: 800}, []Feature{one(500, 1)}, true, true, ""},
		"tokens, and nothing to go by":    {Usage{Tokens: 900}, nil, false, true, ""},
		"money, and enough":               {Usage{Tokens: 1, Cost: 8 * Dollar}, []Feature{one(1, 2*Dollar)}, false, true, ""},
		"money, and not enough":           {Usage{Tokens: 1, Cost: 8 * Dollar}, []Feature{one(1, 3*Dollar)}, false, true, "$2.00 are left, and a feature has cost $3.00 on average"},
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
