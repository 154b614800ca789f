package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/autonomous-loop/autonomous-loop/report"
	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A progress shows a loop at work: one line per step, and on a terminal below
// them a line that stays, with bar, feature, phase and what was spent.
type progress struct {
	w        io.Writer
	terminal bool
	begun    time.Time
	drawn    int // characters of the line that stays
	last     runner.Event
}

// show tells what happened. Turns of a model only move the line that stays.
func (p *progress) show(e runner.Event) {
	if line := sentence(e); line != "" {
		p.line(fmt.Sprintf("%s  %s", e.Time.Sub(p.begun).Round(100*time.Millisecond), line))
	}
	p.last = e
	p.draw()
}

// turn shows that a model is at work on the feature.
func (p *progress) turn(text string) {
	e := p.last
	e.Text = text
	p.last = e
	p.draw()
}

func (p *progress) line(s string) {
	p.clear()
	fmt.Fprintln(p.w, logLine(s))
}

func (p *progress) draw() {
	if !p.terminal {
		return
	}
	e := p.last
	s := fmt.Sprintf("%s %d/%d  session %d", report.Bar(e.Completed, e.Total), e.Completed, e.Total, e.Session)
	if e.Feature != "" {
		s += fmt.Sprintf("  %s %s", e.Feature, e.Phase)
	}
	s += fmt.Sprintf("  %d tokens  %s", e.Tokens, logLine(e.Text))
	if r := []rune(s); len(r) > 110 {
		s = string(r[:109]) + "…"
	}
	p.clear()
	fmt.Fprint(p.w, s)
	p.drawn = utf8.RuneCountInString(s)
}

func (p *progress) clear() {
	if p.drawn > 0 {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.drawn))
		p.drawn = 0
	}
}

// sentence is an event in words, "" if it is not worth a line.
func sentence(e runner.Event) string {
	switch e.Step {
	case "initialize":
		return "session starts: " + e.Text
	case "outlook", "model", "thrift", "handoff", "blind", "off":
		return e.Text
	case "warm":
		return "preparing Go's build caches; the first time it takes minutes"
	case "cold":
		return "Go's standard library will be compiled again: " + e.Text
	case "plan":
		if e.Text != "" {
			return e.Text + ": drawing up the feature list anew"
		}
		return "drawing up the feature list"
	case "questions":
		return e.Text
	case "planned":
		return "feature list: " + e.Text
	case "checkpoint":
		return fmt.Sprintf("%s: attempt %d: %s", e.Feature, e.Attempt, e.Text)
	case "phase":
		if e.Repair > 0 {
			return fmt.Sprintf("%s: %s, round %d", e.Feature, e.Phase, e.Repair)
		}
		return fmt.Sprintf("%s: %s", e.Feature, e.Phase)
	case "stuck":
		return fmt.Sprintf("%s: %s", e.Feature, e.Text)
	case "left-out":
		return fmt.Sprintf("%s: left out of the commit: %s", e.Feature, e.Text)
	case "refused":
		return fmt.Sprintf("%s: the remote does not take %s", e.Feature, e.Text)
	case "verdict":
		if e.Text == "" || e.Outcome == runner.Verified || e.Outcome == runner.Red {
			return fmt.Sprintf("%s: %s", e.Feature, e.Outcome)
		}
		return fmt.Sprintf("%s: %s: %s", e.Feature, e.Outcome, e.Text)
	case "complete":
		return fmt.Sprintf("%s: complete  %s %d/%d", e.Feature, report.Bar(e.Completed, e.Total), e.Completed, e.Total)
	case "merge":
		return e.Text + ": what was complete is proved again with it"
	case "taken", "beside":
		return e.Text
	case "demoted":
		return fmt.Sprintf("%s: demoted: %s", e.Feature, e.Text)
	case "rollback":
		return fmt.Sprintf("%s: rolled back: %s", e.Feature, e.Text)
	case "request":
		return "the next session is asked for: " + e.Text
	case string(runner.Continue), string(runner.Wait), string(runner.Stop):
		return fmt.Sprintf("session %d ends (%s): %s", e.Session, e.Step, e.Text)
	}
	return ""
}
