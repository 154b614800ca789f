package model

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// A ScriptServer answers chat completions and the Responses API from a script,
// on this machine only.
// [Open] is pointed to its URL, without a key and by the name "script", which
// costs nothing. A question that the script does not foresee is refused with
// HTTP 400 and the code "script".
type ScriptServer struct {
	URL string // for Options.BaseURL

	server *http.Server
	script script

	mu     sync.Mutex
	failed map[string]int // scripted failures that were given, by turn
}

// scriptCode marks a refusal of the scripted model: an error in the script or
// in the loop, which no other try can mend.
const scriptCode = "script"

// Script parses a script, called file in errors, and serves it until Close.
//
// A script is a txtar archive. Its entries are called
//
//	<feature>/<attempt>/<tests|implement|repair|merge>[-<round>]/<turn> <verb> [argument]
//	plan[-<round>]/<turn> <verb> [argument]
//	change[-<round>]/<turn> <verb> [argument]
//	compact/<feature>/<turn> <verb> [argument]
//
// after the last [loop] line of the question and the number of replies since.
// Entries of the same turn are one reply, its calls in their order. say gives
// the reply's text; write_file, edit_file, read_file, find_files, search, shell,
// run_tests, browser, note, request_verification and cannot_complete call the
// tool of that name, and call any tool with the body as it is. expect lists
// lines that must occur in what was said since the last reply, where a picture is
// the line [image/png, 1234 bytes], sleep delays the reply, and http answers with
// that status first, once.
func Script(file string, data []byte) (*ScriptServer, error) {
	s, err := parseScript(file, data)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // there is nothing to wait for
	if err != nil {
		return nil, fmt.Errorf("serve %s: %w", file, err)
	}
	srv := &ScriptServer{URL: "http://" + l.Addr().String() + "/v1", script: s, failed: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", srv.serve(readChat))
	mux.HandleFunc("POST /v1/responses", srv.serve(readResponses))
	srv.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go srv.server.Serve(l) //nolint:errcheck // ends with Close, which is its only error
	return srv, nil
}

// Close stops the server, replies that are under way included.
func (s *ScriptServer) Close() error { return s.server.Close() }

// A question is what the server reads of a request.
type question struct {
	model    string
	stream   bool
	usage    bool // is asked for
	messages []line
	reply    func(w http.ResponseWriter, q question, n int, r reply)
}

type line struct {
	role agent.Role
	text string
}

func readChat(body []byte) (question, error) {
	var in struct {
		Model    string `json:"model"`
		Stream   bool   `json:"stream"`
		Messages []struct {
			Role    agent.Role      `json:"role"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
		StreamOptions struct {
			IncludeUsage bool `json:"include_usage"`
		} `json:"stream_options"`
	}
	err := json.Unmarshal(body, &in)
	q := question{model: in.Model, stream: in.Stream, usage: in.StreamOptions.IncludeUsage, reply: chatReply}
	for _, m := range in.Messages {
		q.messages = append(q.messages, line{m.Role, text(m.Content) + shown(m.Content)})
	}
	return q, err
}

// shown names the pictures in a message's content, each on a line of its own, for
// scripts to expect: [image/png, 1234 bytes]. What is no picture as the API
// wants it is not named.
func shown(content json.RawMessage) string {
	var parts []struct {
		Type  string          `json:"type"`
		Image json.RawMessage `json:"image_url"`
	}
	if json.Unmarshal(content, &parts) != nil {
		return ""
	}
	var b strings.Builder
	for _, p := range parts {
		at := text(p.Image) // input_image
		if p.Type == "image_url" {
			var o struct {
				URL string `json:"url"`
			}
			_ = json.Unmarshal(p.Image, &o) // then it has no address
			at = o.URL
		}
		media, data, _ := strings.Cut(strings.TrimPrefix(at, "data:"), ";base64,")
		if raw, err := base64.StdEncoding.DecodeString(data); err == nil && len(raw) > 0 && http.DetectContentType(raw) == media {
			fmt.Fprintf(&b, "\n[%s, %d bytes]", media, len(raw))
		}
	}
	return b.String()
}

func (s *ScriptServer) serve(read func([]byte) (question, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			var q question
			if q, err = read(body); err == nil {
				s.answer(w, r, q, len(body))
				return
			}
		}
		refuse(w, http.StatusBadRequest, scriptCode, "script: read the request: "+err.Error())
	}
}

func (s *ScriptServer) answer(w http.ResponseWriter, r *http.Request, q question, asked int) {
	key, n, err := q.turn()
	if err != nil {
		refuse(w, http.StatusBadRequest, scriptCode, err.Error())
		return
	}
	key = fmt.Sprintf("%s/%d", key, n)
	t := s.script[key]
	if t == nil {
		refuse(w, http.StatusBadRequest, scriptCode, "script: unexpected question "+key)
		return
	}
	if miss := q.miss(t.expect); len(miss) > 0 {
		refuse(w, http.StatusBadRequest, scriptCode, fmt.Sprintf("script: %s expected %q in what was said since the last reply", key, miss))
		return
	}
	if f, ok := s.fail(key, t); ok {
		if f.after != "" {
			w.Header().Set("Retry-After", f.after)
		}
		refuse(w, f.status, "scripted", "script: "+key+" fails as it should")
		return
	}
	if t.sleep > 0 {
		timer := time.NewTimer(t.sleep)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
	}
	q.reply(w, q, n, t.reply(asked))
}

// fail returns the next failure of a turn that was not given yet.
func (s *ScriptServer) fail(key string, t *turn) (failure, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.failed[key]
	if n >= len(t.fail) {
		return failure{}, false
	}
	s.failed[key]++
	return t.fail[n], true
}

// turn names the conversation that the question belongs to, by the last [loop]
// line, and counts its turns.
func (q question) turn() (key string, n int, err error) {
	for _, m := range q.messages {
		switch m.role {
		case agent.User:
			if k, turn, ok := conversation(m.text); ok {
				key, n = k, turn
			}
		case agent.Assistant:
			n++
		case agent.System, agent.Result:
		}
	}
	if key == "" {
		return "", 0, errors.New("script: no message begins with a line like [loop] feature=add-001 attempt=1 phase=tests round=0")
	}
	return key, n, nil
}

// miss returns the lines that do not occur after the last reply.
func (q question) miss(lines []string) []string {
	var news []string
	for _, m := range q.messages {
		if m.role == agent.Assistant {
			news = nil
			continue
		}
		news = append(news, m.text)
	}
	said := strings.Join(news, "\n")
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.Contains(said, line) })
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	write(w, map[string]any{"error": map[string]any{"message": message, "type": "invalid_request_error", "code": code}})
}

// A reply is what a turn says and calls, and what that costs.
type reply struct {
	say            string
	calls          []scripted
	prompt, output int
}

func (t *turn) reply(asked int) reply {
	r := reply{say: strings.Join(t.says, "\n"), calls: t.calls, prompt: (asked + 3) / 4}
	brought := len(r.say)
	for _, c := range t.calls {
		brought += len(c.name) + len(c.args)
	}
	r.output = (brought + 3) / 4
	return r
}

// halves cuts text in two, as no real provider sends a call in one piece.
func halves(text string) (first, second string) {
	half := len(text) / 2
	for half > 0 && !utf8.RuneStart(text[half]) {
		half--
	}
	return text[:half], text[half:]
}

// callID is the id of a turn's call.
func callID(n, i int) string { return "call_" + strconv.Itoa(n) + "_" + strconv.Itoa(i) }

// chatReply gives the reply as a chat completion, streamed or in one piece.
func chatReply(w http.ResponseWriter, q question, n int, r reply) {
	var calls []map[string]any
	for i, c := range r.calls {
		calls = append(calls, map[string]any{
			"index": i, "id": callID(n, i), "type": "function",
			"function": map[string]any{"name": c.name, "arguments": c.args},
		})
	}
	finish := string(agent.FinishStop)
	if len(calls) > 0 {
		finish = string(agent.FinishCalls)
	}
	usage := map[string]any{"prompt_tokens": r.prompt, "completion_tokens": r.output, "total_tokens": r.prompt + r.output}
	shell := func(object string, choices []any) map[string]any {
		return map[string]any{"id": "script", "object": object, "created": 0, "model": q.model, "choices": choices}
	}
	if !q.stream {
		message := map[string]any{"role": "assistant", "content": r.say, "tool_calls": calls}
		whole := shell("chat.completion", []any{map[string]any{"index": 0, "message": message, "finish_reason": finish}})
		whole["usage"] = usage
		w.Header().Set("Content-Type", "application/json")
		write(w, whole)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(choices ...any) map[string]any { return shell("chat.completion.chunk", choices) }
	event := func(e map[string]any) {
		_, _ = io.WriteString(w, "data: ") // an asker that left hears nothing
		write(w, e)
		_, _ = io.WriteString(w, "\n")
	}
	delta := func(d map[string]any, finish any) {
		event(send(map[string]any{"index": 0, "delta": d, "finish_reason": finish}))
	}
	delta(map[string]any{"role": "assistant", "content": r.say}, nil)
	for i, c := range calls {
		first, second := halves(r.calls[i].args)
		c["function"] = map[string]any{"name": r.calls[i].name, "arguments": first}
		delta(map[string]any{"tool_calls": []any{c}}, nil)
		rest := map[string]any{"index": i, "function": map[string]any{"arguments": second}}
		delta(map[string]any{"tool_calls": []any{rest}}, nil)
	}
	delta(map[string]any{}, finish)
	if q.usage {
		last := shell("chat.completion.chunk", []any{})
		last["usage"] = usage
		event(last)
	}
	_, _ = io.WriteString(w, "data: [DONE]\n\n")
}

// write encodes v. An error means that the asker has left, and is of no use to
// anybody.
func write(w io.Writer, v any) { _ = json.NewEncoder(w).Encode(v) }
