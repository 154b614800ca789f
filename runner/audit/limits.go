package audit

import (
	"strconv"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// A limit is a time after which a test, or what it waits for, counts as failed.
type limit struct {
	key   string // what it is the limit of
	line  int
	value float64 // in the unit of its key
	text  string
	own   bool // it is the test's own, which has none without it
}

var (
	limitName = pattern.MustCompile(`(?i)(timeout(_?(ms|s|sec|seconds|millis))?|time_?limit|deadline|max_?(ms|millis|seconds|duration|wait))$`)
	limitCall = pattern.MustCompile(`^((jest|test|this|t|vi)\.(setTimeout|timeout)|AbortSignal\.timeout|pytest\.mark\.timeout|timeout|asyncio\.(timeout|wait_for)|wait_for|signal\.alarm|context\.WithTimeout|time\.(After|AfterFunc|NewTimer))$`)
	goUnits   = map[string]float64{"Nanosecond": 1e-6, "Microsecond": 1e-3, "Millisecond": 1, "Second": 1000, "Minute": 60_000, "Hour": 3_600_000}
)

// limits are the time limits between two tokens, in their order.
func (s *source) limits(from, to int32) []limit {
	var all []limit
	add := func(key string, at, end int32, own bool) {
		if v, ok := s.amount(at, end); ok {
			all = append(all, limit{key: key, line: int(s.at(at).line), value: v, text: s.text(at, end), own: own})
		}
	}
	for i := from; i < to; i++ {
		t := s.at(i)
		if t.kind != word && t.kind != str || !limitName.MatchString(t.text) || !s.is(i+1, ":", "=", ":=") {
			continue
		}
		end := i + 2
		for ; end < to && !s.is(end, ",", ";", ")", "}", "]") && s.at(end).kind != ends && !(end > i+2 && s.at(end).nl); end++ {
		}
		add(strings.ToLower(t.text), i+2, end, s.lang == js && s.is(i+1, ":"))
	}
	for _, r := range s.refsIn(from, to) {
		if !r.call || !limitCall.MatchString(r.name) {
			continue
		}
		for j := r.args[0]; j < r.args[1]; j = s.nextArg(j, r.args[1]) {
			add(r.name, j, s.argEnd(j, r.args[1]), r.name == "pytest.mark.timeout" && s.is(r.tok-1, "@"))
		}
	}
	// Jest, Vitest and Mocha take it as the last argument of the test.
	if s.lang == js && s.is(to-1, ")") && s.at(to-2).kind == number && s.is(to-3, ",") && s.is(to-4, "}", ")") {
		add("the test", to-2, to-1, false)
	}
	return all
}

// amount is the product that stands between two tokens.
func (s *source) amount(from, to int32) (float64, bool) {
	v, any := 1.0, false
	for i := from; i < to; i++ {
		t := s.at(i)
		unit, isUnit := goUnits[t.text]
		switch {
		case t.kind == number:
			n, err := strconv.ParseFloat(strings.ReplaceAll(t.text, "_", ""), 64)
			if err != nil {
				return 0, false
			}
			v, any = v*n, true
		case t.kind == word && isUnit && s.is(i-1, "."):
			v, any = v*unit, true
		case s.is(i, "*", ".") || s.is(i, "time") && s.is(i+1, "."):
		default:
			return 0, false
		}
	}
	return v, any
}

// longer says that a test that was there before has more time now than then.
func (a *auditor) longer(c *change, what string, then, now []limit) {
	byKey := map[string][]limit{}
	for _, l := range now {
		byKey[l.key] = append(byKey[l.key], l)
	}
	for _, was := range then {
		is := byKey[was.key]
		if len(is) == 0 {
			if was.own && was.value < 5000 && len(now) == 0 {
				a.lost("timeout", a.unlessSeen(was.text), c, was.line, "%s has no time limit any more. Put it back.", what)
			}
			continue
		}
		byKey[was.key] = is[1:]
		if is[0].value <= was.value {
			continue
		}
		s := a.unlessSeen(was.text)
		if a.names([]string{is[0].text}, true) {
			s = Note
		}
		a.find("timeout", s, c, is[0].line, "%s has more time than before: %s where it was %s. Put the limit back and mend what got slow.", what, is[0].text, was.text)
	}
}

// unlessSeen is how grave it is to change a value that a test has: of a test of the
// feature's own only if the feature names it.
func (a *auditor) unlessSeen(value string) Severity {
	if a.seen && !a.names([]string{value}, false) {
		return Note
	}
	return Failed
}

// limits compares the time limits of tests, and of files of tests, with those that
// the parent has.
func (a *auditor) limits() {
	for _, c := range a.changes {
		if c.kind != Test || c.before == nil || c.after == nil {
			continue
		}
		outside := func(s *source) []limit {
			var all []limit
			from := int32(0)
			for _, t := range s.tests {
				if t.helper || t.from < from {
					continue
				}
				all, from = append(all, s.limits(from, t.from)...), t.to
			}
			return append(all, s.limits(from, int32(len(s.toks)))...) // #nosec G115 -- a file has at most 4 MB
		}
		a.longer(c, "This file of tests", outside(c.before), outside(c.after))
	}
}

// raised says what a line of a configuration allowed before, if it allows more now.
func raised(c *change, text string) (was string, ok bool) {
	m := numeral.FindString(text)
	now, err := strconv.ParseFloat(strings.ReplaceAll(m, "_", ""), 64)
	if err != nil {
		return "", false
	}
	for _, l := range c.old {
		if n := numeral.FindString(l); n != "" && n != m && strings.Replace(l, n, m, 1) == text {
			if before, err := strconv.ParseFloat(strings.ReplaceAll(n, "_", ""), 64); err == nil && before > 0 && now > before {
				return n, true
			}
		}
	}
	return "", false
}
