package check

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// Feedback runs the project's tests where the agent works, in dir, and says in
// brief what came out and what changed since it was last asked. It is no
// verdict: nothing here was checked out clean. scope is a path, or a pattern
// for the names of tests; "", "all" and "changed" mean all of them.
//
// whole is all that failed, unabridged, for who wants to know more.
func (g *Gates) Feedback(ctx context.Context, dir, scope string) (brief, whole string, err error) {
	if scope == "all" || scope == "changed" {
		scope = ""
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", "", fmt.Errorf("run the tests: %w", err)
	}
	run, err := g.test(ctx, byHand{g.o.Work}, real, scope)
	if err != nil {
		return "", "", fmt.Errorf("run the tests: %w", err)
	}
	r := run.Report
	key := real + "\x00" + scope
	g.mu.Lock()
	before, known := g.feedback[key]
	g.feedback[key] = r
	g.redNow = failing(r)
	g.mu.Unlock()
	if !known {
		return feedback(r, nil), inFull(r), nil
	}
	return feedback(r, &before), inFull(r), nil
}

// inFull is every failure of a report with all that it said, and how the output
// ended.
func inFull(r suite.Report) string {
	const most = 4 << 20
	var b strings.Builder
	for _, c := range r.Failed() {
		fmt.Fprintf(&b, "FAIL %s [%s]\n%s\n", c, c.Kind, indent(suite.Clean(c.Message)))
	}
	if tail := suite.Clean(r.Tail); tail != "" {
		b.WriteString("The output ended so:\n" + tail + "\n")
	}
	return limit(b.String(), most)
}

// feedback renders a report for the agent.
func feedback(r suite.Report, before *suite.Report) string {
	if r.Command == "" {
		return "The project has no tests yet: no test script in package.json, no go.mod, no test file that a known runner would find."
	}
	n := counts(r.Leaves())
	bad := r.Failed()
	var b strings.Builder
	fmt.Fprintf(&b, "%d failed%s, %d passed%s, %.1f s: %s\n", n.Failed, delta(bad, before), n.Passed, skippedToo(n), r.Wall.Seconds(), r.Command)
	f, believed := judgeRun(r)
	switch {
	case !believed:
		b.WriteString(f.Reason + "\n")
		if len(bad) == 0 {
			b.WriteString(f.Detail)
		}
	case n.Run == 0:
		b.WriteString("No test was run at all; that is not a pass.\n")
	}
	if len(bad) > 0 {
		b.WriteString(briefly(bad, mostDetail-b.Len()))
	}
	return limit(b.String(), mostDetail)
}

func skippedToo(n runner.Counts) string {
	if n.Skipped == 0 {
		return ""
	}
	return fmt.Sprintf(", %d skipped", n.Skipped)
}

// delta names what fails now and did not, and what failed and passes now.
func delta(bad []suite.Case, before *suite.Report) string {
	if before == nil {
		return ""
	}
	in := func(cs []suite.Case, c suite.Case) bool {
		return slices.ContainsFunc(cs, func(o suite.Case) bool { return o.ID() == c.ID() })
	}
	was := before.Failed()
	fresh := slices.DeleteFunc(slices.Clone(bad), func(c suite.Case) bool { return in(was, c) })
	fixed := slices.DeleteFunc(slices.Clone(was), func(c suite.Case) bool { return in(bad, c) })
	var parts []string
	if len(fresh) > 0 {
		parts = append(parts, fmt.Sprintf("%d new: %s", len(fresh), list(names(fresh))))
	}
	if len(fixed) > 0 {
		parts = append(parts, fmt.Sprintf("no longer failing: %s", list(names(fixed))))
	}
	if len(parts) == 0 {
		parts = append(parts, "the same as before")
	}
	return " (" + strings.Join(parts, "; ") + ")"
}

// Failing are the tests that failed when Feedback was last asked, by name with
// what they said; nil before it was, empty if none failed.
func (g *Gates) Failing() map[string]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.redNow
}

// failing names the cases that failed. A run that cannot be believed has failed
// as a whole.
func failing(r suite.Report) map[string]string {
	all := map[string]string{}
	for _, c := range r.Failed() {
		all[c.ID()] = c.Message
	}
	if f, believed := judgeRun(r); !believed && len(all) == 0 {
		all["the run"] = f.Reason
	}
	return all
}
