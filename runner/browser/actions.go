package browser

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/playwright-community/playwright-go"

	"github.com/autonomous-loop/autonomous-loop/runner/check"
)

// A need says what a step's field is to its action.
type need string

const (
	none     need = ""
	optional need = "optional"
	required need = "required"
	either   need = "either" // one of the fields marked so
)

// An action is something that a step may do. docs/acceptance.md explains each;
// a test holds the two together.
type action struct {
	name                    string
	target, value, expected need
	limit                   func(Limits) time.Duration // nil: Limits.Action
	do                      func(ctx context.Context, r *run, st check.Step, limit time.Duration) error
}

var (
	load = func(l Limits) time.Duration { return l.Load }
	wait = func(l Limits) time.Duration { return l.Wait }

	ready = func(l Limits) time.Duration { return l.Ready }
)

// actions are all there are, in the order of docs/acceptance.md. It is a
// function because an action may perform another.
func actions() []action {
	return []action{
		{"goto", either, either, optional, load, gotoPage},
		{"fill", required, optional, none, nil, on(fill)},
		{"type", optional, required, none, nil, typeText},
		{"press", optional, required, none, nil, press},
		{"click", required, none, none, nil, on(click)},
		{"dblclick", required, none, none, nil, on(doubleClick)},
		{"hover", required, none, none, nil, on(hover)},
		{"check", required, none, none, nil, on(tick(true))},
		{"uncheck", required, none, none, nil, on(tick(false))},
		{"select", required, required, none, nil, on(choose)},
		{"upload", required, required, optional, nil, upload},
		{"wait_for", required, none, none, wait, assertVisible},
		{"wait_for_url", none, either, either, wait, assertURL},
		{"assert_url", none, either, either, nil, assertURL},
		{"assert_title", none, none, required, nil, assertTitle},
		{"assert_text", optional, none, required, nil, assertText},
		{"assert_visible", required, none, none, nil, assertVisible},
		{"assert_hidden", required, none, none, nil, assertHidden},
		{"assert_count", required, none, required, nil, assertCount},
		{"assert_value", required, none, optional, nil, assertValue},
		{"assert_attr", required, required, optional, nil, assertAttr},
		{"assert_no_console_errors", none, none, none, nil, assertNoErrors},
		{"assert_response", none, required, required, nil, assertResponse},
		{"assert_persisted", required, optional, optional, load, assertPersisted},
		{"new_context", none, optional, none, load, newContext},
		{"restart", none, none, none, ready, restart},
		{"screenshot", none, none, none, nil, takeShot},
		{"dialog", none, required, optional, nil, armDialog},
		{"allow_console_errors", none, none, optional, nil, allowErrors},
	}
}

func find(name string) (action, bool) {
	all := actions()
	i := slices.IndexFunc(all, func(a action) bool { return a.name == name })
	if i < 0 {
		return action{}, false
	}
	return all[i], true
}

// Mistakes says what is wrong with steps that cannot be performed as they are
// written, a line for each; nil if nothing is.
func Mistakes(steps []check.Step) []string {
	if len(steps) == 0 {
		return []string{"the scenario has no steps: nothing would be proved"}
	}
	var wrong []string
	for _, st := range steps {
		if err := mistake(st); err != nil {
			wrong = append(wrong, label(st)+": "+err.Error())
		}
	}
	return wrong
}

func mistake(st check.Step) error {
	a, ok := find(st.Action)
	if !ok {
		var names []string
		for _, a := range actions() {
			names = append(names, a.name)
		}
		return fmt.Errorf("there is no such action; there are %s", strings.Join(names, ", "))
	}
	var given, wanted []string
	for _, f := range []struct {
		name, text string
		need       need
	}{{"target", st.Target, a.target}, {"value", st.Value, a.value}, {"expected", st.Expected, a.expected}} {
		switch {
		case f.need == required && f.text == "":
			return fmt.Errorf("it needs %s", f.name)
		case f.need == either && f.text != "":
			given = append(given, f.name)
			wanted = append(wanted, f.name)
		case f.need == either:
			wanted = append(wanted, f.name)
		}
	}
	if len(wanted) > 0 && len(given) == 0 {
		return fmt.Errorf("it needs %s", strings.Join(wanted, " or "))
	}
	if st.Target != "" && (a.target == required || a.target == optional) {
		if _, err := parseTarget(st.Target); err != nil {
			return err
		}
	}
	switch st.Action {
	case "goto":
		if st.Expected != "" && !isStatus(st.Expected) {
			return fmt.Errorf("expected %q is not an HTTP status", st.Expected)
		}
	case "assert_count":
		if _, err := strconv.ParseUint(st.Expected, 10, 31); err != nil {
			return fmt.Errorf("expected %q is not a number of elements", st.Expected)
		}
	case "assert_attr":
		if !attrName.MatchString(st.Value) {
			return fmt.Errorf("value %q is not the name of an attribute", st.Value)
		}
	case "assert_response":
		st.Expected = placeholder.ReplaceAllString(st.Expected, "1") // a list is looked at before its data is drawn
		if _, _, err := parseResponse(st); err != nil {
			return err
		}
	case "assert_persisted":
		if st.Value != "" && !slices.Contains(lives, st.Value) {
			return fmt.Errorf("value %q is not one of %s", st.Value, strings.Join(lives, ", "))
		}
	case "dialog":
		if verb, _, _ := strings.Cut(st.Value, " "); verb != "accept" && verb != "dismiss" {
			return fmt.Errorf("value %q is neither accept nor dismiss", st.Value)
		}
	}
	return nil
}

