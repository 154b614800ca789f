package agent

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// How much of each fact a message may hold, in bytes.
const (
	mostIntake = 32 << 10
	mostMap    = 8 << 10
	mostDetail = 12 << 10
	mostNote   = 2 << 10
	mostMemory = 7 << 10
)

// project is the first user message: identical from job to job until the
// repository changes.
func project(o Options) string {
	var b strings.Builder
	b.WriteString("This is the project you work in.\n")
	if s := strings.TrimSpace(o.Intake); s != "" {
		b.WriteString("\nWhat the project says to agents. Follow its conventions where they do not contradict your contract:\n")
		b.WriteString(data("project-instructions", clip(s, mostIntake)))
	}
	if s := strings.TrimSpace(o.RepoMap); s != "" {
		b.WriteString("\nWhat the repository looks like:\n")
		b.WriteString(data("repository-map", clip(s, mostMap)))
	}
	return b.String()
}

// An opening says how a phase is begun.
type opening struct {
	fresh bool          // the conversation has not heard of the feature
	reset bool          // it is begun anew in the middle of a phase
	brief *runner.Brief // where the attempt stands, if it is known
	turn  int           // the turn that comes next; up to 1: the first
}

// assignment is the message that begins a phase. Its first line is read by
// machines too. A fresh conversation is told the feature, and where the attempt
// stands: the same after a limit of the session, and after one of the window.
func assignment(t runner.Task, o opening) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[loop] feature=%s attempt=%d phase=%s round=%d", t.Feature.ID, t.Attempt, t.Phase, t.Repair)
	if o.turn > 1 {
		fmt.Fprintf(&b, " turn=%d", o.turn)
	}
	b.WriteByte('\n')
	if o.fresh {
		b.WriteString(feature(t, o))
	}
	if t.Verdict != nil {
		b.WriteString(verdict(*t.Verdict))
	}
	if o.fresh && o.brief != nil {
		b.WriteString(standing(*o.brief))
	}
	b.WriteString("\n" + orders(t))
	return b.String()
}

// standing is a brief in words.
func standing(r runner.Brief) string {
	var b strings.Builder
	list := func(b *strings.Builder, title string, all []string) {
		if len(all) > 0 {
			fmt.Fprintf(b, "%s:\n- %s\n", title, strings.Join(all, "\n- "))
		}
	}
	var facts, own strings.Builder
	list(&facts, "files changed last", r.Files)
	list(&facts, "commands that worked", r.Commands)
	list(&facts, "errors met", r.Errors)
	if r.Tests != "" {
		facts.WriteString("the last run of the tests:\n" + r.Tests + "\n")
	}
	list(&own, "decisions", r.Decisions)
	list(&own, "open problems", r.Problems)
	if r.State != "" {
		own.WriteString("state:\n" + r.State + "\n")
	}
	if facts.Len() > 0 {
		b.WriteString("\nWhere this attempt stands, as the harness recorded it:\n" + data("record", facts.String()))
	}
	if own.Len() > 0 {
		b.WriteString("\nWhat you wrote down about it yourself:\n" + data("own-words", own.String()))
	}
	return b.String()
}

func feature(t runner.Task, o opening) string {
	var b strings.Builder
	f := t.Feature
	fmt.Fprintf(&b, "\nThe feature to build, %s:\n", f.ID)
	var d strings.Builder
	if f.Category != "" {
		d.WriteString("category: " + f.Category + "\n")
	}
	d.WriteString(f.Description + "\n")
	for i, s := range f.Steps {
		fmt.Fprintf(&d, "%d. %s\n", i+1, s)
	}
	b.WriteString(data("feature", d.String()))
	if len(f.Acceptance) > 0 {
		b.WriteString("\nIts acceptance: the harness performs these steps in a browser, without you. {{name}} stands for a value drawn anew for each run:\n")
		b.WriteString(data("acceptance", lines(f.Acceptance)))
	}
	switch {
	case len(t.Completed) > 0 && o.reset:
		var ids []string
		for _, r := range t.Completed {
			ids = append(ids, r.ID)
		}
		b.WriteString("\nAlready complete, and to be kept working: " + strings.Join(ids, ", ") + "\n")
	case len(t.Completed) > 0:
		b.WriteString("\nAlready complete; all of it must keep working:\n")
		var c strings.Builder
		for i, r := range t.Completed {
			if i == 40 {
				fmt.Fprintf(&c, "and %d more\n", len(t.Completed)-i)
				break
			}
			fmt.Fprintf(&c, "%s: %s\n", r.ID, oneLine(r.Description, 120))
		}
		b.WriteString(data("complete", c.String()))
	}
	switch {
	case o.reset:
		b.WriteString("\nYou are in the middle of this phase. The conversation before was dropped because it filled its window; the tree holds all of your work. Go on where you were.\n")
	case t.Attempt > 1 && !t.Resumed:
		b.WriteString("\nAn earlier attempt failed and was rolled back: the tree holds none of it. Do not repeat what failed.\n")
	case t.Resumed:
		b.WriteString("\nAn earlier session of this attempt was interrupted. The tree holds its work, finished or not: look at it first, keep what is good.\n")
	}
	if free := append(slices.Clone(f.Former), f.FormerCases...); len(free) > 0 {
		const most = 20
		b.WriteString("\nTests that say what nobody asks for any more, because a person changed the spec. They may be changed or taken out, with what only they need; no others:\n")
		b.WriteString(data("former-tests", "- "+strings.Join(free[:min(len(free), most)], "\n- ")+"\n"))
		if n := len(free) - most; n > 0 {
			fmt.Fprintf(&b, "and %d more of that kind\n", n)
		}
	}
	if f.Note != "" {
		b.WriteString("\nWhy it is not complete yet:\n" + data("last-failure", clip(f.Note, mostNote)))
	}
	if len(f.Notes) > 0 {
		b.WriteString("\nNotes of whoever worked on it before:\n")
		b.WriteString(data("notes", "- "+strings.Join(f.Notes, "\n- ")+"\n"))
	}
	if t.Memory != "" {
		b.WriteString("\nWhat earlier attempts in this project learned. It may not hold any more:\n" + data("memory", clip(t.Memory, mostMemory)))
	}
	return b.String()
}

