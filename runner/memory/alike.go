package memory

import (
	"cmp"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// particular is what two texts about the same thing differ in: directories,
// line numbers, hashes, times.
var particular = regexp.MustCompile(`(?:file://)?(?:/[\w.@+~-]+)+/|\b\d{4}-\d\d-\d\d[T ]?[\d:.Z]*|0x[0-9a-fA-F]+|\b[0-9a-f]{7,}\b|:\d+(?::\d+)?|\b\d+(?:\.\d+)*\b`)

// key is a text without what is particular about it.
func key(text string) string {
	return strings.Join(strings.Fields(strings.ToLower(particular.ReplaceAllString(text, " "))), " ")
}

// common words tell nothing.
var common = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq("the and that this with for are was not but can its has have from into which when then than all one any each per via error errors test tests file files exit line lines at add") {
		m[w] = true
	}
	return m
}()

// words are the telling words of a text: names are taken apart at their humps.
func words(text string) map[string]bool {
	out := map[string]bool{}
	var w []rune
	flush := func() {
		if s := strings.ToLower(string(w)); len(w) > 2 && !common[s] {
			out[s] = true
		}
		w = w[:0]
	}
	before := ' '
	for _, r := range particular.ReplaceAllString(text, " ") {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			flush()
		case unicode.IsUpper(r) && unicode.IsLower(before):
			flush()
			w = append(w, r)
		default:
			w = append(w, r)
		}
		before = r
	}
	flush()
	return out
}

// overlap is which part of the words of the smaller set is in the other too.
func overlap(a, b map[string]bool) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	n := 0
	for w := range a {
		if b[w] {
			n++
		}
	}
	return float64(n) / float64(min(len(a), len(b)))
}

// alike are the entries that share words with the query, the most alike first,
// then the most used, then the newest. A word that few have counts for more.
func alike(all []Entry, query map[string]bool, most int, always bool) []int {
	sets := make([]map[string]bool, len(all))
	have := map[string]int{}
	for i, e := range all {
		sets[i] = words(e.Text + " " + e.Fix + " " + e.Feature)
		for w := range sets[i] {
			have[w]++
		}
	}
	type rank struct {
		i     int
		score float64
	}
	var ranks []rank
	asked := slices.Sorted(maps.Keys(query)) // in order: sums of floats depend on it
	for i := range all {
		score := 0.0
		for _, w := range asked {
			if sets[i][w] {
				score += math.Log(1 + float64(len(all))/float64(have[w]))
			}
		}
		if score > 0 || always {
			ranks = append(ranks, rank{i, score / math.Sqrt(float64(len(sets[i])+1))})
		}
	}
	slices.SortStableFunc(ranks, func(a, b rank) int {
		used := func(r rank) int { return all[r.i].Seen + all[r.i].Hits }
		return cmp.Or(-cmp.Compare(a.score, b.score), -cmp.Compare(used(a), used(b)), -cmp.Compare(a.i, b.i))
	})
	var out []int
	for _, r := range ranks[:min(most, len(ranks))] {
		out = append(out, r.i)
	}
	return out
}
