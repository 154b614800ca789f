// Package model asks a language model with tools, streamed, through chat
// completions or the Responses API of any endpoint that speaks OpenAI's protocol.
//
// It promises that a reply is whole (a stream that ended without a finish
// reason is never one), that waiting which is a matter of seconds happens here
// and every limit that lasts comes back as a [*runner.StopError], that every
// token is counted and priced, estimated where the provider keeps silent, that
// what was sent is sent again with the same bytes, that whatever an endpoint
// sends is limited in size and time, and that the key leaves the process in the Authorization header of requests to
// the configured host and nowhere else.
//
// It does not judge replies, run tools, shorten conversations or keep them.
//
// The scripted model ([Script]) is the fake: an endpoint of its own on the
// loopback interface, asked through the same code as a real one.
package model

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	openai "github.com/sashabaranov/go-openai"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// Options say which model to ask, and how.
type Options struct {
	Name            string // as the endpoint knows it
	Key             string // optional where the endpoint is on this machine or its network
	BaseURL         string // without /chat/completions or /responses; "": OpenAI's own
	API             API    // "": Auto
	Window          int    // context window in tokens; 0: what the price table says, else 128,000
	ReasoningEffort string // sent as it is; "": not sent
	Prices          Prices // stand before the built-in table
	Images          string // whether the model is shown pictures: auto goes by its name, on, and off or ""
	CacheKey        string // names the conversations that begin alike, for providers that keep a cache by it; "": none

	// Known is what earlier sessions found out, about this endpoint and others.
	Known []runner.Endpoint

	// Transport carries the requests. nil: a transport of its own, which
	// uses no proxy.
	Transport http.RoundTripper

	Sleep func(context.Context, time.Duration) error // returns early, with an error, when the context ends
	Now   func() time.Time
	Rand  func() float64 // in [0, 1), for jitter
	Log   func(string)   // one line about a wait or an oddity; nil: none
}

// Format keeps the key out of whatever is printed.
func (o Options) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "model %s at %s", o.Name, o.BaseURL)
}

// A Client asks one model. It may be used by several goroutines.
type Client struct {
	name   string
	base   *url.URL
	effort string
	window int
	price  Price
	priced bool
	from   string // whose echoes are ours
	key    string // prompt_cache_key

	api   *openai.Client
	first time.Duration // silence before the first byte that is taken for a cut
	idle  time.Duration // silence between bytes that is
	whole time.Duration // of one reply at most
	late  time.Duration // between a complete reply and its usage

	sleep func(context.Context, time.Duration) error
	now   func() time.Time
	rand  func() float64
	log   func(string)
	clean func(string) string // text from outside, without the key, on one line

	mu    sync.Mutex
	fresh manner // before anything was learned
	how   manner
	sent  []*sent // the newest first
	short bool    // that the server cuts conversations was said
	other string  // that this one answers in place of the model was said
}

const (
	defaultBase   = "https://api.openai.com/v1"
	defaultWindow = 128_000
	firstByte     = 300 * time.Second
	betweenBytes  = 90 * time.Second
	wholeReply    = 30 * time.Minute
	lateUsage     = 10 * time.Second
)

var _ agent.Model = (*Client)(nil)

