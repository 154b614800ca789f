package model

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

func seconds(s ...float64) (d []time.Duration) {
	for _, s := range s {
		d = append(d, time.Duration(s*float64(time.Second)))
	}
	return d
}

// The waits are those at a jitter of one half.
func TestPassingFaultsAreWaitedOut(t *testing.T) {
	hangUp := func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
	for name, tt := range map[string]struct {
		answers []http.HandlerFunc
		waits   []time.Duration
	}{
		"429 with seconds":      {[]http.HandlerFunc{status(429, `{"error":{"message":"slow","code":"rate_limit_exceeded"}}`, "Retry-After", "20")}, seconds(20.5)},
		"429 with milliseconds": {[]http.HandlerFunc{status(429, `{}`, "Retry-After-Ms", "1500", "Retry-After", "60")}, seconds(1.575)},
		"429 with a date":       {[]http.HandlerFunc{status(429, `{}`, "Retry-After", "Sun, 22 Nov 2026 12:01:40 GMT", "Date", "Sun, 22 Nov 2026 12:01:00 GMT")}, seconds(40.5)},
		"429 with the limits of OpenAI": {[]http.HandlerFunc{status(429, `{}`, "X-Ratelimit-Remaining-Requests", "0", "X-Ratelimit-Reset-Requests", "1m30s",
			"X-Ratelimit-Remaining-Tokens", "1200", "X-Ratelimit-Reset-Tokens", "250ms")}, seconds(90.5)},
		"429 with a limit that is not used up": {[]http.HandlerFunc{status(429, `{}`, "X-Ratelimit-Remaining-Requests", "59", "X-Ratelimit-Reset-Requests", "8h",
			"X-Ratelimit-Remaining-Tokens", "0", "X-Ratelimit-Reset-Tokens", "20s")}, seconds(20.5)},
		"429 with a moment (OpenRouter)":                    {[]http.HandlerFunc{status(429, `{}`, "X-Ratelimit-Reset", "1795348830000", "Date", "Sun, 22 Nov 2026 12:00:00 GMT")}, seconds(30.5)},
		"429 with Google's delay":                           {[]http.HandlerFunc{status(429, `[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"You exceeded your current quota, please check your plan and billing details.","details":[{"@type":"x"},{"retryDelay":"34s"}]}}]`)}, seconds(34.5)},
		"429 with a moment that was passed on (OpenRouter)": {[]http.HandlerFunc{status(429, `{"error":{"message":"Rate limit exceeded: free-models-per-min.","code":429,"metadata":{"headers":{"X-RateLimit-Limit":"20","X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1795348830000"}}}}`, "Date", "Sun, 22 Nov 2026 12:00:00 GMT")}, seconds(30.5)},
		"the same inside the stream":                        {[]http.HandlerFunc{stream(`{"error":{"message":"Rate limit exceeded","code":429,"metadata":{"headers":{"retry-after":12}}}}`)}, seconds(12.5)},
		"429 of the provider behind OpenRouter":             {[]http.HandlerFunc{status(429, `{"error":{"message":"Provider returned error","code":429,"metadata":{"provider_name":"Google","raw":"[{\"error\":{\"code\":429,\"message\":\"You exceeded your current quota\",\"details\":[{\"retryDelay\":\"34s\"}]}}]"}}}`)}, seconds(34.5)},
		"429 for an account that is not ours":               {[]http.HandlerFunc{status(429, `{"error":{"message":"Provider returned error","code":429,"metadata":{"provider_name":"OpenAI","raw":{"error":{"code":"insufficient_quota","message":"You exceeded your current quota"}}}}}`)}, seconds(0.5)},
		"429 and no word":                                   {[]http.HandlerFunc{status(429, ``), status(429, ``), status(429, ``)}, seconds(0.5, 1, 2)},
		"529 overloaded":                                    {[]http.HandlerFunc{status(529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`)}, seconds(0.5)},
		"500, 502, 503, 408, 409":                           {[]http.HandlerFunc{status(500, `{}`, "X-Ratelimit-Reset-Tokens", "6m0s"), status(502, `<html>bad gateway</html>`, "Content-Type", "text/html"), status(503, ``), status(408, ``), status(409, ``)}, seconds(0.5, 1, 2, 4, 8)},
		"the line is cut at once":                           {[]http.HandlerFunc{hangUp, hangUp}, seconds(0.5, 1)},
		"an error inside the stream":                        {[]http.HandlerFunc{stream(": a comment before it", `{"error":{"message":"upstream died","code":502}}`, done)}, seconds(0.5)},
		"an error after some text":                          {[]http.HandlerFunc{stream(says("hel"), `{"id":"gen-1","error":{"code":"server_error","message":"upstream died"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}`, done)}, seconds(0.5)},
		"overloaded inside the stream":                      {[]http.HandlerFunc{stream(`{"error":{"type":"overloaded_error","message":"Overloaded"}}`)}, seconds(0.5)},
		"an error that is a text":                           {[]http.HandlerFunc{stream(`{"error":"out of memory"}`, done)}, seconds(0.5)},
		"an error without an event":                         {[]http.HandlerFunc{stream("\n" + `{"error":{"message":"proxy died"}}`)}, seconds(0.5)},
		"an array with an error, HTTP 200":                  {[]http.HandlerFunc{status(200, `[{"error":{"code":503,"message":"unavailable"}}]`)}, seconds(0.5)},
		"no finish reason":                                  {[]http.HandlerFunc{stream(says("hel"), done)}, seconds(0.5)},
		"cut in the middle": {[]http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			stream(says("hel"))(w, r)
			panic(http.ErrAbortHandler)
		}}, seconds(0.5)},
		"an event that is cut":     {[]http.HandlerFunc{stream(`{"choices":[{"index":0,"del`)}, seconds(0.5)},
		"a completion that is cut": {[]http.HandlerFunc{status(200, `{"choices":[{"index":0,"mess`)}, seconds(0.5)},
		"an empty stream":          {[]http.HandlerFunc{stream()}, seconds(0.5)},
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, append(tt.answers, good())...)
			c := open(t, p.URL)
			got, err := c.Complete(t.Context(), question1)
			if err != nil {
				t.Fatal(err)
			}
			if got.Content != "hello" || got.Finish != "stop" {
				t.Errorf("got %+v", got)
			}
			if !cmp.Equal(tt.waits, c.waits) {
				t.Errorf("waited %v, want %v", c.waits, tt.waits)
			}
			if want := len(tt.answers) + 1; p.asked() != want {
				t.Errorf("asked %d times, want %d", p.asked(), want)
			}
			if len(c.lines) != len(tt.waits) {
				t.Errorf("logged %q, want a line per wait", c.lines)
			}
		})
	}
}

func TestLastingFaultsEndTheCall(t *testing.T) {
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		reason runner.Reason // "": a plain error
		says   string
		asked  int
		until  time.Time
	}{
		"429 for an hour":      {status(429, `{"error":{"message":"daily limit"}}`, "Retry-After", "3600"), runner.RateLimit, "daily limit", 1, noon.Add(time.Hour)},
		"429 for six minutes":  {status(429, ``, "Retry-After", "360"), runner.RateLimit, "HTTP 429", 1, noon.Add(6 * time.Minute)},
		"429 again and again":  {status(429, ``), runner.RateLimit, "HTTP 429", 6, time.Time{}},
		"529 again and again":  {status(529, ``), runner.RateLimit, "HTTP 529", 6, time.Time{}},
		"429 minutes each":     {status(429, ``, "Retry-After", "240"), runner.RateLimit, "HTTP 429", 3, noon.Add(2*240*time.Second + time.Second + 240*time.Second)},
		"500 again and again":  {status(500, ``), runner.Paused, "the provider did not recover", 6, time.Time{}},
		"cut again and again":  {stream(says("hel")), runner.Paused, "without a finish reason", 4, time.Time{}},
		"no quota":             {status(429, `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}`, "Retry-After", "1"), runner.Paused, "top it up", 1, time.Time{}},
		"no quota, in words":   {status(429, `{"error":{"message":"You exceeded your current quota"}}`), runner.Paused, "top it up", 1, time.Time{}},
		"no credit (402)":      {status(402, `{"error":{"message":"This request requires more credits","code":402}}`), runner.Paused, "top it up", 1, time.Time{}},
		"no credit (400)":      {status(400, `{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API."}}`), runner.Paused, "top it up", 1, time.Time{}},
		"a spending limit":     {status(429, `{"error":{"type":"rate_limit_error","message":"limit","details":{"error_code":"enforced_spend_limit_reached"}}}`), runner.Paused, "top it up", 1, time.Time{}},
		"no credit mid-stream": {stream(`{"error":{"message":"Insufficient credits","code":402}}`), runner.Paused, "top it up", 1, time.Time{}},
		"401":                  {status(401, `{"error":{"message":"Incorrect API key provided: `+testKey+`","code":"invalid_api_key"}}`), runner.Paused, "mend the input api-key", 1, time.Time{}},
		"403":                  {status(403, `{"error":{"message":"forbidden"}}`), runner.Paused, "input api-key may not use this model", 1, time.Time{}},
		"404 of the model":     {status(404, `{"error":{"message":"The model test-model does not exist","code":"model_not_found"}}`), runner.Paused, "mend the input model", 1, time.Time{}},
		"400 of the model":     {status(400, `{"error":{"message":"unknown model: test-model"}}`), runner.Paused, "mend the input model", 1, time.Time{}},
		"404 of the path":      {status(404, "404 page not found", "Content-Type", "text/plain"), runner.Paused, "is not an OpenAI-compatible endpoint", 1, time.Time{}},
		"a web page":           {status(200, "<!doctype html><p>Welcome", "Content-Type", "text/html"), runner.Paused, "is not an OpenAI-compatible endpoint: answered with text/html; mend the input base-url", 1, time.Time{}},
		"a login page":         {status(403, "<html>sign in", "Content-Type", "text/html"), runner.Paused, "is not an OpenAI-compatible endpoint", 1, time.Time{}},
		"a page with no type":  {status(200, "\n  <p>Welcome", "Content-Type", "application/octet-stream"), runner.Paused, "is not an OpenAI-compatible endpoint", 1, time.Time{}},
		"another API":          {status(200, `{"status":"ok"}`), runner.Paused, "is not an OpenAI-compatible endpoint", 1, time.Time{}},
		"overflow (OpenAI)":    {status(400, `{"error":{"message":"too long","code":"context_length_exceeded"}}`), runner.ContextLimit, "too long for the model", 1, time.Time{}},
		"overflow (llama.cpp)": {status(400, `{"error":{"code":400,"message":"x","type":"exceed_context_size_error","n_ctx":4096}}`), runner.ContextLimit, "too long for the model", 1, time.Time{}},
		"overflow (vLLM)":      {status(400, `{"object":"error","message":"This model's maximum context length is 8192 tokens.","type":"BadRequestError","code":400}`), runner.ContextLimit, "maximum context length", 1, time.Time{}},
		"overflow (Anthropic)": {status(400, `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}`), runner.ContextLimit, "prompt is too long", 1, time.Time{}},
		"overflow (413)":       {status(413, ``), runner.ContextLimit, "HTTP 413", 1, time.Time{}},
		"overflow (passed on)": {status(400, `{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is too long: 210000 tokens > 200000 maximum\"}}","provider_name":"Anthropic"}}}`), runner.ContextLimit, "Provider returned error: prompt is too long", 1, time.Time{}},
		"overflow mid-stream":  {stream(`{"error":{"message":"maximum context length reached"}}`), runner.ContextLimit, "maximum context length", 1, time.Time{}},
		"400":                  {status(400, `{"error":{"message":"Invalid schema for function 'shell'","code":null}}`), "", "Invalid schema for function 'shell'", 1, time.Time{}},
		"400 (FastAPI)":        {status(422, `{"detail":[{"loc":["body"],"msg":"extra fields"}]}`), "", "extra fields", 1, time.Time{}},
		"400 of reasoning":     {status(400, `{"error":{"message":"Function tools with reasoning_effort are not supported for gpt-5.5 in /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to 'none'."}}`), "", "set the input api to auto, or the input reasoning-effort to none", 1, time.Time{}},
		"redirect elsewhere":   {status(307, ``, "Location", "http://127.0.0.2:1/v1/chat/completions"), runner.Paused, "redirected to http://127.0.0.2:1, which is not followed", 1, time.Time{}},
		"redirect to a GET":    {status(302, ``, "Location", "/login"), runner.Paused, "is not an OpenAI-compatible endpoint", 1, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, tt.answer)
			c := open(t, p.URL+"/v1", func(o *Options) { o.API = Chat })
			got, err := c.Complete(t.Context(), question1)
			if err == nil {
				t.Fatalf("got %+v", got)
			}
			if stop, ok := errors.AsType[*runner.StopError](err); ok != (tt.reason != "") || ok && (stop.Reason != tt.reason || !stop.Until.Equal(tt.until)) {
				t.Errorf("got %v, want reason %q until %s", err, tt.reason, tt.until)
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %q", err, tt.says)
			}
			if strings.Contains(err.Error(), testKey) || strings.Contains(strings.Join(c.lines, "\n"), testKey) {
				t.Errorf("the key stands in %v or %q", err, c.lines)
			}
			if p.asked() != tt.asked {
				t.Errorf("asked %d times, want %d", p.asked(), tt.asked)
			}
			if len(got.Calls) > 0 || got.Content != "" {
				t.Errorf("a reply came with the error: %+v", got)
			}
		})
	}
}

// Every request that reached the model is charged, those that were cut too.
func TestCutRepliesAreCharged(t *testing.T) {
	p := serve(t, stream(tools(`{"index":0,"id":"a","function":{"name":"shell","arguments":"{\"command\":\"rm -r x\"}"}}`), used),
		stream(says(strings.Repeat("x", 40))), status(500, ``), good())
	got, err := open(t, p.URL).Complete(t.Context(), question1)
	if err != nil {
		t.Fatal(err)
	}
	prompt := int64(len(p.bodies[1])+3) / 4
	want := runner.Usage{Calls: 3, Tokens: 2*usual.Tokens + prompt + 10, Cached: 1200, CacheTold: 2000, Output: 110, Estimated: prompt + 10, Cost: 2*usual.Cost + runner.Money(prompt*2000+10*8000)}
	if diff := cmp.Diff(want, got.Usage); diff != "" {
		t.Error(diff)
	}
	if len(got.Calls) > 0 {
		t.Errorf("calls of a cut reply: %v", got.Calls)
	}

	p = serve(t, stream(says("hel")))
	got, err = open(t, p.URL).Complete(t.Context(), question1)
	_ = stopped(t, err, runner.Paused)
	if got.Usage.Calls != 4 || got.Usage.Tokens == 0 {
		t.Errorf("used %+v", got.Usage)
	}
}

// After three streams that were cut, the fourth request asks for one piece.
func TestLastTryIsNotAStream(t *testing.T) {
	cutShort := stream(says("hel"))
	p := serve(t, cutShort, cutShort, cutShort,
		status(200, `{"choices":[{"message":{"content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`))
	got, err := open(t, p.URL).Complete(t.Context(), question1)
	if err != nil || got.Content != "hello" {
		t.Fatalf("got %+v, %v", got, err)
	}
	for i, body := range p.bodies {
		for _, sign := range []string{`"stream":true`, "stream_options"} {
			if strings.Contains(body, sign) != (i < 3) {
				t.Errorf("request %d: %s", i+1, body)
			}
		}
	}
}

func TestEvent(t *testing.T) {
	for line, want := range map[string]string{
		"":                         "",
		": OPENROUTER PROCESSING":  "",
		"event: error":             "",
		"id: 7":                    "",
		"data:":                    "",
		"data: [DONE]":             "data: [DONE]\n",
		`data:{"choices":[]}`:      `data: {"choices":[]}` + "\n",
		`data: {"error":{"a":1}}`:  `data: { "error":{"a":1}}` + "\n",
		`data: {"error" : "x"}`:    `data: { "error" : "x"}` + "\n",
		`{"error":{"message":""}}`: `data: { "error":{"message":""}}` + "\n",
	} {
		if got := string(event([]byte(line))); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func TestRedirectWithinTheHostIsFollowed(t *testing.T) {
	p := serve(t, status(307, ``, "Location", "/v2/chat/completions"), good())
	got, err := open(t, p.URL+"/v1").Complete(t.Context(), question1)
	if err != nil || got.Content != "hello" {
		t.Fatalf("got %+v, %v", got, err)
	}
	if p.headers[1].Get("Authorization") != "Bearer "+testKey || p.bodies[0] != p.bodies[1] {
		t.Errorf("the second request differs: %v %s", p.headers[1], p.bodies[1])
	}
}

// The other host is on this machine and would answer: it must not be asked,
// let alone shown the key.
func TestKeyNeverReachesAnotherHost(t *testing.T) {
	other := serve(t, good())
	p := serve(t, status(307, ``, "Location", other.URL+"/v1/chat/completions"))
	_, err := open(t, p.URL).Complete(t.Context(), question1)
	_ = stopped(t, err, runner.Paused)
	if other.asked() != 0 {
		t.Errorf("the other host was asked, with %v", other.headers)
	}
	c := open(t, p.URL)
	req := httptest.NewRequestWithContext(context.WithValue(t.Context(), exchangeKey{}, &exchange{}), "POST", other.URL, http.NoBody)
	req.RequestURI = ""
	resp, err := newTransport(nil, c.base, testKey).RoundTrip(req)
	if err == nil || other.asked() != 0 {
		_ = resp.Body.Close()
		t.Error("a request to another host left")
	}
}

func TestKeyIsNowhereToBeSeen(t *testing.T) {
	p := serve(t, status(400, `{"error":{"message":"bad header Bearer `+testKey+`"}}`))
	var o Options
	c := open(t, p.URL, func(given *Options) { o = *given })
	_, err := c.Complete(t.Context(), question1)
	for _, v := range []any{o, &o, c.Client, c.Client.api, err} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if s := fmt.Sprintf(verb, v); strings.Contains(s, testKey) {
				t.Errorf("%s of %T shows the key: %s", verb, v, s)
			}
		}
	}
	if err == nil || !strings.Contains(err.Error(), "bad header Bearer ***") {
		t.Errorf("got %v", err)
	}
}

func TestNobodyAtHome(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c := open(t, "http://"+l.Addr().String())
	got, err := c.Complete(t.Context(), question1)
	stop := stopped(t, err, runner.Paused)
	if !strings.Contains(stop.Error(), "connection refused") || len(c.waits) != 5 || got.Usage != (runner.Usage{}) {
		t.Errorf("got %v, %+v after %v", err, got.Usage, c.waits)
	}
}

func TestSilenceIsACut(t *testing.T) {
	t.Parallel()
	hang := func(w http.ResponseWriter, r *http.Request) {
		stream(says("hel"))(w, r)
		<-r.Context().Done()
	}
	mute := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	p := serve(t, hang, mute, good())
	c := open(t, p.URL)
	c.first, c.idle = 800*time.Millisecond, 400*time.Millisecond
	got, err := c.Complete(t.Context(), question1)
	if err != nil || got.Content != "hello" || p.asked() != 3 {
		t.Fatalf("got %+v, %v after %d requests", got, err, p.asked())
	}
	if len(c.lines) != 2 || !strings.Contains(c.lines[0], "nothing arrived for too long") || !strings.Contains(c.lines[1], "no answer") {
		t.Errorf("logged %q", c.lines)
	}
}

func TestSlowIsNotSilent(t *testing.T) {
	t.Parallel()
	p := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for range 24 {
			stream(": still thinking")(w, r)
			time.Sleep(25 * time.Millisecond)
		}
		good()(w, r)
	})
	c := open(t, p.URL)
	c.first, c.idle = 400*time.Millisecond, 400*time.Millisecond
	if got, err := c.Complete(t.Context(), question1); err != nil || got.Content != "hello" || p.asked() != 1 {
		t.Errorf("got %+v, %v after %d requests", got, err, p.asked())
	}
}

