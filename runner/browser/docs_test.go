package browser

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// docs/acceptance.md and the code say the same about every action's fields.
func TestDocumentedActionsAreThoseThereAre(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../docs/acceptance.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(b), "| action | target | value | expected |")
	if !ok {
		t.Fatal("docs/acceptance.md has no table of actions")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	type row struct{ Name, Target, Value, Expected string }
	var got, want []row
	for line := range strings.Lines(table) {
		cells := strings.Split(line, " | ")
		if len(cells) < 5 {
			continue // the end of the head, and the line below it
		}
		if strings.TrimSpace(cells[4]) == "|" {
			t.Errorf("%s says nothing", cells[0])
		}
		got = append(got, row{strings.TrimPrefix(cells[0], "| "), cells[1], cells[2], cells[3]})
	}
	cell := func(n need) string {
		if n == none {
			return "–"
		}
		return string(n)
	}
	for _, a := range actions() {
		want = append(want, row{a.name, cell(a.target), cell(a.value), cell(a.expected)})
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("code (-) and docs (+) differ:\n%s", d)
	}
}

// tools/setup.sh looks for Chromium where Find does.
func TestSetupKnowsTheSamePlaces(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../tools/setup.sh")
	if err != nil {
		t.Fatal(err)
	}
	script := string(b)
	for _, want := range append([]string{EnvChromium, EnvDriver, EnvNode, EnvCache, rootCache + " ", "$cache/driver-$version", "/prepared"}, chromiums...) {
		at := strings.Index(script, want)
		if at < 0 {
			t.Errorf("tools/setup.sh does not name %s", want)
			continue
		}
		if strings.HasPrefix(want, "/usr/") {
			script = script[at:] // in the same order
		}
	}
}
