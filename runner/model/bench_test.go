package model

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// The benchmarks want processor time and memory of the harness alone. So the
// endpoint is a process of its own, and so is the one whose memory is measured.
func TestMain(m *testing.M) {
	switch os.Getenv("MODEL_BENCH") {
	case "endpoint":
		endpoint()
	case "phase":
		workPhase()
	default:
		os.Exit(m.Run())
	}
}

// endpoint answers every request with one small call, another each time, until
// its input ends.
func endpoint() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	var n atomic.Int64
	go func() {
		panic(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			i := n.Add(1)
			stream(tools(fmt.Sprintf(`{"index":0,"id":"call_%d","type":"function","function":{"name":"shell","arguments":"{\"command\":\"echo %d\"}"}}`, i, i)), calls, used, done)(w, r)
		})))
	}()
	fmt.Println("http://" + l.Addr().String() + "/v1")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// startEndpoint starts an endpoint and returns its address.
func startEndpoint(b *testing.B) string {
	b.Helper()
	c := exec.CommandContext(b.Context(), os.Args[0])
	c.Env = append(os.Environ(), "MODEL_BENCH=endpoint")
	in, err := c.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = in.Close(); _ = c.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// A conversation of code is about this many bytes a token, as facts have it:
// 932 KB at 200,000 tokens.
const bytesPerToken = 4.66

// talk is a conversation of about so many tokens: calls and their results.
func talk(tokens int) []agent.Message {
	msgs := slices.Clone(question1.Messages)
	result := strings.Repeat("\tif err := s.save(ctx, \"<state>\"); err != nil { // line of a file\n", 90)
	for size := 0; float64(size) < float64(tokens)*bytesPerToken; size += len(result) + 200 {
		id := fmt.Sprintf("c%d", len(msgs))
		msgs = append(msgs,
			agent.Message{Role: agent.Assistant, Content: "Next.", Calls: []agent.Call{{ID: id, Name: "shell", Args: `{"command":"sed -n 1,90p runner/loop.go"}`}}},
			agent.Message{Role: agent.Result, CallID: id, Content: result + id})
	}
	return msgs
}

// processor is the processor time that this process has used.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2]) / 1e6
}

