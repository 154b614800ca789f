package plan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Categories are the kinds of features there are.
var categories = []string{"functional", "ui", "api", "database", "integration", "performance", "security", "accessibility", "testing", "style"}

// kinds are the kinds of values that can be drawn.
var kinds = []string{"word", "name", "sentence", "unicode", "email", "url", "password", "number", "integer", "decimal", "date", "time"}

// numeric are those that have a range, and mostNumber its ends.
var numeric = []string{"number", "integer", "decimal"}

const mostNumber = 1_000_000_000

// lives are what assert_persisted can say that a page outlives.
var lives = []string{"reload", "new_context", "restart"}

// A need says what a step's field is to its action.
type need int

const (
	none     need = iota // not looked at
	optional             // looked at if it is there
	required
	either // one of the fields marked so
)

type fields struct{ target, value, expected need }

// actions are what an acceptance step may do, and the fields that this takes.
var actions = map[string]fields{
	"goto":                     {either, either, optional},
	"fill":                     {required, optional, none}, // without a value it empties the field
	"type":                     {optional, required, none},
	"press":                    {optional, required, none},
	"click":                    {required, none, none},
	"dblclick":                 {required, none, none},
	"hover":                    {required, none, none},
	"check":                    {required, none, none},
	"uncheck":                  {required, none, none},
	"select":                   {required, required, none},
	"upload":                   {required, required, optional},
	"wait_for":                 {required, none, none},
	"wait_for_url":             {none, either, either},
	"assert_url":               {none, either, either},
	"assert_title":             {none, none, required},
	"assert_text":              {optional, none, required},
	"assert_visible":           {required, none, none},
	"assert_hidden":            {required, none, none},
	"assert_count":             {required, none, required},
	"assert_value":             {required, none, optional},
	"assert_attr":              {required, required, optional},
	"assert_no_console_errors": {none, none, none},
	"assert_response":          {none, required, required},
	"assert_persisted":         {required, optional, optional},
	"new_context":              {none, optional, none},
	"restart":                  {none, none, none},
	"screenshot":               {none, none, none},
	"dialog":                   {none, required, optional},
	"allow_console_errors":     {none, none, optional},
}

var (
	idForm      = pattern.MustCompile(`^[a-z][a-z0-9-]*-\d{3}$`)
	nameForm    = pattern.MustCompile(`^[\w.-]+$`)
	placeholder = pattern.MustCompile(`\{\{\s*([\w.-]+)\s*\}\}`)
	roleForm    = pattern.MustCompile(`^role=[a-z]+(\[.*\])*$`)
	requestForm = pattern.MustCompile(`^\s*([A-Za-z]+ +\S|/|https?://)`)
)

// Validate says what is wrong with rows, all of it at once; nil if nothing is.
func Validate(rows []runner.Row) error {
	var errs []error
	for _, m := range validate(rows) {
		errs = append(errs, errors.New(m))
	}
	return errors.Join(errs...)
}

// validate returns the mistakes in rows, in words.
func validate(rows []runner.Row) []string {
	if len(rows) == 0 {
		return []string{"the list is empty"}
	}
	var wrong []string
	place := map[string]int{}
	for i, r := range rows {
		say := func(format string, args ...any) {
			wrong = append(wrong, label(i, r)+": "+fmt.Sprintf(format, args...))
		}
		first, twice := place[r.ID]
		switch {
		case r.ID == "":
			say("id is missing")
		case !idForm.MatchString(r.ID) || len(r.ID) > 64:
			say("id %q is not a word of small letters, a hyphen and three digits, like add-001", r.ID)
		case twice:
			say("id %s is taken by row %d", r.ID, first+1)
		}
		if !twice {
			place[r.ID] = i
		}
		if !slices.Contains(categories, r.Category) {
			say("category %q is not one of %s", r.Category, strings.Join(categories, ", "))
		}
		if err := line(r.Description, 500); err != nil {
			say("description %v", err)
		}
		if len(r.Steps) < 2 {
			say("it has %d steps; how it is verified takes at least 2", len(r.Steps))
		}
		for n, s := range r.Steps {
			if err := line(s, 1000); err != nil {
				say("steps: number %d %v", n+1, err)
			}
		}
		if r.Priority < 1 {
			say("priority %d is less than 1, which is the most urgent", r.Priority)
		}
		for _, m := range steps(r) {
			say("%s", m)
		}
	}
	return append(wrong, dependencies(rows, place)...)
}

