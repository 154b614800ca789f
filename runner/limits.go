package runner

import (
	"context"
	"errors"
	"time"
)

// LoopConfig bounds the loop. Main parses it; what is here is right.
type LoopConfig struct {
	MaxSessions        int   // claims, over the whole loop
	TokenBudget        int64 // tokens, over the whole loop
	CostBudget         Money // over the whole loop; 0: none
	AutoCheckpoint     bool  // save work in progress after every phase
	FeaturesPerSession int   // completed ones
	AttemptsPerFeature int   // over all sessions; one second chance comes on top
	RepairsPerAttempt  int
	ApproveFeatures    bool // a person sees the feature list before anything is built
	Continuation       Continuation
	Mode               Mode
	Trigger            Trigger
	Grace              time.Duration // for putting in order what a limit interrupted
}

// IdleSessions is how many sessions in a row may complete nothing before the
// loop stops and says so.
const IdleSessions = 3

// A Continuation says how the next session starts.
type Continuation string

// The continuations.
const (
	Auto      Continuation = "auto"      // this one asks for it
	Manual    Continuation = "manual"    // a person starts it
	Scheduled Continuation = "scheduled" // the next cron run picks it up
	Event     Continuation = "event"     // the next push or comment does
)

// A Mode is the part of a session that this process does.
type Mode string

// The modes.
const (
	RunMode      Mode = "run"      // the session, and the request for its successor
	SessionMode  Mode = "session"  // the session; a continue job asks for the successor
	ContinueMode Mode = "continue" // only the request
)

// A Trigger is what started this process.
type Trigger string

// The triggers.
const (
	ByPerson Trigger = "person"
	ByChain  Trigger = "chain" // a dispatch of the session before
	ByClock  Trigger = "schedule"
	ByEvent  Trigger = "event"
)

// purse is what may still be spent.
func (c LoopConfig) purse(st State) Purse {
	return Purse{
		Tokens: max(0, c.TokenBudget-st.Spent.Tokens),
		Cost:   max(0, c.CostBudget-st.Spent.Cost),
		Capped: c.CostBudget > 0,
	}
}

// reached says which limit the session has come to, "" if none: the CONTEXT
// CHECK. completed is how many features this session has completed.
func (c LoopConfig) reached(ctx context.Context, st State, completed int) Reason {
	p := c.purse(st)
	switch {
	case ctx.Err() != nil:
		return cause(ctx)
	case p.Tokens == 0:
		return TokenBudget
	case p.Capped && p.Cost == 0:
		return CostBudget
	case completed >= c.FeaturesPerSession:
		return FeaturesPerSession
	}
	return ""
}

// cause is the reason for which ctx ended.
func cause(ctx context.Context) Reason {
	if stop, ok := errors.AsType[*StopError](context.Cause(ctx)); ok {
		return stop.Reason
	}
	return Cancelled
}

// A Decision says what comes after a session.
type Decision string

// The decisions.
const (
	Continue Decision = "continue" // exactly one successor is asked for
	Wait     Decision = "wait"     // something outside starts the next session
	Stop     Decision = "stop"     // only a person does
)

// An Ending is how a session ends: what comes after it, and why.
type Ending struct {
	Decision Decision
	Status   LoopStatus
	Reason   Reason // "" when every feature is complete
}

// end decides how a session ends that came to limit, "" if it ran out of
// features to work on.
func (c LoopConfig) end(st State, limit Reason) Ending {
	switch _, more := st.Next(c.AttemptsPerFeature); {
	case len(st.Features) > 0 && !more && st.Result(Stop).Success:
		return Ending{Stop, Done, ""}
	case len(st.Features) > 0 && !more:
		return Ending{Stop, DoneWithExcept, Escalated}
	}
	switch limit {
	case ContextLimit, SessionTime, FeaturesPerSession:
		switch {
		case st.Spent.Sessions >= c.MaxSessions:
			return Ending{Stop, Stopped, MaxSessions}
		case st.Idle >= IdleSessions:
			return Ending{Stop, Stopped, NoProgress}
		case c.Continuation == Auto:
			return Ending{Continue, AwaitingSuccessor, limit}
		}
		return Ending{Wait, Waiting, limit}
	case RateLimit, AwaitingApproval, Paused:
		return Ending{Wait, Waiting, limit}
	case TokenBudget, CostBudget, NoProgress, BlockedLoop, Escalated, Cancelled, StoppedByPerson, Superseded, MaxSessions:
		return Ending{Stop, Stopped, limit}
	default:
		return Ending{Stop, Stopped, Cancelled}
	}
}
