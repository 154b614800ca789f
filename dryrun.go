package main

import (
	"fmt"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// outlook is what a dry run shows: what a session would do, line by line. The
// text of features was written by a model or a stranger, so lines pass logLine
// on their way out.
func outlook(o runner.Outlook, c config) []string {
	lines := []string{"dry run: nothing is written to the repository"}
	if len(o.Questions) > 0 {
		lines = append(lines, "a session would ask these questions and begin nothing: "+o.Why)
		for _, q := range o.Questions {
			lines = append(lines, "  - "+q)
		}
		return lines
	}
	if o.Planned && len(o.State.Syncs) > 0 && o.State.Syncs[len(o.State.Syncs)-1].Serial == o.State.Serial+1 {
		lines = append(lines, fmt.Sprintf("the feature list would be changed, for example like this: %v", o.State.Syncs[len(o.State.Syncs)-1]))
	} else if o.Planned {
		lines = append(lines, fmt.Sprintf("the feature list would be drawn up anew, this one for example: %d features", len(o.State.Features)))
	} else {
		lines = append(lines, fmt.Sprintf("the feature list has %d features", len(o.State.Features)))
	}
	for _, f := range o.State.Features {
		line := fmt.Sprintf("  %s  %s  %s", f.ID, f.Status, f.Description)
		if len(f.DependsOn) > 0 {
			line += "  (after " + strings.Join(f.DependsOn, ", ") + ")"
		}
		lines = append(lines, line)
	}
	if o.Why != "" {
		return append(lines, "a session would end at once: "+o.Why)
	}
	return append(lines,
		fmt.Sprintf("session %d would make attempt %d at %s", o.State.Spent.Sessions, o.Attempt, o.Next.ID),
		fmt.Sprintf("it would push %s and, with the first verified feature, %s", c.StateBranch, c.workBranch()))
}

// seen is the result of a session that was not run.
func seen(o runner.Outlook) runner.LoopResult {
	st := o.State
	st.Status = ""
	return st.Result("")
}
