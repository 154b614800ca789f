package tool

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// The file that most cases edit: the same lines at two depths, a loop that
// occurs twice, a signature that looks like another.
const (
	goCode = "package a\n\nfunc sum(xs []int) int {\n\tn := 0\n\tfor _, x := range xs {\n\t\tn += x\n\t}\n\treturn n\n}\n\nfunc count(xs []int) int {\n\tn := 0\n\tfor range xs {\n\t\tn++\n\t}\n\treturn n\n}\n"
	pyCode = "class A:\n    def f(self):\n        if self.x:\n            return 1\n        return 2\n\n    def g(self):\n        return 2\n"
	jsCode = "export function add(a, b) {\n  return a + b;\n}\n\nexport function sub(a, b) {\n  return a - b;\n}\n"
)

// An editCase is one edit as a model may give it: either what the file is then,
// or why it was refused. An edit that is refused changes nothing.
type editCase struct {
	kind, name     string
	file, old, new string
	all            bool
	want           string   // the file afterwards
	told           string   // the rung that is announced; "" for the exact one
	refused        []string // words of the answer
}

var editCases = []editCase{
	// Nothing is wrong.
	{kind: "exact", name: "one line", file: goCode, old: "\t\tn += x\n", new: "\t\tn += 2 * x\n", want: strings.Replace(goCode, "n += x", "n += 2 * x", 1)},
	{kind: "exact", name: "part of a line", file: jsCode, old: "a + b", new: "b + a", want: strings.Replace(jsCode, "a + b", "b + a", 1)},
	{kind: "exact", name: "a line taken out", file: "a\nb\nc\n", old: "b\n", new: "", want: "a\nc\n"},
	{kind: "exact", name: "the last line without its end", file: "a\nb", old: "b", new: "c", want: "a\nc"},
	{kind: "exact", name: "all of several", file: "x\ny\nx\n", old: "x", new: "z", all: true, want: "z\ny\nz\n"},
	{kind: "exact", name: "all, one within another", file: "aaaa\n", old: "aa", new: "b", all: true, want: "bb\n"},
	{kind: "exact", name: "a dollar and a percent sign", file: "a $1 %s\n", old: "$1 %s", new: "$2 %d $0", want: "a $2 %d $0\n"},

	// Wrong indentation.
	{kind: "indentation", name: "none instead of one tab", file: goCode, old: "for range xs {\n\tn++\n}", new: "for range xs {\n\tn += 1\n}", want: strings.Replace(goCode, "n++", "n += 1", 1), told: "indentation"},
	{kind: "indentation", name: "two tabs instead of one", file: goCode, old: "\t\tfor range xs {\n\t\t\tn++\n\t\t}\n", new: "\t\tn = len(xs)\n", want: strings.Replace(goCode, "\tfor range xs {\n\t\tn++\n\t}\n", "\tn = len(xs)\n", 1), told: "indentation"},
	{kind: "indentation", name: "a method without its class", file: pyCode, old: "def g(self):\n    return 2\n", new: "def g(self):\n    if self.y:\n        return 3\n    return 2\n", want: strings.Replace(pyCode, "    def g(self):\n        return 2\n", "    def g(self):\n        if self.y:\n            return 3\n        return 2\n", 1), told: "indentation"},
	{kind: "indentation", name: "a blank line within stays blank", file: "if a:\n    b()\n\n    c()\n", old: "b()\n\nc()\n", new: "b()\n\nd()\n", want: "if a:\n    b()\n\n    d()\n", told: "indentation"},
	{kind: "indentation", name: "first line only is wrong", file: pyCode, old: "if self.x:\n            return 1", new: "if self.x:\n            return 3", want: strings.Replace(pyCode, "return 1", "return 3", 1)}, // as a part of a line it is exact
	{kind: "indentation", name: "one level is missing inside", file: pyCode, old: "        if self.x:\n        return 1\n", new: "        return 3\n", refused: []string{"not found", "nearest is at line 3"}},
	{kind: "indentation", name: "the same at two depths", file: "a:\n  x: 1\n  b:\n    x: 1\n", old: "\tx: 1", new: "\tx: 2", refused: []string{"2 times", "lines 2, 4"}},
	{kind: "indentation", name: "new has less than can be taken", file: "a\n  b\n", old: "  a\n    b\n", new: "a\n", refused: []string{"not found"}},
	{kind: "indentation", name: "two shifts in one", file: pyCode, old: "def f(self):\n      if self.x:\n", new: "pass\n", refused: []string{"not found"}},
	{kind: "indentation", name: "a shift that mixes tabs and spaces", file: "\tif a {\n\t    b()\n\t}\n", old: "if a {\n    b()\n}", new: "if a {\n    c()\n}", want: "\tif a {\n\t    c()\n\t}\n", told: "indentation"},

	// Tabs and spaces.
	{kind: "tabs", name: "four spaces for a tab", file: goCode, old: "    for range xs {\n        n++\n    }\n", new: "    for range xs {\n        n += 1\n    }\n", want: strings.Replace(goCode, "n++", "n += 1", 1), told: "indentation"},
	{kind: "tabs", name: "two spaces for a tab", file: goCode, old: "  for range xs {\n    n++\n  }\n", new: "  n = len(xs)\n", want: strings.Replace(goCode, "\tfor range xs {\n\t\tn++\n\t}\n", "\tn = len(xs)\n", 1), told: "indentation"},
	{kind: "tabs", name: "eight spaces for a tab", file: "a:\n\tb\n", old: "a:\n        b\n", new: "a:\n        c\n", want: "a:\n\tc\n", told: "indentation"},
	{kind: "tabs", name: "a tab for two spaces", file: jsCode, old: "\treturn a - b;", new: "\treturn b - a;", want: strings.Replace(jsCode, "a - b", "b - a", 1), told: "indentation"},
	{kind: "tabs", name: "a tab for four spaces, and deeper", file: pyCode, old: "\tdef g(self):\n\t\treturn 2\n", new: "\tdef g(self):\n\t\tif 1:\n\t\t\treturn 2\n", want: strings.Replace(pyCode, "    def g(self):\n        return 2\n", "    def g(self):\n        if 1:\n            return 2\n", 1), told: "indentation"},
	{kind: "tabs", name: "spaces that are no multiple", file: "a:\n\tb\n\t\tc\n", old: "   b\n     c\n", new: "   d\n", refused: []string{"not found"}},
	{kind: "tabs", name: "new has spaces that are no multiple", file: "a:\n\tb\n", old: "a:\n    b\n", new: "a:\n   b\n", refused: []string{"not found"}},
	{kind: "tabs", name: "a tab within the line counts", file: "a\tb\n", old: "a b", new: "c", refused: []string{"not found"}},
	{kind: "tabs", name: "a Makefile's tab", file: "all:\n\tgo build\n", old: "all:\n    go build", new: "all:\n    go build ./...", want: "all:\n\tgo build ./...\n", told: "indentation"},

	// Blanks at the ends of lines.
	{kind: "trailing", name: "in the file", file: "a  \nb\t\nc\n", old: "a\nb\n", new: "a\nx\n", want: "a  \nx\nc\n", told: "ends of lines"},
	{kind: "trailing", name: "in old", file: "a\nb\nc\n", old: "a   \nb ", new: "x", want: "x\nc\n", told: "ends of lines"},
	{kind: "trailing", name: "a line of blanks", file: "a\n    \nb\n", old: "a\n\nb\n", new: "a\n\nc\n", want: "a\n    \nc\n", told: "ends of lines"},
	{kind: "trailing", name: "kept where new repeats the line", file: "x  \ny\n", old: "x\ny", new: "x\nz", want: "x  \nz\n", told: "ends of lines"},
	{kind: "trailing", name: "two hard breaks of Markdown", file: "one  \ntwo\n\none \ntwo\n", old: "one\ntwo", new: "1", refused: []string{"2 times", "lines 1, 4"}},
	{kind: "trailing", name: "a form feed is no blank", file: "a\f\nb\n", old: "a\nb", new: "c", refused: []string{"not found"}},
	{kind: "trailing", name: "the end of the file", file: "a\nb", old: "a\nb\n", new: "a\nc\n", want: "a\nc\n", told: "ends of lines"},

	// CRLF.
	{kind: "CRLF", name: "file CRLF, old LF", file: toCRLF(goCode), old: "\tfor range xs {\n\t\tn++\n\t}\n", new: "\tn = len(xs)\n\tn++\n", want: toCRLF(strings.Replace(goCode, "\tfor range xs {\n\t\tn++\n\t}\n", "\tn = len(xs)\n\tn++\n", 1)), told: "CRLF"},
	{kind: "CRLF", name: "file LF, edit CRLF", file: jsCode, old: "  return a + b;\r\n}\r\n", new: "  return b + a;\r\n}\r\n", want: strings.Replace(jsCode, "a + b", "b + a", 1), told: "CRLF"},
	{kind: "CRLF", name: "one line in a CRLF file gets two", file: "a\r\nb\r\n", old: "a", new: "a\nc", want: "a\r\nc\r\nb\r\n"},
	{kind: "CRLF", name: "and wrong indentation", file: toCRLF(goCode), old: "for range xs {\n\tn++\n}", new: "for range xs {\n\tn += 1\n}", want: toCRLF(strings.Replace(goCode, "n++", "n += 1", 1)), told: "indentation"},
	{kind: "CRLF", name: "and blanks at the end", file: "a \r\nb\r\nc\r\n", old: "a\nb", new: "a\nx", want: "a \r\nx\r\nc\r\n", told: "ends of lines"},
	{kind: "CRLF", name: "mixed, by the place", file: "a\r\nb\r\nc\nd\n", old: "c\nd\n", new: "c\ne\nf\n", want: "a\r\nb\r\nc\ne\nf\n"},
	{kind: "CRLF", name: "the same twice", file: "a\r\nb\r\na\r\nb\r\n", old: "a\nb", new: "c", refused: []string{"2 times", "lines 1, 3"}},
	{kind: "CRLF", name: "a CR of its own counts", file: "a\rb\n", old: "a\nb", new: "c", refused: []string{"not found"}},

	// Context that is not there.
	{kind: "context", name: "a line is missing in old", file: goCode, old: "\tn := 0\n\t\tn += x\n", new: "\tn := 1\n", refused: []string{"not found", "nearest is at line"}},
	{kind: "context", name: "old has a line too many", file: jsCode, old: "  return a + b;\n  // done\n}\n", new: "  return b;\n}\n", refused: []string{"not found", "nearest is at line 2", "2\t  return a + b;"}},
	{kind: "context", name: "elided", file: goCode, old: "func sum(xs []int) int {\n...\n\treturn n\n}\n", new: "func sum(xs []int) int {\n\treturn 0\n}\n", refused: []string{"not found"}},
	{kind: "context", name: "elided in a comment", file: jsCode, old: "export function add(a, b) {\n  // ... existing code ...\n}\n", new: "x\n", refused: []string{"not found", "nearest is at line 1"}},
	{kind: "context", name: "one letter differs", file: jsCode, old: "export function add(a, c) {\n  return a + b;\n}", new: "x", refused: []string{"not found", "nearest is at line 1", "1\texport function add(a, b) {"}},
	{kind: "context", name: "first and last line alike, the body another", file: goCode, old: "func sum(xs []int) int {\n\tm := 1\n\tgo f()\n\tdefer g()\n\t_ = h\n\treturn n\n}\n", new: "x\n", refused: []string{"not found"}},
	{kind: "context", name: "nothing like it", file: jsCode, old: "SELECT * FROM users;", new: "x", refused: []string{"not found", "nothing in the file is much like it"}},
	{kind: "context", name: "applied already", file: jsCode, old: "  return a + c;\n", new: "  return a + b;\n", refused: []string{"new is there already, at line 2", "may have been applied"}},
	{kind: "context", name: "case counts", file: jsCode, old: "RETURN a + b;", new: "x", refused: []string{"not found"}},
	{kind: "context", name: "blanks within the line count", file: jsCode, old: "return a+b;", new: "x", refused: []string{"not found", "nearest is at line 2"}},

	// Repeated blocks.
	{kind: "repeated", name: "the same line twice", file: goCode, old: "\tn := 0\n", new: "\tn := 1\n", refused: []string{"2 times", "lines 4, 12", "until it is unique"}},
	{kind: "repeated", name: "made unique by the line before", file: goCode, old: "func count(xs []int) int {\n\tn := 0\n", new: "func count(xs []int) int {\n\tn := 1\n", want: strings.Replace(goCode, "int {\n\tn := 0\n\tfor range", "int {\n\tn := 1\n\tfor range", 1)},
	{kind: "repeated", name: "the same block twice, loosely", file: "  a()\n  b()\n\n  a()\n  b()\n", old: "a()\nb()\n", new: "c()\n", refused: []string{"2 times", "lines 1, 4"}},
	{kind: "repeated", name: "exactly once, loosely twice", file: "\ta()\n\tb()\n  a()\n  b()\n", old: "  a()\n  b()\n", new: "  c()\n", want: "\ta()\n\tb()\n  c()\n"},
	{kind: "repeated", name: "a short word in longer ones", file: "name = firstname\n", old: "name", new: "title", refused: []string{"2 times"}},
	{kind: "repeated", name: "more often than places are shown", file: strings.Repeat("x\n", 30), old: "x\n", new: "y\n", refused: []string{"30 times", "…"}},
	{kind: "repeated", name: "all of a loose match", file: "\ta()\n\tb()\n\n\t\ta()\n\t\tb()\n", old: "a()\nb()", new: "c()", all: true, want: "\tc()\n\n\t\tc()\n", told: "indentation"},
	{kind: "repeated", name: "a closing brace", file: goCode, old: "}\n", new: "\n", refused: []string{"times, at lines"}},

	// Code that was moved.
	{kind: "moved", name: "whole function elsewhere now", file: strings.Replace(goCode, "package a\n", "package a\n\nfunc first() {}\n", 1), old: "func count(xs []int) int {\n", new: "func count(xs []string) int {\n", want: strings.Replace(strings.Replace(goCode, "package a\n", "package a\n\nfunc first() {}\n", 1), "count(xs []int)", "count(xs []string)", 1)},
	{kind: "moved", name: "two lines changed places", file: "a()\nb()\nc()\n", old: "b()\na()\n", new: "d()\n", refused: []string{"not found"}},
	{kind: "moved", name: "taken apart by a new line", file: "a()\nlog()\nb()\n", old: "a()\nb()\n", new: "c()\n", refused: []string{"not found"}},
	{kind: "moved", name: "into a block", file: "if ok {\n\ta()\n\tb()\n}\n", old: "a()\nb()\n", new: "c()\n", want: "if ok {\n\tc()\n}\n", told: "indentation"},
	{kind: "moved", name: "copied into a block", file: "a()\nb()\nif ok {\n\ta()\n\tb()\n}\n", old: "\t\ta()\n\t\tb()\n", new: "\t\tc()\n", refused: []string{"2 times", "lines 1, 4"}},

	// Unicode look-alikes.
	{kind: "Unicode", name: "typographic quotes in the file", file: "t := “hi”\nu\n", old: "t := \"hi\"\n", new: "t := \"ho\"\n", want: "t := \"ho\"\nu\n", told: "typographic"},
	{kind: "Unicode", name: "typographic quotes in old", file: "t := 'hi'\nu\n", old: "t := ‘hi’", new: "t := 'ho'", want: "t := 'ho'\nu\n", told: "typographic"},
	{kind: "Unicode", name: "an em dash", file: "one — two\n", old: "one - two", new: "one", want: "one\n", told: "typographic"},
	{kind: "Unicode", name: "a no-break space", file: "a\u00a0b\n", old: "a b", new: "c", want: "c\n", told: "typographic"},
	{kind: "Unicode", name: "a minus sign", file: "x = \u22121\n", old: "x = -1", new: "x = -2", want: "x = -2\n", told: "typographic"},
	{kind: "Unicode", name: "the file's line is kept where new repeats it", file: "“a”\nb\n", old: "\"a\"\nb\n", new: "\"a\"\nc\n", want: "“a”\nc\n", told: "typographic"},
	{kind: "Unicode", name: "plain and typographic both there", file: "say “x”\nsay ‟x”\n", old: "say \"x\"", new: "y", refused: []string{"2 times", "lines 1, 2"}},
	{kind: "Unicode", name: "a Cyrillic letter is another letter", file: "p\u0430ssword := 1\n", old: "password := 1", new: "x", refused: []string{"not found", "nearest is at line 1"}},
	{kind: "Unicode", name: "a Greek question mark is no semicolon", file: "a\u037e\n", old: "a;", new: "x", refused: []string{"not found"}},
	{kind: "Unicode", name: "a composed letter is not a letter and an accent", file: "caf\u00e9\n", old: "cafe\u0301", new: "x", refused: []string{"not found"}},
	{kind: "Unicode", name: "a zero-width space counts", file: "ab\u200bc\n", old: "abc", new: "x", refused: []string{"not found"}},
	{kind: "Unicode", name: "letters of full width count", file: "ａｂｃ\n", old: "abc", new: "x", refused: []string{"not found"}},

	// What models copy along.
	{kind: "copied", name: "the numbers that read_file shows", file: goCode, old: "13\tfor range xs {\n14\t\tn++\n", new: "13\tfor range xs {\n14\t\tn--\n", refused: []string{"not found"}}, // without the file's own tabs
	{kind: "copied", name: "the numbers and the file's own tabs", file: goCode, old: "13\t\tfor range xs {\n14\t\t\tn++\n", new: "13\t\tfor range xs {\n14\t\t\tn--\n", want: strings.Replace(goCode, "n++", "n--", 1), told: "line numbers"},
	{kind: "copied", name: "a doubled level of escapes", file: "s := \"a\"\n", old: `s := \"a\"`, new: `s := \"b\"`, want: "s := \"b\"\n", told: "doubled"},
	{kind: "copied", name: "an escape that the file has itself", file: "s := \"a\\nb\"\n", old: `"a\nb"`, new: `"a\tb"`, want: "s := \"a\\tb\"\n"},
	{kind: "copied", name: "a fence around old", file: "a\nb\n", old: "```\na\n```", new: "c", refused: []string{"not found"}},
	{kind: "copied", name: "marks of a diff", file: "a\nb\n", old: "-a\n b", new: "+c\n b", refused: []string{"not found"}},
	{kind: "copied", name: "nothing as old", file: "a\n", old: "", new: "b", refused: []string{"old is empty"}},
	{kind: "copied", name: "new is old", file: "a\n", old: "a", new: "a", refused: []string{"the same"}},
}

