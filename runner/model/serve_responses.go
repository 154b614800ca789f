package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	openai "github.com/sashabaranov/go-openai"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// readResponses reads a request of the Responses API, as strictly as OpenAI
// does where nothing is stored: every call has its output and every output its
// call, and a reply that calls something begins with the reasoning that came with
// it, as it came.
func readResponses(body []byte) (question, error) {
	var in struct {
		Model   string                   `json:"model"`
		Stream  bool                     `json:"stream"`
		Store   *bool                    `json:"store"`
		Include []openai.ResponseInclude `json:"include"`
		Input   []part                   `json:"input"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return question{}, err
	}
	if in.Store == nil || *in.Store || len(in.Include) != 1 || in.Include[0] != openai.ResponseIncludeReasoningEncryptedContent {
		return question{}, fmt.Errorf("wants store false and include %s", openai.ResponseIncludeReasoningEncryptedContent)
	}
	q := question{model: in.Model, stream: in.Stream, usage: true, reply: responsesReply}
	open := map[string]bool{} // calls without output
	sealed := false           // the reply at hand began with its reasoning
	replying := false
	for _, it := range in.Input {
		kind, role := text(it["type"]), agent.Role(text(it["role"]))
		if its := kind == "reasoning" || kind == "function_call" || role == agent.Assistant; its {
			if !replying {
				q.messages = append(q.messages, line{role: agent.Assistant})
			}
			replying = true
		} else {
			replying, sealed = false, false
		}
		switch kind {
		case "reasoning":
			if sealed = text(it["encrypted_content"]) == seal(text(it["id"])); !sealed {
				return q, errors.New("the encrypted content could not be verified")
			}
		case "function_call":
			if !sealed {
				return q, fmt.Errorf("item of type function_call was provided without its required item of type reasoning: %s", text(it["call_id"]))
			}
			open[text(it["call_id"])] = true
		case "function_call_output":
			if !open[text(it["call_id"])] {
				return q, fmt.Errorf("no tool call found for function call output with call_id %s", text(it["call_id"]))
			}
			delete(open, text(it["call_id"]))
			q.messages = append(q.messages, line{agent.Result, text(it["output"])})
		default:
			if role != agent.Assistant {
				q.messages = append(q.messages, line{role, text(it["content"]) + shown(it["content"])})
			}
		}
	}
	for id := range open {
		return q, fmt.Errorf("no tool output found for function call %s", id)
	}
	return q, nil
}

// seal is the encrypted content of the reasoning with that id.
func seal(id string) string { return "sealed:" + id }

// responsesReply gives the reply as a response, streamed or in one piece.
func responsesReply(w http.ResponseWriter, q question, n int, r reply) {
	id := fmt.Sprintf("rs_script_%d", n)
	output := []any{map[string]any{"id": id, "type": "reasoning", "summary": []any{}, "encrypted_content": seal(id)}}
	if r.say != "" || len(r.calls) == 0 {
		output = append(output, map[string]any{
			"id": fmt.Sprintf("msg_script_%d", n), "type": "message", "status": "completed", "role": "assistant",
			"content": []any{map[string]any{"type": "output_text", "annotations": []any{}, "text": r.say}},
		})
	}
	for i, c := range r.calls {
		output = append(output, map[string]any{
			"id": fmt.Sprintf("fc_script_%d_%d", n, i), "type": "function_call", "status": "completed",
			"call_id": callID(n, i), "name": c.name, "arguments": c.args,
		})
	}
	response := func(status openai.ResponseStatus) map[string]any {
		return map[string]any{"id": "resp_script", "object": "response", "created_at": 0, "model": q.model, "status": status, "store": false, "error": nil, "output": []any{}}
	}
	whole := response(openai.ResponseStatusCompleted)
	whole["output"] = output
	whole["usage"] = map[string]any{
		"input_tokens":  r.prompt, // a script has no cache to speak of
		"output_tokens": r.output, "output_tokens_details": map[string]any{"reasoning_tokens": 0},
		"total_tokens": r.prompt + r.output,
	}
	if !q.stream {
		w.Header().Set("Content-Type", "application/json")
		write(w, whole)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	number := 0
	event := func(kind openai.ResponseStreamEventType, e map[string]any) {
		e["type"], e["sequence_number"] = kind, number
		number++
		_, _ = io.WriteString(w, "event: "+string(kind)+"\ndata: ") // an asker that left hears nothing
		write(w, e)
		_, _ = io.WriteString(w, "\n")
	}
	event(openai.ResponseStreamEventCreated, map[string]any{"response": response(openai.ResponseStatusInProgress)})
	for i, item := range output {
		kind, text := openai.ResponseStreamEventOutputTextDelta, r.say
		switch it := item.(map[string]any); it["type"] {
		case "reasoning":
			text = ""
		case "function_call":
			kind, text = openai.ResponseStreamEventFunctionArgumentsDelta, it["arguments"].(string)
		}
		first, second := halves(text)
		for _, piece := range []string{first, second} {
			if strings.TrimSpace(piece) != "" {
				event(kind, map[string]any{"output_index": i, "delta": piece})
			}
		}
		event(openai.ResponseStreamEventOutputItemDone, map[string]any{"output_index": i, "item": item})
	}
	event(openai.ResponseStreamEventCompleted, map[string]any{"response": whole})
}
