package browser

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/playwright-community/playwright-go"
)

// A target names elements of a page, as an acceptance step writes it.
type target struct {
	kind  string // role, label, text, placeholder, testid, css
	text  string // of the role: its name
	exact bool   // text was in quotes: nothing looser will do
	role  string
	attrs []attr
}

type attr struct{ name, value string }

// states are the attributes of a role besides its name, and whether the role
// takes them as yes or no.
var states = []string{"checked", "disabled", "expanded", "pressed", "selected", "level"}

var (
	roleHead = regexp.MustCompile(`^[a-z]+`)
	roleAttr = regexp.MustCompile(`^\[\s*([a-z-]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\]]*?)\s*)?\]`)
)

// parseTarget reads a step's target.
func parseTarget(s string) (target, error) {
	kind, rest, ok := strings.Cut(s, "=")
	switch {
	case ok && kind == "role":
		return parseRole(rest)
	case ok && slices.Contains([]string{"label", "text", "placeholder", "testid"}, kind):
		t := target{kind: kind}
		t.text, t.exact = unquote(rest)
		if t.text == "" {
			return target{}, fmt.Errorf("target %s names no text", s)
		}
		return t, nil
	case ok && kind == "css":
		s = rest
	}
	if strings.TrimSpace(s) == "" {
		return target{}, fmt.Errorf("target is empty")
	}
	return target{kind: "css", text: s}, nil
}

func parseRole(s string) (target, error) {
	t := target{kind: "role", role: roleHead.FindString(s)}
	rest := s[len(t.role):]
	if t.role == "" {
		return target{}, fmt.Errorf("target role=%s names no role", s)
	}
	for rest != "" {
		m := roleAttr.FindStringSubmatch(rest)
		if m == nil {
			return target{}, fmt.Errorf("target role=%s: cannot read %s: want [name=%q] or one of [%s]",
				s, rest, "text", strings.Join(states, "] ["))
		}
		rest = rest[len(m[0]):]
		name, value := m[1], m[2]
		switch {
		case name == "name":
			t.text, t.exact = unquote(value)
			t.exact = false // quotes are how a name is always written
		case name == "level":
			v, _ := unquote(value)
			if _, err := strconv.Atoi(v); err != nil {
				return target{}, fmt.Errorf("target role=%s: level wants a number", s)
			}
			t.attrs = append(t.attrs, attr{name, v})
		case slices.Contains(states, name):
			v, _ := unquote(value)
			if v == "" {
				v = "true"
			}
			if v != "true" && v != "false" {
				return target{}, fmt.Errorf("target role=%s: %s wants true or false", s, name)
			}
			t.attrs = append(t.attrs, attr{name, v})
		default:
			return target{}, fmt.Errorf("target role=%s: %s is not one of name, %s", s, name, strings.Join(states, ", "))
		}
	}
	return t, nil
}

// unquote takes the quotes off a text that has them.
func unquote(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if len(s) < 2 || s[0] != s[len(s)-1] || s[0] != '"' && s[0] != '\'' {
		return s, false
	}
	q := s[:1]
	return strings.NewReplacer(`\`+q, q, `\\`, `\`).Replace(s[1 : len(s)-1]), true
}

// locators are the ways to find t, the strictest first: a label "Name" is meant
// before a label "Username", but "Name:" will do if there is nothing better.
func (t target) locators(p playwright.Page) []playwright.Locator {
	both := func(by func(exact bool) playwright.Locator) []playwright.Locator {
		if t.exact {
			return []playwright.Locator{by(true)}
		}
		return []playwright.Locator{by(true), by(false)}
	}
	switch t.kind {
	case "role":
		if t.text == "" {
			return []playwright.Locator{p.GetByRole(playwright.AriaRole(t.role), t.options(false))}
		}
		return both(func(exact bool) playwright.Locator {
			return p.GetByRole(playwright.AriaRole(t.role), t.options(exact))
		})
	case "label":
		return both(func(exact bool) playwright.Locator {
			return p.GetByLabel(t.text, playwright.PageGetByLabelOptions{Exact: &exact})
		})
	case "placeholder":
		return both(func(exact bool) playwright.Locator {
			return p.GetByPlaceholder(t.text, playwright.PageGetByPlaceholderOptions{Exact: &exact})
		})
	case "text":
		return both(func(exact bool) playwright.Locator {
			return p.GetByText(t.text, playwright.PageGetByTextOptions{Exact: &exact})
		})
	case "testid":
		return []playwright.Locator{p.GetByTestId(t.text)}
	}
	return []playwright.Locator{p.Locator("css=" + t.text)}
}

func (t target) options(exact bool) playwright.PageGetByRoleOptions {
	var o playwright.PageGetByRoleOptions
	if t.text != "" {
		o.Name, o.Exact = t.text, &exact
	}
	for _, a := range t.attrs {
		yes := new(a.value == "true")
		switch a.name {
		case "checked":
			o.Checked = yes
		case "disabled":
			o.Disabled = yes
		case "expanded":
			o.Expanded = yes
		case "pressed":
			o.Pressed = yes
		case "selected":
			o.Selected = yes
		case "level":
			n, _ := strconv.Atoi(a.value) // parseRole has seen that it is one
			o.Level = &n
		}
	}
	return o
}

// visible narrows l to the elements that a person could see.
func visible(l playwright.Locator) playwright.Locator {
	return l.Filter(playwright.LocatorFilterOptions{Visible: new(true)})
}

// errLate says that a condition did not come true in time.
var errLate = fmt.Errorf("did not happen in time")

// poll asks done until it says yes. An answer that fails is asked for again,
// since a page that is just being replaced fails every question; the last
// failure is returned if time runs out on it. A limit of 0 asks once.
func poll(ctx context.Context, limit time.Duration, done func() (bool, error)) error {
	waiting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	pause := 10 * time.Millisecond // soon at first, since most waits are short
	again := time.NewTimer(pause)
	defer again.Stop()
	for {
		ok, err := done()
		switch {
		case ok:
			return nil
		case err != nil && gone(err):
			return err
		}
		if waiting.Err() == nil {
			select {
			case <-waiting.Done():
			case <-again.C:
				pause = min(2*pause, 200*time.Millisecond)
				again.Reset(pause)
				continue
			}
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		}
		return errLate
	}
}

// quiet is how long a page must have shown, loaded and asked for nothing new for
// whoever is in a hurry to give it up.
const quiet = 500 * time.Millisecond

// poll is [poll] on the run's page. In a hurry, it does not wait for what a page
// that has come to rest shows no sign of bringing.
func (r *run) poll(ctx context.Context, limit time.Duration, done func() (bool, error)) error {
	if !r.hurry || limit <= quiet {
		return poll(ctx, limit, done)
	}
	var since time.Time
	var shown string
	var asked int64
	given := false
	err := poll(ctx, limit, func() (bool, error) {
		ok, err := done()
		if ok || err != nil {
			since = time.Time{}
			return ok, err
		}
		shows, err := r.page.Content()
		if err != nil {
			return false, err
		}
		if n := r.asked.Load(); since.IsZero() || shows != shown || n != asked || r.answered.Load() < n {
			since, shown, asked = r.now(), shows, n
		}
		given = r.now().Sub(since) > quiet
		return given, nil
	})
	if given && err == nil {
		return errLate
	}
	return err
}
