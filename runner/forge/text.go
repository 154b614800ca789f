package forge

import (
	"strings"
	"unicode/utf8"
)

const (
	bodyLimit    = 65_536    // of a comment or a pull request; GitHub counts characters, this is bytes and never more
	summaryLimit = 1_000_000 // GitHub drops a summary of more than 1 MiB
)

// marker begins what the loop writes, so that it is found again. People do not
// see it.
func marker(lineage string) string { return "<!-- autonomous-loop:" + lineage + " -->" }

// endMarker ends the loop's part of a text that people may add to.
const endMarker = "<!-- /autonomous-loop -->"

// fit cuts text down to limit bytes, at the end of a line, and says so. What
// Markdown leaves open there is closed.
func fit(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const note = "\n\n*The rest is cut off here: it is too long for this place.*\n"
	const room = 200 // for what must be closed
	cut := text[:max(0, limit-len(note)-room)]
	for len(cut) > 0 && !utf8.RuneStart(text[len(cut)]) {
		cut = cut[:len(cut)-1]
	}
	if i := strings.LastIndexByte(cut, '\n'); i > 0 {
		cut = cut[:i]
	}
	if strings.LastIndex(cut, "<!--") > strings.LastIndex(cut, "-->") {
		cut = cut[:strings.LastIndex(cut, "<!--")]
	}
	fence, open := "", 0
	for line := range strings.Lines(cut) {
		line = strings.TrimSpace(line)
		mark := fenceOf(line)
		switch {
		case fence == "" && mark != "":
			fence = mark
		case fence != "" && mark != "" && strings.HasPrefix(mark, fence) && line == mark:
			fence = ""
		case fence == "":
			open += strings.Count(line, "<details") - strings.Count(line, "</details")
		}
	}
	if fence != "" {
		cut += "\n" + fence
	}
	const most = 5 // deeper ones are left open: a page survives that
	cut += strings.Repeat("\n</details>", min(max(0, open), most))
	return cut + note
}

// fenceOf is the run of back-ticks or tildes that makes line a fence, "" if it
// is none.
func fenceOf(line string) string {
	for _, c := range []string{"`", "~"} {
		if n := len(line) - len(strings.TrimLeft(line, c)); n >= 3 && n <= 20 {
			return line[:n]
		}
	}
	return ""
}

// section puts text between the loop's marks into old, in place of what stood
// between them, and leaves alone what people wrote around them.
func section(old, lineage, text string) string {
	begin := marker(lineage)
	before, rest, ok := strings.Cut(old, begin)
	if !ok {
		before, rest = "", ""
	}
	_, after, _ := strings.Cut(rest, endMarker)
	frame := before + begin + "\n" + "\n" + endMarker + after
	return before + begin + "\n" + fit(text, max(0, bodyLimit-len(frame))) + "\n" + endMarker + after
}

// same says whether GitHub shows two texts alike. It may hand back line ends
// other than those that it was given.
func same(a, b string) bool {
	plain := func(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")) }
	return plain(a) == plain(b)
}
