package audit

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// A declared test is one of a file of the change.
type declared struct {
	c *change
	s *source
	t *testcase
}

// tests compares the tests of the parent with those of the candidate.
func (a *auditor) tests() {
	now := map[string]declared{} // by path and name
	byName := map[string][]declared{}
	for _, c := range a.changes {
		if c.after == nil || c.kind != Test {
			continue
		}
		for i := range c.after.tests {
			t := &c.after.tests[i]
			d := declared{c, c.after, t}
			now[c.Path+"\x00"+t.name] = d
			byName[t.name] = append(byName[t.name], d)
		}
	}
	claimed := map[*testcase]bool{}
	for _, c := range a.changes {
		if c.before == nil || c.kind != Test {
			continue
		}
		for i := range c.before.tests {
			old := &c.before.tests[i]
			if !a.seen && !old.helper && a.in.Free != nil && a.in.Free(c.Path, old.name) {
				continue
			}
			d, ok := now[c.Path+"\x00"+old.name]
			if !ok {
				d, ok = a.moved(c, byName[old.name])
			}
			if !ok && !old.helper {
				d, ok = a.renamed(c, old, claimed)
			}
			if !ok {
				if !old.helper && old.only == "" {
					a.lost("test-deleted", Failed, c, old.line, "The test %q is gone. Put it back as it was; if the feature contradicts it, use cannot_complete with kind conflict.", shorten(old.name))
				}
				continue
			}
			claimed[d.t] = true
			a.weaker(c, old, d)
			a.loopsLess(c, old, d)
			if !old.helper {
				a.longer(d.c, fmt.Sprintf("The test %q", shorten(old.name)), c.before.limits(old.from, old.to), d.s.limits(d.t.from, d.t.to))
			}
		}
	}
	a.tables()
	a.limits()
	if a.seen {
		return
	}
	for _, c := range a.changes {
		if c.after == nil || c.kind != Test {
			continue
		}
		for i := range c.after.tests {
			t := &c.after.tests[i]
			a.vain(declared{c, c.after, t}, claimed[t])
		}
	}
}

// moved finds a test of a file that is gone in another one.
func (a *auditor) moved(c *change, ds []declared) (declared, bool) {
	for _, d := range ds {
		if d.c == c || d.t.helper {
			continue
		}
		if !found(d.c.Path) && found(c.Path) {
			a.find("test-hidden", Failed, d.c, d.t.line, "The test %q moved to a file in which the runner does not look for tests. Give the file back its name (%s).", shorten(d.t.name), c.Path)
		}
		return d, true
	}
	return declared{}, false
}

// renamed finds a test that asserts the same under another name.
func (a *auditor) renamed(c *change, old *testcase, claimed map[*testcase]bool) (declared, bool) {
	if c.after == nil || len(old.asserts) == 0 || len(old.asserts)*len(c.after.tests) > 1<<16 {
		return declared{}, false
	}
	was := map[string]bool{}
	for _, o := range c.before.tests {
		was[o.name] = true
	}
	for i := range c.after.tests {
		t := &c.after.tests[i]
		if t.helper && c.after.lang != golang && c.after.lang != python || claimed[t] || len(t.asserts) < len(old.asserts) {
			continue
		}
		if was[t.name] {
			continue
		}
		same := 0
		for _, x := range old.asserts {
			if slices.ContainsFunc(t.asserts, func(y assertion) bool { return y.text == x.text }) {
				same++
			}
		}
		if same < len(old.asserts) {
			continue
		}
		if t.helper {
			a.find("test-hidden", Failed, c, t.line, "The test %q is no longer one by its name, and no runner finds it. Give it back its name.", shorten(old.name))
		} else {
			a.find("test-renamed", Note, c, t.line, "The test %q has another name now: %q.", shorten(old.name), shorten(t.name))
		}
		return declared{c, c.after, t}, true
	}
	return declared{}, false
}

