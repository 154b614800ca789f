package audit

import "strings"

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
		case s.constant(open+1, s.at(open).pair) && (r.args[0] == r.args[1] || s.constant(r.args[0], r.args[1])) && !strings.Contains(subject, "=>"):
			return "looks at constants only"
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
	case second < r.args[1] && exactCall.MatchString(r.name) && s.text(first, end1) == s.text(second, end2) && !made.MatchString(s.text(first, end1)):
		return "compares a thing with itself"
	case second < r.args[1] && exactCall.MatchString(r.name) && s.constant(first, end1) && s.constant(second, end2):
		return "looks at constants only"
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
		drops, known := s.dropped[b.from]
		if !known {
			drops = s.swallows(b, t.to)
			s.dropped[b.from] = drops
		}
		if drops {
			return "stands where its failure is caught and dropped"
		}
		if b.kind == function && b.name != "" && b.from != t.body && !t.helper && s.is(b.head, "function", "async", "const", "let", "var", "def") {
			if s.neverCalled(b, t.from, t.to) {
				return "stands in " + b.name + ", which is never called"
			}
		}
		at = b.head
	}
	return ""
}

// neverCalled says whether nothing between two tokens uses the name of b, a
// function, outside of its own head.
func (s *source) neverCalled(b block, from, to int32) bool {
	never, known := s.unused[b.from]
	if known {
		return never
	}
	never = true
	for i := from; i < to && never; i++ {
		if (i < b.head || i >= b.from) && s.toks[i].kind == word && s.toks[i].text == b.name {
			never = false
		}
	}
	s.fuel -= int(to - from)
	s.unused[b.from] = never
	return never
}

// A cut is where a block is left before its end.
type cut struct {
	behind int32
	word   string
}

// cutOff says whether what stands at token at, directly in b, comes behind a
// statement that leaves.
func (s *source) cutOff(b block, at int32) string {
	if b.kind == class || b.kind == plain {
		return ""
	}
	c, known := s.cuts[b.from]
	if !known {
		c = s.firstCut(b)
		s.cuts[b.from] = c
	}
	if c.word != "" && at >= c.behind {
		return "stands behind `" + c.word + "`, where nothing is reached"
	}
	return ""
}

func (s *source) firstCut(b block) cut {
	for i := b.from + 1; i < b.to; i++ {
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
			for end < b.to && s.at(end).kind != ends && !s.is(end, ";") && (end == i || !s.at(end).nl || s.lang != js) {
				if p := s.at(end).pair; p > end {
					end = p
				}
				end++
			}
			if end < b.to {
				return cut{end, t.text}
			}
		}
	}
	return cut{}
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

// shrugs says whether a promise's catch drops what it is given.
func (s *source) shrugs(r ref) bool {
	body := s.text(r.args[0], r.args[1])
	return body == "( ) => undefined" || body == "( ) => null" || strings.HasSuffix(body, ") => { }") || strings.HasSuffix(body, "_ => { }") || body == "noop"
}
