package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A Price is what a million tokens cost.
type Price struct {
	Input      runner.Money
	Cached     runner.Money // input that the provider had cached
	CacheWrite runner.Money // input that it cached for later calls
	Output     runner.Money
	Window     int    // context window in tokens; 0: not known
	Tiers      []Tier // prices of longer prompts, by rising length
}

// A Tier is the price of a call, all of it, whose prompt has more than Above
// tokens.
type Tier struct {
	Above int64
	Price
}

// Prices are prices by model name. The zero value knows the built-in table.
type Prices map[string]Price

// unknown is the price of a model that no table knows: higher than that of
// nearly all there are, so that a budget binds too early and never too late.
var unknown = Price{Input: 30 * runner.Dollar, Cached: 30 * runner.Dollar, CacheWrite: 60 * runner.Dollar, Output: 180 * runner.Dollar}

// builtin are estimates, taken from the providers' published lists as of
// November 2026. They age: the bill is the provider's, and the input prices
// stands before this table. Models whose price rises with the length of the
// prompt stand with a window that ends where it rises, or with the higher
// price.
var builtin = Prices{
	"script": {Window: 200_000}, // answers from a file, for nothing

	"gpt-6-astra":       price("10", "1", "50", 272_000),
	"gpt-6-sol":         price("2", "0.20", "10", 272_000),
	"gpt-6-luna":        price("0.10", "0.01", "0.50", 272_000),
	"gpt-6.1-sol":       price("2", "0.10", "10", 272_000),
	"gpt-6.1-terra":     price("1", "0.05", "5", 272_000),
	"gpt-5.6-sol":       price("5", "0.50", "30", 272_000),
	"gpt-5.6-terra":     price("2", "0.20", "12", 272_000),
	"gpt-5.6-luna":      price("0.20", "0.02", "1.20", 272_000),
	"gpt-5.5":           price("5", "0.50", "30", 272_000),
	"gpt-5.4":           price("2.50", "0.25", "15", 272_000),
	"gpt-5.4-mini":      price("0.75", "0.075", "4.50", 272_000),
	"gpt-5.4-nano":      price("0.20", "0.02", "1.25", 272_000),
	"claude-fable-5-1":  price("10", "0.25", "50", 1_000_000),
	"claude-opus-5-5":   price("4", "0.20", "20", 1_000_000),
	"claude-opus-5":     price("5", "0.50", "25", 1_000_000),
	"claude-opus-4-8":   price("5", "0.50", "25", 200_000),
	"claude-sonnet-5-5": price("2", "0.10", "10", 1_000_000),
	"claude-sonnet-5":   price("2", "0.20", "10", 1_000_000),
	"claude-sonnet-4-6": price("3", "0.30", "15", 200_000),
	"claude-haiku-5-5":  price("0.50", "0.05", "2.50", 1_000_000),
	"claude-haiku-4-5":  price("1", "0.10", "5", 200_000),
	"gemini-3.6-flash":  price("1.50", "0.15", "7.50", 1_000_000),
	"gemini-3.7-flash":  price("1.50", "0.15", "7.50", 1_000_000),
	"gemini-3.8-flash":  price("1.50", "0.15", "7.50", 1_000_000),
}

func price(input, cached, output string, window int) Price {
	in, err1 := dollars(input)
	hit, err2 := dollars(cached)
	out, err3 := dollars(output)
	if err := errors.Join(err1, err2, err3); err != nil {
		panic("model: price table: " + err.Error())
	}
	return Price{Input: in, Cached: hit, CacheWrite: in + in/4, Output: out, Window: window}
}

var dated = pattern.MustCompile(`-(\d{8}|\d{4}-\d{2}-\d{2}|latest)$`)

// Of finds the price of a model: by its name, without the provider in front of
// it (openai/gpt-5.4), without the date behind it. false: nobody knows it, and
// the price is a high guess.
func (p Prices) Of(name string) (Price, bool) {
	names := []string{name}
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		names = append(names, name[i+1:])
	}
	for _, n := range slices.Clone(names) {
		names = append(names, dated.ReplaceAllString(n, ""))
	}
	for _, table := range []Prices{p, builtin} {
		for _, n := range names {
			if price, ok := table[n]; ok {
				return price, true
			}
		}
	}
	return unknown, false
}

