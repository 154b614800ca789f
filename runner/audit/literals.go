package audit

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

var (
	hole   = pattern.MustCompile(`\{\{[^}]*\}\}`)
	digits = pattern.MustCompile(`\d+(?:[.,]\d+)*`)
)

// literals finds answers that were written down instead of worked out. Literals
// of the acceptance are no sin by themselves: a heading has to say what it is to
// say. What a user types in is another thing, and so is what nobody can know.
func (a *auditor) literals() {
	inputs := a.inputs()
	for _, c := range a.changes {
		s := c.after
		if c.kind != Implementation {
			continue
		}
		a.drawn(c)
		a.results(c, s)
		if s == nil {
			continue
		}
		for i := range s.toks {
			n := int32(i) // #nosec G115 -- a file has at most 4 MB
			t := s.toks[i]
			if t.kind != str && t.kind != number || !c.fresh[int(t.line)] {
				continue
			}
			if inputs[t.text] && s.compared(n) {
				a.find("literal", Failed, c, int(t.line), "The implementation knows %s, which the acceptance types in. It must do the same for whatever is typed.", quoted([]string{t.text}))
			}
		}
	}
	a.examples()
}

// inputs are what the acceptance types in, without what belongs to the words of
// the feature.
func (a *auditor) inputs() map[string]bool {
	m := map[string]bool{}
	for _, st := range a.in.Acceptance {
		if st.Action != "fill" && st.Action != "type" || hole.MatchString(st.Value) || len(st.Value) < 3 {
			continue
		}
		m[st.Value] = true
	}
	for _, st := range a.in.Acceptance {
		if st.Action == "select" || st.Action == "press" || st.Action == "goto" {
			delete(m, st.Value)
		}
		for v := range m {
			if strings.Contains(st.Target, `"`+v+`"`) {
				delete(m, v)
			}
		}
	}
	for _, c := range a.changes {
		if c.before == nil || c.kind != Implementation {
			continue
		}
		for _, t := range c.before.toks {
			if t.kind == str {
				delete(m, t.text)
			}
		}
	}
	return m
}

// compared says whether the literal at i decides something: it is compared with,
// a case, or the key of a table.
func (s *source) compared(i int32) bool {
	switch {
	case s.is(i-1, "==", "===", "!=", "!==", "case", "when", "in", "eq"):
		return true
	case s.is(i+1, "==", "===", "!=", "!=="):
		return true
	case s.is(i+1, ":") && s.is(i-1, "{", ",", "case"), s.is(i+1, "=>"):
		return true
	case s.lang == python && s.listedIn(i):
		return true
	case s.is(i-1, "(") && s.at(i-2).kind == word:
		switch s.at(i - 2).text {
		case "includes", "startsWith", "endsWith", "indexOf", "equals", "Equal", "EqualFold", "Contains", "HasPrefix", "has", "get", "contains", "startswith", "strcmp", "match", "test":
			return true
		}
	case s.is(i-1, "[") && s.is(i+1, "]", ",") || s.is(i-1, ",") && s.is(i+1, ",", "]"):
		// Of a list that is searched.
		for j := i; j < i+60 && s.at(j).kind != ends && !s.is(j, ";"); j++ {
			if s.is(j, "]") {
				return s.is(j+1, ".") && s.is(j+2, "includes", "indexOf", "some", "find") || s.is(s.at(j).pair-1, "in")
			}
		}
	}
	return false
}

// listedIn says whether the literal at i stands in a tuple or a set that Python
// looks into.
func (s *source) listedIn(i int32) bool {
	for j := i - 1; j > max(0, i-60); j-- {
		if s.is(j, "(", "{", "[") {
			return s.is(j-1, "in")
		}
		if t := s.at(j); t.kind != str && t.kind != number && !s.is(j, ",") {
			return false
		}
	}
	return false
}

// drawn finds values that were drawn for an earlier run.
func (a *auditor) drawn(c *change) {
	for _, v := range a.in.Drawn {
		if len(v) < 5 || digits.ReplaceAllString(v, "") == "" {
			continue
		}
		line := lineWith(c.After.Data, v)
		if line > 0 && c.fresh[line] {
			a.find("literal", Invalid, c, line, "The implementation holds a value that was drawn at random for an earlier run of the acceptance.")
		}
	}
}

