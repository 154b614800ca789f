package tool

import (
	"errors"
	"fmt"
	"strings"
)

// alike is how similar a region must be to be shown as the nearest.
const alike = 0.6

// mostSkipped is how many lines in a row of a region old may lack.
const mostSkipped = 2

// miss says that old was not found, and shows what the model may have meant.
// Nothing is ever applied by likeness.
func miss(content string, e edit) error {
	text := "old was not found"
	if at := strings.Index(toLF(content), toLF(e.New)); at >= 0 && len(strings.TrimSpace(e.New)) >= 8 {
		text += fmt.Sprintf("; new is there already, at line %d: this may have been applied", lineAt(toLF(content), at))
	}
	lines, old := linesOf(content), linesOf(toLF(e.Old))
	first, score := nearest(lines, old)
	if score < alike {
		return errors.New(text + ", and nothing in the file is much like it. Read the file and copy old from it.")
	}
	const around, most = 5, 40
	last := min(first+len(old)+around, len(lines))
	shown, _ := numbered(lines, max(1, first+1-around), min(last, first+most), 6<<10)
	return fmt.Errorf("%s. The nearest is at line %d; copy old from the file as it is, without the numbers:\n%s", text, first+1, strings.TrimSuffix(shown, "\n"))
}

// nearest is the index of the first of the lines that are most like old, and
// how much, from 0 to 1.
func nearest(lines, old []string) (first int, score float64) {
	const most = 2_000_000 // comparisons
	plain := func(ls []string) (out []string) {
		for _, l := range ls {
			out = append(out, strings.TrimSpace(l))
		}
		return out
	}
	file, want := plain(lines), plain(old)
	compare := likeness()
	if len(file)*len(want) > most {
		compare = func(a, b string) float64 {
			if a == b {
				return 1
			}
			return 0
		}
	}
	for i := range file {
		sum, n, at := 0.0, 0, i
		for _, w := range want {
			if w == "" {
				continue
			}
			n++
			// Lines that old has too many, or too few, do not spoil what follows.
			for skip := range min(mostSkipped+1, len(file)-at) {
				if like := compare(file[at+skip], w); like >= alike || skip == 0 && i == at {
					sum += like
					at += skip + 1
					break
				}
			}
		}
		if n > 0 && sum/float64(n) > score {
			first, score = i, sum/float64(n)
		}
	}
	return first, score
}

// likeness compares lines by the pairs of bytes that they share (Dice), and
// remembers the pairs of each.
func likeness() func(a, b string) float64 {
	type pairs map[[2]byte]int
	known := map[string]pairs{}
	of := func(s string) pairs {
		p, ok := known[s]
		if !ok {
			p = pairs{}
			for i := range max(0, min(len(s), 400)-1) {
				p[[2]byte{s[i], s[i+1]}]++
			}
			known[s] = p
		}
		return p
	}
	return func(a, b string) float64 {
		if a == b {
			return 1
		}
		if la, lb := len(a), len(b); la < 2 || lb < 2 || la > 3*lb || lb > 3*la {
			return 0
		}
		pa, pb := of(a), of(b)
		both := 0
		for k, n := range pa {
			both += min(n, pb[k])
		}
		return 2 * float64(both) / float64(min(len(a), 400)+min(len(b), 400)-2)
	}
}
