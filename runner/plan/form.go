package plan

import (
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// A section is a heading and what stands below it.
type section struct {
	line    int // of the heading, from 1
	level   int // of the heading; 0: the text before the first one
	heading string
	body    string
}

var headingForm = pattern.MustCompile(`^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$`)

// sections splits Markdown at its headings; what looks like one in a block of
// code is none.
func sections(text string) []section {
	all := []section{{line: 1}}
	fence, n := "", 0
	for raw := range strings.Lines(text) {
		n++
		line := strings.TrimRight(raw, "\r\n")
		at := &all[len(all)-1]
		mark := fenceOf(line)
		switch {
		case fence == "" && mark != "":
			fence = mark
		case fence != "" && strings.HasPrefix(mark, fence) && strings.Trim(line, " `~\t") == "":
			fence = ""
		case fence == "":
			if m := headingForm.FindStringSubmatch(line); m != nil {
				all = append(all, section{line: n, level: len(m[1]), heading: m[2]})
				continue
			}
		}
		at.body += line + "\n"
	}
	return all
}

// fenceOf is the mark with which a line begins or ends a block of code.
func fenceOf(line string) string {
	line = strings.TrimLeft(line, " ")
	for _, c := range []string{"`", "~"} {
		if rest := strings.TrimLeft(line, c); len(line)-len(rest) >= 3 {
			return line[:len(line)-len(rest)]
		}
	}
	return ""
}

// noResponse is what GitHub writes where a field of a form was left empty.
const noResponse = "_No response_"

// form reads the body of an issue that a form was filled in for: a heading of
// the third level for each field, and nothing else. ok is false of any other.
func form(body string) (fields []section, ok bool) {
	all := sections(body)
	if len(all) < 2 || strings.TrimSpace(all[0].body) != "" {
		return nil, false
	}
	for _, s := range all[1:] {
		switch {
		case s.level == 3:
			s.body = answer(s.body)
			fields = append(fields, s)
		case len(fields) == 0:
			return nil, false
		default: // a heading within an answer
			last := &fields[len(fields)-1]
			last.body += "\n\n" + strings.Repeat("#", max(3, s.level)) + " " + s.heading + "\n\n" + strings.TrimSpace(s.body)
		}
	}
	return fields, true
}

// answer is what a field of a form says, "" where it was left empty. Of boxes
// to tick those count that are.
func answer(body string) string {
	body = strings.TrimSpace(body)
	if body == noResponse {
		return ""
	}
	var kept []string
	for line := range strings.Lines(body) {
		line = strings.TrimRight(line, "\r\n")
		box := strings.TrimLeft(line, " ")
		switch {
		case strings.HasPrefix(box, "- [ ]"):
			continue
		case strings.HasPrefix(box, "- [x]"), strings.HasPrefix(box, "- [X]"):
			line = "- " + strings.TrimSpace(box[len("- [x]"):])
		}
		kept = append(kept, line)
	}
	return strings.TrimSpace(strings.Join(kept, "\n"))
}

// answered is an issue as it is read: where a form was filled in, each question
// with its answer, and those that were not answered named as such.
func answered(text string) string {
	title, body, _ := strings.Cut(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	fields, ok := form(body)
	if !ok {
		return text
	}
	var b strings.Builder
	b.WriteString(title + "\n")
	for _, f := range fields {
		b.WriteString("\n## " + f.heading + "\n\n")
		if f.body == "" {
			b.WriteString("(not answered)\n")
			continue
		}
		b.WriteString(f.body + "\n")
	}
	return b.String()
}

// unanswered are the questions of a form that were left empty.
func unanswered(text string) []string {
	var open []string
	for _, s := range sections(text) {
		if strings.TrimSpace(s.body) == "(not answered)" {
			open = append(open, s.heading)
		}
	}
	return open
}
