package tool

import (
	"bytes"
	"regexp/syntax"
	"slices"
	"strings"
)

// A need is what a text must hold for a pattern to match: one of some words. No
// words: nothing is known.
type need struct {
	words []string
	fold  bool // in any case
}

// mostWords is how many words are looked for at once.
const mostWords = 8

// needs finds what the matches of a pattern have in common.
func needs(pattern string) need {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return need{}
	}
	return needed(re.Simplify())
}

func needed(re *syntax.Regexp) need {
	switch re.Op { //nolint:exhaustive // of all others nothing is known
	case syntax.OpLiteral:
		return need{[]string{string(re.Rune)}, re.Flags&syntax.FoldCase != 0}
	case syntax.OpCapture, syntax.OpPlus:
		return needed(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return needed(re.Sub[0])
		}
	case syntax.OpConcat:
		var best need
		for _, sub := range re.Sub {
			if n := needed(sub); n.worth() > best.worth() {
				best = n
			}
		}
		return best
	case syntax.OpAlternate:
		var all need
		for _, sub := range re.Sub {
			n := needed(sub)
			if len(n.words) == 0 {
				return need{}
			}
			all.words, all.fold = append(all.words, n.words...), all.fold || n.fold
		}
		if len(all.words) <= mostWords {
			return all
		}
	}
	return need{}
}

// worth is the length of the shortest word: the longer, the fewer texts hold it.
func (n need) worth() int {
	if len(n.words) == 0 {
		return 0
	}
	return len(slices.MinFunc(n.words, func(a, b string) int { return len(a) - len(b) }))
}

// A sieve says quickly which texts a pattern cannot match.
type sieve struct {
	words [][]byte
	fold  bool
	low   []byte // room for a text in small letters
}

func (n need) sieve() *sieve {
	s := &sieve{fold: n.fold}
	for _, w := range n.words {
		if n.fold {
			// K and S have further forms beyond ASCII, all other letters of ASCII
			// have not; a word with other letters is left to the pattern itself.
			if strings.ContainsAny(w, "kKsS") || strings.IndexFunc(w, func(r rune) bool { return r >= 0x80 }) >= 0 {
				return &sieve{}
			}
			w = strings.ToLower(w)
		}
		s.words = append(s.words, []byte(w))
	}
	return s
}

// passes says whether the pattern may match somewhere in text.
func (s *sieve) passes(text []byte) bool {
	if len(s.words) == 0 {
		return true
	}
	if s.fold {
		s.low = append(s.low[:0], text...)
		for i, c := range s.low {
			if 'A' <= c && c <= 'Z' {
				s.low[i] = c + 'a' - 'A'
			}
		}
		text = s.low
	}
	return slices.ContainsFunc(s.words, func(w []byte) bool { return bytes.Contains(text, w) })
}
