package check

import (
	"fmt"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"

	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// What an agent gets to read of a failure is short: more of it does not help a
// model, and every byte is paid for again in each later turn.
const (
	mostDetail   = 6 << 10 // bytes of a verdict's detail
	mostFailures = 8
	mostLines    = 12 // of one failure
	mostChars    = 700
	mostNames    = 2000 // of the names of tests that are only named
)

// brief renders failures: each with its place and message, equal ones folded.
func brief(cases []suite.Case) string { return briefly(cases, mostDetail) }

func briefly(cases []suite.Case, most int) string {
	type group struct {
		suite.Case
		more []string
	}
	var groups []*group
	at := map[string]*group{}
	for _, c := range cases {
		sig := signature(c)
		if g := at[sig]; g != nil {
			g.more = append(g.more, c.String())
			continue
		}
		g := &group{Case: c}
		at[sig] = g
		groups = append(groups, g)
	}
	var b strings.Builder
	rest := ""
	if len(groups) > mostFailures {
		var others []string
		for _, o := range groups[mostFailures:] {
			others = append(append(others, o.String()), o.more...)
		}
		rest = fmt.Sprintf("(and %d more failures of other kinds: %s)\n", len(groups)-mostFailures, shorten(strings.Join(others, "; "), 1, mostNames))
		groups = groups[:mostFailures]
	}
	// Each gets its share, so that a long one costs none of the others its name.
	chars := min(mostChars, max(100, (most-len(rest))/max(1, len(groups))-200))
	for _, g := range groups {
		fmt.Fprintf(&b, "FAIL %s [%s]\n", g, g.Kind)
		if m := shorten(ownFrames(suite.Clean(g.Message)), mostLines, chars); m != "" {
			b.WriteString(indent(m))
		}
		if n := len(g.more); n > 0 {
			fmt.Fprintf(&b, "  (+%d more with the same error: %s)\n", n, shorten(strings.Join(g.more, "; "), 1, min(mostNames, chars)))
		}
	}
	return limit(b.String(), most-len(rest)) + rest
}

var (
	numbers = pattern.MustCompile(`\d+`)
	foreign = pattern.MustCompile(`^\s*at .*(node:|node_modules/|\(<anonymous>\))|^\s+at (async )?(Test|Suite|Promise)\.|^\s*/usr/(local/)?go/|^\s*(\S*/)?go/src/(testing|runtime)/|^(testing|runtime|panic|created by testing)[.(]|^goroutine \d+ `)
)

// signature folds failures that differ only in numbers.
func signature(c suite.Case) string {
	if c.Message == "" {
		return c.ID()
	}
	return string(c.Kind) + numbers.ReplaceAllString(ownFrames(suite.Clean(c.Message)), "#")
}

// ownFrames drops stack frames outside the project.
func ownFrames(s string) string {
	var b strings.Builder
	drop := false
	for l := range strings.Lines(s) {
		if drop && strings.HasPrefix(l, "\t") { // the place of a Go frame that was dropped
			drop = false
			continue
		}
		drop = foreign.MatchString(l)
		if !drop {
			b.WriteString(l)
		}
	}
	return b.String()
}

// shorten keeps the first lines and characters of s.
func shorten(s string, lines, chars int) string {
	s = strings.TrimSpace(s)
	cut := false
	if parts := strings.SplitN(s, "\n", lines+1); len(parts) > lines {
		s, cut = strings.Join(parts[:lines], "\n"), true
	}
	if len(s) > chars {
		s, cut = strings.ToValidUTF8(s[:chars], ""), true
	}
	if cut {
		s += " […]"
	}
	return s
}

// limit cuts s to most bytes, and says so.
func limit(s string, most int) string {
	const mark = "\n[… shortened]\n"
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-len(mark)], "") + mark
}

func indent(s string) string {
	var b strings.Builder
	for l := range strings.Lines(s) {
		b.WriteString("  " + strings.TrimRight(l, " \n") + "\n")
	}
	return b.String()
}

// list names up to six things in a sentence.
func list(names []string) string {
	const most = 6
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func names(cases []suite.Case) []string {
	var out []string
	for _, c := range cases {
		out = append(out, c.String())
	}
	return out
}
