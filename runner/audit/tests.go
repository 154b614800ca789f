package audit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

var csharpTest = pattern.MustCompile(`\[ (Fact|Theory|Test|TestCase|TestMethod)\b`)

// A testcase is a test that a file declares, or a function of a test file that
// others assert with.
type testcase struct {
	name     string
	line     int
	from, to int32 // its tokens, skip marks included
	helper   bool
	body     int32 // the brace of its function, where it is one

	skipped     string // how; "": it is not
	conditional bool   // it is skipped on a condition
	only        string // how it keeps others from running

	asserts  []assertion
	more     []assertion // by helpers of the change
	literals []string    // in its body
}

var jsTests = map[string]bool{"test": true, "it": true, "specify": true, "fit": true, "xit": true, "xtest": true, "xspecify": true, "ftest": true, "t.test": true, "Deno.test": true, "Bun.test": true}

var jsGroups = map[string]bool{"describe": true, "context": true, "suite": true, "fdescribe": true, "xdescribe": true, "xcontext": true}

// findTests finds what the file declares as tests.
func (s *source) findTests() {
	switch s.lang {
	case js:
		s.jsTests()
	case ruby:
		s.rubyTests()
	default:
		s.blockTests()
	}
	seen := map[string]int{}
	for i := range s.tests {
		t := &s.tests[i]
		seen[t.name]++
		if n := seen[t.name]; n > 1 {
			t.name = fmt.Sprintf("%s #%d", t.name, n)
		}
	}
	s.helpers()
	for i := range s.tests {
		if s.fuel > 0 {
			s.findAsserts(&s.tests[i])
		}
	}
}

func (s *source) jsTests() {
	type group struct {
		to    int32
		name  string
		skip  string
		only  string
		maybe bool
	}
	var groups []group
	for _, r := range s.refs {
		if !r.call {
			continue
		}
		for len(groups) > 0 && groups[len(groups)-1].to < r.tok {
			groups = groups[:len(groups)-1]
		}
		base, mods := jsCase(r.name)
		if base == "" || s.is(r.args[1]+1, "(") && strings.Contains(mods, "each") && !strings.HasSuffix(r.name, "()") {
			continue
		}
		t := testcase{line: r.line, from: r.tok, to: r.args[1], name: s.title(r.args[0])}
		if t.name == "" {
			continue
		}
		for _, m := range []string{".skip", ".todo", ".only", ".skipIf()", ".runIf()", ".failing", ".fails", ".fixme"} {
			if strings.Contains(mods, m) {
				s.mark(&t, m, base)
			}
		}
		if strings.HasPrefix(base, "x") {
			s.mark(&t, ".skip", base)
		}
		if strings.HasPrefix(base, "f") {
			s.mark(&t, ".only", base)
		}
		s.options(&t, r)
		for _, g := range slices.Backward(groups) {
			t.name = g.name + " › " + t.name
			if g.skip != "" && t.skipped == "" {
				t.skipped, t.conditional = g.skip, g.maybe
			}
			break
		}
		if jsGroups[base] {
			groups = append(groups, group{to: t.to, name: t.name, skip: t.skipped, only: t.only, maybe: t.conditional})
			if t.only != "" {
				s.tests = append(s.tests, testcase{name: t.name, line: t.line, from: t.from, to: t.from, only: t.only})
			}
			continue
		}
		s.tests = append(s.tests, t)
	}
}

// jsCase splits the name of a call into what declares a test or a group, and
// what modifies it.
func jsCase(name string) (base, mods string) {
	for _, two := range []string{"t.test", "Deno.test", "Bun.test", "test.describe"} {
		if rest, ok := strings.CutPrefix(name, two); ok && (rest == "" || rest[0] == '.') {
			if two == "test.describe" {
				return "describe", rest
			}
			return two, rest
		}
	}
	base, rest, _ := strings.Cut(name, ".")
	if !jsTests[base] && !jsGroups[base] {
		return "", ""
	}
	for part := range strings.SplitSeq(rest, ".") {
		switch strings.TrimSuffix(part, "()") {
		case "", "skip", "only", "todo", "each", "concurrent", "sequential", "failing", "fails", "skipIf", "runIf", "fixme", "serial", "for", "parallel":
		case "describe", "suite", "it", "test":
		default:
			return "", "" // test.beforeEach and the like
		}
	}
	if rest != "" {
		rest = "." + rest
	}
	return base, rest
}

