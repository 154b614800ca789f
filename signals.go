package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// How long the program takes to end when it is told to. GitHub's runner sends
// SIGINT, after 7.5 seconds SIGTERM, and after 2.5 more it kills; whoever sits
// at a laptop can press twice.
const (
	farewell      = 6 * time.Second
	localFarewell = 30 * time.Second
	lastWords     = 1500 * time.Millisecond
)

// A leave says how far the program has been told to end.
type leave struct {
	cancelled chan struct{} // closed: by one signal
	hurry     chan struct{} // closed: by a second one, or because the time after the first is up
}

// heed gives a context that ends with the first signal. Work ends with it, and
// what was done is put in order until hurry is closed. Whoever has not gone soon
// after that is gone, which costs what was not saved and nothing else. told is
// called first of all.
func heed(ctx context.Context, signals <-chan os.Signal, patience time.Duration, told, gone func()) (context.Context, leave) {
	ctx, cancel := context.WithCancelCause(ctx)
	l := leave{make(chan struct{}), make(chan struct{})}
	go func() {
		s := <-signals
		told()
		close(l.cancelled)
		cancel(&runner.StopError{Reason: runner.Cancelled, Err: fmt.Errorf("got the signal %v", s)})
		late := time.NewTimer(patience)
		defer late.Stop()
		select {
		case <-signals:
		case <-late.C:
		}
		close(l.hurry)
		last := time.NewTimer(lastWords)
		defer last.Stop()
		<-last.C
		gone()
	}()
	return ctx, l
}

// onceTold makes a note for the step that GitHub runs after this one, even if
// this process is killed: that the run was cancelled.
func onceTold(getenv func(string) string) func() {
	return sync.OnceFunc(func() { _ = noteForPost(getenv, stateCancelled) }) // without it the step says less
}
