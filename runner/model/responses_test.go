package model

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

func itemDone(item string) string {
	return `{"type":"response.output_item.done","item":` + item + `}`
}

const (
	reasoned = `{"id":"rs_1","type":"reasoning","summary":[], "encrypted_content":"gAAA=="}`
	called   = `{"id":"fc_1","type":"function_call","status":"completed","call_id":"a","name":"shell","arguments":"{\"command\":\"ls\"}"}`
	spoken   = `{"id":"msg_1","type":"message","status":"completed","role":"assistant","phase":"commentary","content":[{"type":"output_text","annotations":[],"text":"hel"},{"type":"output_text","text":"lo"}]}`
	spent    = `"usage":{"input_tokens":1000,"input_tokens_details":{"cached_tokens":600},"output_tokens":50,"total_tokens":1050}`
	finished = `{"type":"response.completed","response":{"object":"response","status":"completed","output":[],` + spent + `}}`
)

func TestResponsesAndTheirWays(t *testing.T) {
	shell := []agent.Call{{ID: "a", Name: "shell", Args: `{"command":"ls"}`}}
	both := raws(reasoned, called)
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   agent.Reply
		echo   []json.RawMessage
	}{
		"items as they are done": {
			stream(itemDone(reasoned), itemDone(called), finished),
			agent.Reply{Finish: agent.FinishCalls, Calls: shell},
			both,
		},
		"items out of their order": {
			stream(`{"type":"response.output_item.done","output_index":1,"item":`+called+`}`, `{"type":"response.output_item.done","output_index":0,"item":`+reasoned+`}`, finished),
			agent.Reply{Finish: agent.FinishCalls, Calls: shell},
			both,
		},
		"items at the end only": {
			stream(strings.Replace(finished, `"output":[]`, `"output":[`+reasoned+`,`+called+`]`, 1), done),
			agent.Reply{Finish: agent.FinishCalls, Calls: shell},
			both,
		},
		"in one piece, over several lines": {
			status(200, "{\n\"object\": \"response\",\n\"status\":\"completed\",\"error\":null,\"output\":[\n"+reasoned+",\n"+called+"],\n"+spent+"\n}"),
			agent.Reply{Finish: agent.FinishCalls, Calls: shell},
			both,
		},
		"text and a call": {
			stream(itemDone(reasoned), itemDone(spoken), itemDone(called), finished),
			agent.Reply{Content: "hello", Finish: agent.FinishCalls, Calls: shell},
			raws(reasoned, spoken, called),
		},
		"two texts": {
			stream(itemDone(spoken), itemDone(spoken), finished),
			agent.Reply{Content: "hello\n\nhello", Finish: agent.FinishStop},
			raws(spoken, spoken),
		},
		"arguments an object, no id": {
			stream(itemDone(`{"type":"function_call","name":"shell","arguments":{"command":"ls"}}`), finished),
			agent.Reply{Finish: agent.FinishCalls, Calls: []agent.Call{{ID: "c1_0", Name: "shell", Args: `{"command":"ls"}`}}},
			raws(`{"type":"function_call","name":"shell","arguments":{"command":"ls"}}`),
		},
		"an item that nobody knows": {
			stream(itemDone(`{"type":"telepathy","thought":1e3}`), itemDone(called), finished),
			agent.Reply{Finish: agent.FinishCalls, Calls: shell},
			raws(`{"type":"telepathy","thought":1e3}`, called),
		},
		"items that are none": {
			stream(`{"type":"response.output_item.done"}`, itemDone(`null`), itemDone(`7`), itemDone(called), finished),
			agent.Reply{Finish: agent.FinishCalls, Calls: shell},
			raws(called),
		},
		"reasoning without its content": {
			stream(itemDone(`{"id":"rs_1","type":"reasoning","summary":[]}`), itemDone(called), finished),
			agent.Reply{Finish: agent.FinishCalls, Calls: shell},
			nil,
		},
		"a refusal": {
			stream(itemDone(`{"type":"message","role":"assistant","content":[{"type":"refusal","refusal":"I must not."}]}`), finished),
			agent.Reply{Content: "I must not.", Finish: agent.FinishFilter},
			nil,
		},
		"cut by length, with half a call": {
			stream(itemDone(reasoned), itemDone(strings.NewReplacer("completed", "incomplete", `\"ls\"}`, ``).Replace(called)),
				`{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},`+spent+`}}`),
			agent.Reply{Finish: agent.FinishLength, Calls: []agent.Call{{ID: "a", Name: "shell", Args: `{"command":`}}},
			nil,
		},
		"complete, but for its call": {
			stream(itemDone(strings.Replace(called, "completed", "incomplete", 1)), finished),
			agent.Reply{Finish: agent.FinishLength, Calls: shell},
			nil,
		},
		"nothing but reasoning": {
			stream(itemDone(reasoned), `{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},`+spent+`}}`),
			agent.Reply{Finish: agent.FinishLength},
			nil,
		},
		"filtered": {
			stream(`{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"content_filter"},` + spent + `}}`),
			agent.Reply{Finish: agent.FinishFilter},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, tt.answer)
			c := open(t, p.URL+"/v1", func(o *Options) { o.API = Responses })
			got, err := c.Complete(t.Context(), question1)
			if err != nil {
				t.Fatal(err)
			}
			var echo []json.RawMessage
			if got.Echo != nil {
				echo, got.Echo = got.Echo.Raw, nil
			}
			tt.want.Usage, tt.want.Prompt = usual, 1000
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.echo, echo); diff != "" {
				t.Errorf("echo: %s", diff)
			}
			if p.asked() != 1 {
				t.Errorf("asked %d times", p.asked())
			}
		})
	}
}

