package model

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// usual is what good() and the quirky replies below cost: 400 tokens at $2, 600
// cached ones at $0.20, 50 written ones at $8 a million.
var usual = runner.Usage{Calls: 1, Tokens: 1050, Cached: 600, CacheTold: 1000, Output: 50, Cost: 400*2000 + 600*200 + 50*8000}

func TestProvidersAndTheirWays(t *testing.T) {
	shell := func(id, args string) agent.Call { return agent.Call{ID: id, Name: "shell", Args: args} }
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   agent.Reply
	}{
		"plain": {
			good(),
			agent.Reply{Content: "hello", Finish: agent.FinishStop},
		},
		"calls in pieces, interleaved": {
			stream(
				tools(`{"index":0,"id":"a","type":"function","function":{"name":"shell","arguments":""}}`),
				tools(`{"index":1,"id":"b","type":"function","function":{"name":"shell","arguments":"{\"command\""}}`),
				tools(`{"index":0,"function":{"arguments":"{\"command\":\"ls\"}"}}`),
				tools(`{"index":1,"function":{"arguments":":\"pwd\"}"}}`),
				calls, used, done,
			),
			agent.Reply{Finish: agent.FinishCalls, Calls: []agent.Call{shell("a", `{"command":"ls"}`), shell("b", `{"command":"pwd"}`)}},
		},
		"ids and index missing, arguments an object": {
			stream(
				tools(`{"function":{"name":"shell","arguments":{"command": "ls"}}},{"function":{"name":"shell","arguments":{"command":"pwd"}}}`),
				calls, used, done,
			),
			agent.Reply{Finish: agent.FinishCalls, Calls: []agent.Call{shell("c1_0", `{"command": "ls"}`), shell("c1_1", `{"command":"pwd"}`)}},
		},
		"index missing, ids there, in pieces": {
			stream(
				tools(`{"id":"a","function":{"name":"shell","arguments":"{}"}}`),
				tools(`{"id":"b","function":{"name":"shell","arguments":"{\"x\""}}`),
				tools(`{"id":"b","function":{"arguments":":1"}}`),
				tools(`{"function":{"arguments":"}"}}`),
				calls, used, done,
			),
			agent.Reply{Finish: agent.FinishCalls, Calls: []agent.Call{shell("a", `{}`), shell("b", `{"x":1}`)}},
		},
		"every call has index 0 (Gemini)": {
			stream(
				tools(`{"index":0,"id":"a","function":{"name":"shell","arguments":"{\"n\":1}"}}`),
				tools(`{"index":0,"id":"b","function":{"name":"shell","arguments":"{\"n\":2}"}}`),
				stops, used, done,
			),
			agent.Reply{Finish: agent.FinishCalls, Calls: []agent.Call{shell("a", `{"n":1}`), shell("b", `{"n":2}`)}},
		},
		"every call has index 0, and no arguments": {
			stream(
				tools(`{"index":0,"id":"a","function":{"name":"run_tests","arguments":""}}`),
				tools(`{"index":0,"id":"b","function":{"name":"run_tests","arguments":""}}`),
				stops, used, done,
			),
			agent.Reply{Finish: agent.FinishCalls, Calls: []agent.Call{{ID: "a", Name: "run_tests", Args: "{}"}, {ID: "b", Name: "run_tests", Args: "{}"}}},
		},
		"an id that an earlier turn had": {
			stream(tools(`{"index":0,"id":"old","function":{"name":"shell","arguments":"{}"}}`), calls, used, done),
			agent.Reply{Finish: agent.FinishCalls, Calls: []agent.Call{shell("c2_0", `{}`)}},
		},
		"ids empty and index 0 everywhere": {
			stream(
				tools(`{"index":0,"id":"","function":{"name":"shell","arguments":"{\"n\":1}"}}`),
				tools(`{"index":0,"id":"","function":{"name":"shell","arguments":"{\"n\":2}"}}`),
				calls, used, done,
			),
			agent.Reply{Finish: agent.FinishCalls, Calls: []agent.Call{shell("c1_0", `{"n":1}`), shell("c1_1", `{"n":2}`)}},
		},
		"ids twice": {
			stream(
				tools(`{"index":0,"id":"same","function":{"name":"shell","arguments":"{\"n\":1}"}}`),
				tools(`{"index":1,"id":"same","function":{"name":"shell","arguments":"{\"n\":2}"}}`),
				calls, used, done,
			),
			agent.Reply{Finish: agent.FinishCalls, Calls: []agent.Call{shell("same", `{"n":1}`), shell("c1_1", `{"n":2}`)}},
		},
		"name and id in every piece, null fields, no arguments at all": {
			stream(
				tools(`{"index":0,"id":"a","function":{"name":"shell","arguments":"{\"n\""}}`),
				tools(`{"index":0,"id":"a","function":{"name":"shell","arguments":":1}"}}`),
				tools(`{"index":1,"id":"b","function":{"name":"run_tests","arguments":null}}`),
				tools(`{"index":1,"id":null,"function":{"name":null}}`),
				`{"choices":[{"index":0,"delta":{"content":null,"tool_calls":null},"finish_reason":null}]}`,
				calls, used, done,
			),
			agent.Reply{Finish: agent.FinishCalls, Calls: []agent.Call{shell("a", `{"n":1}`), {ID: "b", Name: "run_tests", Args: "{}"}}},
		},
		"keep-alive comments, event names, CRLF": {
			stream(strings.Repeat(": OPENROUTER PROCESSING\r\n\r\n", 1000)+"event: chunk\r\nid: 7\r\ndata:"+says("hello")+"\r", stops, ":ping", used, done),
			agent.Reply{Content: "hello", Finish: agent.FinishStop},
		},
		"usage with the finish": {
			stream(says("hello"),
				`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":50,"prompt_tokens_details":{"cached_tokens":600}}}`),
			agent.Reply{Content: "hello", Finish: agent.FinishStop},
		},
		"an error field that is null": {
			stream(`{"error":null,"choices":[{"index":0,"delta":{"content":"hello"}}]}`, stops, used, done),
			agent.Reply{Content: "hello", Finish: agent.FinishStop},
		},
		"cut after the finish reason": {
			func(w http.ResponseWriter, r *http.Request) {
				stream(says("hello"), `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1000,"completion_tokens":50,"prompt_tokens_details":{"cached_tokens":600}}}`)(w, r)
				panic(http.ErrAbortHandler)
			},
			agent.Reply{Content: "hello", Finish: agent.FinishStop},
		},
		"no stream, though asked for": {
			status(200, `{"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[
				{"id":"a","type":"function","function":{"name":"shell","arguments":{"command":"ls"}}}]},"finish_reason":"tool_calls"}],
				"usage":{"prompt_tokens":1000,"completion_tokens":50,"prompt_tokens_details":{"cached_tokens":600}}}`),
			agent.Reply{Finish: agent.FinishCalls, Calls: []agent.Call{shell("a", `{"command":"ls"}`)}},
		},
		"content in parts, a thought among them": {
			stream(`{"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[]},{"type":"text","text":"hel"},{"type":"text","text":"lo"}]}}]}`, stops, used, done),
			agent.Reply{Content: "hello", Finish: agent.FinishStop},
		},
		"reasoning is not the answer": {
			stream(`{"choices":[{"index":0,"delta":{"reasoning":"hm","reasoning_content":"hm"}}]}`, says("hello"), stops, used, done),
			agent.Reply{Content: "hello", Finish: agent.FinishStop},
		},
		"cut by length, with a call": {
			stream(tools(`{"index":0,"id":"a","function":{"name":"shell","arguments":"{\"comm"}}`),
				`{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}`, used, done),
			agent.Reply{Finish: agent.FinishLength, Calls: []agent.Call{shell("a", `{"comm`)}},
		},
		"length with nothing: the reasoning ate it": {
			stream(`{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}`, used, done),
			agent.Reply{Finish: agent.FinishLength},
		},
		"content filter": {
			stream(`{"choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}`, used, done),
			agent.Reply{Finish: agent.FinishFilter},
		},
		"a refusal": {
			stream(`{"choices":[{"index":0,"delta":{"refusal":"I must not."}}]}`, stops, used, done),
			agent.Reply{Content: "I must not.", Finish: agent.FinishFilter},
		},
		"DeepSeek counts its cache elsewhere": {
			stream(says("hello"), stops, `{"choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":50,"prompt_cache_hit_tokens":600}}`, done),
			agent.Reply{Content: "hello", Finish: agent.FinishStop},
		},
		"Gemini leaves thinking out of the completion": {
			stream(says("hello"), stops, `{"choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":10,"total_tokens":1050,"cached_tokens":600}}`, done),
			agent.Reply{Content: "hello", Finish: agent.FinishStop},
		},
		"a second choice that nobody asked for": {
			stream(`{"choices":[{"index":0,"delta":{"content":"hello"}},{"index":1,"delta":{"content":"or not"}}]}`, stops, used, done),
			agent.Reply{Content: "hello", Finish: agent.FinishStop},
		},
		"no content type": {
			func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Content-Type"] = nil
				for _, l := range []string{says("hello"), stops, used} {
					_, _ = w.Write([]byte("data: " + l + "\n\n"))
				}
			},
			agent.Reply{Content: "hello", Finish: agent.FinishStop},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, r := serve(t, tt.answer), question1
			if strings.Contains(name, "earlier turn") {
				r = follow(r, agent.Reply{Calls: []agent.Call{shell("old", "{}")}}, "ok")
			}
			got, err := open(t, p.URL+"/v1").Complete(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Usage, tt.want.Prompt = usual, 1000
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if p.asked() != 1 {
				t.Errorf("asked %d times", p.asked())
			}
		})
	}
}

