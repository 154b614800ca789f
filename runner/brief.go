package runner

import "slices"

// A Brief is what whoever goes on with an attempt has to know beyond what the
// state says of its feature: another session after a limit, or the same one
// after its conversation had to be shortened. It is made of facts, but for
// decisions, problems and state, which are the agent's own words.
type Brief struct {
	Decisions []string `json:"decisions,omitempty"`
	Problems  []string `json:"open_problems,omitempty"`
	State     string   `json:"state,omitempty"`        // what was done and what comes next
	Files     []string `json:"recent_files,omitempty"` // the last that were changed, newest last
	Commands  []string `json:"commands,omitempty"`     // that worked
	Errors    []string `json:"errors,omitempty"`       // patterns, and what was tried
	Tests     string   `json:"tests,omitempty"`        // what the last run of the tests said
	Fixes     []Fix    `json:"fixes,omitempty"`
}

// A Fix is an error, and what was done before it did not come again. Whether
// it was right is known only when the feature is verified.
type Fix struct {
	Class string `json:"class"`
	Error string `json:"error"`
	Fix   string `json:"fix"`
}

// How much of a brief is kept: entries, and bytes of one.
const (
	briefEntries = 20
	briefBytes   = 400
)

// Bounded is the brief as it may be remembered: the newest entries, each of
// them legible and not too long; nil if nothing is in it.
func (b *Brief) Bounded() *Brief {
	if b == nil {
		return nil
	}
	newest := func(all []string) []string {
		var out []string
		for _, s := range all[max(0, len(all)-briefEntries):] {
			out = append(out, legible(s, briefBytes))
		}
		return out
	}
	c := &Brief{newest(b.Decisions), newest(b.Problems), legible(b.State, noteBytes), newest(b.Files), newest(b.Commands), newest(b.Errors), legible(b.Tests, noteBytes), nil}
	for _, f := range b.Fixes[max(0, len(b.Fixes)-briefEntries):] {
		c.Fixes = append(c.Fixes, Fix{legible(f.Class, briefBytes), legible(f.Error, briefBytes), legible(f.Fix, briefBytes)})
	}
	if c.Tests == "" && c.State == "" && len(slices.Concat(c.Decisions, c.Problems, c.Files, c.Commands, c.Errors)) == 0 && len(c.Fixes) == 0 {
		return nil
	}
	return c
}
