package runner

import "fmt"

// A Purse is what may still be spent. Whoever calls a model reserves the most
// that the call can take before each request, so that nothing is charged beyond
// the purse but what a provider counts above the reservation.
type Purse struct {
	Tokens int64 // left of the loop's token budget
	Cost   Money // left of the cost budget
	Capped bool  // there is a cost budget

	Budget     int64 // the whole token budget; 0: not told
	CostBudget Money
}

// After is the purse when u was spent.
func (p Purse) After(u Usage) Purse {
	p.Tokens = max(0, p.Tokens-u.Tokens)
	p.Cost = max(0, p.Cost-u.Cost)
	return p
}

// Holds reserves a call of so many tokens that may cost so much: a [*StopError]
// says that the purse does not hold it.
func (p Purse) Holds(tokens int64, cost Money) error {
	if tokens > p.Tokens {
		return &StopError{Reason: TokenBudget, Err: fmt.Errorf("the next call may take %d tokens, %d are left", tokens, p.Tokens)}
	}
	if p.Capped && (p.Cost <= 0 || cost > p.Cost) {
		return &StopError{Reason: CostBudget, Err: fmt.Errorf("the next call may cost $%.4f, $%.4f are left", cost.Dollars(), p.Cost.Dollars())}
	}
	return nil
}

// leanAt is the part of a budget, in percent, from which on the loop saves.
const leanAt = 80

// Lean says that a budget is nearly spent, so that what is left is to be used
// sparingly: with smaller conversations, by a cheaper model if there is one.
func (p Purse) Lean() bool {
	return p.Budget > 0 && p.Tokens*100 <= p.Budget*(100-leanAt) ||
		p.Capped && p.CostBudget > 0 && p.Cost*100 <= p.CostBudget*(100-leanAt)
}

// affords says that a feature is not to be begun because the budget is nearly
// spent and the completed ones took more on average than what is left of it. One
// that is under way goes on.
func (p Purse) affords(st State) error {
	done := st.completed()
	if !p.Lean() || st.Wip != nil || len(done) == 0 {
		return nil
	}
	var all Usage
	for _, f := range done {
		all = all.Plus(f.Usage)
	}
	n := int64(len(done))
	if mean := all.Tokens / n; mean > p.Tokens {
		return &StopError{Reason: TokenBudget, Err: fmt.Errorf("%d tokens are left, and a feature has taken %d on average, so that none is begun", p.Tokens, mean)}
	}
	if mean := all.Cost / Money(n); p.Capped && mean > p.Cost {
		return &StopError{Reason: CostBudget, Err: fmt.Errorf("$%.2f are left, and a feature has cost $%.2f on average, so that none is begun", p.Cost.Dollars(), mean.Dollars())}
	}
	return nil
}
