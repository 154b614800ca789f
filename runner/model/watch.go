package model

import (
	"context"
	"time"
)

// A watcher ends a request's context when nothing arrives for too long, or when
// the whole takes too long: an endpoint that sends a byte a minute would else
// keep a session until its job is ended.
type watcher struct {
	cancel context.CancelCauseFunc
	silent *time.Timer
	long   *time.Timer
	idle   time.Duration
	late   time.Duration // for the usage, when the reply is complete
	ending bool
}

// closing is how long the end of a stream is waited for at most. The reply is
// there; only the connection's next use is at stake.
const closing = time.Second

// watch returns a context that ends with errSilent when nothing arrives first or
// between, and with errLong after the whole time.
func watch(ctx context.Context, first, idle, whole, late time.Duration) (context.Context, *watcher) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &watcher{
		cancel: cancel, idle: idle, late: late,
		silent: time.AfterFunc(first, func() { cancel(errSilent) }),
		long:   time.AfterFunc(whole, func() { cancel(errLong) }),
	}
}

// seen says that something arrived.
func (w *watcher) seen() {
	if !w.ending {
		w.silent.Reset(w.idle)
	}
}

// complete says that the reply is there: what still comes, the usage, is waited
// for a little only.
func (w *watcher) complete() {
	if !w.ending {
		w.ending = true
		w.silent.Reset(w.late)
	}
}

// closes says that nothing more is wanted.
func (w *watcher) closes() {
	w.ending = true
	w.silent.Reset(min(w.late, closing))
}

func (w *watcher) stop() {
	w.silent.Stop()
	w.long.Stop()
	w.cancel(nil)
}
