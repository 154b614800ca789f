package runner

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What schema 2 had spent is still spent, and a guess stays one.
func TestSpentOfSchema2(t *testing.T) {
	read := func(name string) string {
		data, err := os.ReadFile("testdata/states/schema-2/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	old := read("state.json")
	from := strings.Index(old, `"spent": {`)
	to := from + strings.Index(old[from:], "}")
	for spent, want := range map[string]Usage{
		`"sessions": 2, "tokens": 900, "cached_tokens": 300, "calls": 7, "cost_nanodollars": 5000, "priced": true, "time_ns": 9`:  {Calls: 7, Tokens: 900, Cached: 300, Cost: 5000},
		`"sessions": 2, "tokens": 900, "cached_tokens": 300, "calls": 7, "cost_nanodollars": 5000, "priced": false, "time_ns": 9`: {Calls: 7, Tokens: 900, Cached: 300, Cost: 5000, Unpriced: true},
		`"sessions": 2, "tokens": 0, "calls": 0, "cost_nanodollars": 0, "priced": false, "time_ns": 9`:                            {},
	} {
		st, err := Decode([]byte(old[:from]+`"spent": {`+spent+old[to:]), []byte(read("feature_list.json")))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Spent{Sessions: 2, Usage: want, Time: 9}, st.Spent); diff != "" {
			t.Errorf("%s\n(-want +got):\n%s", spent, diff)
		}
		if res := st.Result(Stop); res.Priced != (want.Calls > 0 && !want.Unpriced) {
			t.Errorf("%s: priced %v", spent, res.Priced)
		}
	}
}

// Every call is in the accounts of its feature, its session and the loop, by kind.
func TestAccounts(t *testing.T) {
	st := saved()
	st.Sessions = []SessionRecord{{Number: 1}, {Number: 2}}
	one := Usage{Calls: 1, Tokens: 100, Cached: 40, CacheWrite: 20, CacheTold: 70, Output: 30, Reasoning: 10, Estimated: 5, Cost: 7}
	two := Usage{Calls: 2, Tokens: 10, Output: 1, Cost: 1, Unpriced: true}
	st = st.charged("", one).charged("b", one).charged("b", two)
	all := Usage{Calls: 4, Tokens: 210, Cached: 80, CacheWrite: 40, CacheTold: 140, Output: 61, Reasoning: 20, Estimated: 10, Cost: 15, Unpriced: true}
	b, _ := st.Feature("b")
	if diff := cmp.Diff([]Usage{all, {}, all, one.Plus(two)}, []Usage{st.Spent.Usage, st.Sessions[0].Usage, st.Sessions[1].Usage, b.Usage}); diff != "" {
		t.Errorf("loop, sessions, feature (-want +got):\n%s", diff)
	}
	back, err := Decode(must2(Encode(st)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(st.Spent, back.Spent); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
	if got := st.Result(Stop).Tokens; got != (TokensByKind{Input: 149, Cached: 80, CacheWrite: 40, Output: 61, Reasoning: 20, Estimated: 10}) {
		t.Errorf("result: %+v", got)
	}
}

func must2(a, b []byte, err error) (x, y []byte) {
	if err != nil {
		panic(err)
	}
	return a, b
}

func TestEfficiency(t *testing.T) {
	for name, tt := range map[string]struct {
		spent     Spent
		completed int
		want      string
	}{
		"nothing yet": {Spent{}, 0, `{"tokens_per_feature":null,"cost_per_feature":null,"features_per_dollar":null,"context_utilization":null,"cache_hit_rate":null}`},
		"spent and nothing got": {
			Spent{Usage: Usage{Tokens: 100, Output: 20, Cost: Dollar}},
			0,
			`{"tokens_per_feature":null,"cost_per_feature":null,"features_per_dollar":0,"context_utilization":null,"cache_hit_rate":null}`,
		},
		"for nothing": {
			Spent{Usage: Usage{Tokens: 100, CacheTold: 100}},
			2,
			`{"tokens_per_feature":50,"cost_per_feature":0,"features_per_dollar":null,"context_utilization":null,"cache_hit_rate":0}`,
		},
		"half of it was asked of a provider that says nothing of its cache": {
			Spent{Usage: Usage{Tokens: 1000, Output: 200, Cached: 300, CacheTold: 400, Cost: 2 * Dollar}},
			2,
			`{"tokens_per_feature":500,"cost_per_feature":1,"features_per_dollar":1,"context_utilization":null,"cache_hit_rate":0.75}`,
		},
		"three features, of which some were before it was counted who says it": {
			Spent{Usage: Usage{Tokens: 1000, Output: 200, Cached: 600, Cost: 2 * Dollar}, Phases: 4, Filled: 1300},
			3,
			`{"tokens_per_feature":333,"cost_per_feature":0.666667,"features_per_dollar":1.5,"context_utilization":0.325,"cache_hit_rate":0.75}`,
		},
	} {
		got, err := json.Marshal(tt.spent.efficiency(tt.completed))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, got, tt.want)
		}
	}
	st := State{}.filled(0).filled(0.5).filled(2)
	if st.Spent.Phases != 2 || st.Spent.Filled != 1500 {
		t.Errorf("filled: %+v", st.Spent)
	}
}