func TestResponsesRequestOnTheWire(t *testing.T) {
	p := serve(t, stream(oneLine(completed)))
	c := open(t, p.URL+"/v1/responses", func(o *Options) { o.API, o.ReasoningEffort = Responses, "low" })
	mended := agent.Message{Role: agent.Assistant, Content: "hello", Calls: []agent.Call{{ID: "b", Name: "shell", Args: `{"command":"ls -l"}`}}}
	for _, raw := range []string{reasoned, spoken, called} {
		if mended.Echo == nil {
			mended.Echo = &agent.Echo{From: c.form(c.how).from}
		}
		mended.Echo.Raw = append(mended.Echo.Raw, json.RawMessage(raw))
	}
	foreign := agent.Message{Role: agent.Assistant, Calls: []agent.Call{{ID: "d", Name: "shell", Args: "{"}}, Echo: &agent.Echo{From: "elsewhere", Raw: raws(reasoned)}}
	said := agent.Message{Role: agent.Assistant, Content: "other words", Echo: &agent.Echo{From: c.form(c.how).from, Raw: raws(spoken, spoken)}}
	r := question1
	r.Messages = append(r.Messages, mended, agent.Message{Role: agent.Result, CallID: "b", Content: "a.txt"},
		foreign, agent.Message{Role: agent.Result, CallID: "d"}, said)
	r.Tools = append(r.Tools, agent.ToolSpec{Name: "run_tests"})
	if _, err := c.Complete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	want := `{"include":["reasoning.encrypted_content"],"input":[` +
		`{"type":"message","role":"system","content":"You build."},` +
		`{"type":"message","role":"user","content":"Build."},` +
		reasoned + `,` + spoken + `,` +
		`{"type":"function_call","call_id":"b","name":"shell","arguments":"{\"command\":\"ls -l\"}"},` +
		`{"type":"function_call_output","call_id":"b","output":"a.txt"},` +
		`{"type":"function_call","call_id":"d","name":"shell","arguments":"{}"},` +
		`{"type":"function_call_output","call_id":"d","output":"(no output)"},` +
		`{"type":"message","role":"assistant","content":"other words"}` +
		`],"max_output_tokens":1000,"model":"test-model","reasoning":{"effort":"low"},"store":false,"stream":true,"tools":[` +
		`{"description":"Run.","name":"shell","parameters":{"type":"object"},"strict":false,"type":"function"},` +
		`{"name":"run_tests","parameters":{"type":"object","properties":{}},"strict":false,"type":"function"}]}`
	if diff := cmp.Diff(want, p.bodies[0]); diff != "" {
		t.Error(diff)
	}
}

