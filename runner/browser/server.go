package browser

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner/check"
	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
)

// A fault is the application's: it fails the run. Any other error means that
// the run could not be had.
type fault struct{ text string }

func (f *fault) Error() string { return f.text }

func faultf(format string, args ...any) error { return &fault{fmt.Sprintf(format, args...)} }

// errStart says that the sandbox, and not the application, is at fault.
var errStart = errors.New("start the application")

// A server is the application while it is judged.
type server struct {
	app   check.App
	start func(sandbox.Command) (Server, error)
	url   *url.URL
	port  int
	ready time.Duration

	// A step that restarts the application may be given up while it is at it.
	mu      sync.Mutex
	proc    Server // nil before the first start
	past    string // what it printed before it was restarted
	stopped bool   // for good
}

// newServer returns an application that is not started yet. Its processes end
// with ctx, not with the step that starts them.
func newServer(ctx context.Context, app check.App, u *url.URL, o Options) *server {
	p, _ := strconv.Atoi(port(u)) // a port that parsed as one
	return &server{
		app: app, url: u, port: p, ready: o.Limits.Ready,
		start: func(c sandbox.Command) (Server, error) { return o.Start(ctx, c) },
	}
}

// place decides where app is to answer and holds that port until release is
// called. A port that app's URL names itself is given to it in PORT too, and
// only one run at a time may have such a port.
func (b *Browser) place(ctx context.Context, app check.App) (u *url.URL, release func(), err error) {
	raw := app.URL
	if raw == "" {
		raw = "http://127.0.0.1:{port}"
	}
	if strings.Contains(raw, "{port}") {
		p, err := b.reserve(ctx)
		if err != nil {
			return nil, nil, err
		}
		release = func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			delete(b.ports, p)
		}
		raw = strings.ReplaceAll(raw, "{port}", strconv.Itoa(p))
	} else {
		select {
		case b.fixed <- struct{}{}:
			release = func() { <-b.fixed }
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
	u, err = url.Parse(raw)
	if err != nil || u.Scheme != "http" || !loopback(u.Hostname()) {
		release()
		return nil, nil, fmt.Errorf("url %q: the application must answer on this machine, at http://127.0.0.1:{port}", app.URL)
	}
	return u, release, nil
}

// reserve finds a port that nobody listens on and no other run of b is to have.
func (b *Browser) reserve(ctx context.Context) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range 50 {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
		p := l.Addr().(*net.TCPAddr).Port
		if err := l.Close(); err != nil {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
		if !b.ports[p] && !taken(ctx, p) {
			b.ports[p] = true
			return p, nil
		}
	}
	return 0, errors.New("find a free port: none in 50 tries")
}

// taken says whether anything accepts connections at p on this machine.
func taken(ctx context.Context, p int) bool {
	return listens(ctx, "127.0.0.1", p) || listens(ctx, "::1", p)
}

func listens(ctx context.Context, host string, p int) bool {
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(p)))
	if err != nil {
		return false
	}
	_ = c.Close() // nothing was said on it
	return true
}

// run starts the application and waits until it answers.
func (s *server) run(ctx context.Context) error {
	if taken(ctx, s.port) {
		// An old server would pass for the new one.
		return faultf("something else already answers on port %d; the application was not started", s.port)
	}
	p, err := s.start(sandbox.Command{
		Argv:  []string{"/bin/sh", "-c", s.app.Start},
		Dir:   s.app.Dir,
		Env:   append(slices.Clone(s.app.Env), "PORT="+strconv.Itoa(s.port), "TZ=UTC"),
		Place: s.app.Place,
		Read:  s.app.Read,
		Net:   sandbox.Local,
		Write: []string{s.app.Dir},
	})
	if err != nil {
		return fmt.Errorf("%w: %w", errStart, err)
	}
	s.proc = p
	return s.await(ctx)
}