func TestEditCases(t *testing.T) {
	kinds := map[string]int{}
	for _, c := range editCases {
		kinds[c.kind]++
		t.Run(c.kind+"/"+c.name, func(t *testing.T) {
			got, done, err := apply(c.file, []edit{{c.old, c.new, c.all}})
			told := strings.Join(done.told, "\n")
			switch {
			case c.refused != nil && err == nil:
				t.Errorf("was applied to %q", got)
			case c.refused != nil:
				has(t, err.Error(), c.refused...)
				if got != c.file {
					t.Errorf("refused, and the file is %q", got)
				}
			case err != nil:
				t.Error(err)
			case got != c.want:
				t.Errorf("got %q\nwant %q", got, c.want)
			case !strings.Contains(told, c.told) || (c.told == "") != (told == ""):
				t.Errorf("told %q, want %q", told, c.told)
			}
		})
	}
	if len(editCases) < 60 {
		t.Errorf("%d cases", len(editCases))
	}
	for _, kind := range []string{"exact", "indentation", "tabs", "trailing", "CRLF", "context", "repeated", "moved", "Unicode"} {
		if kinds[kind] < 5 {
			t.Errorf("%d cases of %s", kinds[kind], kind)
		}
	}
	t.Log(len(editCases), "cases:", slices.Sorted(maps.Keys(kinds)))
}