func TestUsageIsEstimatedWhereItIsMissing(t *testing.T) {
	for name, last := range map[string]string{
		"absent": stops,
		"null":   `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}`,
		"zero":   `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":0,"completion_tokens":0}}`,
		"absurd": `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":-5,"completion_tokens":"many"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, stream(says(strings.Repeat("x", 400)), last, done))
			got, err := open(t, p.URL).Complete(t.Context(), question1)
			if err != nil {
				t.Fatal(err)
			}
			prompt := (len(p.bodies[0]) + 3) / 4
			want := runner.Usage{Calls: 1, Tokens: int64(prompt) + 100, Output: 100, Estimated: int64(prompt) + 100, Cost: runner.Money(prompt)*2000 + 100*8000}
			if diff := cmp.Diff(want, got.Usage); diff != "" || got.Prompt != prompt {
				t.Errorf("prompt %d, want %d\n%s", got.Prompt, prompt, diff)
			}
		})
	}
}

func TestRequestOnTheWire(t *testing.T) {
	p := serve(t, good())
	c := open(t, p.URL+"/v1/", func(o *Options) { o.ReasoningEffort = "low" })
	r := question1
	r.Messages = append(r.Messages,
		agent.Message{Role: agent.Assistant, Calls: []agent.Call{{ID: "a", Name: "shell", Args: `{"command":"true"}`}, {ID: "b", Name: "shell", Args: `{"comm`}}},
		agent.Message{Role: agent.Result, CallID: "a"},
		agent.Message{Role: agent.Result, CallID: "b", Content: "the arguments are not JSON"},
		agent.Message{Role: agent.Assistant},
	)
	r.Tools = append(r.Tools, agent.ToolSpec{Name: "run_tests"})
	if _, err := c.Complete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	want := compact(t, `{"model":"test-model","messages":[
		{"role":"system","content":"You build."},
		{"role":"user","content":"Build."},
		{"role":"assistant","tool_calls":[
			{"id":"a","type":"function","function":{"name":"shell","arguments":"{\"command\":\"true\"}"}},
			{"id":"b","type":"function","function":{"name":"shell","arguments":"{}"}}]},
		{"role":"tool","content":"(no output)","tool_call_id":"a"},
		{"role":"tool","content":"the arguments are not JSON","tool_call_id":"b"},
		{"role":"assistant","content":"(empty)"}],
		"max_tokens":1000,"stream":true,"tools":[
			{"function":{"name":"shell","description":"Run.","parameters":{"type":"object"}},"type":"function"},
			{"function":{"name":"run_tests","parameters":{"type":"object","properties":{}}},"type":"function"}],
		"stream_options":{"include_usage":true},"reasoning_effort":"low"}`)
	if diff := cmp.Diff(want, p.bodies[0]); diff != "" {
		t.Error(diff)
	}
	if got := p.headers[0].Get("Authorization"); got != "Bearer "+testKey {
		t.Errorf("Authorization %q", got)
	}

	c = open(t, p.URL, func(o *Options) { o.Name, o.Key = "gpt-5.4", "" })
	if _, err := c.Complete(t.Context(), question1); err != nil {
		t.Fatal(err)
	}
	if body := p.bodies[1]; !strings.Contains(body, `"max_completion_tokens":1000`) || strings.Contains(body, "max_tokens") {
		t.Errorf("sent %s", body)
	}
	if got := p.headers[1].Values("Authorization"); len(got) != 0 {
		t.Errorf("Authorization %q without a key", got)
	}
}

// What was sent stays byte-identical, or no provider's cache finds it again.
func TestRequestsOnlyGrow(t *testing.T) {
	p := serve(t, stream(tools(`{"index":0,"function":{"name":"shell","arguments":"{\"b\":1, \"a\":2}"}}`), calls, used, done))
	c, r := open(t, p.URL), question1
	for range 3 {
		reply, err := c.Complete(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		r = follow(r, reply, "ok")
	}
	for i, body := range p.bodies[1:] {
		before, _, _ := strings.Cut(p.bodies[i], `],"max_tokens"`)
		if !strings.HasPrefix(body, before) {
			t.Errorf("request %d does not begin with the one before:\n%s\n%s", i+2, p.bodies[i], body)
		}
	}
}

// Gemini refuses a history without its thought signatures, DeepSeek one without
// its reasoning.
func TestWhatProvidersWantBackTheyGet(t *testing.T) {
	p := serve(t, stream(
		`{"choices":[{"index":0,"delta":{"reasoning_content":"first "}}]}`,
		`{"choices":[{"index":0,"delta":{"reasoning_content":"this"}}]}`,
		tools(`{"index":0,"id":"a","extra_content":{"google":{"thought_signature":"c2ln"}},"function":{"name":"shell","arguments":"{}"}},{"index":1,"id":"b","function":{"name":"shell","arguments":"{}"}}`),
		calls, used, done,
	), good(), good())
	c := open(t, p.URL)
	reply, err := c.Complete(t.Context(), question1)
	if err != nil {
		t.Fatal(err)
	}
	r := follow(question1, reply, "ok", "ok")
	for range 2 {
		if _, err := c.Complete(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	var got struct {
		Messages []struct {
			Reasoning string `json:"reasoning_content"`
			Calls     []struct {
				ID    string          `json:"id"`
				Extra json.RawMessage `json:"extra_content"`
			} `json:"tool_calls"`
		}
	}
	if err := json.Unmarshal([]byte(p.bodies[1]), &got); err != nil {
		t.Fatal(err)
	}
	m := got.Messages[2]
	if m.Reasoning != "first this" || string(m.Calls[0].Extra) != `{"google":{"thought_signature":"c2ln"}}` || m.Calls[1].Extra != nil {
		t.Errorf("sent back %+v", m)
	}
	if p.bodies[1] != p.bodies[2] {
		t.Errorf("the same request has two forms:\n%s\n%s", p.bodies[1], p.bodies[2])
	}
}

// The next conversation of the same client gives the same ids again.
func TestWhatIsOwedGoesToItsOwnConversationOnly(t *testing.T) {
	extra := `,"extra_content":{"google":{"thought_signature":"c2ln"}}`
	call := func(extra string) http.HandlerFunc {
		return stream(tools(`{"index":0`+extra+`,"function":{"name":"shell","arguments":"{}"}}`), calls, used, done)
	}
	p := serve(t, call(extra), call(""), good())
	c := open(t, p.URL)
	var r agent.Request
	for range 2 {
		reply, err := c.Complete(t.Context(), question1)
		if err != nil {
			t.Fatal(err)
		}
		r = follow(question1, reply, "ok")
	}
	if _, err := c.Complete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(p.bodies[2], "thought_signature") {
		t.Errorf("sent %s", p.bodies[2])
	}
}

func TestServerThatCutsConversationsIsNoticed(t *testing.T) {
	p := serve(t, stream(says("hello"), stops, `{"choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":5}}`, done))
	c := open(t, p.URL)
	r := question1
	r.Messages = append(r.Messages, agent.Message{Role: agent.User, Content: strings.Repeat("long ", 10_000)})
	for range 2 {
		if _, err := c.Complete(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.lines) != 1 || !strings.Contains(c.lines[0], "num_ctx") {
		t.Errorf("logged %q", c.lines)
	}
}

func TestAsk(t *testing.T) {
	p := serve(t, good(), stream(says("hel"), `{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}`, used, done), stream(stops, used, done))
	c := open(t, p.URL)
	text, usage, err := c.Ask(t.Context(), "You plan.", "[loop] plan\nPlan.")
	if err != nil || text != "hello" || usage != usual {
		t.Errorf("got %q, %+v, %v", text, usage, err)
	}
	want := `{"model":"test-model","messages":[{"role":"system","content":"You plan."},{"role":"user","content":"[loop] plan\nPlan."}],"stream":true,"stream_options":{"include_usage":true}}`
	if p.bodies[0] != want {
		t.Errorf("sent %s", p.bodies[0])
	}
	for _, want := range []string{"cut at the model's output limit", "the answer is empty"} {
		if _, usage, err := c.Ask(t.Context(), "s", "p"); err == nil || !strings.Contains(err.Error(), want) || usage != usual {
			t.Errorf("got %v with %+v, want %q", err, usage, want)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(says("x") + "\n" + stops)
	f.Add(tools(`{"index":0,"id":"a","function":{"name":"shell","arguments":"{}"}}`) + "\n" + tools(`{"index":0,"id":"a","function":{"name":"shell","arguments":{"a":[1]}}}`) + "\n" + calls)
	f.Add(tools(`{"function":{"name":"c1_0"}},{"id":"c1_1"},{"id":7}`) + "\n" + used)
	f.Add(`{"error":{"message":"x"},"choices":null}`)
	f.Fuzz(func(t *testing.T, lines string) {
		var a answer
		for line := range strings.Lines(lines) {
			_, _ = a.add([]byte(line)) // that it does not panic is the point
		}
		taken := map[string]bool{"c1_0": true}
		r := a.done(1, taken, "")
		ids := map[string]bool{"c1_0": true}
		for _, c := range r.Calls {
			if c.ID == "" || c.Args == "" || ids[c.ID] {
				t.Errorf("call %+v among %v", c, r.Calls)
			}
			ids[c.ID] = true
		}
		if len(r.Calls) != len(a.calls) {
			t.Errorf("%d calls came, %d remain", len(a.calls), len(r.Calls))
		}
	})
}
