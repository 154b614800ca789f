package model

import (
	"encoding/json"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// tokens are what a provider says a call used. prompt includes cached.
type tokens struct{ prompt, cached, output int64 }

// mostTokens bounds what is believed of one call, so that no arithmetic with
// it can overflow.
const mostTokens = 1_000_000_000

// readTokens reads a usage object in the shapes there are; nil if it says
// nothing.
func readTokens(raw json.RawMessage) *tokens {
	var u struct {
		Prompt  float64 `json:"prompt_tokens"`
		Output  float64 `json:"completion_tokens"`
		Total   float64 `json:"total_tokens"`
		Details struct {
			Cached float64 `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
		Hit    float64 `json:"prompt_cache_hit_tokens"` // DeepSeek
		Cached float64 `json:"cached_tokens"`           // Moonshot
	}
	if len(raw) == 0 || json.Unmarshal(raw, &u) != nil {
		return nil
	}
	t := tokens{count(u.Prompt), max(count(u.Details.Cached), count(u.Hit), count(u.Cached)), count(u.Output)}
	// Gemini leaves the thinking out of the completion, but not out of the bill.
	t.output = max(t.output, count(u.Total)-t.prompt)
	t.cached = min(t.cached, t.prompt)
	if t.prompt == 0 && t.output == 0 {
		return nil
	}
	return &t
}

func count(f float64) int64 { return int64(max(0, min(f, mostTokens))) }

// charge is what a call costs that sent and brought so many bytes. Where the
// provider does not say how many tokens that was, a token is four bytes.
func (c *Client) charge(t *tokens, sent, brought int) (runner.Usage, int) {
	var u tokens
	if t != nil {
		u = *t
	}
	if u.prompt == 0 {
		u.prompt = int64(sent+3) / 4
	}
	if u.output == 0 {
		u.output = int64(brought+3) / 4
	}
	return runner.Usage{
		Calls:    1,
		Tokens:   u.prompt + u.output,
		Cached:   u.cached,
		Cost:     c.price.cost(u),
		Unpriced: !c.priced,
	}, int(u.prompt)
}
