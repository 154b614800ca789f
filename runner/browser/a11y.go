package browser

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "embed"

	"github.com/playwright-community/playwright-go"

	"github.com/autonomous-loop/autonomous-loop/runner/check"
)

// What is done about barriers: what keeps people who cannot see, hear or point
// from using a page, as axe-core finds it.
const (
	A11yOff    = "off"
	A11yReport = "report"
	A11yBlock  = "block" // a run with a serious or critical barrier fails
)

// axeVersion is the version of axe-core that tools/setup.sh puts beside the
// driver. It is not part of this program: its license, MPL-2.0, would allow that,
// but it is 650 kB that most users of the sources need no copy of, and it changes
// on its own.
const axeVersion = "4.14.1"

func axeFile(driver string) string { return filepath.Join(driver, "axe-"+axeVersion+".min.js") }

// look runs in a world of its own beside the page: the page cannot answer for
// it, and its content security policy does not concern it.
//
//go:embed a11y.js
var lookScript string

// maxPagesLooked is how many pages of a scenario are looked at.
const maxPagesLooked = 12

// settles says whether a step shows that its page is as it should be.
func settles(st check.Step) bool {
	return strings.HasPrefix(st.Action, "assert_") || strings.HasPrefix(st.Action, "wait_for")
}

// looks says whether the pages of a run are looked at. It takes a quarter of a
// second for each that is new, so where barriers are only reported, one of many
// runs is enough.
func (b *Browser) looks(sc check.Scenario) bool {
	return b.o.A11y == A11yBlock || b.o.A11y == A11yReport && !sc.Plain
}

// look finds the barriers of the page, once for each address of a scenario and
// once more at its end. A page that looks the same as one before, with other
// texts, has the same.
func (b *Browser) look(ctx context.Context, r *run, acc *check.Acceptance, end bool) {
	if !r.looks || len(acc.Looked) >= maxPagesLooked {
		return
	}
	page := r.where()
	if u, err := url.Parse(page); err == nil {
		page = u.Path
	}
	seen := slices.Contains(acc.Looked, page)
	if seen && !end {
		return
	}
	if !seen {
		acc.Looked = append(acc.Looked, page)
	}
	found, err := b.barriers(ctx, r.session)
	if err != nil {
		if ctx.Err() == nil && !gone(err) {
			found = []check.Barrier{{Rule: "not-looked-at", Help: brief(err)}}
		}
	}
	for _, f := range found {
		f.Page = page
		if !slices.ContainsFunc(acc.Accessibility, func(g check.Barrier) bool { return g.Page == f.Page && g.Rule == f.Rule }) {
			acc.Accessibility = append(acc.Accessibility, f)
		}
	}
}

func (b *Browser) barriers(ctx context.Context, s *session) ([]check.Barrier, error) {
	axe, err := b.axe()
	if err != nil {
		return nil, err
	}
	return use(ctx, s, 30*time.Second, func(context.Context) ([]check.Barrier, error) {
		w, err := s.beside()
		if err != nil {
			return nil, err
		}
		defer w.cdp.Detach() //nolint:errcheck // it goes with the page at the latest
		key, err := w.evaluate(lookScript + "; shape()")
		if err != nil {
			return nil, err
		}
		b.mu.Lock()
		found, known := b.shapes[key]
		b.mu.Unlock()
		if known {
			return slices.Clone(found), nil
		}
		if _, err := w.evaluate(axe + "; ''"); err != nil {
			return nil, err
		}
		text, err := w.evaluate(lookScript + "; barriers()")
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(text), &found); err != nil {
			return nil, fmt.Errorf("read what axe-core found: %w", err)
		}
		for i := range found {
			f := &found[i]
			f.Help = oneLine(f.Help, 300)
			for k := range f.Elements {
				f.Elements[k] = oneLine(f.Elements[k], 200)
			}
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.shapes[key] = slices.Clone(found)
		return found, nil
	})
}

// axe is the source of axe-core.
func (b *Browser) axe() (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.axeSource == "" {
		data, err := os.ReadFile(axeFile(b.o.Driver))
		if err != nil {
			return "", fmt.Errorf("axe-core %s is missing: run tools/setup.sh: %w", axeVersion, err)
		}
		b.axeSource = string(data)
	}
	return b.axeSource, nil
}

// blocked says which barriers fail a run.
func (b *Browser) blocked(acc *check.Acceptance) error {
	if b.o.A11y != A11yBlock {
		return nil
	}
	var bad []string
	for _, f := range acc.Accessibility {
		if f.Impact == "serious" || f.Impact == "critical" || f.Rule == "not-looked-at" {
			bad = append(bad, f.String())
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return faultf("the application keeps people out, and a11y is block: %s", strings.Join(bad[:min(len(bad), 5)], "; "))
}

// A world is where scripts see the page's document and none of its scripts.
type world struct {
	cdp playwright.CDPSession
	id  any
}

func (s *session) beside() (*world, error) {
	cdp, err := s.ctx.NewCDPSession(s.page)
	if err != nil {
		return nil, err
	}
	w := &world{cdp: cdp}
	tree, err := w.send("Page.getFrameTree", nil, "frameTree", "frame", "id")
	if err == nil {
		w.id, err = w.send("Page.createIsolatedWorld", map[string]any{"frameId": tree, "worldName": "judge"}, "executionContextId")
	}
	if err != nil {
		return nil, errors.Join(err, cdp.Detach())
	}
	return w, nil
}

// send sends a command of Chromium's protocol and follows path into the answer.
func (w *world) send(method string, params map[string]any, path ...string) (any, error) {
	v, err := w.cdp.Send(method, params)
	for _, name := range path {
		if err != nil {
			return nil, err
		}
		m, _ := v.(map[string]any)
		var ok bool
		if v, ok = m[name]; !ok {
			err = fmt.Errorf("%s gives no %s", method, name)
		}
	}
	return v, err
}

// evaluate runs a script that gives text, or a promise of it.
func (w *world) evaluate(script string) (string, error) {
	v, err := w.cdp.Send("Runtime.evaluate", map[string]any{
		"expression": script, "contextId": w.id, "awaitPromise": true, "returnByValue": true,
	})
	if err != nil {
		return "", err
	}
	m, _ := v.(map[string]any)
	if bad, ok := m["exceptionDetails"].(map[string]any); ok {
		e, _ := bad["exception"].(map[string]any)
		what, _ := e["description"].(string)
		return "", errors.New(oneLine(cmp.Or(what, fmt.Sprint(bad["text"])), 300))
	}
	result, _ := m["result"].(map[string]any)
	text, ok := result["value"].(string)
	if !ok {
		return "", fmt.Errorf("a script gives %v, which is no text", result["type"])
	}
	return text, nil
}