// found says whether a runner looks for tests in the file called p.
func found(p string) bool {
	base := path.Base(p)
	switch langs[strings.ToLower(path.Ext(p))] {
	case js:
		return strings.Contains(base, ".test.") || strings.Contains(base, ".spec.") || strings.Contains(base, "-test.") || strings.Contains(base, "_test.") || strings.HasPrefix(base, "test") ||
			strings.Contains("/"+p, "/test/") || strings.Contains("/"+p, "/__tests__/") || strings.Contains("/"+p, "/tests/")
	case golang:
		return strings.HasSuffix(base, "_test.go")
	case python:
		return strings.HasPrefix(base, "test") || strings.HasSuffix(base, "_test.py")
	case ruby:
		return strings.HasSuffix(base, "_spec.rb") || strings.HasSuffix(base, "_test.rb") || strings.HasPrefix(base, "test_")
	}
	return true
}

// weaker says what a test that was there before no longer does.
func (a *auditor) weaker(c *change, old *testcase, d declared) {
	t := d.t
	if t.skipped != "" && old.skipped == "" && !t.helper {
		a.find("test-skipped", Failed, d.c, t.line, "The test %q ran before and is skipped now (%s). Let it run.", shorten(old.name), t.skipped)
	}
	gone, added := differ(old.asserts, t.asserts)
	strong := func(as []assertion) (n int) {
		for _, x := range as {
			if x.strength > empty {
				n++
			}
		}
		return n
	}
	before, after := strong(old.asserts), strong(t.asserts)
	// What asserted before and stands where it cannot, or where nobody sees it.
	for _, x := range t.asserts {
		if x.lame == "" {
			continue
		}
		if i := slices.IndexFunc(old.asserts, func(o assertion) bool { return o.text == x.text && o.lame == "" }); i >= 0 && after < before {
			a.find(lameRule(x.lame), Failed, d.c, x.line, "In the test %q this assertion now %s. Let it assert again.", shorten(old.name), x.lame)
		}
	}
	reported := false
	for i, x := range gone[:min(len(gone), 500)] {
		if x.strength == empty {
			continue
		}
		if heir := heirOf(x, added); heir >= 0 {
			y := added[heir]
			added = slices.Clone(added)
			if rest := missing(y.literals, x.literals); y.actual != x.actual && len(rest) > 0 && len(missing(x.literals, y.literals)) == 0 {
				added[heir].literals = rest // it may have joined others
			} else {
				added = slices.Delete(added, heir, heir+1)
			}
			switch {
			case y.lame != "":
				reported = true
				a.find(lameRule(y.lame), Failed, d.c, y.line, "In the test %q, `%s` became an assertion that %s. Put it back.", shorten(old.name), shorten(x.text), y.lame)
			case y.strength < x.strength:
				reported = true
				a.find("assertion-loosened", Failed, d.c, y.line, "In the test %q, `%s` became looser. Put it back; if the feature contradicts it, use cannot_complete with kind conflict.", shorten(old.name), shorten(x.text))
			default:
				// What is not in the assertion any more may stand in a table.
				lostLits, newLits := missing(x.literals, y.literals), missing(y.literals, x.literals)
				away := missing(old.literals, t.literals)
				if len(lostLits) > 0 && (len(newLits) > 0 || slices.ContainsFunc(lostLits, func(l string) bool { return slices.Contains(away, l) })) {
					reported = true
					if a.seen && another(d.s.lang, x, y, lostLits) {
						a.find("expectation-changed", Failed, d.c, y.line, "The test %q looks at something else: `%s` is gone. Put it back.", shorten(old.name), shorten(x.text))
						continue
					}
					a.retuned(d, y.line, old, lostLits, newLits)
				}
			}
			continue
		}
		if after < before && (i < before-after || len(added) == 0) {
			reported = true
			a.lost("assertion-removed", Failed, c, x.line, "The test %q asserts less than before: this is gone. Put it back; if the feature contradicts it, use cannot_complete with kind conflict.", shorten(old.name))
		}
	}
	if !reported && !t.helper && len(old.asserts) > 0 {
		gone, fresh := missing(old.literals, t.literals), missing(t.literals, old.literals)
		if len(gone) > 0 && len(fresh) > 0 {
			if bare(old.asserts) {
				a.retuned(d, t.line, old, gone, fresh)
			} else {
				a.find("test-changed", Note, d.c, t.line, "The test %q uses other values than before: %s instead of %s.", shorten(old.name), quoted(fresh), quoted(gone))
			}
		}
	}
}

