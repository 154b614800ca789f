package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// mostArgs is how long the arguments of one call may be.
const mostArgs = 2 << 20

// arguments reads what the model wrote as arguments for a tool with schema s.
// What is valid passes unchanged, byte for byte. What is not is mended only
// where there is a single way to read it, and each mending is a remark for the
// model to see; anything else is an error.
func arguments(raw string, s schema) (args string, remarks []string, err error) {
	if len(raw) > mostArgs {
		return "", nil, fmt.Errorf("%d bytes of arguments, at most %d are taken: write less at a time", len(raw), mostArgs)
	}
	obj, remarks, err := object(raw)
	if err != nil {
		return "", nil, err
	}
	fitted, fits, err := s.fit(obj, "")
	if err != nil {
		return "", nil, err
	}
	if len(remarks) == 0 && len(fits) == 0 && strings.TrimSpace(raw) != "" {
		return raw, nil, nil
	}
	return encode(fitted), append(remarks, fits...), nil
}

// object decodes raw as one JSON object, mending it if need be.
func object(raw string) (map[string]any, []string, error) {
	s := strings.TrimSpace(raw)
	if s == "" {
		return map[string]any{}, nil, nil // how many models call a tool without arguments
	}
	v, strict := decode(s)
	if strict == nil {
		return unwrap(s, v, nil)
	}
	var remarks []string
	if cut := outer(s); cut != s {
		s = cut
		remarks = append(remarks, "text around the JSON object was dropped")
		if v, err := decode(s); err == nil {
			return unwrap(s, v, remarks)
		}
	}
	mended, how, err := mend(s)
	if err != nil {
		return nil, nil, fmt.Errorf("not valid JSON: %w", err)
	}
	v, err = decode(mended)
	if err != nil {
		return nil, nil, fmt.Errorf("not valid JSON: %w", strict)
	}
	return unwrap(mended, v, append(remarks, how...))
}

// unwrap takes the object out of v, which s spells, or out of a string that holds
// it as JSON.
func unwrap(s string, v any, remarks []string) (map[string]any, []string, error) {
	if text, ok := v.(string); ok {
		inner, err := decode(text)
		if err != nil {
			return nil, nil, errors.New("not a JSON object")
		}
		s, v, remarks = text, inner, append(remarks, "the JSON was encoded twice")
	}
	obj, ok := v.(map[string]any)
	if !ok {
		return nil, nil, errors.New("not a JSON object")
	}
	if key, twice := repeated(s); twice {
		return nil, nil, fmt.Errorf("the key %q stands twice in one object: which value is meant?", clip(key, 40))
	}
	return obj, remarks, nil
}

// repeated finds a key that an object of s has twice. Decoders take one of the
// two without a word.
func repeated(s string) (string, bool) {
	type frame struct {
		keys map[string]bool // nil in a list
		key  bool            // the next string is a key
	}
	var open []frame
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	for {
		t, err := d.Token()
		if err != nil { // its end: s was decoded before
			return "", false
		}
		last := len(open) - 1
		switch {
		case t == json.Delim('{'):
			open = append(open, frame{map[string]bool{}, true})
			continue
		case t == json.Delim('['):
			open = append(open, frame{})
			continue
		case t == json.Delim('}') || t == json.Delim(']'):
			open = open[:last]
			last--
		case last >= 0 && open[last].keys != nil && open[last].key:
			key := t.(string)
			if open[last].keys[key] {
				return key, true
			}
			open[last].keys[key], open[last].key = true, false
			continue
		}
		if last >= 0 { // a value is over
			open[last].key = true
		}
	}
}

// decode reads exactly one JSON value, numbers as they are written.
func decode(s string) (any, error) {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errors.New("it ends too early")
		}
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("more text after the value, at byte %d", d.InputOffset())
	}
	return v, nil
}

