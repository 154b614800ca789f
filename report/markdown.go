package report

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Marker is the hidden line by which the one progress comment of a loop is
// found again. It is a wire format: it never changes.
func Marker(lineage string) string { return "<!-- autonomous-loop:" + lineage + " -->" }

// Comment is the progress comment.
func Comment(v View) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n### Autonomous Loop: %s\n\n%s", Marker(v.State.Lineage), inline(v.State.Loop), call(v))
	b.WriteString(body(v))
	return b.String()
}

// name is how an account, or a team, can be called on GitHub.
var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*(/[A-Za-z0-9][A-Za-z0-9_-]*)?$`)

// call mentions people where only a person can let the loop go on. It is the only
// mention that there ever is.
func call(v View) string {
	if !v.State.NeedsPerson() {
		return ""
	}
	who := v.Notify
	if len(who) == 0 {
		who = []string{v.State.Starter}
	}
	var all []string
	for _, n := range who {
		if name.MatchString(n) {
			all = append(all, "@"+n)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return strings.Join(all, " ") + " the loop needs a person to go on.\n\n"
}

// Summary is the job's summary: the comment's words without its marker.
func Summary(v View) string {
	return fmt.Sprintf("### Autonomous Loop: %s\n\n", inline(v.State.Loop)) + body(v)
}

// PullRequest is the pull request: its title on the first line, then its body.
func PullRequest(v View) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Autonomous Loop: %s (%d of %d features)\n\n", inline(v.State.Loop), v.Result.FeaturesCompleted, v.Result.FeaturesTotal)
	fmt.Fprintf(&b, "%s\n\nEvery feature below was proved by the harness by running what stands beside it, on a clean checkout of exactly the code that was committed for it. The evidence lies on %s.\n\n", headline(v), link("the state branch", v.Links.StateURL))
	for _, f := range v.State.Features {
		if f.Status == runner.Complete {
			fmt.Fprintf(&b, "- **%s** %s: %s\n", inline(f.ID), inline(f.Description), proof(f, v))
		}
	}
	if v.Isolation != "" {
		fmt.Fprintf(&b, "\nIsolation: %s.\n", inline(v.Isolation))
	}
	return cut(b.String())
}

func body(v View) string {
	var b strings.Builder
	r := v.Result
	fmt.Fprintf(&b, "`%s` **%d/%d** (%d %%)\n\n%s", Bar(r.FeaturesCompleted, r.FeaturesTotal), r.FeaturesCompleted, r.FeaturesTotal, percent(r.FeaturesCompleted, r.FeaturesTotal), headline(v))
	if why := v.State.Why; why != "" && !r.Success {
		fmt.Fprintf(&b, "\nWhy: %s.", strings.TrimSuffix(inline(why), "."))
	}
	if n := next(v); n != "" {
		fmt.Fprintf(&b, "\n**Next:** %s", n)
	}
	b.WriteString("\n\n| sessions | tokens | cost | errors recovered | time | left |\n|---|---|---|---|---|---|\n")
	fmt.Fprintf(&b, "| %d | %s | %s | %d | %s | %s |\n\n", r.SessionsUsed, thousands(r.TotalTokens), cost(v), r.ErrorsRecovered, minutes(r.DurationMinutes), eta(v.State, r))
	if f := figures(r); f != "" {
		fmt.Fprintf(&b, "<sub>%s</sub>\n\n", f)
	}
	if len(v.State.Features) > 0 {
		b.WriteString("| | feature | what | attempts | proof |\n|---|---|---|---|---|\n")
	}
	for _, f := range v.State.Features {
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %s |\n", mark(f, v.State), evidence(f, v), cell(f.Description, 90), f.Attempts, proof(f, v))
	}
	b.WriteString(leftOut(v))
	for _, w := range append(down(v), r.Warnings...) {
		fmt.Fprintf(&b, "\n> ⚠️ %s\n", inline(w))
	}
	for _, t := range v.State.Taken {
		if t.Session == v.State.Spent.Sessions {
			fmt.Fprintf(&b, "\n> 🔀 %s\n", inline(t.String()))
		}
	}
	fmt.Fprintf(&b, "\n<sub>%s", link("branch "+v.Links.Branch, v.Links.BranchURL))
	if v.Links.RunURL != "" {
		fmt.Fprintf(&b, " · %s", link("run", v.Links.RunURL))
	}
	if v.Links.StateURL != "" {
		fmt.Fprintf(&b, " · %s", link("evidence", v.Links.StateURL))
	}
	if v.Isolation != "" {
		fmt.Fprintf(&b, " · isolation: %s", inline(v.Isolation))
	}
	fmt.Fprintf(&b, " · transaction %d", v.State.Serial)
	if d := v.State.Digest(); d != "" {
		fmt.Fprintf(&b, ", state `%.12s`", d)
	}
	b.WriteString("</sub>\n")
	return cut(b.String())
}

// leftOut names what of the features' work is not in their commits.
func leftOut(v View) string {
	var b strings.Builder
	for _, f := range v.State.Features {
		if len(f.Left) == 0 {
			continue
		}
		if b.Len() == 0 {
			b.WriteString("\n**Left out** of the commits, and of what was judged:\n\n")
		}
		for _, l := range f.Left {
			fmt.Fprintf(&b, "- %s: %s\n", code(f.ID), inline(l))
		}
		if f.Offered {
			where := fmt.Sprintf("`left-out/%s.patch` in the artifact", f.ID)
			if f.Status == runner.Complete {
				where += fmt.Sprintf(", and `evidence/%s/%s` on the state branch", f.ID, runner.LeftOutPatch)
			}
			fmt.Fprintf(&b, "  - what is yours to take or leave is a patch for `git apply`: %s\n", where)
		}
	}
	return b.String()
}

// proof is what the last column says: how a feature was proved, or why it is
// not complete.
func proof(f runner.Feature, v View) string {
	words := standing(f, v.State)
	if f.Status != runner.Complete {
		if f.Note != "" {
			words += ": " + cell(f.Note, 140)
		}
		return words
	}
	var gates []string
	for _, g := range v.Records[f.ID].Gates {
		switch n := g.Counts; g.Name { // the gates that count for readers; the evidence has them all
		case "red": // what has to fail
			gates = append(gates, fmt.Sprintf("red %d", n.Failed))
		case "green", "acceptance", "regression":
			if n.Run > 0 {
				gates = append(gates, fmt.Sprintf("%s %d/%d", g.Name, n.Passed, n.Run))
			}
		}
	}
	if len(gates) > 0 {
		words += " (" + strings.Join(gates, ", ") + ")"
	}
	return words
}

var plainID = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// evidence is a feature's id, with a link to what it was proved by.
func evidence(f runner.Feature, v View) string {
	id := "`" + code(f.ID) + "`"
	if f.Status != runner.Complete || v.Links.StateURL == "" || !plainID.MatchString(f.ID) {
		return id
	}
	return "[" + id + "](" + v.Links.StateURL + "/evidence/" + f.ID + ")"
}

// most is how much a comment or summary may hold, with room to spare.
const most = 60_000

// cut keeps a text below the forge's limit, at the end of a line.
func cut(s string) string {
	if len(s) <= most {
		return s
	}
	s = s[:most]
	return s[:strings.LastIndexByte(s, '\n')+1] + "\n… and more; see the report.\n"
}

func link(words, url string) string {
	if url == "" {
		return inline(words)
	}
	return "[" + inline(words) + "](" + url + ")"
}

var closes = regexp.MustCompile(`(?i)\b(clos(?:e[sd]?|ing)|fix(?:e[sd]|ing)?|resolv(?:e[sd]?|ing))\b([\s:]*)(#|https?://)`)

// inline makes a text harmless within a line of Markdown: no mention, no issue
// reference, no closing keyword, no markup, no command of the runner, nothing
// that cannot be seen.
func inline(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.Is(unicode.Cf, r) || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	s = closes.ReplaceAllString(s, "$1$2\u200b$3")
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '@', r == '#':
			b.WriteRune(r)
			b.WriteRune('\u200b')
		case r == ':' && strings.HasPrefix(s[i:], "://"):
			b.WriteString("\u200b:")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case strings.ContainsRune("\\`*_[]|~", r):
			b.WriteRune('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// cell is inline text, shortened to n characters.
func cell(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) > n {
		s = string([]rune(s)[:n-1]) + "…"
	}
	return inline(s)
}

// code makes a text fit to stand between backquotes.
func code(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '`' || r == '|' || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}
