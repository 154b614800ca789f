package browser

import (
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
	*session
	server *server
	limits Limits
	label  string                 // of the step at work
	shot   atomic.Pointer[[]byte] // of the last screenshot step
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

	srv := newServer(app, u, b.o)
	err = srv.run(ctx)
	if err == nil {
		err = b.perform(ctx, srv, sc.Steps, &acc)
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
func (b *Browser) perform(ctx context.Context, srv *server, steps []check.Step, acc *check.Acceptance) error {
	s, err := b.session(ctx, scope{port: port(srv.url)}, srv.url)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		acc.Broken = brief(err)
		return nil
	}
	defer s.close()
	r := &run{session: s, server: srv, limits: b.o.Limits}
	working, cancel := context.WithTimeoutCause(ctx, r.limits.Scenario,
		faultf("the scenario takes longer than %v", r.limits.Scenario))
	defer cancel()
	var failed error
	for _, st := range steps {
		acc.Executed++
		if failed = r.do(working, st); failed != nil {
			break
		}
		acc.Succeeded++
	}
	if failed == nil {
		if c := s.dialogs.complaint(true); c != "" {
			failed = &fault{c}
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.evidence(ctx, failed != nil, acc)
	switch {
	case failed == nil && acc.Screenshot == nil:
		failed = faultf("no screenshot could be taken of the page after the last step")
		fallthrough
	case failed != nil:
		// A browser that ended makes every step fail, whatever the page does.
		if why := r.broken(ctx, failed); why != "" {
			acc.Broken = why
			return nil
		}
		acc.Failures = append(acc.Failures, local(srv.url, brief(failed)))
	}
	if how := srv.over(); how != "" {
		acc.Failures = append(acc.Failures, how)
	}
	return nil
}

// do performs one step; its error is the failure's text.
func (r *run) do(ctx context.Context, st check.Step) error {
	r.label = label(st)
	a, _ := find(st.Action) // Mistakes has seen that there is one
	limit := r.limits.Action
	if a.limit != nil {
		limit = a.limit(r.limits)
	}
	// Twice the limit: an element is waited for, then acted on. A page that
	// gives no answer at all is given up.
	_, err := await(ctx, 2*limit+r.limits.Answer, func() (struct{}, error) {
		return struct{}{}, a.do(ctx, r, st, limit)
	})
	if err == nil {
		if c := r.dialogs.complaint(false); c != "" {
			return &fault{c} // names the step that armed it
		}
		return nil
	}
	if f, ok := errors.AsType[*fault](err); ok {
		return faultf("%s: %s", r.label, f.text)
	}
	if errors.Is(err, errNoAnswer) {
		return fmt.Errorf("%s: the page gives %w", r.label, err)
	}
	return fmt.Errorf("%s: %w", r.label, err)
}

// broken says how the browser failed, "" if it did not. An unmet expectation is
// never the browser's failure, as long as the browser is there.
func (r *run) broken(ctx context.Context, err error) string {
	switch {
	case r.crashed.Load():
		return "the page crashed: " + brief(err)
	case !r.engine.responds(ctx, r.limits.Load):
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
		acc.Aria, _ = await(ctx, r.limits.Action, func() (string, error) {
			return r.page.AriaSnapshot(playwright.PageAriaSnapshotOptions{Timeout: playwright.Float(ms(r.limits.Action))})
		})
	}
	acc.Console, acc.Network = r.log.report()
}

// screenshot draws the whole page, up to maxShot pixels of its height.
func (s *session) screenshot(ctx context.Context) ([]byte, error) {
	const limit = 10 * time.Second
	return await(ctx, limit, func() ([]byte, error) {
		return s.page.Screenshot(playwright.PageScreenshotOptions{
			Timeout:    playwright.Float(ms(limit)),
			FullPage:   playwright.Bool(true),
			Clip:       &playwright.Rect{X: 0, Y: 0, Width: 1280, Height: maxShot},
			Animations: playwright.ScreenshotAnimationsDisabled,
		})
	})
}

// label names a step in a failure: step 3 (click role=button[name="Add"]).
func label(st check.Step) string {
	what := st.Action
	for _, s := range []string{st.Target, st.Value, st.Expected} {
		if s != "" {
			what += " " + oneLine(s, 120)
			break
		}
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

// apiName begins many of the driver's messages; the step says it better.
var apiName = regexp.MustCompile(`^(Frame|Page|Locator|Browser|BrowserContext|BrowserType|APIRequestContext)\.[A-Za-z]+:? +`)

// brief is what an error of the library says, without its log but with the
// reason from it.
func brief(err error) string {
	if f, ok := errors.AsType[*fault](err); ok {
		return f.text
	}
	text, log, _ := strings.Cut(err.Error(), "\nCall log:")
	text = strings.NewReplacer("playwright: ", "", "timeout: ", "", "target closed: ", "", "Error: ", "").Replace(text)
	text = oneLine(apiName.ReplaceAllString(text, ""), 400)
	for line := range strings.Lines(log) {
		for _, o := range obstacles {
			if strings.Contains(line, o) {
				return text + " " + oneLine(strings.TrimLeft(line, " -"), 200)
			}
		}
	}
	return text
}
