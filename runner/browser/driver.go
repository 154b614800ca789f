package browser

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/playwright-community/playwright-go"
)

// flags come on top of Playwright's own. --disable-features must never be among
// them: the last one wins, and it would wipe Playwright's list.
var flags = []string{
	"--disable-gpu", "--disable-quic", "--no-pings", "--dns-prefetch-disable",
	"--disable-domain-reliability", "--disable-crash-reporter", "--disable-blink-features=AutomationControlled",
	"--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
	// Routes do not see redirects, favicons and the browser's own calls; this
	// does, IP literals included. Brackets around ::1 would not match.
	"--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE *.localhost , EXCLUDE 127.0.0.1 , EXCLUDE ::1",
}

// agent is what Chromium says of itself, without the word Headless.
const agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%s.0.0.0 Safari/537.36"

// A layout is the directory in which playwright-go finds its driver: node and
// package side by side. node is a script of ours, because the library starts it
// with this process's whole environment, and that must not reach the driver.
// (The library also takes the path of node from the environment; a file needs
// no global state.)
type layout struct{ dir string }

func layOut(below, driver, node string) (layout, error) {
	dir, err := os.MkdirTemp(below, "autonomous-loop-browser-")
	if err != nil {
		return layout{}, err
	}
	l := layout{dir}
	if err := l.fill(driver, node); err != nil {
		return layout{}, errors.Join(err, l.remove())
	}
	return l, nil
}

func (l layout) fill(driver, node string) error {
	driver, err := filepath.Abs(driver)
	if err != nil {
		return err
	}
	if node, err = filepath.Abs(node); err != nil {
		return err
	}
	home := filepath.Join(l.dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join(driver, "package"), filepath.Join(l.dir, "package")); err != nil {
		return err
	}
	// The shell's pid stays the driver's, since every step is an exec. The first
	// argument is cli.js below this directory; its real path is handed on,
	// because a sandboxed user may read that one and perhaps not this one. What
	// version it is, which the library asks first, Prepare has written down:
	// that saves a third of the start.
	script := fmt.Sprintf(`#!/bin/sh
echo $$ >%s
shift
[ "$1" = --version ] && [ -f %s ] && exec cat %[2]s
exec 2>>%s
exec env -i PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 HOME=%s TMPDIR=%[4]s %s %s "$@"
`, quote(l.pid()), quote(filepath.Join(driver, prepared)), quote(l.log()), quote(home), quote(node), quote(filepath.Join(driver, "package", "cli.js")))
	return os.WriteFile(filepath.Join(l.dir, "node"), []byte(script), 0o755) //nolint:gosec // it is a program
}

func (l layout) pid() string { return filepath.Join(l.dir, "pid") }
func (l layout) log() string { return filepath.Join(l.dir, "driver.log") }

func (l layout) remove() error { return os.RemoveAll(l.dir) }

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// Version is that of the driver that playwright-go wants, exactly.
func Version() (string, error) {
	d, err := driverIn(os.TempDir()) // none is looked for there
	if err != nil {
		return "", err
	}
	return d.Version, nil
}

// driverIn returns the library's idea of a driver in dir.
func driverIn(dir string) (*playwright.PlaywrightDriver, error) {
	silence()
	return playwright.NewDriver(options(dir))
}

// options name neither Stderr nor Logger: with them, the library would change
// what the whole process logs to, each time anew.
func options(dir string) *playwright.RunOptions {
	return &playwright.RunOptions{DriverDirectory: dir, SkipInstallBrowsers: true}
}

// silence gives the library a logger that drops what the library would
// otherwise print. It keeps that in a variable that it does not guard, so it is
// set once, before anything else.
var silence = sync.OnceFunc(func() {
	_, _ = playwright.NewDriver(&playwright.RunOptions{DriverDirectory: os.TempDir(), Logger: slog.New(slog.DiscardHandler)})
})

// prepared is the file that Prepare leaves in the driver's directory.
const prepared = "prepared"

