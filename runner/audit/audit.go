// Package audit reads what a candidate changed and names what could make its
// proof worth less: tests weakened, runners led astray, code that knows it is
// being watched.
//
// It promises to be a pure judgement over files (nothing is executed, nothing
// outside the change is read), to take time linear in the size of the change
// however hostile that is, and to be sparing: `invalid` is said of tampering
// with the proof only, `failed` of what the agent must undo, and `note` of what
// honest work does, too, and people should look at. Only what the candidate
// added or took away is a finding; what the parent had already is not.
//
// It does not promise to see through every disguise. It reads tokens, not
// meaning; canaries, the acceptance in a browser and its random data are what
// stands behind it.
package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Kind says what a file is to the project.
type Kind string

// The kinds of files.
const (
	Test           Kind = "test"           // a test, or what only tests use
	Config         Kind = "config"         // declares the project and how it is run
	Implementation Kind = "implementation" // everything else
)

// A Severity says how sure a finding is, and so what becomes of the verdict.
type Severity string

// The severities, the gravest first.
const (
	Invalid Severity = "invalid" // the proof was tampered with
	Failed  Severity = "failed"  // must be undone
	Note    Severity = "note"    // for people to look at
)

func (s Severity) rank() int { return slices.Index([]Severity{Invalid, Failed, Note}, s) }

// A File is one entry of a tree. The zero File is none.
type File struct {
	Mode Mode
	Data []byte // of a link, where it leads
	Size int64  // may be more than Data holds, if the file was too large to be read
}

// A Mode is the kind of an entry.
type Mode string

// The modes of entries.
const (
	Absent     Mode = ""
	Regular    Mode = "file"
	Executable Mode = "executable"
	Link       Mode = "link"
	Other      Mode = "other" // a submodule's directory, for one
)

// A Change is one path that differs between parent and candidate.
type Change struct {
	Path          string // slash-separated, relative to the project
	Before, After File
}

// An Input is all that the audit looks at.
type Input struct {
	Changes []Change
	Since   []Change // of tests only: Before is as they were seen to fail for want of the feature
	Kind    func(path string) Kind

	// Free says that a test of the parent, by its file and name, may change or go;
	// nil: none may.
	Free func(path, name string) bool

	// Names of the cases that ran; nil: not known.
	CasesBefore, CasesNow []string

	Text       string   // what the feature is to be: its description and steps
	Acceptance []Step   // with placeholders
	Drawn      []string // values drawn for earlier runs of the acceptance, which nobody can know by honest means
}

// A Step is an acceptance action; see runner.Step.
type Step struct{ Action, Target, Value, Expected string }

// A Finding is one thing that the audit found.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	Path     string   `json:"path"`
	Line     int      `json:"line,omitempty"`
	Text     string   `json:"text,omitempty"` // of that line
	Reason   string   `json:"reason"`         // for the agent and for people
}

func (f Finding) String() string {
	where := f.Path
	if f.Line > 0 {
		where = fmt.Sprintf("%s:%d", f.Path, f.Line)
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s (%s)", where, f.Said(), f.Rule))
}

// Said is the finding without its place.
func (f Finding) Said() string {
	if f.Text == "" {
		return f.Reason
	}
	return "`" + f.Text + "`: " + f.Reason
}

// MostFile is how many bytes of one file are read; whoever reads it for the
// audit may stop there.
const MostFile = 4 << 20

const (
	mostBytes    = 48 << 20 // of a change
	mostFindings = 100
	mostPerRule  = 10 // and file
)

// Judge returns what is to be said of a change, the gravest first.
func Judge(in Input) []Finding {
	a := &auditor{in: in}
	a.read()
	for _, c := range a.changes {
		a.entry(c)
		a.config(c)
		a.startup(c)
		a.code(c)
	}
	a.helpers()
	a.tests()
	a.doubles()
	a.cases()
	a.goldens()
	a.literals()
	a.since()
	return a.sorted()
}

// An auditor is a judgement in the making.
type auditor struct {
	in       Input
	seen     bool // the changes are those since the tests were seen red
	changes  []*change
	findings []Finding
	proven   *bool // whether the tests of the change prove anything; nil: not yet known
}

// A change is a Change that has been read.
type change struct {
	Change
	kind          Kind
	before, after *source      // nil: absent, or no source code
	fresh         map[int]bool // lines of the candidate that the parent does not have anywhere in the change
	old, now      []string     // lines, trimmed
	functions     []body       // of after, once they were asked for
}

// find records a finding at a line of a file of the candidate.
func (a *auditor) find(rule string, s Severity, c *change, line int, format string, args ...any) {
	a.add(Finding{Rule: rule, Severity: s, Path: c.Path, Line: line, Text: lineOf(c.now, line), Reason: fmt.Sprintf(format, args...)})
}

// lost records a finding at a line of a file of the parent.
func (a *auditor) lost(rule string, s Severity, c *change, line int, format string, args ...any) {
	a.add(Finding{Rule: rule, Severity: s, Path: c.Path, Line: line, Text: lineOf(c.old, line), Reason: fmt.Sprintf(format, args...)})
}

func (a *auditor) add(f Finding) {
	if _, known := rules[f.Rule]; !known {
		panic("audit: no rule " + f.Rule)
	}
	same := 0
	for i, o := range a.findings {
		if o.Rule != f.Rule || o.Path != f.Path {
			continue
		}
		if o.Line == f.Line && f.Line > 0 {
			if f.Severity.rank() < o.Severity.rank() {
				a.findings[i] = f
			}
			return
		}
		if o.Severity == f.Severity {
			same++
		}
	}
	if same < mostPerRule {
		a.findings = append(a.findings, f)
	}
}

func (a *auditor) sorted() []Finding {
	slices.SortStableFunc(a.findings, func(x, y Finding) int {
		return cmp.Or(cmp.Compare(x.Severity.rank(), y.Severity.rank()), cmp.Compare(x.Path, y.Path), cmp.Compare(x.Line, y.Line), cmp.Compare(x.Rule, y.Rule))
	})
	return a.findings[:min(len(a.findings), mostFindings)]
}

// lineOf is the text of a line, for people; "" for one that is not there.
func lineOf(lines []string, n int) string {
	if n < 1 || n > len(lines) {
		return ""
	}
	return shorten(lines[n-1])
}

func shorten(s string) string {
	const most = 120
	s = s[:min(len(s), 8*most)]
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == '\u007f' || hidden(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