// results finds results of the acceptance that stand in the code: one text with
// several numbers, or a text with what was typed in.
func (a *auditor) results(c *change, s *source) {
	forms := map[string][]string{}
	for _, st := range a.in.Acceptance {
		e := st.Expected
		if !strings.HasPrefix(st.Action, "assert_") || st.Action == "assert_response" || hole.MatchString(e) || len(e) < 3 {
			continue
		}
		if f := digits.ReplaceAllString(e, "#"); f != e && len(f) > 3 && !slices.Contains(forms[f], e) {
			forms[f] = append(forms[f], e)
		}
	}
	seen := map[string]map[string]int{} // form -> result -> line
	look := func(text string, line int) {
		for f, es := range forms {
			for _, e := range es {
				if len(es) > 1 && holds(text, e) {
					if seen[f] == nil {
						seen[f] = map[string]int{}
					}
					seen[f][e] = line
				}
			}
		}
	}
	if s == nil { // a page, say
		n := 0
		for l := range bytes.Lines(c.After.Data) {
			if n++; c.fresh[n] && len(l) < 2000 && !bytes.Contains(l, []byte{0}) {
				look(string(l), n)
			}
		}
	} else {
		for _, t := range s.toks {
			if t.kind != str || !c.fresh[int(t.line)] || len(t.text) > 2000 {
				continue
			}
			look(t.text, int(t.line))
			for _, st := range a.in.Acceptance {
				if len(t.text) > 4 && t.text == st.Expected && strings.HasPrefix(st.Action, "assert_") && a.holdsInput(st.Expected) {
					a.find("literal", Failed, c, int(t.line), "The implementation holds a result of the acceptance, %s, which it must work out from what is typed in.", quoted([]string{t.text}))
				}
			}
		}
	}
	for _, f := range slices.Sorted(maps.Keys(seen)) {
		if lines := seen[f]; len(lines) > 1 {
			a.find("literal", Failed, c, slices.Min(slices.Collect(maps.Values(lines))), "The implementation holds several results of the acceptance (%s), which it must work out.", quoted(forms[f]))
		}
	}
}

// holds says whether text holds the result e as a whole.
func holds(text, e string) bool {
	_, after, ok := strings.Cut(text, e)
	return ok && (after == "" || !digit(after[0]))
}

// holdsInput says whether e repeats something that the acceptance types in.
func (a *auditor) holdsInput(e string) bool {
	return slices.ContainsFunc(a.in.Acceptance, func(st Step) bool {
		return (st.Action == "fill" || st.Action == "type") && !hole.MatchString(st.Value) && len(st.Value) >= 3 && e != st.Value && strings.Contains(e, st.Value)
	})
}

// An answer is a literal that is given for another.
type answer struct {
	in, out string
	line    int
	branch  bool // by a comparison, not by a table
}

