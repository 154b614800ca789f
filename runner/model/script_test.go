package model

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

const addition = `Notes about the script.

-- plan/1 say --
[{"id": "add-001"}]
-- plan-1/1 say --
[{"id": "add-002"}]
-- review/add-001/1 say --
{"veto": false}
-- compact/add-001/1 say --
So far so good.
-- add-001/1/tests/1 say --
I read first.
-- add-001/1/tests/1 read_file test/add.test.js --
-- add-001/1/tests/1 find_files src/**/*.js --
-- add-001/1/tests/1 search add\( --
-- add-001/1/tests/2 expect --
no such file
2 files, too many tokens

-- add-001/1/tests/2 write_file test/add.test.js --
test('adds <1> & "2"', () => {
	equal(add(1, 2), 3) // größer
})
-- add-001/1/tests/2 edit_file src/index.js --
<<<<<<<
a
b
=======
c
>>>>>>>
<<<<<<<
gone
=======
>>>>>>>
-- add-001/1/tests/2 shell --
npm test
-- add-001/1/tests/3 run_tests --
-- add-001/1/tests/3 run_tests all --
-- add-001/1/tests/3 browser --
{"action": "open", "url": "/"}
-- add-001/1/tests/3 note --
the port is 3000
-- add-001/1/tests/3 call nonsense --
{"not": json
-- add-001/1/tests/4 http 429 7 --
-- add-001/1/tests/4 http 500 --
-- add-001/1/tests/4 request_verification --
Tests are written.
-- add-001/1/repair-1/1 cannot_complete conflict --
The spec contradicts itself.
-- add-001/2/tests/1 sleep 20ms --
-- add-001/2/tests/1 say --
late
`

func scripted1(t *testing.T, change ...func(*Options)) *bench {
	t.Helper()
	s, err := Script("loop.txtar", []byte(addition))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	change = append(change, func(o *Options) { o.Name, o.Key = "script", "" })
	return open(t, s.URL, change...)
}

// overBoth runs a test over both APIs.
func overBoth(t *testing.T, test func(t *testing.T, over func(*Options))) {
	for _, api := range []API{Chat, Responses} {
		t.Run(string(api), func(t *testing.T) { test(t, func(o *Options) { o.API = api }) })
	}
}

func begin(line string) agent.Request {
	return agent.Request{Messages: []agent.Message{
		{Role: agent.System, Content: "You build."},
		{Role: agent.User, Content: "[loop] feature=other-001 attempt=9 phase=tests round=0\nolder"},
		{Role: agent.Assistant, Content: "yes"},
		{Role: agent.User, Content: line + "\nDo it."},
	}}
}

// follow appends a reply and the results of its calls.
func follow(r agent.Request, reply agent.Reply, results ...string) agent.Request {
	r.Messages = append(r.Messages, agent.Message{Role: agent.Assistant, Content: reply.Content, Calls: reply.Calls, Echo: reply.Echo})
	for i, c := range reply.Calls {
		m := agent.Message{Role: agent.Result, CallID: c.ID}
		if i < len(results) {
			m.Content = results[i]
		}
		r.Messages = append(r.Messages, m)
	}
	return r
}

