package audit

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	godiff "github.com/google/go-cmp/cmp"
)

func words(l lang, text string) []string {
	toks, _ := lex(l, text)
	var ws []string
	for _, t := range toks {
		switch t.kind {
		case ends:
		case str:
			ws = append(ws, `"`+t.text+`"`)
		case regex:
			ws = append(ws, "/"+t.text+"/")
		default:
			ws = append(ws, t.text)
		}
	}
	return ws
}

func TestTokens(t *testing.T) {
	tests := []struct {
		lang lang
		text string
		want string
	}{
		{js, "a / b / c", "a / b / c"},
		{js, "x = /a'[/]b/g; 'q'", `x = /a'[/]b/ ; "q"`},
		{js, "return /'/.test(s) // it's", `return /'/ . test ( s )`},
		{js, "if (x) /'/.test(y)", `if ( x ) /'/ . test ( y )`},
		{js, "f(x) / 2 /* ' */ / 3", "f ( x ) / 2 / 3"},
		{js, "`a ${b + `c ${d}`} e`", `"a " ( b + "c " ( d ) "" ) " e"`},
		{js, "`never closed ' x", "` never closed ' x"},
		{js, "<p>Don't</p>\nexit()", "< p > Don ' t < / p > exit ( )"},
		{js, "'ex' + 'it'", `"exit"`},
		{js, `'\x65\u0078\u{69}t'`, `"exit"`},
		{js, "p?.exit?.(0)", "p . exit . ( 0 )"},
		{js, "#!/usr/bin/env node\nx", "x"},
		{python, "x = 'it''s' # it's\n", `x = "its"`},
		{python, "if a: b()\nc", "if a : { b ( ) } c"},
		{python, "def f():\n  '''doc'''\n\n  # x\n  return {\n'a': 1}\ng", `def f ( ) : { "doc" return { "a" : 1 } } g`},
		{python, "f'{os._exit(0)} {{x}}' rb'\\n'", `f`},
		{python, "x = '''a'b\n''' + \"\"\"c\"\"\"", `x = "a'b` + "\n" + `c"`},
		{python, "lambda x: x", "lambda x : x"},
		{golang, "x := `a\"b` + \"c\\\"d\" // e", `x := "a"bc"d"`},
		{golang, "'\\'' /* ' */ y", `"'" y`},
		{ruby, "puts \"a #{b} c\" # d", `puts "a #{b} c" ( b )`},
		{ruby, "x = <<~T\n  exit!\n  T\ny", "x = \"  exit!\n\" y"},
		{ruby, "a / b; x =~ /exit/", "a / b ; x =~ /exit/"},
		{rust, `let a: &'static str = r#"x"y"#; 'c'`, `let a : & ' static str = "x"y" ; "c"`},
		{rust, "/* a /* b */ c */ d", "d"},
		{java, `s = """` + "\nx\"y\n" + `""";`, "s = \"\nx\"y\n\" ;"},
		{csharp, `@"a""b\"; x`, `"a""b\" ; x`},
		{php, "a'b <?php x(); # y\n?> c'd <?= 'z'", `; x ( ) ; ; = "z"`},
	}
	for _, tt := range tests {
		if strings.HasPrefix(tt.text, "f'") {
			continue // see TestCodeInStrings
		}
		if d := godiff.Diff(tt.want, strings.Join(words(tt.lang, tt.text), " ")); d != "" {
			t.Errorf("%s %q:\n%s", tt.lang, tt.text, d)
		}
	}
}

// What stands in the holes of a string is code.
func TestCodeInStrings(t *testing.T) {
	for l, text := range map[lang]string{js: "`${process.exit(0)}`", python: "f'{os._exit(0)}'", ruby: `"#{exit!(0)}"`} {
		got := strings.Join(words(l, text), " ")
		if !strings.Contains(got, "exit") || !strings.Contains(got, "( 0 )") {
			t.Errorf("%s: %q", l, got)
		}
	}
}

// remark appends a comment that holds everything that rules look for.
var remarks = map[string]string{
	".go": "\n// os.Exit(0) testing.Testing() \"--- PASS: \" 'x `y\n", ".js": "\n// process.exit(0); 'JEST_WORKER_ID' `x /y\n", ".mjs": "\n/* process.exit(0) ' */\n",
	".py": "\n# sys.exit(0) 'PYTEST_CURRENT_TEST' \"\"\"\n", ".rb": "\n# exit!(0) 'x\n", ".rs": "\n// std::process::exit(0) \"\n", ".java": "\n// System.exit(0) \"\n", ".cs": "\n// Environment.Exit(0) \"\n",
}

// Comments say nothing: neither what stands in them nor that they were added is
// a finding.
func TestCommentsChangeNothing(t *testing.T) {
	for _, s := range corpus(t) {
		want := said(Judge(s.input()))
		s.candidate = maps.Clone(s.candidate)
		for p, text := range s.candidate {
			for end, remark := range remarks {
				if strings.HasSuffix(p, end) && !strings.HasPrefix(text, "-> ") {
					s.candidate[p] = text + remark
				}
			}
		}
		if d := godiff.Diff(want, said(Judge(s.input()))); d != "" {
			t.Errorf("%s: with comments\n%s", s.name, d)
		}
	}
}

