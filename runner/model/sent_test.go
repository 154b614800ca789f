package model

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// conversationOf is the part of a body that holds the conversation, and what
// stands before it.
func conversationOf(t *testing.T, body string) string {
	t.Helper()
	for _, end := range []string{`],"max_tokens":`, `],"max_output_tokens":`, `],"prompt_cache_key":`, `],"session_id":`} {
		if before, _, ok := strings.Cut(body, end); ok {
			return before
		}
	}
	t.Fatalf("no conversation in %.300s", body)
	return ""
}

// What was sent stays byte-identical, or no provider's cache finds it again:
// over a long phase, with retries and with requests for one piece, each body
// begins with the one before.
func TestWhatWasSentIsSentAgain(t *testing.T) {
	overBoth(t, func(t *testing.T, over func(*Options)) {
		turn := 0
		call := func() http.HandlerFunc {
			turn++
			id, args := fmt.Sprintf("call_%d", turn), fmt.Sprintf(`{"command": "echo \"<%d> & ü\""}`, turn)
			return byPath(
				stream(
					`{"choices":[{"index":0,"delta":{"content":"step <b>","reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"c2ln"}]}}]}`,
					tools(fmt.Sprintf(`{"index":0,"id":%q,"extra_content":{ "google": {"thought_signature": "c2ln"}},"function":{"name":"shell","arguments":%q}}`, id, args)),
					calls, used, done),
				stream(
					fmt.Sprintf(`{"type":"response.output_item.done","output_index":0,"item":{"id":"rs_%d","type":"reasoning","summary":[], "encrypted_content":"gAAA%d"}}`, turn, turn),
					fmt.Sprintf(`{"type":"response.output_item.done","output_index":1,"item":{"id":"fc_%d","type":"function_call","status":"completed","call_id":%q,"name":"shell","arguments":%q}}`, turn, id, args),
					oneLine(`{"type":"response.completed","response":{"object":"response","status":"completed","output":[],"usage":{"input_tokens":1000,"output_tokens":50}}}`)),
			)
		}
		cutShort := byPath(stream(says("hel")), stream(`{"type":"response.created","response":{"status":"in_progress"}}`))
		var answers []http.HandlerFunc
		const turns = 40
		for i := range turns {
			switch i % 7 {
			case 3:
				answers = append(answers, status(500, `{}`), status(429, `{}`))
			case 5:
				answers = append(answers, cutShort, cutShort, cutShort) // the next one asks for one piece
			}
			answers = append(answers, call())
		}
		p := serve(t, answers...)
		c, r := open(t, p.URL, over), question1
		for i := range turns {
			reply, err := c.Complete(t.Context(), r)
			if err != nil || len(reply.Calls) != 1 {
				t.Fatalf("turn %d: %+v, %v", i+1, reply, err)
			}
			r = follow(r, reply, strings.Repeat(fmt.Sprintf("line %d of <result> \"x\"\n", i), 20))
			if i%9 == 8 { // the reviewer asks something in between
				if _, _, err := open(t, serve(t, good()).URL).Ask(t.Context(), "s", "p"); err != nil {
					t.Fatal(err)
				}
			}
		}
		same, plain := 0, 0
		for i, body := range p.bodies {
			if !json.Valid([]byte(body)) {
				t.Fatalf("request %d is no JSON: %s", i+1, body)
			}
			if strings.Contains(body, `"stream":false`) {
				plain++
			}
			if i == 0 {
				continue
			}
			before := conversationOf(t, p.bodies[i-1])
			if !strings.HasPrefix(body, before) {
				t.Fatalf("request %d does not begin with the one before:\n%s\n%s", i+1, before, body)
			}
			if conversationOf(t, body) == before {
				same++
			}
		}
		if plain == 0 || same == 0 {
			t.Errorf("of %d requests %d were retries and %d for one piece", len(p.bodies), same, plain)
		}
	})
}

// Old results are dropped now and then: what stands before the first of them
// stays, and what was sent before is not touched while it is on its way.
func TestCutKeepsWhatStandsBeforeIt(t *testing.T) {
	p := serve(t, good())
	c := open(t, p.URL)
	r := question1
	for i := range 6 {
		r = follow(r, agent.Reply{Calls: []agent.Call{{ID: fmt.Sprint(i), Name: "shell", Args: "{}"}}}, strings.Repeat("x", 100))
	}
	f := c.form(c.how)
	first := c.written(r.Messages, f)
	held := string(first)
	cut := r
	cut.Messages = append([]agent.Message{}, r.Messages...)
	cut.Messages[5].Content = "dropped"
	second := c.written(cut.Messages, f)
	if string(first) != held {
		t.Error("bytes that were handed out have changed")
	}
	at := strings.Index(held, strings.Repeat("x", 100)+`","tool_call_id":"1"`)
	if at < 0 || string(second[:at]) != held[:at] || !strings.Contains(string(second), "dropped") {
		t.Errorf("after the cut:\n%s\n%s", held, second)
	}
	if got := c.written(r.Messages, f); string(got) != held { // both are still known
		t.Error("the conversation before the cut has other bytes now")
	}
	if got := c.written(r.Messages[:3], f); !strings.HasPrefix(held, string(got)+",") {
		t.Errorf("the conversation's beginning is %s", got)
	}
	other := c.written([]agent.Message{r.Messages[0], {Role: agent.User, Content: "other"}}, f)
	if !json.Valid([]byte("["+string(other)+"]")) || strings.Contains(string(other), "Build.") || len(c.sent) != mostSent {
		t.Errorf("another conversation is %s, %d are kept", other, len(c.sent))
	}
}

// Whoever changes a call's arguments in place, against the contract, is sent
// what stands there now.
func TestChangeInPlaceIsSeen(t *testing.T) {
	c := open(t, serve(t, good()).URL)
	r := follow(question1, agent.Reply{Calls: []agent.Call{{ID: "a", Name: "shell", Args: `{"a":1}`}}}, "ok")
	f := c.form(c.how)
	_ = c.written(r.Messages, f)
	r.Messages[2].Calls[0].Args = `{"a":2}`
	if got := string(c.written(r.Messages, f)); !strings.Contains(got, `{\"a\":2}`) {
		t.Errorf("got %s", got)
	}
}

func FuzzQuote(f *testing.F) {
	f.Add("plain")
	f.Add("a\"b\\c\n\r\t\x00\x1f\x7f <>& \u2028 ü 😀")
	f.Add("broken \xff\xc3( \xed\xa0\x80 end\xe2\x82")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		quoted := quote(nil, s)
		if err := json.Unmarshal(quoted, &got); err != nil {
			t.Fatalf("%q became %s: %v", s, quoted, err)
		}
		want := strings.Map(func(r rune) rune { return r }, s) // each byte that is no text becomes U+FFFD
		if got != want || !utf8.Valid(quoted) {
			t.Errorf("%q became %s: %s", s, quoted, cmp.Diff(want, got))
		}
	})
}