func (s *source) mark(t *testcase, how, base string) {
	switch how {
	case ".only":
		t.only = base + how
	case ".skipIf()", ".runIf()":
		t.skipped, t.conditional = base+how, true
	default:
		t.skipped = base + how
	}
}

// options reads {skip: true} and its like.
func (s *source) options(t *testcase, r ref) {
	i := s.nextArg(r.args[0], r.args[1])
	if !s.is(i, "{") {
		return
	}
	for j := i + 1; j < s.at(i).pair; j++ {
		if !s.is(j+1, ":") || !s.is(j-1, "{", ",") {
			continue
		}
		switch key := s.at(j).text; key {
		case "skip", "todo", "only":
			if s.is(j+2, "false", "undefined", "null") {
				continue
			}
			if key == "only" {
				t.only = "only: " + s.at(j+2).text
				continue
			}
			t.skipped = key + ": " + s.at(j+2).text
			t.conditional = s.at(j+2).kind != str && !s.is(j+2, "true") && !s.is(j+2, "!")
		}
	}
}

// nextArg is where the argument after the one at i begins.
func (s *source) nextArg(i, end int32) int32 {
	for ; i < end; i++ {
		t := s.at(i)
		if t.kind != punct {
			continue
		}
		if t.pair > i {
			i = t.pair
			continue
		}
		if t.text == "," {
			return i + 1
		}
	}
	return end
}

// title is the name that a test is given by its first argument.
func (s *source) title(i int32) string {
	t := s.at(i)
	if t.kind == str && s.is(i+1, ",", ")") {
		return t.text
	}
	end := s.nextArg(i, i+200)
	if t.kind == str || t.kind == word && !s.is(i, "async", "function") && !s.is(i+1, "=>") {
		return s.text(i, end-1)
	}
	return ""
}

var rubyTest = pattern.MustCompile(`^(x|f)?(it|specify|example|test|scenario)$`)

// rubyTests goes by the order of lines: a test ends where the next begins.
func (s *source) rubyTests() {
	for n := range s.toks {
		i := int32(n) // #nosec G115 -- a file has at most 4 MB
		t := s.toks[i]
		if t.kind != word || !t.nl {
			continue
		}
		c := testcase{line: int(t.line), from: i, to: int32(len(s.toks))} // #nosec G115 -- as above
		switch {
		case t.text == "def" && strings.HasPrefix(s.at(i+1).text, "test_"):
			c.name = s.at(i + 1).text
		case rubyTest.MatchString(t.text) && (s.at(i+1).kind == str || s.is(i+1, "(") && s.at(i+2).kind == str):
			c.name = s.at(i + 1).text
			if s.at(i+1).kind != str {
				c.name = s.at(i + 2).text
			}
			if t.text[0] == 'x' {
				c.skipped = t.text
			}
			if t.text[0] == 'f' {
				c.only = t.text
			}
			for j := i; s.at(j).line == t.line && j < i+20; j++ {
				if s.is(j, "skip", "pending") && (s.is(j-1, ":") || s.is(j+1, ":")) {
					c.skipped = s.at(j).text
				}
			}
		case t.text == "describe" || t.text == "context" || t.text == "RSpec":
			if n := len(s.tests); n > 0 && s.tests[n-1].to > i {
				s.tests[n-1].to = i
			}
			continue
		default:
			continue
		}
		if n := len(s.tests); n > 0 && s.tests[n-1].to > i {
			s.tests[n-1].to = i
		}
		s.tests = append(s.tests, c)
	}
	for i := range s.tests {
		c := &s.tests[i]
		for j := c.from; j < c.to && j < c.from+400; j++ {
			if s.at(j).nl && s.is(j, "skip", "pending") {
				c.skipped, c.conditional = s.at(j).text, s.is(j+1, "if", "unless") || s.is(j+2, "if", "unless")
			}
		}
	}
}

var (
	goTest   = pattern.MustCompile(`^(Test|Fuzz|Example|Benchmark)([^a-z].*)?$`)
	skipMark = pattern.MustCompile(`(?i)@ (pytest \. mark \. )?(skip|skipif|xfail|skipUnless|Disabled|DisabledIf\w*|EnabledIf\w*|Ignore)\b|@ unittest \. (skip\w*|expectedFailure)|\bSkip = "|\[ Ignore|# \[ (ignore|cfg \( not)|\bpytest \. skip`)
	maybe    = pattern.MustCompile(`(?i)skipif|skipUnless|EnabledIf|DisabledIf|cfg`)
)

