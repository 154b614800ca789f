package runner

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Hold is the run, and the request, that a loop hangs on which no session owns
// any more, or whose owner is over.
type Hold struct {
	Owner     Owner
	Session   time.Duration // that a session may take: a run that took longer was ended by its time
	Due       time.Time     // when its job's time was up, which then decides instead; zero: not known
	Successor *Successor    // that was asked for; nil: none was
}

// cancelled says whether the run was told to end: then it asks for no successor,
// whatever the session had decided.
func (s *Session) cancelled() bool {
	select {
	case <-s.Cancelled:
		return true
	default:
		return false
	}
}

var errCancelled = &StopError{Reason: Cancelled, Err: errors.New("nobody is asked to go on")}

// yielded takes back the decision to go on, if the run was cancelled.
func (s *Session) yielded(e Ending, why string) (Ending, string) {
	if e.Decision != Continue || !s.cancelled() {
		return e, why
	}
	return Ending{Stop, Stopped, Cancelled}, errCancelled.says()
}

// revoke makes a loop stop whose session had decided to go on before its run was
// cancelled. A successor that was asked for already finds it stopped, and leaves.
func (s *Session) revoke(ctx context.Context, st State, res LoopResult) (LoopResult, error) {
	st, files := s.handing(st.ended(Ending{Stop, Stopped, Cancelled}, errCancelled.says(), s.Now()), Stop)
	st, err := s.save(ctx, st, fmt.Sprintf("end session %d: its run was cancelled", st.Spent.Sessions), files...)
	stopped := st.Result(Stop)
	stopped.Receipts, stopped.Warnings = res.Receipts, res.Warnings
	s.notify(st, Event{Step: string(Stop), Text: st.Why})
	return stopped, err
}

// Close ends what a session of this run left open that was told to end and then
// killed before it could: the second chance. What it saved last goes on as the
// same attempt. After a cancel that is once a person starts the loop, and it asks
// for no successor, ever; where the job's time was up (why is [SessionTime]) it
// does what the session would have done. It does nothing where the session had
// come to its end.
func (s *Session) Close(ctx context.Context, why Reason) (LoopResult, error) {
	found, err := s.Repo.Load(ctx)
	if err != nil {
		return LoopResult{}, fmt.Errorf("load the state: %w", err)
	}
	_, st, err := detect(found, s.Lineage, s.Config.AttemptsPerFeature)
	if err != nil {
		return s.leave(ctx, st, err)
	}
	if st.Status != Running && st.Status != AwaitingSuccessor || !st.lastBy(s.Owner) {
		return st.Result(Stop), nil
	}
	stop := &StopError{Reason: why, Err: errors.New("it was killed before it could say so; what was saved last is kept")}
	end, says, what := Ending{Stop, Stopped, Cancelled}, stop.says(), "its run was cancelled"
	if why != Cancelled {
		end, says, _ = s.Config.end(st, stop)
		what = "its job's time was up"
	}
	res := st.Result(end.Decision)
	if st.Status == Running || why == Cancelled {
		var files []File
		st, files = s.handing(st.ended(end, says, s.Now()), end.Decision)
		if st, err = s.save(ctx, st, fmt.Sprintf("end session %d: %s", st.Spent.Sessions, what), files...); err != nil {
			return s.leave(ctx, st, err)
		}
		s.notify(st, Event{Step: string(end.Decision), Text: st.Why})
		if st, res, err = s.report(ctx, st, end.Decision); err != nil {
			return res, err
		}
	}
	if st.Status == AwaitingSuccessor && s.Config.Mode == RunMode {
		if err := s.look(ctx, st); err != nil { // a person has stopped it meanwhile
			return s.leave(ctx, st, err)
		}
		err = s.ask(ctx, st, &res)
	}
	return res, err
}

// lastBy says whether the last session was that of o.
func (st State) lastBy(o Owner) bool {
	if n := len(st.Sessions); n > 0 {
		return st.Sessions[n-1].Run == o.Run && max(1, st.Sessions[n-1].Attempt) == max(1, o.Attempt)
	}
	return false
}

// wanted says that a person cancelled what would have gone on by itself, if so:
// neither a schedule nor an event goes on then. Whoever starts the loop by hand
// knows better, and a request was made by a session that nobody had cancelled.
func (s *Session) wanted(ctx context.Context, st State) error {
	asks := s.Config.Trigger == ByClock || s.Config.Trigger == ByEvent
	if n := len(st.Sessions); !asks || n == 0 || st.Status != Running && st.Status != AwaitingSuccessor {
		return nil
	}
	last := st.Sessions[len(st.Sessions)-1]
	hold := Hold{Owner: Owner{Run: last.Run, Attempt: last.Attempt, Claimed: last.Begun}, Session: s.Config.SessionTime, Due: last.Due}
	if st.Status == AwaitingSuccessor {
		hold.Successor = &Successor{Loop: st.Loop, Lineage: st.Lineage, Serial: st.Serial, Reason: st.Reason}
	}
	cancelled, err := s.Forge.Cancelled(ctx, hold)
	if err != nil {
		return fmt.Errorf("ask whether a person cancelled run %s: %w", last.Run, err)
	}
	if cancelled {
		return &openError{&StopError{Reason: Cancelled, Err: errors.New("a person cancelled what would have gone on; only a person starts the loop again")}}
	}
	return nil
}

// spun says that sessions died or completed nothing one after the other, so that
// only a person is to start another one.
func (s *Session) spun(st State) error {
	if st.Status != Running || st.Idle < IdleSessions || s.Config.Trigger == ByPerson {
		return nil
	}
	return &openError{&StopError{Reason: NoProgress, Err: fmt.Errorf("%d sessions in a row died or completed nothing; the last was of run %s%s", st.Idle, st.Sessions[len(st.Sessions)-1].Run, st.lastTried())}}
}

// lastTried says what the session was at that died, with a blank before it.
func (st State) lastTried() string {
	if st.Wip == nil {
		return ""
	}
	return fmt.Sprintf(", and was at %s of %s (attempt %d)", st.Wip.Phase, st.Wip.Feature, st.Wip.Attempt)
}

// An openError says that a loop has to stop whose last session cannot say so any
// more.
type openError struct{ stop *StopError }

func (e *openError) Error() string { return e.stop.Error() }
func (e *openError) Unwrap() error { return e.stop }

// shut writes down that a loop stops whose last session can no longer say so,
// and shows it to people. No session is claimed for it.
func (s *Session) shut(ctx context.Context, st State, stop *StopError) (LoopResult, error) {
	if stop.Reason != Cancelled {
		st = st.record(func(r *SessionRecord) { r.Crashed = true })
		if st.Wip != nil {
			st = st.crash(st.Wip.Feature, s.Config.AttemptsPerFeature)
		}
	}
	st, files := s.handing(st.ended(Ending{Stop, Stopped, stop.Reason}, stop.says(), s.Now()).calling(), Stop)
	st, err := s.save(ctx, st, fmt.Sprintf("stop after session %d: %s", st.Spent.Sessions, stop.Reason), files...)
	if err != nil {
		return st.Result(Stop), err
	}
	s.notify(st, Event{Step: string(Stop), Text: st.Why})
	_, res, err := s.report(ctx, st, Stop)
	return res, err
}
