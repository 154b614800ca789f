// Package browser performs acceptance actions in a real Chromium, driven by
// playwright-go. It is the only package that knows that library.
//
// A [Browser] answers what [check.Browser] asks: it starts an application,
// performs a scenario in a browser context of its own, stops the application,
// and says step by step what it expected and what it saw. No model takes part.
// [Browser.Page] is the same browser for an agent that wants to look.
//
// What it promises: a page reaches the application's own origin and nothing
// else; the driver and the browser never inherit this process's environment; a
// browser that failed is told from an application that failed; what an
// assertion reads, it reads in a world that the page's scripts cannot reach.
// What it does not do: it draws no placeholders, judges no verdict, and keeps no
// files but for people to look at: screenshots and recordings of agents, traces of
// runs that failed. The sandbox around driver, browser and
// application comes from whoever opens it, by Options.Node and Options.Start.
package browser

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner/check"
	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
)

// Options say where the parts of the browser are and what it may take.
type Options struct {
	Driver   string // directory that holds the driver's package/, prepared by [Prepare]
	Node     string // Node.js, or a script of the sandbox that ends in it
	Chromium string // Chromium's executable

	// Start runs a command in the background, in the sandbox, until it ends,
	// is stopped, or ctx is done. Only Accept needs it.
	Start func(ctx context.Context, c sandbox.Command) (Server, error)

	Now       func() time.Time
	Dir       string // directory for what driver and browser write for themselves, which whoever is killed leaves there; "": the system's
	Artifacts string // directory for what people may look at: an agent's screenshots and recordings, traces; created
	Exchange  string // directory that the driver may write, for what it hands over; "": no traces

	A11y string // [A11yOff], the zero value, [A11yReport] or [A11yBlock]

	Limits Limits
}

// A Server is a command that runs in the background.
type Server interface {
	Done() <-chan struct{}  // closed when it has ended
	Output() sandbox.Output // so far
	Stop() sandbox.Output   // ends it and all that it started; may be called again

	// Listens says who accepts connections on a port: the command or what it
	// started, anyone else, both, or nobody.
	Listens(port int) (own, others bool, err error)
}

// Limits bound the waiting. The zero value of each is its default.
type Limits struct {
	Action   time.Duration // an action or assertion of a scenario; 5 s
	Load     time.Duration // a page to load; 15 s
	Wait     time.Duration // wait_for and wait_for_url; 30 s
	Answer   time.Duration // a page to say anything at all, on top of these; 5 s
	Ready    time.Duration // the application to answer; 30 s
	Scenario time.Duration // all steps of a scenario; 120 s
	Launch   time.Duration // driver and browser to start; 60 s
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		limit *time.Duration
		value time.Duration
	}{
		{&l.Action, 5 * time.Second},
		{&l.Load, 15 * time.Second},
		{&l.Wait, 30 * time.Second},
		{&l.Answer, 5 * time.Second},
		{&l.Ready, 30 * time.Second},
		{&l.Scenario, 120 * time.Second},
		{&l.Launch, 60 * time.Second},
	} {
		if *d.limit <= 0 {
			*d.limit = d.value
		}
	}
	return l
}

// A Browser is one driver and one Chromium, started when they are first needed
// and again after a crash. It may be used by several goroutines at once.
type Browser struct {
	o       Options
	turn    chan struct{} // held while an engine is started or ended
	engine  *engine       // under turn; nil: none was started yet
	retired []*engine     // under turn; those before it
	closed  bool          // under turn

	fixed chan struct{} // held by the run whose application has a port of its own choice
	mu    sync.Mutex
	ports map[int]bool // in use by running applications

	failing    map[string]bool // features whose last run failed
	traces     int             // handed over so far
	recordings int             // begun so far

	axeSource string                     // once it was read
	shapes    map[string][]check.Barrier // of pages that were looked at
}

var _ check.Browser = (*Browser)(nil)

// Open checks that all parts are there and returns a browser that is not
// started yet. It must be closed.
func Open(ctx context.Context, o Options) (*Browser, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if o.Now == nil {
		return nil, errors.New("open browser: no clock")
	}
	p := Paths{Driver: o.Driver, Node: o.Node, Chromium: o.Chromium}
	if err := p.check(exists); err != nil {
		return nil, fmt.Errorf("open browser: %w", err)
	}
	if !slices.Contains([]string{"", A11yOff, A11yReport, A11yBlock}, o.A11y) {
		return nil, fmt.Errorf("open browser: a11y %q is none of off, report, block", o.A11y)
	}
	if o.A11y == A11yBlock && !exists(axeFile(o.Driver)) {
		return nil, fmt.Errorf("open browser: a11y is block, and axe-core is not at %s: run tools/setup.sh", axeFile(o.Driver))
	}
	if o.Artifacts != "" {
		if err := os.MkdirAll(o.Artifacts, 0o750); err != nil {
			return nil, fmt.Errorf("open browser: %w", err)
		}
	}
	o.Limits = o.Limits.withDefaults()
	return &Browser{
		o:     o,
		turn:  make(chan struct{}, 1),
		fixed: make(chan struct{}, 1),
		ports: make(map[int]bool),

		failing: make(map[string]bool),
		shapes:  make(map[string][]check.Barrier),
	}, nil
}

// Close ends the browser, its driver and every page in it.
func (b *Browser) Close() {
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	b.closed = true
	b.retire()
	for _, e := range b.retired {
		e.stop()
	}
}

// retire gives up the engine, if there is one.
func (b *Browser) retire() {
	if b.engine != nil {
		b.engine.retire()
		b.retired = append(b.retired, b.engine)
		b.engine = nil
	}
}

// up returns the engine, which it starts if there is none or the last one has
// failed.
func (b *Browser) up(ctx context.Context) (*engine, error) {
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if b.closed {
		return nil, errors.New("browser is closed")
	}
	if b.engine != nil && !b.engine.failed() {
		return b.engine, nil
	}
	b.retire()
	e, err := start(ctx, b.o)
	if err != nil {
		return nil, err
	}
	b.engine = e
	return e, nil
}

// session opens a context and a page in it. A browser that fails over this is
// restarted once.
func (b *Browser) session(ctx context.Context, in scope, base *url.URL) (*session, error) {
	var last error
	for range 2 {
		e, err := b.up(ctx)
		if err == nil {
			var s *session
			if s, err = e.open(ctx, in, base, b.o.Limits); err == nil {
				return s, nil
			}
			e.fail()
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		last = err
	}
	return nil, last
}
