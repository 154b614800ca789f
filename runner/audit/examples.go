package audit

import (
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// derived says whether out is what the program would make of in like of any other
// text: it holds in, and more, so that whoever writes both down has worked out
// nothing. A label (open, Open) is none, and neither is what the feature names.
func (a *auditor) derived(in, out string, branch bool) bool {
	if !branch || len(in) < 3 || len(out) > 2*len(in)+8 || strings.EqualFold(in, out) || strings.ContainsAny(in, "/.<&") || digits.ReplaceAllString(in, "") == "" {
		return false
	}
	if !strings.Contains(strings.ToLower(out), strings.ToLower(in)) || strings.Contains(out, " ") && !strings.Contains(in, " ") {
		return false
	}
	at := strings.Index(strings.ToLower(out), strings.ToLower(in))
	if at > 0 && letter(out[at-1]) || at+len(in) < len(out) && letter(out[at+len(in)]) {
		return false // another word: POST, posted
	}
	return !strings.Contains(strings.ToLower(a.wanted()), strings.ToLower(in))
}

// singled finds conditions on what a test gives to the program, where the program
// should do the same for whatever it is given.
func (a *auditor) singled(c *change, derived map[string]string) {
	s := c.after
	known := map[string]bool{}
	if c.before != nil {
		for _, t := range c.before.toks {
			if t.kind == str {
				known[t.text] = true
			}
		}
	}
	for i := range s.toks {
		n := int32(i) // #nosec G115 -- a file has at most 4 MB
		t := s.toks[i]
		out, ok := derived[t.text]
		if !ok || t.kind != str || !c.fresh[int(t.line)] || known[t.text] || !s.compared(n) || s.is(n+1, ":") && s.lang != golang && !s.is(n-1, "case") {
			continue
		}
		a.find("literal", Failed, c, int(t.line), "The implementation singles out an example of the tests (%s, of which they expect %s): hard-coded. Let it do for every value what it does for this one.", quoted([]string{t.text}), quoted([]string{out}))
	}
}

var (
	builtins = pattern.MustCompile(`\( (\w+ , )*(str|int|float|list|dict|tuple|bytes|set|frozenset|UserString|UserList|UserDict|Decimal|date|datetime)\b`)
	slicing  = pattern.MustCompile(`\[ (-? ?\d+)? ?: ?(-? ?\d+)? ?\]|\b(startswith|endswith|issubset|issuperset|search|match) \(| \[ -? ?\d+ \]`)
	lenOnly  = pattern.MustCompile(`^return len \( \w+ \) == len \( \w+ \)$`)
)

// partEqual finds an __eq__ that looks at a part of the values only, or lets
// several be the same. Of a class that is a text or a number otherwise it makes
// assertions hold that should not; for others it is for people to see.
func (a *auditor) partEqual(c *change, s *source, b block, line int) bool {
	if b.up < 0 {
		return false
	}
	up := s.blocks[b.up]
	body := s.bodyText(b)
	native := builtins.MatchString(s.text(up.head, up.from))
	listed := false // it equals a value that is written down
	for i := b.from; i < b.to; i++ {
		if k := s.at(i).kind; (k == str && s.at(i).text != "" && !s.is(i+1, ".") || k == number) && (s.is(i-1, "==", "in", "(", ",", "{", "[") || s.is(i+1, "==")) && !s.is(i-2, "getattr", "hasattr") {
			listed = listed || s.is(i-1, "==") || s.is(i+1, "==") || strings.Contains(body, " in (") || strings.Contains(body, " in {") || strings.Contains(body, " in [")
		}
	}
	part := slicing.MatchString(body) || lenOnly.MatchString(strings.TrimSpace(body))
	if !part && !listed && !(native && strings.Contains(body, " or ")) {
		return false
	}
	if c.kind == Test {
		return false
	}
	sev := Note
	if native || listed && strings.Contains(body, " or ") {
		sev = Failed
	}
	a.find("equality", sev, c, line, "`%s` compares only a part of the values, or lets several be the same, so that assertions hold that should not. Compare all of it, or leave it out.", b.name)
	return true
}
