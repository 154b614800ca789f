package audit

import (
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

var (
	waits    = pattern.MustCompile(`(?i)\b(await new Promise|setTimeout|sleep|delay|wait\w*|timeout|poll\w*|tick|advance\w*|nextTick|settle\w*|deadline|eventually|until|time \. (After|monotonic|time)|Date \. now|performance \. now|runtime \. Gosched|synctest)\b`)
	noWait   = pattern.MustCompile(`(?i)sleep \( ?0? ?\)|setTimeout \( \w+ , 0 \)|setTimeout \( \w+ \)|delay \( 0 \)`)
	leaves   = pattern.MustCompile(`\b(return|break)\b`)
	numbered = pattern.MustCompile(`^for \( (let|var|const) \w+ = \d+|^for \( ; ;|^while \(? ?(true|True|1|! \w+|\w+ -- |-- \w+|\w+ \+\+|\w+ <)|^for (_|\w+) in range \(|^for( \w+ := range (\d+|\w+)| range \d+| \w+ := 0 ; .*| ;.*)?$|^do$|^while not \w+|^for (\w+) := 0`)
)

// again finds tests that try again until an assertion holds: what is right now
// and then is proved by that as well as what is right.
func (a *auditor) again(c *change, s *source) {
	if c.kind != Test || s.lang != js && s.lang != python && s.lang != golang {
		return
	}
	for _, b := range s.blocks {
		if b.kind != branch || s.fuel <= 0 || !a.freshIn(c, s, b) {
			continue
		}
		head := strings.TrimSpace(s.text(b.head, b.from))
		if !s.is(b.head, "for", "while", "do") || b.to-b.from > 400 || !numbered.MatchString(head) {
			continue
		}
		text := s.text(b.head, b.to)
		if waits.MatchString(noWait.ReplaceAllString(text, "")) || !leaves.MatchString(text) {
			continue
		}
		if s.triesIn(b) || s.asksIn(b) {
			a.find("retries", Failed, c, int(s.at(b.head).line), "This loop tries again until an assertion holds, so that it proves nothing that is always so. Assert once; what takes its time, wait for.")
		}
	}
}

// triesIn says whether in the loop b something is tried that may fail, and left
// for good when it does not.
func (s *source) triesIn(b block) bool {
	for _, t := range s.blocks {
		if t.from <= b.from || t.to >= b.to || !s.is(t.head, "try") && !s.is(t.from-1, "try") {
			continue
		}
		inner := s.text(t.from, t.to)
		var rest string
		if t.to+1 < b.to {
			rest = s.text(t.to+1, b.to)
		}
		if !strings.Contains(rest, "catch") && !strings.Contains(rest, "except") {
			continue
		}
		judged := false
		for _, r := range s.refsIn(t.from, t.to) {
			judged = judged || r.call && (s.claims(r) || s.handedIn(r))
		}
		judged = judged || s.lang == python && strings.Contains(inner, "assert ")
		caught := rest
		if _, after, ok := strings.Cut(rest, "catch"); ok {
			caught = after
		} else if _, after, ok := strings.Cut(rest, "except"); ok {
			caught = after
		}
		body, _, _ := strings.Cut(caught, "}")
		if judged && (leaves.MatchString(inner) || leaves.MatchString(rest)) && !strings.Contains(body, "assert") && !strings.Contains(body, "expect") {
			return true
		}
	}
	return false
}

// handedIn says whether r calls a parameter of the function that it is in.
func (s *source) handedIn(r ref) bool {
	if strings.Contains(r.name, ".") {
		return false
	}
	for b := range s.around(r.tok) {
		if b.kind != function {
			continue
		}
		for i := b.head; i < b.from; i++ {
			if s.at(i).text == r.name && s.at(i).kind == word && s.is(i-1, "(", ",") && s.is(i+1, ")", ",", "=") {
				return true
			}
		}
		return false
	}
	return false
}

// asksIn says whether the loop b only asks the same again, and is left as soon as
// the answer is the wanted one.
func (s *source) asksIn(b block) bool {
	var counter []string
	for i := b.head; i < b.from; i++ {
		if s.at(i).kind == word && !s.is(i, "for", "let", "var", "const", "range", "in", "while", "do", "true", "True", "not") {
			counter = append(counter, s.at(i).text)
		}
	}
	for i := b.from; i < b.to; i++ {
		if s.at(i).kind == word && slices.Contains(counter, s.at(i).text) && !s.is(i-1, ".") {
			return false // each turn is another one
		}
	}
	for _, in := range s.blocks {
		if in.from <= b.from || in.to >= b.to || in.kind != branch || !s.is(in.head, "if") {
			continue
		}
		cond, then := s.text(in.head, in.from), s.text(in.from, in.to)
		if leaves.MatchString(then) && equates.MatchString(cond) && !strings.Contains(then, "Fatal") && !strings.Contains(then, "Error") {
			return s.asked(b, in)
		}
	}
	if s.lang != js {
		return false
	}
	// if (x() === 'y') break; without braces.
	for i := b.from; i < b.to; i++ {
		if s.is(i, "if") && s.is(i+1, "(") && s.at(i+1).pair > 0 && s.is(s.at(i+1).pair+1, "break", "return") && equates.MatchString(s.text(i, s.at(i+1).pair)) {
			return s.asked(b, block{head: i, from: s.at(i + 1).pair})
		}
	}
	return false
}

var equates = pattern.MustCompile(` ===? |isDeepStrictEqual|DeepEqual|\bEqual \(`)

// asked says whether the condition compares a result with a value that the test
// names, and the result comes from a call in the loop.
func (s *source) asked(b, cond block) bool {
	valued := false
	for i := cond.head; i < cond.from; i++ {
		if k := s.at(i).kind; k == str && s.at(i).text != "" || k == number || s.is(i, "want", "wanted", "expected") {
			valued = true
		}
	}
	calls := slices.ContainsFunc(s.refsIn(b.from, cond.from), func(r ref) bool {
		return r.call && !strings.HasSuffix(r.name, "next") && !strings.Contains(r.name, ".read") && !strings.Contains(r.name, ".Read") && !strings.Contains(r.name, "Scan")
	})
	if head := s.text(b.head, b.from); calls && (head == "for" || strings.Contains(head, "true") || strings.Contains(head, "True") || strings.Contains(head, "; ;")) {
		// Without an end it may read on and on, unless it asks for the very same.
		calls = slices.ContainsFunc(s.refsIn(b.from, cond.from), func(r ref) bool {
			return r.call && r.args[0] < r.args[1] && s.constant(r.args[0], r.args[1])
		})
	}
	return valued && calls
}
