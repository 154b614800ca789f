package agent

import (
	"context"
	"io"
	"math"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Options are what an agent works with.
type Options struct {
	Model Model
	Tools Toolbox
	Gauge Gauge // may be nil

	Turns  int   // most turns of one phase; 0: 80
	MaxOut int   // most tokens of one reply; 0: 8192
	Bands  Bands // of the window; zero: [DefaultBands]

	Intake  string // the project's own instructions (AGENTS.md or the like), quoted as data
	RepoMap string // what the repository looks like, short; see [Map]

	// Nested are the instructions of directories, by their paths: they are
	// quoted with the first file that is read below them.
	Nested map[string]string

	// Price is the most that a call of so many tokens in and out can cost. Nil:
	// not known beforehand; a cost budget then binds one call late.
	Price func(in, out int) runner.Money

	// Sees says whether the model is shown pictures; nil: it is not.
	Sees func() bool

	// Similar is what helped against an error like this one, as text for the
	// model, "" if nothing is known; it may be nil.
	Similar func(ctx context.Context, err string) string

	Event      func(Event) // live progress, for people; may be nil
	Transcript io.Writer   // gets one JSON line per message; may be nil
}

// An Agent is the [runner.Agent] between a model and its tools.
//
// It keeps the conversation of one attempt: the phases of an attempt continue
// it, every other task starts a new one from the facts in the task. It is for
// one phase at a time.
type Agent struct {
	o     Options
	specs []ToolSpec // the toolbox's, then the agent's own
	tools map[string]tool
	views int           // see [Permit]
	conv  *conversation // of the attempt at work, nil if there is none to go on with
}

type tool struct {
	spec   ToolSpec
	schema schema
}

// Open returns an agent that works through o.Model and o.Tools.
func Open(o Options) *Agent {
	if o.Turns == 0 {
		o.Turns = 80
	}
	if o.MaxOut == 0 {
		o.MaxOut = 8192
	}
	if o.Bands == (Bands{}) {
		o.Bands = DefaultBands
	}
	a := &Agent{o: o, tools: map[string]tool{}}
	a.specs = append(a.specs, o.Tools.Specs()...)
	a.specs = append(a.specs, ownSpecs...)
	for _, s := range a.specs {
		a.tools[s.Name] = tool{s, parseSchema(s)}
	}
	return a
}

// Work makes one phase of an attempt.
func (a *Agent) Work(ctx context.Context, t runner.Task) (runner.Claim, error) {
	c := a.conv
	fresh := c == nil || t.Resumed || c.feature != t.Feature.ID || c.attempt != t.Attempt
	if fresh {
		c = &conversation{feature: t.Feature.ID, attempt: t.Attempt}
		if t.Brief != nil {
			c.ledger.brief = *t.Brief
		}
	}
	// A phase that ends in an error may leave calls without results behind.
	// Whoever comes next starts from facts.
	a.conv = nil
	p := &phase{a: a, c: c, t: t, nudged: map[string]bool{}}
	if fresh {
		a.views++
		p.say(Message{Role: System, Content: systemPrompt})
		p.say(Message{Role: User, Content: project(a.o)})
	}
	p.say(Message{Role: User, Content: assignment(t, opening{fresh: fresh, brief: t.Brief})})
	// What a phase has started in the background ends with it: the gates come
	// next, and nothing may hold a port or write files then.
	working, end := context.WithCancel(ctx)
	err := p.run(working)
	end()
	p.claim.Brief = c.ledger.current()
	if window := a.o.Model.Window(); window > 0 {
		p.claim.Context = math.Min(1, float64(c.estimate())/float64(window))
	}
	if err == nil {
		a.conv = c
	}
	return p.claim, err
}

// A conversation is what an attempt has said so far. It only ever grows, but
// for the masking of old results, until it is begun anew.
type conversation struct {
	feature string
	attempt int
	msgs    []Message

	tokens int // what the provider counted, of the last request
	bytes  int // and how large that request was, by size
	calm   int // tokens below which old results are left alone, for the cache's sake
	warned bool

	ledger ledger

	filtered int             // replies that the provider's content filter stopped
	turns    int             // replies, of all its phases
	reset    int             // turns when it was last begun anew, 0: never
	told     map[string]bool // directories whose own instructions were quoted
}

// estimate is how many tokens the conversation has, by the provider's own count
// of the last request. Before there is one a token is taken to have three
// bytes, which is rather more tokens than there will be.
func (c *conversation) estimate() int {
	n := size(c.msgs)
	if c.bytes == 0 || c.tokens == 0 {
		return n / 3
	}
	perByte := min(max(float64(c.tokens)/float64(c.bytes), 0.125), 0.5)
	return int(float64(n) * perByte)
}

// size is how many bytes the messages and the fixed tools come to, roughly as
// they are sent.
func size(msgs []Message) int {
	const tools, message, call = 5000, 40, 60
	n := tools
	for _, m := range msgs {
		n += message + len(m.Content)
		for _, c := range m.Calls {
			n += call + len(c.Name) + len(c.Args)
		}
		for _, i := range m.Images {
			n += 3 * i.Tokens()
		}
		if m.Echo != nil {
			for _, raw := range m.Echo.Raw {
				n += len(raw)
			}
		}
	}
	return n
}
