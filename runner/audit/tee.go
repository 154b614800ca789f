package audit

import (
	"slices"
	"strings"
)

// ownTee finds Go's tests that assert on a testing.T of their own, whose failures
// nobody sees, or that drop what panics.
func (a *auditor) ownTee(c *change, s *source) {
	if s.lang != golang || c.kind != Test {
		return
	}
	for n := range s.toks {
		i := int32(n) // #nosec G115 -- a file has at most 4 MB
		if s.toks[i].kind != word || !c.fresh[int(s.toks[i].line)] {
			continue
		}
		line := int(s.toks[i].line)
		switch {
		case s.is(i, "testing") && s.is(i+1, ".") && s.is(i+2, "T", "B", "F", "TB") && (s.is(i+3, "{") || s.is(i-1, "(") && s.is(i-2, "new") || s.is(i-2, "var")):
			name := s.boundTo(i)
			text := s.fileText(i)
			looked := name != "" && (strings.Contains(text, " "+name+" . Failed (") || strings.Contains(text, " "+name+" . Skipped ("))
			if !looked && !s.embeds(i) {
				a.find("assertion-swallowed", Failed, c, line, "This is a testing.T of the test's own, whose failures nobody sees. Assert on the one that the test is given.")
			}
		case s.is(i, "recover") && s.is(i+1, "(") && s.is(i+2, ")") && !strings.Contains(s.at(i-1).text, "."):
			alone := s.at(i).nl || s.is(i-1, "{", ";") || s.at(i-1).kind == ends || s.is(i-1, "=") && s.is(i-2, "_")
			if !alone {
				continue
			}
			t := slices.IndexFunc(s.tests, func(t testcase) bool { return !t.helper && t.from <= i && i < t.to })
			if t < 0 {
				continue
			}
			sev := Note
			if live := slices.ContainsFunc(s.tests[t].asserts, func(x assertion) bool { return x.lame == "" }); !live {
				sev = Failed
			}
			a.find("assertion-swallowed", sev, c, line, "What panics in this test is dropped here. Let it fail the test.")
		}
	}
}

// boundTo is the name that the value at i is given.
func (s *source) boundTo(i int32) string {
	for j := i; j > i-8 && j > 0; j-- {
		if s.is(j-1, ":=", "=") {
			return s.at(j - 2).text
		}
		if s.is(j-1, "var") {
			return s.at(j).text
		}
		if s.is(j-2, "var") {
			return s.at(j - 1).text
		}
	}
	return ""
}

// fileText is the text of the function that i is in, or of what is near.
func (s *source) fileText(i int32) string {
	for b := range s.around(i) {
		if b.kind == function {
			return " " + s.textOf(b.from, min(b.to, b.from+4000))
		}
	}
	return " " + s.textOf(max(0, i-100), i+400)
}

// embeds says whether the testing.T at i is part of a type, which may be a double
// that keeps what it is told.
func (s *source) embeds(i int32) bool {
	for b := range s.around(i) {
		if b.kind == class {
			return true
		}
		if b.kind == function {
			return false
		}
	}
	return false
}
