package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Record is the evidence of one feature as a page of Markdown, which is kept
// beside the record itself.
func Record(r runner.Record) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s: %s\n\n", inline(r.Feature), inline(r.Description))
	fmt.Fprintf(&b, "**%s** on %s, in session %d, attempt %d: %s.\n\n", inline(string(r.Outcome)), r.Time.UTC().Format("2006-01-02 15:04 UTC"), r.Session, r.Attempt, proved(r))
	b.WriteString("| gate | | run | passed | failed | time | what was seen |\n|---|---|---|---|---|---|---|\n")
	for _, g := range r.Gates {
		sign := "✅"
		if !g.Passed {
			sign = "❌"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", inline(g.Name), sign, count(g.Counts, g.Counts.Run), count(g.Counts, g.Counts.Passed), count(g.Counts, g.Counts.Failed), seconds(g.Millis), cell(g.Reason, 400))
	}
	for _, g := range r.Gates {
		for _, f := range g.Findings {
			fmt.Fprintf(&b, "\n- %s: %s", inline(g.Name), inline(finding(f)))
		}
	}
	if _, ok := r.Files["screenshot.png"]; ok {
		b.WriteString("\n\n![The application at the end of the acceptance](screenshot.png)\n")
	}
	b.WriteString("\n## What was run\n\n")
	env := map[string]bool{}
	for _, g := range r.Gates {
		for _, run := range g.Runs {
			fmt.Fprintf(&b, "<details><summary>%s: %s</summary>\n\n%s\n</details>\n\n", inline(g.Name), inline(ranOn(run)), fence(run.Tail))
			for _, e := range run.Env {
				env[e] = true
			}
		}
	}
	if len(env) > 0 {
		fmt.Fprintf(&b, "In an environment built from nothing: `%s`; of what stands without a value, the value is a path of that machine.\n\n", code(strings.Join(slices.Sorted(maps.Keys(env)), ", ")))
	}
	b.WriteString("## What is kept\n\n| file | sha256 |\n|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(r.Files)) {
		fmt.Fprintf(&b, "| `%s` | `%s` |\n", code(name), code(r.Files[name]))
	}
	fmt.Fprintf(&b, "\nThis is record %d of loop `%s`, saved with transaction %d; %s. The feature's row has the sha256 `%.12s`, its acceptance `%.12s`.\n\nProve it again from a clone of your own: `autonomous-loop verify --repo URL --loop %s %s`\n",
		r.Number, code(r.Lineage), r.Transaction, before(r), code(r.Row), code(r.Acceptance), code(r.Loop), code(r.Feature))
	return []byte(b.String())
}

// proved says what code a record is about.
func proved(r runner.Record) string {
	if r.Outcome == runner.Already {
		return fmt.Sprintf("commit `%.10s` had it already", code(r.Commit))
	}
	return fmt.Sprintf("commit `%.10s` with the tree `%.10s`, built on `%.10s`", code(r.Commit), code(r.Tree), code(r.Parent))
}

func before(r runner.Record) string {
	if r.Prev == "" {
		return "it is the first"
	}
	return fmt.Sprintf("the one before it has the sha256 `%.12s`", code(r.Prev))
}

// ranOn is a run in a line: the command, what it ran on, and what came of it.
func ranOn(r runner.Run) string {
	on := fmt.Sprintf("%s on %.10s", r.Command, r.Tree)
	if r.Tests != "" {
		on += fmt.Sprintf(" with the tests of %.10s", r.Tests)
	}
	n := r.Counts
	return fmt.Sprintf("%s: exit code %d, %d run, %d passed, %d failed, %s", on, r.Exit, n.Run, n.Passed, n.Failed, seconds(r.Millis))
}

func finding(f runner.Finding) string {
	where := f.Path
	if f.Line > 0 {
		where = fmt.Sprintf("%s:%d", f.Path, f.Line)
	}
	if where != "" {
		where = " in " + where
	}
	return f.Rule + where + ": " + f.Text
}

// count is n, or nothing where a gate counts nothing.
func count(c runner.Counts, n int) string {
	if c == (runner.Counts{}) {
		return ""
	}
	return fmt.Sprint(n)
}

func seconds(millis int64) string { return fmt.Sprintf("%.1f s", float64(millis)/1000) }

// fence shows a text as it is: in a block that no line of it can end.
func fence(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	longest := 2
	for line := range strings.Lines(s) {
		line = strings.TrimLeft(line, " ")
		longest = max(longest, len(line)-len(strings.TrimLeft(line, "`")))
	}
	mark := strings.Repeat("`", longest+1)
	return mark + "text\n" + strings.TrimRight(s, "\n") + "\n" + mark
}
