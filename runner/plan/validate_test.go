package plan

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

func TestValidate(t *testing.T) {
	row := func(change ...func(*runner.Row)) runner.Row {
		r := runner.Row{ID: "add-001", Category: "ui", Description: "Add", Steps: []string{"a", "b"}, Priority: 1}
		for _, c := range change {
			c(&r)
		}
		return r
	}
	id := func(s string, on ...string) runner.Row {
		return row(func(r *runner.Row) { r.ID, r.DependsOn = s, on })
	}
	steps := func(s ...runner.Step) []runner.Row {
		return []runner.Row{row(func(r *runner.Row) {
			r.Data = map[string]runner.Datum{"title": {Kind: "word"}}
			for i := range s {
				s[i].Step = i + 1
			}
			r.Acceptance = append(s, runner.Step{Step: len(s) + 1, Action: "assert_no_console_errors"})
		})}
	}
	for name, tt := range map[string]struct {
		rows []runner.Row
		want []string
	}{
		"good":  {[]runner.Row{row()}, nil},
		"empty": {nil, []string{"the list is empty"}},
		"everything is wrong": {
			[]runner.Row{{Description: "a\nb", Steps: []string{"  "}, Priority: -1}},
			[]string{
				"row 1: id is missing", `row 1: category "" is not one of functional, ui`, "row 1: description is not a single line of text",
				"row 1: it has 1 steps", "row 1: steps: number 1 is empty", "row 1: priority -1 is less than 1",
			},
		},
		"ids": {
			[]runner.Row{id("Add-001"), id("add-01"), id("1-001"), id("add_x-001"), id("a-b-c2-999"), id("a-b-c2-999"), id(strings.Repeat("a", 64) + "-001")},
			[]string{`row 1: id "Add-001"`, `row 2: id "add-01"`, `row 3: id "1-001"`, `row 4: id "add_x-001"`, "row 6 (a-b-c2-999): id a-b-c2-999 is taken by row 5", `row 7 (aaaa`},
		},
		"long texts": {
			[]runner.Row{row(func(r *runner.Row) {
				r.Description, r.Steps = strings.Repeat("x", 501), []string{strings.Repeat("x", 1001), "bell \a"}
			})},
			[]string{"description has 501 bytes, more than 500", "steps: number 1 has 1001 bytes", "steps: number 2 is not a single line"},
		},
		"unknown, double and own dependencies": {
			[]runner.Row{id("a-001", "b-001", "b-001", "c-001", "a-001"), id("b-001")},
			[]string{"row 1 (a-001): it depends on b-001 twice", `row 1 (a-001): it depends on "c-001", which is not in the list`, "row 1 (a-001): it depends on itself"},
		},
		"a circle": {
			[]runner.Row{id("x-001", "a-001"), id("a-001", "b-001"), id("b-001", "c-001"), id("c-001", "a-001")},
			[]string{"the features depend on each other in a circle: a-001 -> b-001 -> c-001 -> a-001"},
		},
		"two circles": {
			[]runner.Row{id("a-001", "b-001"), id("b-001", "a-001"), id("c-001", "d-001", "a-001"), id("d-001", "c-001")},
			[]string{"circle: a-001 -> b-001 -> a-001", "circle: c-001 -> d-001 -> c-001"},
		},
		"a diamond is no circle": {
			[]runner.Row{id("a-001", "b-001", "c-001"), id("b-001", "d-001"), id("c-001", "d-001"), id("d-001")},
			nil,
		},
		"data": {
			[]runner.Row{row(func(r *runner.Row) {
				r.Data = map[string]runner.Datum{"a b": {Kind: "word"}, "x": {Kind: "colour"}}
			})},
			[]string{`data: "a b" is not a name`, `data: x: kind "colour" is not one of word, name`},
		},
		"numbers": {
			[]runner.Row{row(func(r *runner.Row) {
				r.Acceptance = []runner.Step{{Step: 0, Action: "restart"}, {Step: 2, Action: "restart"}, {Step: 2, Action: "assert_no_console_errors"}}
			})},
			[]string{"acceptance step 1 (restart): is numbered 0", "acceptance step 3 (assert_no_console_errors): is numbered 2"},
		},
		"nothing is asserted": {
			[]runner.Row{row(func(r *runner.Row) {
				r.Acceptance = []runner.Step{{Step: 1, Action: "goto", Value: "/"}, {Step: 2, Action: "screenshot"}}
			})},
			[]string{"row 1 (add-001): acceptance asserts nothing"},
		},
		"unknown actions": {
			steps(runner.Step{Action: "clik", Target: "a"}, runner.Step{}),
			[]string{"step 1 (clik): there is no such action; there are allow_console_errors, assert_attr, assert_count", "step 2 (no action): there is no such action"},
		},
		"placeholders": {
			steps(runner.Step{Action: "fill", Target: "label={{ title }}", Value: "{{titel}} {{x.y}}"}, runner.Step{Action: "assert_text", Expected: "{{body}}"}),
			[]string{"step 1 (fill): value uses {{titel}}, which data does not declare", "value uses {{x.y}}", "step 2 (assert_text): expected uses {{body}}"},
		},
		"fields that an action does not take": {
			steps(runner.Step{Action: "click", Target: "a", Expected: "it works"}, runner.Step{Action: "assert_title", Value: "x", Expected: "y"}),
			[]string{"step 1 (click): takes no expected", "step 2 (assert_title): takes no value"},
		},
		"targets": {
			steps(runner.Step{Action: "click", Target: "role=[name=x]"}, runner.Step{Action: "click", Target: "role=button{x}"}, runner.Step{Action: "click", Target: `label=""`},
				runner.Step{Action: "click", Target: `role=button[name="a]"][pressed]`}, runner.Step{Action: "click", Target: "a[href='x=y']"}, runner.Step{Action: "click", Target: "role=textbox"}),
			[]string{"step 1 (click): target role=[name=x] is not written like", "step 2 (click): target role=button{x}", `step 3 (click): target label="" names nothing`},
		},
		"special fields": {
			steps(runner.Step{Action: "goto", Value: "/x", Expected: "gone"}, runner.Step{Action: "assert_count", Target: "li", Expected: "two"},
				runner.Step{Action: "assert_response", Value: "GET /x", Expected: "ok"}, runner.Step{Action: "dialog", Value: "ignore"},
				runner.Step{Action: "goto", Target: "/x", Expected: "404"}, runner.Step{Action: "dialog", Value: "accept", Expected: "Sure?"},
				runner.Step{Action: "assert_response", Value: "GET /x", Expected: "200 contains a"}, runner.Step{Action: "assert_count", Target: "li", Expected: "0"}),
			[]string{`step 1 (goto): expected "gone" is not an HTTP status`, `step 2 (assert_count): expected "two"`, `step 3 (assert_response): expected "ok"`, `step 4 (dialog): value "ignore"`},
		},
		"one of two": {
			steps(runner.Step{Action: "goto"}, runner.Step{Action: "wait_for_url"}, runner.Step{Action: "assert_url"},
				runner.Step{Action: "assert_url", Value: "/"}, runner.Step{Action: "wait_for_url", Expected: "/"}),
			[]string{"step 1 (goto): needs target or value", "step 2 (wait_for_url): needs value or expected", "step 3 (assert_url): needs value or expected"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			if err := Validate(tt.rows); err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if len(got) != len(tt.want) {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			for i, w := range tt.want {
				if !strings.Contains(got[i], w) {
					t.Errorf("got %q, want %q", got[i], w)
				}
			}
		})
	}
}

// Every field that an action needs is missed when it is not there, and nothing
// else is.
func TestActionsAndTheirFields(t *testing.T) {
	all := runner.Step{Step: 1, Target: "a", Value: "GET /a", Expected: "200"}
	for name, f := range actions {
		s := all
		s.Action = name
		switch name {
		case "dialog":
			s.Value = "accept"
		case "assert_persisted":
			s.Value = "reload"
		}
		for _, field := range []struct {
			need need
			text *string
			name string
		}{{f.target, &s.Target, "target"}, {f.value, &s.Value, "value"}, {f.expected, &s.Expected, "expected"}} {
			if field.need == none {
				*field.text = ""
			}
			if m := step(0, s, nil); field.need == none && len(m) > 0 && *field.text != "" {
				t.Errorf("%s: %q", name, m)
			}
		}
		if m := step(0, s, nil); len(m) > 0 {
			t.Errorf("%s with all its fields: %q", name, m)
		}
		for _, field := range []struct {
			need need
			text *string
			name string
		}{{f.target, &s.Target, "target"}, {f.value, &s.Value, "value"}, {f.expected, &s.Expected, "expected"}} {
			kept := *field.text
			*field.text = ""
			got := step(0, s, nil)
			*field.text = kept
			if missed := slices.Contains(got, "needs "+field.name); missed != (field.need == required) || len(got) > 1 {
				t.Errorf("%s without %s: %q", name, field.name, got)
			}
		}
	}
}

func TestParse(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"no list":           {"I cannot do that.", []string{"there is no JSON array of rows"}},
		"a list of texts":   {`["a", "b"]`, []string{"there is no JSON array of rows"}},
		"cut":               {tiny[:60], []string{"the JSON array ends before it is complete"}},
		"not JSON":          {"[{\"id\": \"a-001\",\n \"steps\": [\"a\" \"b\"]}]", []string{`line 2 of the list is not JSON: invalid character '"' after array element, after "[{\"id\": \"a-001\",\n \"steps\": [\"a\" \""`}},
		"a trailing comma":  {`[{"id": "a-001",}]`, []string{"line 1 of the list is not JSON"}},
		"not all objects":   {`[{"id": "a-001"}, 7, "x"]`, []string{"row 2: the row is a JSON number", "row 3: the row is a JSON string"}},
		"wrong types":       {`[{"steps": "one"}, {"priority": "high"}, {"priority": 1.5}, {"data": {"x": "word"}}]`, []string{"row 1: steps is a JSON string", "row 2: priority is a JSON string", "row 3: priority is a JSON number 1.5", "row 4: data"}},
		"misspelt":          {`[{"dependsOn": []}, {"acceptance": [{"step": 1, "selector": "a"}]}]`, []string{`row 1: unknown field "dependsOn"`, `row 2: unknown field "selector"`}},
		"an object as text": {`[{"acceptance": [{"value": {"a": 1}}]}]`, []string{"row 1: target, value and expected are texts"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, got := parse(tt.text, true)
			if len(got) != len(tt.want) {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			for i, w := range tt.want {
				if !strings.Contains(got[i], w) {
					t.Errorf("got %q, want %q", got[i], w)
				}
			}
		})
	}
	rows, _, wrong := parse(`[{"acceptance": [{"step": 1, "expected": 2, "value": true, "target": null}]}]`, true)
	if want := []runner.Step{{Step: 1, Expected: "2", Value: "true"}}; len(wrong) > 0 || !cmp.Equal(want, rows[0].Acceptance) {
		t.Errorf("got %+v, %q", rows, wrong)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(tiny)
	f.Add("```json\n[{\"acceptance\":[{\"expected\":2}]}]\n```")
	f.Add(`[{"id":"a-001","depends_on":["b-001"]},{"id":"b-001","depends_on":["a-001",""]},{"id":""}]`)
	f.Add("[{")
	f.Fuzz(func(t *testing.T, text string) {
		rows, _, wrong := parse(text, false)
		if rows = complete(rows, nil); len(wrong) > 0 || Validate(rows) != nil {
			return
		}
		// What is valid survives being written and read.
		data, err := json.Marshal(rows)
		if err != nil {
			t.Fatal(err)
		}
		again, _, wrong := parse(string(data), true)
		if diff := cmp.Diff(rows, again); len(wrong) > 0 || diff != "" {
			t.Errorf("%q\n%s", wrong, diff)
		}
	})
}
