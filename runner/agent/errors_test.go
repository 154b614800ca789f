package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each file is what a real program said, but for those of browsers and HTTP,
// which are of the shape of such; its name begins with what class it is of.
func TestErrorsAreClassified(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	ruled := map[string]bool{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		want, _, _ := strings.Cut(filepath.Base(f), ".")
		got, ok := classify("exit 1 · 0.2 s · 3 lines, 120 B\n" + string(b))
		if !ok || string(got.class) != want {
			t.Errorf("%s: %v %v", filepath.Base(f), ok, got)
		}
		ruled[got.rule] = true
	}
	known := map[string]bool{}
	for _, r := range errorRules {
		if known[r.name] {
			t.Errorf("there are two rules %s", r.name)
		}
		known[r.name] = true
		if moves[r.class] == nil {
			t.Errorf("rule %s: class %q has no strategy", r.name, r.class)
		}
	}
	var bare []string
	for name := range known {
		if !ruled[name] {
			bare = append(bare, name)
		}
	}
	if len(bare) > 8 {
		t.Errorf("rules without an example: %q", bare)
	}
}

func TestWhatIsNoErrorHasNoClass(t *testing.T) {
	for _, text := range []string{
		"", "exit 1 · 0.0 s · 0 lines, 0 B", "exit 1 · 0.1 s · 1 lines, 20 B\nlib/app.js", "exit 2 · 0.1 s · 3 lines\nusage: tool [flags]",
		"exit 1 · 0.1 s · 1 lines, 20 B\n3 files differ",
	} {
		if got, ok := classify(text); ok {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func TestAFingerprintIsOfTheErrorNotOfThePlace(t *testing.T) {
	print := func(s string) string {
		got, ok := classify(s)
		if !ok {
			t.Fatalf("%q is not classified", s)
		}
		return got.print()
	}
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"Error: listen EADDRINUSE: address already in use :::3000", "Error: listen EADDRINUSE: address already in use :::3001", true},
		{"/a/b/main.go:3:15: undefined: x", "/c/main.go:17:2: undefined: x", true},
		{"main.go:3:15: undefined: x", "main.go:3:15: undefined: y", false},
		{"ModuleNotFoundError: No module named 'a'", "ModuleNotFoundError: No module named 'b'", false},
		{"TimeoutError: locator.click: Timeout 30000ms exceeded.", "TimeoutError: locator.click: Timeout 5000ms exceeded.", true},
	} {
		if got := print(c.a) == print(c.b); got != c.same {
			t.Errorf("%q and %q: %q, %q", c.a, c.b, print(c.a), print(c.b))
		}
	}
}
