package audit

import (
	"regexp"
	"slices"
	"strings"
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
	jsAssert = regexp.MustCompile(`^(assert|t\.assert|chai\.assert)(\.\w+)*$|^(expect|expectTypeOf)(\.soft|\.poll)?\(\)(\.\w+|\(\))*\.\w+$|^t\.(is|not|equal|equals|same|deepEqual|deepEquals|ok|notOk|true|false|throws|rejects|match|like|fail|is_|strictEqual|deepStrictEqual|assert)$|\.should(\.\w+)+$|^sinon\.assert\.\w+$`)
	pyAssert = regexp.MustCompile(`^(self|cls)\.(assert\w+|fail)$|^pytest\.(raises|fail|warns)$|\.assert_(called|has_calls|any_call|not_called|awaited|that)\w*$|^(np|numpy)\.testing\.assert\w+$`)
	goAssert = regexp.MustCompile(`^(t|tb|f|b|s|suite|s\.T\(\)|tt|st)\.(Error|Errorf|Fatal|Fatalf|Fail|FailNow)$|^(assert|require|is|must|qt|check|should)\.[A-Z]\w+$|^(s|suite)\.(Require\(\)\.|Assert\(\)\.)?(Equal|NotEqual|True|False|Nil|NotNil|NoError|Error|ErrorIs|ErrorAs|Contains|Len|Empty|ElementsMatch|JSONEq)f?$`)
	anAssert = regexp.MustCompile(`^(\$this\.|self\.|static\.|Assert\.|Assertions\.|assert\.)?assert\w*!?$|^Assert\.\w+$|^expect\(\)(\.\w+|\(\))*$|^(assertThat|verify|fail)$|^(must|wont)_\w+$|^refute\w*$|^debug_assert\w*!$|(\.|\(\)\.)(Should|should|must_equal)(\(\)|\.\w+)*$|^assertThat\(\)(\.\w+|\(\))*\.\w+$|^expectException$|^\$this\.expectException$`)
	ownCheck = regexp.MustCompile(`^(_?(assert|expect|check|verify|must|require|should|want)([A-Z_]\w*)?)$`)

	exactCall = regexp.MustCompile(`(?i)(\.|^|_|assert)(equals?|strict_?equal|deep_?(strict_?)?equals?|same|is|to_?be|to_?equal|toStrictEqual|toHaveLength|toHaveBeenCalledWith|toHaveTextContent|toHaveValue|toHaveCount|eql?|must_equal|jsoneq|eq!?|elementsMatch|list_?equal|dict_?equal|countEqual|multiLineEqual|called_(once_)?with|has_calls|toMatchSnapshot|toMatchInlineSnapshot|toThrowErrorMatchingInlineSnapshot|isEqualTo|len|isNull|null|nil|isNone|notThrow)$`)
	negated   = regexp.MustCompile(`(?i)\bnot\b|not(Deep|Strict|Equal|In|Is|Same|Throw|Match|Nil|Null|Empty|Contain)|\.ok$`)
	equating  = []string{"==", "===", "!=", "!=="}
)

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
	own := map[string]bool{}
	for _, r := range s.refsIn(t.from, t.to) {
		if a, ok := s.assertion(r, t); ok && !own[a.text+"@"+s.at(r.end).text+string(rune(r.end))] {
			t.asserts = append(t.asserts, a)
		}
	}
	slices.SortStableFunc(t.asserts, func(a, b assertion) int { return int(a.tok - b.tok) })
	for i := range t.asserts {
		a := &t.asserts[i]
		if a.lame == "" {
			a.lame = s.lame(a, t)
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
		if a.actual == s.text(eq+1, end) {
			a.lame = "compares a thing with itself"
		}
	} else if s.is(end-1, "None", "True", "False") && s.topLevel(i+1, end, "is") > 0 && !s.is(end-2, "not") {
		a.strength = exact
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
	if !r.call {
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
	if s.lang != golang && a.lame == "" {
		a.lame = s.tautology(r)
	}
	return a, true
}

var (
	truthy = regexp.MustCompile(`^(t\.|chai\.)?assert(\.ok|\.isOk|\.isTrue|\.True)?!?$|^t\.(ok|true|assert)$|(assertTrue|assert_true|AssertTrue|IsTrue|True)$|^assert_?!?$`)
	falsy  = regexp.MustCompile(`(assertFalse|IsFalse|isFalse|notOk|isNotOk|assertNull|assertIsNone|assertNil|assert_nil|refute|\.false)$`)
)

var goFail = regexp.MustCompile(`\.(Error|Errorf|Fatal|Fatalf|Fail|FailNow)$`)

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

var goLoose = regexp.MustCompile(`\b(Contains|HasPrefix|HasSuffix|MatchString|Match)\b|[<>]|!= nil|== nil|== ""|!= ""|== 0`)

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

// tautology says why an assertion holds whatever the program does.
func (s *source) tautology(r ref) string {
	if r.args[0] == r.args[1] && !strings.HasPrefix(r.name, "expect") && !strings.HasSuffix(r.name, "()") {
		if strings.HasSuffix(r.name, "fail") || !strings.HasPrefix(r.name, "assert") {
			return ""
		}
		return "asserts nothing"
	}
	last := r.name[strings.LastIndex(r.name, ".")+1:]
	if last == "fail" || last == "rejects" || last == "throws" || strings.HasPrefix(last, "assert_") && s.lang == python {
		return ""
	}
	if strings.HasPrefix(r.name, "expect") {
		open := r.tok + 1
		for open < r.tok+6 && !s.is(open, "(") {
			open++
		}
		if !s.is(open, "(") || s.at(open).pair < 0 {
			return ""
		}
		subject := s.text(open+1, s.at(open).pair)
		switch {
		case s.holds(open+1, s.at(open).pair) && (strings.HasSuffix(r.name, "toBeTruthy") || strings.HasSuffix(r.name, "toBeDefined")) && !strings.Contains(r.name, ".not."):
			return "expects something of a constant"
		case subject != "" && subject == s.text(r.args[0], r.args[1]) && exactCall.MatchString(r.name) && !strings.Contains(r.name, ".not."):
			return "compares a thing with itself"
		case strings.HasPrefix(s.text(r.args[0], r.args[1]), "expect . any"):
			if strings.Contains(s.text(r.args[0], r.args[1]), "anything ( )") {
				return "accepts anything"
			}
		}
		return ""
	}
	first := r.args[0]
	end1 := s.argEnd(first, r.args[1])
	second := s.nextArg(first, r.args[1])
	end2 := s.argEnd(second, r.args[1])
	switch {
	case second < r.args[1] && exactCall.MatchString(r.name) && s.text(first, end1) == s.text(second, end2):
		return "compares a thing with itself"
	case s.holds(first, end1) && (second >= r.args[1] || s.constant(second, r.args[1])) && !exactCall.MatchString(r.name) && truthy.MatchString(r.name),
		s.is(first, "false", "False", "null", "None", "nil") && end1 == first+1 && falsy.MatchString(r.name):
		return "asserts a constant"
	case s.topLevel(first, end1, "||") > 0 && s.is(end1-1, "true", "1"), s.topLevel(first, end1, "or") > 0 && s.is(end1-1, "True"):
		return "holds whatever comes before `or`"
	}
	if eq := s.topLevel(first, end1, "===", "=="); eq > 0 && s.text(first, eq) == s.text(eq+1, end1) {
		return "compares a thing with itself"
	}
	return ""
}

// lame says why an assertion is never reached, or why its failure is not seen.
func (s *source) lame(a *assertion, t *testcase) string {
	at := a.tok
	for b := range s.around(a.tok) {
		if b.from < t.from && !(t.helper && b.from == t.from) {
			break
		}
		if why := s.cutOff(b, at); why != "" {
			return why
		}
		if s.lang != python && s.is(b.head, "if", "while") || s.lang == python {
			cond := s.text(b.head, b.from)
			switch cond {
			case "if ( false )", "if false", "if False :", "if 0 :", "if ( 0 )", "while ( false )", "while False :", "if ( ! true )", "if not True :":
				return "stands under a condition that never holds"
			}
		}
		if s.swallows(b, t.to) {
			return "stands where its failure is caught and dropped"
		}
		if b.kind == function && b.name != "" && b.from != t.body && !t.helper && s.is(b.head, "function", "async", "const", "let", "var", "def") {
			if !s.mentioned(b.name, t.from, t.to, b) {
				return "stands in " + b.name + ", which is never called"
			}
		}
		at = b.head
	}
	if s.lang == js && s.caught(a.tok, t) {
		return "stands where its failure is caught and dropped"
	}
	return ""
}

// mentioned says whether name is used between two tokens, outside of b's own
// head.
func (s *source) mentioned(name string, from, to int32, b block) bool {
	for i := from; i < to; i++ {
		if i >= b.head && i < b.from {
			continue
		}
		if s.at(i).kind == word && s.at(i).text == name {
			return true
		}
	}
	return false
}

// cutOff says whether what stands at token at, directly in b, comes behind a
// statement that leaves.
func (s *source) cutOff(b block, at int32) string {
	if b.kind == class || b.kind == plain {
		return ""
	}
	for i := b.from + 1; i < at; i++ {
		t := s.at(i)
		if t.kind == punct && t.pair > i {
			i = t.pair
			continue
		}
		if t.kind != word {
			continue
		}
		switch t.text {
		case "return", "raise", "throw", "panic", "break", "continue":
			if s.is(i-1, ".") || s.is(i+1, ":") || s.at(i-1).text == "yield" {
				continue
			}
			start := s.statement(i)
			if start != i && !(s.lang == python && s.at(i).nl) {
				continue // part of a longer one: if (x) return
			}
			end := i
			for end < at && s.at(end).kind != ends && !s.is(end, ";") && (end == i || !s.at(end).nl || s.lang != js || s.at(end-1).text == "return" && !s.at(end).nl) {
				if p := s.at(end).pair; p > end {
					end = p
				}
				end++
			}
			if end < at {
				return "stands behind `" + t.text + "`, where nothing is reached"
			}
		}
	}
	return ""
}

// swallows says whether b is tried and what it throws is dropped.
func (s *source) swallows(b block, end int32) bool {
	switch {
	case s.lang == python && s.is(b.head, "with"):
		head := s.text(b.head, b.from)
		return strings.Contains(head, "suppress (") && (strings.Contains(head, "AssertionError") || strings.Contains(head, "Exception"))
	case s.is(b.head, "try") || s.is(b.from-1, "try"):
	case s.lang == ruby:
		return false
	default:
		return false
	}
	caught, drops := false, true
	for i := b.to + 1; i < end; {
		head := i
		for s.at(i).kind == ends {
			i++
			head = i
		}
		if !s.is(head, "catch", "except", "finally", "else") {
			break
		}
		open := head
		for open < end && !(s.is(open, "{") && s.at(open).kind == punct && !(s.is(head, "catch") && s.is(open-1, "("))) {
			if p := s.at(open).pair; p > open && !s.is(open, "{") {
				open = p
			}
			open++
		}
		shut := s.at(open).pair
		if shut < 0 {
			break
		}
		if s.is(head, "catch", "except") {
			what := s.text(head, open)
			narrow := s.lang == python && !strings.Contains(what, "AssertionError") && !strings.Contains(what, "Exception") && what != "except :" ||
				(s.lang == java || s.lang == csharp || s.lang == php) && !strings.Contains(what, "AssertionError") && !strings.Contains(what, "Throwable") && !strings.Contains(what, "Exception e") && !strings.Contains(what, "Error")
			if narrow && !strings.Contains(what, "AssertionError") {
				i = shut + 1
				continue
			}
			caught = true
			for j := open + 1; j < shut; j++ {
				if s.is(j, "throw", "raise", "reject", "done", "fail", "assert", "expect", "Fatal", "Errorf", "t", "rethrow") && s.at(j).kind == word || strings.HasPrefix(s.at(j).text, "assert") {
					drops = false
				}
				if s.at(j).kind == word && s.assigned(s.at(j).text) && s.is(j+1, "=") {
					drops = false // it is kept, to be looked at later
				}
			}
		}
		i = shut + 1
	}
	return caught && drops
}

func (s *source) assigned(name string) bool { return name != "" }

// caught says whether the promise of a function that asserts has a catch that
// drops what it is given.
func (s *source) caught(tok int32, t *testcase) bool {
	for _, r := range s.refsIn(t.from, t.to) {
		if !r.call || !strings.HasSuffix(r.name, ".catch") || r.end <= tok || r.tok > tok {
			continue
		}
		body := s.text(r.args[0], r.args[1])
		if body == "( ) => { }" || body == "( ) => undefined" || body == "( ) => null" || strings.HasSuffix(body, ") => { }") || body == "noop" {
			return true
		}
	}
	return false
}
