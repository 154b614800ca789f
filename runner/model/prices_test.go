package model

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

func TestCost(t *testing.T) {
	mini := price("0.75", "0.075", "4.50", 0)
	tiered := Price{Input: runner.Dollar, Output: 2 * runner.Dollar, Tiers: []Tier{
		{1e6, Price{Input: 4 * runner.Dollar, Output: 8 * runner.Dollar}},
		{2e6, Price{Input: 8 * runner.Dollar, Output: 8 * runner.Dollar}},
	}}
	for name, tt := range map[string]struct {
		price Price
		used  tokens
		want  runner.Money
	}{
		"nothing":                   {mini, tokens{}, 0},
		"a million in":              {mini, tokens{prompt: 1e6}, 750_000_000},
		"a million cached":          {mini, tokens{prompt: 1e6, cached: 1e6}, 75_000_000},
		"a million out":             {mini, tokens{output: 1e6}, 4_500_000_000},
		"all three":                 {mini, tokens{prompt: 1000, cached: 600, output: 50}, 400*750 + 600*75 + 50*4500},
		"one token":                 {mini, tokens{prompt: 1}, 750},
		"less than a nanodollar":    {Price{Input: 1}, tokens{prompt: 1}, 1},
		"rounded once, not thrice":  {Price{Input: 1, Cached: 1, Output: 1}, tokens{prompt: 2, cached: 1, output: 1}, 1},
		"exactly one nanodollar":    {Price{Input: 1}, tokens{prompt: 1e6}, 1},
		"just more than one":        {Price{Input: 1}, tokens{prompt: 1e6 + 1}, 2},
		"fractions that add up":     {price("0.000001", "0", "0.333333333", 0), tokens{prompt: 3, output: 3}, 1001}, // 1,000,002,999 millionths
		"the most there can be":     {price("9999.999999999", "0", "9999.999999999", 0), tokens{prompt: mostTokens, output: mostTokens}, 2 * 9_999_999_999_999 * 1000},
		"what is cached costs more": {mini, tokens{prompt: 1000, cached: 600, write: 300, output: 50, reasoning: 40}, 100*750 + 600*75 + 300*937.5 + 50*4500},
		"a prompt at the tier":      {tiered, tokens{prompt: 1e6, output: 1e6}, 3 * runner.Dollar},
		"a prompt above the tier":   {tiered, tokens{prompt: 1e6 + 1, output: 1e6}, 12*runner.Dollar + 4000},
		"and above the next":        {tiered, tokens{prompt: 2e6 + 1}, 16*runner.Dollar + 8000},
		"an unknown model":          {unknown, tokens{prompt: 1e6, cached: 5e5, output: 1e6}, 210 * runner.Dollar},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.price.cost(tt.used); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestPricesOf(t *testing.T) {
	own := Prices{"gpt-5.4": {Input: 1}, "llama": {Input: 2}}
	for name, want := range map[string]Price{
		"gpt-5.4":                         {Input: 1},
		"openai/gpt-5.4":                  {Input: 1},
		"gpt-5.4-2026-03-05":              {Input: 1},
		"gpt-5.4-mini":                    builtin["gpt-5.4-mini"],
		"anthropic/claude-sonnet-5-5":     builtin["claude-sonnet-5-5"],
		"claude-haiku-4-5-20251001":       builtin["claude-haiku-4-5"],
		"llama":                           {Input: 2},
		"meta/llama":                      {Input: 2},
		"llama-70b":                       unknown,
		"gpt-5.4-pro":                     unknown,
		"someone/else/gpt-5.4-2026-03-05": {Input: 1},
	} {
		got, known := own.Of(name)
		if !cmp.Equal(got, want) || known == cmp.Equal(want, unknown) {
			t.Errorf("%s: got %+v, %v", name, got, known)
		}
	}
	for name, p := range builtin {
		if name != "script" && (p.Cached > p.Input || p.Input > p.Output || p.Input <= 0 || p.Output > unknown.Output || p.Window < 100_000) {
			t.Errorf("%s: %+v is no likely price", name, p)
		}
	}
}

func TestUnknownModelIsPricedHighAndMarked(t *testing.T) {
	p := serve(t, good())
	c := open(t, p.URL, func(o *Options) { o.Name = "who-knows" })
	got, err := c.Complete(t.Context(), question1)
	want := runner.Usage{Calls: 1, Tokens: 1050, Cached: 600, CacheTold: 1000, Output: 50, Cost: 1000*30_000 + 50*180_000, Unpriced: true}
	if err != nil || got.Usage != want || c.Priced() {
		t.Errorf("got %+v, %v", got.Usage, err)
	}
	if c.Window() != 128_000 || open(t, p.URL, func(o *Options) { o.Name = "gpt-5.4" }).Window() != 272_000 || open(t, p.URL, func(o *Options) { o.Window = 9 }).Window() != 9 {
		t.Errorf("window %d", c.Window())
	}
}

func TestParsePrices(t *testing.T) {
	got, err := ParsePrices([]byte(`{"a": {"input": "1.25", "cached": "0.125", "output": 10}, "b": {"input": 0, "output": "0.000000001"},
		"c": {"input": 1, "cache_write": "1.25", "output": 5, "tiers": [{"above_tokens": 200000, "input": 2, "output": 7.5}, {"above_tokens": 500000, "input": 4, "output": 9}]}}`))
	want := Prices{
		"a": {Input: 1_250_000_000, Cached: 125_000_000, CacheWrite: 1_250_000_000, Output: 10 * runner.Dollar},
		"b": {Output: 1},
		"c": {Input: runner.Dollar, Cached: runner.Dollar, CacheWrite: 1_250_000_000, Output: 5 * runner.Dollar, Tiers: []Tier{
			{200_000, Price{Input: 2 * runner.Dollar, Cached: 2 * runner.Dollar, CacheWrite: 2 * runner.Dollar, Output: 7_500_000_000}},
			{500_000, Price{Input: 4 * runner.Dollar, Cached: 4 * runner.Dollar, CacheWrite: 4 * runner.Dollar, Output: 9 * runner.Dollar}},
		}},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if got, err := ParsePrices([]byte(" \n")); got != nil || err != nil {
		t.Errorf("got %v, %v of nothing", got, err)
	}
	_, err = ParsePrices([]byte(`{"a": {"input": "-1", "out": 1}, "b": {"input": "1,5", "output": "1e3"}}`))
	for _, w := range []string{`a: input: "-1" is not an amount`, `"out" is not input, cached, cache_write, output or tiers`, "output is missing", `b: input: "1,5"`, `output: "1e3"`} {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("not reported: %s in %v", w, err)
		}
	}
	for tiers, says := range map[string]string{
		`{"above_tokens": 1}`:         "c: tiers: not a list like",
		`[{"input": 1, "output": 1}]`: "c: tiers: 1: above_tokens is not a number of tokens above 0",
		`[{"above_tokens": 9, "input": 1, "output": 1}, {"above_tokens": 9, "input": 1, "output": 1}]`: "c: tiers: 2: above_tokens is not a number of tokens above 9",
		`[{"above_tokens": 9, "input": 1}]`:                           "c: tiers: 1: output is missing",
		`[{"above_tokens": 9, "input": 1, "output": 1, "tiers": []}]`: `c: tiers: 1: "tiers" is not`,
	} {
		if _, err := ParsePrices([]byte(`{"c": {"input": 1, "output": 1, "tiers": ` + tiers + `}}`)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", tiers, err)
		}
	}
	if _, err := ParsePrices([]byte(`[]`)); err == nil || !strings.Contains(err.Error(), "input prices: not a JSON object") {
		t.Errorf("got %v", err)
	}
}
