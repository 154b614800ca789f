package model

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// flood writes piece until the asker has had enough; more than any limit is a
// limit that does not hold.
func flood(t *testing.T, w io.Writer, piece string) {
	t.Helper()
	data := []byte(strings.Repeat(piece, 1+(64<<10)/len(piece)))
	for n := 0; n < 3*mostReply; n += len(data) {
		if _, err := w.Write(data); err != nil {
			return
		}
	}
	t.Errorf("%d MB were taken", 3*mostReply>>20)
}

func events(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/event-stream") }

// Whatever an endpoint sends without end is taken up to a limit, refused with a
// reason, and asked for again; the session goes on.
func TestEndlessAnswersAreCut(t *testing.T) {
	for name, tt := range map[string]struct {
		answer func(t *testing.T) http.HandlerFunc
		says   string
	}{
		"comments without end": {func(t *testing.T) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { events(w); flood(t, w, ": still thinking\n\n") }
		}, "the reply is endless"},
		"a line without end": {func(t *testing.T) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				events(w)
				_, _ = io.WriteString(w, `data: {"choices":[{"index":0,"delta":{"content":"`)
				flood(t, w, "x")
			}
		}, "the reply is endless"},
		"one piece without end": {func(t *testing.T) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, `{"choices":[{"index":0,"message":{"content":"`)
				flood(t, w, "x")
			}
		}, "the reply is endless"},
		"empty events without end": {func(t *testing.T) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				events(w)
				flood(t, w, "data: {\"choices\":[],\"pad\":\""+strings.Repeat("x", 8<<10)+"\"}\n\n")
			}
		}, "the reply is endless"},
		"an error without end": {func(t *testing.T) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); flood(t, w, "x") }
		}, "HTTP 500"},
		"headers without end": {func(*testing.T) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				for i := range 2 * mostHeader / 100 {
					w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 100))
				}
			}
		}, "headers"},
		"brackets without end": {func(*testing.T) http.HandlerFunc {
			return stream(`{"choices":` + strings.Repeat("[", 1<<20))
		}, "the reply was cut"},
		"fewer bytes than announced": {func(*testing.T) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "100000")
				stream(says("hel"))(w, r)
			}
		}, "the reply was cut"},
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, tt.answer(t), good())
			c := open(t, p.URL)
			before := allocated()
			got, err := c.Complete(t.Context(), question1)
			if err != nil || got.Content != "hello" || p.asked() != 2 {
				t.Fatalf("got %+v, %v after %d requests", got, err, p.asked())
			}
			if len(c.lines) != 1 || !strings.Contains(c.lines[0], tt.says) {
				t.Errorf("logged %q, want %q", c.lines, tt.says)
			}
			if kept := allocated() - before; kept > 8<<20 {
				t.Errorf("%d MB are still held", kept>>20)
			}
		})
	}
}

func allocated() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestBlanksWithoutEndAreNoEndpoint(t *testing.T) {
	p := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header()["Content-Type"] = nil; flood(t, w, "\n") })
	_, err := open(t, p.URL).Complete(t.Context(), question1)
	_ = stopped(t, err, runner.Paused)
}

// A model that does not stop writing is told so, like one that met its output
// limit: nothing of the reply is run, and the agent can say what is wrong.
func TestModelThatDoesNotStopIsCutByLength(t *testing.T) {
	piece := strings.Repeat("x", 8<<10)
	many := func(t *testing.T, line string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { events(w); flood(t, w, "data: "+line+"\n\n") }
	}
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		calls  int
		text   bool
	}{
		"10 MB of arguments": {func(w http.ResponseWriter, r *http.Request) {
			stream(tools(`{"index":0,"id":"a","function":{"name":"write_file","arguments":"{\"content\":\""}}`))(w, r)
			many(t, tools(`{"index":0,"function":{"arguments":"`+piece+`"}}`))(w, r)
		}, 1, false},
		"text":                      {many(t, says(piece)), 0, true},
		"a field that nobody knows": {many(t, `{"choices":[{"index":0,"delta":{"reasoning_content":"`+piece+`"}}]}`), 0, false},
		"calls":                     {many(t, tools(`{"function":{"name":"run_tests","arguments":"{}"}}`)), mostCalls, false},
		"calls with indexes": {func(w http.ResponseWriter, r *http.Request) {
			events(w)
			for i := 0; ; i++ {
				if _, err := fmt.Fprintf(w, "data: %s\n\n", tools(fmt.Sprintf(`{"index":%d,"id":"c%d","function":{"name":"run_tests"}}`, i*1_000_003, i))); err != nil {
					return
				}
			}
		}, mostCalls, false},
		"10 MB of arguments in a response":   {byPath(nil, many(t, `{"type":"response.function_call_arguments.delta","output_index":0,"delta":"`+piece+`"}`)), 0, false},
		"items of a response without bounds": {byPath(nil, many(t, `{"type":"response.output_item.done","item":{"type":"reasoning","encrypted_content":"`+piece+`"}}`)), 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, tt.answer)
			c := open(t, p.URL, func(o *Options) {
				if strings.Contains(name, "response") {
					o.API = Responses
				}
			})
			got, err := c.Complete(t.Context(), question1)
			if err != nil || got.Finish != agent.FinishLength || p.asked() != 1 {
				t.Fatalf("got %.300v, %v after %d requests", got, err, p.asked())
			}
			if len(got.Calls) != tt.calls || (got.Content != "") != tt.text || len(got.Content) > 16<<10 || got.Echo != nil {
				t.Errorf("%d calls, %d bytes of text, echo %v", len(got.Calls), len(got.Content), got.Echo != nil)
			}
			for _, k := range got.Calls {
				if k.Args != "{}" {
					t.Fatalf("arguments of %d bytes", len(k.Args))
				}
			}
			if got.Usage.Calls != 1 || got.Usage.Tokens == 0 {
				t.Errorf("used %+v", got.Usage)
			}
		})
	}
}

