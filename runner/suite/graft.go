package suite

import (
	"bytes"
	"path"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// IsMixed says whether a file holds implementation and tests: Rust keeps the tests
// of a module in the module.
func IsMixed(p string, text []byte) bool {
	return path.Ext(p) == ".rs" && !IsTest(p) && len(rustTests(text)) > 0
}

// Graft makes of two versions of a file the one with parent's implementation and
// candidate's tests. Of a file that holds only one kind it is the version that its
// role asks for: the candidate's for tests, the parent's for implementation; nil
// says that there is no such file.
//
// A new file that holds both becomes one that holds its tests alone. Rust compiles
// it only if something of the parent's names it as a module, so tests of a module
// that is new are seen to fail only where they stand apart, below tests/.
func Graft(p string, parent, candidate []byte) []byte {
	if IsTest(p) {
		return candidate
	}
	if !IsMixed(p, parent) && !IsMixed(p, candidate) {
		return parent
	}
	var out bytes.Buffer
	at := 0
	for _, s := range rustTests(parent) {
		out.Write(parent[at:s[0]])
		at = s[1]
	}
	out.Write(parent[at:])
	for _, s := range rustTests(candidate) {
		if out.Len() > 0 && !bytes.HasSuffix(out.Bytes(), []byte("\n")) {
			out.WriteByte('\n')
		}
		out.Write(candidate[s[0]:s[1]])
		out.WriteByte('\n')
	}
	return out.Bytes()
}

var rustCfg = pattern.MustCompile(`^#\[\s*cfg\s*\(\s*(?:test\s*\)|all\s*\(\s*test\b)`)

// rustTests finds the items of a file that are compiled for tests only: from the
// attribute to the end of the item. Only those at the top level count; within
// another item they are part of it.
func rustTests(text []byte) [][2]int {
	var spans [][2]int
	src := string(text)
	depth, start := 0, -1 // of the brackets; of the item that is being read
	opened := false
	for i := 0; i < len(src); {
		n, plain := rustToken(src[i:])
		if !plain {
			i += n
			continue
		}
		switch c := src[i]; c {
		case '#':
			if depth == 0 && start < 0 && rustCfg.MatchString(src[i:]) {
				start, opened = i, false
			}
			if depth == 0 && i+1 < len(src) && (src[i+1] == '[') {
				end := rustAttribute(src[i:])
				if end == 0 {
					return spans // no compiler would read on
				}
				i += end
				continue
			}
		case '{', '(', '[':
			depth++
			opened = opened || c == '{' && depth == 1
		case '}', ')', ']':
			depth = max(0, depth-1)
			if start >= 0 && depth == 0 && c == '}' && opened {
				spans = append(spans, [2]int{start, i + 1})
				start = -1
			}
		case ';':
			if start >= 0 && depth == 0 && !opened {
				spans = append(spans, [2]int{start, i + 1})
				start = -1
			}
		}
		i++
	}
	return spans
}

// rustAttribute is the length of the attribute that src begins with, 0 if it has
// no end.
func rustAttribute(src string) int {
	depth := 0
	for i := 1; i < len(src); {
		n, plain := rustToken(src[i:])
		if !plain {
			i += n
			continue
		}
		switch src[i] {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return 0
}

var (
	rustRaw  = pattern.MustCompile(`^b?r(#*)"`)
	rustChar = pattern.MustCompile(`^b?'(?:[^'\\\n]|\\(?:[^xu\n]|x[0-9a-fA-F]{2}|u\{[0-9a-fA-F_]+\}))'`)
	rustWord = pattern.MustCompile(`^[\p{L}_][\p{L}\p{N}_]*`)
)

// rustToken is the length of the comment, text or word that src begins with; plain
// if it begins with none.
func rustToken(src string) (n int, plain bool) {
	switch {
	case strings.HasPrefix(src, "//"):
		if i := strings.IndexByte(src, '\n'); i >= 0 {
			return i + 1, false
		}
		return len(src), false
	case strings.HasPrefix(src, "/*"): // which may be nested
		depth := 0
		for i := 0; i < len(src); i++ {
			switch {
			case strings.HasPrefix(src[i:], "/*"):
				depth++
				i++
			case strings.HasPrefix(src[i:], "*/"):
				i++
				if depth--; depth == 0 {
					return i + 1, false
				}
			}
		}
		return len(src), false
	case src[0] == '"' || strings.HasPrefix(src, `b"`):
		for i := strings.IndexByte(src, '"') + 1; i < len(src); i++ {
			switch src[i] {
			case '\\':
				i++
			case '"':
				return i + 1, false
			}
		}
		return len(src), false
	}
	if m := rustRaw.FindStringSubmatch(src); m != nil {
		if i := strings.Index(src[len(m[0]):], `"`+m[1]); i >= 0 {
			return len(m[0]) + i + 1 + len(m[1]), false
		}
		return len(src), false
	}
	if m := rustChar.FindString(src); m != "" {
		return len(m), false
	}
	if m := rustWord.FindString(src); m != "" {
		return len(m), false
	}
	return 1, true
}