func TestScriptTellsAWholePhase(t *testing.T) {
	overBoth(t, func(t *testing.T, over func(*Options)) {
		c := scripted1(t, over)
		r := begin("[loop] feature=add-001 attempt=1 phase=tests round=0")
		var got []agent.Reply
		for _, results := range [][]string{{"no such file", "2 files, too many tokens"}, nil, nil, nil} {
			reply, err := c.Complete(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			r = follow(r, reply, results...)
			if reply.Usage.Tokens <= 0 || reply.Usage.Calls != 1 || reply.Usage.Unpriced || reply.Prompt <= 0 {
				t.Errorf("usage %+v of a prompt of %d", reply.Usage, reply.Prompt)
			}
			if (reply.Echo != nil) != c.how.responses {
				t.Errorf("the echo is %v", reply.Echo)
			}
			reply.Usage, reply.Prompt, reply.Echo = runner.Usage{}, 0, nil
			got = append(got, reply)
		}
		want := []agent.Reply{
			{Content: "I read first.", Finish: agent.FinishCalls, Calls: []agent.Call{
				{ID: "call_1_0", Name: "read_file", Args: `{"path":"test/add.test.js"}`},
				{ID: "call_1_1", Name: "find_files", Args: `{"glob":"src/**/*.js"}`},
				{ID: "call_1_2", Name: "search", Args: `{"pattern":"add\\("}`},
			}},
			{Finish: agent.FinishCalls, Calls: []agent.Call{
				{ID: "call_2_0", Name: "write_file", Args: `{"path":"test/add.test.js","content":"test('adds <1> & \"2\"', () => {\n\tequal(add(1, 2), 3) // größer\n})\n"}`},
				{ID: "call_2_1", Name: "edit_file", Args: `{"path":"src/index.js","edits":[{"old":"a\nb","new":"c"},{"old":"gone","new":""}]}`},
				{ID: "call_2_2", Name: "shell", Args: `{"command":"npm test"}`},
			}},
			{Finish: agent.FinishCalls, Calls: []agent.Call{
				{ID: "call_3_0", Name: "run_tests", Args: `{}`},
				{ID: "call_3_1", Name: "run_tests", Args: `{"scope":"all"}`},
				{ID: "call_3_2", Name: "browser", Args: `{"action": "open", "url": "/"}`},
				{ID: "call_3_3", Name: "note", Args: `{"text":"the port is 3000"}`},
				{ID: "call_3_4", Name: "nonsense", Args: `{"not": json`},
			}},
			{Finish: agent.FinishCalls, Calls: []agent.Call{{ID: "call_4_0", Name: "request_verification", Args: `{"summary":"Tests are written."}`}}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if want := []time.Duration{7*time.Second + 350*time.Millisecond, time.Second}; !cmp.Equal(want, c.waits) {
			t.Errorf("waited %v, want %v: as long as the scripted failures asked for", c.waits, want)
		}
	})
}

func TestScriptFindsTheConversation(t *testing.T) {
	overBoth(t, func(t *testing.T, over func(*Options)) {
		c := scripted1(t, over)
		for line, want := range map[string]string{
			"[loop] plan":                                          `[{"id": "add-001"}]`,
			"[loop] plan round=0":                                  `[{"id": "add-001"}]`,
			"[loop] plan round=1":                                  `[{"id": "add-002"}]`,
			"[loop] compact feature=add-001":                       "So far so good.",
			"[loop] review feature=add-001":                        "{\"veto\": false}",
			"[loop] feature=add-001 attempt=2 phase=tests round=0": "late",
		} {
			reply, err := c.Complete(t.Context(), begin(line))
			if err != nil || reply.Content != want {
				t.Errorf("%s: got %q, %v; want %q", line, reply.Content, err, want)
			}
		}
		reply, err := c.Complete(t.Context(), begin("[loop] feature=add-001 attempt=1 phase=repair round=1"))
		if want := []agent.Call{{ID: "call_1_0", Name: "cannot_complete", Args: `{"kind":"conflict","reason":"The spec contradicts itself."}`}}; err != nil || !cmp.Equal(want, reply.Calls) {
			t.Errorf("got %v, %v; want %v", reply.Calls, err, want)
		}
		// The same question has the same answer, however often it is asked.
		again, err := c.Complete(t.Context(), begin("[loop] feature=add-001 attempt=1 phase=repair round=1"))
		if diff := cmp.Diff(reply, again); err != nil || diff != "" {
			t.Error(err, diff)
		}
	})
}

func TestScriptRefusesWhatItDoesNotForesee(t *testing.T) {
	overBoth(t, func(t *testing.T, over func(*Options)) {
		c := scripted1(t, over)
		first, err := c.Complete(t.Context(), begin("[loop] feature=add-001 attempt=1 phase=tests round=0"))
		if err != nil {
			t.Fatal(err)
		}
		for name, tt := range map[string]struct {
			r    agent.Request
			want string
		}{
			"another feature": {begin("[loop] feature=add-002 attempt=1 phase=tests round=0"), "script: unexpected question add-002/1/tests/1"},
			"another round":   {begin("[loop] feature=add-001 attempt=1 phase=repair round=2"), "script: unexpected question add-001/1/repair-2/1"},
			"one turn more":   {follow(begin("[loop] plan"), agent.Reply{Content: "x"}), "script: unexpected question plan/2"},
			"no line":         {question1, "script: no message begins with a line like [loop]"},
			"unmet expect": {
				follow(begin("[loop] feature=add-001 attempt=1 phase=tests round=0"), first, "no such file", "context window exceeded"),
				`script: add-001/1/tests/2 expected ["2 files, too many tokens"] in what was said since the last reply`,
			},
		} {
			t.Run(name, func(t *testing.T) {
				waits := len(c.waits)
				_, err := c.Complete(t.Context(), tt.r)
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
				if _, ok := errors.AsType[*runner.StopError](err); ok {
					t.Errorf("%v is a stop, want a plain error that fails the run", err)
				}
				if len(c.waits) != waits {
					t.Errorf("asked again after %v", c.waits[waits:])
				}
			})
		}
	})
}

func TestScriptAnswersInOnePiece(t *testing.T) {
	overBoth(t, func(t *testing.T, over func(*Options)) {
		c := scripted1(t, over)
		r := begin("[loop] feature=add-001 attempt=1 phase=tests round=0")
		streamed, err := c.Complete(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		whole, f := c.once(t.Context(), r, c.manner(), true)
		if f != nil {
			t.Fatal(f.text)
		}
		whole.Usage, whole.Prompt = streamed.Usage, streamed.Prompt // the request is a little shorter
		if diff := cmp.Diff(streamed, whole); diff != "" {
			t.Error(diff)
		}
	})
}

func TestScriptSleepEndsWithTheContext(t *testing.T) {
	s, err := Script("slow.txtar", []byte("-- plan/1 sleep 1h --\n-- plan/1 say --\nlate\n"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	c := open(t, s.URL)
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(&runner.StopError{Reason: runner.SessionTime}) })
	_, err = c.Complete(ctx, begin("[loop] plan"))
	_ = stopped(t, err, runner.SessionTime)
}

func TestScriptMistakesAllAtOnce(t *testing.T) {
	const bad = `comment
-- add-001/1/tests/1 jump --
-- add-001/1/tests/3 say --
x
-- add-001/1/testing/1 say --
-- add-001/1/tests/1 write_file --
-- add-001/1/tests/1 say loudly --
-- add-001/1/tests/1 edit_file a.js --
<<<<<<<
old
-- add-001/1/tests/1 edit_file a.js --
old
-- add-001/1/tests/1 browser --
open
-- add-001/1/tests/1 cannot_complete tired --
-- add-001/1/tests/1 http 200 --
-- add-001/1/tests/1 http 429 soon --
-- add-001/1/tests/1 sleep long --
-- add-001/1/tests/1 shell --

-- add-001/1/tests/1 expect --
-- add-001/1/tests/1 read_file a.js --
with a body
-- plan/0 say --
-- plan/01 say --
`
	_, err := Script("bad.txtar", []byte(bad))
	if err == nil {
		t.Fatal("parsed")
	}
	want := []string{
		`bad.txtar:2: "jump" is not a verb; there are browser, call,`,
		`bad.txtar:3: add-001/1/tests/3 has no turn 2 before it`,
		`bad.txtar:5: "add-001/1/testing/1" is not <feature>`,
		`bad.txtar:6: write_file needs an argument`,
		`bad.txtar:7: say takes no argument, but has "loudly"`,
		`bad.txtar:8: edit_file: needs blocks`,
		`bad.txtar:11: edit_file: "old" stands outside a block`,
		`bad.txtar:13: browser: the body is not a JSON object`,
		`bad.txtar:15: cannot_complete: "tired" is not conflict`,
		`bad.txtar:16: http: "200" is not a status`,
		`bad.txtar:17: http: "soon" is not a number of seconds`,
		`bad.txtar:18: sleep: "long" is not a duration`,
		`bad.txtar:19: shell: the body is empty`,
		`bad.txtar:21: expect: expects nothing`,
		`bad.txtar:22: read_file: takes no body`,
		`bad.txtar:24: "plan/0" is not`,
		`bad.txtar:25: "plan/01" is not`,
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("not reported: %s", w)
		}
	}
	if got := strings.Count(err.Error(), "\n") + 1; got != len(want) {
		t.Errorf("%d mistakes reported, want %d:\n%v", got, len(want), err)
	}

	if _, err := Script("empty.txtar", []byte("nothing\n")); err == nil || !strings.Contains(err.Error(), "empty.txtar:1: a script without entries") {
		t.Errorf("got %v", err)
	}
	if _, err := Script("mute.txtar", []byte("-- plan/1 sleep 1s --\n")); err == nil || !strings.Contains(err.Error(), "mute.txtar:1: plan/1 says nothing and calls nothing") {
		t.Errorf("got %v", err)
	}
}

func FuzzParseScript(f *testing.F) {
	f.Add([]byte(addition))
	f.Add([]byte("-- a/1/tests/1 edit_file x --\n<<<<<<<\n=======\n>>>>>>>\n"))
	f.Add([]byte("-- plan/1 call x --\r\n\xff\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseScript("fuzz.txtar", data)
		if err != nil {
			return
		}
		for key, turn := range s {
			for _, c := range turn.calls {
				if c.name == "write_file" && !json.Valid([]byte(c.args)) {
					t.Errorf("%s: %s is no JSON", key, c.args)
				}
			}
		}
	})
}
