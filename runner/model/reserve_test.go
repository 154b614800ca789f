package model

import (
	"net/http"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A reply that is cut is charged, and asked for again only if the purse holds
// that as well, at the full price of all that it can take.
func TestEveryRequestIsReserved(t *testing.T) {
	full := runner.Money(1000*2000 + 1000*8000) // 1000 in, 1000 out, of test-model
	cut := stream(says("hel"), `{"choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":1000}}`)
	for name, tt := range map[string]struct {
		purse  *runner.Purse
		asked  int
		reason runner.Reason
	}{
		"no purse":                {nil, 3, ""},
		"enough":                  {&runner.Purse{Tokens: 6000, Cost: 3 * full, Capped: true}, 3, ""},
		"tokens for one, not two": {&runner.Purse{Tokens: 3999}, 1, runner.TokenBudget},
		"tokens for two":          {&runner.Purse{Tokens: 5999}, 2, runner.TokenBudget},
		"tokens for none":         {&runner.Purse{Tokens: 1999}, 0, runner.TokenBudget},
		"money for one, not two":  {&runner.Purse{Tokens: 1e9, Cost: 2*full - 1, Capped: true}, 1, runner.CostBudget},
		"money for none":          {&runner.Purse{Tokens: 1e9, Cost: full - 1, Capped: true}, 0, runner.CostBudget},
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, cut, cut, good())
			r := question1
			r.Tokens, r.MaxOut, r.Purse = 1000, 1000, tt.purse
			got, err := open(t, p.URL).Complete(t.Context(), r)
			if p.asked() != tt.asked || (err == nil) != (tt.reason == "") {
				t.Fatalf("asked %d times, %v", p.asked(), err)
			}
			if err != nil {
				stopped(t, err, tt.reason)
				if tt.asked > 0 && (got.Usage.Tokens > tt.purse.Tokens || tt.purse.Capped && got.Usage.Cost > tt.purse.Cost) {
					t.Errorf("used %+v of %+v", got.Usage, *tt.purse)
				}
			}
		})
	}
}

// A model that takes over finds what the one before has left of the purse.
func TestFallbackSharesThePurse(t *testing.T) {
	var asked []string
	cut := stream(says("hel"), `{"choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":1000}}`)
	c, _ := chained(t, at(t, byModel(&asked, map[string]http.HandlerFunc{"main": cut, "second": good()})), nil, "main", "second")
	r := question1
	r.Tokens, r.MaxOut, r.Purse = 1000, 1000, &runner.Purse{Tokens: 9999}
	got, err := c.Complete(t.Context(), r)
	stopped(t, err, runner.TokenBudget)
	if len(asked) != 4 || got.Usage.Tokens != 8000 {
		t.Errorf("asked %v, used %+v", asked, got.Usage)
	}
}