// verdict tells what the gates found. Of their evidence the failing part is
// quoted: it holds the output of the project's own code.
func verdict(v runner.Verdict) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nThe harness's verdict on your last round: %s.\n", v.Outcome)
	var d strings.Builder
	if v.Reason != "" {
		d.WriteString(v.Reason + "\n")
	}
	for _, g := range v.Gates {
		word := "passed"
		if !g.Passed {
			word = "failed"
		}
		fmt.Fprintf(&d, "gate %s: %s", g.Name, word)
		if g.Counts.Run > 0 {
			fmt.Fprintf(&d, " (%d run, %d passed, %d failed, %d skipped)", g.Counts.Run, g.Counts.Passed, g.Counts.Failed, g.Counts.Skipped)
		}
		if !g.Passed && g.Reason != "" && g.Reason != v.Reason {
			d.WriteString(": " + g.Reason)
		}
		d.WriteByte('\n')
	}
	if v.Detail != "" {
		d.WriteString("\n" + clip(v.Detail, mostDetail) + "\n")
	}
	if d.Len() > 0 {
		b.WriteString(data("verdict", d.String()))
	}
	return b.String()
}

func orders(t runner.Task) string {
	switch {
	case t.Phase == runner.Tests && t.Repair == 0:
		return "Phase tests. Write this feature's tests where the project keeps its tests, and nothing else: no implementation yet. See them fail with run_tests, by an assertion and for the right reason, then call request_verification.\n"
	case t.Phase == runner.Tests:
		return "Phase tests, again. The tests did not do: mend them as the verdict says. They must fail now, by an assertion, because the feature is missing. See that with run_tests, then call request_verification.\n"
	case t.Phase == runner.Merging:
		return "Phase merge. Somebody else changed the same lines as this project's verified code, and the files named above hold git's conflict marks (<<<<<<<, =======, >>>>>>>): first what was built, then theirs. Resolve them so that both do what they were meant to, and no mark is left; change no test that is not in conflict. See all tests pass with run_tests, then call request_verification.\n"
	case t.Phase == runner.Implement:
		return "Phase implement. The tests have been seen to fail. Now write the code that makes them pass without changing what they demand. See all tests pass with run_tests, try the acceptance steps with the browser if there are any, then call request_verification.\n"
	default:
		return "Phase repair. The verdict says what does not hold. Find the cause, not only the symptom; mend it; see all tests pass with run_tests and repeat what failed yourself; then call request_verification.\n"
	}
}

// data quotes text that has no authority: it cannot close its own quotation,
// and none of its lines reads like the loop's own.
func data(label, text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "</"+label, "< /"+label)
	text = strings.ReplaceAll("\n"+text, "\n[loop]", "\n [loop]")[1:]
	return "<" + label + ">\n" + strings.TrimRight(text, "\n") + "\n</" + label + ">\n"
}

// lines is one JSON value per line.
func lines[T any](vs []T) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, v := range vs {
		if err := enc.Encode(v); err != nil { // unreachable unless a type holds what JSON cannot
			panic("agent: " + err.Error())
		}
	}
	return b.String()
}

func oneLine(s string, most int) string {
	return clip(strings.Join(strings.Fields(s), " "), most)
}

// clip shortens s to about most bytes, keeping its start and, where there is
// room to say so, its end: what went wrong stands there.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	if most < 400 {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	head, tail := most/3, most-most/3
	return strings.ToValidUTF8(s[:head], "") +
		fmt.Sprintf("\n[... %d bytes cut ...]\n", len(s)-head-tail) +
		strings.ToValidUTF8(s[len(s)-tail:], "")
}
