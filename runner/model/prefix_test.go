package model

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// A tap keeps the bodies of the requests that go through it.
type tap struct{ bodies [][]byte }

func (w *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		w.bodies = append(w.bodies, b)
		r.Body = io.NopCloser(bytes.NewReader(b))
	}
	return http.DefaultTransport.RoundTrip(r)
}

// body is a request as it went out, in the pieces that a provider's cache sees
// one after the other.
type body struct {
	Tools    json.RawMessage `json:"tools"`
	Messages json.RawMessage `json:"messages"`
	Input    json.RawMessage `json:"input"` // of the Responses API
}

func opened(t *testing.T, b []byte) (out body) {
	t.Helper()
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	if out.Input != nil {
		out.Messages = out.Input
	}
	return out
}

// A desk is a toolbox whose results are the same each time but for a count.
type desk struct{ used int }

func (*desk) Specs() []agent.ToolSpec {
	props := func(required, p string) json.RawMessage {
		return json.RawMessage(`{"type":"object","additionalProperties":false,"required":[` + required + `],"properties":{` + p + `}}`)
	}
	return []agent.ToolSpec{
		{Name: "read_file", Description: "Read.", Parameters: props(`"path"`, `"path":{"type":"string"}`)},
		{Name: "write_file", Description: "Write.", Parameters: props(`"path","content"`, `"path":{"type":"string"},"content":{"type":"string"}`)},
		{Name: "shell", Description: "Run.", Parameters: props(`"command"`, `"command":{"type":"string"}`)},
		{Name: "run_tests", Description: "Test.", Parameters: props(``, `"scope":{"type":"string"}`)},
	}
}

func (d *desk) Use(_ context.Context, c agent.Call, _ agent.Permit) (string, error) {
	d.used++
	switch c.Name {
	case "shell":
		return fmt.Sprintf("exit 0 · 0.%d s · 1 lines, 4 B\n<b>&\u2028\x00 \xff done", d.used), nil
	case "run_tests":
		return fmt.Sprintf("1 failed, %d passed, 0.%d s: npm test\nadd adds: want 3", d.used, d.used), nil
	case "read_file":
		return "1\t" + strings.Repeat("some <line> & more\n", 100), nil
	}
	return "wrote " + c.Args, nil
}

// sends works through phases of tasks with a fresh agent over the wire of a
// scripted model, and gives what was sent.
func sends(t *testing.T, script string, window int, over func(*Options), tasks ...runner.Task) ([][]byte, []runner.Claim) {
	t.Helper()
	server, err := Script("test", []byte(script))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	wire := &tap{}
	client := open(t, server.URL, over, func(o *Options) { o.Transport, o.Window, o.Name = wire, window, "script" })
	a := agent.Open(agent.Options{Model: client.Client, Tools: &desk{}, MaxOut: 1000, Intake: "Use tabs.", RepoMap: "main.go"})
	var claims []runner.Claim
	for _, in := range tasks {
		claim, err := a.Work(t.Context(), in)
		if err != nil {
			t.Fatalf("%s: %v", in.Phase, err)
		}
		claims = append(claims, claim)
	}
	return wire.bodies, claims
}

func work(id string, p runner.Phase) runner.Task {
	return runner.Task{
		Feature: runner.Feature{Row: runner.Row{ID: id, Description: "feature " + id, Steps: []string{"open"}}},
		Attempt: 1, Phase: p, Purse: runner.Purse{Tokens: 1e9},
	}
}

// What was sent is, byte for byte, the beginning of what is sent next: within a
// phase and from phase to phase.
func TestEachRequestBeginsWithTheOneBefore(t *testing.T) {
	const script = `
-- add-001/1/tests/1 say --
I look first: <tag> & "quotes" \ é 😀
-- add-001/1/tests/1 read_file a.js --
-- add-001/1/tests/1 read_file b.js --
-- add-001/1/tests/2 write_file test/a.test.js --
it("adds", () => {})
-- add-001/1/tests/2 shell --
node --test
-- add-001/1/tests/3 call read_file --
{"file_path": "x.js",}
-- add-001/1/tests/4 say --
Just talk.
-- add-001/1/tests/5 run_tests --
-- add-001/1/tests/6 request_verification --
The tests fail.
-- add-001/1/implement/1 note --
Use the table.
-- add-001/1/implement/1 run_tests --
-- add-001/1/implement/2 call teleport --
{"
-- add-001/1/implement/3 request_verification --
Done.
`
	overBoth(t, func(t *testing.T, over func(*Options)) {
		next := work("add-001", runner.Implement)
		next.Verdict = &runner.Verdict{Outcome: runner.Red, Reason: "red, as it should"}
		bodies, _ := sends(t, script, 100_000, over, work("add-001", runner.Tests), next)
		if len(bodies) != 9 {
			t.Fatalf("%d requests", len(bodies))
		}
		for i := 1; i < len(bodies); i++ {
			before, now := opened(t, bodies[i-1]), opened(t, bodies[i])
			if !bytes.Equal(before.Tools, now.Tools) {
				t.Errorf("request %d has other tools", i)
			}
			if !bytes.HasPrefix(now.Messages, bytes.TrimSuffix(before.Messages, []byte("]"))) {
				t.Errorf("request %d does not begin with the one before:\n%s\n%s", i, before.Messages, now.Messages)
			}
			end := bytes.Index(bodies[i-1], before.Messages) + len(before.Messages) - 1
			if !bytes.HasPrefix(bodies[i], bodies[i-1][:end]) {
				t.Errorf("the body of request %d differs before its new messages", i)
			}
		}
	})
}

