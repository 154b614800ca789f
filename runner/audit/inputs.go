package audit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// A table is a list of values that a test goes over, row by row.
type table struct {
	test string // that it stands in; "": in none
	name string // of the list, or its number among those of the test that have none
	rows []row
}

// A row is one element of a table.
type row struct {
	text     string
	line     int
	literals []string
}

var (
	eachCalls = []string{"forEach", "map", "flatMap", "every", "some", "filter", "items", "entries", "each", "reduce"}
	takesAll  = []string{"entries", "keys", "values", "enumerate", "zip", "sorted", "each", "for", "parametrize", "from"}
)

// tables finds the lists that loops of a file go over.
func (s *source) tables() []table {
	looped := s.loopedNames()
	unnamed := map[string]int{}
	var all []table
	for n := range s.toks {
		i := int32(n) // #nosec G115 -- a file has at most 4 MB
		t := s.toks[i]
		if s.fuel <= 0 {
			return all
		}
		if t.kind != punct || t.pair < i+2 || t.text != "[" && t.text != "{" && (t.text != "(" || s.lang != python) {
			continue
		}
		name, ok := s.goneOver(i, looped)
		if !ok {
			continue
		}
		tab := table{test: s.testAt(i), name: name}
		if name == "" {
			unnamed[tab.test]++
			tab.name = fmt.Sprint("#", unnamed[tab.test])
		}
		for j := i + 1; j < t.pair; j = s.nextArg(j, t.pair) {
			end := s.argEnd(j, t.pair)
			if text := strings.TrimSpace(s.text(j, end)); text != "" {
				tab.rows = append(tab.rows, row{text: text, line: int(s.at(j).line), literals: s.literalsIn(j, end)})
			}
		}
		all = append(all, tab)
	}
	return all
}

// testAt is the name of the test that token i is in; "": it is in none.
func (s *source) testAt(i int32) string {
	for _, t := range s.tests {
		if s.fuel--; !t.helper && t.from <= i && i < t.to {
			return t.name
		}
	}
	return ""
}

// loops says whether the word at j stands before what a loop goes over.
func (s *source) loops(j int32) bool {
	switch {
	case s.lang == golang:
		return s.is(j, "range")
	case s.is(j, "of", "in"):
		for k := j - 1; k > j-20; k-- {
			if s.is(k, "for") {
				return true
			}
			if s.is(k, ";", "if", "assert", "return") {
				return false
			}
		}
	}
	return false
}

// loopedNames are the lists that are gone over by their name.
func (s *source) loopedNames() map[string]bool {
	names := map[string]bool{}
	for n, t := range s.toks {
		i := int32(n) // #nosec G115 -- as above
		if t.kind != word || s.fuel <= 0 {
			continue
		}
		switch {
		case s.loops(i - 1),
			s.is(i-1, "(") && s.is(i-2, takesAll...),
			s.is(i-1, ",") && s.at(i-2).kind == str && s.is(i-4, "parametrize"),
			s.is(i+1, ".") && s.is(i+2, eachCalls...) && s.is(i+3, "("):
			names[t.text] = true
		}
	}
	return names
}

// goneOver says whether the list that begins at i is what a loop goes over, and
// how it is called.
func (s *source) goneOver(i int32, looped map[string]bool) (name string, ok bool) {
	if end := s.at(i).pair; s.is(end+1, ".") && s.is(end+2, eachCalls...) && s.is(end+3, "(") && !s.is(i, "{") {
		return "", true
	}
	typed := false // Go: its type stands before it
	for j := i - 1; j >= 0 && j > i-60; j-- {
		t := s.at(j)
		switch {
		case t.kind == word && s.loops(j):
			return "", (s.lang != golang || typed) && (s.lang != js || s.is(i, "[") || j < i-1)
		case t.kind == punct && (t.text == "=" || t.text == ":="):
			if s.lang == golang && !typed {
				return "", false
			}
			name = s.at(j - 1).text
			if h := s.statement(j); s.is(h, "const", "let", "var", "export") || s.lang == python {
				for s.is(h, "const", "let", "var", "export") {
					h++
				}
				name = s.at(h).text
			}
			return name, looped[name]
		case t.kind == punct && (t.text == "]" || t.text == "}") && s.lang == golang && t.pair >= 0:
			j = t.pair
			if b := s.at(j - 1); t.text == "]" {
				if b.kind == word && b.text != "map" && b.text != "range" {
					return "", false // an element of something
				}
				typed = true
			}
		case s.lang == golang && (t.kind == word || t.kind == punct && (t.text == "." || t.text == "*")):
		case t.text == "(" && t.kind == punct && s.is(j-1, takesAll...):
			if s.is(j-1, "each", "for", "parametrize") {
				return "", s.is(j-2, ".")
			}
		case t.kind == str && s.lang == python, t.kind == punct && t.text == "," && s.lang == python && s.at(j-1).kind == str:
			// parametrize names its arguments first.
		case t.kind == word && s.is(j, "Object", "Array", "entries", "keys", "values", "enumerate", "zip", "sorted", "from"), t.kind == punct && t.text == ".":
		default:
			return "", false
		}
	}
	return "", false
}

