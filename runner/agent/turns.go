package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// mostIdle is how many replies in a row may call no tool, be cut by length or
// be filtered before the phase ends.
const mostIdle = 3

// mostFiltered is how many replies of an attempt the provider's content filter
// may stop before the feature is given up: the next would fare alike.
const mostFiltered = 2

// mostUnusable is how many replies in a row may hold no call that could be made.
const mostUnusable = 3

// mostClosing is how many replies a phase has to end itself once the budget is
// nearly spent.
const mostClosing = 2

// silence stands for a reply that says and does nothing.
const silence = "(empty reply)"

// A phase is one phase of an attempt while it is being worked on.
type phase struct {
	a *Agent
	c *conversation
	t runner.Task

	turn   int
	idle   int // replies in a row from which nothing was run
	unable int // replies in a row whose calls could not be made
	steps  []step
	nudged map[string]bool
	shed   bool // the provider itself found the conversation too long
	ending int  // the turn from which on only the agent's own calls are performed; 0: none
	claim  runner.Claim
	used   runner.Usage // by the newest call
}

// run takes turns until the phase is over: because the agent asks for
// verification or gives up, or because it gets nowhere, which is for the gates
// to judge as well.
func (p *phase) run(ctx context.Context) error {
	var begin step
	if g := p.a.o.Gauge; g != nil {
		if tree, err := g.Tree(ctx); err == nil { // without it fewer rules hold
			begin.Tree = tree
		}
	}
	p.steps = []step{begin}
	for p.turn = 1; p.turn <= p.a.o.Turns; p.turn++ {
		r, err := p.ask(ctx)
		if err != nil {
			return err
		}
		over, err := p.act(ctx, r)
		if p.t.Told != nil {
			p.t.Told(p.c.ledger.current())
		}
		if over || err != nil {
			return err
		}
	}
	p.turn = p.a.o.Turns
	p.stopped("%d turns are the limit of a phase", p.turn)
	return nil
}

// stopped leaves word that the phase did not end by the agent's own will: for
// people, and as a note for the next attempt.
func (p *phase) stopped(format string, args ...any) {
	p.claim.Stopped = fmt.Sprintf("The %s phase was stopped by the harness: "+format, slices.Insert(args, 0, any(p.t.Phase))...)
	p.claim.Notes = append(p.claim.Notes, runner.HarnessNote+p.claim.Stopped)
}

// ask makes one call to the model, if the window and the purse allow it.
func (p *phase) ask(ctx context.Context) (Reply, error) {
	for {
		if ctx.Err() != nil {
			return Reply{}, context.Cause(ctx)
		}
		if err := p.makeRoom(ctx); err != nil {
			return Reply{}, err
		}
		if err := p.afford(); err != nil {
			return Reply{}, err
		}
		sent := slices.Clip(p.c.msgs)
		r, err := p.a.o.Model.Complete(ctx, p.request(sent, p.a.o.MaxOut))
		p.used, p.claim.Usage = r.Usage, p.claim.Usage.Plus(r.Usage)
		switch stop, _ := errors.AsType[*runner.StopError](err); {
		case err == nil:
			p.c.tokens, p.c.bytes = r.Prompt, size(sent)
			p.c.turns++
			return r, nil
		case ctx.Err() != nil:
			return Reply{}, context.Cause(ctx)
		case stop != nil && stop.Reason == runner.ContextLimit && !p.shed:
			// The provider counts differently than we do: once, cut and try again.
			p.shed = true
			if msgs, freed := mask(p.c.msgs, keepFew); freed >= size(p.c.msgs)/10 {
				p.masked(msgs, freed)
			} else if full := p.reset(ctx, false); full != nil {
				return Reply{}, full
			}
		default:
			return Reply{}, fmt.Errorf("turn %d: %w", p.turn, err)
		}
	}
}

// next is the most that the next call can use.
func (p *phase) next() int64 { return int64(p.c.estimate() + p.a.o.MaxOut) }

// left is what may still be spent.
func (p *phase) left() runner.Purse { return p.t.Purse.After(p.claim.Usage) }

// price is the most that the next call can cost, 0 if that is not known.
func (p *phase) price() runner.Money {
	if p.a.o.Price == nil {
		return 0
	}
	return p.a.o.Price(p.c.estimate(), p.a.o.MaxOut)
}

// afford says whether the purse holds enough for the next call.
func (p *phase) afford() error { return p.left().Holds(p.next(), p.price()) }

// request is the next call of the conversation.
func (p *phase) request(msgs []Message, maxOut int) Request {
	left := p.left()
	return Request{Messages: msgs, Tools: p.a.specs, MaxOut: maxOut, Tokens: p.c.estimate(), Purse: &left, Thrift: p.t.Purse.Lean()}
}

// window is the part of the model's window that the conversation may fill. Where
// the budget is nearly spent that is half of it, but never so little that
// conversations would begin anew all the time.
func (p *phase) window() int {
	const least = 64_000
	window := p.a.o.Model.Window()
	if p.t.Purse.Lean() {
		return max(window/2, min(window, least))
	}
	return window
}