// Two jobs send the same tools, contract and project, whatever they build and
// whenever.
func TestTwoJobsBeginAlike(t *testing.T) {
	overBoth(t, func(t *testing.T, over func(*Options)) {
		head := func(id string) string {
			in := work(id, runner.Tests)
			in.Feature.Notes = []string{"noted in " + id}
			bodies, _ := sends(t, "-- "+id+"/1/tests/1 request_verification --\nDone.\n", 100_000, over, in)
			var m []json.RawMessage
			b := opened(t, bodies[0])
			if err := json.Unmarshal(b.Messages, &m); err != nil || len(m) != 3 {
				t.Fatalf("%d messages, %v", len(m), err)
			}
			return string(b.Tools) + string(m[0]) + string(m[1])
		}
		if a, b := head("add-001"), head("sub-002"); a != b {
			t.Errorf("they differ:\n%s\n%s", a, b)
		}
	})
}

// A session whose conversation fills its window twice is begun anew twice, does
// each thing once, and comes to its end. The script is strict: a turn that was
// asked again, or left out, would fail.
func TestASessionThatCompactsTwiceCompletes(t *testing.T) {
	const turns = 40
	var b strings.Builder
	thought := strings.Repeat("The list keeps its order, and the page shows it. ", 40)
	for i := range turns {
		fmt.Fprintf(&b, "-- add-001/1/implement/%d say --\n%s\n-- add-001/1/implement/%[1]d read_file f%[1]d.js --\n-- add-001/1/implement/%[1]d write_file g%[1]d.js --\nx\n", i+1, thought)
	}
	fmt.Fprintf(&b, "-- add-001/1/implement/%d expect --\nwrote\n-- add-001/1/implement/%[1]d request_verification --\nDone.\n", turns+1)
	b.WriteString("-- add-001/1/repair-1/1 request_verification --\nMended.\n")
	b.WriteString("-- compact/add-001/1 say --\n# Decisions\n- A list, because the spec sorts.\n# Open problems\n- none\n# State\nHalf of the files are written.\n")
	repair := work("add-001", runner.Repair)
	repair.Repair, repair.Verdict = 1, &runner.Verdict{Outcome: runner.Failed, Reason: "one is missing"}
	bodies, claims := sends(t, b.String(), 24_000, func(*Options) {}, work("add-001", runner.Implement), repair)
	asked := 0
	heads := map[string]bool{}
	for _, raw := range bodies {
		var q struct {
			Messages []struct {
				Role    string
				Content string
				Calls   []struct{ ID string } `json:"tool_calls"`
				CallID  string                `json:"tool_call_id"`
			}
		}
		if err := json.Unmarshal(raw, &q); err != nil {
			t.Fatal(err)
		}
		open := map[string]bool{}
		for _, m := range q.Messages {
			for _, c := range m.Calls {
				open[c.ID] = true
			}
			if m.Role == "tool" && !open[m.CallID] {
				t.Fatalf("a result without its call %s", m.CallID)
			}
			delete(open, m.CallID)
		}
		if len(open) > 0 {
			t.Fatalf("calls without a result: %v", open)
		}
		heads[q.Messages[0].Content+q.Messages[1].Content] = true
		if last := q.Messages[len(q.Messages)-1]; strings.HasPrefix(last.Content, "[loop] compact") {
			asked++
		}
	}
	if asked < 2 || len(heads) != 1 || len(bodies) != turns+2+asked {
		t.Errorf("%d summaries, %d requests, %d beginnings", asked, len(bodies), len(heads))
	}
	brief := claims[1].Brief
	if brief == nil || len(brief.Decisions) != 1 || len(brief.Files) != 5 || brief.Files[4] != fmt.Sprintf("g%d.js: written", turns) || claims[0].Stopped != "" {
		t.Errorf("%+v, stopped %q", brief, claims[0].Stopped)
	}
}
