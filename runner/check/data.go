package check

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"time"
)

var placeholder = regexp.MustCompile(`\{\{\s*([\w.-]+)\s*\}\}`)

// fill draws a value for each of data and puts it in place of {{its name}}.
// Values are new for every run, so that no application can know them.
func fill(steps []Step, data map[string]Datum, random io.Reader) ([]Step, error) {
	var seed [8]byte
	if _, err := io.ReadFull(random, seed[:]); err != nil {
		return nil, fmt.Errorf("draw data: %w", err)
	}
	r := rand.New(rand.NewPCG(binary.LittleEndian.Uint64(seed[:]), 0)) // #nosec G404 -- made-up data; the seed is what must not be known
	values := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(data)) {
		v, err := draw(r, data[name].Kind)
		if err != nil {
			return nil, fmt.Errorf("data %s: %w", name, err)
		}
		values[name] = v
	}
	var unknown []string
	put := func(s string) string {
		return placeholder.ReplaceAllStringFunc(s, func(m string) string {
			name := placeholder.FindStringSubmatch(m)[1]
			v, ok := values[name]
			if !ok {
				unknown = append(unknown, name)
			}
			return v
		})
	}
	filled := slices.Clone(steps)
	for i := range filled {
		s := &filled[i]
		s.Target, s.Value, s.Expected = put(s.Target), put(s.Value), put(s.Expected)
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("acceptance uses %s, which its data does not declare", list(unknown))
	}
	return filled, nil
}

func draw(r *rand.Rand, kind string) (string, error) {
	switch kind {
	case "word":
		return word(r, 3), nil
	case "name":
		return title(word(r, 2)) + " " + title(word(r, 3)), nil
	case "sentence":
		words := []string{title(word(r, 2))}
		for range 3 + r.IntN(3) {
			words = append(words, word(r, 1+r.IntN(3)))
		}
		return strings.Join(words, " "), nil
	case "number":
		return fmt.Sprint(100 + r.IntN(9900)), nil
	case "email":
		return word(r, 3) + "@" + word(r, 2) + ".example", nil
	case "date":
		return time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, r.IntN(36000)).Format(time.DateOnly), nil
	}
	return "", fmt.Errorf("%q is no kind of data: use word, name, sentence, number, email or date", kind)
}

// word makes up a word that can be pronounced and means nothing.
func word(r *rand.Rand, syllables int) string {
	const consonants, vowels = "bdfgklmnprstvz", "aeiou"
	var b strings.Builder
	for range syllables {
		b.WriteByte(consonants[r.IntN(len(consonants))])
		b.WriteByte(vowels[r.IntN(len(vowels))])
	}
	b.WriteByte(consonants[r.IntN(len(consonants))])
	return b.String()
}

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
