package model

import (
	"slices"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// What an endpoint refused is asked in another manner for good: the state keeps
// what was learned, so that a loop meets with each refusal once and not once a
// session.

// lessons are the names by which the state keeps what [manner.mend] learns, and
// which part of a manner each is. Names that were once written keep their
// meaning.
var lessons = []struct {
	name string
	part func(*manner) *bool
	is   bool // once it is learned
}{
	{"max_tokens", func(m *manner) *bool { return &m.newer }, true},
	{"max_completion_tokens", func(m *manner) *bool { return &m.open }, true},
	{"stream_options", func(m *manner) *bool { return &m.usage }, false},
	{"reasoning.encrypted_content", func(m *manner) *bool { return &m.sealed }, false},
	{"echo", func(m *manner) *bool { return &m.bare }, true},
	{"prompt_cache_key", func(m *manner) *bool { return &m.keyed }, false},
	{"cache_control", func(m *manner) *bool { return &m.marked }, false},
	{"images", func(m *manner) *bool { return &m.blind }, true},
}

// recall takes up what earlier sessions found out about this endpoint. The API
// may still be changed once: it may be another's turn to be refused.
func (c *Client) recall(known []runner.Endpoint) {
	i := slices.IndexFunc(known, func(e runner.Endpoint) bool { return e.Model == c.name && e.Endpoint == c.endpoint() })
	if i < 0 {
		return
	}
	e := known[i]
	if c.how.auto && (e.API == string(Chat) || e.API == string(Responses)) {
		c.how.responses = e.API == string(Responses)
	}
	for _, l := range lessons {
		if slices.Contains(e.Refused, l.name) {
			*l.part(&c.how) = l.is
		}
	}
}

// endpoint names where the model is asked, without telling the state where that is.
func (c *Client) endpoint() string { return runner.Hash([]byte(c.base.String()))[:16] }

// Known is what was found out about how this endpoint wants to be asked; ok is
// false if it takes what it would be asked at first.
func (c *Client) Known() (e runner.Endpoint, ok bool) {
	how := c.manner()
	e = runner.Endpoint{Model: c.name, Endpoint: c.endpoint()}
	if how.auto && how.responses != c.fresh.responses {
		e.API = string(Chat)
		if how.responses {
			e.API = string(Responses)
		}
	}
	for _, l := range lessons {
		if *l.part(&how) != *l.part(&c.fresh) {
			e.Refused = append(e.Refused, l.name)
		}
	}
	return e, e.API != "" || len(e.Refused) > 0
}

// Known is what was found out about the endpoints of the chain.
func (c *Chain) Known() []runner.Endpoint {
	var all []runner.Endpoint
	for _, m := range c.clients {
		if e, ok := m.Known(); ok {
			all = append(all, e)
		}
	}
	return all
}
