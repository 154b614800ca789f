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
	Priced      bool          `json:"priced"`
	Serial      int           `json:"serial"`
	Lineage     string        `json:"lineage"`
	Warnings    []string      `json:"warnings,omitempty"`
	Receipts    []ReceiptLine `json:"receipts,omitempty"`
}

// A ReceiptLine is one remote effect and what the forge answered.
type ReceiptLine struct {
	Key     string `json:"key"`
	Receipt string `json:"receipt"`
}

// Result sums up the loop as it stands. Deprecated features do not count.
func (st State) Result(d Decision) LoopResult {
	r := LoopResult{
		SessionsUsed:    st.Spent.Sessions,
		TotalTokens:     st.Spent.Tokens,
		DurationMinutes: math.Round(st.Spent.Time.Minutes()*100) / 100,
		CostDollars:     float64(st.Spent.Cost) / float64(Dollar),
		Priced:          st.Spent.Priced,
		Status:          st.Status,
		Decision:        d,
		Why:             st.Why,
		Serial:          st.Serial,
		Lineage:         st.Lineage,
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
	r.Success = r.FeaturesTotal > 0 && r.FeaturesCompleted == r.FeaturesTotal
	if reason := st.Reason; reason != "" {
		r.HandoffReason = &reason
	}
	return r
}
