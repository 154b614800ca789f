package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A pulse saves the work in progress from time to time while the agent is at
// work, and while the gates judge it, so that a session that dies leaves what it
// had done. Nothing is pushed where nothing changed.
type pulse struct {
	s    *Session
	tree string    // that was saved last
	last time.Time // when it was looked at last

	mu    sync.Mutex
	brief *Brief // what the attempt has come to by now
}

// told takes what the attempt has come to.
func (p *pulse) told(b *Brief) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.brief = b.Bounded()
}

// beat begins to save. The context that it returns ends where the session has
// lost the loop to another one. The second result ends it, and gives the state
// after those that were saved meanwhile.
func (p *pulse) beat(ctx, tidy context.Context, st State, w Wip) (context.Context, func(State) State) {
	if p.s.Config.Beat == 0 || !p.s.Config.AutoCheckpoint {
		return ctx, func(st State) State { return st }
	}
	p.told(w.Brief)
	if snap, err := p.s.Repo.Draft(ctx, st.Work, "begin"); err == nil {
		p.tree = snap.Tree
	}
	p.last = p.s.Now()
	return p.beating(ctx, st, func(working context.Context, st State) (State, error) {
		message := fmt.Sprintf("%s: attempt %d, at work on %s", w.Feature, w.Attempt, w.Phase)
		snap, err := p.s.Repo.Draft(working, st.Work, message)
		if err != nil {
			return st, err
		}
		return p.keep(tidy, st, w, snap, message)
	})
}

// hold is beat for the time in which the gates judge a snapshot. The work tree
// stands still then: what it came to is saved when a minute has passed since the
// last look, if the gates take that long.
func (p *pulse) hold(ctx, tidy context.Context, st State, w Wip, snap Snapshot) (context.Context, func(State) State) {
	if p.last.IsZero() { // the phase was over in the session before, which saved it
		return ctx, func(st State) State { return st }
	}
	return p.beating(ctx, st, func(_ context.Context, st State) (State, error) {
		return p.keep(tidy, st, w, snap, fmt.Sprintf("%s: attempt %d, %s is judged", w.Feature, w.Attempt, w.Phase))
	})
}

// beating calls keep whenever it is time.
func (p *pulse) beating(ctx context.Context, st State, keep func(context.Context, State) (State, error)) (context.Context, func(State) State) {
	working, lose := context.WithCancelCause(ctx)
	var beating sync.WaitGroup
	over := make(chan struct{})
	beating.Go(func() {
		tick := time.NewTimer(p.s.Config.Beat - p.s.Now().Sub(p.last))
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-working.Done():
				return
			case <-tick.C:
			}
			p.last = p.s.Now()
			tick.Reset(p.s.Config.Beat)
			next, err := keep(working, st)
			if _, moved := errors.AsType[*MovedError](err); moved {
				lose(err)
				return
			}
			if err == nil || next.Serial > st.Serial { // else it is tried again
				st = next
			}
		}
	})
	return working, func(now State) State {
		close(over)
		beating.Wait()
		lose(nil)
		now.Serial, now.digest, now.Published = st.Serial, st.digest, st.Published
		now.theirs, now.adrift = st.theirs, st.adrift
		return now
	}
}

// keep makes a snapshot of the work tree the state's code, if it changed.
func (p *pulse) keep(tidy context.Context, st State, w Wip, snap Snapshot, message string) (State, error) {
	if snap.Tree == p.tree {
		return st, nil
	}
	p.mu.Lock()
	w.Commit, w.Brief = snap.Commit, p.brief
	p.mu.Unlock()
	st.Code, st.Wip = w.Commit, &w // no checkpoint: those of phases stay in the index
	st, err := p.s.save(tidy, st, message)
	if err == nil {
		p.tree = snap.Tree
	}
	return st, err
}

// account is what is known of an attempt whose session died, for the next one:
// its changes are gone from the tree.
func (w Wip) account() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the session died in the %s phase of attempt %d", w.Phase, w.Attempt)
	if w.Reason != "" {
		fmt.Fprintf(&b, ". The last verdict was %s: %s", w.Outcome, clean(w.Reason))
	}
	if w.Brief == nil {
		return b.String()
	}
	list := func(title string, all []string) {
		if len(all) > 0 {
			fmt.Fprintf(&b, ". %s: %s", title, clean(strings.Join(all, "; ")))
		}
	}
	list("It had changed", w.Brief.Files)
	list("It had decided", w.Brief.Decisions)
	list("It had open", w.Brief.Problems)
	list("It had met", w.Brief.Errors)
	return legible(b.String(), noteBytes)
}
