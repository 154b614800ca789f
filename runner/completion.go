package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

var (
	errFinished = errors.New("nothing is left to do")
	errDown     = errors.New("no model can be asked") // see Session.Down
)

// save numbers the state, chains it to the one before, and makes it and files
// the next transaction: the only way in which anything is remembered.
func (s *Session) save(ctx context.Context, st State, message string, files ...File) (State, error) {
	st = st.timed(s.Now())
	if s.Health != nil {
		st.Models = s.Health()
	}
	if s.Known != nil {
		st.Endpoints = s.Known()
	}
	return s.put(ctx, st, message, files...)
}

// put is save without a session's time and health: a person has none.
func (s *Session) put(ctx context.Context, st State, message string, files ...File) (State, error) {
	next := st
	next.Serial++
	next.Prev = st.digest
	state, list, err := Encode(next)
	if err != nil {
		return st, err
	}
	// What a transaction was to hold that could not be saved goes into the next
	// one: its state does, too, and speaks of these files.
	files = append(slices.Clip(s.owed), files...)
	tx := Transaction{
		State: state, List: list, Code: next.Code, Work: next.tip(), Files: files,
		Message: fmt.Sprintf("%s\n\nLoop-Lineage: %s\nLoop-Serial: %d\nLoop-Epoch: %d\nLoop-State: %s\n", message, next.Lineage, next.Serial, next.Epoch, Hash(state)),
	}
	err = s.Repo.Save(ctx, tx)
	beside, aside := errors.AsType[*WorkError](err)
	if err != nil && !aside {
		s.owed = files
		return st, fmt.Errorf("save transaction %d (%s): %w", next.Serial, message, err)
	}
	s.owed = nil
	next.digest = Hash(state)
	if next.theirs == "" && !next.adrift && !aside {
		next.Published = tx.Work
	}
	s.saved = next
	if aside {
		next, err = s.beside(next, beside)
		s.saved = next
		return next, err
	}
	return next, nil
}

// leave ends a session that does not own the loop: nothing is written.
func (s *Session) leave(ctx context.Context, st State, err error) (LoopResult, error) {
	if errors.Is(err, errFinished) {
		_, res, err := s.report(ctx, st, Stop) // heals a comment that was lost
		s.notify(st, Event{Step: string(Stop), Text: st.Why})
		return res, err
	}
	if unclear, ok := errors.AsType[*UnclearError](err); ok {
		return s.question(ctx, st, unclear)
	}
	if open, ok := errors.AsType[*openError](err); ok && s.Config.Mode != ContinueMode {
		return s.shut(ctx, st, open.stop)
	}
	e := Ending{Stop, st.Status, ""}
	var failure error
	stop, limit := errors.AsType[*StopError](err)
	gone, moved := errors.AsType[*MovedError](err)
	state, untouchable := errors.AsType[*StateError](err)
	switch {
	case moved && gone.Have == "":
		stop = &StopError{Reason: StoppedByPerson, Err: errors.New("the state branch was deleted")}
	case moved && gone.Foreign != "":
		failure = s.rescued(ctx, st, &StateError{Interfered, fmt.Errorf("somebody else changed the state branch while this session was at work: %s", gone.Foreign)})
		stop = &StopError{Reason: Paused, Err: failure}
	case moved:
		stop = &StopError{Reason: Superseded, Err: err}
	case untouchable:
		failure = s.rescued(ctx, st, state)
		stop = &StopError{Reason: state.reason(), Err: failure}
	case !limit:
		failure = err
		stop = &StopError{Reason: Paused, Err: err}
	case stop.Reason == Paused:
		failure = err
	}
	if stop.Reason == Paused || !stop.Until.IsZero() || st.Status == Waiting {
		e.Decision = Wait
	}
	st.Reason, st.Why = stop.Reason, stop.says()
	s.notify(st, Event{Step: string(e.Decision), Text: st.Why})
	return st.Result(e.Decision), failure
}

// postpone ends a session for which no model is up. It claims nothing and counts
// for nothing; but where a time is known at which one may be up again, and there
// is a loop that it can be kept with, that is kept, and runs before it ask nobody.
func (s *Session) postpone(ctx context.Context, st State) (LoopResult, error) {
	stop, ok := errors.AsType[*StopError](s.Down)
	if !ok || stop.Until.IsZero() || st.Serial == 0 || st.Status == Running {
		return s.leave(ctx, st, s.Down)
	}
	if st.Status == AwaitingSuccessor {
		st = st.effect(DispatchKey(st.Serial), s.Owner.Run)
	}
	st.Owner, st.Status, st.Reason, st.Why = nil, Waiting, stop.Reason, legible(stop.says(), noteBytes)
	st, err := s.save(ctx, st.held(stop), "no model is up: wait", s.Papers(st, st.Result(Wait)).State...)
	if err != nil {
		return s.leave(ctx, st, err)
	}
	st, res, err := s.report(ctx, st, Wait)
	s.notify(st, Event{Step: string(Wait), Text: st.Why})
	if stop.Reason == Paused {
		err = errors.Join(s.Down, err)
	}
	return res, err
}

