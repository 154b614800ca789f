package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"

	openai "github.com/sashabaranov/go-openai"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// once makes one request. Either the reply is whole or there is a fault; what
// was used counts in both cases.
func (c *Client) once(ctx context.Context, r agent.Request, plain bool) (agent.Reply, *fault) {
	ctx, seen, stop := watch(ctx, c.first, c.idle)
	defer stop()
	x := &exchange{seen: seen, edit: c.edit(r, plain)}

	var a answer
	err := c.stream(context.WithValue(ctx, exchangeKey{}, x), c.request(r), &a)
	if errors.Is(context.Cause(ctx), errSilent) { // HTTP/2 says only that the context was cancelled
		err = errSilent
	}
	reply := agent.Reply{}
	// Whoever ended after the finish reason has said all there is to say.
	f := c.fault(x, a.finish, err)
	if f == nil || a.usage != nil || a.bytes > 0 || f.kind == cut && x.status == 200 {
		reply.Usage, reply.Prompt = c.charge(a.usage, x.sent, a.bytes)
	}
	if f != nil {
		return reply, f
	}
	turn, taken := history(r)
	got := a.done(turn, taken)
	got.Usage, got.Prompt = reply.Usage, reply.Prompt
	c.remember(&a, got)
	c.notice(&a, x)
	return got, nil
}

// stream sends the request and gathers the reply. A nil error means only that
// the stream is over.
func (c *Client) stream(ctx context.Context, req openai.ChatCompletionRequest, a *answer) error {
	s, err := c.api.CreateChatCompletionStream(ctx, req)
	if err != nil {
		return err
	}
	defer s.Close()
	for {
		raw, err := s.RecvRaw()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		said, err := a.add(raw)
		if err != nil {
			return err
		}
		if said != nil {
			return &saidError{said}
		}
	}
}

// A saidError is an error that the provider sent inside a stream.
type saidError struct{ raw json.RawMessage }

func (e *saidError) Error() string { return string(e.raw) }

// request is r in the library's types.
func (c *Client) request(r agent.Request) openai.ChatCompletionRequest {
	req := openai.ChatCompletionRequest{
		Model:           c.name,
		ReasoningEffort: c.effort,
		StreamOptions:   &openai.StreamOptions{IncludeUsage: true},
	}
	if c.newer {
		req.MaxCompletionTokens = r.MaxOut
	} else {
		req.MaxTokens = r.MaxOut //nolint:staticcheck // the only name that most other servers know
	}
	for _, t := range r.Tools {
		f := &openai.FunctionDefinition{Name: t.Name, Description: t.Description, Parameters: t.Parameters}
		if len(t.Parameters) == 0 {
			f.Parameters = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		req.Tools = append(req.Tools, openai.Tool{Type: openai.ToolTypeFunction, Function: f})
	}
	for _, m := range r.Messages {
		req.Messages = append(req.Messages, c.message(m))
	}
	return req
}

func (c *Client) message(m agent.Message) openai.ChatCompletionMessage {
	out := openai.ChatCompletionMessage{Role: string(m.Role), Content: m.Content, ToolCallID: m.CallID}
	// The library leaves an empty content out, and servers refuse what is left.
	switch {
	case m.Content != "":
	case m.Role == agent.Result:
		out.Content = "(no output)"
	case len(m.Calls) == 0:
		out.Content = "(empty)"
	}
	for _, k := range m.Calls {
		out.ToolCalls = append(out.ToolCalls, openai.ToolCall{
			ID: k.ID, Type: openai.ToolTypeFunction,
			Function: openai.FunctionCall{Name: k.Name, Arguments: object(k.Args)},
		})
	}
	if len(m.Calls) > 0 {
		out.ReasoningContent = c.owes(m.Calls[0].ID).thought
	}
	return out
}

// object is args if that is a JSON object. Several servers answer 400 to a
// history with anything else in it, long after the model was told of its
// mistake.
func object(args string) string {
	var o map[string]json.RawMessage
	if json.Unmarshal([]byte(args), &o) != nil || o == nil {
		return "{}"
	}
	return args
}

// history is the number of this turn and the call ids that are taken.
func history(r agent.Request) (turn int, taken map[string]bool) {
	turn, taken = 1, map[string]bool{}
	for _, m := range r.Messages {
		if m.Role == agent.Assistant {
			turn++
		}
		for _, k := range m.Calls {
			taken[k.ID] = true
		}
	}
	return turn, taken
}

// owed is what a provider wants to see again with a call it made, and what the
// library's types have no place for: Gemini's thought signatures refuse the
// request where they are missing, and so does the reasoning of DeepSeek.
type owed struct {
	extra   json.RawMessage
	thought string
}

func (c *Client) owes(id string) owed {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.owed[id]
}

func (c *Client) remember(a *answer, r agent.Reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, k := range r.Calls {
		o := owed{extra: a.calls[i].extra}
		if i == 0 && a.reasoning {
			o.thought = a.thought.String()
		}
		if o.extra == nil && o.thought == "" {
			delete(c.owed, k.ID) // another conversation's call had this id
			continue
		}
		c.owed[k.ID] = o
	}
}

// edit returns what the transport is to do to the request's body: put back
// what the calls owe, and ask for the reply in one piece if plain.
func (c *Client) edit(r agent.Request, plain bool) func([]byte) ([]byte, error) {
	extra := map[string]json.RawMessage{}
	for _, m := range r.Messages {
		for _, k := range m.Calls {
			if o := c.owes(k.ID); o.extra != nil {
				extra[k.ID] = o.extra
			}
		}
	}
	if len(extra) == 0 && !plain {
		return nil
	}
	return func(body []byte) ([]byte, error) {
		var top map[string]json.RawMessage
		if err := json.Unmarshal(body, &top); err != nil {
			return nil, err
		}
		if plain {
			top["stream"] = json.RawMessage("false")
			delete(top, "stream_options")
		}
		if len(extra) > 0 {
			var err error
			if top["messages"], err = splice(top["messages"], extra); err != nil {
				return nil, err
			}
		}
		return json.Marshal(top)
	}
}

// splice adds its extra content to every call that has some.
func splice(messages json.RawMessage, extra map[string]json.RawMessage) (json.RawMessage, error) {
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(messages, &list); err != nil {
		return nil, err
	}
	for _, m := range list {
		if m["tool_calls"] == nil {
			continue
		}
		var calls []map[string]json.RawMessage
		if err := json.Unmarshal(m["tool_calls"], &calls); err != nil {
			return nil, err
		}
		for _, k := range calls {
			if e, ok := extra[text(k["id"])]; ok {
				maps.Copy(k, map[string]json.RawMessage{"extra_content": e})
			}
		}
		var err error
		if m["tool_calls"], err = json.Marshal(calls); err != nil {
			return nil, err
		}
	}
	return json.Marshal(list)
}

// notice says once when the server seems to have dropped part of the
// conversation. Ollama does so silently beyond its num_ctx.
func (c *Client) notice(a *answer, x *exchange) {
	if a.usage == nil || x.sent < 24_000 || a.usage.prompt*12 > int64(x.sent) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.short {
		c.short = true
		c.log(fmt.Sprintf("model %s: counts %d tokens in a request of %d bytes; the server may cut conversations, see its context length (num_ctx)",
			c.name, a.usage.prompt, x.sent))
	}
}
