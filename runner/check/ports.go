// Package check judges candidates: the gates, the reports of the tests, the verdict.
package check

import (
	"context"
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
	// Accept performs each scenario in a context of its own against the
	// application at url, and returns one run per scenario in the same order.
	// A run that could not be had because the browser failed says so in
	// Broken; that is neither pass nor fail.
	Accept(ctx context.Context, url string, scenarios []Scenario) ([]Acceptance, error)
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
	// Restart stops the application's server and starts it again, for the
	// action restart; nil where there is no server of ours.
	Restart func(ctx context.Context) error
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
	Network    []string      `json:"network,omitempty"`  // failed and refused requests
}