var placeholder = regexp.MustCompile(`\{\{\s*[\w.-]+\s*\}\}`)

var attrName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.:-]*$`)

func isStatus(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 100 && n <= 599
}

// on makes an action of something that is done to the element that the step's
// target names.
//
// f hands on the time limit with every call: this version of the library knows
// a default, but does not tell the driver of it, and waits for ever.
func on(f func(playwright.Locator, check.Step, *float64) error) func(context.Context, *run, check.Step, time.Duration) error {
	return func(ctx context.Context, r *run, st check.Step, limit time.Duration) error {
		l, err := r.find(ctx, st.Target, limit)
		if err != nil {
			return err
		}
		return refused(f(l, st, new(ms(limit))))
	}
}

func fill(l playwright.Locator, st check.Step, limit *float64) error {
	return l.Fill(st.Value, playwright.LocatorFillOptions{Timeout: limit})
}

func click(l playwright.Locator, _ check.Step, limit *float64) error {
	return l.Click(playwright.LocatorClickOptions{Timeout: limit})
}

// doubleClick is a click that counts as two: this version's Dblclick refuses
// every option.
func doubleClick(l playwright.Locator, _ check.Step, limit *float64) error {
	return l.Click(playwright.LocatorClickOptions{ClickCount: new(2), Timeout: limit})
}

func hover(l playwright.Locator, _ check.Step, limit *float64) error {
	return l.Hover(playwright.LocatorHoverOptions{Timeout: limit})
}

func tick(on bool) func(playwright.Locator, check.Step, *float64) error {
	return func(l playwright.Locator, _ check.Step, limit *float64) error {
		return l.SetChecked(on, playwright.LocatorSetCheckedOptions{Timeout: limit})
	}
}

// refused makes a fault of what the page did not let itself be done to.
func refused(err error) error {
	if err == nil || gone(err) {
		return err
	}
	return &fault{brief(err)}
}

// find waits for the element that name means: of all that match, the first that
// can be seen.
func (r *run) find(ctx context.Context, name string, limit time.Duration) (playwright.Locator, error) {
	t, err := parseTarget(name)
	if err != nil {
		return nil, &fault{err.Error()}
	}
	ways := t.locators(r.page)
	var found playwright.Locator
	err = r.poll(ctx, limit, func() (bool, error) {
		for _, l := range ways {
			n, err := visible(l).Count()
			if err != nil {
				return false, err
			}
			if n > 0 {
				found = visible(l).First()
				return true, nil
			}
		}
		return false, nil
	})
	if errors.Is(err, errLate) {
		return nil, faultf("%s in %v", r.absence(ways), limit)
	}
	return found, refused(err)
}

// absence says in what way an element that was to be seen is not there.
func (r *run) absence(ways []playwright.Locator) string {
	for _, l := range ways {
		if n, err := l.Count(); err == nil && n > 0 {
			return fmt.Sprintf("%d elements match, none became visible", n)
		}
	}
	return "no element matches"
}

// name is the address of the application's that ref means, and remembers it as
// the one that was named last.
func (r *run) name(ref string) (string, error) {
	to, ok := r.in.resolve(r.server.url, ref)
	if !ok {
		return "", faultf("%s is outside the application", ref)
	}
	r.named = to
	return to, nil
}

func gotoPage(_ context.Context, r *run, st check.Step, limit time.Duration) error {
	ref := st.Value
	if ref == "" {
		ref = st.Target
	}
	to, err := r.name(ref)
	if err != nil {
		return err
	}
	if strings.HasPrefix(st.Expected, "5") {
		r.allowed = append(r.allowed, served+st.Expected) // the browser will log it
	}
	return r.visit(to, st.Expected, limit)
}

// visit loads the page at an address of the application.
func (r *run) visit(to, expected string, limit time.Duration) error {
	return r.arrive(expected, limit, func() (playwright.Response, error) {
		return r.page.Goto(to, playwright.PageGotoOptions{Timeout: new(ms(limit))})
	})
}

// arrive loads a page and looks at the status. 404 may be what is wanted to be
// seen; 500 and above never is, unless expected says so.
func (r *run) arrive(expected string, limit time.Duration, load func() (playwright.Response, error)) error {
	resp, err := load()
	if err != nil {
		if errors.Is(err, playwright.ErrTimeout) {
			return faultf("the page did not load in %v", limit)
		}
		return refused(err)
	}
	if resp == nil { // the same page: only the fragment changed
		return nil
	}
	seen := strconv.Itoa(resp.Status())
	switch {
	case expected != "" && seen != expected:
		return faultf("expected status %s, the server answered %s", expected, seen)
	case expected == "" && resp.Status() >= 500:
		return faultf("expected a page, the server answered %s", seen)
	}
	return nil
}

func typeText(ctx context.Context, r *run, st check.Step, limit time.Duration) error {
	if st.Target == "" {
		return refused(r.page.Keyboard().Type(st.Value))
	}
	return on(func(l playwright.Locator, st check.Step, limit *float64) error {
		return l.PressSequentially(st.Value, playwright.LocatorPressSequentiallyOptions{Timeout: limit})
	})(ctx, r, st, limit)
}

func press(ctx context.Context, r *run, st check.Step, limit time.Duration) error {
	if st.Target == "" {
		return refused(r.page.Keyboard().Press(st.Value))
	}
	return on(func(l playwright.Locator, st check.Step, limit *float64) error {
		return l.Press(st.Value, playwright.LocatorPressOptions{Timeout: limit})
	})(ctx, r, st, limit)
}

func choose(l playwright.Locator, st check.Step, limit *float64) error {
	_, err := l.SelectOption(playwright.SelectOptionValues{ValuesOrLabels: &[]string{st.Value}},
		playwright.LocatorSelectOptionOptions{Timeout: limit})
	if err == nil || gone(err) {
		return err
	}
	var have []string
	if n, err := l.Locator("option").Count(); err == nil {
		for i := range min(n, 20) {
			if text, err := l.Locator("option").Nth(i).TextContent(playwright.LocatorTextContentOptions{Timeout: limit}); err == nil {
				have = append(have, quoted(text))
			}
		}
	}
	if len(have) > 0 && errors.Is(err, playwright.ErrTimeout) {
		return faultf("expected an option %s, there are %s", quoted(st.Value), strings.Join(have, ", "))
	}
	return err
}

// upload finds its element whether it can be seen or not: pages hide file
// inputs behind buttons.
func upload(ctx context.Context, r *run, st check.Step, limit time.Duration) error {
	t, err := parseTarget(st.Target)
	if err != nil {
		return &fault{err.Error()}
	}
	name := filepath.Base(st.Expected)
	if st.Expected == "" {
		name = "upload.txt"
	}
	kind, _, err := mime.ParseMediaType(mime.TypeByExtension(filepath.Ext(name)))
	if err != nil {
		kind = "text/plain"
	}
	ways := t.locators(r.page)
	files := r.page.Locator("input[type=file]") // any other takes a file and drops it
	var found playwright.Locator
	err = r.poll(ctx, limit, func() (bool, error) {
		for _, l := range ways {
			n, err := l.And(files).Count()
			if err != nil {
				return false, err
			}
			if n > 0 {
				found = l.And(files).First()
				return true, nil
			}
		}
		return false, nil
	})
	if errors.Is(err, errLate) {
		return faultf("no file input matches in %v", limit)
	}
	if err != nil {
		return refused(err)
	}
	return refused(found.SetInputFiles(
		playwright.InputFile{Name: name, MimeType: kind, Buffer: []byte(st.Value)},
		playwright.LocatorSetInputFilesOptions{Timeout: new(ms(limit))},
	))
}

func takeShot(ctx context.Context, r *run, _ check.Step, _ time.Duration) error {
	png, err := r.screenshot(ctx)
	if err == nil {
		r.shot.Store(&png)
	}
	return refused(err)
}

func armDialog(_ context.Context, r *run, st check.Step, _ time.Duration) error {
	verb, text, _ := strings.Cut(st.Value, " ")
	waiting := r.dialogs.arm(armed{label: r.label, accept: verb == "accept", text: text, expected: st.Expected})
	if waiting != "" {
		return faultf("the dialog of %s has not appeared yet", waiting)
	}
	return nil
}

func allowErrors(_ context.Context, r *run, st check.Step, _ time.Duration) error {
	r.allowed = append(r.allowed, st.Expected) // every text contains an empty one
	return nil
}

// where is the page's address as a step would write it.
func (r *run) where() string {
	u, err := url.Parse(r.page.URL())
	if err != nil || !r.in.serves(u) {
		return r.page.URL()
	}
	u.Scheme, u.Host = "", ""
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String()
}
