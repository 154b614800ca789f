package browser

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/playwright-community/playwright-go"
)

// maxPages is how many windows a page may have open.
const maxPages = 8

// A session is a browser context of its own with the page that is acted on.
type session struct {
	*notes
	engine  *engine
	in      scope
	ctx     playwright.BrowserContext
	page    playwright.Page
	tree    string        // of the last snapshot that an agent took
	crash   chan struct{} // closed when the page's process is gone
	crashed sync.Once
	ended   sync.Once
}

// notes are what is kept of a run, however many contexts it takes.
type notes struct {
	log     journal
	dialogs dialogs
	left    atomic.Pointer[string] // an address outside that was reached

	asked, answered atomic.Int64 // requests
}

// open makes a context in which nothing differs from run to run, and from which
// nothing but in is reached.
func (e *engine) open(ctx context.Context, in scope, base *url.URL, l Limits) (*session, error) {
	return e.goOn(ctx, in, &notes{log: journal{base: base}}, l)
}

// goOn is open for a run that has notes already.
func (e *engine) goOn(ctx context.Context, in scope, n *notes, l Limits) (*session, error) {
	e.enter()
	return awaitOr(ctx, l.Launch, func() (*session, error) {
		s := &session{notes: n, engine: e, in: in, crash: make(chan struct{})}
		if err := s.fill(); err != nil {
			s.close()
			return nil, err
		}
		return s, nil
	}, (*session).close)
}

func (s *session) fill() error {
	c, err := s.engine.browser.NewContext(playwright.BrowserNewContextOptions{
		Viewport:        &playwright.Size{Width: 1280, Height: 800},
		Locale:          new("en-US"),
		TimezoneId:      new("UTC"),
		ColorScheme:     playwright.ColorSchemeLight,
		ReducedMotion:   playwright.ReducedMotionReduce,
		ForcedColors:    playwright.ForcedColorsNone,
		UserAgent:       new(s.engine.agent),                 // not one that says Headless: nobody is to behave for the judge
		ServiceWorkers:  playwright.ServiceWorkerPolicyBlock, // their requests would pass the routes by
		AcceptDownloads: new(false),
	})
	if err != nil {
		return err
	}
	s.ctx = c
	s.listen()
	err = errors.Join(
		c.AddInitScript(playwright.Script{Content: new(witness)}),
		c.Route("**/*", func(r playwright.Route) {
			if s.in.holds(r.Request().URL()) {
				_ = r.Continue() // the page may be gone by now
				return
			}
			s.log.entry(&s.log.network, "refused %s %s", r.Request().Method(), r.Request().URL())
			_ = r.Abort("blockedbyclient")
		}),
		// Routes do not see web sockets.
		c.RouteWebSocket("**/*", func(w playwright.WebSocketRoute) {
			if s.in.holds(w.URL()) {
				_, _ = w.ConnectToServer()
				return
			}
			s.log.entry(&s.log.network, "refused WebSocket %s", w.URL())
			w.Close(playwright.WebSocketRouteCloseOptions{Code: new(1008)})
		}),
	)
	if err != nil {
		return err
	}
	if s.page, err = c.NewPage(); err != nil {
		return err
	}
	return s.disguise()
}

// disguise takes the word Headless out of what the browser says of itself in
// newer words, too: nobody is to behave for the judge.
func (s *session) disguise() error {
	cdp, err := s.ctx.NewCDPSession(s.page)
	if err != nil {
		return err
	}
	type brand = map[string]any
	_, err = cdp.Send("Emulation.setUserAgentOverride", map[string]any{
		"userAgent": s.engine.agent, "acceptLanguage": "en-US",
		"userAgentMetadata": map[string]any{
			"brands":   []brand{{"brand": "Chromium", "version": s.engine.major}, {"brand": "Not_A Brand", "version": "99"}},
			"platform": "Linux", "platformVersion": "", "architecture": "x86", "model": "", "mobile": false,
		},
	})
	return err
}

