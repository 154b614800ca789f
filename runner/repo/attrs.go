package repo

import (
	"bytes"
	"slices"
	"strings"
)

// An attr is what a line of .gitattributes says of one attribute: "set",
// "unset", "unspecified", or a value.
type attr struct{ name, value string }

// parseAttrs reads a line of .gitattributes. Macros are not honoured but the
// built-in "binary".
func parseAttrs(line string) (p pattern, ok bool) {
	fields := strings.Fields(strings.TrimRight(line, "\r"))
	if len(fields) == 0 || strings.ContainsAny(fields[0][:1], `#"!`) ||
		strings.HasPrefix(fields[0], "[attr]") || strings.HasSuffix(fields[0], "/") {
		return p, false
	}
	for _, a := range fields[1:] {
		switch name, value, has := strings.Cut(a, "="); {
		case a == "binary":
			p.attrs = append(p.attrs, attr{"text", "unset"})
		case a[0] == '-':
			p.attrs = append(p.attrs, attr{a[1:], "unset"})
		case a[0] == '!':
			p.attrs = append(p.attrs, attr{a[1:], "unspecified"})
		case has:
			p.attrs = append(p.attrs, attr{name, value})
		default:
			p.attrs = append(p.attrs, attr{a, "set"})
		}
	}
	return p.compile(fields[0])
}

// attribute returns what the nearest file's last matching line says of one
// attribute of path, "" if nothing.
func (r *rules) attribute(path, name, attribute string) string {
	for ; r != nil; r = r.parent {
		for i := len(r.patterns) - 1; i >= 0; i-- {
			p := &r.patterns[i]
			if !p.match(path, name, r.base, false) {
				continue
			}
			for _, a := range slices.Backward(p.attrs) {
				if a.name == attribute {
					if a.value == "unspecified" {
						return ""
					}
					return a.value
				}
			}
		}
	}
	return ""
}

// normalize turns CRLF into LF where the attributes text, crlf and eol ask for
// it, as git does when a file is added. What is laid out is never turned back,
// and filters, keywords and encodings are honoured in neither direction: those
// of them that run programs must not, and the others are symmetrical.
// before returns the content that is recorded now, nil if none.
func (r *rules) normalize(path, name string, b []byte, before func() []byte) []byte {
	if r == nil || !bytes.Contains(b, []byte("\r\n")) {
		return b
	}
	text := r.attribute(path, name, "text")
	if text == "" {
		text = r.attribute(path, name, "crlf")
	}
	eol := r.attribute(path, name, "eol")
	switch {
	case text == "unset":
		return b
	case text == "auto":
		// A file that is recorded with CRLF keeps it.
		if looksBinary(b) || bytes.Contains(before(), []byte("\r\n")) && bytes.IndexByte(before(), 0) < 0 {
			return b
		}
	case text == "set", text == "input", eol == "lf", eol == "crlf":
	default:
		return b
	}
	return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
}

// looksBinary guesses as git does for text=auto: a NUL, a CR without LF, or more
// than one in 128 characters that does not print.
func looksBinary(b []byte) bool {
	printing, other := 0, 0
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == 0:
			return true
		case c == '\r':
			if i+1 >= len(b) || b[i+1] != '\n' {
				return true
			}
			i++
		case c == '\n':
		case c == '\b', c == '\t', c == '\f', c == 27, c >= 32 && c != 127:
			printing++
		default:
			other++
		}
	}
	if len(b) > 0 && b[len(b)-1] == 26 { // the end mark of old files
		other--
	}
	return printing>>7 < other
}
