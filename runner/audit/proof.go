package audit

import (
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

var (
	throwing = pattern.MustCompile(`^(get|getAll|find|findAll)By\w+$|^(waitFor|wait_for)\w*$|^(check_call|check_output|raise_for_status|toPass|plan|must\w*|Must\w*)$`)
	noHarm   = pattern.MustCompile(`(?i)\b(throws?|thrown|crash\w*|rais(e|es|ed)|panics?|errors?|exceptions?|fails?)\b`)
	present  = pattern.MustCompile(`^(\w+( \. \w+)?|"\w+" in \w+|typeof \w+( \. \w+)?|callable \( \w+( \. \w+)? \)|hasattr \( \w+ , "\w+" \)|\w+( \. \w+)? is not None)$`)
)

// sees says whether a test looks at something in a way of its own, though it has
// no assertion that is known.
func (a *auditor) sees(d declared) bool {
	s, t := d.s, d.t
	if s.lang != js && s.lang != golang && s.lang != python {
		text := s.text(t.from, t.to)
		return strings.Contains(text, "ssert")
	}
	if s.lang == golang && (strings.HasPrefix(t.name, "Benchmark") || strings.HasPrefix(t.name, "Example")) {
		return true // what an example prints stands in a comment
	}
	for i := t.from; i < t.to; i++ {
		if s.at(i).kind == word && s.is(i, "throw", "raise", "panic", "reject") || s.is(i, "check") && s.is(i+1, "=") && s.is(i+2, "True") {
			return true
		}
	}
	for _, r := range s.refsIn(t.from, t.to) {
		if !r.call || r.tok == t.from || s.is(r.tok-1, "func", "def", "function") {
			continue
		}
		if s.lang == golang && r.name == "t.Run" && !s.is(s.nextArg(r.args[0], r.args[1]), "func") {
			return true // a function of somewhere else
		}
		last := r.name[strings.LastIndex(r.name, ".")+1:]
		if throwing.MatchString(last) || s.lang == golang && s.passesTee(r) {
			return true
		}
		fs := a.callee(d.c, s, r)
		if len(fs) == 0 && s.claims(r) {
			return true // of a library, or of a file that stays as it is
		}
		for _, f := range fs {
			if f.c.kind == Test && a.teeth(f, 3) {
				return true
			}
		}
	}
	return false
}

// unproven says whether nothing but such tests proves the feature: there is no
// acceptance, no other test of the change that can fail, and the feature is not
// about what does no harm.
func (a *auditor) unproven() bool {
	if a.proven == nil {
		yes := len(a.in.Acceptance) > 0 || noHarm.MatchString(a.in.Text) || slices.ContainsFunc(a.changes, a.provesAny)
		a.proven = &yes
	}
	return !*a.proven
}

// provesAny says whether a test of c that the change added or touched proves
// something.
func (a *auditor) provesAny(c *change) bool {
	return slices.ContainsFunc(a.ours(c), func(t *testcase) bool { return a.proves(declared{c, c.after, t}) })
}

// proves says whether a test has an assertion that can fail, about more than that
// something is there.
func (a *auditor) proves(d declared) bool {
	any := false
	for _, x := range d.t.asserts {
		any = true
		if x.lame == "" && !d.s.presence(x) {
			return true
		}
	}
	for _, x := range d.t.more {
		any = true
		if x.lame == "" {
			return true
		}
	}
	return !any && a.sees(d)
}

// presence says whether an assertion only sees that there is something by a name.
func (s *source) presence(x assertion) bool {
	if _, only, ok := strings.Cut(x.text, " ( "); ok && x.actual == "" {
		x.actual = strings.TrimSuffix(only, " )") // the one argument
	}
	if s.lang == golang || !present.MatchString(x.actual) {
		return false
	}
	if strings.HasPrefix(x.actual, "typeof") {
		return true
	}
	name := strings.Fields(strings.NewReplacer("callable (", "", "hasattr (", "").Replace(x.actual))[0]
	_, imported := s.alias[name]
	return imported && (x.strength == loose || strings.Contains(x.text, "None"))
}
