package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A script is the [Model] of the tests: a function of the request alone, strict.
// A reply is found by phase, round and the number of assistant messages since
// the last header, "tests/1", "repair-1/2". A request that breaks a rule of the
// conversation, or that has no reply, fails the test.
type script struct {
	t       *testing.T
	replies map[string]Reply
	errs    map[string]error // given instead, once
	window  int
	maxOut  int // want of every request, if not 0
	resets  int // how often the conversation was seen to begin anew
	masks   int // how often an earlier result was seen to have been dropped
	prompt  func(Request) int

	mu   sync.Mutex
	reqs []Request
	raw  []string
}

func (s *script) Window() int { return s.window }

var header = regexp.MustCompile(`(?m)^\[loop\] feature=(\S+) attempt=(\d+) phase=(\w+) round=(\d+)(?: turn=(\d+))?$`)

func (s *script) Complete(ctx context.Context, r Request) (Reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return Reply{}, fmt.Errorf("request: %w", ctx.Err())
	}
	s.check(r)
	s.reqs = append(s.reqs, r)
	key, turn := "", 0
	for _, m := range r.Messages {
		if strings.HasPrefix(m.Content, "[loop] compact feature=") {
			key, turn = "compact", 1
		} else if h := header.FindStringSubmatch(m.Content); m.Role == User && h != nil {
			key, turn = h[3], 1
			if n, err := strconv.Atoi(h[5]); err == nil {
				turn = n
			}
			if h[4] != "0" {
				key += "-" + h[4]
			}
		} else if m.Role == Assistant {
			turn++
		}
	}
	key = fmt.Sprintf("%s/%d", key, turn)
	used := runner.Usage{Calls: 1, Tokens: int64(s.count(r)) + 10, Cost: 1000}
	if err := s.errs[key]; err != nil {
		delete(s.errs, key)
		return Reply{Usage: used}, err
	}
	reply, ok := s.replies[key]
	if !ok {
		s.t.Errorf("unexpected question %s; the last message is\n%s", key, r.Messages[len(r.Messages)-1].Content)
		return Reply{}, fmt.Errorf("unexpected question %s", key)
	}
	reply.Prompt, reply.Usage = s.count(r), used
	if reply.Finish == "" {
		reply.Finish = FinishStop
		if len(reply.Calls) > 0 {
			reply.Finish = FinishCalls
		}
	}
	return reply, nil
}

func (s *script) count(r Request) int {
	if s.prompt != nil {
		return s.prompt(r)
	}
	return size(r.Messages) / 4
}

// check holds the rules that providers and their caches live by.
func (s *script) check(r Request) {
	s.t.Helper()
	if s.maxOut != 0 && r.MaxOut != s.maxOut {
		s.t.Errorf("MaxOut %d, want %d", r.MaxOut, s.maxOut)
	}
	if m := r.Messages; len(m) < 3 || m[0].Role != System || m[0].Content != systemPrompt || m[1].Role != User || m[2].Role != User {
		s.t.Fatalf("a conversation begins with system, project and assignment, not %v", m)
	}
	ids := map[string]bool{}
	for i := 0; i < len(r.Messages); i++ {
		m := r.Messages[i]
		if m.Content == "" && len(m.Calls) == 0 {
			s.t.Errorf("message %d is empty", i)
		}
		if m.Role == Result {
			s.t.Errorf("message %d is a result without its call: %q", i, m.Content)
		}
		for _, c := range m.Calls {
			i++
			if i == len(r.Messages) || r.Messages[i].Role != Result || r.Messages[i].CallID != c.ID {
				s.t.Fatalf("call %s has no result in its place, message %d", c.ID, i)
			}
			if ids[c.ID] || c.ID == "" {
				s.t.Errorf("id %q of a call is not new", c.ID)
			}
			ids[c.ID] = true
			if v, err := decode(c.Args); err != nil {
				s.t.Errorf("arguments of %s in the conversation: %v", c.Name, err)
			} else if _, ok := v.(map[string]any); !ok {
				s.t.Errorf("arguments of %s in the conversation are no object: %s", c.Name, c.Args)
			}
		}
	}
	now, err := json.Marshal(r.Messages)
	if err != nil {
		s.t.Fatal(err)
	}
	tools, err := json.Marshal(r.Tools)
	if err != nil {
		s.t.Fatal(err)
	}
	anew := strings.Contains(r.Messages[2].Content, "in the middle of this phase")
	if n := len(s.reqs); n > 0 && (len(r.Messages) > 3 || anew) {
		last := s.reqs[n-1]
		if before, _ := json.Marshal(last.Tools); string(before) != string(tools) {
			s.t.Error("the tools changed")
		}
		prefix := strings.TrimSuffix(s.raw[n-1], "]")
		switch {
		case strings.HasPrefix(string(now), prefix):
		case anew && r.Messages[2].Content != last.Messages[2].Content:
			s.resets++
			if d := cmp.Diff(r.Messages[:2], last.Messages[:2]); d != "" {
				s.t.Errorf("contract and project have changed (-got +want):\n%s", d)
			}
		default:
			s.masked(last.Messages, r.Messages)
		}
	}
	s.raw = append(s.raw, string(now))
}

