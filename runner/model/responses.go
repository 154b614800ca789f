package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	openai "github.com/sashabaranov/go-openai"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// The Responses API, stateless: nothing is stored with the provider, each
// request brings the whole conversation, and the model's reasoning comes along
// encrypted and goes back as it came.
// https://platform.openai.com/docs/guides/reasoning#encrypted-reasoning-items

// responsesRequest is r in the library's types, without the messages.
func (c *Client) responsesRequest(r agent.Request, how manner) openai.CreateResponseRequest {
	store := false
	req := openai.CreateResponseRequest{Model: c.name, MaxOutputTokens: r.MaxOut, Store: &store, Stream: true}
	if how.sealed {
		req.Include = []openai.ResponseInclude{openai.ResponseIncludeReasoningEncryptedContent}
	}
	if c.effort != "" {
		req.Reasoning = &openai.ResponseReasoning{Effort: c.effort}
	}
	for _, f := range functions(r.Tools) {
		tool := openai.NewResponseFunctionTool(f)
		tool.Parameters["strict"] = false // the default here is true, and no schema with an optional field fits that
		req.Tools = append(req.Tools, tool)
	}
	return req
}

// item writes m as input items.
func (f form) item(dst []byte, m agent.Message) []byte {
	switch {
	case m.Role == agent.Result:
		dst = append(dst, `{"type":"function_call_output","call_id":`...)
		dst = quote(dst, m.CallID)
		dst = append(dst, `,"output":`...)
		dst = quote(dst, content(m))
		return append(dst, '}')
	case len(f.seen(m)) > 0:
		return pictured(dst, m)
	case m.Role != agent.Assistant:
		return message(dst, m.Role, f.content(m))
	}
	if raw := f.raw(m); raw != nil {
		if out, ok := replay(dst, m, raw); ok {
			return out
		}
	}
	start := len(dst)
	if text := content(m); text != "" {
		dst = message(dst, agent.Assistant, text)
	}
	for _, k := range m.Calls {
		dst = functionCall(comma(dst, start), k)
	}
	return dst
}

func message(dst []byte, role agent.Role, text string) []byte {
	dst = append(dst, `{"type":"message","role":`...)
	dst = quote(dst, string(role))
	dst = append(dst, `,"content":`...)
	dst = quote(dst, text)
	return append(dst, '}')
}

// pictured writes a message with pictures.
func pictured(dst []byte, m agent.Message) []byte {
	dst = append(dst, `{"type":"message","role":`...)
	dst = quote(dst, string(m.Role))
	dst = append(dst, `,"content":[{"type":"input_text","text":`...)
	dst = quote(dst, content(m))
	for _, i := range m.Images {
		dst = append(dst, `},{"type":"input_image","detail":"auto","image_url":`...)
		dst = dataURL(dst, i)
	}
	return append(dst, `}]}`...)
}

func functionCall(dst []byte, k agent.Call) []byte {
	dst = append(dst, `{"type":"function_call","call_id":`...)
	dst = quote(dst, k.ID)
	dst = append(dst, `,"name":`...)
	dst = quote(dst, k.Name)
	dst = append(dst, `,"arguments":`...)
	dst = quote(dst, object(k.Args))
	return append(dst, '}')
}

// comma separates what comes next from what was written since start.
func comma(dst []byte, start int) []byte {
	if len(dst) > start {
		return append(dst, ',')
	}
	return dst
}

// replay writes the output items of a reply as they came and in their order,
// reasoning before the calls that it led to. What the agent has changed since (a
// call's mended arguments, text that was no text) is written anew, without the
// id by which the provider knows another version. ok is false if the items
// are not those of m.
func replay(dst []byte, m agent.Message, raw []json.RawMessage) (_ []byte, ok bool) {
	start, calls, texts := len(dst), m.Calls, 0
	var said []string
	for _, r := range raw {
		if it := readItem(r); it.kind == "message" {
			said = append(said, it.text)
		}
	}
	asItCame := strings.Join(said, between) == m.Content
	for _, r := range raw {
		it := readItem(r)
		switch {
		case it.kind == "function_call" && len(calls) == 0:
			return dst[:start], false
		case it.kind == "function_call":
			k := calls[0]
			calls = calls[1:]
			if dst = comma(dst, start); k == it.call && object(k.Args) == k.Args {
				dst = append(dst, r...)
			} else {
				dst = functionCall(dst, k)
			}
			continue
		case it.kind == "message" && !asItCame:
			if texts++; texts == 1 && m.Content != "" {
				dst = message(comma(dst, start), agent.Assistant, m.Content)
			}
			continue
		}
		dst = append(comma(dst, start), r...)
	}
	return dst, len(calls) == 0 && len(dst) > start
}

// between stands between the texts of a reply that has several.
const between = "\n\n"

// An item is one of a reply's output items.
type item struct {
	index int
	raw   json.RawMessage

	kind    string
	text    string
	refusal string
	call    agent.Call
	cut     bool
	empty   bool // of reasoning that holds nothing but its name
}