// another says whether y looks at another thing than x and expects another value,
// so that nothing of x is left.
func another(l lang, x, y assertion, gone []string) bool {
	if x.actual == y.actual {
		return false
	}
	look, expect := 0, 0
	for _, g := range gone {
		if strings.Contains(x.actual, g) {
			look++
		} else {
			expect++
		}
	}
	return look > 0 && expect > 0 || l == golang && look > 1
}

// bare says whether the assertions name no value of their own, as in a table.
func bare(as []assertion) bool {
	return !slices.ContainsFunc(as, func(x assertion) bool { return len(x.literals) > 0 })
}

// retuned reports that an old test expects something else. Where the feature
// asks for exactly that it is for people to see; else for the agent to undo.
func (a *auditor) retuned(d declared, line int, old *testcase, gone, fresh []string) {
	said := len(fresh) > 0
	for _, f := range fresh {
		said = said && len(f) > 1 && strings.Contains(a.wanted(), f)
	}
	if said {
		a.find("expectation-changed", Note, d.c, line, "The test %q expects %s now instead of %s, as the feature says.", shorten(old.name), quoted(fresh), quoted(gone))
		return
	}
	if a.seen && !a.names(gone, false) {
		a.find("expectation-changed", Note, d.c, line, "The test %q expects %s now instead of %s; the feature names neither.", shorten(old.name), quoted(fresh), quoted(gone))
		return
	}
	a.find("expectation-changed", Failed, d.c, line, "The test %q expects something else than before: %s instead of %s, which the feature does not ask for. Put it back; if the feature contradicts it, use cannot_complete with kind conflict.",
		shorten(old.name), quoted(fresh), quoted(gone))
}

// wanted is all that the feature says.
func (a *auditor) wanted() string {
	var b strings.Builder
	b.WriteString(a.in.Text)
	for _, s := range a.in.Acceptance {
		b.WriteString("\n" + s.Target + "\n" + s.Value + "\n" + s.Expected)
	}
	return b.String()
}

func quoted(ss []string) string {
	if len(ss) == 0 {
		return "nothing"
	}
	ss = slices.Compact(slices.Sorted(slices.Values(ss)))
	var q []string
	for _, s := range ss[:min(len(ss), 3)] {
		q = append(q, "`"+shorten(s)+"`")
	}
	if len(ss) > 3 {
		q = append(q, "…")
	}
	return strings.Join(q, ", ")
}

func lameRule(why string) string {
	switch {
	case strings.Contains(why, "caught"), strings.Contains(why, "nobody sees"):
		return "assertion-swallowed"
	case strings.HasSuffix(why, "can never fail"):
		return "toothless"
	case strings.HasPrefix(why, "stands"):
		return "assertion-unreachable"
	}
	return "assertion-empty"
}

// differ gives what is only in old and only in now.
func differ(old, now []assertion) (gone, added []assertion) {
	have := map[string]int{}
	for _, x := range now {
		have[x.text]++
	}
	for _, x := range old {
		if have[x.text]--; have[x.text] < 0 {
			gone = append(gone, x)
		}
	}
	for _, x := range old {
		have[x.text]++ // back to the counts of now
	}
	clear(have)
	for _, x := range old {
		have[x.text]++
	}
	for _, x := range now {
		if have[x.text]--; have[x.text] < 0 {
			added = append(added, x)
		}
	}
	return gone, added
}

