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
	SessionBudget      Reason = "session_budget"
	FeatureBudget      Reason = "feature_budget" // ends an attempt, never a session
	RateLimit          Reason = "rate_limit"
	NoProgress         Reason = "no_progress"
	AwaitingApproval   Reason = "awaiting_approval"
	UnclearSpec        Reason = "unclear_spec"
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

// says is the reason in a sentence, for people.
func (e *StopError) says() string {
	s := sentences[e.Reason]
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if !e.Until.IsZero() {
		s += "; it may be tried again at " + e.Until.UTC().Format("15:04 MST on 2006-01-02")
	}
	return s
}

var sentences = map[Reason]string{
	ContextLimit:       "the conversation came close to what the model can hold",
	SessionTime:        "the session's time is up",
	TokenBudget:        "the token budget is spent",
	CostBudget:         "the cost budget is spent",
	FeaturesPerSession: "the session has completed as many features as it may",
	SessionBudget:      "the session's budget is spent",
	FeatureBudget:      "the feature's budget is spent",
	RateLimit:          "the model's provider asks to wait",
	NoProgress:         "the last sessions completed nothing",
	AwaitingApproval:   "the feature list waits for approval",
	UnclearSpec:        "the spec leaves too much open",
	Paused:             "something has to be mended first",
	BlockedLoop:        "nothing can be worked on",
	Escalated:          "the features that are left need a person",
	Cancelled:          "the run was cancelled",
	StoppedByPerson:    "a person stopped the loop",
	Superseded:         "another session is at work",
	MaxSessions:        "all sessions are used",
}

func (e *StopError) Unwrap() error { return e.Err }
