package model

import (
	"context"

	openai "github.com/sashabaranov/go-openai"
)

// Probe learns before a session begins whether the endpoint is one, knows the
// model and takes the key. It sends a request without any message, which no
// provider answers with more than an error and none charges for. What only a
// session can find out is not held against the endpoint.
func (c *Client) Probe(ctx context.Context) error {
	ctx, seen, stop := watch(ctx, c.first, c.idle)
	defer stop()
	x := &exchange{seen: seen, edit: func(body []byte) ([]byte, error) { return body, nil }}
	var a answer
	err := c.stream(context.WithValue(ctx, exchangeKey{}, x), openai.ChatCompletionRequest{Model: c.name, Messages: []openai.ChatCompletionMessage{}, Stream: true}, &a)
	if f := c.fault(x, a.finish, err); f != nil {
		switch f.kind {
		case misfit, keyless, barred, nowhere, money, broken:
			return c.stop(*f)
		case cut, busy, over, refused:
		}
	}
	return nil
}
