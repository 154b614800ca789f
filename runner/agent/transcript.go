package agent

import (
	"encoding/json"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// An Event is live progress of a phase, for people. Text from the model is in
// Arg and Text: whoever prints it makes it safe.
type Event struct {
	Feature string
	Attempt int
	Phase   runner.Phase
	Repair  int
	Turn    int
	Step    string       // reply, call, masked, compacted, nudge, recovery
	Tool    string       // of a call
	Arg     string       // what is most telling of its arguments, short
	Text    string       // start of the reply or of the result
	Usage   runner.Usage // of the phase so far
	Context float64      // of the window, 0 to 1
}

func (p *phase) event(e Event) {
	if p.a.o.Event == nil {
		return
	}
	e.Feature, e.Attempt, e.Phase, e.Repair, e.Turn = p.t.Feature.ID, p.t.Attempt, p.t.Phase, p.t.Repair, p.turn
	e.Usage = p.claim.Usage
	if w := p.a.o.Model.Window(); w > 0 {
		e.Context = float64(p.c.estimate()) / float64(w)
	}
	p.a.o.Event(e)
}

// line is one message in the transcript.
type line struct {
	Feature string       `json:"feature"`
	Attempt int          `json:"attempt"`
	Phase   runner.Phase `json:"phase"`
	Repair  int          `json:"repair,omitempty"`
	Turn    int          `json:"turn,omitempty"`
	Role    Role         `json:"role"`
	Content string       `json:"content,omitempty"`
	Calls   []Call       `json:"calls,omitempty"`
	CallID  string       `json:"call_id,omitempty"`
	Images  []string     `json:"images,omitempty"` // what they are
	Tokens  int64        `json:"tokens,omitempty"` // of the phase so far

	Used *runner.Usage `json:"used,omitempty"` // of an assistant message: by the call that it came from
}

// say appends m to the conversation and to the transcript.
func (p *phase) say(m Message) {
	p.c.msgs = append(p.c.msgs, m)
	p.record(m)
}

// record writes m to the transcript. That a line could not be written costs
// nothing but the line: the transcript proves nothing.
func (p *phase) record(m Message) {
	if p.a.o.Transcript == nil {
		return
	}
	l := line{
		Feature: p.t.Feature.ID, Attempt: p.t.Attempt, Phase: p.t.Phase, Repair: p.t.Repair, Turn: p.turn,
		Role: m.Role, Content: m.Content, Calls: m.Calls, CallID: m.CallID, Images: captions(m.Images), Tokens: p.claim.Usage.Tokens,
	}
	if m.Role == Assistant {
		l.Used = &p.used
	}
	b, err := json.Marshal(l)
	if err == nil {
		_, _ = p.a.o.Transcript.Write(append(b, '\n'))
	}
}

// telling is what a person wants to see of a call's arguments.
func telling(c Call) string {
	var in map[string]any
	if json.Unmarshal([]byte(c.Args), &in) != nil {
		return ""
	}
	for _, name := range []string{"path", "command", "pattern", "glob", "scope", "url", "ref", "id", "kind", "action", "text", "summary"} {
		if s, ok := in[name].(string); ok && s != "" {
			return oneLine(s, 120)
		}
	}
	return ""
}
