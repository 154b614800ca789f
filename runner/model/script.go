package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"

	"golang.org/x/tools/txtar"
)

// A script holds the replies of a scripted model, by the key of their turn.
// It keeps no place: the same question always has the same reply, so that a
// session may be killed and begun again.
type script map[string]*turn

// A turn is one scripted reply and what must be so before it is given.
type turn struct {
	line   int
	says   []string
	calls  []scripted
	expect []string
	sleep  time.Duration
	fail   []failure
}

type scripted struct{ name, args string }

// A failure is a status that the turn is answered with once.
type failure struct {
	status int
	after  string // Retry-After
}

// key names a conversation of the script, from its first line: what precedes
// the number of the turn in an entry's name.
var (
	entryKey = pattern.MustCompile(`^(?:(?:plan|change)(?:-[1-9]\d*)?|(?:compact|review)/[\w.-]+|[\w.-]+/[1-9]\d*/(?:tests|implement|repair|merge)(?:-[1-9]\d*)?)$`)
	loopLine = pattern.MustCompile(`^\[loop\] (?:(plan|change)(?: round=(\d+))?|(compact|review) feature=(\S+)|feature=(\S+) attempt=(\d+) phase=(\w+) round=(\d+)(?: turn=([1-9]\d*))?)\s*$`)
)

// conversation is the key that the first line of a user message names, and the
// turn that comes after it: not the first where the conversation was begun anew.
func conversation(content string) (key string, turn int, ok bool) {
	line, _, _ := strings.Cut(content, "\n")
	m := loopLine.FindStringSubmatch(strings.TrimSuffix(line, "\r"))
	round := func(n string) string {
		if n == "" || n == "0" {
			return ""
		}
		return "-" + n
	}
	switch {
	case m == nil:
		return "", 0, false
	case m[1] != "":
		return m[1] + round(m[2]), 1, true
	case m[3] != "":
		return m[3] + "/" + m[4], 1, true
	}
	turn, err := strconv.Atoi(m[9])
	if err != nil {
		turn = 1
	}
	return path.Join(m[5], m[6], m[7]) + round(m[8]), turn, true
}

// parseScript reads a script, a txtar archive whose entries are called
// <conversation>/<turn> <verb> [argument]. All mistakes are reported at once,
// with their lines.
func parseScript(file string, data []byte) (script, error) {
	s := script{}
	var errs []error
	archive := txtar.Parse(data)
	line := 1 + bytes.Count(archive.Comment, []byte("\n"))
	for _, f := range archive.Files {
		if err := s.entry(f.Name, string(f.Data), line); err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", file, line, err))
		}
		line += 1 + bytes.Count(f.Data, []byte("\n"))
	}
	if len(archive.Files) == 0 {
		errs = append(errs, fmt.Errorf("%s:1: a script without entries; one looks like -- plan/1 say --", file))
	}
	for _, key := range slices.Sorted(maps.Keys(s)) {
		t := s[key]
		if len(t.says) == 0 && len(t.calls) == 0 {
			errs = append(errs, fmt.Errorf("%s:%d: %s says nothing and calls nothing", file, t.line, key))
		}
		if n, _ := strconv.Atoi(path.Base(key)); n > 1 && s[fmt.Sprintf("%s/%d", path.Dir(key), n-1)] == nil {
			errs = append(errs, fmt.Errorf("%s:%d: %s has no turn %d before it", file, t.line, key, n-1))
		}
	}
	return s, errors.Join(errs...)
}

func (s script) entry(name, body string, line int) error {
	key, rest, _ := strings.Cut(name, " ")
	verb, arg, _ := strings.Cut(strings.TrimSpace(rest), " ")
	arg = strings.TrimSpace(arg)
	number := path.Base(key)
	if n, err := strconv.Atoi(number); err != nil || n < 1 || strconv.Itoa(n) != number || !entryKey.MatchString(strings.TrimSuffix(key, "/"+number)) {
		return fmt.Errorf("%q is not <feature>/<attempt>/<tests|implement|repair|merge>[-<round>]/<turn>, plan[-<round>]/<turn>, change[-<round>]/<turn>, compact/<feature>/<turn> or review/<feature>/<turn>", key)
	}
	t := s[key]
	if t == nil {
		t = &turn{line: line}
		s[key] = t
	}
	v, ok := verbs[verb]
	switch {
	case !ok:
		return fmt.Errorf("%q is not a verb; there are %s", verb, strings.Join(slices.Sorted(maps.Keys(verbs)), ", "))
	case v.arg == needed && arg == "":
		return fmt.Errorf("%s needs an argument", verb)
	case v.arg == none && arg != "":
		return fmt.Errorf("%s takes no argument, but has %q", verb, arg)
	}
	if err := v.do(t, arg, body); err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	return nil
}

type need int

const (
	none need = iota
	optional
	needed
)

type verb struct {
	arg need
	do  func(t *turn, arg, body string) error
}

