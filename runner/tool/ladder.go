package tool

import (
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// exact finds old as it stands, overlapping occurrences included: they make it
// ambiguous too.
func exact(content string, e edit) []place {
	text := e.New
	if crlf(content) && !bare(e.Old) && bare(text) {
		text = toCRLF(text) // new lines get the ends that all others have
	}
	var places []place
	for at := 0; len(places) < mostPlaces; {
		i := strings.Index(content[at:], e.Old)
		if i < 0 {
			break
		}
		places = append(places, place{at + i, at + i + len(e.Old), text})
		at += i + 1
	}
	return places
}

// crlf says whether every line of a text ends in CRLF, and there is one.
func crlf(s string) bool { return strings.Contains(s, "\r\n") && !bare(s) }

// bare says whether a line of a text ends in LF alone.
func bare(s string) bool { return strings.Count(s, "\n") > strings.Count(s, "\r\n") }

func toLF(s string) string   { return strings.ReplaceAll(s, "\r\n", "\n") }
func toCRLF(s string) string { return strings.ReplaceAll(toLF(s), "\n", "\r\n") }

// endings finds old with CRLF and LF taken as the same.
func endings(content string, e edit) []place {
	if !strings.Contains(content, "\r\n") && !strings.Contains(e.Old, "\r\n") {
		return nil
	}
	var dropped []int // where in the folded text a CR is missing: before these
	var b strings.Builder
	for i := 0; i < len(content); i++ {
		if content[i] == '\r' && i+1 < len(content) && content[i+1] == '\n' {
			dropped = append(dropped, b.Len())
			continue
		}
		b.WriteByte(content[i])
	}
	before := func(at int) int { return at + sort.SearchInts(dropped, at) }
	places := exact(b.String(), edit{Old: toLF(e.Old), New: toLF(e.New)})
	for i, p := range places {
		p.from, p.to = before(p.from), before(p.to)
		p.text = like(content, p, p.text)
		places[i] = p
	}
	return places
}

// like gives text the line ends of the place it goes to, or of the file.
func like(content string, p place, text string) string {
	region := content[p.from:p.to]
	if !strings.Contains(region, "\n") {
		region = content
	}
	if crlf(region) {
		return toCRLF(text)
	}
	return toLF(text)
}

// A reading says whether lines of a file are what old means, and what new means
// there.
type reading func(file, old, news []string) ([]string, bool)

// blocks finds old as whole lines by a reading of them.
func blocks(content string, e edit, read reading) []place {
	old, endsLine := strings.CutSuffix(toLF(e.Old), "\n")
	news, newEnds := strings.CutSuffix(toLF(e.New), "\n")
	want, repl := strings.Split(old, "\n"), strings.Split(news, "\n")
	if strings.TrimSpace(old) == "" {
		return nil // blank lines are everywhere
	}
	starts, lines := []int{0}, linesOf(content)
	for i := range len(content) {
		if content[i] == '\n' {
			starts = append(starts, i+1)
		}
	}
	var places []place
	for i := 0; i+len(want) <= len(lines) && len(places) < mostPlaces; i++ {
		got, ok := read(lines[i:i+len(want)], want, repl)
		if !ok {
			continue
		}
		last := i + len(want) - 1
		p := place{from: starts[i], to: starts[last] + len(lines[last])}
		text := strings.Join(got, "\n")
		if endsLine && last+1 < len(starts) {
			p.to = starts[last+1]
		}
		if newEnds {
			text += "\n"
		}
		p.text = like(content, p, text)
		places = append(places, p)
	}
	return places
}

// same compares lines after fold, and keeps the file's own lines where new
// repeats them.
func same(fold func(string) string) reading {
	return func(file, old, news []string) ([]string, bool) {
		for i := range old {
			if fold(file[i]) != fold(old[i]) {
				return nil, false
			}
		}
		out := slices.Clone(news)
		for i, l := range out {
			if k := slices.Index(old, l); k >= 0 {
				out[i] = file[k]
			}
		}
		return out, true
	}
}

// trailing finds whole lines with blanks at their ends not compared.
func trailing(content string, e edit) []place {
	return blocks(content, e, same(func(l string) string { return strings.TrimRight(l, " \t\r") }))
}

// folded finds whole lines with typographic marks taken as plain ones.
func folded(content string, e edit) []place {
	return blocks(content, e, same(func(l string) string { return strings.TrimRight(plainMarks.Replace(l), " \t\r") }))
}

var plainMarks = strings.NewReplacer(
	"‘", "'", "’", "'", "‚", "'", "‛", "'",
	"“", `"`, "”", `"`, "„", `"`, "‟", `"`,
	"‐", "-", "‑", "-", "‒", "-", "–", "-", "—", "-", "―", "-", "−", "-",
	"\u00a0", " ", "\u2002", " ", "\u2003", " ", "\u2007", " ", "\u2009", " ", "\u202f", " ", "\u3000", " ",
)

// unquoted finds old without the line numbers that read_file shows, or without
// one level of escapes too many.
func unquoted(content string, e edit) []place {
	for _, strip := range []func(edit) (edit, bool){unnumbered, unescaped} {
		plain, ok := strip(e)
		if !ok || plain.Old == "" {
			continue
		}
		for _, find := range []func(string, edit) []place{exact, endings, trailing} {
			if places := find(content, plain); len(places) > 0 {
				return places
			}
		}
	}
	return nil
}

var lineNumber = regexp.MustCompile(`^ *(\d+)\t`)

// unnumbered takes consecutive line numbers off old, and off new if all of its
// lines have some.
func unnumbered(e edit) (edit, bool) {
	old, n := numbers(e.Old)
	if n != all {
		return e, false
	}
	e.Old = old
	switch text, n := numbers(e.New); n {
	case all:
		e.New = text
	case some:
		return e, false
	}
	return e, true
}

// How many lines of a text are numbered.
const (
	none = iota
	some
	all
)

// numbers takes the line numbers off a text. The numbers of a text that was
// copied are consecutive; in one that was edited they need not be.
func numbers(s string) (string, int) {
	lines := strings.Split(s, "\n")
	have, want := 0, 0
	prev := -1
	for i, l := range lines {
		if l == "" && i == len(lines)-1 {
			continue
		}
		want++
		m := lineNumber.FindStringSubmatch(l)
		if m == nil {
			continue
		}
		n, err := strconv.Atoi(m[1])
		if err != nil || n <= prev {
			continue
		}
		prev = n
		have++
		lines[i] = l[len(m[0]):]
	}
	switch {
	case have == 0:
		return s, none
	case have < want:
		return s, some
	}
	return strings.Join(lines, "\n"), all
}

// unescaped takes one level of escapes off old and new. A new that is not
// escaped the way old is has two readings.
func unescaped(e edit) (edit, bool) {
	old, ok := unescape(e.Old)
	if !ok || old == e.Old {
		return e, false
	}
	text, ok := unescape(e.New)
	if !ok ||
		strings.Contains(e.Old, `\n`) && strings.Contains(e.New, "\n") ||
		strings.Contains(e.Old, `\"`) && strings.Count(e.New, `"`) > strings.Count(e.New, `\"`) {
		return e, false
	}
	return edit{Old: old, New: text, All: e.All}, true
}

func unescape(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if i == len(s) {
			return "", false
		}
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case '"', '\\', '/':
			b.WriteByte(s[i])
		default:
			return "", false
		}
	}
	return b.String(), true
}

