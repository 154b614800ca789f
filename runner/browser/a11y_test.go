package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Barriers are found whatever the page does against it, and named with its page.
func TestBarriersAreReported(t *testing.T) {
	t.Parallel()
	b := open(t, func(o *Options) { o.A11y = A11yReport })
	app := shelf(t)
	acc := accept(t, b, app, step("goto", "", "/barriers?x=1", ""), step("assert_text", "", "", "Barriers"),
		step("goto", "", "/about", ""), step("assert_text", "", "", "About"))
	mustPass(t, acc)
	if want := []string{"/barriers", "/about"}; !slices.Equal(acc.Looked, want) {
		t.Errorf("looked at %q, want %q", acc.Looked, want)
	}
	var rules []string
	for _, f := range acc.Accessibility {
		rules = append(rules, f.Rule)
		if f.Page != "/barriers" || f.Count != 1 || f.Help == "" || f.Impact != "serious" && f.Impact != "critical" || len(f.Elements) != 1 {
			t.Errorf("got %+v", f)
		}
	}
	slices.Sort(rules)
	if want := []string{"color-contrast", "image-alt", "label"}; !slices.Equal(rules, want) {
		t.Errorf("got %q, want %q", rules, want)
	}
	// What looks the same is not looked at again, and has the same.
	shapes := len(b.shapes)
	again := accept(t, b, app, step("goto", "", "/barriers", ""), step("assert_text", "", "", "Barriers"))
	if len(again.Accessibility) != 3 || len(b.shapes) != shapes || shapes != 2 {
		t.Errorf("%d found, %d shapes after %d", len(again.Accessibility), len(b.shapes), shapes)
	}
	plain := scenario(step("goto", "", "/barriers", ""))
	plain.Plain = true
	if acc, err := b.Accept(t.Context(), app, plain); err != nil || !acc.Passed || acc.Looked != nil || acc.Screenshot != nil {
		t.Errorf("%v, %q: a plain run looked at %q and took %d bytes of a picture", err, acc.Failures, acc.Looked, len(acc.Screenshot))
	}
	if acc := accept(t, common(t), app, step("goto", "", "/barriers", "")); acc.Accessibility != nil {
		t.Errorf("looked for though it is off: %v", acc.Accessibility)
	}
}

// Whatever could make a difference to people makes another shape.
func TestShapes(t *testing.T) {
	t.Parallel()
	b := open(t, func(o *Options) { o.A11y = A11yReport })
	e, err := b.up(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := e.open(t.Context(), scope{}, nil, b.o.Limits)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	shape := func(html string) string {
		t.Helper()
		if err := s.page.SetContent(html); err != nil {
			t.Fatal(err)
		}
		w, err := s.beside()
		if err != nil {
			t.Fatal(err)
		}
		key, err := w.evaluate(lookScript + "; shape()")
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	const html = "<title>T</title><style>p { color: #111 }</style><p class=a>one</p><img alt=x>"
	first := shape(html)
	if again := shape(strings.NewReplacer("one", "two", ">T<", ">U<", "alt=x", "alt=y").Replace(html)); again != first {
		t.Error("other texts make another shape")
	}
	for old, other := range map[string]string{"#111": "#eee", "one": " ", "<p class=a>": "<p class=b>", " alt=x": "", "alt=x": "alt=''", "<p": "<b", "<img": "<p role=note></p><img", ">T<": "><"} {
		if shape(strings.Replace(html, old, other, 1)) == first {
			t.Errorf("%q for %q makes no other shape", other, old)
		}
	}
}

func TestBarriersFailARunWhereTheyBlock(t *testing.T) {
	t.Parallel()
	b := open(t, func(o *Options) { o.A11y = A11yBlock })
	app := shelf(t)
	acc := accept(t, b, app, step("goto", "", "/barriers", ""))
	mustFail(t, acc, "the application keeps people out, and a11y is block: /barriers: ")
	if acc.Succeeded != 1 || !strings.Contains(acc.Failures[0], "critical image-alt: ") || len(acc.Screenshot) == 0 {
		t.Errorf("%d succeeded: %q", acc.Succeeded, acc.Failures)
	}
	mustPass(t, accept(t, b, app, step("goto", "", "/about", "")))
}

// Without axe-core nobody is told that all is well.
func TestAxeThatIsMissing(t *testing.T) {
	t.Parallel()
	o, err := plain()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"package", prepared} {
		if err := os.Symlink(filepath.Join(o.Driver, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	o.Driver, o.A11y = dir, A11yBlock
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "run tools/setup.sh") {
		t.Errorf("got %v", err)
	}
	o.A11y = "loud"
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "off, report, block") {
		t.Errorf("got %v", err)
	}
	o.A11y = A11yReport
	b, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.remember("shelf-1", false)
	acc := accept(t, b, shelf(t), step("goto", "", "/about", ""))
	mustPass(t, acc)
	if len(acc.Accessibility) != 1 || acc.Accessibility[0].Rule != "not-looked-at" || !strings.Contains(acc.Accessibility[0].Help, "run tools/setup.sh") {
		t.Errorf("got %v", acc.Accessibility)
	}
}

// tools/setup.sh fetches the version that is looked for.
func TestSetupKnowsTheSameAxe(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("../../tools/setup.sh")
	if err != nil || !strings.Contains(string(script), fmt.Sprintf("\naxe=%s\n", axeVersion)) || !strings.Contains(string(script), "$driver/axe-$axe.min.js") {
		t.Errorf("tools/setup.sh fetches another axe-core: %v", err)
	}
}
