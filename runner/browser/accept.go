package browser

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/playwright-community/playwright-go"

	"github.com/autonomous-loop/autonomous-loop/runner/check"
)

// maxShot is how much of a tall page a screenshot shows, in pixels.
const maxShot = 4000

// A run is one performance of a scenario.
type run struct {
	*session // of the visitor at work
	server   *server
	limits   Limits
	label    string // of the step at work
	traced   bool
	looks    bool                   // for barriers
	hurry    bool                   // what a quiet page does not show is not waited for
	shot     atomic.Pointer[[]byte] // of the last screenshot step
	at       string                 // where the last visitor was
	named    string                 // the address that the last goto named
	typed    []string               // what was put into fields
	allowed  []string               // errors that the console may hold contain one of these
	// restarted says that the application was, on the way.
	restarted bool
	now       func() time.Time
}

// Accept performs a scenario against app. See [check.Browser].
func (b *Browser) Accept(ctx context.Context, app check.App, sc check.Scenario) (acc check.Acceptance, err error) {
	began := b.o.Now()
	acc.Feature = sc.Feature
	defer func() { acc.Duration = b.o.Now().Sub(began) }()
	if acc.Failures = Mistakes(sc.Steps); acc.Failures != nil {
		return acc, nil
	}
	if b.o.Start == nil {
		return acc, errors.New("accept: there is nothing to start applications with")
	}
	u, release, err := b.place(ctx, app)
	if err != nil {
		return acc, fmt.Errorf("accept: %w", err)
	}
	defer release()

	// The browser starts beside the application, if it has not yet. What goes wrong
	// with that is said when it is needed.
	go b.up(ctx) //nolint:errcheck // see the line above

	srv := newServer(ctx, app, u, b.o)
	err = srv.run(ctx)
	if err == nil {
		err = b.perform(ctx, srv, sc, &acc)
	}
	// The application is stopped also when ctx is done, and looked at once more.
	stopped := srv.stop(context.WithoutCancel(ctx))
	acc.Server = srv.log()
	if ctx.Err() != nil {
		return acc, fmt.Errorf("accept: %w", context.Cause(ctx))
	}
	for _, err := range []error{err, stopped} {
		if f, ok := errors.AsType[*fault](err); ok {
			acc.Failures = append(acc.Failures, f.text)
		} else if err != nil {
			return acc, fmt.Errorf("accept: %w", err)
		}
	}
	acc.Passed = len(acc.Failures) == 0 && acc.Broken == ""
	return acc, nil
}

// perform does the steps in a context of their own, one after the other until
// one fails, and collects the evidence.
func (b *Browser) perform(ctx context.Context, srv *server, sc check.Scenario, acc *check.Acceptance) error {
	s, err := b.session(ctx, scope{port: port(srv.url)}, srv.url)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		acc.Broken = brief(err)
		return nil
	}
	r := &run{session: s, server: srv, limits: b.o.Limits, traced: b.suspect(sc.Feature), looks: b.looks(sc), hurry: sc.Hurry, now: b.o.Now}
	defer func() { r.close() }() // the visitor may be another by then
	if r.traced {
		if err := r.trace(ctx, r.limits); err != nil {
			acc.Broken = brief(err)
			return nil
		}
	}
	working, cancel := context.WithTimeoutCause(ctx, r.limits.Scenario,
		faultf("the scenario takes longer than %v", r.limits.Scenario))
	defer cancel()
	var failed error
	var asserted row // since something was done
	for _, st := range sc.Steps {
		if !idle(st) && !stands(st) {
			if failed = r.together(working, asserted); failed != nil {
				break
			}
			asserted = row{}
		}
		acc.Executed++
		if !asserted.goesOn(working, r, st) {
			if failed = r.do(working, st); failed != nil {
				break
			}
		}
		acc.Succeeded++
		if settles(st) {
			b.look(working, r, acc, false)
		}
	}
	if failed == nil {
		failed = r.together(working, asserted)
	}
	if failed == nil {
		b.look(working, r, acc, true)
		failed = r.conclude(working)
	}
	if failed == nil {
		failed = b.blocked(acc)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !sc.Plain {
		r.evidence(ctx, failed != nil, acc)
	}
	acc.Console, acc.Network = r.log.report()
	if r.traced && failed != nil {
		b.keepTrace(ctx, r.session, acc)
	}
	b.remember(sc.Feature, failed != nil)
	if failed == nil && acc.Screenshot == nil && !sc.Plain {
		acc.Broken = "no picture could be taken of the page after the last step"
		return nil
	}
	if failed != nil {
		// A browser that ended makes every step fail, whatever the page does.
		if acc.Broken = r.broken(ctx, failed); acc.Broken != "" {
			return nil
		}
		acc.Failures = append(acc.Failures, local(srv.url, brief(failed)))
	}
	if how := srv.over(); how != "" && !strings.Contains(strings.Join(acc.Failures, " "), "the application ended") {
		acc.Failures = append(acc.Failures, how)
	}
	return nil
}

