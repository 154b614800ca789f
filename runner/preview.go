package runner

import (
	"context"
	"errors"
	"fmt"
)

// An Outlook is what a session would do if it were run now.
type Outlook struct {
	State   State   // as the session would have it before its first attempt
	Planned bool    // the feature list was drawn up, or changed, for this outlook and is not kept
	Next    Feature // that it would work on; without an id: none
	Attempt int     // at it
	Why     string  // it would end at once, and why; "": it would not

	Questions []string // that it would ask first, and begin nothing
}

// Preview says what Run would do, and does none of it: nothing is saved,
// reported or asked for. Where there is no feature list yet one is drawn up,
// which takes tokens, and is forgotten. What would keep Run from the loop's
// branches is the same error here.
func (s *Session) Preview(ctx context.Context) (Outlook, error) {
	st, err := s.find(ctx)
	o := Outlook{State: st}
	if stop, ok := errors.AsType[*StopError](err); ok {
		o.Why = stop.says()
		return o, nil
	}
	if unclear, ok := errors.AsType[*UnclearError](err); ok {
		o.Why, o.Questions = sentences[UnclearSpec], unclear.Questions
		return o, nil
	}
	if errors.Is(err, errFinished) {
		o.Why = err.Error()
		return o, nil
	}
	if err != nil {
		return o, err
	}
	if s.Down != nil && s.asks(st) {
		if stop, ok := errors.AsType[*StopError](s.Down); ok {
			o.Why = stop.says()
			return o, nil
		}
		return o, s.Down
	}
	o.State = st.claimed(s.Owner, s.Config)
	if len(st.Features) == 0 || s.changed(st) {
		rows, usage, err := s.Planner.Plan(ctx, st.Features, s.Config.purse(st))
		if err != nil {
			return o, fmt.Errorf("draw up the feature list: %w", err)
		}
		o.State, o.Planned = o.State.charged("", usage), true
		if len(st.Features) == 0 {
			o.State = o.State.planned(rows, s.Spec)
		} else {
			o.State.Approved = o.State.Approved && !s.plans(st)
			o.State = o.State.Resynced(rows, s.Spec)
		}
	}
	switch f, more := o.State.Next(s.Config.AttemptsPerFeature); {
	case !more:
		o.Why = "no feature is left to work on"
	case s.Config.ApproveFeatures && !o.State.Approved:
		o.Why = sentences[AwaitingApproval]
	default:
		if err := s.Config.reached(ctx, o.State, 0); err != nil {
			o.Why = err.Error()
			return o, nil //nolint:nilerr // that a limit is reached is what was asked
		}
		o.Next, o.Attempt = f, f.Attempts+1
		if w := o.State.Wip; w != nil {
			o.Attempt = w.Attempt
		}
	}
	return o, nil
}
