package model

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

func TestWhichAPIIsAskedFirst(t *testing.T) {
	const openai, azure, other = "https://api.openai.com/v1", "https://res.openai.azure.com/openai/v1", "https://openrouter.ai/api/v1"
	for _, tt := range []struct {
		api          API
		name, effort string
		base         string
		responses    bool
	}{
		{Auto, "gpt-5.5", "", openai, true},
		{"", "gpt-5.4-mini", "high", openai, true},
		{Auto, "gpt-5.4", "none", openai, false},
		{Auto, "gpt-5.10", "", openai, true},
		{Auto, "gpt-6.1-sol", "", azure, true},
		{Auto, "gpt-5.1-codex-max", "none", openai, true},
		{Auto, "gpt-5-codex", "", openai, true},
		{Auto, "gpt-5-pro", "", openai, true},
		{Auto, "o3-pro", "", openai, true},
		{Auto, "o4-mini-deep-research", "", openai, true},
		{Auto, "gpt-5.2", "", openai, false},
		{Auto, "gpt-5-mini", "", openai, false},
		{Auto, "gpt-4.1", "", openai, false},
		{Auto, "our-deployment", "", azure, false},
		{Auto, "openai/gpt-5.5", "", other, false},
		{Auto, "gpt-5.5", "", other, false},
		{Chat, "gpt-5.5", "", openai, false},
		{Responses, "any", "", other, true},
	} {
		base, err := url.Parse(tt.base)
		if err != nil {
			t.Fatal(err)
		}
		m, err := firstManner(tt.api, tt.name, tt.effort, base)
		if err != nil || m.responses != tt.responses {
			t.Errorf("%s %s (%s) at %s: responses %v, %v", tt.api, tt.name, tt.effort, tt.base, m.responses, err)
		}
	}
	if _, err := Open(Options{Name: "m", Key: "k", API: "rest"}); err == nil || !strings.Contains(err.Error(), `input api: "rest" is not auto, chat or responses`) {
		t.Errorf("got %v", err)
	}
}

// toolsOnlyInResponses is what OpenAI's newer models say in chat completions:
// platform.openai.com/docs/guides/migrate-to-responses, and the issues
// BerriAI/litellm#34569, openai/openai-openapi#541.
const toolsOnlyInResponses = `{"error":{"message":"Function tools with reasoning_effort are not supported for gpt-5.5 in /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to 'none'.","type":"invalid_request_error","param":"reasoning_effort","code":null}}`

// byPath answers each API with a handler of its own.
func byPath(chat, responses http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/responses") {
			responses(w, r)
			return
		}
		chat(w, r)
	}
}

const completed = `{"type":"response.completed","sequence_number":9,"response":{"id":"resp_1","object":"response","status":"completed","error":null,"incomplete_details":null,"output":[
	{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"text":"hello"}]}],
	"usage":{"input_tokens":1000,"input_tokens_details":{"cached_tokens":600},"output_tokens":50,"output_tokens_details":{"reasoning_tokens":32},"total_tokens":1050}}}`

func TestAutoFindsOutOnceAndRemembers(t *testing.T) {
	p := serve(t, byPath(status(400, toolsOnlyInResponses), stream(oneLine(completed))))
	c := open(t, p.URL+"/v1")
	used := usual
	used.Reasoning = 32
	for range 3 {
		got, err := c.Complete(t.Context(), question1)
		if err != nil || got.Content != "hello" || got.Usage != used {
			t.Fatalf("got %+v, %v", got, err)
		}
	}
	if p.asked() != 4 || len(c.waits) != 0 {
		t.Errorf("asked %d times, want one refusal and three replies; waited %v", p.asked(), c.waits)
	}
	if len(c.lines) != 1 || !strings.Contains(c.lines[0], "asked through the Responses API from now on") {
		t.Errorf("logged %q", c.lines)
	}
	known := NewChain(nil, c.Client).Known()
	if len(known) != 1 || known[0].API != "responses" || known[0].Model != "test-model" || strings.Contains(known[0].Endpoint, "127.0.0.1") {
		t.Fatalf("kept %+v", known)
	}
	next := open(t, p.URL+"/v1", func(o *Options) { o.Known = known })
	if got, err := next.Complete(t.Context(), question1); err != nil || got.Content != "hello" || p.asked() != 5 {
		t.Errorf("got %+v, %v after %d requests", got, err, p.asked())
	}
	// A person's word goes before what was found out.
	if c := open(t, p.URL+"/v1", func(o *Options) { o.Known, o.API = known, Chat }); c.how.responses {
		t.Error("api: chat was overruled")
	}
}