// act does what the reply asks for. over says that the phase has ended.
func (p *phase) act(ctx context.Context, r Reply) (over bool, err error) {
	calls := p.read(r)
	m := Message{Role: Assistant, Content: strings.ToValidUTF8(r.Content, "\uFFFD"), Echo: r.Echo}
	for _, c := range calls {
		m.Calls = append(m.Calls, c.Call)
	}
	if m.Content == "" && len(m.Calls) == 0 {
		m.Content = silence // several providers refuse an empty message
	}
	p.say(m)
	p.event(Event{Step: "reply", Text: oneLine(r.Content, 200)})

	whole := r.Finish != FinishLength && r.Finish != FinishFilter
	if len(calls) > 0 && whole {
		p.idle = 0
		return p.performed(ctx, calls)
	}
	p.idle++
	var remark string
	switch r.Finish { //nolint:exhaustive // with every other no tool was called
	case FinishLength:
		remark = fmt.Sprintf("The reply was cut at %d tokens and nothing of it was done. Go on in smaller steps: one call at a time, long files in parts (write_file the beginning, then append by edits).", p.a.o.MaxOut)
	case FinishFilter:
		remark = "The provider's content filter stopped the reply and nothing of it was done. Go on in other words, with the work only."
	default:
		remark = "No tool was called, so nothing was done. Go on through the tools. When the phase is done call " + verifyTool + "; if it cannot be done call " + giveUpTool + "."
	}
	if p.idle == mostIdle {
		remark = fmt.Sprintf("%d replies in a row did nothing; the phase ends here.", p.idle)
		p.stopped("%d replies in a row did nothing (the last ended with %q)", p.idle, r.Finish)
	}
	for _, c := range calls {
		p.say(Message{Role: Result, CallID: c.ID, Content: Failed + remark})
	}
	if len(calls) == 0 {
		p.say(Message{Role: User, Content: "[harness] " + remark})
	}
	p.event(Event{Step: "nudge", Text: remark})
	if r.Finish == FinishFilter {
		p.c.filtered++
	}
	if r.Finish == FinishFilter && p.c.filtered >= mostFiltered {
		p.claim.GaveUp = runner.Hindered
		p.claim.Why = fmt.Sprintf("the provider's content filter stopped %d replies (content_filter): say it in other words in the spec, or use another model", p.c.filtered)
		return true, nil
	}
	return p.idle == mostIdle, nil
}

// performed performs calls, unless no reply in a row held one that could be made.
func (p *phase) performed(ctx context.Context, calls []wish) (over bool, err error) {
	p.unable++
	if slices.ContainsFunc(calls, func(c wish) bool { return c.problem == "" }) {
		p.unable = 0
	}
	over, err = p.perform(ctx, calls)
	if err == nil && !over && p.unable == mostUnusable {
		p.stopped("%d replies in a row held no call that could be made (the last: %s)", p.unable, oneLine(calls[0].problem, 200))
		return true, nil
	}
	return over, err
}

// remarks are what the harness has to say after a turn, to ride at the end of
// the newest result; over says that the phase ends because it is stuck.
func (p *phase) remarks(results []string, circles []finding) (text string, over bool) {
	var all []string
	for _, f := range circles {
		if f.Stop {
			p.stopped("%s", diagnosis(f, p.steps))
			return "[harness] " + f.Text + " The phase ends here.", true
		}
		if !p.nudged[f.Rule] {
			p.nudged[f.Rule] = true
			all = append(all, f.Text)
		}
	}
	more := 0
	for _, r := range results {
		more += len(r)
	}
	if text := p.full(more); text != "" {
		all = append(all, text)
	}
	if left := p.a.o.Turns - p.turn; left == 5 {
		all = append(all, fmt.Sprintf("%d turns are left in this phase. Bring it to an end: ask for verification of what holds, or write notes for whoever goes on.", left))
	}
	if p.t.Purse.Lean() && !p.nudged["thrift"] {
		p.nudged["thrift"] = true
		all = append(all, "More than 80 % of the budget is spent. Be sparing: narrow reads, small edits, no detours.")
	}
	if stop, _ := errors.AsType[*runner.StopError](p.left().Closing()); stop != nil && p.ending == 0 {
		p.ending = p.turn
		all = append(all, fmt.Sprintf("The budget is nearly spent: %v. Nothing but %s, %s and %s is done from here on. The harness's checks cost nothing: ask for verification of what there is.", stop.Err, noteTool, verifyTool, giveUpTool))
	} else if !p.nudged["purse"] && p.ending == 0 && p.left().Holds(4*p.next(), 4*p.price()) != nil {
		p.nudged["purse"] = true
		all = append(all, "The budget is nearly spent: three or four replies are left. Bring the work to an end or write notes for whoever goes on.")
	}
	if p.ending > 0 && p.turn-p.ending == mostClosing {
		p.stopped("the budget is nearly spent, and it did not come to an end in %d replies", mostClosing)
		return "[harness] The phase ends here.", true
	}
	if len(all) == 0 {
		return "", false
	}
	p.event(Event{Step: "nudge", Text: strings.Join(all, " ")})
	return "[harness] " + strings.Join(all, "\n[harness] "), false
}