func encode(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // unreachable: v was decoded from JSON
		panic("agent: " + err.Error())
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// outer drops fences and prose before the first brace, and what follows the
// last one if it closes something.
func outer(s string) string {
	i := strings.IndexByte(s, '{')
	if i < 0 {
		return s
	}
	j := strings.LastIndexByte(s, '}')
	if j < i {
		return s[i:]
	}
	if rest := strings.TrimSpace(s[j+1:]); rest != "" && strings.Trim(rest, "`") != "" && strings.ContainsAny(rest, `"],:`) {
		return s[i:] // not prose: part of the value
	}
	return s[i : j+1]
}

// mend reads s as JSON with the slips that models make and for which there is
// one reading only: raw control characters in strings, escapes that JSON lacks,
// trailing commas, Python's literals and quotes, keys without quotes, closing
// brackets that are missing or too many. An escape that other languages drop (\' \$) has two readings and is
// refused.
func mend(s string) (string, []string, error) {
	m := mender{in: s}
	if err := m.value(); err != nil {
		return "", nil, err
	}
	return m.out.String(), m.how, nil
}

type mender struct {
	in    string
	at    int
	out   strings.Builder
	open  []byte // closing brackets that are due, innermost last
	last  byte   // kind of the last token: { [ , : n for a number or v for any other value
	comma int    // where in out the last comma begins
	how   []string
}

func (m *mender) note(how string) {
	if !slices.Contains(m.how, how) {
		m.how = append(m.how, how)
	}
}

func (m *mender) value() error {
	for m.at < len(m.in) {
		switch c := m.in[m.at]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			m.at++
		case c == '}' || c == ']':
			if err := m.closing(c); err != nil {
				return err
			}
		case len(m.open) == 0 && m.valued():
			return fmt.Errorf("more text after the value, at byte %d", m.at)
		case c == '{' || c == '[':
			m.open = append(m.open, c+2) // ASCII: } is { + 2, ] is [ + 2
			m.put(c, c)
		case c == ':' || c == ',':
			if c == ',' {
				m.comma = m.out.Len()
			}
			m.put(c, c)
		case c == '"':
			if err := m.text(); err != nil {
				return err
			}
			m.last = 'v'
		case c == '\'':
			if err := m.quoted(); err != nil {
				return err
			}
			m.last = 'v'
		default:
			if err := m.word(); err != nil {
				return err
			}
		}
	}
	if len(m.open) > 0 {
		if m.last == 'n' {
			return errors.New("it ends in a number, which may have been cut")
		}
		m.note("missing closing brackets were added")
		for _, c := range slices.Backward(m.open) {
			m.out.WriteByte(c)
		}
	}
	return nil
}

// valued says that the last token was a value.
func (m *mender) valued() bool { return m.last == 'v' || m.last == 'n' }

func (m *mender) put(c, kind byte) {
	m.out.WriteByte(c)
	m.last = kind
	m.at++
}

func (m *mender) closing(c byte) error {
	switch {
	case len(m.open) == 0 && m.valued():
		m.note("superfluous closing brackets were dropped")
		m.at++
		return nil
	case len(m.open) == 0 || m.open[len(m.open)-1] != c:
		return fmt.Errorf("%q at byte %d closes nothing", c, m.at)
	}
	if m.last == ',' {
		m.note("a trailing comma was dropped")
		kept := m.out.String()[:m.comma]
		m.out.Reset()
		m.out.WriteString(kept)
	}
	m.open = m.open[:len(m.open)-1]
	m.put(c, 'v')
	return nil
}

func (m *mender) text() error {
	start := m.at
	m.out.WriteByte('"')
	m.at++
	for m.at < len(m.in) {
		c := m.in[m.at]
		switch {
		case c == '"':
			m.out.WriteByte('"')
			m.at++
			return nil
		case c == '\\':
			if err := m.escape(); err != nil {
				return err
			}
		case c < 0x20:
			m.note("raw control characters in a string were taken as they stand")
			fmt.Fprintf(&m.out, `\u%04x`, c)
			m.at++
		default:
			m.out.WriteByte(c)
			m.at++
		}
	}
	return fmt.Errorf("the string that begins at byte %d does not end", start)
}

