package runner

import (
	"context"
	"time"
)

// withGrace returns a context that outlives ctx by d, but not hurry. Work is done
// under ctx; what puts the work in order when ctx ends is done under this one.
func withGrace(ctx context.Context, d time.Duration, hurry <-chan struct{}) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			cancel(context.Cause(ctx))
		case <-hurry:
			cancel(context.Cause(ctx))
		case <-late.Done():
		}
	})
	return late, func() { stop(); cancel(nil) }
}