// heirOf finds what took the place of x: the same look with another expectation,
// else something with the same expectation, else whatever is lame, else the one
// and only.
func heirOf(x assertion, added []assertion) int {
	added = added[:min(len(added), 200)]
	if i := slices.IndexFunc(added, func(y assertion) bool { return y.actual == x.actual }); i >= 0 {
		return i
	}
	if len(x.literals) > 0 {
		if i := slices.IndexFunc(added, func(y assertion) bool { return len(missing(x.literals, y.literals)) == 0 }); i >= 0 {
			return i
		}
	}
	if i := slices.IndexFunc(added, func(y assertion) bool { return y.lame != "" }); i >= 0 {
		return i
	}
	return slices.IndexFunc(added, func(y assertion) bool { return abs(y.line-x.line) < 4 })
}

func abs(n int) int { return max(n, -n) }

// missing is what of want is not in have, each as often as it is wanted.
func missing(want, have []string) []string {
	n := tally(have)
	var lack []string
	for _, w := range want {
		if n[w]--; n[w] < 0 {
			lack = append(lack, w)
		}
	}
	return lack
}

// vain says why a new or changed test proves nothing.
func (a *auditor) vain(d declared, known bool) {
	t := d.t
	if t.only != "" && a.isFresh(d.c, t.line) {
		a.find("test-only", Failed, d.c, t.line, "With `%s` the other tests of the file do not run. Take it away.", t.only)
	}
	if t.helper || !a.touched(d.c, t) {
		return
	}
	if t.skipped != "" && !known {
		a.find("test-skipped", Note, d.c, t.line, "The new test %q is skipped (%s), so it proves nothing.", shorten(t.name), t.skipped)
		return
	}
	live := 0
	all := slices.Concat(t.asserts, t.more)
	for _, x := range all {
		if x.lame == "" {
			live++
		}
	}
	for _, x := range all {
		if x.lame == "" || !a.isFresh(d.c, x.line) {
			continue
		}
		s := Failed
		if live > 0 && lameRule(x.lame) == "assertion-empty" {
			s = Note
		}
		a.find(lameRule(x.lame), s, d.c, x.line, "In the test %q this assertion %s. Make it look at what the program does.", shorten(t.name), x.lame)
	}
	if a.seen {
		return // whether all is proved shows where all that changed is there
	}
	if len(all) > 0 && live == len(all) && a.unproven() && !known && !slices.ContainsFunc(all, func(x assertion) bool { return !d.s.presence(x) }) {
		a.find("assertion-none", Failed, d.c, t.line, "The test %q asserts only that something is there, and nothing of what it does. Assert what the feature is to do.", shorten(t.name))
	}
	if len(all) == 0 && !known && !a.sees(d) {
		s := Note
		if a.unproven() {
			s = Failed
		}
		a.find("assertion-none", s, d.c, t.line, "The test %q asserts nothing, so that it passes with whatever the program gives. Assert what the feature is to do.", shorten(t.name))
	}
}

// touched says whether any line of a test is new.
func (a *auditor) touched(c *change, t *testcase) bool {
	for l := c.after.at(t.from).line; l <= c.after.at(t.to-1).line; l++ {
		if a.isFresh(c, int(l)) {
			return true
		}
	}
	return false
}

// ours are the tests of c that the change added or touched.
func (a *auditor) ours(c *change) []*testcase {
	if c.after == nil || c.kind != Test {
		return nil
	}
	var all []*testcase
	for i := range c.after.tests {
		if t := &c.after.tests[i]; !t.helper && a.touched(c, t) {
			all = append(all, t)
		}
	}
	return all
}

func (a *auditor) isFresh(c *change, line int) bool { return c.fresh[line] }

// cases compares what ran.
func (a *auditor) cases() {
	if a.in.CasesBefore == nil || a.in.CasesNow == nil {
		return
	}
	gone := missing(a.in.CasesBefore, a.in.CasesNow)
	if len(gone) == 0 {
		return
	}
	a.add(Finding{Rule: "fewer-cases", Severity: Failed, Reason: "Cases that ran before do not run any more: " + quoted(gone) + ". Let them run again under the same names."})
}
