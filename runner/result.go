package runner

import "math"

// A LoopResult is what a session tells the world, cumulative over the loop.
type LoopResult struct {
	Success           bool    `json:"success"`
	FeaturesCompleted int     `json:"features_completed"`
	FeaturesTotal     int     `json:"features_total"`
	SessionsUsed      int     `json:"sessions_used"`
	TotalTokens       int64   `json:"total_tokens"`
	ErrorsRecovered   int     `json:"errors_recovered"`
	DurationMinutes   float64 `json:"duration_minutes"`
	HandoffReason     *Reason `json:"handoff_reason"` // null: every feature is complete

	Status      LoopStatus    `json:"status"`
	Decision    Decision      `json:"decision"`
	Why         string        `json:"why,omitempty"`
	CostDollars float64       `json:"cost_dollars"`
	Priced      bool          `json:"priced"` // false: CostDollars holds a high guess
	Tokens      TokensByKind  `json:"tokens"`
	Efficiency  Efficiency    `json:"efficiency"`
	Serial      int           `json:"serial"`
	Lineage     string        `json:"lineage"`
	Warnings    []string      `json:"warnings,omitempty"`
	Receipts    []ReceiptLine `json:"receipts,omitempty"`
}

// TokensByKind are the total tokens, which are Input and Output, by kind.
type TokensByKind struct {
	Input      int64 `json:"input"`
	Cached     int64 `json:"cached"`      // of Input
	CacheWrite int64 `json:"cache_write"` // of Input
	Output     int64 `json:"output"`
	Reasoning  int64 `json:"reasoning"` // of Output
	Estimated  int64 `json:"estimated"` // of both: not counted by the provider
}

// Efficiency is what the loop got for what it spent. What cannot be said yet is
// null.
type Efficiency struct {
	TokensPerFeature   *float64 `json:"tokens_per_feature"` // all tokens, over completed features
	CostPerFeature     *float64 `json:"cost_per_feature"`   // dollars
	FeaturesPerDollar  *float64 `json:"features_per_dollar"`
	ContextUtilization *float64 `json:"context_utilization"` // of the window, 0 to 1, at the end of phases on average
	CacheHitRate       *float64 `json:"cache_hit_rate"`      // of the input of which it is known, 0 to 1
}

// A ReceiptLine is one remote effect and what the forge answered.
type ReceiptLine struct {
	Key     string `json:"key"`
	Receipt string `json:"receipt"`
}

// Result sums up the loop as it stands. Deprecated features do not count.
func (st State) Result(d Decision) LoopResult {
	used := st.Spent.Usage
	r := LoopResult{
		SessionsUsed:    st.Spent.Sessions,
		TotalTokens:     used.Tokens,
		DurationMinutes: math.Round(st.Spent.Time.Minutes()*100) / 100,
		CostDollars:     used.Cost.Dollars(),
		Priced:          used.Calls > 0 && !used.Unpriced,
		Tokens: TokensByKind{
			Input: used.Input(), Cached: used.Cached, CacheWrite: used.CacheWrite,
			Output: used.Output, Reasoning: used.Reasoning, Estimated: used.Estimated,
		},
		Status:   st.Status,
		Decision: d,
		Why:      st.Why,
		Serial:   st.Serial,
		Lineage:  st.Lineage,
	}
	for _, f := range st.Features {
		switch f.Status {
		case Complete:
			r.FeaturesCompleted++
			r.FeaturesTotal++
			r.ErrorsRecovered += f.Failures + f.Crashes
		case Todo, SetAside, Quarantined:
			r.FeaturesTotal++
		case Deprecated:
		}
	}
	r.Efficiency = st.Spent.efficiency(r.FeaturesCompleted)
	r.Success = r.FeaturesTotal > 0 && r.FeaturesCompleted == r.FeaturesTotal
	if reason := st.Reason; reason != "" {
		r.HandoffReason = &reason
	}
	return r
}

// efficiency is what was got for what was spent. A feature's share of planning
// and of failed attempts at others is in it: that is what it cost to have it.
func (s Spent) efficiency(completed int) Efficiency {
	features := float64(completed)
	return Efficiency{
		TokensPerFeature:   ratio(float64(s.Tokens), features, 1),
		CostPerFeature:     ratio(s.Cost.Dollars(), features, 1e6),
		FeaturesPerDollar:  ratio(features, s.Cost.Dollars(), 1e4),
		ContextUtilization: ratio(float64(s.Filled)/1000, float64(s.Phases), 1e4),
		CacheHitRate:       ratio(float64(s.Cached), float64(s.known()), 1e4),
	}
}

// ratio is a/b, rounded to the inverse of grain; nil if there is none.
func ratio(a, b, grain float64) *float64 {
	if b == 0 {
		return nil
	}
	r := math.Round(a/b*grain) / grain
	return &r
}

// Dollars is m for people and for JSON; nothing is reckoned with it.
func (m Money) Dollars() float64 { return float64(m) / float64(Dollar) }
