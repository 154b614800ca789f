package browser

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/playwright-community/playwright-go"

	"github.com/autonomous-loop/autonomous-loop/runner/check"
)

// What is read here is read through Playwright's own questions, which it asks
// in a world apart from the page's. A script evaluated in the page would see
// whatever the page has put in the place of innerText.

// maxLooked is how many of the elements that match are looked at.
const maxLooked = 20

// expect waits until seen gives something that is as wanted, and otherwise says
// what was wanted and what was seen last.
func (r *run) expect(ctx context.Context, limit time.Duration, wanted string, look func() (seen string, ok bool, err error)) error {
	var seen string
	err := r.poll(ctx, limit, func() (bool, error) {
		s, ok, err := look()
		if err == nil {
			seen = s
		}
		return ok, err
	})
	if errors.Is(err, errLate) {
		return faultf("expected %s, %s", wanted, seen)
	}
	return refused(err)
}

// contains compares text as people read it: white space is all the same.
func contains(text, part string) bool { return strings.Contains(words(text), words(part)) }

func words(s string) string { return strings.Join(strings.Fields(s), " ") }

func quoted(s string) string { return `"` + oneLine(s, 300) + `"` }

func assertURL(ctx context.Context, r *run, st check.Step, limit time.Duration) error {
	want := st.Expected
	if want == "" {
		want = st.Value
	}
	return r.expect(ctx, limit, "the address "+want, func() (string, bool, error) {
		return "it is " + r.where(), sameURL(want, r.page.URL()), nil
	})
}

func assertTitle(ctx context.Context, r *run, st check.Step, limit time.Duration) error {
	return r.expect(ctx, limit, "a title with "+quoted(st.Expected), func() (string, bool, error) {
		t, err := r.page.Title()
		return "it is " + quoted(t), contains(t, st.Expected), err
	})
}

func assertText(ctx context.Context, r *run, st check.Step, limit time.Duration) error {
	if st.Target == "" {
		return r.expect(ctx, limit, quoted(st.Expected), func() (string, bool, error) {
			t, err := r.page.Locator("body").InnerText(playwright.LocatorInnerTextOptions{Timeout: soon})
			return "page shows " + quoted(t), contains(t, st.Expected), err
		})
	}
	return r.each(ctx, st.Target, limit, quoted(st.Expected), func(l playwright.Locator) (string, bool, error) {
		t, err := text(l)
		return t, contains(t, st.Expected), err
	})
}

// soon bounds a question about an element that has just been seen. Without a
// limit this version of the library would wait for it for ever.
var soon = new(1000.0) // milliseconds

// text is what an element shows: its text or, if it is a field, its value.
func text(l playwright.Locator) (string, error) {
	t, err := l.InnerText(playwright.LocatorInnerTextOptions{Timeout: soon})
	if err != nil || strings.TrimSpace(t) != "" {
		return t, err
	}
	v, err := l.InputValue(playwright.LocatorInputValueOptions{Timeout: soon})
	if err != nil && !gone(err) {
		return t, nil // not a field
	}
	return v, err
}

// each waits until one of the visible elements that target names is as wanted.
func (r *run) each(ctx context.Context, name string, limit time.Duration, wanted string,
	look func(playwright.Locator) (string, bool, error),
) error {
	t, err := parseTarget(name)
	if err != nil {
		return &fault{err.Error()}
	}
	ways := t.locators(r.page)
	return r.expect(ctx, limit, wanted, func() (string, bool, error) {
		var all []string
		for _, l := range ways {
			l = visible(l)
			n, err := l.Count()
			if err != nil {
				return "", false, err
			}
			for i := range min(n, maxLooked) {
				seen, ok, err := look(l.Nth(i))
				if ok || err != nil {
					return seen, ok, err
				}
				if q := quoted(seen); !slices.Contains(all, q) {
					all = append(all, q)
				}
			}
		}
		if len(all) == 0 {
			return r.absence(ways), false, nil
		}
		return "page shows " + strings.Join(all[:min(len(all), 5)], ", "), false, nil
	})
}

func assertVisible(ctx context.Context, r *run, st check.Step, limit time.Duration) error {
	_, err := r.find(ctx, st.Target, limit)
	return err
}

// assertHidden goes by the loosest reading of the target: nothing that it could
// mean may be seen.
func assertHidden(ctx context.Context, r *run, st check.Step, limit time.Duration) error {
	t, err := parseTarget(st.Target)
	if err != nil {
		return &fault{err.Error()}
	}
	ways := t.locators(r.page)
	l := visible(ways[len(ways)-1])
	return r.expect(ctx, limit, "nothing to be seen", func() (string, bool, error) {
		n, err := l.Count()
		if err != nil || n == 0 {
			return "", err == nil, err
		}
		seen, err := text(l.First())
		return fmt.Sprintf("page shows %s", quoted(seen)), false, err
	})
}

func assertCount(ctx context.Context, r *run, st check.Step, limit time.Duration) error {
	t, err := parseTarget(st.Target)
	if err != nil {
		return &fault{err.Error()}
	}
	want, _ := strconv.Atoi(st.Expected) // Mistakes has seen that it is one
	ways := t.locators(r.page)
	return r.expect(ctx, limit, fmt.Sprintf("%d elements", want), func() (string, bool, error) {
		n := 0
		for _, l := range ways {
			var err error
			if n, err = visible(l).Count(); err != nil {
				return "", false, err
			}
			if n > 0 {
				break
			}
		}
		return fmt.Sprintf("page shows %d", n), n == want, nil
	})
}

func assertValue(ctx context.Context, r *run, st check.Step, limit time.Duration) error {
	return r.each(ctx, st.Target, limit, "the value "+quoted(st.Expected), func(l playwright.Locator) (string, bool, error) {
		v, err := l.InputValue(playwright.LocatorInputValueOptions{Timeout: soon})
		return v, v == st.Expected, err
	})
}

func assertAttr(ctx context.Context, r *run, st check.Step, limit time.Duration) error {
	wanted := "the attribute " + st.Value
	if st.Expected != "" {
		wanted += "=" + quoted(st.Expected)
	}
	with := r.page.Locator("[" + strings.NewReplacer(":", `\:`, ".", `\.`).Replace(st.Value) + "]")
	return r.each(ctx, st.Target, limit, wanted, func(l playwright.Locator) (string, bool, error) {
		// An attribute that is not there reads like an empty one.
		n, err := l.And(with).Count()
		if err != nil || n == 0 {
			return "no " + st.Value, false, err
		}
		v, err := l.GetAttribute(st.Value, playwright.LocatorGetAttributeOptions{Timeout: soon})
		ok := st.Expected == "" || v == st.Expected ||
			st.Value == "class" && slices.Contains(strings.Fields(v), st.Expected)
		return st.Value + "=" + v, ok, err
	})
}

func assertNoErrors(ctx context.Context, r *run, _ check.Step, _ time.Duration) error {
	// What the page has logged arrives before its answer to a question asked
	// later; what it is about to log is given a moment.
	if !pause(ctx, 200*time.Millisecond) {
		return context.Cause(ctx)
	}
	if _, err := r.page.Title(); err != nil {
		return refused(err)
	}
	if bad := r.log.errors(); len(bad) > 0 {
		return faultf("expected no errors in the console, there are %d: %s", len(bad), strings.Join(bad[:min(len(bad), 3)], "; "))
	}
	return nil
}
