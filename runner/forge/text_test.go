package forge

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestFit(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"short stays":        {"hello", "hello"},
		"at a line's end":    {strings.Repeat("line\n", 200), "line\nline"},
		"closes a fence":     {"````go\n```\n" + strings.Repeat("line\n", 200), "line\n````"},
		"not a closed one":   {"```\nx\n```\n" + strings.Repeat("line\n", 200), "line\nline"},
		"closes details":     {"<details>\n<details>\n</details>\n" + strings.Repeat("line\n", 200), "line\n</details>"},
		"ends before a mark": {strings.Repeat("line\n", 50) + "<!-- hidden " + strings.Repeat("x\n", 300) + "-->", "line\nline\n"},
	} {
		got := fit(c.text, 600)
		body, _, cut := strings.Cut(got, "\n\n*The rest is cut off")
		if len(c.text) > 600 && !cut || len(got) > 600 || !strings.HasSuffix(strings.TrimSpace(body), strings.TrimSpace(c.want)) {
			t.Errorf("%s: %d bytes, %q", name, len(got), got)
		}
	}
	if got := fit(strings.Repeat("ä", 1000), 601); !utf8.ValidString(got) {
		t.Errorf("a letter is cut in two: %q", got)
	}
	if got := fit("a"+strings.Repeat("ä", 1000), 601); !utf8.ValidString(got) {
		t.Errorf("a letter is cut in two: %q", got)
	}
}

func TestTitle(t *testing.T) {
	for text, want := range map[string][2]string{
		"# A list: 1 of 3\n\nBody\n\nmore\n": {"A list: 1 of 3", "Body\n\nmore"},
		"\n\nPlain":                          {"Plain", ""},
		strings.Repeat("ä", 300):             {strings.Repeat("ä", 255) + "…", ""},
	} {
		if name, body := title(text); name != want[0] || body != want[1] {
			t.Errorf("%q: %q and %q", text, name, body)
		}
	}
}

// FuzzFit holds that whatever is cut fits, is whole, and is a beginning.
func FuzzFit(f *testing.F) {
	f.Add("```\n<details>\nä<!--", 500)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		if limit < 400 || limit > 10_000 {
			return
		}
		text = strings.Repeat(strings.ToValidUTF8(text, ""), 20)
		got := fit(text, limit)
		if len(got) > limit || !utf8.ValidString(got) || len(text) <= limit && got != text {
			t.Errorf("%d bytes of at most %d: %q", len(got), limit, got)
		}
	})
}
