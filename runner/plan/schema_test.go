package plan

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
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

const (
	schemaFile     = "../../docs/feature-list.schema.json"
	acceptanceFile = "../../docs/acceptance.schema.json"
)

func schema(t *testing.T) *jsonschema.Schema { return compiled(t, schemaFile) }

func compiled(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(name)
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
	type definition struct {
		Required   []string
		Properties map[string]struct {
			Enum      []string
			Pattern   string
			MaxLength int
		}
	}
	var s, a struct {
		Defs     map[string]definition `json:"$defs"`
		MaxItems int
	}
	for name, into := range map[string]any{schemaFile: &s, acceptanceFile: &a} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		def definition
		v   any
	}{{s.Defs["row"], runner.Row{}}, {a.Defs["step"], runner.Step{}}, {a.Defs["datum"], runner.Datum{}}} {
		var all, always []string
		for f := range reflect.TypeOf(tt.v).Fields() {
			tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			all = append(all, tag)
			if options != "omitempty" {
				always = append(always, tag)
			}
		}
		slices.Sort(all)
		if diff := cmp.Diff(all, slices.Sorted(maps.Keys(tt.def.Properties))); diff != "" {
			t.Errorf("properties of %T: %s", tt.v, diff)
		}
		if diff := cmp.Diff(always, tt.def.Required); diff != "" {
			t.Errorf("required of %T: %s", tt.v, diff)
		}
	}
	row := s.Defs["row"].Properties
	if diff := cmp.Diff(categories, row["category"].Enum); diff != "" {
		t.Error(diff)
	}
	if s.MaxItems != mostRows || strings.ReplaceAll(row["id"].Pattern, "[0-9]{3}", `\d{3}`) != idForm.String() {
		t.Errorf("at most %d rows, ids %s", s.MaxItems, row["id"].Pattern)
	}
}

// Whatever fields a step has or lacks, the schema refuses it if Validate does.
func TestSchemaAgreesWithValidate(t *testing.T) {
	s := schema(t)
	good := map[string][3]string{ // where these differ from a target, a value and an expectation
		"goto":             {"/", "/", "200"},
		"assert_count":     {"a", "", "2"},
		"assert_response":  {"", "GET /a", "200"},
		"assert_persisted": {"a", "restart", "b"},
		"dialog":           {"", "accept", "b"},
	}
	both := func(what string, rows []runner.Row, wanted ...bool) {
		t.Helper()
		ours, theirs := Validate(rows), conforms(t, s, rows)
		if (ours == nil) != (theirs == nil) || len(wanted) > 0 && wanted[0] != (ours == nil) {
			t.Errorf("%s: Validate says %v, the schema %v", what, ours, theirs)
		}
	}
	row := func(steps ...runner.Step) runner.Row {
		for i := range steps {
			steps[i].Step = i + 1
		}
		return runner.Row{
			ID: "a-001", Category: "ui", Description: "A", Steps: []string{"a", "b"}, Priority: 1,
			Acceptance: append(steps, runner.Step{Step: len(steps) + 1, Action: "assert_no_console_errors"}),
		}
	}
	for name := range actions {
		full, ok := good[name]
		if !ok {
			full = [3]string{"a", "b", "c"}
		}
		for i, f := range full {
			if f == "" {
				full[i] = "x"
			}
		}
		for without := range 8 {
			st := runner.Step{Action: name}
			for i, field := range []*string{&st.Target, &st.Value, &st.Expected} {
				if without&(1<<i) == 0 {
					*field = full[i]
				}
			}
			both(fmt.Sprintf("%+v", st), []runner.Row{row(st)})
		}
	}
	for _, st := range []runner.Step{
		{Action: "goto", Value: "/", Expected: "ok"},
		{Action: "goto", Value: "/", Expected: "99"},
		{Action: "goto", Value: "/", Expected: "600"},
		{Action: "assert_count", Target: "a", Expected: "two"},
		{Action: "assert_count", Target: "a", Expected: "-1"},
		{Action: "assert_response", Value: "GET /", Expected: "fine"},
		{Action: "assert_response", Value: "GET /", Expected: "2000"},
		{Action: "assert_response", Value: "GET", Expected: "200"},
		{Action: "assert_response", Value: "?", Expected: "200"},
		{Action: "dialog", Value: "ignore"},
		{Action: "dialog", Value: "acceptable"},
		{Action: "assert_persisted", Target: "a", Value: "sleep"},
		{Action: "click", Target: "role="},
		{Action: "click", Target: "role=[name=x]"},
		{Action: "click", Target: "label="},
		{Action: "click", Target: `text=""`},
		{Action: "clik", Target: "a"},
		{},
	} {
		both(fmt.Sprintf("%+v", st), []runner.Row{row(st)}, false)
	}
	for _, st := range []runner.Step{
		{Action: "assert_response", Value: "POST /a\nA: b\n\n{}", Expected: "201\nC: d\n\n{}"},
		{Action: "assert_response", Value: "/a", Expected: "200 contains b"},
		{Action: "dialog", Value: "accept my name", Expected: "b"},
		{Action: "dialog", Value: "dismiss"},
		{Action: "click", Target: `role=button[name="Save"][pressed]`},
		{Action: "assert_persisted", Target: "text=x"},
		{Action: "new_context", Value: "/a"},
		{Action: "allow_console_errors"},
		{Action: "click", Target: "a[href='x=y']"},
		{Action: "goto", Target: "role=", Expected: "404"},
	} {
		both(fmt.Sprintf("%+v", st), []runner.Row{row(st)}, true)
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
		"range":       func(r *runner.Row) { r.Data = map[string]runner.Datum{"x": {Kind: "word", Max: 3}} },
		"huge range":  func(r *runner.Row) { r.Data = map[string]runner.Datum{"x": {Kind: "integer", Max: mostNumber + 1}} },
		"no assert":   func(r *runner.Row) { r.Acceptance = []runner.Step{{Step: 1, Action: "screenshot"}} },
		"step 0":      func(r *runner.Row) { r.Acceptance[0].Step = 0 },
	} {
		r := row()
		change(&r)
		both(name, []runner.Row{r}, false)
	}
	for _, kind := range kinds {
		r := row()
		r.Data = map[string]runner.Datum{"x": {Kind: kind}}
		both(kind, []runner.Row{r}, true)
		r.Data = map[string]runner.Datum{"x": {Kind: kind, Min: -3, Max: 7}}
		both(kind+" from -3 to 7", []runner.Row{r}, slices.Contains(numeric, kind))
	}
}