// What was found out may be wrong by now: then it is found out once more.
func TestWhatWasKnownMayChange(t *testing.T) {
	p := serve(t, byPath(good(), func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }))
	c := open(t, p.URL+"/v1")
	known := []runner.Endpoint{{Model: c.name, Endpoint: c.endpoint(), API: "responses", Refused: []string{"something later"}}}
	c = open(t, p.URL+"/v1", func(o *Options) { o.Known = known })
	if got, err := c.Complete(t.Context(), question1); err != nil || got.Content != "hello" || p.asked() != 2 {
		t.Errorf("got %+v, %v after %d requests", got, err, p.asked())
	}
	if e, ok := c.Known(); ok {
		t.Errorf("kept %+v of an endpoint that is as it was thought", e)
	}
}

// The library refuses by itself what OpenAI would, without asking anybody.
func TestAutoFindsOutFromTheLibraryToo(t *testing.T) {
	p := serve(t, byPath(status(500, `{}`), stream(oneLine(completed))))
	c := open(t, p.URL+"/v1", func(o *Options) { o.Name = "gpt-6-sol" })
	if got, err := c.Complete(t.Context(), question1); err != nil || got.Content != "hello" || p.asked() != 1 {
		t.Errorf("got %+v, %v after %d requests", got, err, p.asked())
	}
}

func TestChatOnlyServerIsFoundOut(t *testing.T) {
	p := serve(t, byPath(good(), func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }))
	c := open(t, p.URL+"/v1")
	c.how.responses = true // as for a model of OpenAI's behind a proxy of that name
	for range 2 {
		if got, err := c.Complete(t.Context(), question1); err != nil || got.Content != "hello" {
			t.Fatalf("got %+v, %v", got, err)
		}
	}
	if p.asked() != 3 {
		t.Errorf("asked %d times", p.asked())
	}
}

// Neither API: no ball game.
func TestAPIIsChangedOnceOnly(t *testing.T) {
	p := serve(t, byPath(status(400, toolsOnlyInResponses), func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }))
	_, err := open(t, p.URL+"/v1").Complete(t.Context(), question1)
	_ = stopped(t, err, runner.Paused)
	if p.asked() != 2 {
		t.Errorf("asked %d times", p.asked())
	}
}

func TestAPIThatWasAskedForIsKept(t *testing.T) {
	p := serve(t, status(400, toolsOnlyInResponses))
	_, err := open(t, p.URL+"/v1", func(o *Options) { o.API = Chat }).Complete(t.Context(), question1)
	if err == nil || !strings.Contains(err.Error(), "set the input api to auto") || p.asked() != 1 {
		t.Errorf("got %v after %d requests", err, p.asked())
	}
}