func TestContextEndsACall(t *testing.T) {
	cause := &runner.StopError{Reason: runner.SessionTime}
	t.Run("in the reply", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		p := serve(t, func(w http.ResponseWriter, r *http.Request) {
			stream(says("hel"))(w, r)
			cancel(cause)
			<-r.Context().Done()
		})
		got, err := open(t, p.URL).Complete(ctx, question1)
		_ = stopped(t, err, runner.SessionTime)
		if p.asked() != 1 {
			t.Errorf("asked %d times, used %+v", p.asked(), got.Usage)
		}
	})
	t.Run("in a wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 30*time.Second, cause)
			defer cancel()
			// No socket: synctest knows no network.
			c := open(t, "https://llm.example/v1", func(o *Options) {
				o.Now, o.Rand = time.Now, func() float64 { return 0.99 }
				o.Sleep = func(ctx context.Context, d time.Duration) error {
					select {
					case <-ctx.Done():
						return ctx.Err()
					case <-time.After(d):
						return nil
					}
				}
				o.Transport = roundTrip(func(*http.Request) (*http.Response, error) {
					rec := httptest.NewRecorder()
					status(500, ``)(rec, nil)
					return rec.Result(), nil
				})
			})
			start := time.Now()
			_, err := c.Complete(ctx, question1)
			// 0.99 + 1.98 + 3.96 + 7.92 + 15.84 would be 30.69.
			if took := time.Since(start); took != 30*time.Second {
				t.Errorf("took %s", took)
			}
			_ = stopped(t, err, runner.SessionTime)
		})
	})
	t.Run("before a wait would", func(t *testing.T) {
		p := serve(t, status(429, ``, "Retry-After", "60"))
		c := open(t, p.URL, func(o *Options) { o.Now = time.Now })
		ctx, cancel := context.WithTimeoutCause(t.Context(), 30*time.Second, cause)
		defer cancel()
		_, err := c.Complete(ctx, question1)
		if stop := stopped(t, err, runner.RateLimit); stop.Until.IsZero() || len(c.waits) != 0 {
			t.Errorf("got %v after %v", err, c.waits)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestBackoff(t *testing.T) {
	var p patience
	for n, want := range seconds(1, 2, 4, 8, 16) {
		if got, again := p.after(fault{kind: broken}, 1); got != want || !again {
			t.Errorf("wait %d: got %s, %v, want %s", n+1, got, again, want)
		}
	}
	if _, again := p.after(fault{kind: broken}, 1); again {
		t.Error("a seventh request")
	}
	for _, k := range []kind{money, keyless, barred, nowhere, misfit, over, refused} {
		if _, again := new(patience).after(fault{kind: k}, 0); again {
			t.Errorf("kind %d is asked again", k)
		}
	}
}

func TestSpan(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for s, want := range map[string]time.Duration{
		"":                              0,
		"soon":                          0,
		"-5":                            0,
		"NaN":                           0,
		"7":                             7 * time.Second,
		"0.25":                          250 * time.Millisecond,
		"6m0s":                          6 * time.Minute,
		"12ms":                          12 * time.Millisecond,
		"1e99":                          mostWait,
		"9999h":                         mostWait,
		"1795348860":                    time.Minute,
		"2026-11-22T12:00:05Z":          5 * time.Second,
		"Sun, 22 Nov 2026 12:02:00 GMT": 2 * time.Minute,
	} {
		if got := span(s, now); got != want {
			t.Errorf("%q: got %s, want %s", s, got, want)
		}
	}
}

func TestOpenReportsEveryMistake(t *testing.T) {
	sleep := func(context.Context, time.Duration) error { return nil }
	whole := Options{Name: "m", Key: "k", Sleep: sleep, Now: time.Now, Rand: func() float64 { return 0 }}
	for name, tt := range map[string]struct {
		change func(*Options)
		want   []string
	}{
		"nothing":                 {func(o *Options) { *o = Options{} }, []string{"clock or randomness missing", "input model: missing", "input api-key: missing; api.openai.com wants one"}},
		"several":                 {func(o *Options) { o.Key, o.Window, o.BaseURL = "a b", -1, "ftp://x" }, []string{"input context-window: -1", "input api-key: it contains blanks", "input base-url: not an address"}},
		"password in the URL":     {func(o *Options) { o.BaseURL = "https://u:hunter2@host/v1" }, []string{"input base-url: must not hold a user"}},
		"key in the URL":          {func(o *Options) { o.BaseURL = "https://host/v1?key=hunter2" }, []string{"input base-url: must not hold a user, a query"}},
		"unencrypted":             {func(o *Options) { o.BaseURL = "http://llm.example/v1" }, []string{"use https"}},
		"unencrypted with a key":  {func(o *Options) { o.BaseURL = "http://ollama:11434/v1" }, []string{"use https"}},
		"unencrypted, public IP":  {func(o *Options) { o.Key, o.BaseURL = "", "http://8.8.8.8/v1" }, []string{"use https"}},
		"no key":                  {func(o *Options) { o.Key = "" }, []string{"input api-key: missing"}},
		"good":                    {func(*Options) {}, nil},
		"good: key with newline":  {func(o *Options) { o.Key = "k\n" }, nil},
		"good: loopback":          {func(o *Options) { o.BaseURL = "http://localhost:11434/v1" }, nil},
		"good: loopback, no key":  {func(o *Options) { o.Key, o.BaseURL = "", "http://[::1]:11434/v1" }, nil},
		"good: service container": {func(o *Options) { o.Key, o.BaseURL = "", "http://ollama:11434/v1" }, nil},
		"good: private address":   {func(o *Options) { o.Key, o.BaseURL = "", "http://10.1.2.3:8000/v1" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := whole
			tt.change(&o)
			_, err := Open(o)
			if err == nil {
				if len(tt.want) > 0 {
					t.Fatalf("opened, want %q", tt.want)
				}
				return
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %q, want %q", lines, tt.want)
			}
			for _, w := range tt.want {
				if !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, w) }) {
					t.Errorf("not reported: %q in %q", w, lines)
				}
			}
		})
	}
}

