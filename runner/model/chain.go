package model

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// A Chain asks the first of several models that is up. The next takes over
// when one is down: overloaded, broken, unknown to the provider or retired; not
// when the account is empty, a key is refused or a rate limit asks to wait,
// which another model of the same account would not mend.
//
// A conversation stays with the model that answers it until that goes down;
// only a new one returns to a model that may be up again.
type Chain struct {
	clients []*Client // in order of preference

	mu     sync.Mutex
	at     int // who answered last
	health map[string]runner.Breaker
}

var _ agent.Model = (*Chain)(nil)

// NewChain makes a chain of clients, the first preferred. health is what earlier
// sessions knew of models; those that are not in the chain it forgets.
func NewChain(health []runner.Breaker, first *Client, others ...*Client) *Chain {
	c := &Chain{clients: append([]*Client{first}, others...), health: map[string]runner.Breaker{}}
	for _, b := range health {
		if slices.ContainsFunc(c.clients, func(m *Client) bool { return m.name == b.Model }) {
			c.health[b.Model] = b
		}
	}
	return c
}

// Health is what is known of models that are down, or were when they were
// asked last.
func (c *Chain) Health() []runner.Breaker {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []runner.Breaker
	for _, b := range c.health {
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b runner.Breaker) int { return strings.Compare(a.Model, b.Model) })
	return all
}

// Window is the smallest context window in the chain, so that a conversation
// fits whoever takes over.
func (c *Chain) Window() int {
	return slices.MinFunc(c.clients, func(a, b *Client) int { return cmp.Compare(a.window, b.window) }).window
}

// Price is the most that a call of so many tokens in and out can cost, whoever
// answers it.
func (c *Chain) Price(in, out int) runner.Money {
	var most runner.Money
	for _, m := range c.clients {
		most = max(most, m.price.most(int64(in), int64(out)))
	}
	return most
}

// Unpriced are the models that no price table knows.
func (c *Chain) Unpriced() []string {
	var names []string
	for _, m := range c.clients {
		if !m.priced {
			names = append(names, m.name)
		}
	}
	return names
}

// Complete asks the first model that is up; see [agent.Model].
func (c *Chain) Complete(ctx context.Context, r agent.Request) (agent.Reply, error) {
	var spent runner.Usage
	var last error
	gone := true
	for _, i := range c.order(r) {
		m := c.clients[i]
		b, known := c.breaker(m.name)
		if b.Open(m.now()) {
			continue
		}
		reply, f, err := m.pursue(ctx, r, spent, known)
		spent = reply.Usage
		if f == nil || !f.down() || ctx.Err() != nil {
			if err == nil {
				c.answered(i)
			}
			return reply, err
		}
		c.trip(m, *f)
		last, gone = err, gone && f.kind == nowhere
	}
	return agent.Reply{Usage: spent}, c.allDown(last, gone)
}

// Ask puts one question without tools and returns the answer's text.
func (c *Chain) Ask(ctx context.Context, system, prompt string) (string, runner.Usage, error) {
	return ask(ctx, c, c.clients[0].name, system, prompt)
}

// Probe learns before a session begins whether the endpoint is one, takes the
// key and knows a model of the chain; see [Client.Probe]. The one call that
// tries a model whose breaker is half open is this.
func (c *Chain) Probe(ctx context.Context) error {
	var last error
	gone := true
	for i, m := range c.clients {
		b, known := c.breaker(m.name)
		if b.Open(m.now()) {
			continue
		}
		f, err := m.pursueProbe(ctx, known)
		if f == nil || !f.down() || ctx.Err() != nil {
			if err == nil {
				c.answered(i)
			}
			return err
		}
		c.trip(m, *f)
		last, gone = err, gone && f.kind == nowhere
	}
	return c.allDown(last, gone)
}

// order is whom to ask, one after the other. Where thrift is asked for, a new
// conversation goes to the cheapest first.
func (c *Chain) order(r agent.Request) []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []int
	for i := range c.clients {
		all = append(all, i)
	}
	begun := slices.ContainsFunc(r.Messages, func(m agent.Message) bool { return m.Role == agent.Assistant })
	switch {
	case begun:
		all = slices.Insert(slices.Delete(all, c.at, c.at+1), 0, c.at)
	case r.Thrift:
		slices.SortStableFunc(all, func(a, b int) int {
			typical := func(i int) runner.Money { return c.clients[i].price.most(10_000, 1_000) }
			return cmp.Compare(typical(a), typical(b))
		})
	}
	return all
}

func (c *Chain) breaker(name string) (b runner.Breaker, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, known = c.health[name]
	return b, known
}

// answered closes the circuit of the model that answered, and says so where it
// is another than before.
func (c *Chain) answered(i int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.clients[i]
	if _, was := c.health[m.name]; was {
		delete(c.health, m.name)
		m.log(fmt.Sprintf("model %s: answers again", m.name))
	}
	for name, b := range c.health {
		if b.Instead != m.name {
			b.Instead = m.name
			c.health[name] = b
			m.log(fmt.Sprintf("model %s: takes over from %s, which is down until %s: %s", m.name, name, b.Until.Format(clock), b.Why))
		}
	}
	c.at = i
}

const clock = "15:04 MST on 2006-01-02"

// trip opens the circuit of a model that is down.
func (c *Chain) trip(m *Client, f fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.health[m.name]
	b.Model = m.name
	b = b.Tripped(m.now(), f.text, f.kind == nowhere)
	if f.until.After(b.Until) {
		b.Until = f.until.UTC().Truncate(time.Second)
	}
	c.health[m.name] = b
	m.log(fmt.Sprintf("model %s: down, and not asked again before %s: %s", m.name, b.Until.Format(clock), f.text))
}

// allDown is the error when no model is up: that of the last one that was
// asked, with the time at which the first may be tried again; gone models come
// back for nobody's waiting.
func (c *Chain) allDown(last error, gone bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var first runner.Breaker
	for _, m := range c.clients {
		if b := c.health[m.name]; first.Model == "" || b.Until.Before(first.Until) {
			first = b
		}
	}
	stop, ok := errors.AsType[*runner.StopError](last)
	switch {
	case last == nil: // nobody was asked
		return &runner.StopError{Reason: runner.RateLimit, Err: fmt.Errorf("%s is down: %s", first.Model, first.Why), Until: first.Until}
	case !ok:
		return last
	}
	waits := *stop
	if !gone {
		waits.Until = first.Until
	}
	if len(c.clients) > 1 {
		waits.Err = fmt.Errorf("%w; no model of model and fallback-model is up", stop.Err)
	}
	return &waits
}
