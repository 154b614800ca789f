package tool

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// mostOptions is how many places of a hunk are told apart by the hunks around it.
const mostOptions = 200

// patch makes all hunks in content, each where it alone can be meant, or none:
// by the ladder of edits, in whole lines, within the block that its @@ names,
// and where that leaves several places, by the order of the hunks.
func patch(content string, hunks []hunk) (string, edited, error) {
	open := content != "" && !strings.HasSuffix(content, "\n")
	now := content
	if open {
		now += "\n"
	}
	var done edited
	options := make([][]place, len(hunks))
	for i, h := range hunks {
		places, told, err := h.find(now)
		if err != nil {
			return content, edited{}, nth(i, len(hunks), err)
		}
		if told != "" {
			done.told = append(done.told, fmt.Sprintf("hunk %d: %s", i+1, told))
		}
		options[i] = places
	}
	chosen, err := choose(now, options)
	if err != nil {
		return content, edited{}, err
	}
	for i, p := range chosen {
		chosen[i] = tight(now, p)
	}
	slices.SortStableFunc(chosen, func(a, b place) int { return a.from - b.from })
	for i, p := range chosen {
		if i > 0 && chosen[i-1].to > p.from {
			return content, edited{}, fmt.Errorf("two hunks change line %d", lineAt(now, p.from))
		}
	}
	out, spans := replace(now, chosen)
	done.shift(spans)
	if open {
		out = strings.TrimSuffix(strings.TrimSuffix(out, "\n"), "\r")
	}
	return out, done, nil
}

func nth(i, n int, err error) error {
	return fmt.Errorf("hunk %d of %d (old is what it has with blank and -): %w", i+1, n, err)
}

// find is where a hunk may be meant: at least one place.
func (h hunk) find(content string) ([]place, string, error) {
	e := edit{Old: joined(h.old), New: joined(h.new)}
	if e.Old == e.New {
		return nil, "", errors.New("it changes nothing")
	}
	if len(h.old) == 0 {
		if content != "" && !h.end {
			return nil, "", errors.New("it only adds lines and does not say where: give a line that stands beside them, or *** End of File to append")
		}
		return []place{{len(content), len(content), e.New}}, "", nil
	}
	for _, r := range ladder {
		places := slices.DeleteFunc(r.find(content, e), func(p place) bool { return !whole(content, p) })
		if h.end {
			places = slices.DeleteFunc(places, func(p place) bool { return p.to != len(content) })
		}
		if len(places) == 0 {
			continue
		}
		places, told, err := h.within(content, places)
		return places, strings.Trim(r.told+"; "+told, "; "), err
	}
	return nil, "", miss(content, e)
}

func joined(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}

// whole says whether a place begins and ends with its lines.
func whole(content string, p place) bool {
	return (p.from == 0 || content[p.from-1] == '\n') && (p.to == 0 || content[p.to-1] == '\n')
}

// within keeps the places that stand in the block which the anchors name.
func (h hunk) within(content string, places []place) ([]place, string, error) {
	if len(h.anchors) == 0 {
		return places, "", nil
	}
	blocks, found := blocksOf(linesOf(content), h.anchors)
	if !found {
		if len(places) == 1 {
			return places, "the line after @@ is not in the file, and was not needed", nil
		}
		return nil, "", fmt.Errorf("%w; the line after @@ is not in the file", ambiguous(content, places))
	}
	in := func(p place, blocks [][2]int) bool {
		line := lineAt(content, p.from) - 1
		return slices.ContainsFunc(blocks, func(b [2]int) bool { return line >= b[0] && line <= b[1] })
	}
	var inside []place
	for _, p := range places {
		if in(p, blocks) {
			inside = append(inside, p)
		}
	}
	for i := range blocks {
		blocks[i][1] = len(content)
	}
	switch {
	case len(inside) > 0:
		return inside, "", nil
	case len(places) == 1 && (h.loose || in(places[0], blocks)):
		return places, "", nil
	case len(places) == 1:
		return nil, "", fmt.Errorf("old stands at line %d, before the line after @@", lineAt(content, places[0].from))
	}
	return nil, "", fmt.Errorf("%w; none is in the block of the line after @@", ambiguous(content, places))
}

