package model

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// fields are what a provider sends with a message or a call beside what the
// protocol knows, gathered over the pieces of a stream. It goes back as it
// came: Gemini refuses a history without its thought signatures, DeepSeek one
// without its reasoning, OpenRouter's models think worse without it.
type fields map[string]json.RawMessage

// What the protocol knows, and what it knows to come from the model only.
var (
	ofMessage  = []string{"role", "content", "tool_calls", "refusal", "function_call", "audio", "annotations"}
	ofCall     = []string{"index", "id", "type", "function"}
	ofFunction = []string{"name", "arguments"}
)

// take adds what part has beside the known names.
func (f *fields) take(part map[string]json.RawMessage, known []string) (bytes int) {
	for name, raw := range part {
		if string(raw) == "null" || slices.Contains(known, name) {
			continue
		}
		if *f == nil {
			*f = fields{}
		}
		(*f)[name] = join((*f)[name], raw)
		bytes += len(raw)
	}
	return bytes
}

// join is a field of which another piece came: texts and lists go on, anything
// else is new.
func join(old, more json.RawMessage) json.RawMessage {
	switch {
	case len(old) >= 2 && len(more) >= 2 && old[0] == '"' && more[0] == '"':
		return append(old[:len(old)-1], more[1:]...)
	case len(old) >= 2 && len(more) >= 2 && old[0] == '[' && more[0] == '[':
		if len(bytes.TrimSpace(more[1:len(more)-1])) == 0 {
			return old
		}
		old = old[:len(old)-1]
		if len(bytes.TrimSpace(old)) > 1 {
			old = append(old, ',')
		}
		return append(old, more[1:]...)
	}
	return bytes.Clone(more)
}

// object writes the fields as a JSON object, each as it came.
func (f fields) object() json.RawMessage {
	out := []byte{'{'}
	for i, name := range slices.Sorted(maps.Keys(f)) {
		raw := f[name]
		switch {
		case name == "reasoning" && f["reasoning_details"] != nil:
			continue // the same again, without the signatures
		case name == "reasoning_details":
			raw = details(raw)
		}
		if i > 0 && len(out) > 1 {
			out = append(out, ',')
		}
		out = append(quote(out, name), ':')
		out = append(out, raw...)
	}
	return append(out, '}')
}

// details are OpenRouter's reasoning details, with the pieces of one text put
// together: a stream brings each block in many, and the blocks are what must
// come back. What came whole is not touched.
func details(raw json.RawMessage) json.RawMessage {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return raw
	}
	var out []json.RawMessage
	var last detail
	joined := false
	for _, item := range list {
		var d detail
		_ = json.Unmarshal(item, &d) // what is no object stays as it is
		if len(out) > 0 && d.continues(last) {
			out[len(out)-1] = d.onto(out[len(out)-1])
			joined = true
		} else {
			out = append(out, item)
		}
		last = d
	}
	if !joined {
		return raw
	}
	all := []byte{'['}
	for i, item := range out {
		if i > 0 {
			all = append(all, ',')
		}
		all = append(all, item...)
	}
	return append(all, ']')
}

type detail map[string]json.RawMessage

// continues says whether d is another piece of the block that last belongs to.
func (d detail) continues(last detail) bool {
	kind := text(d["type"])
	if kind != "reasoning.text" && kind != "reasoning.summary" || kind != text(last["type"]) {
		return false
	}
	return string(d["index"]) == string(last["index"]) && (text(d["id"]) == text(last["id"]) || text(d["id"]) == "")
}

// onto is the block with the piece d.
func (d detail) onto(block json.RawMessage) json.RawMessage {
	var all detail
	if json.Unmarshal(block, &all) != nil {
		return block
	}
	for name, raw := range d {
		switch {
		case string(raw) == "null":
		case name == "text" || name == "summary":
			all[name] = join(all[name], raw)
		default:
			all[name] = raw
		}
	}
	out := []byte{'{'}
	for i, name := range slices.Sorted(maps.Keys(all)) {
		out = append(append(quote(append(out, separator(i, "")...), name), ':'), all[name]...)
	}
	return append(out, '}')
}

// A chatEcho is what came with a chat message, split to where it belongs.
type chatEcho struct {
	message json.RawMessage
	calls   []callEcho
}

type callEcho struct{ call, function json.RawMessage }

// echo is what came with the reply: a JSON object for the message and two for
// each call. Nil if nothing did.
func (a *answer) echo() []json.RawMessage {
	if len(a.calls) == 0 { // a thought goes back with the calls that it led to, else nobody wants it
		delete(a.extra, "reasoning")
		delete(a.extra, "reasoning_content")
	}
	some := len(a.extra) > 0
	raw := []json.RawMessage{a.extra.object()}
	for _, c := range a.calls {
		some = some || len(c.extra) > 0 || len(c.inner) > 0
		raw = append(raw, c.extra.object(), c.inner.object())
	}
	if !some {
		return nil
	}
	return raw
}

// splitEcho undoes that for a message with so many calls.
func splitEcho(raw []json.RawMessage, calls int) chatEcho {
	e := chatEcho{calls: make([]callEcho, calls)}
	if len(raw) != 1+2*calls {
		return e // of another message, or none
	}
	e.message = raw[0]
	for i := range calls {
		e.calls[i] = callEcho{raw[1+2*i], raw[2+2*i]}
	}
	return e
}
