package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// figures are the five metrics in a line, those that can be said.
func figures(r runner.LoopResult) string {
	e := r.Efficiency
	var said []string
	say := func(value *float64, format string, factor float64) {
		if value != nil {
			said = append(said, fmt.Sprintf(format, *value*factor))
		}
	}
	if e.TokensPerFeature != nil {
		said = append(said, thousands(int64(*e.TokensPerFeature))+" tokens per feature")
	}
	if r.CostDollars > 0 {
		say(e.CostPerFeature, "$%.2f per feature", 1)
		say(e.FeaturesPerDollar, "%.2f features per dollar", 1)
	}
	say(e.CacheHitRate, "%.0f %% of the input was cached", 100)
	say(e.ContextUtilization, "context %.0f %% full on average", 100)
	return strings.Join(said, " · ")
}

// kinds are the tokens by kind, in a line, as far as they are known.
func kinds(r runner.LoopResult) string {
	t := r.Tokens
	s := thousands(t.Input) + " in"
	var of []string
	if r.Efficiency.CacheHitRate != nil {
		of = append(of, thousands(t.Cached)+" cached")
	}
	if t.CacheWrite > 0 {
		of = append(of, thousands(t.CacheWrite)+" written to the cache")
	}
	if len(of) > 0 {
		s += " (" + strings.Join(of, ", ") + ")"
	}
	s += fmt.Sprintf(", %s out", thousands(t.Output))
	if t.Reasoning > 0 {
		s += fmt.Sprintf(" (%s reasoning)", thousands(t.Reasoning))
	}
	if t.Estimated > 0 {
		s += fmt.Sprintf("; %s of them estimated, the provider did not count them", thousands(t.Estimated))
	}
	return s
}

// down says which models are taken for down, and who took over.
func down(v View) []string {
	var all []string
	for _, b := range v.State.Models {
		if !b.Open(v.Now) {
			continue
		}
		s := fmt.Sprintf("model %s is taken for down until %s: %s", b.Model, at(b.Until), b.Why)
		if b.Instead != "" {
			s += "; " + b.Instead + " has taken over"
		}
		all = append(all, s)
	}
	return all
}

func at(t time.Time) string { return t.UTC().Format("15:04 UTC on 2006-01-02") }
