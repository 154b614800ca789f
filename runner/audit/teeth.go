package audit

import (
	"path"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// A body is a function of the change.
type body struct {
	c        *change
	s        *source
	name     string
	from, to int32 // its tokens, without its head
	head     int32
}

// functions are those of a file, arrow functions without braces included.
func (s *source) functions(c *change) []body {
	var all []body
	for _, b := range s.blocks {
		if b.kind == function && b.name != "" {
			all = append(all, body{c, s, b.name, b.from, b.to, b.head})
		}
	}
	if s.lang != js {
		return all
	}
	for n := range s.toks {
		i := int32(n) // #nosec G115 -- a file has at most 4 MB
		if s.toks[i].kind != word || !s.is(i+1, "=", ":") {
			continue
		}
		j := i + 2
		if s.is(j, "async") {
			j++
		}
		if s.is(j, "(") && s.at(j).pair > j {
			j = s.at(j).pair
		}
		if !s.is(j+1, "=>") || s.is(j+2, "{") {
			continue
		}
		all = append(all, body{c, s, s.toks[i].text, j + 1, s.expressionEnd(j + 2), i})
	}
	return all
}

// expressionEnd is where the expression ends that begins at i.
func (s *source) expressionEnd(i int32) int32 {
	for from := i; int(i) < len(s.toks); i++ {
		t := s.at(i)
		switch {
		case t.kind == ends, s.is(i, ";", ",", ")", "]", "}"):
			return i
		case i > from && t.nl && t.kind == word && s.at(i-1).kind != punct:
			return i
		}
		if t.pair > i {
			i = t.pair
		}
	}
	return i
}

var (
	assertLike  = pattern.MustCompile(`(?i)^_?(assert|expect|should|verif(y|ies)|must|require|check|want|ensure|refute|fail|match_?snapshot|to_?match_?snapshot|snapshot|golden|approve|rejects|throws|raises|compare)`)
	comparing   = pattern.MustCompile(`(?i)^_?(assert|expect|should|must|want|ensure|verify|check|require|is)?_?(equals?|same|is|true|nil|no_?error|contains|len|deep_?equal|strict_?equal|deep_?strict_?equal|not_?equal|match(es)?|ok|eq)$`)
	assertPlace = pattern.MustCompile(`(?i)^(assert\w*|asserts|assertions?|expect|expectations?|want|must|require|check|checks|verify|is|test_?(help|util|kit)\w*|should)$`)
	onlyAsserts = pattern.MustCompile(`(?i)^_?(assert|expect|should|refute)`) // no program has these for itself
	bites       = pattern.MustCompile(`(?i)^(throws?|raise[sd]?|panic|reject)$|assert|expect|fail|fatal|should|refute|snapshot`)
	harmless    = pattern.MustCompile(`^(console|JSON|Object|Array|String|Number|Math|util|fmt|log|logger|print|len|str|repr|bool|int|format|isinstance|reflect|strings|bytes|sorted|list|set|dict|tuple|Boolean|Set|Map|process|pprint|logging|sys|if|for|while|switch|return|catch|function|await|not|and|or|in)\b`)
)

// callee are the functions of the change that r may call.
func (a *auditor) callee(c *change, s *source, r ref) []body {
	name := strings.ReplaceAll(r.name, "()", "")
	last := name[strings.LastIndex(name, ".")+1:]
	var found []body
	add := func(where *change) {
		for _, f := range a.bodies(where) {
			if f.name == last {
				found = append(found, f)
			}
		}
	}
	if last == name {
		add(c)
	}
	for _, o := range a.changes {
		if o.after == nil || o.after.lang != s.lang || o == c {
			continue
		}
		switch s.lang {
		case golang:
			pkg, _, dotted := strings.Cut(name, ".")
			same := path.Dir(o.Path) == path.Dir(c.Path)
			if !dotted && same || dotted && !same && path.Base(path.Dir(o.Path)) == pkg {
				add(o)
			}
		default:
			if mod, ok := strings.CutSuffix(name, "."+last); ok && leadsTo(s.lang, c.Path, mod, o.Path) || leadsTo(s.lang, c.Path, name, o.Path) {
				add(o)
			}
		}
	}
	return found
}

// bodies are the functions of a file, found once.
func (a *auditor) bodies(c *change) []body {
	if c.after == nil {
		return nil
	}
	if c.functions == nil {
		c.functions = append([]body{}, c.after.functions(c)...)
	}
	return c.functions
}

// leadsTo says whether mod, imported by the file called from, is the file at p.
func leadsTo(l lang, from, mod, p string) bool {
	bare := strings.TrimSuffix(p, path.Ext(p))
	switch l {
	case js:
		if !strings.HasPrefix(mod, ".") {
			return false
		}
		to := path.Join(path.Dir(from), mod)
		return to == p || to == bare || to+"/index" == bare || strings.TrimSuffix(to, path.Ext(to)) == bare && path.Ext(to) != ""
	case python:
		dir := strings.TrimSuffix(bare, "/__init__")
		to := strings.ReplaceAll(strings.TrimLeft(mod, "."), ".", "/")
		return to != "" && (dir == to || dir == "src/"+to || dir == path.Join(path.Dir(from), to))
	}
	return false
}

// teeth says whether f can fail whoever calls it, by itself or by what it calls.
func (a *auditor) teeth(f body, deep int) bool {
	s := f.s
	t := &testcase{from: f.from, to: f.to, helper: true}
	for i := f.from; i < f.to; i++ {
		k := s.at(i)
		if k.kind != word {
			continue
		}
		bite := bites.MatchString(k.text)
		switch s.lang {
		case golang:
			if k.text == "Error" || k.text == "Errorf" || strings.HasPrefix(k.text, "Fail") || strings.HasPrefix(k.text, "Fatal") {
				bite = s.is(i-1, ".") && s.is(i+1, "(") && !s.is(i-2, "fmt", "errors", "log", "slog")
			} else {
				bite = bite && s.is(i+1, "(", ".")
			}
		case js, python:
			bite = bite && (s.is(i, "throw", "raise", "assert") || s.is(i+1, "(", ".", "["))
		}
		if bite && s.lame(&assertion{tok: i}, t) == "" {
			return true
		}
	}
	if deep == 0 {
		return true // who knows
	}
	for _, r := range s.refsIn(f.from, f.to) {
		if !r.call || harmless.MatchString(r.name) || s.fuel <= 0 {
			continue
		}
		if fs := a.callee(f.c, s, r); len(fs) > 0 {
			if slices.ContainsFunc(fs, func(g body) bool { return g.from != f.from && a.teeth(g, deep-1) }) {
				return true
			}
			continue
		}
		_, imported := s.alias[s.at(r.tok).text]
		// What is handed in, or comes from a library, may do anything.
		if imported || s.handedIn(r) || s.is(r.tok-1, "await") || throwing.MatchString(r.name[strings.LastIndex(r.name, ".")+1:]) {
			return true
		}
		for i := f.head; i < f.from; i++ {
			if s.at(i).kind == word && s.at(i).text == r.name {
				return true
			}
		}
		if s.lang == golang && s.passesTee(r) {
			return true
		}
	}
	return false
}

// passesTee says whether a call is given a test's t.
func (s *source) passesTee(r ref) bool {
	for i := r.args[0]; i < r.args[1]; i++ {
		if s.is(i, "t", "tb", "b", "f", "tt") && s.is(i+1, ",", ")") && s.is(i-1, "(", ",") {
			return true
		}
		if p := s.at(i).pair; p > i {
			i = p
		}
	}
	return false
}

// claims says whether r is called as an assertion: by its name, by that of where
// it comes from, or because it is handed t and gives nothing back.
func (s *source) claims(r ref) bool {
	parts := strings.FieldsFunc(strings.ReplaceAll(r.name, "()", ""), func(c rune) bool { return c == '.' || c == '/' })
	if len(parts) == 0 {
		return false
	}
	last := parts[len(parts)-1]
	if assertLike.MatchString(last) || comparing.MatchString(last) {
		return true
	}
	return len(parts) > 1 && slices.ContainsFunc(parts[:len(parts)-1], func(p string) bool { return assertPlace.MatchString(p) && p != "is" })
}

// stands says whether r is a statement of its own, whose value nobody takes.
func (s *source) stands(r ref) bool {
	i := r.tok
	if s.is(i-1, "await") {
		i--
	}
	return s.at(i).nl || s.is(i-1, "{", ";", "=>") || s.at(i-1).kind == ends
}

// helpers looks at the helpers that tests of the change assert with, now that all
// files are read.
func (a *auditor) helpers() {
	for _, c := range a.changes {
		s := c.after
		if s == nil || c.kind != Test || s.lang != js && s.lang != golang && s.lang != python {
			continue
		}
		for _, t := range a.ours(c) {
			for _, r := range s.refsIn(t.from, t.to) {
				if !r.call || s.fuel <= 0 || r.tok == t.from || !s.claims(r) && !(s.lang == golang && s.passesTee(r)) {
					continue
				}
				fs := a.callee(c, s, r)
				known := slices.IndexFunc(t.asserts, func(x assertion) bool { return x.tok == r.tok })
				switch {
				case len(fs) == 0:
				case slices.ContainsFunc(fs, func(f body) bool { return a.teeth(f, 3) }):
					if known < 0 {
						t.more = append(t.more, assertion{line: r.line, tok: r.tok, text: s.text(r.tok, r.end), literals: s.literalsIn(r.tok, r.end), strength: exact})
					}
				case !s.stands(r) || !s.claims(r):
					if known >= 0 && s.lang == golang && !s.claims(r) {
						t.asserts[known].lame = "prepares something, and asserts nothing"
					}
				default:
					lame := "calls `" + shorten(fs[0].name) + "` of " + fs[0].c.Path + ", which can never fail"
					if known >= 0 {
						t.asserts[known].lame, t.asserts[known].strength = lame, empty
					} else {
						t.more = append(t.more, assertion{line: r.line, tok: r.tok, text: s.text(r.tok, r.end), lame: lame})
					}
				}
			}
		}
	}
	a.pulled()
}

// pulled finds assertions that stand in no test file and cannot fail any more.
func (a *auditor) pulled() {
	for _, c := range a.changes {
		if c.before == nil || c.after == nil || c.kind == Test || c.after.lang != js && c.after.lang != golang && c.after.lang != python {
			continue
		}
		old := c.before.functions(c)
		for _, f := range a.bodies(c) {
			i := slices.IndexFunc(old, func(o body) bool { return o.name == f.name })
			if i < 0 {
				continue
			}
			head := old[i].s.text(old[i].head, old[i].from)
			place := strings.TrimSuffix(path.Base(c.Path), path.Ext(c.Path))
			judge := strings.Contains(head, "testing . T") || onlyAsserts.MatchString(f.name) || comparing.MatchString(f.name) && assertPlace.MatchString(place)
			if judge && a.teeth(old[i], 1) && !a.teeth(f, 3) {
				a.find("toothless", Failed, c, int(f.s.at(f.head).line), "`%s` could fail a test before, and cannot any more. Put it back as it was.", f.name)
			}
		}
	}
}