// blockTests finds the tests of languages where they are functions.
func (s *source) blockTests() {
	for i, b := range s.blocks {
		if b.kind != function || b.name == "" {
			continue
		}
		head := b.head
		prefix := ""
		if b.up >= 0 {
			up := s.blocks[b.up]
			if up.kind != class {
				continue
			}
			prefix = up.name + "."
			if s.lang == python && !strings.HasPrefix(up.name, "Test") && !strings.Contains(s.text(up.head, up.from), "TestCase") {
				continue
			}
		}
		marks := s.text(head, b.from)
		if s.lang == python {
			head = s.decorated(head)
			marks = s.text(head, b.from)
			if b.up >= 0 {
				up := s.blocks[b.up]
				marks = s.text(s.decorated(up.head), up.head) + " " + marks
			}
		}
		var is bool
		switch s.lang {
		case golang:
			is = b.up < 0 && goTest.MatchString(b.name) && s.at(b.head).text == "func" && !s.is(b.head+1, "(") && b.name != "TestMain"
			prefix = ""
		case python:
			is = strings.HasPrefix(b.name, "test")
		case rust:
			is = strings.Contains(marks, "test ]") || strings.Contains(marks, "test (")
		case java:
			is = strings.Contains(marks, "@ Test") || strings.Contains(marks, "@ ParameterizedTest")
		case csharp:
			is = csharpTest.MatchString(marks)
		case php:
			is = strings.HasPrefix(b.name, "test") || strings.Contains(marks, "[ Test ]")
		}
		if !is {
			continue
		}
		t := testcase{name: prefix + b.name, line: int(s.at(b.from).line), from: head, to: b.to, body: b.from}
		if n := s.nameAt(b); n >= 0 {
			t.line = int(s.at(n).line)
		}
		if m := skipMark.FindString(marks); m != "" {
			t.skipped, t.conditional = m, maybe.MatchString(m)
		}
		s.skipCalls(&t, s.blocks[i])
		s.tests = append(s.tests, t)
	}
}

func (s *source) nameAt(b block) int32 {
	for j := b.head; j < b.from; j++ {
		if s.at(j).kind == word && s.at(j).text == b.name {
			return j
		}
	}
	return -1
}

// decorated is where the decorators before head begin.
func (s *source) decorated(head int32) int32 {
	for head > 1 && s.at(head-1).kind == ends {
		h := s.statement(head - 1)
		if !s.is(h, "@") || h >= head-1 {
			break
		}
		head = h
	}
	return head
}

// skipCalls finds the calls by which a test leaves itself out.
func (s *source) skipCalls(t *testcase, b block) {
	for _, r := range s.refsIn(b.from, b.to) {
		last := r.name[strings.LastIndex(r.name, ".")+1:]
		switch last {
		case "Skip", "Skipf", "SkipNow", "skip", "skipTest", "markTestSkipped", "markTestIncomplete", "importorskip", "assumeTrue", "xfail":
		default:
			continue
		}
		if !r.call || s.lang == golang && !strings.HasPrefix(r.name, "t.") && !strings.HasPrefix(r.name, "f.") && !strings.HasPrefix(r.name, "b.") {
			continue
		}
		t.skipped = r.name
		t.conditional = false
		for up := range s.around(r.tok) {
			if up.from <= b.from {
				break
			}
			if up.kind == branch || up.kind == function {
				t.conditional = true
			}
		}
		return
	}
}

// refsIn are the refs between two tokens.
func (s *source) refsIn(from, to int32) []ref {
	i, _ := slices.BinarySearchFunc(s.refs, from, func(r ref, f int32) int { return int(r.tok - f) })
	j, _ := slices.BinarySearchFunc(s.refs, to, func(r ref, f int32) int { return int(r.tok - f) })
	return s.refs[i:max(i, j)]
}

// helpers adds the functions that tests assert with.
func (s *source) helpers() {
	n := len(s.tests)
	spans := make([][2]int32, 0, n)
	for _, t := range s.tests {
		spans = append(spans, [2]int32{t.from, t.to})
	}
	slices.SortFunc(spans, func(a, b [2]int32) int { return int(a[0] - b[0]) })
	for _, b := range s.blocks {
		if b.kind != function || b.name == "" || s.lang == ruby {
			continue
		}
		i, _ := slices.BinarySearchFunc(spans, b.from, func(x [2]int32, f int32) int { return int(x[0] - f) })
		if i > 0 && spans[i-1][1] >= b.from {
			continue // in a test
		}
		s.tests = append(s.tests, testcase{name: "func " + b.name, line: int(s.at(b.from).line), from: b.from, to: b.to, helper: true})
	}
}
