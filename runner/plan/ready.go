package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// A Readiness says how much of what has to be known a spec says. It comes of
// rules, the same for everybody: no model is asked.
type Readiness struct {
	Score int    `json:"score"` // 0 to 100
	Rules []Rule `json:"rules"`
}

// A Rule is one thing that a spec should say, and what this one earns for it.
type Rule struct {
	Name     string   `json:"name"`
	Points   int      `json:"points"`          // less than 0: taken off
	Of       int      `json:"of"`              // at most; 0: of rules that take off
	Found    []string `json:"found,omitempty"` // what the points are for
	Question string   `json:"question,omitempty"`
}

// Questions are those that the spec should answer first, the weightiest first.
func (r Readiness) Questions() []string {
	open := slices.DeleteFunc(slices.Clone(r.Rules), func(r Rule) bool { return r.Question == "" })
	slices.SortStableFunc(open, func(a, b Rule) int { return cmp.Compare(b.Of-b.Points, a.Of-a.Points) })
	var all []string
	for _, o := range open {
		all = append(all, o.Question)
	}
	return all
}

// Ready says how ready a spec is to be built from. stack says that there is a
// project already, which answers in what it is to be built.
//
//	purpose      15  what it is: a heading or a first paragraph in whole sentences
//	users        10  for whom: people are named
//	features     20  what it does: headings, list items, and sentences of doing
//	tests        30  how one can tell: quoted texts, code and addresses, numbers, what shows or must be
//	technology    5  in what it is built, or that there is a project already
//	constraints  10  what it must not do, and its limits
//	length       10  enough words to mean something by
//	open         -5  for each TBD, TODO, ???, at most 25 in all
//	contradiction -15 for each pair of statements that cannot both hold, at most 30
//
// Headings, lists, quotes, numbers and length count in every language; the words
// that it knows are English and German.
func Ready(text string, stack bool) Readiness {
	s := survey(text)
	all := []Rule{s.purpose(), s.users(), s.features(), s.tests(), s.technology(stack), s.constraints(), s.length()}
	all = append(all, s.open()...)
	all = append(all, s.contradictions()...)
	r := Readiness{Rules: all}
	for _, rule := range all {
		r.Score += rule.Points
	}
	r.Score = min(100, max(0, r.Score))
	return r
}

// A reading is a spec as the rules look at it.
type reading struct {
	text     string
	lines    []string
	sections []section
	words    int
	prose    []string // sentences
}

func survey(text string) reading {
	text = strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n")
	s := reading{text: text, lines: strings.Split(text, "\n"), sections: sections(text), words: words(text)}
	s.prose = slices.DeleteFunc(sentenceEnd.Split(text, -1), func(p string) bool { return strings.TrimSpace(p) == "" })
	return s
}

var sentenceEnd = pattern.MustCompile(`[.!?]["'”’)]?\s|[。！？]|\n\s*\n|\n\s*[-*+] |\n#+ `)

// words counts words; of scripts that have no blanks between them, two
// characters are one.
func words(text string) int {
	n, dense := 0, 0
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		here := 0
		for _, r := range w {
			if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai) {
				here++
			}
		}
		if dense += here; here == 0 {
			n++
		}
	}
	return n + dense/2
}

// says finds what a spec says about something: in a section that is called so,
// or by words of the text.
func (s reading) says(headings, in *pattern.Regexp) (found []string, named bool) {
	for _, sec := range s.sections {
		if sec.heading != "" && headings.MatchString(sec.heading) && words(sec.body) > 0 && strings.TrimSpace(sec.body) != "(not answered)" {
			found, named = append(found, sec.heading), true
		}
	}
	for _, m := range in.FindAllString(s.text, -1) {
		if m = strings.ToLower(strings.TrimSpace(m)); !slices.Contains(found, m) && len(found) < 12 {
			found = append(found, m)
		}
	}
	return found, named
}