// Open checks the options and returns a client. It asks nothing yet. All
// mistakes are reported at once, by the names of the inputs.
func Open(o Options) (*Client, error) {
	var errs []error
	if o.Sleep == nil || o.Now == nil || o.Rand == nil {
		errs = append(errs, errors.New("model: clock or randomness missing"))
	}
	name := strings.TrimSpace(o.Name)
	if name == "" {
		errs = append(errs, errors.New("input model: missing; give the name of a model, or script:<file>"))
	}
	if o.Window < 0 {
		errs = append(errs, fmt.Errorf("input context-window: %d is not a number of tokens", o.Window))
	}
	key := strings.TrimSpace(o.Key) // a secret that was pasted often ends in a newline
	if strings.ContainsFunc(key, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r > unicode.MaxASCII }) {
		errs = append(errs, errors.New("input api-key: it contains blanks or characters that no key has; store it again"))
	}
	base, err := parseBase(o.BaseURL, key != "")
	if err != nil {
		errs = append(errs, err)
	} else if key == "" && !local(base) {
		errs = append(errs, fmt.Errorf("input api-key: missing; %s wants one", base.Host))
	}
	var how manner
	if base != nil {
		if how, err = firstManner(o.API, name, o.ReasoningEffort, base); err != nil {
			errs = append(errs, err)
		}
		how.blind = !sees(o.Images, name)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}

	c := &Client{
		name: name, base: base, effort: o.ReasoningEffort,
		first: firstByte, idle: betweenBytes, whole: wholeReply, late: lateUsage, fresh: how, how: how,
		sleep: o.Sleep, now: o.Now, rand: o.Rand, log: o.Log,
		clean: cleaner(key),
		from:  base.Host + base.Path + " " + name,
		key:   o.CacheKey,
	}
	c.recall(o.Known)
	if c.log == nil {
		c.log = func(string) {}
	}
	c.price, c.priced = o.Prices.Of(name)
	c.window = o.Window
	if c.window == 0 {
		c.window = max(c.price.Window, 0)
	}
	if c.window == 0 {
		c.window = defaultWindow
	}

	conf := openai.DefaultConfig("") // the transport signs
	conf.BaseURL = base.String()
	conf.EmptyMessagesLimit = 1 << 30 // 300 keep-alive lines are a model that thinks for minutes
	conf.HTTPClient = &http.Client{
		Transport:     newTransport(o.Transport, base, key),
		CheckRedirect: refuseRedirect,
	}
	c.api = openai.NewClientWithConfig(conf)
	return c, nil
}

// Window is the model's context window in tokens.
func (c *Client) Window() int { return c.window }

// Priced says whether the model has a price of its own. Costs are a high guess
// where it has not.
func (c *Client) Priced() bool { return c.priced }

// Complete sends r and returns the whole reply; see [agent.Model].
func (c *Client) Complete(ctx context.Context, r agent.Request) (agent.Reply, error) {
	reply, _, err := c.pursue(ctx, r, runner.Usage{}, false)
	return reply, err
}

// pursue asks until there is a reply, or no hope of one in a matter of minutes:
// then the fault says why, where the provider is at fault. The reply's usage is
// on top of spent. Of a model that was down before, trial asks once.
func (c *Client) pursue(ctx context.Context, r agent.Request, spent runner.Usage, trial bool) (agent.Reply, *fault, error) {
	var p patience
	for mended := 0; ; {
		if err := c.reserve(r, spent); err != nil {
			return agent.Reply{Usage: spent}, nil, err
		}
		how := c.manner()
		reply, f := c.once(ctx, r, how, p.plain())
		spent = spent.Plus(reply.Usage)
		if f == nil {
			reply.Usage = spent
			return reply, nil, nil
		}
		if mended < mostMended && ctx.Err() == nil && c.learn(how, *f, r) {
			mended++
			continue
		}
		if again, err := c.pause(ctx, &p, *f, trial); !again {
			return agent.Reply{Usage: spent}, f, err
		}
	}
}

// reserve sees to it that one more request fits into the purse, at the full
// price of all that it can take: a reply that is cut is charged as well.
func (c *Client) reserve(r agent.Request, spent runner.Usage) error {
	if r.Purse == nil {
		return nil
	}
	in, out := int64(r.Tokens), int64(r.MaxOut)
	return r.Purse.After(spent).Holds(in+out, c.price.most(in, out))
}

// pause waits before the next request after f; else err says why there is none.
func (c *Client) pause(ctx context.Context, p *patience, f fault, trial bool) (again bool, err error) {
	if ctx.Err() != nil {
		return false, fmt.Errorf("ask %s: %w", c.name, context.Cause(ctx))
	}
	wait, again := p.after(f, c.rand())
	if deadline, ok := ctx.Deadline(); ok && f.hint > 0 && c.now().Add(wait).After(deadline) {
		again = false // nobody would be there to ask again
	}
	if !again || trial && f.down() && f.kind != cut {
		return false, c.stop(f)
	}
	c.log(fmt.Sprintf("model %s: %s; asking again in %s", c.name, f.text, wait.Round(time.Millisecond)))
	if err := c.sleep(ctx, wait); err != nil {
		return false, fmt.Errorf("ask %s: %w", c.name, cmpErr(context.Cause(ctx), err))
	}
	return true, nil
}

