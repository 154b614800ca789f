package repo

import (
	"bytes"
	"strings"
)

// A pattern is one line of a .gitignore or .gitattributes file.
type pattern struct {
	text     string
	negative bool
	dirOnly  bool
	anchored bool // it has a slash: it matches the path below base
	literal  bool // no wildcards
	suffix   bool // of the form *.ext
	attrs    []attr
	what     string // of house rules: what generates it
	macro    string // of attributes: it defines one, and matches nothing
}

// Rules are the patterns of one directory, and above them those of its parents.
// Files of the tree make rules, and above them stand the house rules.
type rules struct {
	parent   *rules
	base     string // the directory's path with a slash at the end; "" for the root
	patterns []pattern
}

// parseRules adds the lines of a file in directory d to those of its parents.
func parseRules(parent *rules, d *dir, text []byte, parse func(string) (pattern, bool)) *rules {
	return &rules{parent: parent, base: d.inner(), patterns: parsePatterns(text, parse)}
}

func parsePatterns(text []byte, parse func(string) (pattern, bool)) []pattern {
	var ps []pattern
	for line := range strings.SplitSeq(string(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))), "\n") {
		if p, ok := parse(line); ok {
			ps = append(ps, p)
		}
	}
	return ps
}

func parseIgnore(line string) (p pattern, ok bool) {
	line = strings.TrimSuffix(line, "\r")
	if line == "" || line[0] == '#' {
		return p, false
	}
	line = trimSpaces(line)
	if strings.HasPrefix(line, "!") {
		p.negative = true
		line = line[1:]
	}
	if strings.HasSuffix(line, "/") {
		p.dirOnly = true
		line = line[:len(line)-1]
	}
	return p.compile(line)
}

// trimSpaces drops the spaces at the end but one that is escaped.
func trimSpaces(line string) string {
	end := len(line)
	for end > 0 && line[end-1] == ' ' {
		slashes := 0
		for k := end - 2; k >= 0 && line[k] == '\\'; k-- {
			slashes++
		}
		if slashes%2 == 1 {
			break
		}
		end--
	}
	return line[:end]
}

func (p pattern) compile(text string) (pattern, bool) {
	p.anchored = strings.Contains(text, "/")
	text = strings.TrimPrefix(text, "/")
	if text == "" {
		return p, false
	}
	p.text = text
	p.literal = !strings.ContainsAny(text, `*?[\`)
	p.suffix = !p.anchored && text[0] == '*' && !strings.ContainsAny(text[1:], `*?[\`)
	return p, true
}

func (p *pattern) match(path, name, base string, isDir bool) bool {
	switch {
	case p.dirOnly && !isDir:
		return false
	case p.anchored && !strings.HasPrefix(path, base):
		return false
	case p.anchored && p.literal:
		return p.text == path[len(base):]
	case p.anchored:
		return wildmatch(p.text, path[len(base):], true)
	case p.literal:
		return p.text == name
	case p.suffix:
		return strings.HasSuffix(name, p.text[1:])
	}
	return wildmatch(p.text, name, false)
}

// ignores decides for one path whose directory is known not to be ignored: the
// nearest file's last matching line counts.
func (r *rules) ignores(path, name string, isDir bool) bool {
	p := r.decides(path, name, isDir)
	return p != nil && !p.negative
}

// decides is that line, nil if there is none.
func (r *rules) decides(path, name string, isDir bool) *pattern {
	for ; r != nil; r = r.parent {
		for i := len(r.patterns) - 1; i >= 0; i-- {
			if p := &r.patterns[i]; p.match(path, name, r.base, isDir) {
				return p
			}
		}
	}
	return nil
}
