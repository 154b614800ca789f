package tool

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A section is what a patch does with one file.
type section struct {
	verb  string // add, delete or update
	path  string
	move  string // of update: the new path, "" if it stays
	text  string // of add: the whole file
	hunks []hunk // of update
}

// A hunk replaces lines of a file by others. The lines that stand around what
// changes are in both.
type hunk struct {
	anchors  []string // of @@: lines in whose blocks it stands, from the outside in
	loose    bool     // the anchor is a diff's, which only stands somewhere above
	old, new []string
	end      bool // nothing follows in the file
}

// The words of the format.
const (
	patchBegin = "*** Begin Patch"
	patchEnd   = "*** End Patch"
)

// parsePatch reads a patch in the format that GPT models know as apply_patch.
// Nothing is guessed: a line that means nothing is an error with its number.
func parsePatch(text string) ([]section, error) {
	lines := strings.Split(strings.Trim(toLF(text), "\n"), "\n")
	if strings.HasPrefix(lines[0], "```") && strings.TrimSpace(lines[len(lines)-1]) == "```" && len(lines) > 2 {
		lines = lines[1 : len(lines)-1]
	}
	switch {
	case strings.TrimSpace(lines[0]) != patchBegin:
		return nil, fmt.Errorf("a patch begins with the line %q", patchBegin)
	case strings.TrimSpace(lines[len(lines)-1]) != patchEnd:
		return nil, fmt.Errorf("a patch ends with the line %q", patchEnd)
	}
	p := patchReader{lines: lines[:len(lines)-1], at: 1}
	var all []section
	for !p.over() {
		if strings.TrimSpace(p.lines[p.at]) == "" {
			p.at++
			continue
		}
		s, err := p.section()
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		return nil, errors.New("the patch names no file")
	}
	return all, nil
}

type patchReader struct {
	lines []string
	at    int
}

func (p *patchReader) over() bool { return p.at >= len(p.lines) }

func (p *patchReader) wrong(format string, args ...any) error {
	return fmt.Errorf("line %d of the patch: %s", p.at+1, fmt.Sprintf(format, args...))
}

// head reads a line of the kind "*** Word: path".
func (p *patchReader) head(word string) (path string, ok bool) {
	if p.over() {
		return "", false
	}
	path, ok = strings.CutPrefix(p.lines[p.at], "*** "+word+":")
	return strings.TrimSpace(path), ok
}

func (p *patchReader) section() (s section, err error) {
	for verb, word := range map[string]string{"add": "Add File", "delete": "Delete File", "update": "Update File"} {
		path, ok := p.head(word)
		if !ok {
			continue
		}
		if path == "" {
			return s, p.wrong("the path is missing")
		}
		p.at++
		s = section{verb: verb, path: path}
		switch verb {
		case "add":
			s.text, err = p.added()
		case "update":
			if to, ok := p.head("Move to"); ok {
				s.move = to
				p.at++
			}
			s.hunks, err = p.hunks()
			if err == nil && len(s.hunks) == 0 && s.move == "" {
				err = p.wrong("the update of %s has no lines", path)
			}
		}
		return s, err
	}
	return s, p.wrong("%q: want *** Add File: path, *** Update File: path or *** Delete File: path", cut(p.lines[p.at], 80))
}

func (p *patchReader) added() (string, error) {
	var b strings.Builder
	for ; !p.over() && !strings.HasPrefix(p.lines[p.at], "*** "); p.at++ {
		l, ok := strings.CutPrefix(p.lines[p.at], "+")
		if !ok {
			if p.blankToNext() {
				break
			}
			return "", p.wrong("every line of a file that is added begins with +")
		}
		b.WriteString(l + "\n")
	}
	return b.String(), nil
}

// blankToNext says that nothing but empty lines comes before the next section.
func (p *patchReader) blankToNext() bool {
	for _, l := range p.lines[p.at:] {
		if strings.HasPrefix(l, "*** ") {
			return true
		}
		if l != "" {
			return false
		}
	}
	return true
}

// unified is what a diff has after @@: numbers, and a line from above the hunk.
var unified = regexp.MustCompile(`^@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@ ?(.*)$`)

func (p *patchReader) hunks() ([]hunk, error) {
	var all []hunk
	var h *hunk
	begin := func() {
		all = append(all, hunk{})
		h = &all[len(all)-1]
	}
	for ; !p.over(); p.at++ {
		l := p.lines[p.at]
		if strings.TrimSpace(l) == "*** End of File" && h != nil {
			h.end = true
			continue
		}
		if strings.HasPrefix(l, "*** ") {
			break
		}
		if strings.HasPrefix(l, "@@") {
			if h == nil || len(h.old)+len(h.new) > 0 {
				begin()
			}
			anchor := strings.TrimSpace(strings.TrimPrefix(l, "@@"))
			if m := unified.FindStringSubmatch(l); m != nil {
				anchor, h.loose = m[1], true
			}
			if anchor != "" {
				h.anchors = append(h.anchors, anchor)
			}
			continue
		}
		if l == "" && p.blankToNext() {
			continue
		}
		if h == nil {
			begin()
		}
		if h.end {
			return nil, p.wrong("nothing follows *** End of File but another @@ or file")
		}
		switch {
		case l == "":
			h.old, h.new = append(h.old, ""), append(h.new, "")
		case l[0] == ' ':
			h.old, h.new = append(h.old, l[1:]), append(h.new, l[1:])
		case l[0] == '-':
			h.old = append(h.old, l[1:])
		case l[0] == '+':
			h.new = append(h.new, l[1:])
		case strings.HasPrefix(l, `\ No newline`):
		default:
			return nil, p.wrong("%q begins with none of blank (stays), - (goes) and + (comes)", cut(l, 80))
		}
	}
	return all, nil
}
