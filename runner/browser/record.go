package browser

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/playwright-community/playwright-go"

	"github.com/autonomous-loop/autonomous-loop/runner/check"
)

// A recording is what an agent did with a page, as steps of an acceptance. It is
// a proposal to a person, who may put it into the feature list: nobody who could
// gain by it decides what is to be asserted, so nothing reads it by itself.
type recording struct {
	number int
	origin string // of the application that it is about
	steps  []check.Step
	expect bool // it has an expectation
}

// maxRecorded is how many steps a recording may have.
const maxRecorded = 200

// A proposal is the file that is kept: see docs/acceptance.schema.json.
type proposal struct {
	Feature    string                 `json:"feature_id"`
	Data       map[string]check.Datum `json:"data,omitempty"`
	Acceptance []check.Step           `json:"acceptance_criteria"`
}

// note adds what was done. name is what the element of a ref was called before
// it was acted on; "": nothing told it from the others.
func (r *recording) note(a Action, name string, at *url.URL) {
	st := check.Step{}
	switch a.Action {
	case "open":
		u, err := url.Parse(a.URL)
		if err != nil {
			return
		}
		if origin := u.Scheme + "://" + u.Host; origin != r.origin {
			*r = recording{number: r.number, origin: origin} // another application: another acceptance
		}
		u.Scheme, u.Host, u.User = "", "", nil
		if u.Path == "" {
			u.Path = "/"
		}
		st = check.Step{Action: "goto", Value: u.String()}
	case "click":
		st = check.Step{Action: "click", Target: name}
	case "type":
		st = check.Step{Action: "fill", Target: name, Value: a.Text}
	case "press":
		st = check.Step{Action: "press", Target: name, Value: a.Key}
	case "wait":
		if a.Text == "" {
			return // time passes by itself
		}
		st = check.Step{Action: "wait_for", Target: "text=" + a.Text}
		if strings.ContainsAny(a.Text, `"'`) || strings.TrimSpace(a.Text) != a.Text {
			st = check.Step{Action: "assert_text", Expected: a.Text}
		}
		r.expect = true
	default:
		return
	}
	lost := a.Ref != "" && name == ""
	if r.origin == "" || lost || at != nil && at.Scheme+"://"+at.Host != r.origin {
		return
	}
	if len(r.steps) < maxRecorded {
		st.Step = len(r.steps) + 1
		r.steps = append(r.steps, st)
	}
}

// keep writes the recording to dir. One that expects nothing would prove nothing,
// and is not kept.
func (r *recording) keep(dir string) error {
	if !r.expect || dir == "" {
		return nil
	}
	data, steps := general(r.steps)
	text, err := json.MarshalIndent(proposal{fmt.Sprintf("recorded-%03d", r.number), data, steps}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, fmt.Sprintf("recording-%03d.json", r.number)), append(text, '\n'), 0o600)
}

// general puts placeholders in the place of what was typed in, here and where it
// was seen again, so that no implementation can know it.
func general(steps []check.Step) (map[string]check.Datum, []check.Step) {
	data := map[string]check.Datum{}
	names := map[string]string{} // value -> name
	for _, st := range steps {
		if st.Action != "fill" || utf8.RuneCountInString(strings.TrimSpace(st.Value)) < 3 || names[st.Value] != "" || strings.Contains(st.Value, "{{") {
			continue
		}
		kind := kindOf(st.Value)
		if t, err := parseTarget(st.Target); kind == "" || err != nil {
			continue
		} else if name := unused(t.text, data); name != "" {
			data[name], names[st.Value] = check.Datum{Kind: kind}, name
		}
	}
	longest := slices.SortedFunc(maps.Keys(names), func(a, b string) int { return len(b) - len(a) })
	put := func(s string) string {
		for _, v := range longest {
			s = strings.ReplaceAll(s, v, "{{"+names[v]+"}}")
		}
		return s
	}
	out := slices.Clone(steps)
	for i := range out {
		st := &out[i]
		if st.Action == "goto" {
			continue // an address that was asked for
		}
		st.Target, st.Value, st.Expected = put(st.Target), put(st.Value), put(st.Expected)
	}
	return data, out
}

// unused makes a name for a placeholder of what a field is called.
func unused(label string, data map[string]check.Datum) string {
	name := strings.ToLower(strings.Join(strings.FieldsFunc(label, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) }), "_"))
	if name == "" {
		name = "value"
	}
	for n := 1; n < 100; n++ {
		try := name
		if n > 1 {
			try += strconv.Itoa(n)
		}
		if _, taken := data[try]; !taken {
			return try
		}
	}
	return ""
}

// kindOf guesses which kind of data a value is; "" if it is none that could be
// drawn in its place.
func kindOf(v string) string {
	if _, err := time.Parse(time.DateOnly, v); err == nil {
		return "date"
	}
	if u, err := url.Parse(v); err == nil && u.Host != "" && strings.HasPrefix(u.Scheme, "http") {
		return "url"
	}
	for _, k := range []struct {
		kind string
		form *regexp.Regexp
	}{
		{"time", regexp.MustCompile(`^\d\d:\d\d$`)},
		{"integer", regexp.MustCompile(`^\d+$`)},
		{"decimal", regexp.MustCompile(`^\d+\.\d+$`)},
		{"email", regexp.MustCompile(`^\S+@\S+\.\S+$`)},
		{"word", regexp.MustCompile(`^\p{L}+$`)},
		{"sentence", regexp.MustCompile(`^\p{L}[\p{L}\p{N}' ,.!?-]*$`)},
	} {
		if k.form.MatchString(v) {
			return k.kind
		}
	}
	return ""
}

// ariaLine is how a snapshot shows an element: - button "Add" [ref=e7]
var ariaLine = regexp.MustCompile(`^\s*- '?([a-z]+) ("(?:[^"\\]|\\.)*")`)

// called is the target that names the element of a ref, and no other that could
// be seen: its role and name as the last snapshot has them (another one would
// make its refs void), else its test id, else its id.
func (s *session) called(ref string, l playwright.Locator) string {
	var ways []string
	for line := range strings.Lines(s.tree) {
		if !strings.Contains(line, "[ref="+ref+"]") {
			continue
		}
		var name string
		if m := ariaLine.FindStringSubmatch(strings.ReplaceAll(line, "''", "'")); m != nil && json.Unmarshal([]byte(m[2]), &name) == nil {
			ways = append(ways, fmt.Sprintf("role=%s[name=%s]", m[1], strconv.Quote(name)))
		}
		break
	}
	for _, by := range [][2]string{{"data-testid", "testid="}, {"id", "css=#"}} {
		if v, err := l.GetAttribute(by[0], playwright.LocatorGetAttributeOptions{Timeout: soon}); err == nil && attrName.MatchString(v) {
			ways = append(ways, by[1]+v)
		}
	}
	for _, name := range ways {
		t, err := parseTarget(name)
		if err != nil {
			continue
		}
		strict := visible(t.locators(s.page)[0])
		n, err := strict.Count()
		same, err2 := strict.And(l).Count()
		if err == nil && err2 == nil && n == 1 && same == 1 {
			return name
		}
	}
	return ""
}
