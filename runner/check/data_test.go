package check

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"unicode/utf8"
)

// Every kind draws what its name says, and something else each time.
func TestKindsOfData(t *testing.T) {
	form := map[string]string{
		"word":     `^[a-z]{7}$`,
		"name":     `^[A-Z][a-z]+ [A-Z][a-z]+$`,
		"sentence": `^[A-Z][a-z]+( [a-z]+){3,5}$`,
		"unicode":  `^\S*[^ -~]\S* \p{Greek}+ \p{Cyrillic}+ \p{Han}+ \p{So}+$`,
		"email":    `^[a-z]+@[a-z]+\.example$`,
		"url":      `^https://[a-z]+\.example/[a-z]+\?[a-z]+=\d+$`,
		"password": `^[A-Z][a-z]+[-_.!*][a-z]+\d{3}$`,
		"number":   `^\d{3,4}$`,
		"integer":  `^[1-9]\d{0,5}$`,
		"decimal":  `^\d{1,4}\.\d[1-9]$`,
		"date":     `^2\d{3}-\d\d-\d\d$`,
		"time":     `^([01]\d|2[0-3]):[0-5]\d$`,
	}
	for _, kind := range kinds {
		want := regexp.MustCompile(form[kind])
		seen := map[string]bool{}
		for seed := range 50 {
			steps, err := fill([]Step{{Value: "{{x}}"}}, map[string]Datum{"x": {Kind: kind}}, seeded(byte(seed)))
			if err != nil {
				t.Fatal(err)
			}
			v := steps[0].Value
			if !want.MatchString(v) || !utf8.ValidString(v) || form[kind] == "" {
				t.Errorf("%s: %s", kind, v)
			}
			seen[v] = true
		}
		if len(seen) < 40 {
			t.Errorf("%s: only %d of 50 differ", kind, len(seen))
		}
	}
}

func TestRangesOfData(t *testing.T) {
	for _, kind := range []string{"number", "integer", "decimal"} {
		seen := map[int]bool{}
		for seed := range 100 {
			steps, err := fill([]Step{{Value: "{{x}}"}}, map[string]Datum{"x": {Kind: kind, Min: -1, Max: 2}}, seeded(byte(seed)))
			if err != nil {
				t.Fatal(err)
			}
			v, err := strconv.ParseFloat(steps[0].Value, 64)
			if err != nil || v < -2 || v >= 3 {
				t.Errorf("%s: %v %v", kind, steps, err)
			}
			seen[int(v+10)] = true
		}
		if len(seen) < 4 {
			t.Errorf("%s: %s", kind, fmt.Sprint(seen))
		}
	}
}