// What a provider refuses for its form is asked again in another, once, and the
// client remembers.
func TestManners(t *testing.T) {
	echoed := follow(question1, agent.Reply{Calls: []agent.Call{{ID: "a", Name: "shell", Args: "{}"}}}, "ok")
	for name, tt := range map[string]struct {
		change  func(*Options)
		refusal string
		sign    string // in a request before, not after
		echo    string
		lesson  string // what the state keeps
	}{
		"max_tokens (OpenAI)": {
			refusal: `{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}`,
			sign:    `"max_tokens"`,
			lesson:  "max_tokens",
		},
		"max_completion_tokens (an older server)": {
			change:  func(o *Options) { o.Name = "gpt-5" },
			refusal: `{"detail":[{"type":"extra_forbidden","loc":["body","max_completion_tokens"],"msg":"Extra inputs are not permitted"}]}`,
			sign:    `"max_completion_tokens"`,
			lesson:  "max_completion_tokens",
		},
		"stream_options": {
			refusal: `{"error":{"message":"Unrecognized request argument supplied: stream_options"}}`,
			sign:    `"stream_options"`,
			lesson:  "stream_options",
		},
		"encrypted reasoning (gpt-4.1)": {
			change:  func(o *Options) { o.API = Responses },
			refusal: `{"error":{"message":"Encrypted content is not supported with this model.","type":"invalid_request_error","param":"include","code":null}}`,
			sign:    `"include"`,
			lesson:  "reasoning.encrypted_content",
		},
		"encrypted reasoning of another key": {
			change:  func(o *Options) { o.API = Responses },
			refusal: `{"error":{"message":"The encrypted content gAAA...Qw== could not be verified. Reason: Encrypted content could not be decrypted or parsed.","type":"invalid_request_error","param":null,"code":"invalid_encrypted_content"}}`,
			sign:    `"type":"reasoning"`,
			echo:    `{"type":"reasoning","id":"rs_1","encrypted_content":"gAAA"}`,
			lesson:  "echo",
		},
		"reasoning (Groq)": {
			refusal: `{"error":{"message":"'messages.2' : for 'role:assistant' the following must be satisfied[('messages.2' : property 'reasoning' is unsupported, did you mean 'role'?)]","type":"invalid_request_error"}}`,
			sign:    `"reasoning":"hm"`,
			echo:    `{"reasoning":"hm"}`,
			lesson:  "echo",
		},
		"a cache key (Mistral)": {
			change:  func(o *Options) { o.CacheKey = "loop-1" },
			refusal: `{"detail":[{"type":"extra_forbidden","loc":["body","prompt_cache_key"],"msg":"Extra inputs are not permitted"}]}`,
			sign:    `,"prompt_cache_key":"loop-1"`,
			lesson:  "prompt_cache_key",
		},
		"a mark for the cache": {
			refusal: `{"error":{"message":"Unrecognized request argument supplied: cache_control","code":400}}`,
			sign:    `,"cache_control":{"type":"ephemeral"}`,
			lesson:  "cache_control",
		},
	} {
		t.Run(name, func(t *testing.T) {
			answer := byPath(good(), stream(oneLine(completed)))
			p := serve(t, status(400, tt.refusal), answer)
			client := func(known ...runner.Endpoint) *bench {
				c := open(t, p.URL+"/v1", func(o *Options) {
					if o.Known = known; tt.change != nil {
						tt.change(o)
					}
				})
				c.fresh.keyed, c.fresh.marked = true, true // as at OpenAI's address, and OpenRouter's
				c.how.keyed, c.how.marked = len(known) == 0, len(known) == 0
				return c
			}
			c := client()
			r := echoed
			if tt.echo != "" {
				r = echoing(c, r, tt.echo)
			}
			for range 2 {
				if got, err := c.Complete(t.Context(), r); err != nil || got.Content != "hello" {
					t.Fatalf("got %+v, %v", got, err)
				}
			}
			if p.asked() != 3 {
				t.Fatalf("asked %d times", p.asked())
			}
			for i, body := range p.bodies {
				if strings.Contains(body, tt.sign) != (i == 0) {
					t.Errorf("request %d: %s", i+1, body)
				}
			}
			if len(c.lines) != 1 {
				t.Errorf("logged %q", c.lines)
			}
			// The next session begins with what this one found out.
			known, ok := c.Known()
			if !ok || !slices.Contains(known.Refused, tt.lesson) {
				t.Fatalf("kept %+v", known)
			}
			next := client(runner.Endpoint{Model: "another", Endpoint: known.Endpoint}, known)
			if tt.echo != "" {
				r = echoing(next, r, tt.echo)
			}
			if got, err := next.Complete(t.Context(), r); err != nil || got.Content != "hello" || p.asked() != 4 || strings.Contains(p.bodies[3], tt.sign) {
				t.Errorf("got %+v, %v of %d: %s", got, err, p.asked(), p.bodies[3])
			}
			if again, _ := next.Known(); !slices.Contains(again.Refused, tt.lesson) {
				t.Errorf("forgot it: %+v", again)
			}
			elsewhere := open(t, p.URL+"/v2", func(o *Options) { o.Known = []runner.Endpoint{known} })
			if e, ok := elsewhere.Known(); ok {
				t.Errorf("another endpoint knows %+v", e)
			}
		})
	}
}

