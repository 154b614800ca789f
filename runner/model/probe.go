package model

import (
	"context"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// Probe learns before a session begins whether the endpoint is one, knows the
// model and takes the key. It sends a request without any message, which no
// provider answers with more than an error and none charges for. What only a
// session can find out is not held against the endpoint.
func (c *Client) Probe(ctx context.Context) error {
	for range 2 {
		how := c.manner()
		f := c.probe(ctx, how)
		switch {
		case f == nil:
			return nil
		case c.learn(how, *f, agent.Request{}):
			continue
		}
		switch f.kind {
		case misfit, keyless, barred, nowhere, money, broken:
			return c.stop(*f)
		case cut, busy, over, refused:
		}
		return nil
	}
	return nil
}

func (c *Client) probe(ctx context.Context, how manner) *fault {
	ctx, w := watch(ctx, c.first, c.idle, c.whole, c.late)
	defer w.stop()
	x := &exchange{watch: w}
	var a answer
	err := c.stream(context.WithValue(ctx, exchangeKey{}, x), w, agent.Request{MaxOut: 16}, how, false, &a)
	return c.fault(x, a.finish, err)
}