// label names a row for people: by place, and by id if it has one.
func label(i int, r runner.Row) string {
	if r.ID == "" || !idForm.MatchString(r.ID) {
		return fmt.Sprintf("row %d", i+1)
	}
	return fmt.Sprintf("row %d (%s)", i+1, r.ID)
}

// line checks a text that will stand in commits, comments and reports.
func line(s string, most int) error {
	switch {
	case strings.TrimSpace(s) == "":
		return errors.New("is empty")
	case strings.ContainsFunc(s, unicode.IsControl):
		return errors.New("is not a single line of text")
	case len(s) > most:
		return fmt.Errorf("has %d bytes, more than %d", len(s), most)
	}
	return nil
}

// steps returns the mistakes in a row's data and acceptance.
func steps(r runner.Row) []string {
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(r.Data)) {
		if !nameForm.MatchString(name) {
			wrong = append(wrong, fmt.Sprintf("data: %q is not a name of letters, digits and underscores", name))
		}
		if m := datum(r.Data[name]); m != "" {
			wrong = append(wrong, "data: "+name+": "+m)
		}
	}
	asserts := len(r.Acceptance) == 0
	for i, s := range r.Acceptance {
		for _, m := range step(i, s, r.Data) {
			wrong = append(wrong, fmt.Sprintf("acceptance step %d (%s): %s", i+1, cmp.Or(s.Action, "no action"), m))
		}
		asserts = asserts || strings.HasPrefix(s.Action, "assert_") || strings.HasPrefix(s.Action, "wait_for")
	}
	if !asserts {
		wrong = append(wrong, "acceptance asserts nothing: add the assert_ steps that only hold when the feature works")
	}
	return wrong
}

// datum says what is wrong with how a value is to be drawn.
func datum(d runner.Datum) string {
	switch {
	case !slices.Contains(kinds, d.Kind):
		return fmt.Sprintf("kind %q is not one of %s", d.Kind, strings.Join(kinds, ", "))
	case (d.Min != 0 || d.Max != 0) && !slices.Contains(numeric, d.Kind):
		return fmt.Sprintf("kind %s has no min and no max; %s have", d.Kind, strings.Join(numeric, ", "))
	case d.Min > d.Max:
		return fmt.Sprintf("min %d is more than max %d", d.Min, d.Max)
	case d.Min < -mostNumber || d.Max > mostNumber:
		return fmt.Sprintf("min and max go from -%d to %[1]d", mostNumber)
	}
	return ""
}

// step returns the mistakes in one acceptance step, the i-th.
func step(i int, s runner.Step, data map[string]runner.Datum) []string {
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if s.Step != i+1 {
		say("is numbered %d", s.Step)
	}
	takes, known := actions[s.Action]
	if !known {
		say("there is no such action; there are %s", strings.Join(slices.Sorted(maps.Keys(actions)), ", "))
	}
	var oneOf []string
	given := false
	for _, f := range []struct {
		name, text string
		need       need
	}{{"target", s.Target, takes.target}, {"value", s.Value, takes.value}, {"expected", s.Expected, takes.expected}} {
		switch {
		case f.need == required && f.text == "":
			say("needs %s", f.name)
		case f.need == either:
			oneOf = append(oneOf, f.name)
			given = given || f.text != ""
		case known && f.need == none && f.text != "":
			say("takes no %s", f.name)
		}
		for _, m := range placeholder.FindAllStringSubmatch(f.text, -1) {
			if _, ok := data[m[1]]; !ok {
				say("%s uses {{%s}}, which data does not declare", f.name, m[1])
			}
		}
	}
	if len(oneOf) > 0 && !given {
		say("needs %s", strings.Join(oneOf, " or "))
	}
	if m := target(s.Target); m != "" && s.Action != "goto" {
		say("%s", m)
	}
	if m := special(s); m != "" {
		say("%s", m)
	}
	return wrong
}

