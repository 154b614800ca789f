package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A draft is a row as somebody wrote it. passes is read and forgotten: whether
// a feature is complete is not for a list to say.
type draft struct {
	ID          string                  `json:"id"`
	Category    string                  `json:"category"`
	Description string                  `json:"description"`
	Steps       []string                `json:"steps"`
	Passes      json.RawMessage         `json:"passes"`
	Priority    int                     `json:"priority"`
	DependsOn   []string                `json:"depends_on"`
	Data        map[string]runner.Datum `json:"data"`
	Acceptance  []draftStep             `json:"acceptance"`
	Criteria    []draftStep             `json:"acceptance_criteria"` // its name in an acceptance file
	Deprecated  bool                    `json:"deprecated"`          // of an answer that changes a list: no longer wanted
}

type draftStep struct {
	Step     int    `json:"step"`
	Action   string `json:"action"`
	Target   loose  `json:"target"`
	Value    loose  `json:"value"`
	Expected loose  `json:"expected"`
}

// loose is text that may have been written as a number or a boolean, as in
// "expected": 2.
type loose string

func (l *loose) UnmarshalJSON(b []byte) error {
	var s string
	switch err := json.Unmarshal(b, &s); {
	case err == nil:
		*l = loose(s)
	case bytes.ContainsAny(b[:1], `{["`):
		return errors.New("target, value and expected are texts")
	default:
		*l = loose(b)
	}
	return nil
}

var listStart = pattern.MustCompile(`\[\s*(?:\{|\])`)

// parse reads rows from text: a JSON array of objects, with or without a fence,
// prose or an object around it. gone are the ids of those that are no longer
// wanted. What is wrong comes back in words. strict refuses fields that a row
// does not have, which are most often misspelt.
func parse(text string, strict bool) (rows []runner.Row, gone, wrong []string) {
	start := listStart.FindStringIndex(text)
	if start == nil {
		return nil, nil, []string{"there is no JSON array of rows"}
	}
	// Only the first array can be the list: if it is broken, the next one is
	// some row's steps.
	in := text[start[0]:]
	dec := json.NewDecoder(strings.NewReader(in))
	var list []json.RawMessage
	if err := dec.Decode(&list); err != nil {
		return nil, nil, []string{syntax(in, err)}
	}
	for i, raw := range list {
		var d draft
		dec := json.NewDecoder(bytes.NewReader(raw))
		if strict {
			dec.DisallowUnknownFields()
		}
		if err := dec.Decode(&d); err != nil {
			wrong = append(wrong, fmt.Sprintf("row %d: %s", i+1, mistyped(err)))
		}
		if d.Deprecated {
			gone = append(gone, d.ID)
			continue
		}
		rows = append(rows, d.row())
	}
	return rows, gone, wrong
}

func (d draft) row() runner.Row {
	r := runner.Row{
		ID: d.ID, Category: d.Category, Description: d.Description, Steps: d.Steps,
		Priority: d.Priority, DependsOn: d.DependsOn, Data: d.Data,
	}
	for _, s := range slices.Concat(d.Acceptance, d.Criteria) {
		r.Acceptance = append(r.Acceptance, runner.Step{
			Step: s.Step, Action: s.Action,
			Target: string(s.Target), Value: string(s.Value), Expected: string(s.Expected),
		})
	}
	return r
}

// syntax says where text is no JSON.
func syntax(text string, err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return "the JSON array ends before it is complete: the answer was cut, or a bracket is missing"
	}
	bad, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return "the list is not a JSON array of objects: " + err.Error()
	}
	at := int(min(max(bad.Offset, 0), int64(len(text))))
	before := text[max(0, at-60):at]
	return fmt.Sprintf("line %d of the list is not JSON: %v, after %q",
		1+strings.Count(text[:at], "\n"), bad, strings.ToValidUTF8(before, ""))
}

// mistyped says what is wrong with the fields of a row.
func mistyped(err error) string {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("%s is a JSON %s, which it cannot be", orRow(t.Field), t.Value)
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

func orRow(field string) string {
	if field == "" {
		return "the row"
	}
	return field
}

// complete gives rows of Anthropic's bare form what they lack: ids, priorities
// by place, and a category that we know. A row that is described like one of old
// has its id, wherever in the list it stands; the others have ids by category,
// counted, that nothing else ever had. The same lists get the same ids.
func complete(list []runner.Row, old []runner.Feature) []runner.Row {
	rows := slices.Clone(list)
	taken := map[string]bool{}
	for _, r := range rows {
		taken[r.ID] = true
	}
	for i := range rows {
		r := &rows[i]
		if r.Priority == 0 {
			r.Priority = i + 1
		}
		if r.ID != "" {
			continue
		}
		r.Category = category(r.Category)
		if at := slices.IndexFunc(old, func(f runner.Feature) bool {
			return !taken[f.ID] && said(f.Description) == said(r.Description)
		}); at >= 0 {
			r.ID = old[at].ID
			taken[r.ID] = true
		}
	}
	for _, f := range old {
		taken[f.ID] = true
	}
	numbers := map[string]int{}
	for i := range rows {
		r := &rows[i]
		for n := numbers[r.Category] + 1; r.ID == "" && n <= 999; n++ {
			numbers[r.Category] = n
			if id := fmt.Sprintf("%s-%03d", r.Category, n); !taken[id] {
				r.ID = id
			}
		}
	}
	return rows
}

// said is a text without what does not change its meaning.
func said(text string) string { return strings.ToLower(strings.Join(strings.Fields(text), " ")) }

// others are names that lists of others have for our categories.
var others = map[string]string{
	"feature": "functional", "back end": "functional", "front end": "ui", "features": "functional", "core": "functional", "backend": "functional", "logic": "functional", "functionality": "functional",
	"frontend": "ui", "interface": "ui", "user interface": "ui", "ux": "ui", "usability": "ui", "navigation": "ui", "layout": "style",
	"design": "style", "styling": "style", "visual": "style", "look": "style", "responsive": "style", "polish": "style",
	"endpoint": "api", "rest": "api", "db": "database", "data": "database", "storage": "database", "persistence": "database",
	"integrations": "integration", "perf": "performance", "speed": "performance", "auth": "security", "authentication": "security",
	"a11y": "accessibility", "test": "testing", "tests": "testing", "e2e": "testing",
}

// category is ours for one of a list in Anthropic's form, where functional is
// what is not a matter of style.
func category(name string) string {
	name = said(strings.NewReplacer("-", " ", "_", " ").Replace(name))
	switch {
	case slices.Contains(categories, name):
		return name
	case others[name] != "":
		return others[name]
	}
	return "functional"
}
