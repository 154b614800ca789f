package forge

import (
	"fmt"
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
	"github.com/autonomous-loop/autonomous-loop/internal/faults"
)

// TestRulesAreReadAtTheStart asks for the rules of the loop's branches before
// anything is pushed: of a branch that need not be there yet, of rulesets that may
// not be shown, and of those that the token may bypass.
func TestRulesAreReadAtTheStart(t *testing.T) {
	t.Parallel()
	const state, work = "autonomous-loop-state/main", "autonomous-loop/main"
	signed := fakegithub.Rule{Type: "required_signatures", Branches: "autonomous-loop/*", Ruleset: "signed everywhere", Bypass: "never"}
	but := func(change func(*fakegithub.Rule)) fakegithub.Rule { r := signed; change(&r); return r }
	for _, c := range []struct {
		name, id string
		rules    []fakegithub.Rule
		there    []string
		before   func(*world)
		want     string // in the words; "": nothing is in the way
	}{
		{name: "signed commits", id: "T6h", rules: []fakegithub.Rule{signed}, want: work},
		{name: "no rules", id: "T6i"},
		{name: "the token bypasses them", id: "T6i", rules: []fakegithub.Rule{but(func(r *fakegithub.Rule) { r.Bypass = "always" })}},
		{name: "it does in pull requests only", rules: []fakegithub.Rule{but(func(r *fakegithub.Rule) { r.Bypass = "pull_requests_only" })}, want: work},
		{name: "the ruleset is not shown", rules: []fakegithub.Rule{but(func(r *fakegithub.Rule) { r.Bypass = "" })}, want: "a ruleset of octo/loop asks for signed commits"},
		{name: "on other branches", rules: []fakegithub.Rule{but(func(r *fakegithub.Rule) { r.Branches = "main" })}},
		{name: "on the state branch", rules: []fakegithub.Rule{but(func(r *fakegithub.Rule) { r.Branches = "autonomous-loop-state/*" })}, want: state},
		{name: "linear history of the work branch", rules: []fakegithub.Rule{but(func(r *fakegithub.Rule) { r.Type = "required_linear_history" })}},
		{name: "linear history of the state branch", rules: []fakegithub.Rule{but(func(r *fakegithub.Rule) { r.Type, r.Branches = "required_linear_history", "autonomous-loop-state/*" })}, want: "a history without merges"},
		{name: "nobody creates it", rules: []fakegithub.Rule{but(func(r *fakegithub.Rule) { r.Type = "creation" })}, want: "that nobody creates it"},
		{name: "nobody creates it, but it is there", rules: []fakegithub.Rule{but(func(r *fakegithub.Rule) { r.Type = "creation" })}, there: []string{work}},
		{name: "what the loop never does", rules: []fakegithub.Rule{but(func(r *fakegithub.Rule) { r.Type = "non_fast_forward" }), but(func(r *fakegithub.Rule) { r.Type = "deletion" })}},
		{name: "a plan without rulesets", rules: []fakegithub.Rule{signed}, before: func(w *world) {
			w.Fail(fakegithub.Fault{Match: "GET /repos/*/*/rules/branches/*", Status: 403, Body: `{"message":"Upgrade to GitHub Pro or make this repository public to enable this feature.","documentation_url":"x"}`, Times: -1})
			w.Fail(fakegithub.Fault{Match: "GET /repos/*/*/rules/branches/*/*", Status: 403, Body: `{"message":"Upgrade to GitHub Pro or make this repository public to enable this feature.","documentation_url":"x"}`, Times: -1})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, r := range c.rules {
				w.AddRule(where, r)
			}
			if c.before != nil {
				c.before(w)
			}
			err := w.hub().Barred(t.Context(), state, work, c.there)
			if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if c.id == "" {
				return
			}
			asked := 0
			for _, r := range w.Requests() {
				if strings.Contains(r, "/rules/branches/") {
					asked++
				}
			}
			faults.Check(t, c.id, faults.Seen{Ends: faults.EndOf(err), Waits: w.clock.slept, Requests: asked, Reads: fmt.Sprint(err)})
		})
	}
}
