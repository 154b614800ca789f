package check

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Trees lays commits out in directories. Package repo has them.
type Trees interface {
	// Export writes the files of commit (an id of a commit or of a tree) below
	// dir, which exists and is empty: nothing but what is in that tree, with
	// symbolic links and execute bits, without .git.
	Export(ctx context.Context, commit, dir string) error

	// Changed lists the paths that differ between two commits or trees, sorted.
	Changed(ctx context.Context, from, to string) ([]string, error)
}

// A Browser performs acceptance actions in a real browser. Package browser has
// it.
type Browser interface {
	// Accept starts the application, performs the scenario in a browser context
	// of its own, and stops the application and all that it started. A run that
	// could not be had because the browser failed says so in Broken; that is
	// neither pass nor fail. An application that does not start is a failure
	// of the run, with its log. An error means that nothing could be tried.
	Accept(ctx context.Context, app App, s Scenario) (Acceptance, error)
}

// An App is the application under judgement, in a clean checkout.
type App struct {
	Dir   string // its files; the server may write here
	Start string // shell command; PORT in its environment is a free port
	URL   string // where it answers; {port} stands for that port; "" is http://127.0.0.1:{port}

	Place string   // its home and temporary files, see [sandbox.Command]
	Env   []string // and what it needs besides
	Read  []string
}

// Step and Datum are the acceptance format of the feature list.
type (
	Step  = runner.Step
	Datum = runner.Datum
)

// A Scenario is the acceptance of one feature, with its placeholders filled in.
type Scenario struct {
	Feature string
	Steps   []Step

	// Hurry is for what most likely is not there: a page that has come to rest
	// is not waited for until the time is up.
	Hurry bool

	// Plain asks for no more than whether it passes, and why not: no picture, no
	// snapshot, and no look for barriers, unless they keep it from passing.
	Plain bool
}

// A Barrier is one rule of accessibility that a page does not keep.
type Barrier struct {
	Page     string   `json:"page"`
	Rule     string   `json:"rule"`   // axe-core's name of it
	Impact   string   `json:"impact"` // minor, moderate, serious, critical
	Help     string   `json:"help"`
	Count    int      `json:"count"` // of elements
	Elements []string `json:"elements,omitempty"`
}

func (b Barrier) String() string {
	text := fmt.Sprintf("%s: %s %s: %s", b.Page, b.Impact, b.Rule, b.Help)
	if len(b.Elements) > 0 {
		text += " (" + strings.Join(b.Elements[:min(len(b.Elements), 3)], ", ") + ")"
	}
	return text
}

// An Acceptance is what happened when a scenario was performed.
type Acceptance struct {
	Feature    string        `json:"feature_id"`
	Passed     bool          `json:"passed"`
	Duration   time.Duration `json:"duration_ns"`
	Executed   int           `json:"steps_executed"`
	Succeeded  int           `json:"steps_passed"`
	Failures   []string      `json:"failures,omitempty"` // "step 3 (click role=button[name=\"Add\"]): ..."
	Broken     string        `json:"broken,omitempty"`   // the browser itself failed: inconclusive
	Screenshot []byte        `json:"-"`                  // PNG, at the end or at the failure
	Aria       string        `json:"-"`                  // accessibility snapshot at the failure
	Console    []string      `json:"console,omitempty"`  // errors and warnings of the page
	Server     string        `json:"-"`                  // end of the application's log
	Network    []string      `json:"network,omitempty"`  // failed and refused requests
	// Accessibility is what keeps people from using the pages that were looked at
	// for that; not every run has some.
	Accessibility []Barrier `json:"accessibility,omitempty"`
	Looked        []string  `json:"looked_at,omitempty"`

	Trace string `json:"trace,omitempty"` // file among the artifacts: everything that happened, for Playwright's viewer
}
