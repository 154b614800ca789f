package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/autonomous-loop/autonomous-loop/runner/plan"
)

// An issueForm is GitHub's syntax for issue forms, as far as it is documented.
// What is not in it is not in that syntax.
type issueForm struct {
	Name        string      `yaml:"name"`
	Description string      `yaml:"description"`
	Title       string      `yaml:"title"`
	Labels      []string    `yaml:"labels"`
	Assignees   []string    `yaml:"assignees"`
	Projects    []string    `yaml:"projects"`
	Type        string      `yaml:"type"`
	Body        []formField `yaml:"body"`
}

type formField struct {
	Type       string `yaml:"type"`
	ID         string `yaml:"id"`
	Attributes struct {
		Label       string `yaml:"label"`
		Description string `yaml:"description"`
		Placeholder string `yaml:"placeholder"`
		Value       string `yaml:"value"`
		Render      string `yaml:"render"`
		Multiple    bool   `yaml:"multiple"`
		Default     int    `yaml:"default"`
		Options     []any  `yaml:"options"`
	} `yaml:"attributes"`
	Validations struct {
		Required bool `yaml:"required"`
	} `yaml:"validations"`
}

// misformed says what GitHub would refuse of an issue form.
func misformed(data []byte) (form issueForm, wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&form); err != nil {
		return form, []string{err.Error()}
	}
	if form.Name == "" || form.Description == "" || len(form.Body) == 0 {
		say("name, description and body are required")
	}
	ids, labels, inputs := map[string]bool{}, map[string]bool{}, 0
	for i, f := range form.Body {
		if f.Type == "markdown" {
			if f.Attributes.Value == "" {
				say("field %d: a markdown needs a value", i+1)
			}
			continue
		}
		inputs++
		switch f.Type {
		case "textarea", "input":
			if len(f.Attributes.Options) > 0 || f.Attributes.Multiple {
				say("field %d: a %s has no options", i+1, f.Type)
			}
		case "dropdown", "checkboxes":
			if len(f.Attributes.Options) == 0 || f.Attributes.Placeholder != "" || f.Attributes.Value != "" {
				say("field %d: %s needs options, and has neither placeholder nor value", i+1, f.Type)
			}
			for _, o := range f.Attributes.Options {
				m, object := o.(map[string]any)
				_, text := o.(string)
				if label, _ := m["label"].(string); f.Type == "checkboxes" && (!object || label == "") || f.Type == "dropdown" && (!text || o == "None" || o == "") {
					say("field %d: %v is no option of %s", i+1, o, f.Type)
				}
			}
		default:
			say("field %d: there is no type %q", i+1, f.Type)
		}
		switch {
		case f.Attributes.Label == "":
			say("field %d has no label", i+1)
		case labels[strings.ToLower(f.Attributes.Label)]:
			say("field %d: the label %q is taken", i+1, f.Attributes.Label)
		case f.ID != "" && (ids[f.ID] || !regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(f.ID)):
			say("field %d: the id %q is taken, or has other signs than letters, digits, - and _", i+1, f.ID)
		}
		ids[f.ID], labels[strings.ToLower(f.Attributes.Label)] = true, true
	}
	if inputs == 0 {
		say("there is no field to fill in")
	}
	return form, wrong
}

// TestIssueFormsAreGitHubs holds the forms against GitHub's syntax, and what
// people fill in, as GitHub renders it, against the rules of readiness: filled
// in as its own examples suggest a spec is ready, and left empty it is not.
func TestIssueFormsAreGitHubs(t *testing.T) {
	names, err := filepath.Glob("examples/issue-forms/*.yml")
	if err != nil || len(names) != 4 {
		t.Fatal(err, names)
	}
	least := 0
	if c, err := parseConfig(func(name string) string { return map[string]string{"model": "script:x"}[name] }); err != nil {
		t.Fatal(err)
	} else {
		least = c.Readiness
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		form, wrong := misformed(data)
		if len(wrong) > 0 {
			t.Errorf("%s: %q", name, wrong)
		}
		filled := plan.Issue(7, form.Title+"x", rendered(form, true))
		if r := plan.Ready(string(filled.Text()), false); r.Score < 80 || len(r.Questions()) > 0 {
			t.Errorf("%s: filled in its readiness is %d, and it asks %q", name, r.Score, r.Questions())
		}
		empty := plan.Issue(7, form.Title+"x", rendered(form, false))
		r := plan.Ready(string(empty.Text()), false)
		if r.Score >= least || !slices.ContainsFunc(r.Questions(), func(q string) bool { return strings.Contains(q, `"Who uses it?" has no answer`) }) {
			t.Errorf("%s: left empty its readiness is %d, and it asks %q", name, r.Score, r.Questions())
		}
	}
}

// rendered is the issue that GitHub makes of a form.
func rendered(form issueForm, filled bool) string {
	var b strings.Builder
	for _, f := range form.Body {
		if f.Type == "markdown" {
			continue
		}
		answer := "_No response_"
		switch {
		case f.Type == "checkboxes":
			answer = ""
			for i, o := range f.Attributes.Options {
				tick := " "
				if filled && i%2 == 0 {
					tick = "x"
				}
				answer += fmt.Sprintf("- [%s] %v\n", tick, o.(map[string]any)["label"])
			}
		case filled:
			answer = f.Attributes.Placeholder
		}
		fmt.Fprintf(&b, "### %s\n\n%s\n\n", f.Attributes.Label, strings.TrimSpace(answer))
	}
	return b.String()
}

// TestMisformedIsSeen is the negative control.
func TestMisformedIsSeen(t *testing.T) {
	for text, want := range map[string]string{
		"name: a\ndescription: b\nbody: []\n":                                                                                              "required",
		"name: a\ndescription: b\nbody:\n- type: markdown\n  attributes: {value: x}\n":                                                     "no field to fill in",
		"name: a\ndescription: b\nabout: c\nbody:\n- type: input\n  attributes: {label: x}\n":                                              "about",
		"name: a\ndescription: b\nbody:\n- type: text\n  attributes: {label: x}\n":                                                         `no type "text"`,
		"name: a\ndescription: b\nbody:\n- type: input\n  attributes: {label: x}\n- type: input\n  attributes: {label: X}\n":               "is taken",
		"name: a\ndescription: b\nbody:\n- type: checkboxes\n  attributes: {label: x, options: [a]}\n":                                     "no option",
		"name: a\ndescription: b\nbody:\n- type: dropdown\n  attributes: {label: x, options: [None]}\n":                                    "no option",
		"name: a\ndescription: b\nbody:\n- type: input\n  id: a b\n  attributes: {label: x}\n":                                             "other signs",
		"name: a\ndescription: b\nbody:\n- type: input\n  attributes: {label: x, options: [a]}\n- type: input\n  attributes: {label: y}\n": "has no options",
	} {
		if _, wrong := misformed([]byte(text)); !strings.Contains(strings.Join(wrong, "\n"), want) {
			t.Errorf("of %q it is said %q, not %q", text, wrong, want)
		}
	}
}
