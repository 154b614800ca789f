package tool

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// An edit replaces old text by new.
type edit struct {
	Old string `json:"old"`
	New string `json:"new"`
	All bool   `json:"all"`
}

// A place is where an edit applies: content[from:to] becomes text.
type place struct {
	from, to int
	text     string
}

// mostPlaces is how many places are looked for. Nobody means to change more.
const mostPlaces = 10_000

// A rung is one way to read what an edit's old means in a file. An edit is
// applied by the first rung that finds it, and only if it finds it once or all
// are meant: looser rungs find at least as much. No rung goes by similarity,
// which finds the wrong place as readily as the right one.
type rung struct {
	told string // to the model, "" for the exact one
	find func(content string, e edit) []place
}

var ladder = []rung{
	{"", exact},
	{"its line ends (CRLF or LF) were taken as the file's", endings},
	{"blanks at the ends of lines were not compared", trailing},
	{"line numbers or a doubled level of escapes were taken off", unquoted},
	{"its indentation differed by one constant shift, and new was shifted likewise", shifted},
	{"typographic quotes, dashes and blanks were compared as plain ones", folded},
}

// edited is what apply did.
type edited struct {
	spans [][2]int // of new text in the result, in order
	told  []string
}

// apply makes all edits in order, or none: with an error content is what it was.
func apply(content string, edits []edit) (string, edited, error) {
	var done edited
	now := content
	for i, e := range edits {
		next, told, spans, err := one(now, e)
		if err != nil {
			if len(edits) > 1 {
				err = fmt.Errorf("edit %d of %d: %w", i+1, len(edits), err)
			}
			return content, edited{}, err
		}
		if told != "" {
			done.told = append(done.told, fmt.Sprintf("edit %d: %s", i+1, told))
		}
		done.shift(spans)
		now = next
	}
	return now, done, nil
}

// one makes one edit and says how it was read and which parts are new.
func one(content string, e edit) (string, string, []span, error) {
	switch e.Old {
	case "":
		return "", "", nil, errors.New("old is empty; to make a file use write_file, to insert give a neighbouring line as old and repeat it in new")
	case e.New:
		return "", "", nil, errors.New("old and new are the same")
	}
	for _, r := range ladder {
		places := r.find(content, e)
		if len(places) == 0 {
			continue
		}
		if len(places) > 1 && !e.All {
			return "", "", nil, ambiguous(content, places)
		}
		if len(places) >= mostPlaces {
			return "", "", nil, fmt.Errorf("old occurs %d times or more", mostPlaces)
		}
		out, spans := replace(content, places)
		return out, r.told, spans, nil
	}
	return "", "", nil, miss(content, e)
}

// A span is a replaced part: where it was, and how long the new text is.
type span struct{ from, to, length int }

// replace puts the texts in their places, the first of two that overlap.
func replace(content string, places []place) (string, []span) {
	slices.SortStableFunc(places, func(a, b place) int { return a.from - b.from })
	var b strings.Builder
	var spans []span
	at := 0
	for _, p := range places {
		if p.from < at {
			continue
		}
		b.WriteString(content[at:p.from])
		b.WriteString(p.text)
		spans = append(spans, span{p.from, p.to, len(p.text)})
		at = p.to
	}
	b.WriteString(content[at:])
	return b.String(), spans
}

// shift moves the spans known so far by what an edit changed before them, and
// adds the edit's own.
func (d *edited) shift(spans []span) {
	moved := func(at int) int {
		delta := 0
		for _, s := range spans {
			switch {
			case s.to <= at:
				delta += s.length - (s.to - s.from)
			case s.from < at: // within what was replaced
				return s.from + delta + min(at-s.from, s.length)
			}
		}
		return at + delta
	}
	for i, s := range d.spans {
		d.spans[i] = [2]int{moved(s[0]), moved(s[1])}
	}
	delta := 0
	for _, s := range spans {
		d.spans = append(d.spans, [2]int{s.from + delta, s.from + delta + s.length})
		delta += s.length - (s.to - s.from)
	}
}

// tell shows the new text in its place, with the lines around it.
func (d edited) tell(content string) string {
	const around, most, bytes = 3, 60, 6 << 10
	lines := linesOf(content)
	show := map[int]bool{}
	for _, s := range d.spans {
		first, last := lineAt(content, s[0]), lineAt(content, max(s[0], s[1]-1))
		for n := max(1, first-around); n <= min(len(lines), last+around) && len(show) < most; n++ {
			show[n] = true
		}
	}
	var b strings.Builder
	for _, t := range d.told {
		b.WriteString(t + "\n")
	}
	last := 0
	for n := 1; n <= len(lines); n++ {
		if !show[n] {
			continue
		}
		if n > last+1 && last > 0 {
			b.WriteString("…\n")
		}
		text, _ := numbered(lines, n, n, bytes)
		b.WriteString(text)
		if last = n; b.Len() > bytes {
			break
		}
	}
	if len(show) >= most || b.Len() > bytes {
		b.WriteString("[more was changed than is shown]\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// lineAt is the line of content that holds the byte at, counted from 1.
func lineAt(content string, at int) int {
	return strings.Count(content[:min(at, len(content))], "\n") + 1
}

func ambiguous(content string, places []place) error {
	var at []string
	for _, p := range places[:min(len(places), 8)] {
		at = append(at, fmt.Sprint(lineAt(content, p.from)))
	}
	if len(places) > len(at) {
		at = append(at, "…")
	}
	n := fmt.Sprint(len(places))
	if len(places) >= mostPlaces {
		n += " or more"
	}
	return fmt.Errorf("old occurs %s times, at lines %s: add lines around it until it is unique, or set all", n, strings.Join(at, ", "))
}
