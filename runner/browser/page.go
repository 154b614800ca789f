package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/playwright-community/playwright-go"
)

// What a page's answers may be long, in bytes.
const (
	maxSnapshot = 16 << 10
	maxAnswer   = 4 << 10
)

// A Page is a page for an agent that wants to see what it builds. It reaches
// every port of this machine and nothing else. Its actions are done one after
// the other.
type Page struct {
	b *Browser

	mu      sync.Mutex
	session *session // nil: not open
	told    int      // how many console entries the agent has seen
	shots   int
	shot    []byte // by the last action
	record  recording
}

// An Action is one thing to do with a page.
type Action struct {
	Action string // open, snapshot, click, type, press, wait, eval, console, screenshot, close
	URL    string // open: an address on this machine
	Ref    string // click, type, press: [ref=e5] of the last snapshot
	Text   string // type: the new content of the field; wait: what must appear
	Key    string // press: Enter, Control+A
	Script string // eval: an expression or a function
	WaitMS int    // wait: how long, at most 30,000
}

// Page returns a page that is not open yet. An error means that the browser
// cannot be started.
func (b *Browser) Page(ctx context.Context) (*Page, error) {
	if _, err := b.up(ctx); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.recordings++
	return &Page{b: b, record: recording{number: b.recordings}}, nil
}

// Close closes the page. It can be opened again.
func (p *Page) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.close()
}

func (p *Page) close() {
	p.session.close()
	p.session = nil
}

// Do performs a and says in a few lines what became of it. What the page does
// not let itself be done to is part of that text; an error means that the
// browser failed or ctx is done, and that the page is closed.
func (p *Page) Do(ctx context.Context, a Action) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shot = nil
	if a.Action == "close" {
		p.close()
		return "closed", nil
	}
	if p.session == nil {
		if a.Action != "open" {
			return "error: no page is open; open one first", nil
		}
		s, err := p.b.session(ctx, scope{}, &url.URL{Scheme: "http", Host: "127.0.0.1"})
		if err != nil {
			return "", fmt.Errorf("open a page: %w", err)
		}
		p.session, p.told = s, 0
	}
	limit := p.b.o.Limits.Load + p.b.o.Limits.Wait
	type done struct {
		text, name string
		at         *url.URL // before
	}
	did, err := use(ctx, p.session, limit, func(ctx context.Context) (done, error) {
		var d done
		if a.Action != "open" {
			d.at, _ = url.Parse(p.session.page.URL()) // what cannot be read is nowhere
		}
		if a.Ref != "" {
			if l, err := p.session.element(a.Ref); err == nil {
				d.name = p.session.called(plainRef(a.Ref), l)
			}
		}
		var err error
		d.text, err = p.session.act(ctx, a, p.b.o.Limits)
		return d, err
	})
	out := did.text
	if err == nil {
		p.record.note(a, did.name, did.at)
		if err := p.record.keep(p.b.o.Artifacts); err != nil {
			return "", fmt.Errorf("keep the recording: %w", err)
		}
	}
	if a.Action == "screenshot" && err == nil {
		p.shot = []byte(out)
		out, err = p.keep(p.shot)
	}
	switch {
	case err == nil:
		return out + p.news(a), nil
	case ctx.Err() != nil:
		p.close()
		return "", context.Cause(ctx)
	case p.session.hasCrashed() || !p.session.engine.responds(ctx):
		p.close()
		return "", fmt.Errorf("the browser failed: %w", err)
	case errors.Is(err, errNoAnswer):
		p.close()
		return "error: the page gives " + err.Error() + " and was closed", nil
	}
	return "error: " + brief(err) + p.news(a), nil
}

// Shot is the picture that the last action took, a PNG; nil if it took none.
func (p *Page) Shot() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shot
}

// news is what the page has complained about since the agent last heard of it.
func (p *Page) news(a Action) string {
	console, network := p.session.log.report()
	all := append(console, network...)
	if a.Action == "console" || len(all) <= p.told {
		p.told = len(all)
		return ""
	}
	fresh := len(all) - p.told
	p.told = len(all)
	return fmt.Sprintf("\n%d new console entries, the last: %s", fresh, oneLine(all[len(all)-1], 300))
}

// keep writes a screenshot to a file and says where.
func (p *Page) keep(png []byte) (string, error) {
	if p.b.o.Artifacts == "" {
		return "", faultf("there is no directory for screenshots")
	}
	p.shots++
	name := filepath.Join(p.b.o.Artifacts, fmt.Sprintf("page-%d.png", p.shots))
	if err := os.WriteFile(name, png, 0o644); err != nil { //nolint:gosec // a picture to look at
		return "", fmt.Errorf("keep the screenshot: %w", err)
	}
	return fmt.Sprintf("%s, %d bytes", name, len(png)), nil
}

var refText = regexp.MustCompile(`^(f[0-9]+)?e[0-9]+$`)

