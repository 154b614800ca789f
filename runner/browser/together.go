package browser

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner/check"
)

// What is asserted in a row, with nothing done in between, must hold together.
// Each assertion waits for what it wants; a page that changes by itself could
// satisfy one after the other what can never be so at once, and an acceptance
// that contradicts itself would pass.

// standing are the assertions about the page as it stands.
var standing = []string{"assert_url", "assert_title", "assert_text", "assert_visible", "assert_hidden", "assert_count", "assert_value", "assert_attr"}

func stands(st check.Step) bool { return slices.Contains(standing, st.Action) }

// idle says whether st leaves the page alone and waits for nothing.
func idle(st check.Step) bool {
	return slices.Contains([]string{"assert_no_console_errors", "assert_response", "screenshot", "dialog", "allow_console_errors"}, st.Action)
}

const (
	sweeps   = 3                      // looks at all that was asserted in a row
	between  = 40 * time.Millisecond  // two of them
	settling = 400 * time.Millisecond // for a page that was just being drawn anew
)

// A row is what was asserted with nothing done in between.
type row struct {
	steps  []check.Step
	waited bool // for one of them, the first aside: to assert them was no sweep
}

// goesOn adds st to the row if it is an assertion, and says whether it held at
// once, so that nobody has to wait for it.
func (a *row) goesOn(ctx context.Context, r *run, st check.Step) bool {
	if !stands(st) {
		return false
	}
	a.steps = append(a.steps, st)
	if len(a.steps) == 1 {
		return false
	}
	held := r.ask(ctx, st) == nil
	a.waited = a.waited || !held
	return held
}

// together looks again at assertions that have each held, without waiting for
// any of them.
func (r *run) together(ctx context.Context, a row) error {
	if len(a.steps) < 2 { // one alone contradicts nothing
		return nil
	}
	made := 0
	if !a.waited {
		made = 1 // they held one right after the other
	}
	err := r.sweep(ctx, a.steps, made)
	if _, unsteady := errors.AsType[*fault](err); !unsteady {
		return err
	}
	if pause(ctx, settling) {
		err = r.sweep(ctx, a.steps, 0)
	}
	return err
}

// sweep makes the looks at steps that have not been made yet.
func (r *run) sweep(ctx context.Context, steps []check.Step, made int) error {
	for i := made; i < sweeps; i++ {
		if i > 0 && !pause(ctx, between) {
			return context.Cause(ctx)
		}
		for _, st := range steps {
			err := r.ask(ctx, st)
			if f, ok := errors.AsType[*fault](err); ok {
				return faultf("%s held, and does not hold any more after %s, though nothing was done in between: "+
					"what is asserted in a row must hold together (%s)", label(st), label(steps[len(steps)-1]), f.text)
			}
			if err != nil {
				return &stepError{label(st), err}
			}
		}
	}
	return nil
}

// ask says whether an assertion holds now.
func (r *run) ask(ctx context.Context, st check.Step) error {
	a, _ := find(st.Action)
	_, err := use(ctx, r.session, r.limits.Action+r.limits.Answer, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, a.do(ctx, r, st, time.Nanosecond)
	})
	return err
}

// pause waits for d and says whether it could.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
