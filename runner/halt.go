package runner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A Halt is how a person stopped the loop.
type Halt struct {
	Why     string // who stopped it, and how; "": nobody has
	Command string // the command that did it, which a person's start overrules; "": it was none
}

// A haltError is a [Halt] as the reason of a stop.
type haltError struct{ Halt }

func (e *haltError) Error() string { return e.Why }

// halted asks whether a person has stopped the loop: by what the forge shows, or
// by deleting one of its branches. That it cannot be asked stops nothing, or a
// moment without network would; it is told, and asked again.
func (s *Session) halted(ctx context.Context, st State) (Halt, error) {
	h, err := s.Forge.Stopped(ctx, st)
	if h.Why != "" {
		return h, err
	}
	branch, goneErr := s.Repo.Gone(ctx)
	if branch != "" {
		h.Why = fmt.Sprintf("the branch %s was deleted", branch)
	}
	return h, errors.Join(err, goneErr)
}

// look is halted as a limit: nil, or a [*StopError].
func (s *Session) look(ctx context.Context, st State) error {
	h, err := s.halted(ctx, st)
	if err != nil && ctx.Err() == nil {
		s.notify(st, Event{Step: "blind", Text: fmt.Sprintf("it cannot be seen whether a person has stopped the loop: %v", err)})
	}
	if h.Why == "" {
		return nil
	}
	return &StopError{Reason: StoppedByPerson, Err: &haltError{h}}
}

// overruled is the state that a session claims. A person who starts the loop
// knows of the commands before; what else stops it they have to take back first,
// and until then a loop that was stopped is not claimed again.
func (s *Session) overruled(ctx context.Context, st State) (State, error) {
	if s.Config.Trigger == ByPerson {
		// A handful of commands is overruled; who writes more is not understood.
		for range 10 {
			h, err := s.Forge.Stopped(ctx, st)
			if err != nil || h.Command == "" {
				break
			}
			st = st.effect(commandKey, h.Command)
		}
	}
	if st.Status != Stopped && st.Serial > 0 {
		return st, nil // its end is to be told, which takes a claim
	}
	return st, s.look(ctx, st)
}

// commandKey is the key of the last command that was obeyed or overruled.
const commandKey = "command"

// obeyed remembers the command that stopped the loop, if one did.
func (st State) obeyed(err error) State {
	if h, ok := errors.AsType[*haltError](err); ok && h.Command != "" {
		return st.effect(commandKey, h.Command)
	}
	return st
}

// watch looks now, and then again and again until the second result is called,
// whether a person has stopped the loop. As soon as one has, the context that it
// returns is over: no model is called any more.
func (s *Session) watch(ctx context.Context, st State) (context.Context, func()) {
	ctx, stop := context.WithCancelCause(ctx)
	if err := s.look(ctx, st); err != nil {
		stop(err)
	}
	var watching sync.WaitGroup
	if s.Config.Look > 0 {
		watching.Go(func() {
			tick := time.NewTicker(s.Config.Look)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				if err := s.look(ctx, st); err != nil {
					stop(err)
				}
			}
		})
	}
	return ctx, func() {
		stop(context.Canceled)
		watching.Wait()
	}
}