// What came with a reply and has no place in the protocol goes back, each piece
// as it came and where it belongs.
func TestFieldsThatNobodyKnowsGoBack(t *testing.T) {
	p := serve(t, stream(
		`{"choices":[{"index":0,"delta":{"role":"assistant","content":"x","mood":{"calm": 1.50},"list":[ {"a":1} ],"word":"\u00fc\/"}}]}`,
		`{"choices":[{"index":0,"delta":{"refusal":null,"mood":null,"list":[{"a":2.0}],"word":"\ud83d","annotations":[]}}]}`,
		`{"choices":[{"index":0,"delta":{"word":"\ude00"}}]}`,
		tools(`{"index":0,"id":"a","type":"function","seal":"s1","function":{"name":"shell","arguments":"{}","provider_specific_fields":{"k": "v"}}}`),
		tools(`{"index":1,"id":"b","type":"function","function":{"name":"shell","arguments":"{}"}}`),
		calls, used, done), good())
	c := open(t, p.URL)
	reply, err := c.Complete(t.Context(), question1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Complete(t.Context(), follow(question1, reply, "ok", "ok")); err != nil {
		t.Fatal(err)
	}
	want := `{"role":"assistant","content":"x","list":[ {"a":1} ,{"a":2.0}],"mood":{"calm": 1.50},"word":"\u00fc\/\ud83d\ude00","tool_calls":[` +
		`{"id":"a","type":"function","function":{"name":"shell","arguments":"{}","provider_specific_fields":{"k": "v"}},"seal":"s1"},` +
		`{"id":"b","type":"function","function":{"name":"shell","arguments":"{}"}}]}`
	if !strings.Contains(p.bodies[1], want) {
		t.Errorf("sent %s\nwant %s", p.bodies[1], want)
	}
}

// A thought goes back with the calls that it led to only: elsewhere it is paid
// for and read by nobody.
func TestThoughtWithoutCallsStaysAway(t *testing.T) {
	p := serve(t, stream(`{"choices":[{"index":0,"delta":{"reasoning_content":"hm","reasoning":"hm","content":"hello"}}]}`, stops, used, done))
	got, err := open(t, p.URL).Complete(t.Context(), question1)
	if err != nil || got.Echo != nil {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestDetailsArePutTogether(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"whole":             {`[{"type":"reasoning.text","text":"a", "signature":"s"}]`, `[{"type":"reasoning.text","text":"a", "signature":"s"}]`},
		"pieces":            {`[{"type":"reasoning.text","text":"a","index":0},{"type":"reasoning.text","text":"b","index":0,"signature":null},{"type":"reasoning.text","signature":"s","index":0}]`, `[{"index":0,"signature":"s","text":"ab","type":"reasoning.text"}]`},
		"summaries":         {`[{"type":"reasoning.summary","summary":"a"},{"type":"reasoning.summary","summary":"b"}]`, `[{"summary":"ab","type":"reasoning.summary"}]`},
		"two blocks":        {`[{"type":"reasoning.text","text":"a","index":0},{"type":"reasoning.text","text":"b","index":1}]`, `[{"type":"reasoning.text","text":"a","index":0},{"type":"reasoning.text","text":"b","index":1}]`},
		"encrypted twice":   {`[{"type":"reasoning.encrypted","data":"a"},{"type":"reasoning.encrypted","data":"b"}]`, `[{"type":"reasoning.encrypted","data":"a"},{"type":"reasoning.encrypted","data":"b"}]`},
		"then another kind": {`[{"type":"reasoning.text","text":"a"},{"type":"reasoning.text","text":"b"},{"type":"reasoning.encrypted","data":"c"}]`, `[{"text":"ab","type":"reasoning.text"},{"type":"reasoning.encrypted","data":"c"}]`},
		"no list":           {`{"a":1}`, `{"a":1}`},
		"no objects":        {`[1,"x"]`, `[1,"x"]`},
	} {
		if got := string(details(json.RawMessage(tt.in))); got != tt.want {
			t.Errorf("%s: got %s, want %s", name, got, tt.want)
		}
	}
}

func FuzzResponse(f *testing.F) {
	f.Add(itemDone(reasoned) + "\n" + itemDone(called) + "\n" + finished)
	f.Add(`{"type":"response.output_item.done","output_index":-7,"item":{"type":"message","content":7}}` + "\n" + finished)
	f.Add(`{"type":"error","status":400,"error":"x"}`)
	f.Fuzz(func(t *testing.T, lines string) {
		var a answer
		for line := range strings.Lines(lines) {
			_, _ = a.hear([]byte(line)) // that it does not panic is the point
		}
		r := a.done(1, map[string]bool{}, "me")
		m := agent.Message{Role: agent.Assistant, Content: r.Content, Calls: r.Calls, Echo: r.Echo}
		if out := (form{responses: true, from: "me"}).append(nil, m); !json.Valid([]byte("[" + string(out) + "]")) {
			t.Errorf("%s became %s", lines, out)
		}
	})
}
