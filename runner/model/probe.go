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
	_, err := c.pursueProbe(ctx, false)
	return err
}

// pursueProbe probes; what may pass by itself is tried again, unless this is a
// trial. That the provider is only busy is not held against it, except in a trial.
func (c *Client) pursueProbe(ctx context.Context, trial bool) (*fault, error) {
	var p patience
	for mended := 0; ; {
		how := c.manner()
		f := c.probe(ctx, how)
		switch {
		case f == nil:
			return nil, nil
		case mended < 1 && c.learn(how, *f, agent.Request{}):
			mended++
			continue
		}
		switch f.kind {
		case busy:
			if !trial || !f.loaded {
				return nil, nil
			}
		case misfit, keyless, barred, nowhere, money, broken:
		case cut, over, refused:
			return nil, nil
		}
		if again, err := c.pause(ctx, &p, *f, trial); !again {
			return f, err
		}
	}
}

func (c *Client) probe(ctx context.Context, how manner) *fault {
	ctx, w := watch(ctx, c.first, c.idle, c.whole, c.late)
	defer w.stop()
	x := &exchange{watch: w}
	var a answer
	err := c.stream(context.WithValue(ctx, exchangeKey{}, x), w, agent.Request{MaxOut: 16}, how, false, &a)
	return c.fault(x, a.finish, err)
}