// A reply with more calls than are taken is cut, though it is small and comes to an
// end by itself: what follows from call 129 nobody has seen.
func TestTooManyCallsAreCut(t *testing.T) {
	overBoth(t, func(t *testing.T, over func(*Options)) {
		for n, want := range map[int]agent.Finish{mostCalls: agent.FinishCalls, mostCalls + 1: agent.FinishLength} {
			var chat, items []string
			for i := range n {
				chat = append(chat, tools(fmt.Sprintf(`{"index":%d,"id":"c%d","function":{"name":"run_tests","arguments":"{\"scope\":\"all\"}"}}`, i, i)))
				items = append(items, itemDone(fmt.Sprintf(`{"type":"function_call","call_id":"c%d","name":"run_tests","arguments":"{\"scope\":\"all\"}"}`, i)))
			}
			p := serve(t, byPath(stream(append(chat, calls, used, done)...), stream(append(items, finished)...)))
			got, err := open(t, p.URL, over).Complete(t.Context(), question1)
			if err != nil || got.Finish != want || len(got.Calls) != mostCalls {
				t.Fatalf("%d calls: finish %s with %d, %v", n, got.Finish, len(got.Calls), err)
			}
			if args := got.Calls[0].Args; (args == "{}") != (want == agent.FinishLength) {
				t.Errorf("%d calls: the first has %s", n, args)
			}
		}
	})
}

// One event has at most 8 MB: a longer one is cut there, and not where the whole
// reply would be.
func TestALongLineIsCut(t *testing.T) {
	overBoth(t, func(t *testing.T, over func(*Options)) {
		for _, size := range []int{mostLine - 4096, mostLine + 64<<10} {
			pad := `{"choices":[],"type":"response.in_progress","pad":"` + strings.Repeat("x", size) + `"}`
			p := serve(t, byPath(stream(pad, says("hello"), stops, used, done), stream(pad, oneLine(completed))), byPath(good(), stream(oneLine(completed))))
			c := open(t, p.URL, over)
			got, err := c.Complete(t.Context(), question1)
			asked := 1
			if size > mostLine {
				asked = 2
			}
			if err != nil || got.Content != "hello" || p.asked() != asked {
				t.Fatalf("%d bytes: got %+v, %v after %d requests", size, got, err, p.asked())
			}
			if asked == 2 && (len(c.lines) != 1 || !strings.Contains(c.lines[0], "the reply is endless")) {
				t.Errorf("logged %q", c.lines)
			}
		}
	})
}

// The phase goes on where a reply was without bounds.
func TestPhaseGoesOnAfterAHostileReply(t *testing.T) {
	p := serve(t,
		func(w http.ResponseWriter, _ *http.Request) {
			events(w)
			flood(t, w, "data: "+tools(`{"index":0,"id":"a","function":{"name":"write_file","arguments":"`+strings.Repeat("x", 8<<10)+`"}}`)+"\n\n")
		},
		func(w http.ResponseWriter, _ *http.Request) { events(w); flood(t, w, ": ping\n") },
		stream(tools(`{"index":0,"id":"b","function":{"name":"request_verification","arguments":"{\"summary\":\"done\"}"}}`), calls, used, done),
	)
	c := open(t, p.URL)
	a := agent.Open(agent.Options{Model: c.Client, Tools: &desk{}, MaxOut: 1000})
	claim, err := a.Work(t.Context(), work("add-001", runner.Tests))
	if err != nil || p.asked() != 3 || len(claim.Notes) != 0 {
		t.Fatalf("got %+v, %v after %d requests", claim, err, p.asked())
	}
	if !strings.Contains(p.bodies[1], "The reply was cut") || len(p.bodies[2]) > 1<<20 {
		t.Errorf("the model was told %d bytes: %.2000s", len(p.bodies[2]), p.bodies[1])
	}
}

