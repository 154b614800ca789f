package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

func had(id string, status runner.FeatureStatus, on ...string) runner.Feature {
	return runner.Feature{
		Row:      runner.Row{ID: id, Category: "ui", Description: "Do " + id, Steps: []string{"a", "b"}, Priority: 1, DependsOn: on},
		Progress: runner.Progress{Status: status},
	}
}

func TestAChangedSpecChangesTheList(t *testing.T) {
	old := []runner.Feature{had("list-001", runner.Complete), had("add-001", runner.Complete, "list-001"), had("old-001", runner.Deprecated), had("find-001", runner.Todo, "list-001", "add-001")}
	f := &fakeAsker{t: t, answers: []string{`[{"id": "list-001", "deprecated": true}, {"id": "nope-001", "deprecated": true}, {"id":"find-001","category":"ui","description":"Find","steps":["c","d"],"passes":false,"priority":1,"depends_on":["list-001"]}]`, `[
		{"id": "list-001", "deprecated": true},
		{"id": "find-001", "category": "ui", "description": "Find", "steps": ["c", "d"], "passes": true, "priority": 1},
		{"id": "new-001", "category": "ui", "description": "New", "steps": ["e", "f"], "passes": false, "priority": 2, "depends_on": ["find-001"]}
	]`, `[]`}}
	p, err := Open(Options{Spec: []byte("# Shelf\n"), Source: "SPEC.md", Ask: f})
	if err != nil {
		t.Fatal(err)
	}
	rows, used, err := p.Plan(t.Context(), old, plenty)
	want := []runner.Row{
		{ID: "add-001", Category: "ui", Description: "Do add-001", Steps: []string{"a", "b"}, Priority: 1},
		{ID: "find-001", Category: "ui", Description: "Find", Steps: []string{"c", "d"}, Priority: 1},
		{ID: "new-001", Category: "ui", Description: "New", Steps: []string{"e", "f"}, Priority: 2, DependsOn: []string{"find-001"}},
	}
	if diff := cmp.Diff(want, rows); diff != "" || err != nil || used.Calls != 2 {
		t.Errorf("%v, %+v\n%s", err, used, diff)
	}
	for _, part := range []string{
		"[loop] change\n\nThe specification was changed", "# The feature list as it is\n```\n",
		`{"id":"add-001","category":"ui","description":"Do add-001","steps":["a","b"],"priority":1,"depends_on":["list-001"],"status":"complete"}`,
		`"status":"deprecated"}`, "# The specification\n```\n# Shelf\n",
	} {
		if !strings.Contains(f.prompts[0], part) {
			t.Errorf("it was not asked with %q:\n%s", part, f.prompts[0])
		}
	}
	if !strings.HasPrefix(f.prompts[1], "[loop] change round=1\n") || !strings.Contains(f.prompts[1], `"nope-001" is to be deprecated, but is not in the list`) ||
		!strings.Contains(f.prompts[1], `it depends on "list-001", which is not in the list`) {
		t.Errorf("asked again:\n%s", f.prompts[1])
	}
	// That nothing changes is an answer.
	rows, _, err = p.Plan(t.Context(), old, plenty)
	if err != nil || len(rows) != 3 || rows[0].ID != "list-001" || rows[2].DependsOn == nil {
		t.Errorf("%v, %+v", err, rows)
	}
}

func TestAChangeIsChecked(t *testing.T) {
	old := []runner.Feature{had("a-001", runner.Complete), had("b-001", runner.Deprecated)}
	row := `{"id":"a-001","category":"ui","description":"x","steps":["a","b"],"passes":false,"priority":1}`
	for answer, want := range map[string]string{
		`[` + row + `,` + row + `]`:                             "row 2 (a-001): id a-001 is taken by row 1",
		`[` + row + `,{"id":"a-001","deprecated":true}]`:        "it is to be changed and to be deprecated",
		`[{"id":"a-001","deprecated":true}]`:                    "the list is empty",
		`[{"category":"ui","description":"x","steps":["a"]}]`:   "id is missing",
		`[{"id":"a-001","deprecated":true,"why":"it is gone"}]`: `unknown field "why"`,
	} {
		p, err := Open(Options{Spec: []byte("x"), Ask: &fakeAsker{t: t}})
		if err != nil {
			t.Fatal(err)
		}
		if _, wrong := p.understand(answer, old); !strings.Contains(strings.Join(wrong, "\n"), want) {
			t.Errorf("%s: %q, want %q", answer, wrong, want)
		}
	}
	// What was deprecated can come back; a first list has nothing to deprecate.
	p, err := Open(Options{Spec: []byte("x"), Ask: &fakeAsker{t: t}})
	if err != nil {
		t.Fatal(err)
	}
	if rows, wrong := p.understand(`[`+strings.Replace(row, "a-001", "b-001", 1)+`]`, old); len(wrong) > 0 || len(rows) != 2 || rows[1].ID != "b-001" {
		t.Errorf("%v, %q", rows, wrong)
	}
	if _, wrong := p.understand(`[`+row+`,{"id":"c-001","deprecated":true}]`, nil); len(wrong) != 1 {
		t.Errorf("got %q", wrong)
	}
}

// A list without ids keeps those that it was given, wherever its rows stand.
func TestABareListKeepsItsIDs(t *testing.T) {
	bare := func(descriptions ...string) []byte {
		var rows []string
		for _, d := range descriptions {
			rows = append(rows, `{"category": "User Interface", "description": "`+d+`", "steps": ["a", "b"], "passes": true}`)
		}
		return []byte("[" + strings.Join(rows, ",") + "]")
	}
	plan := func(list []byte, old []runner.Feature) map[string]string {
		p, err := Open(Options{Features: list})
		if err != nil {
			t.Fatal(err)
		}
		rows, used, err := p.Plan(t.Context(), old, runner.Purse{})
		if err != nil || used.Calls > 0 {
			t.Fatal(err)
		}
		ids := map[string]string{}
		for _, r := range rows {
			if r.Passes || r.Category != "ui" {
				t.Errorf("row %+v", r)
			}
			ids[r.Description] = r.ID
		}
		return ids
	}
	first := plan(bare("Log in", "Log out", "Twice", "Twice"), nil)
	if diff := cmp.Diff(map[string]string{"Log in": "ui-001", "Log out": "ui-002", "Twice": "ui-004"}, first); diff != "" {
		t.Error(diff)
	}
	old := []runner.Feature{had("ui-001", runner.Complete), had("ui-002", runner.Deprecated), had("ui-003", runner.Todo)}
	old[0].Description, old[1].Description, old[2].Description = "Log in", "Log out", "Search"
	again := plan(bare("New", "log  IN", "Log out"), old)
	if diff := cmp.Diff(map[string]string{"New": "ui-004", "log  IN": "ui-001", "Log out": "ui-002"}, again); diff != "" {
		t.Error(diff)
	}
	for theirs, ours := range map[string]string{"Style": "style", "UI": "ui", "a11y": "accessibility", "Back-end": "functional", "front_end": "ui", "Database": "database", "": "functional"} {
		if got := category(theirs); got != ours {
			t.Errorf("category %q is %q, want %q", theirs, got, ours)
		}
	}
}