// tables compares what tests of the parent go over with what they go over now.
func (a *auditor) tables() {
	type place struct{ path, test, name string }
	then, now := map[place]table{}, map[place]table{}
	var order []place
	changes := map[string]*change{}
	var rowsThen, rowsNow, litsThen, litsNow []string
	there := map[string]bool{} // tests
	for _, c := range a.changes {
		if c.kind != Test {
			continue
		}
		changes[c.Path] = c
		if c.before != nil {
			for _, t := range c.before.tables() {
				p := place{c.Path, t.test, t.name}
				then[p], order = t, append(order, p)
				for _, r := range t.rows {
					rowsThen = append(rowsThen, r.text)
				}
			}
			litsThen = append(litsThen, c.before.literalsIn(0, int32(len(c.before.toks)))...) // #nosec G115 -- a file has at most 4 MB
		}
		if c.after != nil {
			for _, t := range c.after.tables() {
				now[place{c.Path, t.test, t.name}] = t
				for _, r := range t.rows {
					rowsNow = append(rowsNow, r.text)
				}
			}
			for _, t := range c.after.tests {
				there[t.name] = true
			}
			litsNow = append(litsNow, c.after.literalsIn(0, int32(len(c.after.toks)))...) // #nosec G115 -- as above
		}
	}
	gone, lack := tally(missing(rowsThen, rowsNow)), tally(missing(litsThen, litsNow))
	for _, p := range order {
		t, c := then[p], changes[p.path]
		if p.test != "" && !there[p.test] {
			continue // the test is gone, which is said elsewhere
		}
		fresh := without(now[p].rows, t.rows)
		var lost []row
		for _, r := range without(t.rows, now[p].rows) {
			if gone[r.text]--; gone[r.text] < 0 {
				continue // it stands elsewhere
			}
			if len(r.literals) > 0 && !slices.ContainsFunc(r.literals, func(l string) bool { return lack[l] > 0 }) {
				continue // written in another form
			}
			if i := slices.IndexFunc(fresh, func(f row) bool { return len(missing(r.literals, f.literals)) == 0 }); i >= 0 && len(r.literals) > 0 {
				fresh = slices.Delete(slices.Clone(fresh), i, i+1) // it says more now
				continue
			}
			lost = append(lost, r)
		}
		if len(lost) > 0 {
			a.poorer(c, p.test, lost, fresh)
		}
	}
}

// poorer reports rows that a table lost.
func (a *auditor) poorer(c *change, test string, lost, fresh []row) {
	var lits, news []string
	for _, r := range lost {
		lits = append(lits, r.literals...)
	}
	for _, r := range fresh {
		news = append(news, r.literals...)
	}
	whose := "Tests of this file go"
	if test != "" {
		whose = fmt.Sprintf("The test %q goes", shorten(test))
	}
	switch {
	case len(lost) > len(fresh):
		s := Failed
		if a.names(lits, true) {
			s = Note
		}
		a.lost("fewer-inputs", s, c, lost[0].line, "%s over fewer inputs than before: %s gone. Put it back; if the feature contradicts it, use cannot_complete with kind conflict.", whose, rowsGone(len(lost)))
	case test == "" && (a.names(news, true) || a.seen && !a.names(lits, false)):
		a.lost("expectation-changed", Note, c, lost[0].line, "This row of a table is another one now.")
	case test == "":
		a.lost("expectation-changed", Failed, c, lost[0].line, "This row of a table that tests go over is another one now, which the feature does not ask for. Put it back; if the feature contradicts it, use cannot_complete with kind conflict.")
	}
}

func rowsGone(n int) string {
	if n == 1 {
		return "this one is"
	}
	return fmt.Sprintf("this one and %d more are", n-1)
}