// quoted reads a string in Python's single quotes. It ends at the first of them,
// and only if what follows it belongs to JSON: an apostrophe within has two
// readings.
func (m *mender) quoted() error {
	start := m.at
	m.note("single quotes were read as double ones")
	m.out.WriteByte('"')
	m.at++
	for m.at < len(m.in) {
		c := m.in[m.at]
		switch {
		case c == '\'':
			m.out.WriteByte('"')
			m.at++
			rest := strings.TrimLeft(m.in[m.at:], " \t\r\n")
			if rest == "" || strings.IndexByte(",:}]", rest[0]) < 0 {
				return fmt.Errorf("the single quote at byte %d may end the string or be part of it: use double quotes", m.at-1)
			}
			return nil
		case c == '"':
			m.out.WriteString(`\"`)
			m.at++
		case c == '\\' && m.at+1 < len(m.in) && m.in[m.at+1] == '\'':
			m.out.WriteByte('\'')
			m.at += 2
		case c == '\\':
			if err := m.escape(); err != nil {
				return err
			}
		case c < 0x20:
			return fmt.Errorf("a line break in single quotes at byte %d: use double quotes", m.at)
		default:
			m.out.WriteByte(c)
			m.at++
		}
	}
	return fmt.Errorf("the string that begins at byte %d does not end", start)
}

func (m *mender) escape() error {
	if m.at+1 == len(m.in) {
		return errors.New("it ends in a backslash")
	}
	c := m.in[m.at+1]
	switch {
	case strings.IndexByte(`"\/bfnrt`, c) >= 0:
		m.out.WriteString(m.in[m.at : m.at+2])
		m.at += 2
	case c == 'u':
		if m.at+6 > len(m.in) || strings.Trim(m.in[m.at+2:m.at+6], "0123456789abcdefABCDEF") != "" {
			return fmt.Errorf(`\u without four hexadecimal digits at byte %d`, m.at)
		}
		m.out.WriteString(m.in[m.at : m.at+6])
		m.at += 6
	case strings.IndexByte("'`$x", c) >= 0:
		return fmt.Errorf(`\%c at byte %d is no escape of JSON: write %q for a backslash, or leave it out`, c, m.at, `\\`)
	default: // \d, \., \( and the like come from regular expressions, where the backslash counts
		m.note(`a backslash that begins no escape of JSON was taken literally (\` + printable(c) + `)`)
		m.out.WriteString(`\\`)
		m.at++
	}
	return nil
}

func printable(c byte) string {
	if c > 0x20 && c < 0x7f {
		return string(rune(c))
	}
	return "…"
}

// plainKey is what may stand as a key without quotes.
var plainKey = pattern.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (m *mender) word() error {
	end := m.at
	for end < len(m.in) && (m.in[end] >= 0x80 || unicode.IsLetter(rune(m.in[end])) || unicode.IsDigit(rune(m.in[end])) || strings.IndexByte("+-._", m.in[end]) >= 0) {
		end++
	}
	w := m.in[m.at:end]
	m.last = 'v'
	if rest := strings.TrimLeft(m.in[end:], " \t\r\n"); plainKey.MatchString(w) && strings.HasPrefix(rest, ":") && len(m.open) > 0 && m.open[len(m.open)-1] == '}' {
		m.note("keys without quotes were given some")
		m.out.WriteString(strconv.Quote(w))
		m.at = end
		return nil
	}
	switch w {
	case "True", "False":
		m.note("Python's True, False and None were read as JSON's")
		w = strings.ToLower(w)
	case "None":
		m.note("Python's True, False and None were read as JSON's")
		w = "null"
	default:
		if w == "" || !json.Valid([]byte(w)) {
			return fmt.Errorf("unexpected %q at byte %d", clip(m.in[m.at:max(end, m.at+1)], 40), m.at)
		}
		if w != "true" && w != "false" && w != "null" {
			m.last = 'n'
		}
	}
	m.out.WriteString(w)
	m.at = end
	return nil
}
