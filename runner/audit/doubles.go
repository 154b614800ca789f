package audit

import (
	"path"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

var (
	mocks   = pattern.MustCompile(`^(jest\.(mock|doMock|unstable_mockModule)|vi\.(mock|doMock)|mock\.module|t\.mock\.module)$`)
	outside = pattern.MustCompile(`(?i)spawn|exec|fetch|http|request|page\b|readFile|import \(|require \(|subprocess|browser|render|inject|open \(|client|actual`)
)

// doubles finds tests that look at something of their own in the place of what
// they import, or that take from it what they expect of it.
func (a *auditor) doubles() {
	for _, c := range a.changes {
		s := c.after
		if s == nil || c.kind != Test || s.lang != js && s.lang != python {
			continue
		}
		mine, real := a.ours(c), a.imported(c)
		if len(mine) == 0 || len(real) == 0 {
			continue
		}
		a.mocked(c, real)
		a.unused(c, real, mine)
		a.borrowed(c, real, mine)
	}
}

// imported are the names that a test file has for what the implementation gives,
// with the file they come from.
func (a *auditor) imported(c *change) map[string]*change {
	s := c.after
	m := map[string]*change{}
	for name, from := range s.alias {
		last := from[strings.LastIndex(from, ".")+1:]
		for _, o := range a.changes {
			if o.kind != Implementation || o.after == nil || o.after.lang != s.lang {
				continue
			}
			if leadsTo(s.lang, c.Path, from, o.Path) || leadsTo(s.lang, c.Path, strings.TrimSuffix(from, "."+last), o.Path) {
				m[name] = o
			}
		}
	}
	return m
}

// mocked finds a test that puts a double in the place of all that it imports.
func (a *auditor) mocked(c *change, real map[string]*change) {
	s := c.after
	double := map[*change]ref{}
	for _, r := range s.refs {
		if !r.call || !mocks.MatchString(r.name) || s.at(r.args[0]).kind != str || s.nextArg(r.args[0], r.args[1]) >= r.args[1] {
			continue
		}
		if strings.Contains(s.text(r.args[0], r.args[1]), "ctual") {
			continue // the real one with something else in it
		}
		for _, o := range real {
			if leadsTo(s.lang, c.Path, s.at(r.args[0]).text, o.Path) {
				double[o] = r
			}
		}
	}
	for _, o := range real {
		if _, ok := double[o]; !ok {
			return
		}
	}
	for _, r := range double {
		a.find("double", Failed, c, r.line, "The test puts a double in the place of what it tests, so that it does not reach the implementation. Test the real one.")
	}
}

// unused finds tests that import the implementation, and assert about functions of
// their own.
func (a *auditor) unused(c *change, real map[string]*change, mine []*testcase) {
	s := c.after
	for i := range s.toks {
		n := int32(i) // #nosec G115 -- a file has at most 4 MB
		t := s.toks[i]
		if t.kind != word || real[t.text] == nil || s.is(n-1, ".") || s.importing(n) {
			continue
		}
		if slices.ContainsFunc(mine, func(x *testcase) bool {
			return slices.ContainsFunc(x.asserts, func(y assertion) bool { return y.tok < n && n < y.tok+12 && s.presence(y) })
		}) || s.is(n-1, "void") || s.is(n-1, "=") && s.is(n-2, "_") {
			continue // it only sees that it is there
		}
		if !s.defines(t.text) {
			return // it is used
		}
	}
	for _, t := range mine {
		for _, x := range t.asserts {
			if x.lame != "" {
				continue
			}
			for _, f := range a.bodies(c) {
				if !strings.Contains(" "+x.text+" ", " "+f.name+" (") || outside.MatchString(s.text(f.from, f.to)) {
					continue
				}
				a.find("double", Failed, c, x.line, "The test looks at `%s`, which it defines itself, and does not use what it imports from the implementation. Test the real one.", f.name)
				return
			}
		}
	}
}

// importing says whether token n stands in a statement that imports.
func (s *source) importing(n int32) bool {
	for i := n; i >= max(0, n-60); i-- {
		if s.is(i, "import") || s.is(i, "from") && s.lang == python {
			return true
		}
		if s.at(i).kind == ends || s.is(i, ";") || s.at(i).nl && i < n && s.at(i).kind == word && s.at(i-1).kind == str {
			return s.is(i, "import")
		}
	}
	return false
}

// defines says whether the file has a function of that name itself.
func (s *source) defines(name string) bool {
	return slices.ContainsFunc(s.blocks, func(b block) bool { return b.kind == function && b.name == name })
}

// borrowed finds tests whose examples all stand in the implementation, the inputs
// with what is expected.
func (a *auditor) borrowed(c *change, real map[string]*change, mine []*testcase) {
	s := c.after
	var from string
	line := 0
	for i := range s.toks {
		n := int32(i) // #nosec G115 -- a file has at most 4 MB
		t := s.toks[i]
		if t.kind != word || real[t.text] == nil || s.importing(n) || s.is(n+1, "(") || s.is(n-1, ".") {
			continue
		}
		table := s.is(n-1, "of", "in") || s.is(n-1, "(") && (s.is(n-2, "each", "entries") || s.is(n-3, ".") && s.is(n-2, "entries")) || s.is(n+1, ".") && s.is(n+2, "forEach", "map", "every", "items", "entries") ||
			s.lang == python && s.is(n-1, ",") && strings.Contains(s.text(max(0, n-8), n), "parametrize")
		if table {
			from, line = t.text, int(t.line)
		}
	}
	if from == "" {
		return
	}
	o := real[from]
	if strings.HasSuffix(path.Base(o.Path), ".json") {
		return
	}
	for _, t := range mine {
		for _, x := range slices.Concat(t.asserts, t.more) {
			if x.lame != "" || s.presence(x) || strings.Contains(x.text, from+" . length") || strings.Contains(x.text, "len ( "+from) {
				continue
			}
			if len(x.literals) > 0 {
				return // it expects something of its own
			}
		}
	}
	sev := Note
	if len(a.in.Acceptance) == 0 && a.onlyProof(c) {
		sev = Failed
	}
	a.find("double", sev, c, line, "All that these tests expect is taken from the implementation itself (`%s`), which can say there what it likes. Write down in the test what is expected.", from)
}

// onlyProof says whether no other test file of the change proves anything.
func (a *auditor) onlyProof(c *change) bool {
	return !slices.ContainsFunc(a.changes, func(o *change) bool { return o != c && a.provesAny(o) })
}