var (
	purposeHeading = pattern.MustCompile(`(?i)\b(what (is it|kind|are you building|do you want)|purpose|overview|goals?|about|summary|introduction|vision|background|problem|zweck|überblick|ziel)\b`)
	usersHeading   = pattern.MustCompile(`(?i)\b(users?|audience|who|personas?|customers?|roles?|stakeholders?|nutzer|benutzer|zielgruppe)\b`)
	usersWords     = pattern.MustCompile(`(?i)\b(users?|people|persons?|somebody|someone|anybody|anyone|everybody|everyone|whoever|visitors?|customers?|clients?|members?|teams?|admins?|administrators?|readers?|students?|teachers?|employees?|staff|colleagues|shoppers?|buyers?|sellers?|players?|authors?|managers?|developers?|patients?|guests?|parents?|children|they|we|our|my|one (can|types|adds|has|reads)|as an? \w+|nutzer\w*|benutzer\w*|kund\w+|besucher\w*|leute|mitglieder\w*|wir|man)\b`)
	techHeading    = pattern.MustCompile(`(?i)\b(technolog(y|ies)|tech|stack|built with|platform|architecture|implementation|technik)\b`)
	techWords      = pattern.MustCompile(`(?i)\b(go|golang|node(\.js)?|javascript|typescript|python|ruby|rails|rust|java|kotlin|php|laravel|c#|\.net|swift|elixir|html|css|react|vue|svelte|angular|next\.?js|django|flask|fastapi|express|spring|postgres(ql)?|mysql|sqlite|mongodb|redis|json|csv|yaml|rest|graphql|websockets?|docker|linux|browser|command line|cli|api|server|database|no preference|any language|datenbank)\b`)
	limitHeading   = pattern.MustCompile(`(?i)\b(constraints?|limits?|limitations?|non.?goals?|out of scope|requirements|rules|security|accessibility|performance|must not|einschränkungen|grenzen)\b`)
	limitWords     = pattern.MustCompile(`(?i)\b(must not|may not|cannot|can't|never|at most|at least|no more than|no less than|only|without|within|up to|maximum|minimum|max\.?|min\.?|limit(ed)?|offline|budget|no (accounts?|login|network|javascript|ads|tracking)|not more than|there are no|there is no|accessible|wcag|gdpr|höchstens|mindestens|nur|ohne|nie|niemals|nicht|kein\w*)\b`)
	doing          = pattern.MustCompile(`(?i)\b(can|must|should|shall|will|lets?|allows?|shows?|says?|adds?|removes?|deletes?|edits?|creates?|lists?|sorts?|filters?|search(es)?|finds?|sends?|saves?|stores?|keeps?|converts?|counts?|opens?|greets?|answers?|displays?|returns?|exports?|imports?|uploads?|downloads?|logs? in|signs? (in|up)|books?|pays?|kann|soll|muss|zeigt|speichert|sucht|sendet)\b`)
	quoted         = pattern.MustCompile("\"[^\"\n]{2,}\"|“[^”\n]{2,}”|„[^“”\n]{2,}[“”]|«[^»\n]{2,}»|「[^」\n]+」|`[^`\n]+`")
	numbered       = pattern.MustCompile(`\b\d+([.,]\d+)?\s*(%|characters?|items?|seconds?|minutes?|ms|MB|KB|px|rows?|days?|words?|digits?|times|zeichen|sekunden)?\b`)
	address        = pattern.MustCompile(`(^|[\s("` + "`" + `])/[a-z][\w/.?=&{}:-]*`)
	telling        = pattern.MustCompile(`(?i)\b(given|when|then|if|shows?|says?|displays?|returns?|redirects?|appears?|must|disappears?|sees?|message|error|survives?|stays?|stands?|is (kept|shown|marked|refused|rejected|sorted|gone)|wenn|dann|zeigt|erscheint|muss|meldung|fehler)\b`)
	listItem       = pattern.MustCompile(`^\s*([-*+]|\d+[.)])\s+\S`)
	nothing        = pattern.MustCompile(`$^`)
	tbd            = pattern.MustCompile(`(?i)\b(tbd|tba|todo|fixme|to be (decided|determined|defined|discussed|announced)|not (yet )?(decided|clear|sure)|lorem ipsum|xxx)\b|\?\?+|<(insert|your|fill)[^>\n]*>|\[(insert|your|fill)[^\]\n]*\]`)
)