// target says what is wrong with the name of an element.
func target(s string) string {
	kind, rest, ok := strings.Cut(s, "=")
	switch {
	case ok && kind == "role" && !roleForm.MatchString(s):
		return fmt.Sprintf(`target %s is not written like role=button[name="Save"]`, s)
	case ok && slices.Contains([]string{"label", "text", "placeholder", "testid"}, kind) && strings.Trim(rest, `"' `) == "":
		return fmt.Sprintf("target %s names nothing", s)
	}
	return ""
}

// special says what is wrong with fields that only one action reads so.
func special(s runner.Step) string {
	status := func(text string) bool {
		n, err := strconv.Atoi(text)
		return err == nil && n >= 100 && n <= 599
	}
	switch s.Action {
	case "goto":
		if s.Expected != "" && !status(s.Expected) {
			return fmt.Sprintf("expected %q is not an HTTP status", s.Expected)
		}
	case "assert_count":
		if _, err := strconv.ParseUint(s.Expected, 10, 31); s.Expected != "" && err != nil {
			return fmt.Sprintf("expected %q is not a number of elements", s.Expected)
		}
	case "assert_response":
		if s.Value != "" && !requestForm.MatchString(s.Value) {
			return fmt.Sprintf("value %q is not a request like GET /api/books", s.Value)
		}
		if words := strings.Fields(s.Expected); s.Expected != "" && (len(words) == 0 || !status(words[0])) {
			return fmt.Sprintf("expected %q is not an answer like 200, or 200 contains text", s.Expected)
		}
	case "assert_persisted":
		if s.Value != "" && !slices.Contains(lives, s.Value) {
			return fmt.Sprintf("value %q is not one of %s", s.Value, strings.Join(lives, ", "))
		}
	case "dialog":
		if verb, _, _ := strings.Cut(s.Value, " "); s.Value != "" && verb != "accept" && verb != "dismiss" {
			return fmt.Sprintf("value %q is neither accept nor dismiss", s.Value)
		}
	}
	return ""
}

// dependencies returns what is wrong between rows: unknown ids and cycles.
// place is where the ids are.
func dependencies(rows []runner.Row, place map[string]int) []string {
	var wrong []string
	for i, r := range rows {
		for n, id := range r.DependsOn {
			switch _, known := place[id]; {
			case id == r.ID:
				wrong = append(wrong, label(i, r)+": it depends on itself")
			case !known:
				wrong = append(wrong, fmt.Sprintf("%s: it depends on %q, which is not in the list", label(i, r), id))
			case slices.Index(r.DependsOn, id) < n:
				wrong = append(wrong, fmt.Sprintf("%s: it depends on %s twice", label(i, r), id))
			}
		}
	}
	// Depth first; a row that is met again while it is still open closes a
	// circle.
	const open, closed = 1, 2
	state := map[string]int{}
	var path []string
	var visit func(id string)
	visit = func(id string) {
		state[id] = open
		path = append(path, id)
		for _, on := range rows[place[id]].DependsOn {
			_, known := place[on]
			switch {
			case !known || on == id || state[on] == closed:
			case state[on] == open:
				circle := append(slices.Clone(path[slices.Index(path, on):]), on)
				wrong = append(wrong, "the features depend on each other in a circle: "+strings.Join(circle, " -> "))
			default:
				visit(on)
			}
		}
		path = path[:len(path)-1]
		state[id] = closed
	}
	for _, r := range rows {
		if state[r.ID] == 0 {
			visit(r.ID)
		}
	}
	return wrong
}