var verbs = map[string]verb{
	"say": {none, func(t *turn, _, body string) error {
		t.says = append(t.says, strings.TrimSuffix(body, "\n"))
		return nil
	}},
	"write_file": {needed, func(t *turn, arg, body string) error {
		return t.call("write_file", "path", arg, "content", body)
	}},
	"edit_file": {needed, func(t *turn, arg, body string) error {
		edits, err := parseEdits(body)
		if err != nil {
			return err
		}
		return t.call("edit_file", "path", arg, "edits", edits)
	}},
	"read_file":  {needed, withArg("read_file", "path")},
	"find_files": {needed, withArg("find_files", "glob")},
	"search":     {needed, withArg("search", "pattern")},
	"shell":      {none, withBody("shell", "command")},
	"run_tests": {optional, func(t *turn, arg, body string) error {
		if arg == "" {
			return errors.Join(empty(body), t.call("run_tests"))
		}
		return errors.Join(empty(body), t.call("run_tests", "scope", arg))
	}},
	"browser": {none, func(t *turn, _, body string) error {
		var o map[string]json.RawMessage
		if err := json.Unmarshal([]byte(body), &o); err != nil || o == nil {
			return fmt.Errorf("the body is not a JSON object")
		}
		t.calls = append(t.calls, scripted{"browser", strings.TrimSpace(body)})
		return nil
	}},
	"note":                 {none, withBody("note", "text")},
	"request_verification": {none, withBody("request_verification", "summary")},
	"cannot_complete": {needed, func(t *turn, arg, body string) error {
		if !slices.Contains([]string{"conflict", "blocked", "too_big"}, arg) {
			return fmt.Errorf("%q is not conflict, blocked or too_big", arg)
		}
		return t.call("cannot_complete", "kind", arg, "reason", strings.TrimSpace(body))
	}},
	// The body goes out as it is: that it is not JSON may be the point.
	"call": {needed, func(t *turn, arg, body string) error {
		t.calls = append(t.calls, scripted{arg, strings.TrimSpace(body)})
		return nil
	}},
	"expect": {none, func(t *turn, _, body string) error {
		n := len(t.expect)
		for line := range strings.Lines(body) {
			if line = strings.TrimSpace(line); line != "" {
				t.expect = append(t.expect, line)
			}
		}
		if len(t.expect) == n {
			return errors.New("expects nothing")
		}
		return nil
	}},
	"sleep": {needed, func(t *turn, arg, body string) error {
		d, err := time.ParseDuration(arg)
		if err != nil || d < 0 {
			return fmt.Errorf("%q is not a duration like 1.5s", arg)
		}
		t.sleep += d
		return empty(body)
	}},
	"http": {needed, func(t *turn, arg, body string) error {
		code, after, _ := strings.Cut(arg, " ")
		status, err := strconv.Atoi(code)
		if err != nil || status < 400 || status > 599 {
			return fmt.Errorf("%q is not a status from 400 to 599", code)
		}
		if after = strings.TrimSpace(after); after != "" {
			if _, err := strconv.ParseUint(after, 10, 31); err != nil {
				return fmt.Errorf("%q is not a number of seconds", after)
			}
		}
		t.fail = append(t.fail, failure{status, after})
		return empty(body)
	}},
}

func withArg(tool, field string) func(*turn, string, string) error {
	return func(t *turn, arg, body string) error {
		return errors.Join(empty(body), t.call(tool, field, arg))
	}
}

func withBody(tool, field string) func(*turn, string, string) error {
	return func(t *turn, _, body string) error {
		if body = strings.TrimSpace(body); body == "" {
			return errors.New("the body is empty")
		}
		return t.call(tool, field, body)
	}
}

func empty(body string) error {
	if strings.TrimSpace(body) != "" {
		return errors.New("takes no body")
	}
	return nil
}

// call adds a tool call with the fields in the order given.
func (t *turn) call(tool string, fields ...any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, f := range fields { // names and values take turns
		if i > 0 {
			b.WriteByte(",:"[i%2])
		}
		if err := enc.Encode(f); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	var args bytes.Buffer
	if err := json.Compact(&args, b.Bytes()); err != nil {
		return err
	}
	t.calls = append(t.calls, scripted{tool, args.String()})
	return nil
}

type edit struct {
	Old string `json:"old"`
	New string `json:"new"`
}

// parseEdits reads blocks of <<<<<<<, old text, =======, new text, >>>>>>>.
func parseEdits(body string) ([]edit, error) {
	var edits []edit
	var part [2][]string
	in := -1 // outside a block, in the old text, in the new
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		switch mark := strings.TrimSpace(line); {
		case in < 0 && mark == "<<<<<<<":
			in, part = 0, [2][]string{}
		case in == 0 && mark == "=======":
			in = 1
		case in == 1 && mark == ">>>>>>>":
			edits = append(edits, edit{strings.Join(part[0], "\n"), strings.Join(part[1], "\n")})
			in = -1
		case in >= 0:
			part[in] = append(part[in], line)
		case mark != "":
			return nil, fmt.Errorf("%q stands outside a block of <<<<<<<, =======, >>>>>>>", line)
		}
	}
	if in >= 0 || len(edits) == 0 {
		return nil, errors.New("needs blocks of <<<<<<<, old text, =======, new text, >>>>>>>")
	}
	return edits, nil
}
