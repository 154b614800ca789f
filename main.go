// Autonomous Loop builds a project from a spec, feature after feature, in
// bounded sessions that hand over to one another. The same binary is a GitHub
// Action and a program for a laptop.
//
// Package main wires the parts together, reads inputs into a config, shows
// progress, writes outputs and annotations, and is the only one that exits.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
)

func main() {
	sandbox.Main() // does not return where this process is a command's sandbox
	beFirst()      // nor does this where it is the first of a container
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, stopping...)
	patience := localFarewell
	if os.Getenv("GITHUB_ACTIONS") == "true" {
		patience = farewell
	}
	ctx, leave := heed(context.Background(), signals, patience, time.Now, noteOnce(os.Getenv), func() { os.Exit(exitFailed) })
	info, err := os.Stdout.Stat()
	env := environment{
		getenv: os.Getenv, stdout: os.Stdout, stderr: os.Stderr, now: time.Now, leave: leave,
		tty:       err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb",
		transport: http.DefaultTransport, // with the proxy that the runner or the person has set
	}
	if filepath.Base(os.Args[0]) == postName {
		err = post(ctx, env)
	} else {
		err = run(ctx, env, os.Args[1:])
	}
	if err != nil && !errors.Is(err, errOff) {
		tell(env, err)
	}
	os.Exit(exitCode(err)) // runs no defers: everything is closed by now
}

// stopping are the signals that end the program.
var stopping = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}

// tell says what went wrong, where people look.
func tell(env environment, err error) {
	if env.getenv("GITHUB_ACTIONS") == "true" {
		annotate(env, err)
		return
	}
	fmt.Fprintf(env.stderr, "autonomous-loop: %v\n", err)
}

// A usageError is a mistake in what was asked for; nothing was done.
type usageError struct{ err error }

func usage(err error) error         { return &usageError{err} }
func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// The exit codes, as in the README.
const (
	exitDone    = 0 // complete, handed over, waiting, or stopped at a limit
	exitFailed  = 1 // something has to be mended, a refused key for example; the loop waits
	exitUsage   = 2 // an input is wrong; nothing was done
	exitState   = 3 // the loop's branches are damaged, foreign or deleted; nothing was done
	exitCrashed = 4 // sessions died one after the other (on a laptop)
	exitBroken  = 5 // verify: a proof does not hold
	exitUnclear = 6 // the spec leaves too much open: the questions were asked, and nothing begun
)

func exitCode(err error) int {
	if err == nil || errors.Is(err, errOff) {
		return exitDone
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*runner.StateError](err); ok {
		return exitState
	}
	if _, ok := errors.AsType[*runner.UnclearError](err); ok {
		return exitUnclear
	}
	if said, ok := errors.AsType[*sessionError](err); ok {
		return said.code
	}
	switch {
	case errors.Is(err, errCrashes):
		return exitCrashed
	case errors.Is(err, errBroken):
		return exitBroken
	}
	return exitFailed
}

// softDeadline ends the work some minutes before the session's time is over, so
// that there is room to put it in order.
func softDeadline(ctx context.Context, now time.Time, session time.Duration) (context.Context, context.CancelFunc) {
	return context.WithDeadlineCause(ctx, now.Add(session-min(8*time.Minute, session/2)), &runner.StopError{Reason: runner.SessionTime})
}