// shifted finds whole lines whose indentation differs from old's by one shift:
// the same blanks added to or taken from every line, or so many spaces for a
// tab. New is shifted likewise, and refused if it cannot be.
func shifted(content string, e edit) []place {
	return blocks(content, e, func(file, old, news []string) ([]string, bool) {
		move, ok := shiftOf(file, old)
		if !ok {
			return nil, false
		}
		out := make([]string, len(news))
		for i, l := range news {
			if strings.TrimSpace(l) == "" {
				out[i] = ""
				continue
			}
			if out[i], ok = move(l); !ok {
				return nil, false
			}
		}
		return out, true
	})
}

// shiftOf is the one shift that makes old's indentation the file's.
func shiftOf(file, old []string) (func(string) (string, bool), bool) {
	var have, want [][2]string // indentation and rest
	for i := range old {
		f, o := indent(file[i]), indent(old[i])
		if f[1] != o[1] {
			return nil, false
		}
		if o[1] != "" {
			have, want = append(have, o), append(want, f)
		}
	}
	for _, move := range []func(string) (string, bool){
		added(have[0][0], want[0][0]), removed(have[0][0], want[0][0]), units(have, want),
	} {
		if move == nil {
			continue
		}
		fits := true
		for i := range have {
			moved, ok := move(have[i][0])
			fits = fits && ok && moved == want[i][0]
		}
		if fits {
			return func(l string) (string, bool) {
				parts := indent(l)
				moved, ok := move(parts[0])
				return moved + l[len(parts[0]):], ok
			}, true
		}
	}
	return nil, false
}

// indent parts a line into its indentation and the rest, blanks at the end
// left out.
func indent(l string) [2]string {
	rest := strings.TrimLeft(l, " \t")
	return [2]string{l[:len(l)-len(rest)], strings.TrimRight(rest, " \t\r")}
}

func added(have, want string) func(string) (string, bool) {
	more, ok := strings.CutSuffix(want, have)
	if !ok || more == "" {
		return nil
	}
	return func(in string) (string, bool) { return more + in, true }
}

func removed(have, want string) func(string) (string, bool) {
	less, ok := strings.CutSuffix(have, want)
	if !ok || less == "" {
		return nil
	}
	return func(in string) (string, bool) { return strings.CutPrefix(in, less) }
}

// units turns so many spaces into one tab, or one tab into so many spaces.
func units(have, want [][2]string) func(string) (string, bool) {
	for i := range have {
		h, w := have[i][0], want[i][0]
		if h == "" || w == "" {
			continue
		}
		switch {
		case strings.Trim(h, " ") == "" && strings.Trim(w, "\t") == "" && len(h)%len(w) == 0:
			unit := strings.Repeat(" ", len(h)/len(w))
			return func(in string) (string, bool) {
				return strings.Repeat("\t", len(in)/len(unit)), strings.Trim(in, " ") == "" && len(in)%len(unit) == 0
			}
		case strings.Trim(h, "\t") == "" && strings.Trim(w, " ") == "" && len(w)%len(h) == 0:
			unit := strings.Repeat(" ", len(w)/len(h))
			return func(in string) (string, bool) {
				return strings.Repeat(unit, len(in)), strings.Trim(in, "\t") == ""
			}
		}
		return nil
	}
	return nil
}