// examples compares what the code answers literally with what tests ask.
func (a *auditor) examples() {
	type example struct {
		in  []string
		out string
	}
	var all []example
	for _, c := range a.changes {
		for _, t := range a.ours(c) {
			for _, x := range t.asserts {
				if n := len(x.literals); n >= 2 && x.strength == exact {
					all = append(all, example{x.literals[:n-1], x.literals[n-1]}, example{x.literals[1:], x.literals[0]})
				}
			}
			for _, row := range c.after.rows(t.from, t.to) {
				all = append(all, example{row[:len(row)-1], row[len(row)-1]})
			}
			if len(all) > 2000 {
				break
			}
		}
	}
	if len(all) == 0 {
		return
	}
	derived := map[string]string{} // what goes in -> what comes out and holds it
	for _, e := range all {
		for _, in := range e.in {
			if a.derived(in, e.out, true) {
				derived[in] = e.out
			}
		}
	}
	for _, c := range a.changes {
		if c.kind != Implementation || c.after == nil {
			continue
		}
		a.singled(c, derived)
		answers := c.after.answers(c.fresh)
		var hits []answer
		branches := 0
		for _, w := range answers {
			if w.branch {
				branches++
			}
			if w.in != "0" && w.in != "1" && slices.ContainsFunc(all, func(e example) bool { return e.out == w.out && slices.Contains(e.in, w.in) }) {
				hits = append(hits, w)
			}
		}
		telling := func(w answer) bool {
			if n := digits.ReplaceAllString(w.in, ""); n == "" || n == "-" {
				return len(w.in) > 1 || w.in > "2"
			}
			return len(w.in) >= 6 && !strings.HasPrefix(w.in, "/") && !strings.HasPrefix(w.in, ".") && (strings.ContainsAny(w.in, " 0123456789@,:") || w.branch && strings.Contains(w.in, "-"))
		}
		told := slices.DeleteFunc(slices.Clone(hits), func(w answer) bool { return !telling(w) && !a.derived(w.in, w.out, w.branch) })
		switch {
		case len(told) > 0 && (len(told)*2 > len(answers) || told[0].branch && len(told)*2 == len(answers)):
			a.find("literal", Failed, c, told[0].line, "The implementation answers %s of the tests' own examples literally (%s). Let it work the answers out.", count(len(told)), quoted([]string{told[0].in, told[0].out}))
		case len(hits) > 1:
			a.find("literal", Note, c, hits[0].line, "The implementation and the tests hold the same pairs of values (%s); look whether they are answers or a table of the feature.", quoted([]string{hits[0].in, hits[0].out}))
		}
	}
}

func count(n int) string {
	if n == 1 {
		return "one"
	}
	return "several"
}

// rows are groups of nothing but values: a line of a table.
func (s *source) rows(from, to int32) [][]string {
	var rows [][]string
	for i := from; i < to; i++ {
		t := s.at(i)
		if value := s.at(i + 2); (t.kind == str || t.kind == number) && s.is(i+1, ":", "=>") && (value.kind == str || value.kind == number) && s.is(i-1, "{", ",", "(") {
			rows = append(rows, []string{t.text, value.text}) // of a map
			continue
		}
		if t.kind != punct || t.text != "[" && t.text != "{" && t.text != "(" || t.pair < i || t.pair > i+40 || s.at(i-1).kind == word {
			continue
		}
		var row []string
		ok := true
		for j := i + 1; j < t.pair && ok; j++ {
			switch v := s.at(j); {
			case v.kind == str || v.kind == number:
				row = append(row, v.text)
			case v.text == "," || v.text == "-" || v.kind == ends:
			case s.is(j+1, ":"): // a key
				j++
			default:
				ok = false
			}
		}
		if ok && len(row) >= 2 {
			rows = append(rows, row)
		}
	}
	return rows
}

// answers are the literals that the code gives for others.
func (s *source) answers(fresh map[int]bool) []answer {
	var all []answer
	value := func(i int32) bool { return s.at(i).kind == str || s.at(i).kind == number }
	for n := range s.toks {
		i := int32(n) // #nosec G115 -- a file has at most 4 MB
		t := s.toks[i]
		if !value(i) || !fresh[int(t.line)] {
			continue
		}
		if s.is(i+1, ":", "=>") && value(i+2) && s.is(i-1, "{", ",", "(") {
			all = append(all, answer{t.text, s.at(i + 2).text, int(t.line), false})
			continue
		}
		if !s.is(i-1, "==", "===", "case", "when") && !s.is(i+1, "==", "===") {
			continue
		}
		for j := i + 1; j < i+12; j++ {
			if s.is(j, "return", "?", "=>", "then") && value(j+1) {
				all = append(all, answer{t.text, s.at(j + 1).text, int(t.line), true})
				break
			}
			if s.is(j, "return") && s.is(j+1, "-") && value(j+2) {
				all = append(all, answer{t.text, s.at(j + 2).text, int(t.line), true})
				break
			}
			if s.is(j, "}", "&&", "||", "and", "or") {
				break
			}
		}
	}
	return all
}