// await waits until the application answers anything below 500.
func (s *server) await(ctx context.Context) error {
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true}, // no proxy
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	asking, cancel := context.WithTimeout(ctx, s.ready)
	defer cancel()
	ended := s.proc.Done()
	go func() {
		select {
		case <-ended:
			cancel()
		case <-asking.Done():
		}
	}()
	// Often at first: most applications answer soon, and to be refused costs next
	// to nothing.
	pause := 5 * time.Millisecond
	again := time.NewTimer(pause)
	defer again.Stop()
	wrong := silent
	for asking.Err() == nil {
		w := probe(asking, client, s.url)
		if asking.Err() != nil {
			break
		}
		if w == "" && !s.ended() { // or it was someone else who answered
			return s.alone(ctx)
		}
		wrong = w
		select {
		case <-asking.Done():
		case <-again.C:
			pause = min(pause*5/4+time.Millisecond, 50*time.Millisecond)
			again.Reset(pause)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.ended() {
		return faultf("the application ended before it answered, %s%s", s.ending(), s.lastWords())
	}
	if wrong == silent {
		wrong += s.elsewhere(ctx)
	}
	return faultf("the application does not answer at %s after %v: %s%s", s.url, s.ready, wrong, s.lastWords())
}

// alone sees that whoever answers on the port is the application, and nobody
// else: a server from before, or of somebody who guessed the port, would be judged
// in its place. What listens and which process it belongs to are not looked up in
// one instant, so that a process on its way seems to be another's: whoever is
// really there is there the next time, too.
func (s *server) alone(ctx context.Context) error {
	own, others, err := s.proc.Listens(s.port)
	for again := 0; err == nil && others && again < 3 && pause(ctx, 100*time.Millisecond); again++ {
		own, others, err = s.proc.Listens(s.port)
	}
	switch {
	case err != nil:
		return err
	case others:
		return faultf("something else than the application listens on port %d: it is not certain who is judged", s.port)
	case !own:
		return faultf("nobody listens on port %d any more", s.port)
	}
	return nil
}

// silent is what probe says of a port on which nobody listens.
const silent = "nothing listens there"

// probe asks u once and says what is wrong with the answer; "" if nothing is.
func probe(ctx context.Context, c *http.Client, u *url.URL) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err.Error()
	}
	resp, err := c.Do(req)
	if err != nil {
		if strings.Contains(err.Error(), "connection refused") {
			return silent
		}
		return oneLine(err.Error(), 200)
	}
	_ = resp.Body.Close() // the status is all that is wanted
	if resp.StatusCode >= 500 {
		return "it answers " + resp.Status
	}
	return ""
}

// elsewhere is a hint for an application that listens where nobody asks.
func (s *server) elsewhere(ctx context.Context) string {
	if s.url.Hostname() != "127.0.0.1" || !listens(ctx, "::1", s.port) {
		return ""
	}
	return " (but on [::1]: let it listen on 127.0.0.1 or on all addresses, or set url to http://localhost:{port})"
}

// again stops the application and starts it on the same port.
func (s *server) again(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return errors.New("the application was stopped")
	}
	if err := s.end(ctx); err != nil {
		return err
	}
	s.past = lastLines(s.past+s.proc.Output().Text) + "\n[restarted]\n"
	return s.run(ctx)
}

// stop ends the application for good.
func (s *server) stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	return s.end(ctx)
}

// end ends the application and all that it started, and sees that its port is
// free then: who still answers there was not the application.
func (s *server) end(ctx context.Context) error {
	if s.proc == nil {
		return nil
	}
	s.proc.Stop()
	err := poll(ctx, 2*time.Second, func() (bool, error) { return !taken(ctx, s.port), nil })
	if errors.Is(err, errLate) {
		return faultf("something still answers on port %d after the application was stopped: it is not certain who was judged", s.port)
	}
	return err
}

// stillAlone is alone, asked at the end. Of an application that has ended by then
// something else is said.
func (s *server) stillAlone(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended() {
		return nil
	}
	return s.alone(ctx)
}

// over says how the application has ended by itself, "" if it has not.
func (s *server) over() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended() {
		return ""
	}
	return "the application ended by itself, " + s.ending()
}

func (s *server) ended() bool {
	if s.proc == nil {
		return false
	}
	select {
	case <-s.proc.Done():
		return true
	default:
		return false
	}
}

func (s *server) ending() string {
	o := s.proc.Output()
	if o.Signal != "" {
		return "by signal " + o.Signal
	}
	return fmt.Sprintf("with exit code %d", o.Code)
}

func (s *server) lastWords() string {
	if l := lastLines(s.proc.Output().Text); l != "" {
		return "\n" + l
	}
	return "; it printed nothing"
}

// log is the last 100 lines that the application has printed.
func (s *server) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return ""
	}
	return lastLines(s.past + s.proc.Output().Text)
}

func lastLines(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-100):], "\n")
}