// The published schema is what the tables of this package say. After a change
// of them: go test ./runner/plan -run TestAcceptanceSchema -update
func TestAcceptanceSchemaIsWrittenFromTheTables(t *testing.T) {
	want := append(pretty(t, acceptanceSchema()), '\n')
	if *update {
		if err := os.WriteFile(acceptanceFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(acceptanceFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not up to date; run this test with -update:\n%s", acceptanceFile, diff)
	}
}

var update = flag.Bool("update", false, "write docs/acceptance.schema.json anew")

func pretty(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(b.Bytes())
}

// acceptanceSchema says of an acceptance file what [Validate] says of a row's
// acceptance, as far as a schema can: that steps are numbered in their order and
// placeholders declared, it cannot.
func acceptanceSchema() any {
	type o = map[string]any
	type l = []any
	var names l
	var rules l
	asserting := o{"contains": o{"properties": o{"action": o{"pattern": "^(assert_|wait_for)"}}}}
	for _, name := range slices.Sorted(maps.Keys(actions)) {
		names = append(names, name)
		f := actions[name]
		must, props, oneOf := l{}, o{}, l{}
		for _, field := range []struct {
			name string
			need need
		}{{"target", f.target}, {"value", f.value}, {"expected", f.expected}} {
			rule := o{}
			switch field.need {
			case required:
				must = append(must, field.name)
				rule["minLength"] = 1
			case none:
				rule["maxLength"] = 0
			case either:
				oneOf = append(oneOf, o{"required": l{field.name}, "properties": o{field.name: o{"minLength": 1}}})
			case optional:
			}
			switch name + " " + field.name {
			case "goto expected":
				rule["pattern"] = "^([1-5][0-9][0-9])?$"
			case "assert_count expected":
				rule["pattern"] = "^[0-9]{1,9}$"
			case "assert_response value":
				rule["pattern"] = requestForm.String()
			case "assert_response expected":
				rule["pattern"] = `^\s*[1-5][0-9][0-9](\s|$)`
			case "assert_persisted value":
				rule["enum"] = append([]string{""}, lives...)
			case "dialog value":
				rule["pattern"] = "^(accept|dismiss)( |$)"
			}
			if field.name == "target" && name != "goto" && field.need != none {
				rule["$ref"] = "#/$defs/element"
			}
			if len(rule) > 0 {
				props[field.name] = rule
			}
		}
		then := o{"properties": props}
		if len(must) > 0 {
			then["required"] = must
		}
		if len(oneOf) > 0 {
			then["anyOf"] = oneOf
		}
		rules = append(rules, o{"if": o{"properties": o{"action": o{"const": name}}}, "then": then})
	}
	text := func(what string) o { return o{"type": "string", "description": what} }
	whole := o{"type": "integer", "minimum": -mostNumber, "maximum": mostNumber}
	data := o{
		"description": "Values that are drawn anew for each run and stand for {{name}} in the steps.", "type": "object",
		"propertyNames": o{"pattern": "^[A-Za-z0-9_.-]+$"}, "additionalProperties": o{"$ref": "#/$defs/datum"},
	}
	return o{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"title":       "Acceptance",
		"description": "What is done and asserted in a browser before a feature counts as complete; docs/acceptance.md explains it.",
		"type":        "object", "additionalProperties": false, "required": l{"feature_id", "acceptance_criteria"},
		"properties": o{
			"feature_id":          text("The feature's id in the feature list."),
			"data":                data,
			"acceptance_criteria": o{"type": "array", "minItems": 1, "items": o{"$ref": "#/$defs/step"}, "allOf": l{asserting}},
		},
		"$defs": o{
			"datum": o{
				"type": "object", "additionalProperties": false, "required": l{"kind"},
				"properties": o{"kind": o{"enum": kinds}, "min": whole, "max": whole},
				"if":         o{"anyOf": l{o{"required": l{"min"}}, o{"required": l{"max"}}}},
				"then":       o{"properties": o{"kind": o{"enum": numeric}}},
			},
			"element": o{"not": o{"anyOf": l{
				o{"pattern": `^(label|text|placeholder|testid)=["' ]*$`},
				o{"pattern": "^role=", "not": o{"pattern": roleForm.String()}},
			}}},
			"step": o{
				"type": "object", "additionalProperties": false, "required": l{"step", "action"},
				"properties": o{
					"step":     o{"type": "integer", "minimum": 1, "description": "Counts from 1."},
					"action":   o{"enum": names},
					"target":   text(`role=button[name="Save"], label=, text=, placeholder=, testid=, else CSS.`),
					"value":    text("What is put in, or how; see the action."),
					"expected": text("What is to be seen."),
				},
				"allOf": rules,
			},
		},
	}
}

// Every list and every acceptance that is shown anywhere is one.
func TestSchemaTakesTheExamples(t *testing.T) {
	lists, files := schema(t), compiled(t, acceptanceFile)
	for _, name := range []string{"../../examples/demo/model.txtar", "../../examples/second/model.txtar"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, plan, ok := strings.Cut(string(text), "\n-- plan/1 say --\n")
		plan, _, _ = strings.Cut(plan, "\n-- ")
		rows, _, wrong := parse(plan, true)
		if !ok || len(wrong) > 0 || len(rows) < 3 {
			t.Fatalf("%s: %d rows, %q", name, len(rows), wrong)
		}
		if err := conforms(t, lists, rows); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := Validate(rows); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, r := range rows {
			if err := conforms(t, files, map[string]any{"feature_id": r.ID, "data": r.Data, "acceptance_criteria": r.Acceptance}); err != nil && len(r.Acceptance) > 0 {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	doc, err := os.ReadFile("../../docs/acceptance.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, block := range strings.Split(string(doc), "```json\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		shown++
		var file struct {
			ID         string                  `json:"feature_id"`
			Data       map[string]runner.Datum `json:"data"`
			Acceptance []runner.Step           `json:"acceptance_criteria"`
		}
		if strings.HasPrefix(block, `{"step"`) { // one of a list
			var st runner.Step
			if err := json.Unmarshal([]byte(block), &st); err != nil {
				t.Fatal(err)
			}
			if wrong := step(st.Step-1, st, nil); len(wrong) > 0 {
				t.Errorf("%s: %q", block, wrong)
			}
			continue
		}
		if err := conforms(t, files, json.RawMessage(block)); err != nil {
			t.Errorf("%s: %v", block, err)
		}
		if err := json.Unmarshal([]byte(block), &file); err != nil {
			t.Fatal(err)
		}
		if wrong := steps(runner.Row{Data: file.Data, Acceptance: file.Acceptance}); len(wrong) > 0 {
			t.Errorf("%s: %q", block, wrong)
		}
	}
	if shown < 2 {
		t.Errorf("docs/acceptance.md shows %d examples", shown)
	}
	for _, bad := range []string{
		`{"feature_id": "a-001"}`, `{"feature_id": "a-001", "acceptance_criteria": []}`,
		`{"feature_id": "a-001", "acceptance_criteria": [{"step": 1, "action": "goto", "value": "/"}]}`,
		`{"feature_id": "a-001", "acceptance_criteria": [{"step": 1, "action": "assert_title", "expected": "x", "why": "y"}]}`,
		`{"feature_id": "a-001", "steps": [], "acceptance_criteria": [{"step": 1, "action": "assert_title", "expected": "x"}]}`,
	} {
		if conforms(t, files, json.RawMessage(bad)) == nil {
			t.Errorf("the schema takes %s", bad)
		}
	}
}