// echoing is r with an echo of c's provider at its last reply.
func echoing(c *bench, r agent.Request, came string) agent.Request {
	echo := &agent.Echo{From: c.form(c.how).from, Raw: raws(came, "{}", "{}")}
	if c.how.responses {
		echo.Raw = raws(came, `{"type":"function_call","id":"fc_1","call_id":"a","name":"shell","arguments":"{}"}`)
	}
	msgs := append([]agent.Message{}, r.Messages...)
	msgs[len(msgs)-2].Echo = echo
	r.Messages = msgs
	return r
}

// A refusal that is about the missing echo does not end the echo.
func TestEchoThatIsMissedIsNotDropped(t *testing.T) {
	for _, refusal := range []string{
		`{"error":{"message":"The reasoning_content in the thinking mode must be passed back to the API."}}`,
		`[{"error":{"code":400,"message":"Function call is missing a thought_signature in functionCall parts.","status":"INVALID_ARGUMENT"}}]`,
	} {
		p := serve(t, status(400, refusal))
		c := open(t, p.URL+"/v1")
		r := follow(question1, agent.Reply{Calls: []agent.Call{{ID: "a", Name: "shell", Args: "{}"}}}, "ok")
		if _, err := c.Complete(t.Context(), echoing(c, r, `{"reasoning_content":"hm"}`)); err == nil || c.how.bare || p.asked() != 1 {
			t.Errorf("got %v, bare %v after %d requests", err, c.how.bare, p.asked())
		}
	}
}

// Two calls that were refused at the same time for different things learn one after
// the other: what the faster one learned is not overwritten by what the slower
// one concludes from how both had asked.
func TestCallsDoNotForgetForOneAnother(t *testing.T) {
	var mu sync.Mutex
	both := make(chan struct{})
	var bodies []string
	p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		body := string(raw)
		mu.Lock()
		bodies = append(bodies, body)
		n := len(bodies)
		mu.Unlock()
		switch n {
		case 1:
			<-both
		case 2:
			close(both)
		}
		switch usage, old := strings.Contains(body, "stream_options"), strings.Contains(body, `"max_tokens"`); {
		case usage && (n == 1 || !old):
			status(400, `{"error":{"message":"Unrecognized request argument supplied: stream_options"}}`)(w, r)
		case old:
			status(400, `{"error":{"message":"Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}}`)(w, r)
		default:
			good()(w, r)
		}
	}))
	defer p.Close()
	c := open(t, p.URL+"/v1", func(o *Options) { o.Log = nil })
	ask := func() {
		if got, err := c.Complete(t.Context(), question1); err != nil || got.Content != "hello" {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	var calls sync.WaitGroup
	calls.Go(ask)
	calls.Go(ask)
	calls.Wait()
	before := len(bodies)
	ask()
	how := c.manner()
	if how.usage || !how.newer || len(bodies) != before+1 || before > 6 {
		t.Errorf("asked %d times, then %d: %+v", before, len(bodies)-before, how)
	}

	// The same, one step at a time.
	c = open(t, p.URL+"/v1", func(o *Options) { o.Log = nil })
	first := c.manner()
	for _, text := range []string{"unknown stream_options", "max_tokens: use max_completion_tokens"} {
		if !c.learn(first, fault{kind: refused, text: text}, question1) {
			t.Errorf("%q: not asked again", text)
		}
	}
	if how := c.manner(); how.usage || how.newer {
		t.Errorf("the slower call's conclusion stands: %+v", how)
	}
}
