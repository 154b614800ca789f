package tool

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

func TestLadder(t *testing.T) {
	const goFile = "package a\n\nfunc f() {\n\tif x {\n\t\ty()\n\t}\n}\n"
	for _, c := range []struct{ name, content, old, new, want, told string }{
		{"exact", goFile, "y()", "z()", strings.Replace(goFile, "y()", "z()", 1), ""},
		{"exact before anything looser", "a \na\n", "a \n", "b\n", "b\na\n", ""},
		{"to nothing", "a\nb\nc\n", "b\n", "", "a\nc\n", ""},
		{"exact in a CRLF file keeps its ends", "a\r\nb\r\n", "b", "b\nc", "a\r\nb\r\nc\r\n", ""},

		{"CRLF file, LF old", "a\r\nb\r\nc\r\n", "a\nb", "x\ny\nz", "x\r\ny\r\nz\r\nc\r\n", "CRLF"},
		{"LF file, CRLF old", "a\nb\nc\n", "a\r\nb", "x\r\ny", "x\ny\nc\n", "CRLF"},
		{"CRLF, within lines", "one\r\ntwo\r\n", "ne\ntw", "-\n-", "o-\r\n-o\r\n", "CRLF"},
		{"mixed ends go by the place", "a\r\nb\r\nc\nd\n", "a\nb\n", "x\ny\n", "x\r\ny\r\nc\nd\n", "CRLF"},

		{"blanks at the end of the file's line", "a  \nb\nc\n", "a\nb", "a\nx", "a  \nx\nc\n", "blanks at the ends"},
		{"blanks at the end of old's line", "a\nb\nc\n", "a \nb\t\n", "x\n", "x\nc\n", "blanks at the ends"},

		{"line numbers", "a\nb\nc\n", "2\tb\n3\tc\n", "2\tx\n3\tc\n", "a\nx\nc\n", "line numbers"},
		{"line numbers in old only", "a\nb\nc\n", "2\tb\n3\tc\n", "x\n", "a\nx\n", "line numbers"},
		{"line numbers and an indentation", "f\n\tb\n", "2\t\tb", "2\t\tx", "f\n\tx\n", "line numbers"},
		{"doubled escapes", "s := \"a\"\nt\n", `s := \"a\"\nt`, `s := \"b\\n\"\nt`, "s := \"b\\n\"\nt\n", "doubled"},

		{"indentation added", goFile, "if x {\n\ty()\n}", "if x {\n\tz()\n\tw()\n}", "package a\n\nfunc f() {\n\tif x {\n\t\tz()\n\t\tw()\n\t}\n}\n", "indentation"},
		{"indentation taken", "a:\n  b: 1\n  c: 2\n", "    b: 1\n    c: 2\n", "    b: 3\n\n    c: 2\n", "a:\n  b: 3\n\n  c: 2\n", "indentation"},
		{"spaces for tabs", goFile, "func f() {\n    if x {\n        y()\n    }\n}", "func f() {\n    if x {\n        z()\n            + 1\n    }\n}", "package a\n\nfunc f() {\n\tif x {\n\t\tz()\n\t\t\t+ 1\n\t}\n}\n", "indentation"},
		{"tabs for spaces", "a:\n  b:\n    c\n", "a:\n\tb:\n\t\tc\n", "a:\n\tb:\n\t\td\n", "a:\n  b:\n    d\n", "indentation"},

		{"quotes", "say “hi” – now\nok\n", "say \"hi\" - now\nok", "say \"hi\" - now\nfine", "say “hi” – now\nfine\n", "typographic"},
		{"quotes in old", "say \"hi\"\nok\n", "say “hi”", "say ‘ho’", "say ‘ho’\nok\n", "typographic"},
		{"no-break space", "a\u00a0b c\n", "a b c", "d", "d\n", "typographic"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, done, err := apply(c.content, []edit{{Old: c.old, New: c.new}})
			if told := strings.Join(done.told, ""); err != nil || got != c.want || !strings.Contains(told, c.told) || (c.told == "") != (told == "") {
				t.Errorf("got %q, %q, %v\nwant %q, %q", got, told, err, c.want, c.told)
			}
		})
	}
}