// element is what ref of the last snapshot stands for.
func (s *session) element(ref string) (playwright.Locator, error) {
	ref = plainRef(ref)
	if !refText.MatchString(ref) {
		return nil, faultf("ref %q is not one of a snapshot, like e5", ref)
	}
	l := s.page.Locator("aria-ref=" + ref)
	if n, err := l.Count(); err != nil || n == 0 {
		return nil, faultf("ref %s is not on the page any more: take a new snapshot", ref)
	}
	return l, nil
}

// plainRef takes off what models copy along with a ref.
func plainRef(ref string) string {
	return strings.TrimSuffix(strings.TrimPrefix(strings.Trim(ref, "[]"), "ref="), "]")
}

func (s *session) act(ctx context.Context, a Action, limits Limits) (string, error) {
	switch a.Action {
	case "open":
		return s.visit(a.URL, limits)
	case "snapshot":
		return s.look(limits)
	case "click", "type", "press":
		return s.touch(a, limits)
	case "wait":
		return s.wait(ctx, a)
	case "eval":
		v, err := s.page.Evaluate(a.Script)
		if err != nil {
			return "", err
		}
		out, err := json.Marshal(v)
		return cut(string(out), maxAnswer), err
	case "console":
		console, network := s.log.report()
		if len(console)+len(network) == 0 {
			return "nothing", nil
		}
		return cut(strings.Join(append(console, network...), "\n"), maxAnswer), nil
	case "screenshot":
		png, err := s.screenshot(ctx)
		return string(png), err
	}
	return "", faultf("there is no action %q; there are open, snapshot, click, type, press, wait, eval, console, screenshot, close", a.Action)
}

func (s *session) visit(raw string, l Limits) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !s.in.serves(u) {
		return "", faultf("only addresses on this machine can be opened, like http://localhost:3000/")
	}
	resp, err := s.page.Goto(raw, playwright.PageGotoOptions{Timeout: new(ms(l.Load))})
	if err != nil {
		return "", err
	}
	at, err := s.at()
	if err == nil && resp != nil {
		at = fmt.Sprintf("%d %s", resp.Status(), at)
	}
	return at, err
}

func (s *session) at() (string, error) {
	title, err := s.page.Title()
	return fmt.Sprintf("%s %s", s.page.URL(), quoted(title)), err
}

func (s *session) look(l Limits) (string, error) {
	at, err := s.at()
	if err != nil {
		return "", err
	}
	tree, err := s.page.AriaSnapshot(playwright.PageAriaSnapshotOptions{
		Mode: playwright.AriaSnapshotModeAi, Timeout: new(ms(l.Action)),
	})
	if err != nil {
		return "", err
	}
	s.tree = tree
	if strings.TrimSpace(tree) == "" {
		tree = "(the page is empty)"
	}
	return cut(at+"\n"+tree, maxSnapshot), nil
}

func (s *session) touch(a Action, limits Limits) (string, error) {
	var l playwright.Locator
	if a.Ref != "" || a.Action != "press" {
		var err error
		if l, err = s.element(a.Ref); err != nil {
			return "", err
		}
	}
	var err error
	limit := new(ms(limits.Action))
	switch {
	case a.Action == "click":
		err = l.Click(playwright.LocatorClickOptions{Timeout: limit})
	case a.Action == "type":
		err = l.Fill(a.Text, playwright.LocatorFillOptions{Timeout: limit})
	case l != nil:
		err = l.Press(a.Key, playwright.LocatorPressOptions{Timeout: limit})
	default:
		err = s.page.Keyboard().Press(a.Key)
	}
	if err != nil {
		return "", err
	}
	at, err := s.at()
	return "done; now at " + at, err
}

func (s *session) wait(ctx context.Context, a Action) (string, error) {
	limit := min(max(time.Duration(a.WaitMS)*time.Millisecond, 0), 30*time.Second)
	if a.Text == "" {
		err := poll(ctx, limit, func() (bool, error) { return false, nil })
		if !errors.Is(err, errLate) {
			return "", err
		}
		return s.at()
	}
	if limit == 0 {
		limit = 5 * time.Second
	}
	l := visible(s.page.GetByText(a.Text))
	err := poll(ctx, limit, func() (bool, error) {
		n, err := l.Count()
		return n > 0, err
	})
	if errors.Is(err, errLate) {
		return "", faultf("%s did not appear in %v", quoted(a.Text), limit)
	}
	if err != nil {
		return "", err
	}
	return s.at()
}

// cut shortens an answer to n bytes at the end of a line and says so.
func cut(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	head := strings.ToValidUTF8(s[:n], "")
	if i := strings.LastIndexByte(head, '\n'); i > n/2 {
		head = head[:i]
	}
	return fmt.Sprintf("%s\n[%d bytes more]", head, len(s)-len(head))
}
