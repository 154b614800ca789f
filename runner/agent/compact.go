package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A conversation that fills its window begins anew from facts, as it does in a
// fresh session, with what only the model knows in its own words. These words
// are asked for over the same prefix, which the provider has in its cache.
const (
	mostSummary   = 1500 // tokens of the reply
	restTurns     = 10   // two resets within as many turns do not help; a fresh session does
	tailTurns     = 3    // that are kept as they were, if they fit
	tailShare     = 15   // into as much of the window, in percent
	mostSaid      = 10   // replies that stand in where the model gives no summary
	summaryPrompt = `The conversation fills its window and is begun anew after this reply. The harness itself keeps the feature and its acceptance, the last verdict, the files changed last, commands that worked, errors, the last run of the tests, and your notes. Write down what only you know, for yourself, in at most 800 words, as short lists under exactly these three headings:
# Decisions
what was decided and why; what was tried and ruled out
# Open problems
what does not work yet, and what you suspect
# State
what is done, what you were about to do, what comes then
Call no tool.`
)

// headings split the summary that was asked for.
var headings = pattern.MustCompile(`(?mi)^#+[ \t]*(decisions|open problems|state)\b.*$`)

// A summary is what the model says of a conversation that ends.
type summary struct {
	decisions, problems []string
	state               string
}

// parseSummary takes a summary apart. One that lacks a part is none.
func parseSummary(text string) (summary, error) {
	at := headings.FindAllStringSubmatchIndex(text, -1)
	parts := map[string]string{}
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		parts[strings.ToLower(text[m[2]:m[3]])] = strings.TrimSpace(text[m[1]:end])
	}
	for _, name := range []string{"decisions", "open problems", "state"} {
		if parts[name] == "" {
			return summary{}, fmt.Errorf("the summary says nothing under %q", name)
		}
	}
	return summary{items(parts["decisions"]), items(parts["open problems"]), parts["state"]}, nil
}

// items are the entries of a list, without those that say that there is none.
func items(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		entry := strings.TrimSpace(strings.TrimLeft(line, "-*•0123456789. "))
		switch {
		case entry == "" || strings.EqualFold(strings.TrimRight(entry, "."), "none"):
		case len(out) > 0 && entry == line: // goes on
			out[len(out)-1] += " " + entry
		default:
			out = append(out, entry)
		}
	}
	return out
}

// summarise asks the model what only it knows. An error that is no limit of the
// session means that it gave nothing that can be used.
func (p *phase) summarise(ctx context.Context) (summary, error) {
	if err := p.afford(); err != nil {
		return summary{}, errors.New("the purse is too small for a summary")
	}
	ask := Message{Role: User, Content: fmt.Sprintf("[loop] compact feature=%s\n%s", p.t.Feature.ID, summaryPrompt)}
	p.record(ask)
	r, err := p.a.o.Model.Complete(ctx, p.request(append(slices.Clip(p.c.msgs), ask), min(mostSummary, p.a.o.MaxOut)))
	p.claim.Usage = p.claim.Usage.Plus(r.Usage)
	if err != nil {
		return summary{}, err
	}
	p.record(Message{Role: Assistant, Content: r.Content, Calls: r.Calls})
	if len(r.Calls) > 0 || r.Finish != FinishStop {
		return summary{}, fmt.Errorf("the reply ended with %q and %d calls", r.Finish, len(r.Calls))
	}
	return parseSummary(r.Content)
}

// said is the summary that needs no model: what it said while it worked.
func (p *phase) said() summary {
	var s summary
	for _, m := range slices.Backward(p.c.msgs) {
		if text := oneLine(m.Content, 200); m.Role == Assistant && text != "" && text != silence && len(s.decisions) < mostSaid {
			s.decisions = append(s.decisions, text)
		}
	}
	slices.Reverse(s.decisions)
	s.problems = slices.Clone(p.c.ledger.brief.Problems)
	if v := p.t.Verdict; v != nil && v.Outcome == runner.Failed {
		s.problems = newest(s.problems, oneLine(v.Reason, 300), mostSaid)
	}
	s.state = "The conversation was cut in the middle of the work; no summary of it could be had. Look at the files named here first."
	return s
}

// reset begins the conversation anew. asked says whether the model may be asked
// for a summary first.
func (p *phase) reset(ctx context.Context, asked bool) error {
	c := p.c
	if c.reset > 0 && c.turns-c.reset < restTurns {
		return &runner.StopError{Reason: runner.ContextLimit, Err: fmt.Errorf("the conversation filled its window twice within %d turns", restTurns)}
	}
	var s summary
	err := errors.New("there is no room to ask for one")
	if asked {
		s, err = p.summarise(ctx)
		switch stop, _ := errors.AsType[*runner.StopError](err); {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case stop != nil && stop.Reason != runner.ContextLimit:
			return fmt.Errorf("summary: %w", err)
		}
	}
	how := "with a summary"
	if err != nil {
		s, how = p.said(), fmt.Sprintf("from facts alone: %v", err)
	}
	l := &c.ledger
	for _, d := range s.decisions { // one that was once taken is never dropped
		l.brief.Decisions = newest(l.brief.Decisions, d, mostDecisions)
	}
	l.brief.Problems, l.brief.State = s.problems, s.state

	before := size(c.msgs)
	tail, turns := p.tail()
	head := slices.Clone(c.msgs[:2]) // the contract and the project: the provider has them in its cache
	t := p.t
	t.Feature.Notes = slices.Concat(t.Feature.Notes, p.claim.Notes)
	p.a.views++
	session := Message{Role: User, Content: assignment(t, opening{fresh: true, reset: true, brief: l.current(), turn: p.turn - turns})}
	p.record(session)
	c.msgs = append(append(head, session), tail...)
	c.reset, c.calm, c.warned, c.told = max(1, c.turns), 0, false, nil
	p.event(Event{Step: "compacted", Text: fmt.Sprintf("%d bytes became %d, %s", before, size(c.msgs), how)})
	if n, window := c.estimate(), p.a.o.Model.Window(); n*100 >= window*p.a.o.Bands.HandOff {
		return &runner.StopError{Reason: runner.ContextLimit, Err: fmt.Errorf("the facts alone have about %d tokens of a window of %d", n, window)}
	}
	return nil
}

// tail are the newest whole turns of the phase, calls with all of their
// results, as far as they fit; turns is how many.
func (p *phase) tail() (tail []Message, turns int) {
	msgs := p.c.msgs
	room := p.a.o.Model.Window() * tailShare / 100 * 3 // bytes, at three to a token
	at := len(msgs)
	for i := len(msgs) - 1; i > 1 && turns < tailTurns; i-- {
		m := msgs[i]
		if m.Role == User && strings.HasPrefix(m.Content, "[loop]") {
			break
		}
		if room -= size(msgs[i:i+1]) - size(nil); room < 0 {
			break
		}
		if m.Role == Assistant {
			at = i
			turns++
		}
	}
	return slices.Clone(msgs[at:]), turns
}
