package runner

import (
	"fmt"
	"slices"
)

// A Cap is the most that a part of the loop may take, in tokens or in dollars.
// The zero Cap is none.
type Cap struct {
	Tokens int64 `json:"tokens,omitempty"`
	Cost   Money `json:"cost_nanodollars,omitempty"`
}

func (c Cap) String() string {
	switch {
	case c.Cost > 0:
		return fmt.Sprintf("$%.2f", c.Cost.Dollars())
	case c.Tokens > 0:
		return fmt.Sprintf("%d tokens", c.Tokens)
	}
	return "no limit"
}

// spent says that nothing of the cap is left when u was used.
func (c Cap) spent(u Usage) bool {
	return c.Tokens > 0 && u.Tokens >= c.Tokens || c.Cost > 0 && u.Cost >= c.Cost
}

// A Purse is what may still be spent. Whoever calls a model reserves the most
// that the call can take before each request, so that nothing is charged beyond
// the purse but what a provider counts above the reservation.
type Purse struct {
	Tokens int64 // left of the loop's token budget
	Cost   Money // left of the cost budget
	Capped bool  // there is a cost budget

	Budget     int64 // the whole token budget; 0: not told
	CostBudget Money

	Session, Feature Allowance // what the session, and the feature at work, may take of it
}

// An Allowance is a part of a purse.
type Allowance struct {
	Cap
	Used Usage // of it
}

// After is the purse when u was spent.
func (p Purse) After(u Usage) Purse {
	p.Tokens = max(0, p.Tokens-u.Tokens)
	p.Cost = max(0, p.Cost-u.Cost)
	p.Session.Used = p.Session.Used.Plus(u)
	p.Feature.Used = p.Feature.Used.Plus(u)
	return p
}

// A rest is what is left of one budget, in tokens or in money.
type rest struct {
	reason Reason
	of     string // for people
	tokens bool
	left   int64
	whole  int64 // 0: not told
}

// rests are what is left of every budget there is. Of several that are met at
// once the first decides.
func (p Purse) rests() []rest {
	all := []rest{{TokenBudget, "token-budget", true, p.Tokens, p.Budget}}
	if p.Capped {
		all = append(all, rest{CostBudget, "cost-budget", false, int64(p.Cost), int64(p.CostBudget)})
	}
	for _, part := range []struct {
		Allowance
		reason Reason
		of     string
	}{{p.Session, SessionBudget, "session-budget"}, {p.Feature, FeatureBudget, "feature-budget"}} {
		if n := part.Cap.Tokens; n > 0 {
			all = append(all, rest{part.reason, part.of, true, max(0, n-part.Used.Tokens), n})
		}
		if n := part.Cap.Cost; n > 0 {
			all = append(all, rest{part.reason, part.of, false, int64(max(0, n-part.Used.Cost)), int64(n)})
		}
	}
	return all
}

// takes is the part of a call's price that counts for the rest.
func (r rest) takes(tokens int64, cost Money) int64 {
	if r.tokens {
		return tokens
	}
	return int64(cost)
}

// says is so much of the rest's budget, for people.
func (r rest) says(n int64) string {
	if r.tokens {
		return fmt.Sprintf("%d tokens", n)
	}
	return fmt.Sprintf("$%.4f", Money(n).Dollars())
}

// Holds reserves a call of so many tokens that may cost so much: a [*StopError]
// says which budget does not hold it.
func (p Purse) Holds(tokens int64, cost Money) error {
	for _, r := range p.rests() {
		if n := r.takes(tokens, cost); n > r.left || !r.tokens && r.left <= 0 {
			return &StopError{Reason: r.reason, Err: fmt.Errorf("the next call may take %s, %s of %s are left", r.says(n), r.says(r.left), r.of)}
		}
	}
	return nil
}

// Empty says that nothing more can be paid for.
func (p Purse) Empty() bool {
	return slices.ContainsFunc(p.rests(), func(r rest) bool { return r.left <= 0 })
}

// The parts of a budget, in percent, from which on the loop saves, and from which
// on what has been begun is only brought to an end.
const (
	leanAt  = 80
	closeAt = 95
)

// past says that a part of a budget is spent.
func (r rest) past(percent int64) bool {
	return r.whole > 0 && r.left*100 <= r.whole*(100-percent)
}

// Lean says that a budget is nearly spent, so that what is left is to be used
// sparingly: with smaller conversations, by a cheaper model if there is one.
func (p Purse) Lean() bool {
	return slices.ContainsFunc(p.rests(), func(r rest) bool { return r.past(leanAt) })
}

// Closing says that of a budget so little is left that no phase is begun any
// more, and the one under way is only brought to an end: a [*StopError] with the
// budget, nil if not. A verdict costs no tokens; a phase that is cut off by the
// last call would have none.
func (p Purse) Closing() error {
	for _, r := range p.rests() {
		if r.past(closeAt) {
			return &StopError{Reason: r.reason, Err: fmt.Errorf("%s of %s are left, less than %d %%", r.says(r.left), r.of, 100-closeAt)}
		}
	}
	return nil
}

// affords says that a feature is not to be begun because a budget is nearly
// spent and the completed ones took more on average than what is left of it. One
// that is under way goes on.
func (p Purse) affords(st State) error {
	done := st.completed()
	if st.Wip != nil || len(done) == 0 {
		return nil
	}
	var all Usage
	for _, f := range done {
		all = all.Plus(f.Usage)
	}
	n := int64(len(done))
	for _, r := range p.rests() {
		if mean := r.takes(all.Tokens/n, all.Cost/Money(n)); r.past(leanAt) && mean > r.left {
			return &StopError{Reason: r.reason, Err: fmt.Errorf("%s of %s are left, and a feature has taken %s on average, so that none is begun", r.says(r.left), r.of, r.says(mean))}
		}
	}
	return nil
}

// exhausted ends an attempt at a feature that has taken all that a feature may
// take. No attempt would come further: it waits for a person, as if it had lost
// its second chance.
func (st State) exhausted(id, why string, c Cap) State {
	return st.edit(id, func(f *Feature) {
		f.Status, f.Over = Quarantined, &c
		f.Note = legible(why, noteBytes)
	}).dropped()
}

// refilled gives a second chance to features that took all that a feature might
// take, where a person has changed how much that is, and some of it is left.
func (st State) refilled(c Cap) State {
	for _, f := range st.Features {
		if f.Status == Quarantined && f.Over != nil && *f.Over != c && !c.spent(f.counted()) {
			st = st.edit(f.ID, func(f *Feature) { f.Status, f.SecondChance, f.Over = SetAside, false, nil })
		}
	}
	return st
}

// counted is what of the feature's usage counts towards its budget: all since a
// person said last what it is to be.
func (f Feature) counted() Usage {
	return Usage{Tokens: max(0, f.Tokens-f.Before.Tokens), Cost: max(0, f.Cost-f.Before.Cost)}
}
