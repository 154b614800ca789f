package model

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"unicode/utf8"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// A form says how messages are written for a provider: the same messages have
// the same bytes in the same form.
type form struct {
	responses bool   // as input items of the Responses API, not as chat messages
	bare      bool   // without what came with the replies
	blind     bool   // without pictures
	from      string // whose echoes are written
}

// append writes m to dst, as one element of a JSON array or several with commas
// between them.
//
// It is ours and not the library's, which has no place for what a provider wants
// to see again, leaves an empty content out, and escapes what JSON does not ask
// for, a fifth more bytes in HTML.
func (f form) append(dst []byte, m agent.Message) []byte {
	if f.responses {
		return f.item(dst, m)
	}
	return f.message(dst, m)
}

// raw is what came with m, if it may be shown to this provider.
func (f form) raw(m agent.Message) []json.RawMessage {
	if m.Echo == nil || f.bare || m.Echo.From != f.from {
		return nil
	}
	return m.Echo.Raw
}

// message writes m as the message of a chat.
func (f form) message(dst []byte, m agent.Message) []byte {
	dst = append(dst, `{"role":`...)
	dst = quote(dst, string(m.Role))
	if seen := f.seen(m); len(seen) > 0 {
		dst = append(dst, `,"content":[{"type":"text","text":`...)
		dst = quote(dst, content(m))
		for _, i := range seen {
			dst = append(dst, `},{"type":"image_url","image_url":{"url":`...)
			dst = append(dataURL(dst, i), '}')
		}
		dst = append(dst, `}]`...)
	} else if text := f.content(m); text != "" {
		dst = append(dst, `,"content":`...)
		dst = quote(dst, text)
	}
	echo := splitEcho(f.raw(m), len(m.Calls))
	dst = spread(dst, echo.message)
	for i, k := range m.Calls {
		dst = append(dst, separator(i, `,"tool_calls":[`)...)
		dst = append(dst, `{"id":`...)
		dst = quote(dst, k.ID)
		dst = append(dst, `,"type":"function","function":{"name":`...)
		dst = quote(dst, k.Name)
		dst = append(dst, `,"arguments":`...)
		dst = quote(dst, object(k.Args))
		dst = spread(dst, echo.calls[i].function)
		dst = append(dst, '}')
		dst = spread(dst, echo.calls[i].call)
		dst = append(dst, '}')
	}
	if len(m.Calls) > 0 {
		dst = append(dst, ']')
	}
	if m.CallID != "" {
		dst = append(dst, `,"tool_call_id":`...)
		dst = quote(dst, m.CallID)
	}
	return append(dst, '}')
}

// content is m's text as servers accept it: many refuse a message without any.
func content(m agent.Message) string {
	switch {
	case m.Content != "":
		return m.Content
	case m.Role == agent.Result:
		return "(no output)"
	case len(m.Calls) == 0:
		return "(empty)"
	}
	return ""
}

// content is m's text, and that pictures were left out where they are.
func (f form) content(m agent.Message) string {
	if len(m.Images) > 0 && f.blind {
		return content(m) + "\n[pictures are left out: this model is not shown any]"
	}
	return content(m)
}

// seen are the pictures that are sent with m.
func (f form) seen(m agent.Message) []agent.Image {
	if f.blind {
		return nil
	}
	return m.Images
}

// dataURL writes a picture as a JSON string.
func dataURL(dst []byte, i agent.Image) []byte {
	dst = append(append(append(dst, `"data:`...), i.Media...), `;base64,`...)
	return append(base64.StdEncoding.AppendEncode(dst, []byte(i.Data)), '"')
}

// heavier is by how many bytes the pictures in msgs are more than their tokens
// would be as text, at four bytes each.
func (f form) heavier(msgs []agent.Message) int {
	n := 0
	for _, m := range msgs {
		for _, i := range f.seen(m) {
			n += base64.StdEncoding.EncodedLen(len(i.Data)) - 4*i.Tokens()
		}
	}
	return n
}

// separator is what stands before the element i of an array.
func separator(i int, open string) string {
	if i == 0 {
		return open
	}
	return ","
}

// spread writes the fields of a JSON object after those that stand there.
func spread(dst []byte, fields json.RawMessage) []byte {
	inner := bytes.TrimSpace(fields)
	if len(inner) < 2 {
		return dst
	}
	if inner = bytes.TrimSpace(inner[1 : len(inner)-1]); len(inner) == 0 {
		return dst
	}
	return append(append(dst, ','), inner...)
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

// quote writes s as a JSON string. It escapes what has to be and nothing else.
func quote(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, s[from:i]...)
				dst = append(dst, `\ufffd`...)
				from = i + 1
			}
			i += n
			continue
		case c >= ' ' && c != '"' && c != '\\':
			i++
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		from = i
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}
