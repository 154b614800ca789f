package model

import (
	"encoding/json"
	"slices"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// sent is a conversation as it was sent: its messages and their bytes. What is
// sent next begins with these very bytes, because no provider's cache finds
// anything else again, and because writing a long conversation anew each turn
// would be most of what a turn costs us.
//
// data is only ever appended to. A request that is still on its way shares it.
type sent struct {
	form form
	msgs []agent.Message
	ends []int // where in data each message ends
	data []byte
}

// mostSent is how many conversations are kept: that of the attempt, and
// another one in between.
const mostSent = 2

// written is the messages' bytes in the form f, with commas between them.
func (c *Client) written(msgs []agent.Message, f form) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	var best *sent
	most := -1
	for _, s := range c.sent {
		if s.form != f {
			continue
		}
		if n := s.shared(msgs); n > most {
			best, most = s, n
		}
	}
	switch {
	case best == nil:
		best = &sent{form: f}
	case most < len(best.msgs) && most < len(msgs):
		best = best.until(most) // something before the end is new: a cut, or another conversation
	default:
		c.sent = slices.DeleteFunc(c.sent, func(s *sent) bool { return s == best })
	}
	c.sent = slices.Insert(c.sent, 0, best)
	c.sent = c.sent[:min(len(c.sent), mostSent)]
	for _, m := range msgs[min(len(msgs), len(best.msgs)):] {
		best.add(m)
	}
	if len(msgs) == 0 {
		return nil
	}
	return best.data[:best.ends[len(msgs)-1]]
}

// shared is with how many of its messages msgs begins.
func (s *sent) shared(msgs []agent.Message) int {
	n := min(len(s.msgs), len(msgs))
	for i := range n {
		if !same(s.msgs[i], msgs[i]) {
			return i
		}
	}
	return n
}

// until is the conversation's beginning, as a conversation of its own.
func (s *sent) until(n int) *sent {
	end := 0
	if n > 0 {
		end = s.ends[n-1]
	}
	return &sent{s.form, slices.Clone(s.msgs[:n]), slices.Clone(s.ends[:n]), slices.Clone(s.data[:end])}
}

func (s *sent) add(m agent.Message) {
	if len(s.data) > 0 {
		s.data = append(s.data, ',')
	}
	s.data = s.form.append(s.data, m)
	m.Calls = slices.Clone(m.Calls) // the caller's might change under us
	s.msgs = append(s.msgs, m)
	s.ends = append(s.ends, len(s.data))
}

// same says whether two messages have the same bytes. Those of a growing
// conversation share their strings, so that this looks at no text.
func same(a, b agent.Message) bool {
	return a.Role == b.Role && a.Content == b.Content && a.CallID == b.CallID &&
		slices.Equal(a.Calls, b.Calls) && slices.Equal(a.Images, b.Images) && sameEcho(a.Echo, b.Echo)
}

func sameEcho(a, b *agent.Echo) bool {
	if a == b || a == nil || b == nil {
		return a == b
	}
	return a.From == b.From && slices.EqualFunc(a.Raw, b.Raw, func(x, y json.RawMessage) bool { return string(x) == string(y) })
}
