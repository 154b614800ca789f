package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
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
	cancelled chan struct{} // closed: by one signal, unless the job's time was up
	hurry     chan struct{} // closed: by a second one, or because the time after the first is up

	due *atomic.Pointer[time.Time] // when the job's time is up, once that is known
}

// timeIsUp says whether a signal that comes now is the end of the job's time, and
// no person's.
func (l leave) timeIsUp(now time.Time) bool {
	due := l.due.Load()
	return due != nil && timeUp(*due, now)
}

// heed gives a context that ends with the first signal. Work ends with it, and
// what was done is put in order until hurry is closed. Whoever has not gone soon
// after that is gone, which costs what was not saved and nothing else. told is
// called first of all, with the note to leave. A signal with which GitHub ends a
// job whose time is up is the end of the session's time, and no cancel.
func heed(ctx context.Context, signals <-chan os.Signal, patience time.Duration, now func() time.Time, told func(note string), gone func()) (context.Context, leave) {
	ctx, cancel := context.WithCancelCause(ctx)
	l := leave{make(chan struct{}), make(chan struct{}), &atomic.Pointer[time.Time]{}}
	go func() {
		s := <-signals
		if l.timeIsUp(now()) {
			told(stateTimeUp)
			cancel(&runner.StopError{Reason: runner.SessionTime, Err: fmt.Errorf("got the signal %v when the job's time was up", s)})
		} else {
			told(stateCancelled)
			close(l.cancelled)
			cancel(&runner.StopError{Reason: runner.Cancelled, Err: fmt.Errorf("got the signal %v", s)})
		}
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

// noteOnce makes a note for the step that GitHub runs after this one, even if
// this process is killed: why it was told to end.
func noteOnce(getenv func(string) string) func(note string) {
	var once sync.Once
	return func(note string) { once.Do(func() { _ = noteForPost(getenv, note) }) } // without it the step says less
}