// listen notes what the page reports. The handlers run in the goroutine that
// reads from the driver, so none of them waits for it.
func (s *session) listen() {
	s.ctx.OnConsole(func(m playwright.ConsoleMessage) {
		kind, where := m.Type(), m.Location()
		if kind != "error" && kind != "warning" && kind != "assert" {
			return
		}
		at, icon := "", false
		if where != nil && where.URL != "" {
			at = fmt.Sprintf(" (%s:%d)", where.URL, where.LineNumber+1)
			icon = strings.HasSuffix(where.URL, "/favicon.ico") // only browsers ask for it
		}
		s.log.entry(&s.log.console, "%s: %s%s", kind, m.Text(), at)
		if kind != "warning" && !ours(m.Text()) && !icon {
			s.log.entry(&s.log.problems, "%s%s", m.Text(), at)
		}
	})
	s.ctx.OnWebError(func(e playwright.WebError) {
		text := e.Error().Error()
		if pe, ok := errors.AsType[*playwright.Error](e.Error()); ok {
			text = pe.Name + ": " + pe.Message
		}
		s.log.entry(&s.log.console, "uncaught %s", text)
		s.log.entry(&s.log.problems, "uncaught %s", text)
	})
	s.ctx.OnRequestFinished(func(playwright.Request) { s.answered.Add(1) })
	s.ctx.OnRequestFailed(func(r playwright.Request) {
		s.answered.Add(1)
		why := r.Failure()
		switch {
		case why == nil || strings.Contains(why.Error(), "ERR_ABORTED"): // the page gave it up itself
		case strings.Contains(why.Error(), "ERR_BLOCKED_BY_CLIENT"): // the route has said so
		case ours(why.Error()):
			s.log.entry(&s.log.network, "refused %s %s", r.Method(), r.URL())
		default:
			s.log.entry(&s.log.network, "failed %s %s: %s", r.Method(), r.URL(), brief(why))
		}
	})
	s.ctx.OnRequest(func(r playwright.Request) {
		s.asked.Add(1)
		// A redirect is not routed again. Other hosts do not resolve, but
		// another port of this machine does: that is at least not hidden.
		to := r.URL()
		if r.RedirectedFrom() == nil || s.in.holds(to) || !(scope{}).holds(to) {
			return
		}
		s.log.entry(&s.log.network, "redirected outside to %s", to)
		s.left.Store(&to)
	})
	s.ctx.OnResponse(func(r playwright.Response) {
		if r.Status() >= 400 {
			s.log.entry(&s.log.network, "%d %s %s", r.Status(), r.Request().Method(), r.URL())
		}
	})
	s.ctx.OnPage(func(p playwright.Page) {
		p.OnCrash(func(playwright.Page) { s.crashed.Do(func() { close(s.crash) }) })
		if len(s.ctx.Pages()) > maxPages {
			go p.Close() // it goes with the context at the latest
		}
	})
	s.ctx.OnDialog(func(d playwright.Dialog) { go s.answer(d) })
}

// errCrash says that the process that drew a page is gone.
var errCrash = errors.New("the page crashed")

// use awaits a call on the session's page. A page that has crashed answers
// nothing, and no error says so.
func use[T any](ctx context.Context, s *session, limit time.Duration, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-s.crash:
			cancel(errCrash)
		case <-ctx.Done():
		}
	}()
	return await(ctx, limit, func() (T, error) { return f(ctx) })
}

func (s *session) hasCrashed() bool {
	select {
	case <-s.crash:
		return true
	default:
		return false
	}
}

// ours says whether text is the browser's complaint about what the routes or
// the resolver refused.
func ours(text string) bool {
	return strings.Contains(text, "ERR_BLOCKED_BY_CLIENT") || strings.Contains(text, "ERR_NAME_NOT_RESOLVED")
}

// close ends the context, and with it whatever still waits for an answer from
// it. A browser that cannot even do that gets no more sessions.
func (s *session) close() {
	if s == nil {
		return
	}
	s.ended.Do(func() {
		defer s.engine.leave()
		if s.ctx == nil {
			return
		}
		err := within(10*time.Second, func() error { return s.ctx.Close() })
		if errors.Is(err, errNoAnswer) {
			s.engine.fail()
		}
	})
}

// dialogs answers the alert, confirm and prompt windows of a page: each is
// dismissed, unless a step asked for the next one to be answered otherwise.
type dialogs struct {
	mu    sync.Mutex
	armed *armed
	wrong string // what was not as the step expected
}

// An armed answer waits for its dialog.
type armed struct {
	label    string // of the step, for messages
	accept   bool
	text     string // for a prompt
	expected string // in the dialog's message
}

// arm sets the answer to the next dialog; it returns the step that still waits
// for its own, if there is one.
func (d *dialogs) arm(a armed) (waiting string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.armed != nil {
		return d.armed.label
	}
	d.armed = &a
	return ""
}

// complaint is what went wrong with a dialog; at the end of a scenario also
// that one never came.
func (d *dialogs) complaint(end bool) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.wrong == "" && end && d.armed != nil {
		return d.armed.label + ": expected a dialog, none appeared"
	}
	return d.wrong
}

func (d *dialogs) take(message string) (a armed, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.armed == nil {
		return armed{}, false
	}
	a, d.armed = *d.armed, nil
	if !contains(message, a.expected) {
		d.wrong = a.label + ": expected a dialog that says " + quoted(a.expected) + ", it says " + quoted(message)
	}
	return a, true
}

func (s *session) answer(d playwright.Dialog) {
	if d.Type() == "beforeunload" {
		_ = d.Accept() // or the page could not be left
		return
	}
	a, ok := s.dialogs.take(d.Message())
	if !ok {
		s.log.entry(&s.log.console, "dialog dismissed: %s %q", d.Type(), d.Message())
	}
	switch {
	case !ok || !a.accept:
		_ = d.Dismiss()
	case d.Type() == "prompt":
		_ = d.Accept(a.text)
	default:
		_ = d.Accept()
	}
}

func ms(d time.Duration) float64 { return float64(d.Milliseconds()) }
