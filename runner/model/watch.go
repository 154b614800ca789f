package model

import (
	"context"
	"time"
)

// What is still waited for when the reply is complete: the usage, which comes
// last, and the end of the stream.
const (
	usageLate = 10 * time.Second
	lineLate  = time.Second
)

// A watcher ends a request's context when nothing arrives for too long, or when
// the whole takes too long: an endpoint that sends a byte a minute would else
// keep a session until its job is ended.
type watcher struct {
	cancel context.CancelCauseFunc
	silent *time.Timer
	long   *time.Timer
	idle   time.Duration
	ending bool
}

// watch returns a context that ends with errSilent when nothing arrives first or
// between, and with errLong after the whole time.
func watch(ctx context.Context, first, idle, whole time.Duration) (context.Context, *watcher) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &watcher{
		cancel: cancel, idle: idle,
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

// last says that nothing more is needed, and waited for so long at most.
func (w *watcher) last(d time.Duration) {
	if !w.ending || d < usageLate {
		w.ending = true
		w.silent.Reset(d)
	}
}

func (w *watcher) stop() {
	w.silent.Stop()
	w.long.Stop()
	w.cancel(nil)
}