func (s reading) purpose() Rule {
	r := Rule{Name: "purpose", Of: 15}
	_, named := s.says(purposeHeading, nothing)
	first := ""
	for p := range strings.SplitSeq(s.text, "\n\n") {
		if p = strings.TrimSpace(p); p != "" && !strings.HasPrefix(p, "#") && !listItem.MatchString(p) {
			first = p
			break
		}
		if _, below, ok := strings.Cut(p, "\n"); ok && strings.HasPrefix(p, "#") && words(below) > 0 {
			first = below
			break
		}
	}
	switch n := words(first); {
	case named, n >= 10:
		r.Points = 15
	case n >= 5:
		r.Points = 8
	}
	if r.Points < 10 {
		r.Question = "What is it, and what is it for? One or two sentences that somebody new to it understands."
	}
	return r
}

func (s reading) users() Rule {
	r := Rule{Name: "users", Of: 10, Question: "Who uses it, and are there people who may do more than others?"}
	return s.named(r, usersHeading, usersWords, 7)
}

// named gives r its points for being spoken of: all of them for a part of its own
// or two words about it, as many as one says for a single word. What is spoken of is
// not asked.
func (s reading) named(r Rule, heading, said *pattern.Regexp, one int) Rule {
	found, part := s.says(heading, said)
	r.Found = found
	switch {
	case part, len(found) >= 2:
		r.Points, r.Question = r.Of, ""
	case len(found) == 1:
		r.Points, r.Question = one, ""
	}
	return r
}

func (s reading) features() Rule {
	r := Rule{Name: "features", Of: 20}
	n := 0
	for _, sec := range s.sections[1:] {
		if sec.level > 1 && words(sec.body) > 0 {
			n++
		}
	}
	for _, l := range s.lines {
		if listItem.MatchString(l) {
			n++
		}
	}
	for _, p := range s.prose {
		if doing.MatchString(p) {
			n++
		}
	}
	r.Points = min(20, 5*n)
	r.Found = []string{fmt.Sprintf("%d headings, list items and sentences of doing", n)}
	if n < 3 {
		r.Question = "What can one do with it? List three to five things, each with what happens."
	}
	return r
}

func (s reading) tests() Rule {
	r := Rule{Name: "tests", Of: 30}
	n := len(quoted.FindAllString(s.text, 20)) + len(address.FindAllString(s.text, 20)) + len(numbered.FindAllString(s.text, 20))
	for _, p := range s.prose {
		if telling.MatchString(p) {
			n++
		}
	}
	r.Points = min(30, 4*n)
	r.Found = []string{fmt.Sprintf("%d statements that can be checked", n)}
	if n < 4 {
		r.Question = "How can one tell that it works? For each thing: what one does, and which words, numbers or addresses one then sees, also when something is wrong with what was put in."
	}
	return r
}

func (s reading) technology(stack bool) Rule {
	r := Rule{Name: "technology", Of: 5}
	found, named := s.says(techHeading, techWords)
	if stack {
		found = append(found, "the project that is there")
	}
	r.Found = found
	if named || len(found) > 0 {
		r.Points = 5
	} else {
		r.Question = "In what is it to be built, where does it run, and where does it keep what it knows? \"No preference\" is an answer."
	}
	return r
}

func (s reading) constraints() Rule {
	r := Rule{Name: "constraints", Of: 10, Question: "What must it not do or need, and which limits are there (sizes, accounts, network, accessibility)?"}
	return s.named(r, limitHeading, limitWords, 6)
}

func (s reading) length() Rule {
	return Rule{Name: "length", Of: 10, Points: min(10, s.words/8), Found: []string{fmt.Sprintf("%d words", s.words)}}
}

