package repo

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// An attr is what a line of .gitattributes says of one attribute: "set",
// "unset", "unspecified", or a value.
type attr struct{ name, value string }

// parseAttrs reads a line of .gitattributes.
func parseAttrs(line string) (p pattern, ok bool) {
	line = strings.TrimSuffix(line, "\r")
	text, rest, ok := firstWord(line)
	if !ok || text[0] == '#' || text[0] == '!' {
		return p, false
	}
	for a := range strings.FieldsSeq(rest) {
		switch name, value, has := strings.Cut(a, "="); {
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
	if macro, is := strings.CutPrefix(text, "[attr]"); is {
		if macro == "" && len(p.attrs) > 0 { // git takes "[attr] name" as well
			macro, p.attrs = p.attrs[0].name, p.attrs[1:]
		}
		p.macro = macro
		return p, macro != ""
	}
	if strings.HasSuffix(text, "/") {
		return p, false
	}
	return p.compile(text)
}

// firstWord is the pattern of a line, which may be quoted as in C, and the rest.
func firstWord(line string) (word, rest string, ok bool) {
	line = strings.TrimLeft(line, " \t\r\n")
	if line == "" {
		return "", "", false
	}
	if line[0] == '"' {
		if quoted, err := strconv.QuotedPrefix(line); err == nil {
			word, err = strconv.Unquote(quoted)
			if err == nil && word != "" {
				return word, line[len(quoted):], true
			}
		}
	}
	if i := strings.IndexAny(line, " \t\r\n"); i >= 0 {
		return line[:i], line[i:], true
	}
	return line, "", true
}

// attributes are what the files of attributes say of path, as git reads them:
// the nearest file's last matching line first, and what a macro stands for where
// that is set. Macros are defined in the file at the root only; binary is one.
func (r *rules) attributes(path, name string) map[string]string {
	macros := map[string][]attr{"binary": {{"diff", "unset"}, {"merge", "unset"}, {"text", "unset"}}}
	for top := r; top != nil; top = top.parent {
		if top.base == "" {
			for _, p := range top.patterns {
				if p.macro != "" {
					macros[p.macro] = p.attrs
				}
			}
		}
	}
	said := map[string]string{}
	var take func([]attr)
	take = func(attrs []attr) {
		for _, a := range slices.Backward(attrs) {
			if _, known := said[a.name]; known {
				continue
			}
			if said[a.name] = a.value; a.value == "set" {
				take(macros[a.name])
			}
		}
	}
	for ; r != nil; r = r.parent {
		for i := len(r.patterns) - 1; i >= 0; i-- {
			if p := &r.patterns[i]; p.macro == "" && p.match(path, name, r.base, false) {
				take(p.attrs)
			}
		}
	}
	for name, value := range said {
		if value == "unspecified" {
			delete(said, name)
		}
	}
	return said
}

// normalize is the content as it is recorded, where the attributes of the tree
// ask for it: pointers of Git LFS, encodings, line ends and keywords, in the
// order in which git does that when a file is added. No program is run for it,
// whatever the attribute filter names. What is laid out is never turned back.
// before returns the content that is recorded now, nil if none.
func (r *rules) normalize(path, name string, b []byte, before func() []byte) []byte {
	if r == nil {
		return b
	}
	said := r.attributes(path, name)
	if said["filter"] == "lfs" {
		if old := before(); points(old, b) {
			return old
		}
	}
	b = decode(said["working-tree-encoding"], b)
	b = unixLines(said, b, before)
	if said["ident"] == "set" {
		b = unexpanded(b)
	}
	return b
}

// unixLines turns CRLF into LF where the attributes text, crlf and eol ask for it.
func unixLines(said map[string]string, b []byte, before func() []byte) []byte {
	if !bytes.Contains(b, []byte("\r\n")) {
		return b
	}
	text, eol := cmp.Or(said["text"], said["crlf"]), said["eol"]
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

// unexpanded takes out what $Id: ...$ was expanded to.
func unexpanded(b []byte) []byte {
	var out []byte
	for {
		i := bytes.IndexByte(b, '$')
		if i < 0 {
			return append(out, b...)
		}
		out, b = append(out, b[:i+1]...), b[i+1:]
		if !bytes.HasPrefix(b, []byte("Id:")) {
			continue
		}
		end := bytes.IndexByte(b[3:], '$')
		if end < 0 {
			return append(out, b...)
		}
		if bytes.IndexByte(b[3:3+end], '\n') < 0 {
			out, b = append(out, "Id$"...), b[3+end+1:]
		}
	}
}

// decode turns UTF-16 into UTF-8 where the attribute working-tree-encoding says
// that a file is written so. One that is in UTF-8 all the same stays, because
// that is how it was laid out; so does one that git would refuse to add. Other
// encodings are not known.
func decode(encoding string, b []byte) []byte {
	whole, little, mark := b, true, len(b) >= 2 && (b[0] == 0xff && b[1] == 0xfe || b[0] == 0xfe && b[1] == 0xff)
	switch strings.Replace(strings.ToUpper(encoding), "UTF16", "UTF-16", 1) {
	case "UTF-16":
		if !mark {
			return b
		}
		little, b = b[0] == 0xff, b[2:]
	case "UTF-16LE-BOM":
		if mark {
			little, b = b[0] == 0xff, b[2:]
		}
	case "UTF-16LE", "UTF-16BE":
		if mark {
			return b
		}
		little = strings.HasSuffix(strings.ToUpper(encoding), "LE")
	default:
		return b
	}
	if len(b)%2 != 0 || !mark && utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 {
		return whole
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = uint16(b[2*i]) | uint16(b[2*i+1])<<8
		if !little {
			units[i] = units[i]>>8 | units[i]<<8
		}
	}
	var out []byte
	for i := 0; i < len(units); i++ {
		c := rune(units[i])
		if utf16.IsSurrogate(c) {
			if i+1 < len(units) {
				c = utf16.DecodeRune(c, rune(units[i+1]))
			}
			if i++; c == utf8.RuneError || utf16.IsSurrogate(c) {
				return whole
			}
		}
		out = utf8.AppendRune(out, c)
	}
	return out
}

// points says whether old is the pointer by which Git LFS would record b. A file
// whose content was fetched is not changed by that. What is new is recorded as
// it is: only git-lfs can bring it to where it is kept.
func points(old, b []byte) bool {
	const first = "version https://git-lfs.github.com/spec/v1\n"
	if len(old) > 1024 || !bytes.HasPrefix(old, []byte(first)) {
		return false
	}
	return bytes.Contains(old, fmt.Appendf(nil, "\noid sha256:%s\n", runner.Hash(b))) && bytes.Contains(old, fmt.Appendf(nil, "\nsize %d\n", len(b)))
}

// plain says that content is recorded as it is, whatever the attributes say and
// whatever is recorded at its path now; but for Git LFS, see [points].
func plain(content []byte) bool {
	return !bytes.Contains(content, []byte("\r\n")) && !bytes.Contains(content, []byte("$Id:")) && bytes.IndexByte(content, 0) < 0 && !bytes.HasPrefix(content, []byte{0xff, 0xfe}) && !bytes.HasPrefix(content, []byte{0xfe, 0xff})
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