func readItem(raw json.RawMessage) item {
	var in part
	if json.Unmarshal(raw, &in) != nil {
		return item{raw: raw}
	}
	it := item{raw: raw, kind: text(in["type"]), cut: text(in["status"]) == "incomplete"}
	switch it.kind {
	case "message":
		it.text = text(in["content"])
		var parts []struct{ Type, Text, Refusal string }
		if json.Unmarshal(in["content"], &parts) == nil {
			for _, p := range parts {
				if p.Type == "output_text" {
					it.text += p.Text
				}
				it.refusal += p.Refusal
			}
		}
	case "function_call":
		it.call = agent.Call{ID: text(in["call_id"]), Name: text(in["name"]), Args: arguments(in["arguments"])}
	case "reasoning":
		it.empty = text(in["encrypted_content"]) == "" && len(in["content"]) <= len("null")
	}
	return it
}

// A responseEvent is an event of the Responses API, or a response in one piece.
type responseEvent struct {
	response
	Type     openai.ResponseStreamEventType `json:"type"`
	Index    *int                           `json:"output_index"`
	Item     json.RawMessage                `json:"item"`
	Delta    json.RawMessage                `json:"delta"`
	Response *response                      `json:"response"`
}

type response struct {
	Object     string            `json:"object"`
	Status     json.RawMessage   `json:"status"`
	Output     []json.RawMessage `json:"output"`
	Error      json.RawMessage   `json:"error"`
	Usage      json.RawMessage   `json:"usage"`
	Model      json.RawMessage   `json:"model"`
	Incomplete struct {
		Reason string `json:"reason"`
	} `json:"incomplete_details"`
}

// hear takes one event of a response. An event that is no JSON is an error.
func (a *answer) hear(raw []byte) (heard, error) {
	var e responseEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		return heard{}, fmt.Errorf("read an event of the reply: %w", err)
	}
	switch e.Type { //nolint:exhaustive // all others bring pieces of what comes whole later
	case openai.ResponseStreamEventOutputItemDone:
		at := len(a.items)
		if e.Index != nil {
			at = *e.Index
		}
		a.put(at, e.Item)
	case openai.ResponseStreamEventCompleted, openai.ResponseStreamEventIncomplete, openai.ResponseStreamEventFailed:
		if e.Response != nil {
			return a.ends(*e.Response), nil
		}
	case openai.ResponseStreamEventError:
		if failed(e.Error) {
			return heard{said: e.Error}, nil
		}
		return heard{said: raw}, nil
	case "":
		if e.Object == "response" || e.Output != nil {
			return a.ends(e.response), nil
		}
		if failed(e.Error) {
			return heard{said: e.Error}, nil
		}
	default:
		a.bytes += len(text(e.Delta))
	}
	return heard{}, nil
}

func failed(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// ends takes the response as it is at its end.
func (a *answer) ends(r response) heard {
	a.model = text(r.Model)
	a.usage = readTokens(r.Usage)
	status := openai.ResponseStatus(text(r.Status))
	switch {
	case status == openai.ResponseStatusFailed && failed(r.Error):
		return heard{over: true, said: r.Error}
	case status == openai.ResponseStatusFailed:
		return heard{over: true, said: json.RawMessage(`"the response failed"`)}
	case status == openai.ResponseStatusCompleted:
		a.finish = string(agent.FinishStop)
	case status == openai.ResponseStatusIncomplete && r.Incomplete.Reason == "content_filter":
		a.finish = string(agent.FinishFilter)
	case status == openai.ResponseStatusIncomplete:
		a.finish = string(agent.FinishLength)
	default:
		return heard{over: true} // queued, in progress, cancelled: no reply
	}
	if len(a.items) == 0 { // a server that names its items at the end only, or does not stream
		for i, raw := range r.Output {
			a.put(i, raw)
		}
	}
	a.read()
	return heard{over: true}
}

// put keeps an item at its place among the others. What is no object is none: it
// would go back and spoil every request that follows.
func (a *answer) put(at int, raw json.RawMessage) {
	if !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		return
	}
	it := readItem(raw)
	it.index = at
	a.held += len(raw)
	i, found := slices.BinarySearchFunc(a.items, at, func(it item, at int) int { return it.index - at })
	if found {
		a.items[i] = it
		return
	}
	a.items = slices.Insert(a.items, i, it)
}

// read makes the reply of its items.
func (a *answer) read() {
	var texts []string
	wrote := 0
	for _, it := range a.items {
		switch it.kind {
		case "message":
			texts = append(texts, it.text)
			a.refusal.WriteString(it.refusal)
			wrote += len(it.text) + len(it.refusal)
		case "function_call":
			c := &call{id: it.call.ID, name: it.call.Name}
			c.args.WriteString(it.call.Args)
			a.calls = append(a.calls, c)
			wrote += len(it.call.Name) + len(it.call.Args)
		}
		if it.cut && a.finish == string(agent.FinishStop) {
			a.finish = string(agent.FinishLength)
		}
	}
	a.text.WriteString(strings.Join(texts, between))
	a.bytes = max(a.bytes, wrote)
}

// output is what is to go back of the reply's items: all, in their order. A
// reply that was cut is told in words, because reasoning without what followed
// from it is refused; and so is one whose reasoning came without its content,
// which nobody could find.
func (a *answer) output(end agent.Finish) []json.RawMessage {
	if end != agent.FinishStop && end != agent.FinishCalls {
		return nil // with an item that was cut, too: see read
	}
	var raw []json.RawMessage
	for _, it := range a.items {
		if it.empty {
			return nil
		}
		raw = append(raw, it.raw)
	}
	return raw
}
