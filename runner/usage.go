package runner

// Money is an amount in billionths of a dollar.
type Money int64

// Dollar is one dollar.
const Dollar Money = 1e9

// Usage is what some model calls used, by kind. Tokens is input and output
// together; Cached and CacheWrite are parts of the input, Reasoning is a part
// of the output.
type Usage struct {
	Calls      int   `json:"calls,omitempty"`
	Tokens     int64 `json:"tokens"`
	Cached     int64 `json:"cached_tokens,omitempty"`      // input that the provider had cached
	CacheWrite int64 `json:"cache_write_tokens,omitempty"` // input that it cached for later calls
	CacheTold  int64 `json:"cache_told_tokens,omitempty"`  // input of which it said how much was cached, were it nothing
	Output     int64 `json:"output_tokens,omitempty"`      // reasoning included
	Reasoning  int64 `json:"reasoning_tokens,omitempty"`
	Estimated  int64 `json:"estimated_tokens,omitempty"` // of Tokens: the provider did not count them, so that we did
	Cost       Money `json:"cost_nanodollars"`
	Unpriced   bool  `json:"unpriced,omitempty"` // no price table knows a model that was asked: Cost is a high guess
}

// Input is what was sent, cached or not.
func (u Usage) Input() int64 { return u.Tokens - u.Output }

// known is the input of which is known how much was cached: 0 where no provider
// said anything of it. States of before that was counted say it by what was.
func (u Usage) known() int64 {
	if u.Cached > u.CacheTold {
		return u.Input()
	}
	return u.CacheTold
}

// Plus is what u and o used together.
func (u Usage) Plus(o Usage) Usage {
	return Usage{
		Calls:      u.Calls + o.Calls,
		Tokens:     u.Tokens + o.Tokens,
		Cached:     u.Cached + o.Cached,
		CacheWrite: u.CacheWrite + o.CacheWrite,
		CacheTold:  u.CacheTold + o.CacheTold,
		Output:     u.Output + o.Output,
		Reasoning:  u.Reasoning + o.Reasoning,
		Estimated:  u.Estimated + o.Estimated,
		Cost:       u.Cost + o.Cost,
		Unpriced:   u.Unpriced || o.Unpriced,
	}
}