// conclude says what speaks against a scenario whose steps all went well.
func (r *run) conclude(ctx context.Context) error {
	if c := r.dialogs.complaint(true); c != "" {
		return &fault{c}
	}
	if to := r.left.Load(); to != nil {
		return faultf("the application sends its pages to %s, outside of it: what they show is not its own", *to)
	}
	// What a page has logged arrives before its answer to a question asked later.
	if _, err := use(ctx, r.session, r.limits.Answer, func(context.Context) (string, error) { return r.page.Title() }); err != nil {
		return nil //nolint:nilerr // a page on the way to another has no title; its steps went well
	}
	if err := r.server.stillAlone(ctx); err != nil {
		return err
	}
	if bad := r.log.mishaps(r.allowed, r.restarted); len(bad) > 0 {
		return faultf("the page went wrong on the way; the console holds %d errors that no allow_console_errors step allows: %s",
			len(bad), strings.Join(bad[:min(len(bad), 3)], "; "))
	}
	return nil
}

// A stepError is a step that did not go as it should.
type stepError struct {
	label string
	err   error
}

func (e *stepError) Error() string { return e.label + ": " + brief(e.err) }
func (e *stepError) Unwrap() error { return e.err }

// do performs one step.
func (r *run) do(ctx context.Context, st check.Step) error {
	r.label = label(st)
	a, _ := find(st.Action) // Mistakes has seen that there is one
	limit := r.limits.Action
	if a.limit != nil {
		limit = a.limit(r.limits)
	}
	if changesVisitor(st) {
		if err := r.change(ctx); err != nil {
			return &stepError{r.label, err}
		}
	}
	// Twice the limit: an element is waited for, then acted on. A page that
	// gives no answer at all is given up.
	_, err := use(ctx, r.session, 2*limit+r.limits.Answer, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, a.do(ctx, r, st, limit)
	})
	switch {
	case errors.Is(err, errNoAnswer):
		return &stepError{r.label, fmt.Errorf("the page gives %w", err)}
	case err != nil:
		return &stepError{r.label, err}
	}
	if c := r.dialogs.complaint(false); c != "" {
		return &fault{c} // names the step that armed it
	}
	if st.Action == "fill" || st.Action == "type" {
		r.typed = append(r.typed, st.Value)
	}
	return nil
}

// broken says how the browser failed, "" if it did not. An unmet expectation is
// never the browser's failure, as long as the browser is there.
func (r *run) broken(ctx context.Context, err error) string {
	switch {
	case r.hasCrashed():
		return errCrash.Error() + ": " + brief(err)
	case errors.Is(err, errStart), errors.Is(err, errVisitor):
		return brief(err)
	case !r.engine.responds(ctx):
		return "the browser ended: " + brief(err)
	}
	return ""
}

// evidence shows the page as it is after the last step that was performed.
func (r *run) evidence(ctx context.Context, failed bool, acc *check.Acceptance) {
	if shot := r.shot.Load(); shot != nil && !failed {
		acc.Screenshot = *shot
	} else {
		acc.Screenshot, _ = r.screenshot(ctx) // a page that cannot be drawn any more has none
	}
	if failed {
		acc.Aria, _ = use(ctx, r.session, r.limits.Action+r.limits.Answer, func(context.Context) (string, error) {
			return r.page.AriaSnapshot(playwright.PageAriaSnapshotOptions{Timeout: new(ms(r.limits.Action))})
		})
	}
}

// screenshot draws the whole page, up to maxShot pixels of its height.
func (s *session) screenshot(ctx context.Context) ([]byte, error) {
	const limit = 20 * time.Second
	return use(ctx, s, limit, func(context.Context) ([]byte, error) {
		return s.page.Screenshot(playwright.PageScreenshotOptions{
			Timeout:    new(ms(limit)),
			FullPage:   new(true),
			Clip:       &playwright.Rect{X: 0, Y: 0, Width: 1280, Height: maxShot},
			Animations: playwright.ScreenshotAnimationsDisabled,
		})
	})
}

// label names a step in a failure: step 3 (click role=button[name="Add"]).
func label(st check.Step) string {
	what := st.Action
	if about := cmp.Or(st.Target, st.Value, st.Expected); about != "" {
		what += " " + oneLine(about, 120)
	}
	return fmt.Sprintf("step %d (%s)", st.Step, what)
}

// gone says whether err means that there is nobody left to ask.
func gone(err error) bool {
	return errors.Is(err, playwright.ErrTargetClosed) || strings.Contains(err.Error(), "Connection closed") ||
		strings.Contains(err.Error(), "transport closed") || strings.Contains(err.Error(), "Target crashed")
}

// obstacles are the lines of a call log that say why an element could not be
// acted on.
var obstacles = []string{
	"intercepts pointer events", "is not enabled", "is not visible", "is not stable", "is not editable",
	"outside of the viewport", "did not find some options", "is not a checkbox",
}

// preface is what many messages of the library and the driver begin with; the
// step says it better.
var preface = regexp.MustCompile(`^(timeout: |target closed: |Error: |(Frame|Page|Locator|Keyboard|Browser|BrowserContext|BrowserType|APIRequestContext)\.[A-Za-z]+:? +)+`)

// brief is what an error of the library says, without its log but with the
// reason from it.
func brief(err error) string {
	if s, ok := errors.AsType[*stepError](err); ok {
		return s.Error()
	}
	if f, ok := errors.AsType[*fault](err); ok {
		return f.text
	}
	text, log, _ := strings.Cut(err.Error(), "\nCall log:")
	text, _, _ = strings.Cut(strings.ReplaceAll(text, "playwright: ", ""), "\n    at ") // the stack of a script
	text = oneLine(preface.ReplaceAllString(text, ""), 400)
	for line := range strings.Lines(log) {
		for _, o := range obstacles {
			if strings.Contains(line, o) {
				return text + " " + oneLine(strings.TrimLeft(line, " -"), 200)
			}
		}
	}
	return text
}
