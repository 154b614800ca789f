package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	openai "github.com/sashabaranov/go-openai"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// once makes one request. Either the reply is whole or there is a fault; what
// was used counts in both cases.
func (c *Client) once(ctx context.Context, r agent.Request, how manner, plain bool) (agent.Reply, *fault) {
	ctx, w := watch(ctx, c.first, c.idle, c.whole, c.late)
	defer w.stop()
	form := c.form(how)
	x := &exchange{watch: w, messages: c.written(r.Messages, form), heavier: form.heavier(r.Messages), more: c.cacheFields(how), plain: plain}

	var a answer
	err := c.stream(context.WithValue(ctx, exchangeKey{}, x), w, r, how, plain, &a)
	if cause := context.Cause(ctx); errors.Is(cause, errSilent) || errors.Is(cause, errLong) {
		err = cause // HTTP/2 says only that the context was cancelled
	}
	reply := agent.Reply{}
	// Whoever ended after the finish reason has said all there is to say.
	f := c.fault(x, a.finish, err)
	if f == nil || a.usage != nil || a.bytes > 0 || f.kind == cut && x.status == 200 {
		reply.Usage, reply.Prompt = c.charge(a.usage, x.sent-x.heavier, a.bytes)
	}
	if f != nil && f.filtered {
		reply.Finish = agent.FinishFilter
		return reply, nil
	}
	if f != nil {
		return reply, f
	}
	turn, taken := history(r)
	got := a.done(turn, taken, c.form(how).from)
	got.Usage, got.Prompt = reply.Usage, reply.Prompt
	c.notice(&a, x)
	return got, nil
}

// stream sends the request and gathers the reply. A nil error means only that
// the stream is over.
func (c *Client) stream(ctx context.Context, w *watcher, r agent.Request, how manner, plain bool, a *answer) error {
	s, take, err := c.begin(ctx, r, how, plain, a)
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
		heard, err := take(raw)
		if err != nil {
			return err
		}
		if heard.said != nil {
			return &saidError{heard.said}
		}
		if max(a.held, a.bytes) > mostHeld || len(a.calls) > mostCalls {
			a.finish, a.cutOff = string(agent.FinishLength), true
		}
		if heard.over || a.cutOff {
			return nil
		}
		if a.finish != "" {
			w.complete()
		}
	}
}

// A rawStream is the library's, of either API.
type rawStream interface {
	RecvRaw() ([]byte, error)
	Close() error
}

// begin sends the request; take reads what comes back.
func (c *Client) begin(ctx context.Context, r agent.Request, how manner, plain bool, a *answer) (s rawStream, take func([]byte) (heard, error), err error) {
	if how.responses {
		s, err := c.api.CreateResponseStream(ctx, c.responsesRequest(r, how))
		return s, a.hear, err
	}
	s, err = c.api.CreateChatCompletionStream(ctx, c.chatRequest(r, how, plain))
	return s, a.add, err
}

// A saidError is an error that the provider sent inside a stream.
type saidError struct{ raw json.RawMessage }

func (e *saidError) Error() string { return string(e.raw) }

// chatRequest is r in the library's types, without the messages.
func (c *Client) chatRequest(r agent.Request, how manner, plain bool) openai.ChatCompletionRequest {
	req := openai.ChatCompletionRequest{Model: c.name, ReasoningEffort: c.effort}
	if how.usage && !plain {
		req.StreamOptions = &openai.StreamOptions{IncludeUsage: true}
	}
	switch {
	case how.open:
	case how.newer:
		req.MaxCompletionTokens = r.MaxOut
	default:
		req.MaxTokens = r.MaxOut //nolint:staticcheck // the only name that most other servers know
	}
	for _, f := range functions(r.Tools) {
		req.Tools = append(req.Tools, openai.Tool{Type: openai.ToolTypeFunction, Function: &f})
	}
	return req
}

// functions are the tools in the library's types.
func functions(tools []agent.ToolSpec) []openai.FunctionDefinition {
	var all []openai.FunctionDefinition
	for _, t := range tools {
		f := openai.FunctionDefinition{Name: t.Name, Description: t.Description, Parameters: t.Parameters}
		if len(t.Parameters) == 0 {
			f.Parameters = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		all = append(all, f)
	}
	return all
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

// another says whether the provider names another model than was asked for.
// Most name a version of it, or leave out whose it is.
func another(asked, named string) bool {
	last := func(s string) string { return strings.ToLower(s[strings.LastIndexByte(s, '/')+1:]) }
	a, n := last(asked), last(named)
	return named != "" && !strings.Contains(a, n) && !strings.Contains(n, a)
}

// notice says once when another model answers than was asked for, and when the
// server seems to have dropped part of the conversation. Ollama does so silently
// beyond its num_ctx.
func (c *Client) notice(a *answer, x *exchange) {
	c.mu.Lock()
	other := another(c.name, a.model) && c.other != a.model
	if other {
		c.other = a.model
	}
	c.mu.Unlock()
	if other {
		c.log(fmt.Sprintf("model %s: the provider says that %.100s has answered; its tokens are counted at the price of what was asked for", c.name, c.clean(a.model)))
	}
	sent := x.sent - x.heavier
	if a.usage == nil || sent < 24_000 || a.usage.prompt*12 > int64(sent) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.short {
		c.short = true
		c.log(fmt.Sprintf("model %s: counts %d tokens in a request of %d bytes; the server may cut conversations, see its context length (num_ctx)",
			c.name, a.usage.prompt, sent))
	}
}