// Ask puts one question without tools and returns the answer's text.
func (c *Client) Ask(ctx context.Context, system, prompt string) (string, runner.Usage, error) {
	return ask(ctx, c, c.name, system, prompt)
}

func ask(ctx context.Context, m agent.Model, name, system, prompt string) (string, runner.Usage, error) {
	r := agent.Request{Messages: []agent.Message{
		{Role: agent.System, Content: system},
		{Role: agent.User, Content: prompt},
	}}
	reply, err := m.Complete(ctx, r)
	if err != nil {
		return "", reply.Usage, err
	}
	switch {
	case reply.Finish == agent.FinishLength:
		err = fmt.Errorf("ask %s: the answer was cut at the model's output limit; use a model that may write more", name)
	case reply.Finish == agent.FinishFilter:
		err = fmt.Errorf("ask %s: the provider's content filter refused to answer", name)
	case strings.TrimSpace(reply.Content) == "":
		err = fmt.Errorf("ask %s: the answer is empty", name)
	}
	return reply.Content, reply.Usage, err
}

// mostMended is how many requests of one call may be refused for their form. Each
// teaches something else.
const mostMended = 6

func (c *Client) manner() manner {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.how
}

// learn says whether r is worth asking again after f, because the endpoint can
// be asked in another manner than how.
func (c *Client) learn(how manner, f fault, r agent.Request) bool {
	form := c.form(how)
	echoed := slices.ContainsFunc(r.Messages, func(m agent.Message) bool { return form.raw(m) != nil })
	pictured := slices.ContainsFunc(r.Messages, func(m agent.Message) bool { return len(form.seen(m)) > 0 })
	better, learned := how.mend(f, echoed, pictured)
	if learned == "" {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.how == how { // else another call was faster
		c.how = better
		c.log(fmt.Sprintf("model %s: %s; %s", c.name, f.text, learned))
	}
	return true
}

// form is how messages are written in the manner how.
func (c *Client) form(how manner) form {
	return form{responses: how.responses, bare: how.bare, blind: how.blind, from: c.from + how.suffix()}
}

func cmpErr(cause, err error) error {
	if cause != nil {
		return cause
	}
	return err
}

// parseBase reads the input base-url. Plain http would show the conversation
// and the key to the network, so that it is for this machine, and without a
// key for the network that a service container shares with it.
func parseBase(text string, keyed bool) (*url.URL, error) {
	if text == "" {
		text = defaultBase
	}
	u, err := url.Parse(strings.TrimSpace(text))
	// The text is not repeated before it is known to hold no password.
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("input base-url: not an address like https://host/v1")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("input base-url: must not hold a user, a query or a fragment; the key goes into api-key")
	case u.Scheme == "http" && !loopback(u) && (keyed || !local(u)):
		return nil, fmt.Errorf("input base-url: %s would send the key and your code unencrypted; use https", u)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/chat/completions"), "/responses")
	return u, nil
}

func loopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// local says whether the host is this machine or a neighbour: a private
// address, or a name without a dot as service containers have it.
func local(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return loopback(u) || ip != nil && ip.IsPrivate() ||
		ip == nil && !strings.Contains(u.Hostname(), ".") || u.Hostname() == "host.docker.internal"
}

// cleaner returns a function that makes text from outside fit for an error or a
// log line: without the key, without control characters, not too long.
func cleaner(key string) func(string) string {
	return func(s string) string {
		if key != "" {
			s = strings.ReplaceAll(s, key, "***")
		}
		s = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
				return ' '
			}
			return r
		}, s)
		s = strings.Join(strings.Fields(s), " ")
		const most = 600
		if len(s) > most {
			s = strings.ToValidUTF8(s[:most], "") + "..."
		}
		return s
	}
}