// blocksOf are the first and last lines, from 0, of what stands below the
// anchors: each is a line, and its block is what is indented more, with the line
// that closes it.
func blocksOf(lines, anchors []string) (blocks [][2]int, found bool) {
	blocks = [][2]int{{0, len(lines) - 1}}
	for _, a := range anchors {
		var next [][2]int
		for _, is := range []func(l string) bool{
			func(l string) bool { return strings.TrimSpace(l) == strings.TrimSpace(a) },
			func(l string) bool { return strings.HasPrefix(strings.TrimSpace(l), strings.TrimSpace(a)) },
		} {
			for _, b := range blocks {
				for i := b[0]; i <= b[1]; i++ {
					if is(lines[i]) {
						next = append(next, [2]int{i, closing(lines, i)})
					}
				}
			}
			if len(next) > 0 {
				break
			}
		}
		if blocks = next; len(blocks) == 0 {
			return nil, false
		}
	}
	return blocks, true
}

// closing is the last line of the block that line i begins.
func closing(lines []string, i int) int {
	depth := func(l string) int { return len(l) - len(strings.TrimLeft(l, " \t")) }
	last := i
	for n := i + 1; n < len(lines); n++ {
		switch l := lines[n]; {
		case strings.TrimSpace(l) == "":
		case depth(l) > depth(lines[i]):
			last = n
		case depth(l) == depth(lines[i]) && (strings.ContainsRune("})]", rune(strings.TrimSpace(l)[0])) || strings.TrimSpace(l) == "end"):
			return n
		case depth(l) == depth(lines[i]) && strings.TrimSpace(l) == "{":
			last = n
		default:
			return last
		}
	}
	return last
}

// choose takes one place for each hunk: its only one, or the only one that the
// order of the hunks leaves.
func choose(content string, options [][]place) ([]place, error) {
	chosen := make([]place, len(options))
	several := -1
	for i, o := range options {
		if chosen[i] = o[0]; len(o) > 1 && several < 0 {
			several = i
		}
		if len(o) > mostOptions {
			return nil, nth(i, len(options), ambiguous(content, o))
		}
	}
	if several < 0 {
		return chosen, nil
	}
	// ways[i][k] is how many ways there are to place hunk i at its place k and
	// all after it in order, where two are as many as any.
	ways := make([][]int, len(options))
	for i := len(options) - 1; i >= 0; i-- {
		ways[i] = make([]int, len(options[i]))
		for k, p := range options[i] {
			if i == len(options)-1 {
				ways[i][k] = 1
				continue
			}
			for j, q := range options[i+1] {
				if q.from >= p.to {
					ways[i][k] = min(2, ways[i][k]+ways[i+1][j])
				}
			}
		}
	}
	at, all := 0, 0
	for _, n := range ways[0] {
		all += n
	}
	if all != 1 {
		return nil, nth(several, len(options), ambiguous(content, options[several]))
	}
	for i, o := range options {
		for k, p := range o {
			if ways[i][k] == 1 && p.from >= at {
				chosen[i], at = p, p.to
				break
			}
		}
	}
	return chosen, nil
}

// tight takes off the lines at both ends of a place that do not change, so that
// two hunks may share them.
func tight(content string, p place) place {
	for {
		old, _, ok := strings.Cut(content[p.from:p.to], "\n")
		if text, is := strings.CutPrefix(p.text, old+"\n"); ok && is {
			p.from, p.text = p.from+len(old)+1, text
			continue
		}
		break
	}
	for {
		old := content[p.from:p.to]
		last := old[strings.LastIndexByte(strings.TrimSuffix(old, "\n"), '\n')+1:]
		if text, is := strings.CutSuffix(p.text, last); last != "" && is && (text == "" || strings.HasSuffix(text, "\n")) {
			p.to, p.text = p.to-len(last), text
			continue
		}
		return p
	}
}
