package plan

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

const schemaFile = "../../docs/feature-list.schema.json"

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func conforms(t *testing.T, s *jsonschema.Schema, rows any) error {
	t.Helper()
	data, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

func TestSchemaTakesARowWithoutAcceptance(t *testing.T) {
	for _, acceptance := range []string{"", `, "acceptance": []`} {
		row := `[{"id": "a-001", "category": "ui", "description": "A", "steps": ["a", "b"], "passes": false, "priority": 1` + acceptance + `}]`
		if err := conforms(t, schema(t), json.RawMessage(row)); err != nil {
			t.Error(err)
		}
	}
}

func TestSchemaTakesTheSample(t *testing.T) {
	var rows []runner.Row
	if err := json.Unmarshal(shelf(t), &rows); err != nil {
		t.Fatal(err)
	}
	if err := conforms(t, schema(t), rows); err != nil {
		t.Error(err)
	}
	if err := Validate(rows); err != nil {
		t.Error(err)
	}
}

// The schema and the Go types have the same fields, and what Go always writes
// is what the schema requires.
func TestSchemaAgreesWithTheTypes(t *testing.T) {
	data, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Defs map[string]struct {
			Required   []string
			Properties map[string]struct {
				Enum      []string
				Pattern   string
				MaxLength int
			}
		} `json:"$defs"`
		MaxItems int
	}
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{"row": runner.Row{}, "step": runner.Step{}, "datum": runner.Datum{}} {
		var all, always []string
		for f := range reflect.TypeOf(v).Fields() {
			tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			all = append(all, tag)
			if options != "omitempty" {
				always = append(always, tag)
			}
		}
		def := s.Defs[name]
		slices.Sort(all)
		if diff := cmp.Diff(all, slices.Sorted(maps.Keys(def.Properties))); diff != "" {
			t.Errorf("properties of %s: %s", name, diff)
		}
		if diff := cmp.Diff(always, def.Required); diff != "" {
			t.Errorf("required of %s: %s", name, diff)
		}
	}
	row, step := s.Defs["row"].Properties, s.Defs["step"].Properties
	if diff := cmp.Diff(categories, row["category"].Enum); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(kinds, s.Defs["datum"].Properties["kind"].Enum); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(actions)), slices.Sorted(slices.Values(step["action"].Enum))); diff != "" {
		t.Error(diff)
	}
	if s.MaxItems != mostRows || strings.ReplaceAll(row["id"].Pattern, "[0-9]{3}", `\d{3}`) != idForm.String() {
		t.Errorf("at most %d rows, ids %s", s.MaxItems, row["id"].Pattern)
	}
}

// Of steps that lack a field, the schema refuses those that Validate refuses.
func TestSchemaAgreesWithValidate(t *testing.T) {
	s := schema(t)
	for name, f := range actions {
		for without := range 8 {
			st := runner.Step{Step: 1, Action: name}
			for i, field := range []struct {
				need need
				text *string
				full string
			}{{f.target, &st.Target, "a"}, {f.value, &st.Value, "accept"}, {f.expected, &st.Expected, "200"}} {
				if field.need != none && without&(1<<i) == 0 {
					*field.text = field.full
				}
			}
			rows := []runner.Row{{
				ID: "a-001", Category: "ui", Description: "A", Steps: []string{"a", "b"}, Priority: 1,
				Acceptance: []runner.Step{st, {Step: 2, Action: "assert_no_console_errors"}},
			}}
			ours, theirs := Validate(rows), conforms(t, s, rows)
			if (ours == nil) != (theirs == nil) {
				t.Errorf("%+v: Validate says %v, the schema %v", st, ours, theirs)
			}
		}
	}
	for name, change := range map[string]func(*runner.Row){
		"id":          func(r *runner.Row) { r.ID = "Add-1" },
		"category":    func(r *runner.Row) { r.Category = "misc" },
		"description": func(r *runner.Row) { r.Description = "" },
		"steps":       func(r *runner.Row) { r.Steps = r.Steps[:1] },
		"priority":    func(r *runner.Row) { r.Priority = 0 },
		"twice":       func(r *runner.Row) { r.DependsOn = []string{"b-001", "b-001"} },
		"data":        func(r *runner.Row) { r.Data = map[string]runner.Datum{"x": {Kind: "colour"}} },
		"data name":   func(r *runner.Row) { r.Data = map[string]runner.Datum{"a b": {Kind: "word"}} },
		"no assert":   func(r *runner.Row) { r.Acceptance = []runner.Step{{Step: 1, Action: "screenshot"}} },
		"action":      func(r *runner.Row) { r.Acceptance[0].Action = "clik" },
	} {
		r := runner.Row{ID: "a-001", Category: "ui", Description: "A", Steps: []string{"a", "b"}, Priority: 1, Acceptance: []runner.Step{{Step: 1, Action: "assert_visible", Target: "a"}}}
		change(&r)
		rows := []runner.Row{r}
		if Validate(rows) == nil || conforms(t, s, rows) == nil {
			t.Errorf("%s: Validate says %v, the schema %v", name, Validate(rows), conforms(t, s, rows))
		}
	}
}
