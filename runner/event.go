package runner

import "time"

// An Event is one transition of the loop. Events come in the order in which
// things happened: a log line, the progress bar and a report's timeline are
// made of them.
type Event struct {
	Time    time.Time `json:"time"`
	Session int       `json:"session"`
	Step    string    `json:"step"` // initialize, blind, merge, taken, beside, plan, planned, checkpoint, thrift, phase, stuck, left-out, refused, verdict, complete, demoted, rollback, request, continue, wait, stop
	Feature string    `json:"feature,omitempty"`
	Attempt int       `json:"attempt,omitempty"`
	Phase   Phase     `json:"phase,omitempty"`
	Repair  int       `json:"repair,omitempty"`
	Outcome Outcome   `json:"outcome,omitempty"`
	Text    string    `json:"text,omitempty"`
	Patch   []byte    `json:"-"` // of left-out

	Completed int   `json:"features_completed"`
	Total     int   `json:"features_total"`
	Tokens    int64 `json:"total_tokens"`
	Cost      Money `json:"cost_nanodollars"`
}

func (s *Session) notify(st State, e Event) {
	if s.Notify == nil {
		return
	}
	res := st.Result("")
	e.Time = s.Now()
	e.Session = st.Spent.Sessions
	e.Completed, e.Total = res.FeaturesCompleted, res.FeaturesTotal
	e.Tokens, e.Cost = st.Spent.Tokens, st.Spent.Cost
	s.Notify(e)
}