// Prepare makes the npm package playwright-core, unpacked in driver/package,
// fit for playwright-go, which wants a small patch applied to it. It is done
// once, needs no network, and changes nothing the second time.
func Prepare(driver, node string) error {
	if !exists(filepath.Join(driver, "package", "cli.js")) {
		return fmt.Errorf("prepare driver: %s has no package/cli.js: unpack npm's playwright-core there", driver)
	}
	mark := filepath.Join(driver, prepared)
	if err := os.Remove(mark); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("prepare driver: %w", err)
	}
	l, err := layOut("", driver, node)
	if err != nil {
		return fmt.Errorf("prepare driver: %w", err)
	}
	d, err := driverIn(l.dir)
	if err == nil {
		err = d.Install()
	}
	if err != nil {
		err = fmt.Errorf("%w%s", err, l.complaint())
	}
	if err = errors.Join(err, l.remove()); err != nil {
		return fmt.Errorf("prepare driver %s: %w", driver, err)
	}
	return os.WriteFile(mark, []byte(d.Version+"\n"), 0o644) //nolint:gosec // the sandbox's user reads it
}

// An engine is a running driver with a running browser.
type engine struct {
	layout  layout
	pw      *playwright.Playwright
	browser playwright.Browser
	agent   string      // what the browser calls itself
	major   string      // version of the browser
	down    atomic.Bool // no new session is opened in it
	gone    atomic.Bool // it said that it ended
	end     sync.Once

	mu       sync.Mutex
	sessions int
	retired  bool // ends with its last session
}

// start runs the driver and the browser. playwright-go's calls take no context:
// they end when the driver does, so the driver is killed when ctx is done.
func start(ctx context.Context, o Options) (*engine, error) {
	l, err := layOut(o.Dir, o.Driver, o.Node)
	if err != nil {
		return nil, fmt.Errorf("start browser: %w", err)
	}
	ended := make(chan struct{})
	e, err := await(ctx, o.Limits.Launch, func() (*engine, error) {
		defer close(ended)
		return launch(l, o.Chromium)
	})
	if err == nil {
		return e, nil
	}
	// The driver may not have a pid yet, so this is done until launch gives up.
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for range 250 {
		kill(l)
		select {
		case <-ended:
			kill(l)
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			} else {
				err = fmt.Errorf("start browser: %w%s", err, l.complaint())
			}
			return nil, errors.Join(err, l.remove())
		case <-again.C:
		}
	}
	return nil, fmt.Errorf("start browser: %w, and the driver in %s cannot be ended%s", err, l.dir, l.complaint())
}

func launch(l layout, chromium string) (*engine, error) {
	d, err := driverIn(l.dir)
	if err != nil {
		return nil, err
	}
	if node := d.Command().Path; node != filepath.Join(l.dir, "node") {
		return nil, fmt.Errorf("the driver would be run by %s, past the sandbox: unset PLAYWRIGHT_NODEJS_PATH", node)
	}
	pw, err := playwright.Run(options(l.dir))
	if err != nil {
		return nil, err
	}
	no := new(false)
	b, err := pw.Chromium.Launch(playwright.BrowserTypeLaunchOptions{
		ExecutablePath: &chromium, Args: flags,
		HandleSIGHUP: no, HandleSIGINT: no, HandleSIGTERM: no,
	})
	if err != nil {
		return nil, errors.Join(errors.New(brief(err)), pw.Stop())
	}
	major, _, _ := strings.Cut(b.Version(), ".")
	e := &engine{layout: l, pw: pw, browser: b, agent: fmt.Sprintf(agent, major), major: major}
	b.OnDisconnected(func(playwright.Browser) { e.gone.Store(true); e.fail() })
	return e, nil
}

// complaint is the end of what the driver wrote to its standard error.
func (l layout) complaint() string {
	b, err := os.ReadFile(l.log())
	b = bytes.TrimSpace(b)
	if err != nil || len(b) == 0 {
		return ""
	}
	return "; the driver says: " + oneLine(string(b[max(0, len(b)-2000):]), 2000)
}

func (e *engine) fail()        { e.down.Store(true) }
func (e *engine) failed() bool { return e.down.Load() }

