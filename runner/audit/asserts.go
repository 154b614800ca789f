package audit

import (
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// An assertion is one place where a test looks.
type assertion struct {
	line     int
	tok      int32
	text     string   // normalized
	actual   string   // what it looks at: its first argument
	literals []string // what it expects, and more
	strength int
	lame     string // why it cannot fail; "": it can
}

// The strengths of assertions.
const (
	empty = iota // holds whatever the program does
	loose        // holds for many results
	exact
)

var (
	jsAssert = pattern.MustCompile(`^(assert|t\.assert|chai\.assert)(\.\w+)*$|^(expect|expectTypeOf)(\.soft|\.poll)?\(\)(\.\w+|\(\))*\.\w+$|^t\.(is|not|equal|equals|same|deepEqual|deepEquals|ok|notOk|true|false|throws|rejects|match|like|fail|is_|strictEqual|deepStrictEqual|assert)$|\.should(\.\w+)+$|^sinon\.assert\.\w+$`)
	pyAssert = pattern.MustCompile(`^(self|cls)\.(assert\w+|fail)$|^pytest\.(raises|fail|warns)$|\.assert_(called|has_calls|any_call|not_called|awaited|that)\w*$|^(np|numpy)\.testing\.assert\w+$`)
	goAssert = pattern.MustCompile(`^(t|tb|f|b|s|suite|s\.T\(\)|tt|st)\.(Error|Errorf|Fatal|Fatalf|Fail|FailNow)$|^(assert|require|is|must|qt|check|should)\.[A-Z]\w+$|^(s|suite)\.(Require\(\)\.|Assert\(\)\.)?(Equal|NotEqual|True|False|Nil|NotNil|NoError|Error|ErrorIs|ErrorAs|Contains|Len|Empty|ElementsMatch|JSONEq)f?$`)
	anAssert = pattern.MustCompile(`^(\$this\.|self\.|static\.|Assert\.|Assertions\.|assert\.)?assert\w*!?$|^Assert\.\w+$|^expect\(\)(\.\w+|\(\))*$|^(assertThat|verify|fail)$|^(must|wont)_\w+$|^refute\w*$|^debug_assert\w*!$|(\.|\(\)\.)(Should|should|must_equal)(\(\)|\.\w+)*$|^assertThat\(\)(\.\w+|\(\))*\.\w+$|^expectException$|^\$this\.expectException$`)
	ownCheck = pattern.MustCompile(`^(_?(assert|expect|check|verify|must|require|should|want)([A-Z_]\w*)?)$`)

	exactCall = pattern.MustCompile(`(?i)(\.|^|_|assert)(equals?|strict_?equal|deep_?(strict_?)?equals?|same|is|to_?be|to_?equal|toStrictEqual|toHaveLength|toHaveBeenCalledWith|toHaveTextContent|toHaveValue|toHaveCount|eql?|must_equal|jsoneq|eq!?|elementsMatch|list_?equal|dict_?equal|countEqual|multiLineEqual|called_(once_)?with|has_calls|toMatchSnapshot|toMatchInlineSnapshot|toThrowErrorMatchingInlineSnapshot|isEqualTo|len|isNull|null|nil|isNone|notThrow)$`)
	negated   = pattern.MustCompile(`(?i)\bnot\b|not(Deep|Strict|Equal|In|Is|Same|Throw|Match|Nil|Null|Empty|Contain)|\.ok$`)
	equating  = []string{"==", "===", "!=", "!=="}
)

// existence matches what only asks of what kind a value is.
var existence = pattern.MustCompile(`^(typeof |type \(|reflect \. TypeOf \(|callable \(|isinstance \(|hasattr \()`)

// findAsserts finds what a test asserts.
func (s *source) findAsserts(t *testcase) {
	for i := t.from; i < t.to; i++ {
		switch tok := s.at(i); tok.kind {
		case str, number, regex:
			if !strings.HasSuffix(t.name, tok.text) {
				t.literals = append(t.literals, tok.text)
			}
		case word:
			switch {
			case s.lang == python && tok.text == "assert" && s.at(i-1).text != ".":
				t.asserts = append(t.asserts, s.pyStatement(i))
			case s.lang == js && (tok.text == "true" || tok.text == "false" || tok.text == "null"):
				t.literals = append(t.literals, tok.text)
			}
		}
	}
	var catches []ref
	for _, r := range s.refsIn(t.from, t.to) {
		if s.fuel <= 0 {
			return
		}
		if a, ok := s.assertion(r, t); ok {
			t.asserts = append(t.asserts, a)
		}
		if s.lang == js && r.call && strings.HasSuffix(r.name, ".catch") && len(catches) < 20 && s.shrugs(r) {
			catches = append(catches, r)
		}
	}
	slices.SortStableFunc(t.asserts, func(a, b assertion) int { return int(a.tok - b.tok) })
	for i := range t.asserts {
		if s.fuel <= 0 {
			return
		}
		a := &t.asserts[i]
		if a.lame == "" {
			a.lame = s.lame(a, t)
			if a.lame == "" && slices.ContainsFunc(catches, func(r ref) bool { return r.tok <= a.tok && a.tok < r.end }) {
				a.lame = "stands where its failure is caught and dropped"
			}
		}
		if a.lame != "" {
			a.strength = empty
		}
	}
	if s.lang == js && !t.helper {
		for _, r := range s.refsIn(t.from, t.to) {
			if r.call && (r.name == "t.skip" || r.name == "this.skip" || r.name == "context.skip" || r.name == "ctx.skip" || r.name == "t.todo") && t.skipped == "" {
				t.skipped = r.name
				for b := range s.around(r.tok) {
					if b.kind == branch {
						t.conditional = true
					}
					if b.kind == function {
						break
					}
				}
				if g := s.statement(r.tok); s.is(g, "if") || g < r.tok && s.braced(g, r.tok) {
					t.conditional = true
				}
			}
		}
	}
}

// made matches what is made anew, so that equality with its like means something.
var made = pattern.MustCompile(`^(new )?[A-Z]\w*( \. \w+)? \(`)

// pyStatement is an assert statement of Python.
func (s *source) pyStatement(i int32) assertion {
	end := i + 1
	comma := int32(-1)
	for ; s.at(end).kind != ends && !s.is(end, "}") && int(end) < len(s.toks); end++ {
		if p := s.at(end).pair; p > end {
			end = p
		} else if s.is(end, ",") && comma < 0 {
			comma = end
		}
	}
	if comma > 0 {
		end = comma // the message
	}
	a := assertion{line: int(s.at(i).line), tok: i, text: "assert " + s.text(i+1, end), actual: s.text(i+1, end), literals: s.literalsIn(i+1, end), strength: loose}
	if eq := s.topLevel(i+1, end, "=="); eq > 0 {
		a.strength = exact
		a.actual = s.text(i+1, eq)
		if a.actual == s.text(eq+1, end) && !made.MatchString(a.actual) {
			a.lame = "compares a thing with itself"
		}
	} else if s.is(end-1, "None", "True", "False") && s.topLevel(i+1, end, "is") > 0 && !s.is(end-2, "not") {
		a.strength = exact
	}
	if existence.MatchString(a.actual) {
		a.strength = loose
	}
	switch {
	case s.holds(i+1, end) && a.lame == "":
		a.lame = "asserts a constant"
	case s.is(i+1, "(") && s.at(i+1).pair == end-1 && s.topLevel(i+2, end-1, ",") > 0:
		a.lame = "asserts a tuple, which is always true"
	case s.topLevel(i+1, end, "or") > 0 && (s.is(end-1, "True", "1") || s.is(i+1, "True", "1")):
		a.lame = "holds whatever comes before `or`"
	}
	return a
}

// topLevel finds a token of one of texts between two others, outside brackets.
func (s *source) topLevel(from, to int32, texts ...string) int32 {
	for i := from; i < to; i++ {
		if s.is(i, texts...) {
			return i
		}
		if p := s.at(i).pair; p > i && s.at(i).kind == punct {
			i = p
		}
	}
	return -1
}

// holds says whether what stands between two tokens is a value, and a true one.
func (s *source) holds(from, to int32) bool {
	if !s.constant(from, to) {
		return false
	}
	text := s.text(from, to)
	switch text {
	case "false", "False", "0", "null", "None", "nil", "undefined", `""`, "[ ]", "not True", "! true", "not 1", "! 1":
		return false
	}
	return true
}

// constant says whether nothing but values stands between two tokens.
func (s *source) constant(from, to int32) bool {
	for i := from; i < to; i++ {
		switch t := s.at(i); t.kind {
		case str, number:
		case word:
			switch t.text {
			case "true", "false", "True", "False", "null", "None", "nil", "undefined", "not", "and", "or":
			default:
				return false
			}
		case punct:
			switch t.text {
			case "{", "}", "=>", ".":
				return false
			}
		case regex:
			return false
		}
	}
	return from < to
}

func (s *source) literalsIn(from, to int32) []string {
	var all []string
	for i := from; i < to; i++ {
		switch t := s.at(i); t.kind {
		case str, number, regex:
			all = append(all, t.text)
		case word:
			switch t.text {
			case "true", "false", "True", "False", "null", "None", "nil", "undefined":
				all = append(all, t.text)
			}
		}
	}
	return all
}

// assertion says what r asserts, if anything.
func (s *source) assertion(r ref, t *testcase) (assertion, bool) {
	if !r.call || s.lang == python && r.name == "assert" { // a statement, see pyStatement
		return assertion{}, false
	}
	is := false
	switch s.lang {
	case js:
		is = jsAssert.MatchString(r.name) && !strings.HasPrefix(r.name, "assert.CallTracker") && !strings.HasPrefix(r.name, "assert.AssertionError")
	case python:
		is = pyAssert.MatchString(r.name)
	case golang:
		is = goAssert.MatchString(r.name)
	default:
		is = anAssert.MatchString(r.name)
		if s.is(r.end, ".") {
			is = false // the end of the chain is what asserts
		}
	}
	own := false
	if !is && !t.helper && ownCheck.MatchString(r.name) {
		is, own = true, true
	}
	if !is && s.lang == golang && !t.helper && s.is(r.args[0], "t") && s.is(r.args[0]+1, ",", ")") && !strings.Contains(r.name, ".") {
		is, own = true, true // a helper that is given t
	}
	if !is {
		return assertion{}, false
	}
	if s.lang == js && strings.HasPrefix(r.name, "expect") && s.is(r.end, ".") && s.at(r.end+1).kind == word {
		return assertion{}, false // goes on
	}
	first, second := r.args[0], s.nextArg(r.args[0], r.args[1])
	a := assertion{
		line: r.line, tok: r.tok, text: s.text(r.tok, r.end), actual: s.text(first, second-1),
		literals: s.literalsIn(r.tok, r.end), strength: loose,
	}
	if strings.HasPrefix(r.name, "expect") && s.is(r.tok+1, "(") {
		a.actual = s.text(r.tok+2, s.at(r.tok+1).pair)
	}
	not := negated.MatchString(strings.TrimPrefix(r.name, "assert"))
	switch {
	case own:
		a.strength = exact
	case s.lang == golang && !strings.Contains(r.name, ".E") && !goFail.MatchString(r.name), s.lang == golang && !goFail.MatchString(r.name):
		s.goCall(&a, r)
	case s.lang == golang:
		s.goFailure(&a, r, t)
	case exactCall.MatchString(r.name) && !not:
		a.strength = exact
	case s.topLevel(r.args[0], r.args[1], equating...) > 0:
		a.strength = exact
	case strings.HasSuffix(r.name, "throws") || strings.HasSuffix(r.name, "rejects") || strings.HasSuffix(r.name, "raises") || strings.HasSuffix(r.name, "toThrow") || strings.HasSuffix(r.name, "assertRaises"):
		if s.nextArg(r.args[0], r.args[1]) < r.args[1] || strings.HasSuffix(r.name, "toThrow") && r.args[0] < r.args[1] {
			a.strength = exact
		}
	}
	if existence.MatchString(a.actual) {
		a.strength = min(a.strength, loose) // of any value of its kind it holds
	}
	if s.lang != golang && a.lame == "" {
		a.lame = s.tautology(r)
	}
	return a, true
}

var (
	truthy = pattern.MustCompile(`^(t\.|chai\.)?assert(\.ok|\.isOk|\.isTrue|\.True)?!?$|^t\.(ok|true|assert)$|(assertTrue|assert_true|AssertTrue|IsTrue|True)$|^assert_?!?$`)
	falsy  = pattern.MustCompile(`(assertFalse|IsFalse|isFalse|notOk|isNotOk|assertNull|assertIsNone|assertNil|assert_nil|refute|\.false)$`)
)

var goFail = pattern.MustCompile(`\.(Error|Errorf|Fatal|Fatalf|Fail|FailNow)$`)

// goCall is an assertion of a library, with t as its first argument.
func (s *source) goCall(a *assertion, r ref) {
	first := r.args[0]
	tee := s.text(first, s.nextArg(first, r.args[1])-1)
	if s.is(first, "t", "tb") {
		first = s.nextArg(first, r.args[1])
	}
	if strings.Contains(tee, "testing . T") {
		a.lame = "is given a testing.T of its own, whose failures nobody sees"
		return
	}
	second := s.nextArg(first, r.args[1])
	a.actual = s.text(first, second-1)
	if exactCall.MatchString(r.name) {
		a.strength = exact
		if second < r.args[1] && s.text(first, second-1) == s.text(second, s.argEnd(second, r.args[1])) {
			a.lame = "compares a thing with itself"
		}
	}
	if end := s.argEnd(first, r.args[1]); strings.HasSuffix(r.name, "True") && s.is(first, "true") && end == first+1 || strings.HasSuffix(r.name, "False") && s.is(first, "false") && end == first+1 {
		a.lame = "asserts a constant"
	}
}

// argEnd is where the argument at i ends.
func (s *source) argEnd(i, end int32) int32 {
	n := s.nextArg(i, end)
	if n < end || s.is(n-1, ",") {
		return n - 1
	}
	return n
}

var goLoose = pattern.MustCompile(`\b(Contains|HasPrefix|HasSuffix|MatchString|Match)\b|[<>]|!= nil|== nil|== ""|!= ""|== 0`)

// goFailure is t.Errorf under a condition.
func (s *source) goFailure(a *assertion, r ref, t *testcase) {
	a.strength = exact
	for b := range s.around(r.tok) {
		if b.from < t.from {
			break
		}
		if b.kind != branch && !s.is(b.head, "if") {
			continue
		}
		if !s.is(b.head, "if", "else") && s.at(b.from).pair >= 0 {
			if s.is(b.head, "for", "switch", "select") {
				continue
			}
		}
		cond := s.text(b.head, b.from)
		a.text = cond + " → fail"
		a.actual = cond
		a.literals = s.literalsIn(b.head, b.from)
		bare := strings.TrimPrefix(cond, "if ")
		if i := strings.LastIndex(bare, " ; "); i >= 0 {
			bare = bare[i+3:]
		}
		if l, r, ok := strings.Cut(bare, " != "); ok && l == r {
			a.lame = "compares a thing with itself"
		}
		if strings.HasPrefix(bare, "false") || s.constant(b.head+1, b.from) {
			a.lame = "stands under a condition that never holds"
		}
		if goLoose.MatchString(cond) && !strings.Contains(cond, "cmp") && !strings.Contains(cond, "Equal") {
			rest := goLoose.ReplaceAllString(cond, "")
			if !strings.Contains(rest, "!=") {
				a.strength = loose
			}
		}
		return
	}
	a.text = "fail " + s.text(r.args[0], r.args[1])
	a.literals = nil
}