// Whatever an error holds, something can be said of it, on one line and within
// bounds.
func FuzzSaid(f *testing.F) {
	for _, s := range []string{
		`[{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"34s"}]}}]`, `{"error":{"details":[{"retryDelay":"2562047h"}]}}`, `"text"`, `{"detail":[{"msg":"extra"}]}`, `{"error":null,"message":7}`,
		`{"error":{"message":"Provider returned error","code":429,"metadata":{"headers":{"X-RateLimit-Reset":"1795348830000","retry-after":1e99},"raw":"{\"error\":{\"metadata\":{\"raw\":\"x\"}}}"}}}`,
	} {
		f.Add(429, []byte(s))
	}
	c := &Client{clean: cleaner(testKey), now: func() time.Time { return time.Unix(1e9, 0) }, name: "m"}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 0 || status > 599 || status == http.StatusOK {
			return
		}
		x := &exchange{status: status, header: http.Header{}, body: body, sent: 1}
		got := c.fault(x, "", fmt.Errorf("cut"))
		if got == nil || got.kind == 0 || got.text == "" || len(got.text) > 700 || strings.ContainsAny(got.text, "\n\r\x1b") || got.hint < 0 || got.hint > 400*24*time.Hour {
			t.Errorf("%+v", got)
		}
	})
}
