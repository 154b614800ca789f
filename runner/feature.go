package runner

import (
	"cmp"
	"slices"
)

// A Row is one row of feature_list.json: what is to be built. Category,
// description, steps and passes are Anthropic's fields, the others are ours.
// Only the harness writes it; passes is derived from the state when the list is
// encoded and is never read back.
type Row struct {
	ID          string           `json:"id"`
	Category    string           `json:"category"`
	Description string           `json:"description"`
	Steps       []string         `json:"steps"`
	Passes      bool             `json:"passes"`
	Priority    int              `json:"priority"` // 1 is the most urgent
	DependsOn   []string         `json:"depends_on,omitempty"`
	Data        map[string]Datum `json:"data,omitempty"`
	Acceptance  []Step           `json:"acceptance,omitempty"`
}

// A Step is one acceptance action, to be performed in a browser without any
// model. Target names an element (role=button[name="Save"], label=Title,
// text=, placeholder=, testid=, else CSS); {{name}} in any string stands for a
// value of the row's data, drawn anew for each run.
type Step struct {
	Step     int    `json:"step"` // counts from 1
	Action   string `json:"action"`
	Target   string `json:"target,omitempty"`
	Value    string `json:"value,omitempty"`
	Expected string `json:"expected,omitempty"`
}

// A Datum says how a placeholder's value is drawn: word, name, sentence,
// unicode, email, url, password, number, integer, decimal, date, time. Min and
// Max are the range of number, integer and the whole part of decimal; with both
// 0 it is the kind's own.
type Datum struct {
	Kind string `json:"kind"`
	Min  int    `json:"min,omitempty"`
	Max  int    `json:"max,omitempty"`
}

// A FeatureStatus says where a feature stands. That a feature is blocked by
// one of its dependencies is not a status: it follows from theirs.
type FeatureStatus string

// The statuses of a feature.
const (
	Todo        FeatureStatus = "todo"
	Complete    FeatureStatus = "complete"
	SetAside    FeatureStatus = "set_aside"   // given up or out of attempts; gets one second chance
	Quarantined FeatureStatus = "quarantined" // second chance lost; waits for a person or the spec
	Deprecated  FeatureStatus = "deprecated"  // no longer in the spec; never deleted
)

// A Feature is a row and what the loop knows of it.
type Feature struct {
	Row
	Progress
}

// Progress is the part of a feature that state.json keeps.
type Progress struct {
	Status       FeatureStatus `json:"status"`
	Attempts     int           `json:"attempts"` // spent, over all sessions
	Crashes      int           `json:"crashes,omitempty"`
	Failures     int           `json:"failures,omitempty"`       // failed verdicts, over all attempts
	SecondChance bool          `json:"second_chance,omitempty"`  // already given
	Extra        int           `json:"extra_attempts,omitempty"` // granted on top of what the config allows, after a demotion
	Demotions    int           `json:"demotions,omitempty"`      // how often it was complete and turned out broken
	Outcome      Outcome       `json:"outcome,omitempty"`        // of the last verdict
	Note         string        `json:"note,omitempty"`           // why it is not complete yet, for the next attempt to read
	Notes        []string      `json:"notes,omitempty"`          // what the agent wrote down for whoever goes on
	Usage                      // all attempts
	Commit       string        `json:"commit,omitempty"`  // on the work branch, that completed it
	Frozen       string        `json:"acceptance_sha256"` // of the acceptance as it was drawn up, see [Row.AcceptanceHash]
	Evidence     *Evidence     `json:"evidence,omitempty"`
	Over         *Cap          `json:"over_budget,omitempty"`  // the budget of a feature that it has spent, when it was quarantined for that
	Before       Cap           `json:"used_before,omitzero"`   // of the usage: before a person changed what it is to be
	Left         []string      `json:"left_out,omitempty"`     // paths of its work that are not in its commits, with the reasons
	Offered      bool          `json:"offered,omitempty"`      // of them there is a patch, [LeftOutPatch]
	FormerCases  []string      `json:"former_cases,omitempty"` // likewise its own tests, by file and name, where these are known
	Former       []string      `json:"former_tests,omitempty"` // its own test files from before a person changed what it is to be: they may change with it
}

// Next selects the feature to work on: the one in progress, else one that was
// complete and is broken, else of those whose dependencies are complete the
// least tried, then the most urgent, then the first in the list, so that one
// hard feature cannot starve the rest. A feature that was set aside gets its
// second chance when no other is left.
func (st State) Next(attempts int) (Feature, bool) {
	if st.Wip != nil {
		return st.Feature(st.Wip.Feature)
	}
	first := func(may func(Feature) bool) (Feature, bool) {
		var ready []Feature
		for _, f := range st.Features {
			if may(f) && st.ready(f) {
				ready = append(ready, f)
			}
		}
		if len(ready) == 0 {
			return Feature{}, false
		}
		return slices.MinFunc(ready, func(a, b Feature) int {
			return cmp.Or(cmp.Compare(a.Attempts, b.Attempts), cmp.Compare(a.Priority, b.Priority))
		}), true
	}
	open := func(f Feature) bool { return f.Status == Todo && f.Attempts < attempts+f.Extra }
	f, ok := first(func(f Feature) bool { return open(f) && f.Demotions > 0 })
	if !ok {
		f, ok = first(open)
	}
	if !ok {
		f, ok = first(func(f Feature) bool { return f.Status == SetAside && !f.SecondChance })
	}
	return f, ok
}

// Blocked says whether f waits for a feature that no session will complete. One
// that nobody asks for any more holds none up.
func (st State) Blocked(f Feature) bool {
	return slices.ContainsFunc(f.DependsOn, func(id string) bool {
		on, ok := st.Feature(id)
		return !ok || on.Status == Quarantined ||
			on.Status == SetAside && on.SecondChance || on.Status != Complete && on.Status != Deprecated && st.Blocked(on)
	})
}

func (st State) ready(f Feature) bool {
	return !slices.ContainsFunc(f.DependsOn, func(id string) bool {
		on, ok := st.Feature(id)
		return !ok || on.Status != Complete && on.Status != Deprecated
	})
}

// Feature returns the feature called id.
func (st State) Feature(id string) (Feature, bool) {
	i := slices.IndexFunc(st.Features, func(f Feature) bool { return f.ID == id })
	if i < 0 {
		return Feature{}, false
	}
	return st.Features[i], true
}

// completed returns the completed features, in list order.
func (st State) completed() []Feature {
	return slices.DeleteFunc(slices.Clone(st.Features), func(f Feature) bool { return f.Status != Complete })
}

// rows are the rows of features.
func rows(features []Feature) []Row {
	var all []Row
	for _, f := range features {
		all = append(all, f.Row)
	}
	return all
}
