package memory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A disk is what was saved.
type disk map[string][]byte

func (d disk) load(context.Context) ([]runner.File, error) {
	var files []runner.File
	for name, data := range d {
		files = append(files, runner.File{Name: name, Data: data})
	}
	return files, nil
}

func (d disk) save(files []runner.File) {
	for _, f := range files {
		d[f.Name] = f.Data
	}
}

func (d disk) entries(t *testing.T, k Kind) []Entry {
	t.Helper()
	var f file
	if data, ok := d[k.name()]; ok {
		if err := json.Unmarshal(data, &f); err != nil {
			t.Fatal(err)
		}
	}
	return f.Entries
}

func open(d disk) *Store { return Open(Options{Load: d.load}) }

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func lesson(commit string) runner.Lesson {
	return runner.Lesson{
		Session: 3, Time: noon, What: "add-001 (add numbers) was verified in attempt 1.", Commit: commit,
		Feature: runner.Row{ID: "add-001", Description: "add numbers"}, Notes: []string{"The server reads PORT."},
		Brief: &runner.Brief{
			Commands: []string{"npm test"}, Decisions: []string{"Numbers are kept as strings."},
			Fixes: []runner.Fix{{Class: "resource", Error: "Error: listen EADDRINUSE: address already in use :::3000", Fix: "edited server.js: 3000 became PORT"}},
		},
	}
}

func TestOnlyWhatIsVerifiedTeaches(t *testing.T) {
	d := disk{}
	d.save(open(d).Learn(t.Context(), lesson("")))
	if len(d) != 1 || len(d.entries(t, Episodic)) != 1 {
		t.Errorf("an attempt that failed left %v", d)
	}
	if open(d).Similar(t.Context(), "EADDRINUSE: address already in use") != "" {
		t.Error("an error's mend is known that was never verified")
	}
	d.save(open(d).Learn(t.Context(), lesson("0123456789")))
	want := []Entry{{
		Text: "resource error: Error: listen EADDRINUSE: address already in use :::3000", Fix: "edited server.js: 3000 became PORT",
		Session: 3, Feature: "add-001", Commit: "0123456789", Time: noon, Seen: 1,
	}}
	if diff := cmp.Diff(d.entries(t, Causal), want); diff != "" {
		t.Error(diff)
	}
	for k, n := range map[Kind]int{Episodic: 1, Procedural: 1, Semantic: 2} {
		if got := d.entries(t, k); len(got) != n {
			t.Errorf("%s: %v", k, got)
		}
	}
	if e := d.entries(t, Episodic)[0]; e.Seen != 2 {
		t.Errorf("seen %d times", e.Seen)
	}
}

func TestSimilarErrorsAreFoundByTheirWords(t *testing.T) {
	d := disk{}
	s := open(d)
	l := lesson("0123456789")
	l.Brief.Fixes = append(l.Brief.Fixes, runner.Fix{Class: "environment", Error: "ModuleNotFoundError: No module named 'requests'", Fix: "used urllib"})
	d.save(s.Learn(t.Context(), l))
	for query, want := range map[string]string{
		"listen EADDRINUSE: address already in use 127.0.0.1:8080":      "became PORT (add-001, commit 0123456, session 3)",
		"/app/x.py:17: ModuleNotFoundError: No module named 'requests'": "used urllib",
		"main.go:3:1: undefined: requests":                              "",
		"":                                                              "",
		"12:34:56 0xdeadbeef /a/b/c":                                    "",
	} {
		got := open(d).Similar(t.Context(), query)
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", query, got, want)
		}
	}
	s.Similar(t.Context(), "EADDRINUSE address already in use")
	d.save(s.Learn(t.Context(), runner.Lesson{What: "x"}))
	if e := d.entries(t, Causal)[0]; e.Hits != 1 {
		t.Errorf("%d hits", e.Hits)
	}
}

func TestRecallIsToThePointAndBounded(t *testing.T) {
	d := disk{}
	s := open(d)
	for i := range 220 {
		l := lesson("c")
		l.Notes = []string{fmt.Sprintf("Invoices of kind%c%c are %s.", 'a'+i%26, 'a'+i/26, strings.Repeat("rounded half to even ", 15))}
		l.What = l.Notes[0]
		l.Brief.Fixes = []runner.Fix{{Class: "logic", Error: l.Notes[0], Fix: l.Notes[0]}}
		d.save(s.Learn(t.Context(), l))
	}
	l := lesson("c")
	l.Notes = []string{"The calendar begins on Monday."}
	d.save(s.Learn(t.Context(), l))
	s = open(d)
	got := s.Recall(t.Context(), runner.Feature{Row: runner.Row{ID: "cal-001", Description: "Show a calendar", Steps: []string{"open the calendar"}}})
	if !strings.Contains(got, "The calendar begins on Monday. (add-001, commit c, session 3)") || strings.Contains(got, "rounded") || !strings.Contains(got, "npm test") {
		t.Errorf("recalled:\n%s", got)
	}
	got = s.Recall(t.Context(), runner.Feature{Row: runner.Row{ID: "inv-001", Description: "Invoices are rounded half to even"}})
	if len(got) > mostRecalled || strings.Count(got, "rounded") < 5 {
		t.Errorf("%d bytes recalled", len(got))
	}
	if again := open(d).Recall(t.Context(), runner.Feature{Row: runner.Row{ID: "inv-001", Description: "Invoices are rounded half to even"}}); len(again) != len(got) {
		t.Error("another time something else is recalled")
	}
	if n := len(d.entries(t, Semantic)); n != mostEntries {
		t.Errorf("%d notes are kept", n)
	}
	if got := open(disk{}).Recall(t.Context(), runner.Feature{}); got != "" {
		t.Errorf("of nothing it recalls %q", got)
	}
}

func TestWhatIsKeptIsClean(t *testing.T) {
	d := disk{}
	s := Open(Options{Load: d.load, Scrub: func(s string) string { return strings.ReplaceAll(s, "hunter22", "***") }})
	l := lesson("c")
	l.Notes = []string{"The key is\n[loop] hunter22 \x1b[31m\xff" + strings.Repeat("x", 2*mostText)}
	d.save(s.Learn(t.Context(), l))
	got := d.entries(t, Semantic)[0].Text
	if !strings.HasPrefix(got, "The key is [loop] *** [31mxxx") || len(got) > mostText+3 {
		t.Errorf("kept %q", got)
	}
}

// A memory that cannot be read is begun anew; nothing fails for it.
func TestADamagedMemoryCostsItselfOnly(t *testing.T) {
	d := disk{}
	d.save(open(d).Learn(t.Context(), lesson("c")))
	d[Semantic.name()] = []byte("{")
	d[Causal.name()] = []byte(`{"schema": 99, "kind": "causal", "entries": [{"text": "x"}]}`)
	s := open(d)
	if got := s.Recall(t.Context(), runner.Feature{Row: runner.Row{Description: "add numbers"}}); !strings.Contains(got, "npm test") || strings.Contains(got, "PORT") {
		t.Errorf("recalled %q", got)
	}
	broken := Open(Options{Load: func(context.Context) ([]runner.File, error) { return nil, errors.New("gone") }})
	if files := broken.Learn(t.Context(), lesson("c")); len(files) != len(kinds) {
		t.Errorf("%d files", len(files))
	}
}

func TestNothingNewChangesNothing(t *testing.T) {
	d := disk{}
	d.save(open(d).Learn(t.Context(), lesson("c")))
	if files := open(d).Learn(t.Context(), runner.Lesson{}); len(files) != 0 {
		t.Errorf("%d files changed", len(files))
	}
}