func (s *script) masked(before, now []Message) {
	s.t.Helper()
	s.masks++
	for i := range before {
		if i < len(now) && (now[i].Role == Result || len(before[i].Images) > 0) && strings.Contains(now[i].Content, "dropped to save room") {
			before = append([]Message(nil), before...)
			before[i].Content, before[i].Images = now[i].Content, nil
		}
	}
	if d := cmp.Diff(now[:len(before)], before); d != "" {
		s.t.Errorf("what was sent has changed (-got +want):\n%s", d)
	}
}

// last is the newest request.
func (s *script) last() Request { return s.reqs[len(s.reqs)-1] }

// results are the tool results in the newest request, in order.
func (s *script) results() []string {
	var out []string
	for _, m := range s.last().Messages {
		if m.Role == Result {
			out = append(out, m.Content)
		}
	}
	return out
}

// A box is the [Toolbox] of the tests. A tool without a function fails the test.
type box struct {
	t   testing.TB
	use map[string]func(context.Context, Call) string
	err error

	picture Image // what every path that ends in .png shows

	mu   sync.Mutex
	used []string // name and arguments, in the order in which they began
}

func (b *box) Specs() []ToolSpec {
	obj := func(required, props string) json.RawMessage {
		return json.RawMessage(`{"type":"object","additionalProperties":false,"required":[` + required + `],"properties":{` + props + `}}`)
	}
	return []ToolSpec{
		{"read_file", "Read.", obj(`"path"`, `"path":{"type":"string"},"offset":{"type":"integer","minimum":1},"limit":{"type":"integer","minimum":1,"maximum":2000}`)},
		{"find_files", "Find.", obj(`"glob"`, `"glob":{"type":"string"},"path":{"type":"string"}`)},
		{"search", "Search.", obj(`"pattern"`, `"pattern":{"type":"string"},"path":{"type":"string"},"glob":{"type":"string"}`)},
		{"edit_file", "Edit.", obj(`"path","edits"`, `"path":{"type":"string"},"edits":{"type":"array","minItems":1,"maxItems":20,"items":{"type":"object","additionalProperties":false,"required":["old","new"],"properties":{"old":{"type":"string"},"new":{"type":"string"},"all":{"type":"boolean"}}}}`)},
		{"write_file", "Write.", obj(`"path","content"`, `"path":{"type":"string"},"content":{"type":"string"}`)},
		{"shell", "Run.", obj(`"command"`, `"command":{"type":"string"},"background":{"type":"boolean"}`)},
		{"job", "Job.", obj(`"id","action"`, `"id":{"type":"string"},"action":{"type":"string","enum":["read","write","stop"]}`)},
		{"run_tests", "Test.", obj(``, `"scope":{"type":"string"}`)},
	}
}

func (b *box) Use(ctx context.Context, c Call, p Permit) (string, error) {
	b.mu.Lock()
	b.used = append(b.used, c.Name+" "+c.Args)
	b.mu.Unlock()
	if b.err != nil {
		return "", b.err
	}
	f, ok := b.use[c.Name]
	if !ok {
		b.t.Errorf("unexpected call of %s", c.Name)
		return Failed + "unexpected", nil
	}
	if p.Show != nil && strings.HasSuffix(c.Args, `.png"}`) {
		p.Show(b.picture)
	}
	return f(ctx, c), nil
}

func says(text string) func(context.Context, Call) string {
	return func(context.Context, Call) string { return text }
}

func call(name, args string) Call { return Call{Name: name, Args: args} }

func calls(cs ...Call) Reply { return Reply{Calls: cs} }

var (
	done   = call("request_verification", `{"summary":"s"}`)
	tidy   = calls(done)
	plenty = runner.Purse{Tokens: 1e9}
)

func task(p runner.Phase, round int) runner.Task {
	return runner.Task{
		Feature: runner.Feature{Row: runner.Row{ID: "add-001", Category: "core", Description: "add numbers", Steps: []string{"open", "add"}}},
		Attempt: 1, Phase: p, Repair: round, Purse: plenty,
	}
}

// open is an agent over the fakes. It does not run dry.
func open(t *testing.T, replies map[string]Reply, use map[string]func(context.Context, Call) string) (*Agent, *script, *box) {
	s := &script{t: t, replies: replies, window: 100_000}
	b := &box{t: t, use: use}
	return Open(Options{Model: s, Tools: b}), s, b
}
