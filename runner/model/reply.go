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
	text, refusal strings.Builder

	calls  []*call
	at     map[int]*call // the newest call with an index
	extra  fields        // of the message
	items  []item        // of a reply of the Responses API
	finish string
	model  string // who the provider says has answered
	usage  *tokens
	bytes  int // of what the model wrote
	held   int // of what is kept of it
	cutOff bool
}

// A call is a tool call that arrives in pieces.
type call struct {
	id, name string
	args     strings.Builder
	extra    fields // of the call
	inner    fields // of its function
}

// chunk is one event, or a completion in one piece. It is our own type because
// the library's refuses arguments that are an object, among others, and drops
// what it does not know.
type chunk struct {
	Model   json.RawMessage `json:"model"`
	Choices []choice        `json:"choices"`
	Usage   json.RawMessage `json:"usage"`
	Error   json.RawMessage `json:"error"`
}

type choice struct {
	Index   int     `json:"index"`
	Delta   part    `json:"delta"`
	Message part    `json:"message"`
	Finish  *string `json:"finish_reason"`
}

// A part is an object of which any field may be anything.
type part map[string]json.RawMessage

// heard is what an event says beside its part of the reply: that it was the
// last, or that the provider met with an error, in its own words.
type heard struct {
	over bool
	said json.RawMessage
}

// add takes one event of a chat. An event that is no JSON is an error.
func (a *answer) add(raw []byte) (heard, error) {
	var c chunk
	if err := json.Unmarshal(raw, &c); err != nil {
		return heard{}, fmt.Errorf("read an event of the reply: %w", err)
	}
	if u := readTokens(c.Usage); u != nil {
		a.usage = u
	}
	if name := text(c.Model); name != "" {
		a.model = name
	}
	if len(c.Error) > 0 && string(c.Error) != "null" {
		return heard{said: c.Error}, nil
	}
	for _, ch := range c.Choices {
		if ch.Index != 0 {
			continue
		}
		a.take(ch.Delta)
		a.take(ch.Message)
		if ch.Finish != nil && *ch.Finish != "" {
			a.finish = *ch.Finish
		}
	}
	return heard{}, nil
}

func (a *answer) take(p part) {
	a.write(&a.text, text(p["content"]))
	a.write(&a.refusal, text(p["refusal"]))
	a.bytes += len(text(p["reasoning"])) + len(text(p["reasoning_content"]))
	a.held += a.extra.take(p, ofMessage)
	var calls []part
	_ = json.Unmarshal(p["tool_calls"], &calls) // null, or nothing we know
	for _, d := range calls {
		var function part
		_ = json.Unmarshal(d["function"], &function)
		var index *int
		_ = json.Unmarshal(d["index"], &index)
		name, args := text(function["name"]), arguments(function["arguments"])
		c := a.call(index, text(d["id"]), name, args)
		if c.name == "" {
			c.name = name // some servers repeat it in every piece
		}
		a.write(&c.args, args)
		a.bytes += len(name)
		a.held += len(name) + c.extra.take(d, ofCall) + c.inner.take(function, ofFunction)
	}
}

func (a *answer) write(b *strings.Builder, s string) {
	b.WriteString(s)
	a.bytes += len(s)
	a.held += len(s)
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
	args := c.args.String()
	return strings.HasSuffix(args, "}") && json.Valid([]byte(args))
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
// the conversation so far; a call without an id of its own gets one. from is who
// may see again what came with the reply.
func (a *answer) done(turn int, taken map[string]bool, from string) agent.Reply {
	r := agent.Reply{Content: a.text.String(), Finish: a.end()}
	if a.cutOff {
		r.Content = strings.ToValidUTF8(r.Content[:min(len(r.Content), 16<<10)], "")
		a.calls = a.calls[:min(len(a.calls), mostCalls)]
		a.extra, a.items = nil, nil
	}
	for i, c := range a.calls {
		if c.id == "" || taken[c.id] {
			for c.id = fmt.Sprintf("c%d_%d", turn, i); taken[c.id]; {
				c.id += "x"
			}
		}
		taken[c.id] = true
		args := c.args.String()
		if a.cutOff {
			args = "" // nobody runs it, and nobody wants to see it again
		}
		if strings.TrimSpace(args) == "" {
			args = "{}"
		}
		r.Calls = append(r.Calls, agent.Call{ID: c.id, Name: c.name, Args: args})
	}
	if r.Content == "" && len(r.Calls) == 0 && a.refusal.Len() > 0 {
		r.Content, r.Finish = a.refusal.String(), agent.FinishFilter
	}
	if raw := a.came(r.Finish); raw != nil {
		r.Echo = &agent.Echo{From: from, Raw: raw}
	}
	return r
}

// came is what the provider wants to see again with this reply, nil if nothing.
func (a *answer) came(end agent.Finish) []json.RawMessage {
	if a.items != nil {
		return a.output(end)
	}
	return a.echo()
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
			if p.Type == "" || p.Type == "text" || p.Type == "input_text" {
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
