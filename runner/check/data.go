package check

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

var placeholder = pattern.MustCompile(`\{\{\s*([\w.-]+)\s*\}\}`)

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
		v, err := draw(r, data[name])
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

// kinds are what draw knows, in the order of the feature list's schema.
var kinds = []string{"word", "name", "sentence", "unicode", "email", "url", "password", "number", "integer", "decimal", "date", "time"}

func draw(r *rand.Rand, d Datum) (string, error) {
	switch d.Kind {
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
	case "unicode":
		// Of each script a few letters: whoever cuts bytes or counts them is found out.
		return strings.Join([]string{title(word(r, 1)) + letters(r, "äöüéñøçß"), letters(r, "αβγδεζηθ"), letters(r, "бгджилфя"), letters(r, "日本語漢字書店春"), letters(r, "😀🎉📚🚀🌍")}, " "), nil
	case "email":
		return word(r, 3) + "@" + word(r, 2) + ".example", nil
	case "url":
		return "https://" + word(r, 3) + ".example/" + word(r, 2) + "?" + word(r, 1) + "=" + strconv.Itoa(r.IntN(1000)), nil
	case "password":
		return title(word(r, 3)) + string("-_.!*"[r.IntN(5)]) + word(r, 2) + strconv.Itoa(100+r.IntN(900)), nil
	case "number":
		return strconv.Itoa(between(r, d, 100, 9999)), nil
	case "integer":
		return strconv.Itoa(between(r, d, 1, 999999)), nil
	case "decimal":
		// The last digit is none that is left out in writing: 3.5, never 3.50.
		return fmt.Sprintf("%d.%d%d", between(r, d, 1, 9999), r.IntN(10), 1+r.IntN(9)), nil
	case "date":
		return time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, r.IntN(36000)).Format(time.DateOnly), nil
	case "time":
		return fmt.Sprintf("%02d:%02d", r.IntN(24), r.IntN(60)), nil
	}
	return "", fmt.Errorf("%q is no kind of data: use %s", d.Kind, strings.Join(kinds, ", "))
}

// between draws from d's range or, where it has none, from low to high.
func between(r *rand.Rand, d Datum, low, high int) int {
	if d.Min != 0 || d.Max != 0 {
		low, high = d.Min, max(d.Min, d.Max)
	}
	return low + r.IntN(high-low+1)
}

// letters draws a few of the alphabet.
func letters(r *rand.Rand, alphabet string) string {
	all := []rune(alphabet)
	b := make([]rune, 2+r.IntN(3))
	for i := range b {
		b[i] = all[r.IntN(len(all))]
	}
	return string(b)
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