// responds asks driver and browser for an answer. One that gives none gets no
// more sessions.
func (e *engine) responds(ctx context.Context) bool {
	if e.gone.Load() {
		return false
	}
	_, err := await(ctx, 30*time.Second, func() (struct{}, error) {
		c, err := e.browser.NewContext()
		if err == nil {
			err = c.Close()
		}
		return struct{}{}, err
	})
	if err != nil && ctx.Err() == nil {
		e.fail()
	}
	return err == nil
}

// enter counts a session that is opened in e, leave one that is over.
func (e *engine) enter() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sessions++
}

func (e *engine) leave() {
	e.mu.Lock()
	e.sessions--
	last := e.retired && e.sessions == 0
	e.mu.Unlock()
	if last {
		e.stop()
	}
}

// retire lets e end with its last session: a page that hangs in one must not
// cost the others theirs.
func (e *engine) retire() {
	e.fail()
	e.mu.Lock()
	e.retired = true
	idle := e.sessions == 0
	e.mu.Unlock()
	if idle {
		e.stop()
	}
}

// stop ends the browser and the driver, by request and then by force.
func (e *engine) stop() {
	e.end.Do(func() {
		e.fail()
		_ = within(5*time.Second, func() error { return errors.Join(e.browser.Close(), e.pw.Stop()) })
		kill(e.layout)
		_ = e.layout.remove() // a file that a dying process still writes does no harm
	})
}

// kill ends the driver of l and all its descendants at once. Where there is no
// /proc, only the driver.
func kill(l layout) {
	b, err := os.ReadFile(l.pid())
	if err != nil {
		return
	}
	driver, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return
	}
	parent := parents()
	if len(parent) > 0 && parent[driver] != os.Getpid() {
		return // it has ended, and its pid may be someone else's by now
	}
	doomed := []int{driver}
	for i := 0; i < len(doomed); i++ {
		for pid, p := range parent {
			if p == doomed[i] {
				doomed = append(doomed, pid)
			}
		}
	}
	for _, pid := range doomed {
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill() // gone already, or the sandbox's to end
		}
	}
}

// parents maps each process to its parent.
func parents() map[int]int {
	m := make(map[int]int)
	dirs, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range dirs {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state ppid …; the name may hold spaces and brackets.
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil || len(fields) < 2 {
			continue
		}
		if m[pid], err = strconv.Atoi(fields[1]); err != nil {
			delete(m, pid)
		}
	}
	return m
}

// errNoAnswer says that a call into the browser did not come back in time.
var errNoAnswer = errors.New("no answer")

// await runs f, which takes no context, and gives up waiting when ctx is done
// or limit has passed. f then goes on until the browser context, the browser or
// the driver under it is closed, which is up to the caller.
func await[T any](ctx context.Context, limit time.Duration, f func() (T, error)) (T, error) {
	return awaitOr(ctx, limit, f, func(T) {})
}

// awaitOr hands what f returns to drop if nobody waits for it any more.
func awaitOr[T any](ctx context.Context, limit time.Duration, f func() (T, error), drop func(T)) (T, error) {
	v, err := race(ctx.Done(), limit, f, drop)
	if errors.Is(err, errStopped) {
		return v, context.Cause(ctx)
	}
	return v, err
}

// within is await for what has to be done whoever waits for it.
func within(limit time.Duration, f func() error) error {
	_, err := race(nil, limit, func() (struct{}, error) { return struct{}{}, f() }, func(struct{}) {})
	return err
}

// errStopped says that stop was closed before f had returned.
var errStopped = errors.New("stopped")

func race[T any](stop <-chan struct{}, limit time.Duration, f func() (T, error), drop func(T)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done, gone := make(chan result), make(chan struct{})
	go func() {
		v, err := f()
		select {
		case done <- result{v, err}:
		case <-gone:
			drop(v)
		}
	}()
	late := time.NewTimer(limit)
	defer late.Stop()
	var none T
	select {
	case r := <-done:
		return r.v, r.err
	case <-stop:
		close(gone)
		return none, errStopped
	case <-late.C:
		close(gone)
		return none, fmt.Errorf("%w in %v", errNoAnswer, limit)
	}
}