// ParsePrices reads the input prices: {"my-model": {"input": "1.25", "cached":
// "0.125", "cache_write": "1.5", "output": "10", "tiers": [{"above_tokens":
// 200000, "input": "2.50", "output": "15"}]}}, in dollars per million tokens. All
// mistakes are reported at once.
func ParsePrices(data []byte) (Prices, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil
	}
	var rows map[string]map[string]json.RawMessage
	if err := json.Unmarshal(data, &rows); err != nil {
		return nil, fmt.Errorf(`input prices: not a JSON object like {"my-model": {"input": "1.25", "output": "10"}}: %w`, err)
	}
	var errs []error
	prices := Prices{}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		row := rows[name]
		tiers := row["tiers"]
		delete(row, "tiers")
		p, err := parsePrice(row)
		if err == nil {
			p.Tiers, err = parseTiers(tiers)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("input prices: %s: %w", name, err))
		}
		prices[name] = p
	}
	return prices, errors.Join(errs...)
}

func parseTiers(data json.RawMessage) ([]Tier, error) {
	if data == nil {
		return nil, nil
	}
	var rows []map[string]json.RawMessage
	if err := json.Unmarshal(data, &rows); err != nil {
		return nil, errors.New(`tiers: not a list like [{"above_tokens": 200000, "input": "2.50", "output": "15"}]`)
	}
	var tiers []Tier
	var last int64
	for i, row := range rows {
		var t Tier
		if err := json.Unmarshal(row["above_tokens"], &t.Above); err != nil || t.Above <= last {
			return nil, fmt.Errorf("tiers: %d: above_tokens is not a number of tokens above %d", i+1, last)
		}
		delete(row, "above_tokens")
		var err error
		if t.Price, err = parsePrice(row); err != nil {
			return nil, fmt.Errorf("tiers: %d: %w", i+1, err)
		}
		tiers, last = append(tiers, t), t.Above
	}
	return tiers, nil
}

func parsePrice(row map[string]json.RawMessage) (Price, error) {
	var p Price
	fields := map[string]*runner.Money{"input": &p.Input, "cached": &p.Cached, "cache_write": &p.CacheWrite, "output": &p.Output}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(row)) {
		field, known := fields[key]
		if !known {
			errs = append(errs, fmt.Errorf("%q is not input, cached, cache_write, output or tiers", key))
			continue
		}
		var err error
		if *field, err = dollars(text(row[key])); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	for _, key := range []string{"input", "output"} {
		if row[key] == nil {
			errs = append(errs, fmt.Errorf("%s is missing", key))
		}
	}
	if row["cached"] == nil {
		p.Cached = p.Input
	}
	if row["cache_write"] == nil {
		p.CacheWrite = p.Input
	}
	return p, errors.Join(errs...)
}

var amount = pattern.MustCompile(`^(\d{1,4})(?:\.(\d{1,9}))?$`)

// dollars reads a decimal amount without rounding anything.
func dollars(s string) (runner.Money, error) {
	m := amount.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%q is not an amount in dollars per million tokens, from 0 to 9999 with at most nine decimals", s)
	}
	whole, err1 := strconv.ParseInt(m[1], 10, 64)
	part, err2 := strconv.ParseInt((m[2] + "000000000")[:9], 10, 64)
	return runner.Money(whole)*runner.Dollar + runner.Money(part), errors.Join(err1, err2)
}

// at is the price of a call whose prompt has so many tokens.
func (p Price) at(prompt int64) Price {
	for _, t := range slices.Backward(p.Tiers) {
		if prompt > t.Above {
			return t.Price
		}
	}
	return p
}

// cost is what the tokens cost, rounded up to the billionth of a dollar once.
// Nothing overflows: tokens are at most 10^9 and prices below 10^13.
func (p Price) cost(t tokens) runner.Money {
	const million = 1_000_000
	p = p.at(t.prompt)
	var sum, rest int64
	add := func(n int64, price runner.Money) {
		sum += n * int64(price/million)
		rest += n * int64(price%million)
	}
	add(t.prompt-t.cached-t.write, p.Input)
	add(t.cached, p.Cached)
	add(t.write, p.CacheWrite)
	add(t.output, p.Output)
	return runner.Money(sum + (rest+million-1)/million)
}

// most is the most that a call of so many tokens can cost: nothing cached, and
// all of the input to be cached where that is dearer.
func (p Price) most(in, out int64) runner.Money {
	t := tokens{prompt: in, output: out}
	if at := p.at(in); at.CacheWrite > at.Input {
		t.write = in
	}
	return p.cost(t)
}
