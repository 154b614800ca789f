package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// An answer is a reply as it arrives, event after event.
type answer struct {
	text, refusal, thought strings.Builder

	reasoning bool // the thought came as reasoning_content, which is owed back
	calls     []*call
	at        map[int]*call // the newest call with an index
	finish    string
	usage     *tokens
	bytes     int // of what the model wrote
}

// A call is a tool call that arrives in pieces.
type call struct {
	id, name string
	args     strings.Builder
	extra    json.RawMessage
}

// chunk is one event, or a completion in one piece. It is our own type because
// the library's refuses arguments that are an object, among others.
type chunk struct {
	Choices []choice        `json:"choices"`
	Usage   json.RawMessage `json:"usage"`
	Error   json.RawMessage `json:"error"`
}

type choice struct {
	Index   int     `json:"index"`
	Delta   *part   `json:"delta"`
	Message *part   `json:"message"`
	Finish  *string `json:"finish_reason"`
}

type part struct {
	Content   json.RawMessage `json:"content"`
	Refusal   json.RawMessage `json:"refusal"`
	Reasoning json.RawMessage `json:"reasoning"`
	Thought   json.RawMessage `json:"reasoning_content"`
	Calls     []callPart      `json:"tool_calls"`
}

type callPart struct {
	Index    *int            `json:"index"`
	ID       json.RawMessage `json:"id"`
	Function struct {
		Name json.RawMessage `json:"name"`
		Args json.RawMessage `json:"arguments"`
	} `json:"function"`
	Extra json.RawMessage `json:"extra_content"`
}

// add takes one event. The raw error object of an event that carries one comes
// back; an event that is no JSON is an error.
func (a *answer) add(raw []byte) (json.RawMessage, error) {
	var c chunk
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("read an event of the reply: %w", err)
	}
	if u := readTokens(c.Usage); u != nil {
		a.usage = u
	}
	if len(c.Error) > 0 && string(c.Error) != "null" {
		return c.Error, nil
	}
	for _, ch := range c.Choices {
		if ch.Index != 0 {
			continue
		}
		for _, p := range []*part{ch.Delta, ch.Message} {
			if p != nil {
				a.take(p)
			}
		}
		if ch.Finish != nil && *ch.Finish != "" {
			a.finish = *ch.Finish
		}
	}
	return nil, nil
}

func (a *answer) take(p *part) {
	a.write(&a.text, text(p.Content))
	a.write(&a.refusal, text(p.Refusal))
	a.write(&a.thought, text(p.Reasoning))
	if t := text(p.Thought); t != "" {
		a.reasoning = true
		a.write(&a.thought, t)
	}
	for _, d := range p.Calls {
		name, args := text(d.Function.Name), arguments(d.Function.Args)
		c := a.call(d.Index, text(d.ID), name, args)
		if c.name == "" {
			c.name = name // some servers repeat it in every piece
		}
		a.write(&c.args, args)
		a.bytes += len(name)
		if len(d.Extra) > 0 {
			c.extra = bytes.Clone(d.Extra)
		}
	}
}

func (a *answer) write(b *strings.Builder, s string) {
	b.WriteString(s)
	a.bytes += len(s)
}

// call finds the call that a piece belongs to, or begins one. Servers are
// meant to number the pieces; there are some that number all calls 0, some
// that leave the number out, and some whose ids are all the same.
func (a *answer) call(index *int, id, name, args string) *call {
	if a.at == nil {
		a.at = map[int]*call{}
	}
	var c *call
	switch {
	case index != nil:
		c = a.at[*index]
	case id != "":
		if i := slices.IndexFunc(a.calls, func(c *call) bool { return c.id == id }); i >= 0 {
			c = a.calls[i]
		}
	case len(a.calls) > 0:
		c = a.calls[len(a.calls)-1]
	}
	switch {
	case c == nil:
		c = a.begin(index, id)
	case id != "" && c.id != "" && id != c.id && name != "": // another id under the same number
		c = a.begin(index, id)
	case name != "" && args != "" && c.whole(): // the call before is complete, and this piece names one
		c = a.begin(index, id)
	case index == nil && id == "" && name != "" && c.name != "" && (name != c.name || c.args.Len() == 0 && args != ""):
		c = a.begin(index, id)
	}
	if c.id == "" {
		c.id = id
	}
	return c
}

func (c *call) whole() bool {
	return c.args.Len() > 0 && json.Valid([]byte(c.args.String()))
}

func (a *answer) begin(index *int, id string) *call {
	c := &call{id: id}
	a.calls = append(a.calls, c)
	if index != nil {
		a.at[*index] = c
	}
	return c
}

// done returns the reply as the agent is to see it. taken are the call ids of
// the conversation so far; a call without an id of its own gets one.
func (a *answer) done(turn int, taken map[string]bool) agent.Reply {
	r := agent.Reply{Content: a.text.String(), Finish: a.end()}
	for i, c := range a.calls {
		if c.id == "" || taken[c.id] {
			for c.id = fmt.Sprintf("c%d_%d", turn, i); taken[c.id]; {
				c.id += "x"
			}
		}
		taken[c.id] = true
		args := c.args.String()
		if strings.TrimSpace(args) == "" {
			args = "{}"
		}
		r.Calls = append(r.Calls, agent.Call{ID: c.id, Name: c.name, Args: args})
	}
	if r.Content == "" && len(r.Calls) == 0 && a.refusal.Len() > 0 {
		r.Content, r.Finish = a.refusal.String(), agent.FinishFilter
	}
	return r
}

// end translates the finish reason. Servers disagree on what a reply with calls
// ends with; that it was cut is what must not be lost.
func (a *answer) end() agent.Finish {
	switch a.finish {
	case "length", "max_tokens", "MAX_TOKENS", "model_length", "context_window_exceeded":
		return agent.FinishLength
	case "content_filter", "safety", "SAFETY", "refusal":
		return agent.FinishFilter
	}
	if len(a.calls) > 0 {
		return agent.FinishCalls
	}
	return agent.FinishStop
}

// text reads what should be a string: null is "", parts are joined, a number is
// its digits.
func text(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if json.Unmarshal(raw, &parts) == nil {
		for _, p := range parts {
			if p.Type == "" || p.Type == "text" {
				s += p.Text
			}
		}
		return s
	}
	if raw[0] == '{' {
		return ""
	}
	return string(raw)
}

// arguments reads a call's arguments: text that holds JSON, as the protocol has
// it, or the JSON itself.
func arguments(raw json.RawMessage) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	var s string
	if raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}
