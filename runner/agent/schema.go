package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A schema is the part of JSON Schema that the tools' parameters use.
type schema struct {
	Type       string            `json:"type"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
	Items      *schema           `json:"items"`
	Enum       []string          `json:"enum"`
	Minimum    *int64            `json:"minimum"`
	Maximum    *int64            `json:"maximum"`
	MaxLength  int               `json:"maxLength"`
	MinItems   int               `json:"minItems"`
	MaxItems   int               `json:"maxItems"`
}

func parseSchema(t ToolSpec) schema {
	var s schema
	if err := json.Unmarshal(t.Parameters, &s); err != nil || s.Type != "object" {
		panic(fmt.Sprintf("agent: parameters of tool %s: %v, type %q", t.Name, err, s.Type))
	}
	return s
}

// aliases are the names by which models know our parameters from other tools.
var aliases = map[string][]string{
	"path":    {"file_path", "filepath", "filename", "file", "directory"},
	"glob":    {"pattern"},
	"input":   {"patch"},
	"command": {"cmd"},
	"content": {"contents", "text"},
	"old":     {"old_string", "old_str", "old_text"},
	"new":     {"new_string", "new_str", "new_text"},
	"pattern": {"regex", "query"},
	"workdir": {"cwd"},
}

// fit makes v what the schema wants, where there is one way to do so, and says
// what it did. The value it was given stays as it is.
func (s schema) fit(v any, at string) (any, []string, error) {
	switch s.Type {
	case "object":
		return s.object(v, at)
	case "array":
		return s.array(v, at)
	case "string":
		return s.text(v, at)
	case "integer":
		return s.integer(v, at)
	case "boolean":
		if b, ok := v.(bool); ok {
			return b, nil, nil
		}
		if t, ok := v.(string); ok && (strings.EqualFold(t, "true") || strings.EqualFold(t, "false")) {
			return strings.EqualFold(t, "true"), []string{at + " was taken out of a string"}, nil
		}
	default:
		panic("agent: schema with type " + strconv.Quote(s.Type))
	}
	return nil, nil, s.wrong(v, at)
}

func (s schema) wrong(v any, at string) error {
	have := "null"
	switch v.(type) {
	case map[string]any:
		have = "an object"
	case []any:
		have = "an array"
	case string:
		have = "a string"
	case json.Number:
		have = "a number"
	case bool:
		have = "a boolean"
	}
	return fmt.Errorf("%s is %s, want %s", or(at, "the value"), have, s.Type)
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func under(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

func (s schema) object(v any, at string) (any, []string, error) {
	in, ok := v.(map[string]any)
	if t, isText := v.(string); isText {
		if inner, err := decode(t); err == nil {
			in, ok = inner.(map[string]any)
		}
	}
	if !ok {
		return nil, nil, s.wrong(v, at)
	}
	in = maps.Clone(in)
	remarks, errs := s.rename(in, at)
	gathered, err := s.gather(in, at)
	remarks, errs = append(remarks, gathered...), append(errs, err)
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		p, known := s.Properties[name]
		switch {
		case !known && !plainKey.MatchString(name):
			errs = append(errs, fmt.Errorf("%q is no parameter: are quotes in a text not escaped?", clip(name, 40)))
			continue
		case !known:
			remarks = append(remarks, fmt.Sprintf("%s is no parameter and was dropped", under(at, clip(name, 40))))
			continue
		case in[name] == nil && !slices.Contains(s.Required, name):
			remarks = append(remarks, under(at, name)+" was null and taken as left out")
			continue
		}
		fitted, how, err := p.fit(in[name], under(at, name))
		out[name], remarks, errs = fitted, append(remarks, how...), append(errs, err)
	}
	for _, name := range s.Required {
		if _, ok := out[name]; !ok {
			errs = append(errs, fmt.Errorf("%s is missing", under(at, name)))
		}
	}
	return out, remarks, errors.Join(errs...)
}

// rename gives parameters that go by another tool's name their own. Where both
// are given and differ, nobody knows which is meant.
func (s schema) rename(in map[string]any, at string) (remarks []string, errs []error) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		for _, alias := range aliases[name] {
			have, is := in[name]
			given, also := in[alias]
			if _, taken := s.Properties[alias]; !also || taken {
				continue
			}
			delete(in, alias)
			switch {
			case !is:
				in[name] = given
				remarks = append(remarks, fmt.Sprintf("%s was taken as %s", under(at, alias), name))
			case encode(have) == encode(given):
				remarks = append(remarks, fmt.Sprintf("%s says the same as %s and was dropped", under(at, alias), name))
			default:
				errs = append(errs, fmt.Errorf("%s and %s are the same parameter and differ", under(at, name), alias))
			}
		}
	}
	return remarks, errs
}

// gather makes a list of one of parameters that belong into the only list that
// is wanted and was not given: {path, old, new} for {path, edits: [{old, new}]}.
// Beside a list that was given they are one more edit, or the same, and refused.
func (s schema) gather(in map[string]any, at string) ([]string, error) {
	for _, list := range s.Required {
		p := s.Properties[list]
		if p.Type != "array" || p.Items == nil || p.Items.Type != "object" {
			continue
		}
		item := map[string]any{}
		for name, v := range in {
			if _, ours := s.Properties[name]; !ours {
				item[name] = v
			}
		}
		if _, errs := p.Items.rename(item, at); len(errs) > 0 {
			return nil, errors.Join(errs...)
		}
		if slices.ContainsFunc(p.Items.Required, func(name string) bool { _, ok := item[name]; return !ok }) {
			return nil, nil
		}
		if _, given := in[list]; given {
			return nil, fmt.Errorf("%s stand beside %s: put all of them into it", strings.Join(p.Items.Required, " and "), under(at, list))
		}
		for name := range in {
			if _, ours := s.Properties[name]; !ours {
				delete(in, name)
			}
		}
		in[list] = []any{item}
		return []string{fmt.Sprintf("%s was taken as a list of one", under(at, list))}, nil
	}
	return nil, nil
}

func (s schema) array(v any, at string) (any, []string, error) {
	var remarks []string
	in, ok := v.([]any)
	if t, isText := v.(string); isText && !ok {
		if inner, err := decode(t); err == nil {
			if in, ok = inner.([]any); ok {
				remarks = append(remarks, at+" was taken out of a string")
			} else if _, isObject := inner.(map[string]any); isObject {
				v = inner
			}
		}
	}
	if one, isObject := v.(map[string]any); isObject && s.Items.Type == "object" {
		in, ok = []any{one}, true
		remarks = append(remarks, at+" was taken as a list of one")
	}
	switch {
	case !ok:
		return nil, nil, s.wrong(v, at)
	case len(in) < s.MinItems:
		return nil, nil, fmt.Errorf("%s has %d entries, at least %d are wanted", at, len(in), s.MinItems)
	case s.MaxItems > 0 && len(in) > s.MaxItems:
		return nil, nil, fmt.Errorf("%s has %d entries, at most %d are taken", at, len(in), s.MaxItems)
	}
	out := make([]any, len(in))
	var errs []error
	for i := range in {
		fitted, how, err := s.Items.fit(in[i], fmt.Sprintf("%s[%d]", at, i))
		out[i], remarks, errs = fitted, append(remarks, how...), append(errs, err)
	}
	return out, remarks, errors.Join(errs...)
}

func (s schema) text(v any, at string) (any, []string, error) {
	t, ok := v.(string)
	if !ok {
		return nil, nil, s.wrong(v, at)
	}
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, t) {
		if i := slices.IndexFunc(s.Enum, func(e string) bool { return strings.EqualFold(e, strings.TrimSpace(t)) }); i >= 0 {
			return s.Enum[i], []string{at + " was taken as " + s.Enum[i]}, nil
		}
		return nil, nil, fmt.Errorf("%s is %q, want one of %s", at, clip(t, 40), strings.Join(s.Enum, ", "))
	}
	if s.MaxLength > 0 && utf8.RuneCountInString(t) > s.MaxLength {
		return string([]rune(t)[:s.MaxLength]), []string{fmt.Sprintf("%s was cut at %d characters", at, s.MaxLength)}, nil
	}
	return t, nil, nil
}

func (s schema) integer(v any, at string) (any, []string, error) {
	var remarks []string
	if t, ok := v.(string); ok {
		v = json.Number(strings.TrimSpace(t))
		remarks = append(remarks, at+" was taken out of a string")
	}
	num, ok := v.(json.Number)
	if !ok {
		return nil, nil, s.wrong(v, at)
	}
	n, err := strconv.ParseInt(num.String(), 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(num.String(), 64)
		if ferr != nil || f != float64(int64(f)) || f > 1<<53 || f < -1<<53 {
			return nil, nil, fmt.Errorf("%s is %q, want an integer", at, clip(num.String(), 40))
		}
		n = int64(f)
		remarks = append(remarks, fmt.Sprintf("%s was taken as %d", at, n))
	}
	switch {
	case s.Minimum != nil && n < *s.Minimum:
		n = *s.Minimum
		remarks = append(remarks, fmt.Sprintf("%s was raised to %d, the least", at, n))
	case s.Maximum != nil && n > *s.Maximum:
		n = *s.Maximum
		remarks = append(remarks, fmt.Sprintf("%s was lowered to %d, the most", at, n))
	}
	return json.Number(strconv.FormatInt(n, 10)), remarks, nil
}
