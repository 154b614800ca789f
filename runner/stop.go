package runner

import (
	"fmt"
	"time"
)

// A Reason says why a session ended with work remaining: handoff_reason.
type Reason string

// The reasons of a handoff.
const (
	ContextLimit       Reason = "context_limit"
	SessionTime        Reason = "session_time"
	TokenBudget        Reason = "token_budget"
	CostBudget         Reason = "cost_budget"
	FeaturesPerSession Reason = "features_per_session"
	RateLimit          Reason = "rate_limit"
	NoProgress         Reason = "no_progress"
	AwaitingApproval   Reason = "awaiting_approval"
	Paused             Reason = "paused"
	BlockedLoop        Reason = "blocked"
	Escalated          Reason = "escalated"
	Cancelled          Reason = "cancelled"
	StoppedByPerson    Reason = "stopped"
	Superseded         Reason = "superseded"
	MaxSessions        Reason = "max_sessions"
)

// A StopError says that the session cannot go on now, and why: the cause of a
// context that ended, or the error of an adapter that met a limit. It is not a
// failure of the feature at work.
type StopError struct {
	Reason Reason
	Err    error     // what happened, for people; may be nil
	Until  time.Time // when it may be tried again, if that is known
}

func (e *StopError) Error() string {
	s := string(e.Reason)
	if e.Err != nil {
		s = fmt.Sprintf("%s: %v", s, e.Err)
	}
	if !e.Until.IsZero() {
		s += " (until " + e.Until.UTC().Format(time.RFC3339) + ")"
	}
	return s
}

func (e *StopError) Unwrap() error { return e.Err }
