package runner

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// LoopConfig bounds the loop. Main parses it; what is here is right.
type LoopConfig struct {
	MaxSessions        int   // claims, over the whole loop
	TokenBudget        int64 // tokens, over the whole loop
	CostBudget         Money // over the whole loop; 0: none
	SessionBudget      Cap   // of one session
	FeatureBudget      Cap   // of one feature, over all sessions
	AutoCheckpoint     bool  // save work in progress after every phase
	FeaturesPerSession int   // completed ones
	AttemptsPerFeature int   // over all sessions; one second chance comes on top
	RepairsPerAttempt  int
	TestFirst          bool // an attempt begins with the tests phase
	ApproveFeatures    bool // a person sees the feature list before anything is built
	Continuation       Continuation
	Mode               Mode
	Trigger            Trigger
	Grace              time.Duration // for putting in order what a limit interrupted
	Look               time.Duration // between two looks whether a person has stopped the loop; 0: only before and after the work
	SessionTime        time.Duration // that a session may take
	Due                time.Time     // when the forge ends this session's job; zero: not known
	Beat               time.Duration // between two savings of the work in progress while the agent is at work; 0: only after phases
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
	OnEvent   Continuation = "event"     // the next push or comment does
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

// purse is what may still be spent, by the session at work and on the feature
// at work, if there are such.
func (c LoopConfig) purse(st State) Purse {
	p := Purse{
		Tokens: max(0, c.TokenBudget-st.Spent.Tokens),
		Cost:   max(0, c.CostBudget-st.Spent.Cost),
		Capped: c.CostBudget > 0,
		Budget: c.TokenBudget, CostBudget: c.CostBudget,
	}
	if n := len(st.Sessions); n > 0 {
		p.Session = Allowance{c.SessionBudget, st.Sessions[n-1].Usage}
	}
	if st.Wip != nil {
		f, _ := st.Feature(st.Wip.Feature)
		p.Feature = Allowance{c.FeatureBudget, f.counted()}
	}
	return p
}

// first is the phase that an attempt begins with.
func (c LoopConfig) first() Phase {
	if c.TestFirst {
		return Tests
	}
	return Implement
}

// mayAsk says that the provider asked to wait, and it is not time yet. A person
// who starts the loop before that may know better: they may have changed the
// model, or the key.
func (c LoopConfig) mayAsk(st State, now time.Time) error {
	if c.Trigger == ByPerson || !now.Before(st.Until) {
		return nil
	}
	return &StopError{Reason: RateLimit, Err: errors.New("no model is asked before that, unless a person starts the loop"), Until: st.Until}
}

// awaits says that the loop waits for something else than what started this
// run. A session that died waits for nothing: whoever comes goes on.
func (c LoopConfig) awaits(st State) error {
	limit := st.Reason == ContextLimit || st.Reason == SessionTime || st.Reason == FeaturesPerSession
	if st.Status != Waiting || !limit || c.Trigger == ByPerson || c.Trigger == ByChain {
		return nil
	}
	switch by := fmt.Errorf("continuation is %s: what started this run does not start a session", c.Continuation); {
	case c.Continuation == Manual, c.Continuation == Scheduled && c.Trigger != ByClock, c.Continuation == OnEvent && c.Trigger != ByEvent:
		return &StopError{Reason: st.Reason, Err: by}
	}
	return nil
}

// sessionsLeft says that the loop has used up its sessions, if so.
func (c LoopConfig) sessionsLeft(st State) error {
	if st.Spent.Sessions < c.MaxSessions {
		return nil
	}
	return &StopError{Reason: MaxSessions, Err: fmt.Errorf("all %d sessions are used; raise max-sessions to go on", c.MaxSessions)}
}

// reached is the CONTEXT CHECK: a [*StopError] with the limit that the session
// has come to, nil if none. completed is how many features it has completed.
func (c LoopConfig) reached(ctx context.Context, st State, completed int) error {
	p := c.purse(st)
	p.Feature = Allowance{} // what it says ends the attempt
	switch {
	case ctx.Err() != nil:
		stop := cause(ctx)
		return &stop
	case p.Tokens == 0:
		return &StopError{Reason: TokenBudget, Err: fmt.Errorf("all %d tokens are spent", c.TokenBudget)}
	case p.Capped && p.Cost == 0:
		return &StopError{Reason: CostBudget, Err: fmt.Errorf("all of $%.2f is spent", c.CostBudget.Dollars())}
	case completed >= c.FeaturesPerSession:
		return &StopError{Reason: FeaturesPerSession}
	}
	if err := p.Closing(); err != nil {
		return err
	}
	return p.affords(st)
}

// cause is the reason for which ctx ended.
func cause(ctx context.Context) StopError {
	if stop, ok := errors.AsType[*StopError](context.Cause(ctx)); ok {
		return *stop
	}
	return StopError{Reason: Cancelled}
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

// end decides how a session ends that was stopped by err, nil if it ran out of
// features to work on. An error that is no limit is a failure of the machinery:
// the loop waits for somebody to mend it, and the failure is given back. So is
// what pauses the loop, such as a key that is refused: without a person it
// cannot go on.
func (c LoopConfig) end(st State, err error) (e Ending, why string, failure error) {
	limit := Paused
	if stop, ok := errors.AsType[*StopError](err); ok {
		if limit, why = stop.Reason, stop.says(); limit == Paused {
			failure = err
		}
	} else if err != nil {
		failure, why = err, err.Error()
	}
	if _, more := st.Next(c.AttemptsPerFeature); !more && len(st.Features) > 0 {
		if st.Result(Stop).Success {
			return Ending{Stop, Done, ""}, "every feature is complete", failure
		}
		return Ending{Stop, DoneWithExcept, Escalated}, "the features that are left need a person", failure
	}
	switch limit {
	case ContextLimit, SessionTime, FeaturesPerSession, SessionBudget, FeatureBudget:
		switch {
		case st.Spent.Sessions >= c.MaxSessions:
			e, why = Ending{Stop, Stopped, MaxSessions}, fmt.Sprintf("all %d sessions are used", c.MaxSessions)
		case st.Idle >= IdleSessions:
			e, why = Ending{Stop, Stopped, NoProgress}, fmt.Sprintf("%d sessions in a row completed nothing", st.Idle)
		case c.Continuation == Auto:
			e = Ending{Continue, AwaitingSuccessor, limit}
		default:
			e = Ending{Wait, Waiting, limit}
		}
	case RateLimit, AwaitingApproval, UnclearSpec, Paused:
		e = Ending{Wait, Waiting, limit}
	case TokenBudget, CostBudget, NoProgress, BlockedLoop, Escalated, Cancelled, StoppedByPerson, Superseded, MaxSessions:
		e = Ending{Stop, Stopped, limit}
	}
	return e, why, failure
}