// BenchmarkTurn measures one request and its reply, beside the same done with
// go-openai and its own marshalling, turn by turn in the same run.
func BenchmarkTurn(b *testing.B) {
	for _, tokens := range []int{10_000, 100_000, 200_000} {
		b.Run(fmt.Sprintf("%dk", tokens/1000), func(b *testing.B) {
			url := startEndpoint(b)
			conf := openai.DefaultConfig("")
			conf.BaseURL = url
			library := openai.NewClientWithConfig(conf)
			c, err := Open(Options{Name: "m", BaseURL: url, Sleep: func(context.Context, time.Duration) error { return nil }, Now: time.Now, Rand: func() float64 { return 0 }})
			if err != nil {
				b.Fatal(err)
			}
			var ours, theirs []time.Duration
			var ourCPU, theirCPU time.Duration
			var r agent.Request
			var req openai.ChatCompletionRequest
			n := 0
			for b.Loop() {
				if n++; n%50 == 1 { // it grows, and is to stay about as long as it says
					r = agent.Request{Messages: talk(tokens), Tools: question1.Tools, MaxOut: 1000}
					req = library1(r)
					if _, err := c.Complete(b.Context(), r); err != nil { // what was there before the turn has been sent
						b.Fatal(err)
					}
				}
				grown := follow(r, agent.Reply{Calls: []agent.Call{{ID: "n" + strconv.Itoa(n), Name: "shell", Args: "{}"}}}, strings.Repeat("result\n", 40))
				for _, m := range grown.Messages[len(r.Messages):] {
					req.Messages = append(req.Messages, library2(m))
				}
				r = grown

				wall, cpu := time.Now(), processor()
				if _, err := c.Complete(b.Context(), r); err != nil {
					b.Fatal(err)
				}
				ours, ourCPU = append(ours, time.Since(wall)), ourCPU+processor()-cpu

				wall, cpu = time.Now(), processor()
				s, err := library.CreateChatCompletionStream(b.Context(), req)
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, err = s.Recv()
				}
				if !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
				_ = s.Close()
				theirs, theirCPU = append(theirs, time.Since(wall)), theirCPU+processor()-cpu
			}
			a, z := median(ours), median(theirs)
			b.ReportMetric(a, "ms/turn")
			b.ReportMetric(z, "ms/turn-go-openai")
			b.ReportMetric(z/a, "times-as-fast")
			b.ReportMetric(float64(ourCPU)/1e6/float64(n), "cpu-ms/turn")
			b.ReportMetric(float64(theirCPU)/1e6/float64(n), "cpu-ms/turn-go-openai")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// library1 is r as it is with the library alone.
func library1(r agent.Request) openai.ChatCompletionRequest {
	req := openai.ChatCompletionRequest{Model: "m", MaxCompletionTokens: r.MaxOut, StreamOptions: &openai.StreamOptions{IncludeUsage: true}}
	for _, f := range functions(r.Tools) {
		req.Tools = append(req.Tools, openai.Tool{Type: openai.ToolTypeFunction, Function: &f})
	}
	for _, m := range r.Messages {
		req.Messages = append(req.Messages, library2(m))
	}
	return req
}

func library2(m agent.Message) openai.ChatCompletionMessage {
	out := openai.ChatCompletionMessage{Role: string(m.Role), Content: m.Content, ToolCallID: m.CallID}
	for _, k := range m.Calls {
		out.ToolCalls = append(out.ToolCalls, openai.ToolCall{ID: k.ID, Type: openai.ToolTypeFunction, Function: openai.FunctionCall{Name: k.Name, Arguments: k.Args}})
	}
	return out
}

// What a phase takes: turns in which the conversation is filled, and turns that
// are measured.
type phaseFigures struct {
	Wall, CPU float64 // ms a turn
	RSS       float64 // MB at most
	Bytes     int     // of the conversation
}

const measured = 60

// A filler gives large results until the conversation is as long as wanted.
type filler struct {
	desk
	large int // results still to come that are large

	wall time.Time
	cpu  time.Duration
	sum  int
}

func (f *filler) Use(context.Context, agent.Call, agent.Permit) (string, error) {
	f.used++
	size := 300
	if f.large--; f.large >= 0 {
		size = 6000
	}
	if f.large == -1 {
		f.wall, f.cpu = time.Now(), processor()
	}
	out := strings.Repeat(fmt.Sprintf("line %d of a <result>\n", f.used), size/22)
	f.sum += len(out)
	return out, nil
}

// workPhase works through a phase whose conversation comes to 200,000 tokens, in
// a process that does nothing else, and prints what that took.
func workPhase() {
	f := &filler{large: 200_000 * 466 / 100 / 6200}
	c, err := Open(Options{Name: "m", BaseURL: os.Getenv("MODEL_BENCH_URL"), Window: 10_000_000, Sleep: func(context.Context, time.Duration) error { return nil }, Now: time.Now, Rand: func() float64 { return 0 }})
	if err != nil {
		panic(err)
	}
	turns := f.large + measured
	a := agent.Open(agent.Options{Model: c, Tools: f, Turns: turns, MaxOut: 1000, Transcript: io.Discard, Event: func(agent.Event) {}})
	claim, err := a.Work(context.Background(), runner.Task{Feature: runner.Feature{Row: runner.Row{ID: "add-001"}}, Attempt: 1, Phase: runner.Implement, Purse: runner.Purse{Tokens: 1e12}})
	if err != nil || claim.Usage.Calls != turns {
		panic(fmt.Sprintf("%d turns of %d: %v %v", claim.Usage.Calls, turns, claim.Notes, err))
	}
	took, cpu := time.Since(f.wall), processor()-f.cpu
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		panic(err)
	}
	_ = json.NewEncoder(os.Stdout).Encode(phaseFigures{float64(took) / 1e6 / measured, float64(cpu) / 1e6 / measured, float64(kb) / 1024, f.sum})
}

// BenchmarkPhase measures what the harness adds to a turn, model and tools left
// out, with the agent, the client and their memory, at 200,000 tokens.
func BenchmarkPhase(b *testing.B) {
	url := startEndpoint(b)
	var all []phaseFigures
	for b.Loop() {
		c := exec.CommandContext(b.Context(), os.Args[0])
		c.Env = append(os.Environ(), "MODEL_BENCH=phase", "MODEL_BENCH_URL="+url)
		c.Stderr = os.Stderr
		out, err := c.Output()
		if err != nil {
			b.Fatal(err)
		}
		var f phaseFigures
		if err := json.Unmarshal(out, &f); err != nil {
			b.Fatal(err)
		}
		all = append(all, f)
	}
	middle := func(of func(phaseFigures) float64) float64 {
		var v []float64
		for _, f := range all {
			v = append(v, of(f))
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	b.ReportMetric(middle(func(f phaseFigures) float64 { return f.Wall }), "ms/turn")
	b.ReportMetric(middle(func(f phaseFigures) float64 { return f.CPU }), "cpu-ms/turn")
	b.ReportMetric(middle(func(f phaseFigures) float64 { return f.RSS }), "MB-peak")
	b.ReportMetric(0, "ns/op")
}
