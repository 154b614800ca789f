package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/internal/faults"
)

// matrix is how many kinds of faults the design names, by the letter of their
// table in docs/reliability.md: GitHub's API, the model, git, artifacts, browser
// and application, runner.
var matrix = map[string]int{"G": 17, "M": 18, "T": 16, "A": 1, "B": 9, "R": 8}

// TestDocsOfFaults holds docs/reliability.md against the tests that it names:
// each kind of fault has a row, each row a test, and what a row says of waits
// and requests is checked by one.
func TestDocsOfFaults(t *testing.T) {
	sources := map[string]string{} // by the tests in them
	for _, file := range tree(t, ".go") {
		if !strings.HasSuffix(file, "_test.go") {
			continue
		}
		text := string(read(t, file))
		for line := range strings.Lines(text) {
			if name, ok := strings.CutPrefix(line, "func Test"); ok {
				name, _, _ = strings.Cut(name, "(")
				sources["Test"+name] += text
			}
		}
		for script := range scriptsOf(text) {
			sources[script] = script
		}
	}
	rows := faults.Rows(string(read(t, "docs/reliability.md")))
	for _, wrong := range mistold(rows, sources) {
		t.Error(wrong)
	}
}

// scriptsOf are the scripts of TestJobs, which rows name by their files.
func scriptsOf(text string) map[string]bool {
	found := map[string]bool{}
	if strings.Contains(text, `playScripts(t, "testdata/script")`) {
		files, _ := filepath.Glob("testdata/script/*.txtar") // a pattern that is right
		for _, f := range files {
			found[filepath.Base(f)] = true
		}
	}
	return found
}

var endings = []string{
	faults.GoesOn, faults.DoesWithout, faults.CostsAttempt, faults.HandsOver, faults.WaitsOutside, faults.WantsPerson, faults.Yields, faults.Refuses,
}

// mistold says what is wrong with rows, given the sources of tests by name.
func mistold(rows []faults.Row, sources map[string]string) []string {
	var wrong []string
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.ID] {
			wrong = append(wrong, r.ID+" is there twice")
		}
		seen[r.ID] = true
		seen[strings.TrimRight(r.ID, "abcdefghijklmnopqrstuvwxyz")] = true
		if !slices.Contains(endings, r.Ends) && !strings.HasPrefix(r.Ends, "is ") {
			wrong = append(wrong, fmt.Sprintf("%s ends as %q, which is no ending", r.ID, r.Ends))
		}
		checked := false
		for _, test := range r.Tests {
			source, ok := sources[test]
			if !ok {
				wrong = append(wrong, fmt.Sprintf("%s: there is no test %s", r.ID, test))
			}
			checked = checked || strings.Contains(source, strconv.Quote(r.ID))
		}
		if !checked && (r.Waits != "-" || r.Requests != "-" || r.Reads != "-") {
			wrong = append(wrong, fmt.Sprintf("%s: no test of %v checks it", r.ID, r.Tests))
		}
	}
	for letter, n := range matrix {
		for i := range n {
			if id := letter + strconv.Itoa(i+1); !seen[id] {
				wrong = append(wrong, "there is no row "+id)
			}
		}
	}
	return wrong
}

// TestMistoldIsSeen is the negative control.
func TestMistoldIsSeen(t *testing.T) {
	var rows []faults.Row
	for i := range matrix["G"] - 1 {
		rows = append(rows, faults.Row{ID: fmt.Sprintf("G%d", i+2), Ends: faults.GoesOn, Waits: "-", Requests: "-", Reads: "-", Tests: []string{"TestA"}})
	}
	rows[0].Tests = []string{"TestB"}
	rows[1].Waits = "1s"
	rows[2].Ends = "explodes"
	rows[3].ID = rows[4].ID
	all := matrix
	defer func() { matrix = all }()
	matrix = map[string]int{"G": matrix["G"]}
	if got := mistold(rows, map[string]string{"TestA": ""}); len(got) != 6 {
		t.Errorf("of six mistakes these were seen: %q", got)
	}
}