// Hostile text takes no more than its share of time.
func TestHostileTextEnds(t *testing.T) {
	const size = 1 << 15
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	texts := map[string]string{
		"quotes": fill("'a"), "escapes": fill(`'\'`), "ticks": fill("`${"), "open": fill("({["), "shut": fill(")}]"), "slashes": fill(")/"), "regexps": fill("=/["),
		"triples": fill(`"""\`), "dots": fill(".a()"), "chain": "a" + fill(".b()"), "semicolons": fill(";"), "adds": fill("'a'+"), "tests": fill("test('a', () => { assert.ok(x);"),
		"flat": fill("test('a', () => { assert.equal(a, b); });"), "asserts": "test('a', () => {" + fill("assert.equal(x, 1);") + "});", "one line": fill("let a = process.env.B ? 1 : 2;"),
		"heredocs": fill("<<A\n"), "raw": fill(`r#"`), "defs": fill("def test_a():\n assert x == 1\n"), "deep": deep(size / 8), "returns": fill("return\n"), "arrows": fill("()=>"), "comments": fill("/*"),
		"ifs": fill("if x {\n"), "gotests": fill("func TestA(t *testing.T) { if a != b { t.Error() } }\n"), "nul": fill("\x00\xff"), "tries": fill("try {"),
		"names": fill("function a(){assert(a)}"), "declared": "test('a', () => {" + fill("function a(){assert(a)}") + "});",
		"gototal": "package a\nfunc TestA(t *testing.T) {" + fill("if a != b { t.Error() }\n") + "}",
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		for _, p := range []string{"test/a.test.js", "tests/test_a.py", "a_test.go", "spec/a_spec.rb", "tests/a_test.rs", "src/test/ATest.java", "tests/ATests.cs", "tests/ATest.php", "lib/a.js", "a.py", "a.go"} {
			start := time.Now()
			Judge(Input{Kind: kindOf, Changes: []Change{{Path: p, Before: File{Mode: Regular, Data: []byte(texts[name][:size/2])}, After: File{Mode: Regular, Data: []byte(texts[name])}}}})
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("%s as %s took %v", name, p, d)
			}
		}
	}
}

// What is larger than is read says so; a page of a megabyte in one line is read.
func TestLargeFiles(t *testing.T) {
	line := strings.Repeat("function f(a){if(a>1)return g(a-1,'x');return{b:[1,2]}}", 1<<20/56)
	start := time.Now()
	got := said(Judge(Input{Kind: kindOf, Changes: []Change{{Path: "public/app.min.js", After: File{Mode: Regular, Data: []byte(line), Size: int64(len(line))}}}}))
	if d := time.Since(start); len(got) > 0 || d > time.Minute {
		t.Errorf("%v after %v", got, d)
	}
	got = said(Judge(Input{Kind: kindOf, Changes: []Change{
		{Path: "lib/a.js", After: File{Mode: Regular, Data: []byte("x"), Size: 10 << 20}},
		{Path: "data.json", After: File{Mode: Regular, Data: []byte("{"), Size: 10 << 20}},
	}}))
	if d := godiff.Diff([]string{"failed unaudited"}, got); d != "" {
		t.Error(d)
	}
}

// deep is Python with n blocks in each other, as far as a line can tell.
func deep(n int) string {
	var b strings.Builder
	for i := range min(n, 1000) {
		b.WriteString(strings.Repeat(" ", i) + "if x:\n")
	}
	return b.String()
}

func FuzzJudge(f *testing.F) {
	names := []string{"a_test.go", "a.go", "test/a.test.js", "a.js", "tests/test_a.py", "conftest.py", "spec/a_spec.rb", "tests/a_test.rs", "ATest.java", "ATests.cs", "ATest.php", "package.json", "Makefile", "pytest.ini", ".gitattributes", "a.snap"}
	for _, s := range corpus(f) {
		for _, c := range changes(s.parent, s.candidate) {
			for i, n := range names {
				if strings.HasSuffix(n, c.Path[max(0, len(c.Path)-3):]) {
					f.Add(uint8(i), c.Before.Data, c.After.Data)
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, before, after []byte) {
		p := names[int(which)%len(names)]
		in := Input{Kind: kindOf, Changes: []Change{{Path: p, Before: File{Mode: Regular, Data: before}, After: File{Mode: Regular, Data: after}}}}
		want := said(Judge(in))
		l := langOf(p, nil)
		if l == "" || l == php {
			return
		}
		if _, whole := lex(l, string(after)); !whole {
			return // a comment behind what is not closed is none
		}
		mark := "\n// process.exit(0) os.Exit(0)\n"
		if l == python || l == ruby {
			mark = "\n# sys.exit(0)\n"
		}
		if bytes.HasSuffix(bytes.TrimRight(after, "\n"), []byte(`\`)) || bytes.Contains(after, []byte("__END__")) {
			return
		}
		in.Changes[0].After.Data = append(slices.Clone(after), mark...)
		if got := said(Judge(in)); !slices.Equal(got, want) {
			t.Errorf("with a comment: %v, without: %v", got, want)
		}
	})
}

func ExampleFinding_String() {
	fmt.Println(Finding{Rule: "exit", Path: "a.js", Line: 3, Text: "process.exit(0)", Reason: "Take it out."})
	// Output: a.js:3 `process.exit(0)`: Take it out. (exit)
}
