// Package agent makes one phase of an attempt: turns between a model and its tools.
//
// It promises that what was sent to the model stays byte-identical, but for old
// results that it drops to make room; that every call gets a result and nothing
// of a cut reply runs; that each call is affordable before it is made; and that
// a phase ends, whatever the model does. It does not judge: what the model says
// of its work changes nothing but the conversation.
//
// The fakes of [Model] and [Toolbox] are in its tests.
package agent

import (
	"context"
	"encoding/json"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A Model answers a conversation. Package model holds the real one; a script
// answers through the same code path.
type Model interface {
	// Complete sends r and returns the whole reply. Waiting that is a matter of
	// seconds happens inside; a limit that lasts (quota, rate limit with a
	// reset time, refused key) is a [*runner.StopError]. A reply without a
	// finish reason is an error, never a reply. Usage counts also where the
	// error is not nil.
	Complete(ctx context.Context, r Request) (Reply, error)

	// Window is the model's context window in tokens.
	Window() int
}

// A Request is one call. Messages only ever grow between two calls of a
// conversation: what was sent stays byte-identical.
type Request struct {
	Messages []Message
	Tools    []ToolSpec
	MaxOut   int // most tokens of the reply
	Tokens   int // of the messages and tools, by estimate
	// Purse is what may be spent, on requests that are repeated too; nil: no
	// limit.
	Purse  *runner.Purse
	Thrift bool // the budget is nearly spent: a cheaper model may answer, if there is one
}

// A Message is one entry of the conversation.
type Message struct {
	Role    Role
	Content string
	Calls   []Call // of an assistant message
	CallID  string // of a tool message: which call it answers
	Echo    *Echo  // of an assistant message: what came with the reply; nil if nothing

	Images []Image // of a user message: pictures that tools have shown
}

// An Image is a picture for a model that sees pictures.
type Image struct {
	Media         string // image/png, image/jpeg or image/webp
	Data          string // the file's bytes
	Width, Height int
}

// Tokens is about what a picture takes of the window, rather more than less:
// providers go by its size in pixels, each in its own way.
func (i Image) Tokens() int { return 85 + i.Width*i.Height/750 }

// An Echo is what a provider wants to see again with its own reply: thought
// signatures, reasoning details, encrypted reasoning. It is handed back with
// the message that the reply became, as it came; only the [Model] that gave it
// can read it.
type Echo struct {
	From string            // whose it is: no other provider or model is shown it
	Raw  []json.RawMessage // byte for byte what was sent
}

// A Role says who speaks.
type Role string

// The roles of a conversation.
const (
	System    Role = "system"
	User      Role = "user"
	Assistant Role = "assistant"
	Result    Role = "tool"
)

// A Call is a tool call that the model asks for. Args is what the model wrote
// and need not be JSON.
type Call struct {
	ID   string
	Name string
	Args string
}

// A Reply is the model's answer.
type Reply struct {
	Content string
	Calls   []Call
	Finish  Finish
	Echo    *Echo
	Prompt  int // tokens of the request, as the provider or an estimate counts them
	Usage   runner.Usage
}

// A Finish says why the reply ended.
type Finish string

// The ways in which a reply ends.
const (
	FinishStop   Finish = "stop"
	FinishCalls  Finish = "tool_calls"
	FinishLength Finish = "length" // cut: no call of such a reply is ever run
	FinishFilter Finish = "content_filter"
)

// A ToolSpec describes a tool to the model.
type ToolSpec struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"` // JSON Schema
}

// A Toolbox is what the model may do in the work tree. request_verification,
// cannot_complete and note are the agent's own and not in it.
type Toolbox interface {
	// Specs are the tools, in an order that never changes.
	Specs() []ToolSpec

	// Use performs one call, whose arguments are JSON and fit the tool's schema.
	// What went wrong inside the call (no such file, a failing command, bad
	// arguments) is the result's text, for the model to read, and begins with
	// [Failed] where nothing was done; an error means that the toolbox itself
	// cannot work. Calls of read_file, find_files and search may come at once.
	Use(ctx context.Context, c Call, p Permit) (string, error)
}

// Failed begins the result of a call that could not be performed.
const Failed = "error: "

// A Permit is what the phase allows: the tool list never changes, what the
// tools may write does.
type Permit struct {
	Phase Phase

	// View is another number whenever results that were given before may not be
	// in the conversation any more.
	View int

	// Show hands the model a picture along with the result; nil where it sees
	// none. It may be called while the call is performed.
	Show func(Image)
}

// Phase is the runner's, named here for toolboxes.
type Phase = runner.Phase