// names says whether the feature names any of these values, or all of them.
func (a *auditor) names(values []string, all bool) bool {
	wanted := a.wanted()
	asked, n := 0, 0
	for _, v := range values {
		if len(v) < 2 {
			continue
		}
		if n++; wholeWord(wanted, v) {
			asked++
		}
	}
	return asked > 0 && (!all || asked == n)
}

// wholeWord says whether text holds w, not as part of a longer word.
func wholeWord(text, w string) bool {
	letter := func(b byte) bool {
		return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= 0x80
	}
	for at := 0; ; {
		i := strings.Index(text[at:], w)
		if i < 0 {
			return false
		}
		i += at
		end := i + len(w)
		if (i == 0 || !letter(text[i-1]) || !letter(w[0])) && (end == len(text) || !letter(text[end]) || !letter(w[len(w)-1])) {
			return true
		}
		at = i + 1
	}
}

func tally(all []string) map[string]int {
	n := map[string]int{}
	for _, s := range all {
		n[s]++
	}
	return n
}

// without are the rows of a that b does not have.
func without(a, b []row) []row {
	have := map[string]int{}
	for _, r := range b {
		have[r.text]++
	}
	var rest []row
	for _, r := range a {
		if have[r.text]--; have[r.text] < 0 {
			rest = append(rest, r)
		}
	}
	return rest
}

// part is what is put after a list to go over some of it.
var part = pattern.MustCompile(`^ (\. (slice|filter|splice|take) \(|\[ .*:)`)

var numerals = pattern.MustCompile(`\b\d[\d_]*\b`)

// heads are the heads of the loops between two tokens, with their lines.
func (s *source) heads(from, to int32) map[string]int {
	all := map[string]int{}
	for i := from; i < to; i++ {
		if !s.is(i, "for", "while") {
			continue
		}
		j := i + 1
		if s.is(j, "await") {
			j++
		}
		end := j
		if s.lang == golang || s.lang == python {
			for ; end < to && !s.is(end, "{", ":") && (s.at(end).kind != ends || s.lang == golang); end++ {
				if p := s.at(end).pair; p > end && p < to {
					end = p
				}
			}
		} else if p := s.at(j).pair; s.is(j, "(") && p > j {
			j, end = j+1, p
		}
		all[s.text(j, end)] = int(s.at(i).line)
	}
	return all
}

// loopsLess says that a test that was there before goes over less of what it went
// over: a part of the list, fewer rounds, or all but what it passes by.
func (a *auditor) loopsLess(c *change, old *testcase, d declared) {
	before, now := c.before.heads(old.from, old.to), d.s.heads(d.t.from, d.t.to)
	for h := range before {
		if _, same := now[h]; same || h == "" {
			continue
		}
		for n, line := range now {
			if _, same := before[n]; same {
				continue
			}
			rest, more := strings.CutPrefix(n, h)
			if more && part.MatchString(rest) || fewer(h, n) {
				a.find("fewer-inputs", Failed, d.c, line, "The test %q goes over less than before: `%s` it was. Put it back; if the feature contradicts it, use cannot_complete with kind conflict.", shorten(old.name), shorten(h))
			}
		}
	}
	passes := func(s *source, t *testcase) (n, line int) {
		for i := t.from; i < t.to; i++ {
			if s.is(i, "continue") && s.at(i).kind == word {
				n, line = n+1, int(s.at(i).line)
			}
		}
		return n, line
	}
	was, _ := passes(c.before, old)
	if is, line := passes(d.s, d.t); is > was && len(d.t.asserts) <= len(old.asserts) {
		a.find("fewer-inputs", Failed, d.c, line, "The test %q passes over some of its inputs now. Let it look at all of them.", shorten(old.name))
	}
}

// fewer says whether two heads of loops differ in numbers only, of which one is
// smaller now.
func fewer(then, now string) bool {
	if numerals.ReplaceAllString(then, "0") != numerals.ReplaceAllString(now, "0") {
		return false
	}
	a, b := numerals.FindAllString(then, -1), numerals.FindAllString(now, -1)
	for i := range a {
		x, errX := strconv.ParseInt(strings.ReplaceAll(a[i], "_", ""), 10, 64)
		y, errY := strconv.ParseInt(strings.ReplaceAll(b[i], "_", ""), 10, 64)
		if errX == nil && errY == nil && y < x {
			return true
		}
	}
	return false
}
