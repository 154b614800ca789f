package browser

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/playwright-community/playwright-go"

	"github.com/autonomous-loop/autonomous-loop/runner/check"
)

// What assert_persisted says that the page outlives, the least first: being
// loaded again, a visitor who has nothing from before, and the application's own
// end. Only the last two show that the server keeps it: a page may keep what it
// likes in its visitor's browser.
const (
	byReload     = "reload"
	byNewContext = "new_context"
	byRestart    = "restart"
)

var lives = []string{byReload, byNewContext, byRestart}

// changesVisitor says whether st begins in a browser context that has nothing
// from before.
func changesVisitor(st check.Step) bool {
	return st.Action == "new_context" || st.Action == "assert_persisted" && (st.Value == byNewContext || st.Value == byRestart)
}

// errVisitor says that the browser, and not the application, is at fault.
var errVisitor = errors.New("open another browser context")

// change lets another visitor go on where the last one is. It is called between
// steps, so that none that was given up is still at work on the old one.
func (r *run) change(ctx context.Context) error {
	s, err := r.engine.goOn(ctx, r.in, r.notes, r.limits)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w: %w", errVisitor, err)
	}
	if r.traced {
		if err := s.trace(ctx, r.limits); err != nil {
			s.close()
			return fmt.Errorf("%w: %w", errVisitor, err)
		}
	}
	r.at = r.page.URL()
	r.close()
	r.session = s
	return nil
}

// newContext shows the visitor who has come the page that the last one saw, or
// the one that the step names.
func newContext(_ context.Context, r *run, st check.Step, limit time.Duration) error {
	ref := st.Value
	if ref == "" {
		ref = r.at
	}
	to, err := r.name(ref)
	if err != nil {
		return err
	}
	return r.visit(to, "", limit)
}

func restart(ctx context.Context, r *run, _ check.Step, _ time.Duration) error {
	return r.again(ctx)
}

// again restarts the application. A page that is still being loaded is let
// finish, as far as it does; what it misses from then on is not its fault.
func (r *run) again(ctx context.Context) error {
	_ = r.page.WaitForLoadState(playwright.PageWaitForLoadStateOptions{Timeout: new(ms(r.limits.Action))})
	r.restarted = true
	return r.server.again(ctx)
}

func assertPersisted(ctx context.Context, r *run, st check.Step, limit time.Duration) error {
	how := "after the page was loaded again"
	var err error
	switch st.Value {
	case byNewContext, byRestart:
		how = "for a visitor who has just come"
		if st.Value == byRestart {
			how = "after the application was restarted, " + how
			if err := r.again(ctx); err != nil {
				return err
			}
		}
		to := r.lasting(st)
		if u, err := url.Parse(to); err != nil || !r.in.serves(u) {
			return faultf("no page of the application is open")
		}
		how += " to " + to
		err = r.visit(to, "", limit)
	default:
		err = r.arrive("", limit, func() (playwright.Response, error) {
			return r.page.Reload(playwright.PageReloadOptions{Timeout: new(ms(limit))})
		})
	}
	if err != nil {
		return err
	}
	again := assertVisible
	if st.Expected != "" {
		again = assertText
	}
	err = again(ctx, r, st, r.limits.Action)
	if f, ok := errors.AsType[*fault](err); ok {
		return faultf("%s: %s", how, f.text)
	}
	return err
}

// lasting is the address at which a newcomer looks for what st expects: the one
// where the last visitor was, unless what was typed in and is looked for now
// stands in it, and the scenario did not put it there. A page that reads it from
// its own address would show it to everybody and have kept nothing.
func (r *run) lasting(st check.Step) string {
	wanted := bare(st.Target + " " + st.Expected)
	says := func(address string) bool {
		return slices.ContainsFunc(r.typed, func(t string) bool {
			t = bare(t)
			return t != "" && strings.Contains(wanted, t) && strings.Contains(bare(address), t)
		})
	}
	if r.named != "" && says(r.at) && !says(r.named) {
		return r.named
	}
	return r.at
}

// bare is text without what an address does to it: escapes, case, and signs in
// the place of blanks.
func bare(s string) string {
	for range 3 { // as often as somebody may have escaped it
		u, err := url.QueryUnescape(s)
		if err != nil || u == s {
			break
		}
		s = u
	}
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) }), " ")
}