// Compressed replies are not asked for and not unpacked, whatever is in them.
func TestCompressedBombsAreNotUnpacked(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	for range 512 {
		if _, err := z.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, code := range []int{200, 429, 500} {
		for _, how := range []string{"gzip", "deflate, gzip", "br"} {
			p := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", how)
				events(w)
				w.WriteHeader(code)
				_, _ = w.Write(bomb.Bytes())
			})
			// Also with a transport that would unpack by itself.
			c := open(t, p.URL, func(o *Options) { o.Transport = &http.Transport{} })
			before := allocated()
			_, err := c.Complete(t.Context(), question1)
			stop := stopped(t, err, runner.Paused)
			if !strings.Contains(stop.Error(), "compressed") || p.asked() != 1 || p.headers[0].Get("Accept-Encoding") != "identity" {
				t.Errorf("%d %s: got %v after %d requests, with %v", code, how, err, p.asked(), p.headers[0])
			}
			if kept := allocated() - before; kept > 8<<20 {
				t.Errorf("%d MB are still held", kept>>20)
			}
		}
	}
}

func TestRedirectsInACircleEnd(t *testing.T) {
	p := serve(t, status(307, ``, "Location", "/v1/chat/completions"))
	_, err := open(t, p.URL+"/v1").Complete(t.Context(), question1)
	_ = stopped(t, err, runner.Paused)
	if p.asked() > 5 {
		t.Errorf("asked %d times", p.asked())
	}
}

// An endpoint that sends a little now and then would else keep a session until
// its job is ended.
func TestSlowDripEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // so that a limit that does not hold fails, and does not hang
	defer cancel()
	for name, line := range map[string]string{"comments": ": wait\n", "text": "data: " + says("x") + "\n\n", "half a line": "d"} {
		drip := func(w http.ResponseWriter, r *http.Request) {
			events(w)
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, line)
				w.(http.Flusher).Flush()
				time.Sleep(20 * time.Millisecond)
			}
		}
		p := serve(t, drip, good())
		c := open(t, p.URL)
		c.whole = 600 * time.Millisecond
		got, err := c.Complete(ctx, question1)
		if err != nil || got.Content != "hello" || p.asked() != 2 {
			t.Fatalf("%s: got %+v, %v after %d requests", name, got, err, p.asked())
		}
		if len(c.lines) != 1 || !strings.Contains(c.lines[0], "the reply took too long") {
			t.Errorf("%s: logged %q", name, c.lines)
		}
	}
}

// A reply that is complete is not lost to a server that does not end it.
func TestCompleteReplyIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // so that a limit that does not hold fails, and does not hang
	defer cancel()
	for name, tt := range map[string]struct {
		api   API
		lines []string
	}{
		"after the finish":    {Chat, []string{says("hello"), stops}},
		"after the usage":     {Chat, []string{says("hello"), stops, used}},
		"after the last word": {Chat, []string{says("hello"), stops, used, done}},
		"after the response":  {Responses, []string{oneLine(completed)}},
	} {
		p := serve(t, func(w http.ResponseWriter, r *http.Request) {
			stream(tt.lines...)(w, r)
			for r.Context().Err() == nil { // and pings, as if something came
				_, _ = io.WriteString(w, ": ping\n")
				w.(http.Flusher).Flush()
				time.Sleep(20 * time.Millisecond)
			}
		})
		c := open(t, p.URL, func(o *Options) { o.API = tt.api })
		c.late = 300 * time.Millisecond
		began := time.Now()
		got, err := c.Complete(ctx, question1)
		if err != nil || got.Content != "hello" || p.asked() != 1 {
			t.Errorf("%s: got %+v, %v after %d requests", name, got, err, p.asked())
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

// A new connection for every turn is a second lost to handshakes.
func TestConnectionIsUsedAgain(t *testing.T) {
	for _, api := range []API{Chat, Responses} {
		fresh := 0
		answer := byPath(good(), stream(oneLine(completed), done))
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			answer(w, r)
		}))
		srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				fresh++ // the requests come one after the other
			}
		}
		srv.Start()
		c := open(t, srv.URL, func(o *Options) { o.API = api })
		for range 10 {
			if _, err := c.Complete(t.Context(), question1); err != nil {
				t.Fatal(err)
			}
		}
		srv.Close()
		if fresh != 1 {
			t.Errorf("%s: %d connections for 10 requests", api, fresh)
		}
	}
}