// open are the places that say of themselves that something is missing.
func (s reading) open() []Rule {
	var rules []Rule
	add := func(found, question string) {
		points := 0
		if len(rules) < 5 {
			points = -5
		}
		rules = append(rules, Rule{Name: "open", Points: points, Found: []string{found}, Question: question})
	}
	for i, l := range s.lines {
		if m := tbd.FindString(l); m != "" && len(rules) < 20 {
			add(fmt.Sprintf("line %d: %s", i+1, m), fmt.Sprintf("Line %d is still open: %q. What is to be done?", i+1, clip(l)))
		}
	}
	for _, q := range unanswered(s.text) {
		rules = append(rules, Rule{Name: "open", Found: []string{"not answered: " + clip(q)}, Question: fmt.Sprintf("The form's question %q has no answer.", clip(q))})
	}
	return rules
}

// An opposite is a pair of statements that cannot both hold.
type opposite struct{ one, other *pattern.Regexp }

var opposites = []opposite{
	{pattern.MustCompile(`(?i)\b(there are no accounts|no (user )?accounts|without (an )?accounts?|no log.?in|without (a )?log.?in)\b`), pattern.MustCompile(`(?i)\b((users?|people|one|you|visitors?|members?|they|must|can) (must |can |has to |have to |should )?(logs? in|signs? (in|up)|registers?)|password)\b`)},
	{pattern.MustCompile(`(?i)\b(without javascript|no javascript)\b`), pattern.MustCompile(`(?i)\b(react|vue|svelte|angular|single.page app(lication)?|drag.and.drop)\b`)},
	{pattern.MustCompile(`(?i)\b(works? offline|without (the )?(internet|network)|never talks? to the network|no (internet|network))\b`), pattern.MustCompile(`(?i)\b(fetch(es|ed)? [^.\n]{0,40}(from (the )?(web|internet)|api)|third.party api|in the cloud|cloud storage|sends? (an )?e.?mails?)\b`)},
	{pattern.MustCompile(`(?i)\b(no database|without a database)\b`), pattern.MustCompile(`(?i)\b(in (a|the) (postgres(ql)?|mysql|sqlite|mongodb)( database)?|stored in (a|the) database)\b`)},
	{pattern.MustCompile(`(?i)\b(nothing is (kept|stored|saved)|keeps nothing|stores nothing)\b`), pattern.MustCompile(`(?i)\b(survives? a restart|is (kept|stored|saved) (after|across|in))\b`)},
}

var (
	negated  = pattern.MustCompile(`(?i)\b(no|not|never|without|cannot|don't|doesn't|nor|neither)\b`)
	mustForm = pattern.MustCompile(`(?i)^(.{8,}?)\b(must not|must never|must|may not|may|cannot|can)\b\s+(.{3,})$`)
)

// contradictions are pairs of statements that cannot both hold.
func (s reading) contradictions() []Rule {
	var rules []Rule
	add := func(a, b string) {
		points := 0
		if len(rules) < 2 {
			points = -15
		}
		rules = append(rules, Rule{
			Name: "contradiction", Points: points, Found: []string{clip(a), clip(b)},
			Question: fmt.Sprintf("These cannot both hold: %q and %q. Which is it?", clip(a), clip(b)),
		})
	}
	for _, o := range opposites {
		one, other := "", ""
		for _, p := range s.prose {
			switch {
			case one == "" && o.one.MatchString(p):
				one = p
			case other == "" && o.other.MatchString(p) && !negated.MatchString(p):
				other = p
			}
		}
		if one != "" && other != "" {
			add(one, other)
		}
	}
	// The same sentence with and without its not.
	type claim struct {
		text string
		no   bool
	}
	claims := map[string]claim{}
	for _, p := range s.prose {
		m := mustForm.FindStringSubmatch(said(p))
		if m == nil {
			continue
		}
		key := strings.TrimSpace(m[1]) + " | " + strings.TrimRight(m[3], " .")
		c := claim{p, strings.Contains(m[2], "not") || strings.Contains(m[2], "never")}
		if before, ok := claims[key]; ok && before.no != c.no {
			add(before.text, p)
		}
		claims[key] = c
	}
	return rules
}

// clip is a text short enough for a question.
func clip(text string) string {
	text = clean(text)
	const most = 120
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// clean is a text in one line, without what does not print.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.Join(strings.Fields(text), " "))
}
