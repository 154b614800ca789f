package model

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// The shapes in which providers say what a call used.
func TestUsageShapes(t *testing.T) {
	for name, tt := range map[string]struct {
		usage string
		want  tokens
	}{
		"OpenAI, chat": {
			`{"prompt_tokens":1000,"completion_tokens":300,"total_tokens":1300,"prompt_tokens_details":{"cached_tokens":600,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":250}}`,
			tokens{prompt: 1000, cached: 600, told: true, output: 300, reasoning: 250},
		},
		"OpenAI, responses": {
			`{"input_tokens":1000,"input_tokens_details":{"cached_tokens":600},"output_tokens":300,"output_tokens_details":{"reasoning_tokens":250},"total_tokens":1300}`,
			tokens{prompt: 1000, cached: 600, told: true, output: 300, reasoning: 250},
		},
		"Anthropic, own": {
			`{"input_tokens":100,"cache_creation_input_tokens":300,"cache_read_input_tokens":600,"output_tokens":50}`,
			tokens{prompt: 1000, cached: 600, told: true, write: 300, output: 50},
		},
		"Anthropic, through a proxy": {
			`{"prompt_tokens":1000,"completion_tokens":50,"total_tokens":1050,"prompt_tokens_details":{"cached_tokens":600,"cache_creation_tokens":300},"cache_creation_input_tokens":300,"cache_read_input_tokens":600}`,
			tokens{prompt: 1000, cached: 600, told: true, write: 300, output: 50},
		},
		"Anthropic, compatible": {
			`{"prompt_tokens":1000,"completion_tokens":50,"total_tokens":1050,"prompt_tokens_details":null,"completion_tokens_details":null}`,
			tokens{prompt: 1000, output: 50},
		},
		"Gemini, whose thoughts stand in the total": {
			`{"prompt_tokens":1000,"completion_tokens":50,"total_tokens":1350}`,
			tokens{prompt: 1000, output: 350},
		},
		"OpenRouter": {
			`{"prompt_tokens":1000,"completion_tokens":50,"total_tokens":1050,"cost":0.0123456789012,"is_byok":false,"prompt_tokens_details":{"cached_tokens":600,"cache_write_tokens":100},"cost_details":{"upstream_inference_cost":null},"completion_tokens_details":{"reasoning_tokens":20}}`,
			tokens{prompt: 1000, cached: 600, told: true, write: 100, output: 50, reasoning: 20, bill: 12_345_679},
		},
		"OpenRouter with a key of one's own": {
			`{"prompt_tokens":1000,"completion_tokens":50,"cost":0.001,"is_byok":true,"cost_details":{"upstream_inference_cost":0.02}}`,
			tokens{prompt: 1000, output: 50, bill: 21_000_000},
		},
		"OpenAI, with nothing cached": {
			`{"prompt_tokens":1000,"completion_tokens":300,"prompt_tokens_details":{"cached_tokens":0}}`,
			tokens{prompt: 1000, told: true, output: 300},
		},
		"a cache of what was not counted":  {`{"completion_tokens":300,"cached_tokens":5}`, tokens{output: 300}},
		"OpenRouter for nothing":           {`{"prompt_tokens":10,"completion_tokens":5,"cost":0}`, tokens{prompt: 10, output: 5}},
		"a cost that is none":              {`{"prompt_tokens":10,"completion_tokens":5,"cost":-3}`, tokens{prompt: 10, output: 5}},
		"a cost beyond belief":             {`{"prompt_tokens":10,"completion_tokens":5,"cost":1e30}`, tokens{prompt: 10, output: 5}},
		"DeepSeek":                         {`{"prompt_tokens":1000,"completion_tokens":50,"prompt_cache_hit_tokens":600,"prompt_cache_miss_tokens":400}`, tokens{prompt: 1000, cached: 600, told: true, output: 50}},
		"Moonshot":                         {`{"prompt_tokens":1000,"completion_tokens":50,"cached_tokens":600}`, tokens{prompt: 1000, cached: 600, told: true, output: 50}},
		"more cached than there was":       {`{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":600,"cache_write_tokens":7}}`, tokens{prompt: 10, cached: 10, told: true, output: 5}},
		"more thought than was written":    {`{"prompt_tokens":10,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":600}}`, tokens{prompt: 10, output: 5, reasoning: 5}},
		"numbers that no arithmetic likes": {`{"prompt_tokens":1e300,"completion_tokens":1e300,"total_tokens":1e300}`, tokens{prompt: mostTokens, output: mostTokens}},
	} {
		t.Run(name, func(t *testing.T) {
			got := readTokens(json.RawMessage(tt.usage))
			if got == nil {
				t.Fatal("nothing was read")
			}
			if diff := cmp.Diff(tt.want, *got, cmp.AllowUnexported(tokens{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	for _, nothing := range []string{``, `null`, `{}`, `[]`, `{"prompt_tokens":0,"completion_tokens":0}`, `{"prompt_tokens":"many"}`} {
		if got := readTokens(json.RawMessage(nothing)); got != nil {
			t.Errorf("%q: %+v", nothing, got)
		}
	}
}

// The provider's own word on the cost stands before the table, but it cannot
// make a call free, and it says nothing of tokens that it did not count.
func TestBill(t *testing.T) {
	ask := func(name, usage string) runner.Usage {
		t.Helper()
		p := serve(t, stream(says("hello"), stops, `{"choices":[],"usage":`+usage+`}`, done))
		got, err := open(t, p.URL, func(o *Options) { o.Name = name }).Complete(t.Context(), question1)
		if err != nil {
			t.Fatal(err)
		}
		return got.Usage
	}
	for _, tt := range []struct {
		name, usage string
		want        runner.Usage
	}{
		{"test-model", `{"prompt_tokens":1000,"completion_tokens":50,"cost":0.5}`, runner.Usage{Calls: 1, Tokens: 1050, Output: 50, Cost: runner.Dollar / 2}},
		{"who-knows", `{"prompt_tokens":1000,"completion_tokens":50,"cost":0.5}`, runner.Usage{Calls: 1, Tokens: 1050, Output: 50, Cost: runner.Dollar / 2}},
		{"who-knows", `{"prompt_tokens":1000,"completion_tokens":50,"cost":0}`, runner.Usage{Calls: 1, Tokens: 1050, Output: 50, Cost: 1000*30_000 + 50*180_000, Unpriced: true}},
		{"test-model", `{"prompt_tokens":1000,"completion_tokens":0,"cost":0.000001}`, runner.Usage{Calls: 1, Tokens: 1002, Output: 2, Estimated: 2, Cost: 1000*2000 + 2*8000}},
	} {
		if diff := cmp.Diff(tt.want, ask(tt.name, tt.usage)); diff != "" {
			t.Errorf("%s, %s (-want +got):\n%s", tt.name, tt.usage, diff)
		}
	}
}
