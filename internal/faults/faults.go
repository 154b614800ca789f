// Package faults holds tests against docs/reliability.md, whose tables say of
// each thing that can go wrong how it ends, how long is waited, how many
// requests are made and what a person reads. A test plays a fault for real and
// hands over what it saw; the document decides whether that is right. So the
// tables cannot say what is not so.
//
// It plays no faults itself and is for tests only.
package faults

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A Row is one fault, as the document has it.
type Row struct {
	ID       string // a letter for the table, a number for the row of the design's matrix, a letter of our own
	Fault    string
	Ends     string // one of the endings
	Waits    string // durations, or "-": not told
	Requests string // a number, or "-": not told
	Reads    string // what a person reads has to contain this, in its parts between ellipses; "-": nothing to read
	Tests    []string
}

// Seen is what a test saw of a fault.
type Seen struct {
	Ends     string
	Waits    []time.Duration
	Requests int
	Reads    string // all that a person was shown
}

// The endings, as the document calls them.
const (
	GoesOn       = "goes on"
	DoesWithout  = "does without"
	CostsAttempt = "costs the attempt"
	HandsOver    = "hands over"
	WaitsOutside = "stops until later"
	WantsPerson  = "stops for a person"
	Yields       = "yields"
	Refuses      = "refuses"
)

// EndOf is how a session ends whose operation ended with err.
func EndOf(err error) string {
	if _, ok := errors.AsType[*runner.MovedError](err); ok {
		return Yields
	}
	if _, ok := errors.AsType[*runner.StateError](err); ok {
		return Refuses
	}
	stop, ok := errors.AsType[*runner.StopError](err)
	switch {
	case err == nil:
		return GoesOn
	case !ok || stop.Reason == runner.Paused:
		return WantsPerson
	case stop.Reason == runner.RateLimit:
		return WaitsOutside
	case stop.Reason == runner.ContextLimit, stop.Reason == runner.SessionTime, stop.Reason == runner.FeaturesPerSession:
		return HandsOver
	case stop.Reason == runner.Superseded:
		return Yields
	}
	return string(stop.Reason)
}

// EndOfExtra is how a session ends whose operation is one that it can do
// without, like a report: what goes wrong with it is told and costs nothing.
func EndOfExtra(err error, warnings []string) string {
	if err != nil || len(warnings) > 0 {
		return DoesWithout
	}
	return GoesOn
}

// Document is the path of the document, from the directory of any package.
func Document() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "docs", "reliability.md"), nil
		}
	}
	return "", errors.New("there is no go.mod above the working directory")
}

var id = regexp.MustCompile(`^[A-Z]\d+[a-z]?$`)

// Rows reads the rows of a document: the lines of its tables that begin with an
// id.
func Rows(text string) []Row {
	var rows []Row
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) != 7 || !id.MatchString(cells[0]) {
			continue
		}
		rows = append(rows, Row{cells[0], cells[1], cells[2], cells[3], cells[4], strings.ReplaceAll(cells[5], "`", ""), strings.Split(cells[6], ", ")})
	}
	return rows
}

var rows = sync.OnceValues(func() (map[string]Row, error) {
	path, err := Document()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	byID := map[string]Row{}
	for _, r := range Rows(string(text)) {
		byID[r.ID] = r
	}
	return byID, err
})

// Check holds what a test saw against the row with this id.
func Check(t testing.TB, id string, got Seen) {
	t.Helper()
	all, err := rows()
	if err != nil {
		t.Fatal(err)
	}
	r, ok := all[id]
	if !ok {
		t.Errorf("docs/reliability.md has no row %s", id)
		return
	}
	for _, wrong := range r.differs(got) {
		t.Errorf("%s (%s): %s", id, r.Fault, wrong)
	}
	name, _, _ := strings.Cut(t.Name(), "/")
	if !slices.Contains(r.Tests, name) {
		t.Errorf("%s (%s): docs/reliability.md does not name %s", id, r.Fault, name)
	}
}

// differs says in what got is not as the row says.
func (r Row) differs(got Seen) []string {
	var wrong []string
	if got.Ends != r.Ends {
		wrong = append(wrong, "it ends as "+strconv.Quote(got.Ends)+", the document says "+strconv.Quote(r.Ends)+"; read: "+got.Reads)
	}
	if waits := Spell(got.Waits); r.Waits != "-" && waits != r.Waits {
		wrong = append(wrong, "it waits "+waits+", the document says "+r.Waits)
	}
	if n := strconv.Itoa(got.Requests); r.Requests != "-" && n != r.Requests {
		wrong = append(wrong, "it makes "+n+" requests, the document says "+r.Requests)
	}
	rest := got.Reads
	for part := range strings.SplitSeq(r.Reads, "…") {
		part = strings.TrimSpace(part)
		_, after, ok := strings.Cut(rest, part)
		if !ok && r.Reads != "-" {
			wrong = append(wrong, "a person reads "+strconv.Quote(got.Reads)+", the document says "+strconv.Quote(r.Reads))
			break
		}
		rest = after
	}
	return wrong
}

// Spell writes waits as the document does.
func Spell(waits []time.Duration) string {
	if len(waits) == 0 {
		return "none"
	}
	var words []string
	for _, d := range waits {
		s := d.String()
		if strings.HasSuffix(s, "m0s") {
			s = strings.TrimSuffix(s, "0s")
		}
		if strings.HasSuffix(s, "h0m") {
			s = strings.TrimSuffix(s, "0m")
		}
		words = append(words, s)
	}
	return strings.Join(words, ", ")
}