// report uploads what people may want to read, then makes the forge say where
// the loop stands. What cannot be said costs a warning, never the loop.
// Receipts ride in one more transaction where there are new ones. Of the papers
// that were saved the artifact has the same.
func (s *Session) report(ctx context.Context, st State, d Decision, saved ...File) (State, LoopResult, error) {
	res := st.Result(d)
	if files := as(saved, s.Papers(st, res).Upload); len(files) > 0 {
		name := artifactName(st, s.Owner)
		id, err := s.Forge.Upload(ctx, name, files)
		if err != nil {
			res.Warnings = append(res.Warnings, fmt.Sprintf("the artifact was not uploaded: %v", err))
		} else {
			res.Receipts = append(res.Receipts, ReceiptLine{"artifact:" + name, id})
		}
	}
	receipts, err := s.Forge.Report(ctx, Report{State: st, Result: res, Files: s.Papers(st, res).Report})
	if err != nil {
		res.Warnings = append(res.Warnings, fmt.Sprintf("the report could not be posted: %v", err))
	}
	res.Warnings = append(res.Warnings, receipts.Warnings...)
	known := st
	for _, key := range slices.Sorted(maps.Keys(receipts.Keys)) {
		res.Receipts = append(res.Receipts, ReceiptLine{key, receipts.Keys[key]})
		if known.Effects[key] != receipts.Keys[key] {
			known = known.effect(key, receipts.Keys[key])
		}
	}
	if len(known.Effects) == len(st.Effects) && maps.Equal(known.Effects, st.Effects) {
		return st, res, nil
	}
	if st, err = s.save(ctx, known, "keep receipts"); err != nil {
		return st, res, err
	}
	res.Serial = st.Serial
	return st, res, nil
}

// ask requests the one successor of the state's transaction.
func (s *Session) ask(ctx context.Context, st State, res *LoopResult) error {
	receipt, err := s.Forge.Continue(ctx, Successor{Loop: st.Loop, Lineage: st.Lineage, Serial: st.Serial, Reason: st.Reason})
	if err != nil {
		return fmt.Errorf("request the next session: %w", err)
	}
	res.Receipts = append(res.Receipts, ReceiptLine{DispatchKey(st.Serial), receipt})
	s.notify(st, Event{Step: "request", Text: receipt})
	return nil
}

// Continue requests the successor of a session whose job is over: the second
// job of the two-job form, which never meets a model. A session that died
// without a word has a successor too, as long as sessions are left and they do
// not die one after the other.
func (s *Session) Continue(ctx context.Context) (LoopResult, error) {
	found, err := s.Repo.Load(ctx)
	if err != nil {
		return LoopResult{}, fmt.Errorf("load the state: %w", err)
	}
	kind, st, err := detect(found, s.Lineage, s.Config.AttemptsPerFeature)
	s.notify(st, Event{Step: "initialize", Text: string(kind)})
	if err != nil {
		return s.leave(ctx, st, err)
	}
	if kind != Resume {
		return st.Result(Stop), nil
	}
	res := st.Result(Wait)
	if s.Config.Continuation != Auto {
		return res, nil
	}
	switch st.Status {
	case AwaitingSuccessor:
	case Running:
		// The session job comes before this one in the same run, so it is over
		// even though the run is not.
		ours := st.Owner != nil && st.Owner.Run == s.Owner.Run && st.Owner.Attempt == s.Owner.Attempt
		if !ours {
			err = s.free(ctx, st)
		}
		if err == nil && st.Idle >= IdleSessions {
			err = &StopError{Reason: NoProgress, Err: fmt.Errorf("%d sessions in a row died or completed nothing", st.Idle)}
		}
		if err == nil {
			err = s.Config.sessionsLeft(st)
		}
		if err != nil {
			return s.leave(ctx, st, err)
		}
	case Waiting, Stopped, Done, DoneWithExcept:
		return res, nil
	}
	if err := s.look(ctx, st); err != nil {
		return s.leave(ctx, st, err)
	}
	res.Decision = Continue
	return res, s.ask(ctx, st, &res)
}

// DispatchKey is the natural key of the request for the successor of the
// transaction with this serial.
func DispatchKey(serial int) string { return fmt.Sprintf("dispatch:%d", serial) }

func artifactName(st State, o Owner) string {
	return fmt.Sprintf("%s-%d-%s-%d", st.Loop, st.Serial, o.Run, o.Attempt)
}
