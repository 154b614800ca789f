package model

import (
	"encoding/json"
	"math"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// tokens are what a provider says a call used. prompt includes cached and
// write, output includes reasoning.
type tokens struct {
	prompt, cached, write, output, reasoning int64

	told bool         // how much of prompt was cached
	bill runner.Money // what the provider itself says that the call costs; 0: nothing
}

// mostTokens bounds what is believed of one call, so that no arithmetic with
// it can overflow.
const mostTokens = 1_000_000_000

// countDetails are parts of a count.
type countDetails struct {
	Cached    *float64 `json:"cached_tokens"`
	Write     float64  `json:"cache_write_tokens"` // OpenRouter
	Creation  float64  `json:"cache_creation_tokens"`
	Reasoning float64  `json:"reasoning_tokens"`
}

// readTokens reads a usage object in the shapes there are; nil if it says
// nothing.
func readTokens(raw json.RawMessage) *tokens {
	var u struct {
		Prompt        float64       `json:"prompt_tokens"` // chat completions
		Completion    float64       `json:"completion_tokens"`
		Total         float64       `json:"total_tokens"`
		PromptDetails *countDetails `json:"prompt_tokens_details"`
		OutDetails    *countDetails `json:"completion_tokens_details"`

		Input        float64       `json:"input_tokens"` // Responses, and Anthropic's own
		Output       float64       `json:"output_tokens"`
		InputDetails *countDetails `json:"input_tokens_details"`
		MoreDetails  *countDetails `json:"output_tokens_details"`

		Creation float64  `json:"cache_creation_input_tokens"` // Anthropic
		Read     *float64 `json:"cache_read_input_tokens"`
		Hit      *float64 `json:"prompt_cache_hit_tokens"` // DeepSeek
		Cached   *float64 `json:"cached_tokens"`           // Moonshot

		Cost        float64 `json:"cost"` // OpenRouter, in dollars
		CostDetails *struct {
			Upstream float64 `json:"upstream_inference_cost"`
		} `json:"cost_details"`
		OwnKey bool `json:"is_byok"`
	}
	if len(raw) == 0 || json.Unmarshal(raw, &u) != nil {
		return nil
	}
	var t tokens
	cached := func(said *float64) {
		if said != nil {
			t.cached, t.told = max(t.cached, count(*said)), true
		}
	}
	for _, d := range []*countDetails{u.PromptDetails, u.InputDetails, u.OutDetails, u.MoreDetails} {
		if d == nil {
			continue
		}
		cached(d.Cached)
		t.write = max(t.write, count(d.Write), count(d.Creation))
		t.reasoning = max(t.reasoning, count(d.Reasoning))
	}
	for _, said := range []*float64{u.Read, u.Hit, u.Cached} {
		cached(said)
	}
	t.write = max(t.write, count(u.Creation))
	t.prompt, t.output = count(u.Prompt), max(count(u.Completion), count(u.Output))
	if t.prompt == 0 {
		t.prompt = count(u.Input)
		// Anthropic's own input leaves out what went through the cache; nobody
		// else names input tokens and what was read of them side by side.
		t.prompt += count(u.Creation)
		if u.Read != nil {
			t.prompt += count(*u.Read)
		}
	}
	// Gemini leaves the thinking out of the completion, but not out of the bill.
	t.output = max(t.output, count(u.Total)-t.prompt)
	t.cached = min(t.cached, t.prompt)
	t.write = min(t.write, t.prompt-t.cached)
	t.reasoning = min(t.reasoning, t.output)
	t.told = t.told && t.prompt > 0
	t.bill = bill(u.Cost)
	if u.CostDetails != nil && u.OwnKey {
		// The model's provider sends a bill of its own, beside OpenRouter's.
		t.bill = bill(u.Cost) + bill(u.CostDetails.Upstream)
	}
	if t.prompt == 0 && t.output == 0 {
		return nil
	}
	return &t
}

func count(f float64) int64 { return int64(max(0, min(f, mostTokens))) }

// bill is so many dollars, rounded up, of one call; what is no amount that a
// call can cost is 0.
func bill(dollars float64) runner.Money {
	if !(dollars > 0 && dollars < 10_000) {
		return 0
	}
	return runner.Money(math.Ceil(dollars * float64(runner.Dollar)))
}

// charge is what a call costs that sent and brought so many bytes. Where the
// provider does not say how many tokens that was, a token is four bytes, and
// they are marked as estimated. Its own word on the cost stands before the
// price table; that a call is free it cannot say.
func (c *Client) charge(t *tokens, sent, brought int) (runner.Usage, int) {
	var u tokens
	var guessed int64
	if t != nil {
		u = *t
	}
	if u.prompt == 0 {
		u.prompt = int64(sent+3) / 4
		guessed += u.prompt
	}
	if u.output == 0 {
		u.output = int64(brought+3) / 4
		guessed += u.output
	}
	used := runner.Usage{
		Calls:      1,
		Tokens:     u.prompt + u.output,
		Cached:     u.cached,
		CacheWrite: u.write,
		Output:     u.output,
		Reasoning:  u.reasoning,
		Estimated:  guessed,
		Cost:       c.price.cost(u),
		Unpriced:   !c.priced,
	}
	if u.told {
		used.CacheTold = u.prompt
	}
	if u.bill > 0 && guessed == 0 {
		used.Cost, used.Unpriced = u.bill, false
	}
	return used, int(u.prompt)
}