func TestEditsThatAreRefused(t *testing.T) {
	for _, c := range []struct{ name, content, old, new, want string }{
		{"ambiguous", "a\nb\na\n", "a", "x", "2 times, at lines 1, 3"},
		{"overlapping", "aaa\n", "aa", "x", "2 times"},
		{"ambiguous on a later rung", "\ta\n\t\ta\n", "  a", "x", "2 times, at lines 1, 2"},
		{"not there", "alpha\nbeta\n", "gamma delta", "x", "nothing in the file is much like it"},
		{"nearly there", "func add(a, b int) int {\n\treturn a + b\n}\n", "func add(a, b int) int {\n\treturn a - b\n}", "x", "nearest is at line 1; copy old from the file as it is, without the numbers:\n1\tfunc add"},
		{"made already", "func sum() {}\n", "func add() {}", "func sum() {}", "may have been applied"},
		{"nothing to find", "a\n", "", "x", "old is empty"},
		{"nothing to do", "a\n", "a", "a", "are the same"},
		{"blank lines", "a\n\n\nb\n", " \n ", "x", "not found"},
		{"two readings of escapes in new", "s := \"a\"\n", `s := \"a\"`, `s := "b"`, "not found"},
		{"two readings of line ends in new", "a\nb\n", `a\nb`, "x\ny", "not found"},
		{"some numbers in new", "a\nb\n", "1\ta\n2\tb", "1\ta\nc", "not found"},
		{"numbers that do not rise", "a\nb\n", "2\ta\n1\tb", "x", "not found"},
		{"two shifts", "\ta\n\t\t\tb\n", "a\nb", "x", "not found"},
		{"new cannot be shifted", "a\n  b\n", "  a\n    b", "  a\nb", "not found"},
		{"first and last line alike", "func f() {\n\tone()\n\ttwo()\n}\n", "func f() {\n\tsix()\n\tten()\n}", "x", "not found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, err := apply(c.content, []edit{{Old: c.old, New: c.new}})
			if err == nil || got != c.content || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestEditsAreAllOrNone(t *testing.T) {
	b := open(t, map[string]string{"a.txt": "one\ntwo\nthree\n"})
	use(t, b, "read_file", args{"path": "a.txt"})
	got := use(t, b, "edit_file", args{"path": "a.txt", "edits": []args{{"old": "one", "new": "1"}, {"old": "four", "new": "4"}}})
	has(t, got, agent.Failed, "a.txt was not changed", "edit 2 of 2")
	if got := content(t, b, "a.txt"); got != "one\ntwo\nthree\n" {
		t.Fatalf("half done: %q", got)
	}
	if got, done, err := apply("one\n", []edit{{Old: "one", New: "1"}, {Old: "four", New: "4"}}); err == nil || got != "one\n" || len(done.spans) > 0 {
		t.Errorf("half done: %q, %v, %v", got, done, err)
	}
	got = use(t, b, "edit_file", args{"path": "a.txt", "edits": []args{{"old": "one", "new": "1\n1b"}, {"old": "1b", "new": "1c"}, {"old": "e", "new": "E", "all": true}}})
	has(t, got, "edited a.txt", "2\t1c", "4\tthrEE")
	if got := content(t, b, "a.txt"); got != "1\n1c\ntwo\nthrEE\n" {
		t.Errorf("got %q", got)
	}
}

func TestMissesAddUp(t *testing.T) {
	b := open(t, map[string]string{"a.txt": "one\n"})
	use(t, b, "read_file", args{"path": "a.txt"})
	miss := args{"path": "a.txt", "edits": []args{{"old": "nine", "new": "9"}}}
	for range 2 {
		if got := use(t, b, "edit_file", miss); strings.Contains(got, "write_file") {
			t.Errorf("too early: %s", got)
		}
	}
	has(t, use(t, b, "edit_file", miss), "miss number 3", "write_file")
}

// corrupt is an edit as a model may spoil it.
var corrupt = map[string]func(r *rand.Rand, e edit) edit{
	"exact":           func(_ *rand.Rand, e edit) edit { return e },
	"CRLF":            func(_ *rand.Rand, e edit) edit { return edit{Old: toCRLF(e.Old), New: toCRLF(e.New)} },
	"trailing blanks": func(_ *rand.Rand, e edit) edit { e.Old = strings.ReplaceAll(e.Old, "\n", "  \n"); return e },
	"line numbers": func(_ *rand.Rand, e edit) edit {
		text, _ := numbered(linesOf(e.Old), 1, len(linesOf(e.Old)), 1<<20)
		e.Old = text
		return e
	},
	"escapes": func(_ *rand.Rand, e edit) edit {
		esc := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace
		return edit{Old: esc(e.Old), New: esc(e.New)}
	},
	"spaces for tabs": func(_ *rand.Rand, e edit) edit { return edit{Old: untab(e.Old), New: untab(e.New)} },
	"dedented":        func(_ *rand.Rand, e edit) edit { return edit{Old: dedent(e.Old), New: dedent(e.New)} },
	"a letter lost":   func(r *rand.Rand, e edit) edit { i := r.IntN(len(e.Old)); e.Old = e.Old[:i] + e.Old[i+1:]; return e },
	"a line lost": func(r *rand.Rand, e edit) edit {
		l := strings.SplitAfter(e.Old, "\n")
		i := r.IntN(len(l))
		e.Old = strings.Join(append(l[:i:i], l[i+1:]...), "")
		return e
	},
}

func untab(s string) string {
	var b strings.Builder
	for l := range strings.Lines(s) {
		n := len(l) - len(strings.TrimLeft(l, "\t"))
		b.WriteString(strings.Repeat("    ", n) + l[n:])
	}
	return b.String()
}

func dedent(s string) string {
	var b strings.Builder
	for l := range strings.Lines(s) {
		b.WriteString(strings.TrimPrefix(l, "\t"))
	}
	return b.String()
}

// Edits of this package's own files, spoilt in the ways that models spoil them,
// are applied where they were meant to or refused. None lands elsewhere.
func TestSpoiltEditsNeverLandElsewhere(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 8 {
		t.Fatal(files, err)
	}
	type tally struct{ applied, refused, literal int } // literal: exactly as the spoilt edit says
	counts := map[string]*tally{}
	for name := range corrupt {
		counts[name] = &tally{}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
		for range 12 {
			from := r.IntN(len(lines) - 1)
			to := min(len(lines)-1, from+1+r.IntN(7)) // the last line is left out: it has no end here
			if from >= to {
				continue
			}
			e := edit{Old: strings.Join(lines[from:to], "")}
			e.New = e.Old + "\tadded(\"x\")\n"
			if strings.TrimSpace(e.Old) == "" || strings.Count(text, e.Old) != 1 {
				continue
			}
			want := strings.Replace(text, e.Old, e.New, 1)
			for _, how := range slices.Sorted(maps.Keys(corrupt)) {
				spoilt := corrupt[how](r, e)
				got, _, err := apply(text, []edit{spoilt})
				switch {
				case err != nil && got == text:
					counts[how].refused++
				case err == nil && got == want:
					counts[how].applied++
				case err == nil && strings.Count(text, spoilt.Old) == 1 && got == strings.Replace(text, spoilt.Old, spoilt.New, 1):
					counts[how].literal++
				default:
					t.Errorf("%s, lines %d-%d, %s: landed elsewhere or otherwise: %v", name, from+1, to, how, err)
				}
			}
		}
	}
	for how, c := range counts {
		t.Logf("%-16s as meant %3d, refused %3d, exactly as it says %3d", how, c.applied, c.refused, c.literal)
	}
	for _, how := range []string{"exact", "CRLF", "trailing blanks", "line numbers"} {
		if c := counts[how]; c.refused > 0 || c.applied == 0 {
			t.Errorf("%s: %d applied, %d refused", how, c.applied, c.refused)
		}
	}
}

func FuzzApply(f *testing.F) {
	f.Add("a\nb\n", "a", "c", false)
	f.Add("a\r\nb\r\n", "a\nb", "c\n", false)
	f.Add("\ta\n\tb\n", "a\nb", "c\nd", true)
	f.Add("s \n\"t\"\n", `s\n\"t\"`, `u\n`, false)
	f.Add("“x”\n", `"x"`, "y", false)
	f.Add("1\ta\n", "1\t1\ta\n", "2", true)
	f.Fuzz(func(t *testing.T, content, old, repl string, all bool) {
		got, done, err := apply(content, []edit{{Old: old, New: repl, All: all}})
		if err != nil {
			if got != content {
				t.Fatalf("refused (%v), and changed to %q", err, got)
			}
			return
		}
		if strings.Count(content, old) == 1 && strings.LastIndex(content, old) == strings.Index(content, old) && !crlf(content) &&
			got != strings.Replace(content, old, repl, 1) {
			t.Errorf("an exact edit gave %q", got)
		}
		if !all && len(done.spans) != 1 {
			t.Fatalf("applied %d times", len(done.spans))
		}
		// What is not told as new is as it was.
		at, before := 0, 0
		for _, s := range done.spans {
			if s[0] < at || s[1] < s[0] || s[1] > len(got) {
				t.Fatalf("spans %v in %d bytes", done.spans, len(got))
			}
			kept := got[at:s[0]]
			i := strings.Index(content[before:], kept)
			if i < 0 {
				t.Fatalf("%q is not of the file", kept)
			}
			before += i + len(kept)
			at = s[1]
		}
		if !strings.HasSuffix(content, got[at:]) {
			t.Errorf("the end changed to %q", got[at:])
		}
		done.tell(got)
	})
}
