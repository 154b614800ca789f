package report

import (
	"fmt"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Questions asks people what a spec leaves open.
func Questions(e *runner.UnclearError) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "## Before anything is built\n\nThe spec `%s` leaves too much open to build from: its readiness is %d of 100, and %d are asked for. Nothing was begun, and nothing is guessed.\n\n",
		strings.ReplaceAll(inline(e.Source), "`", "'"), e.Score, e.Least)
	for i, q := range e.Questions {
		fmt.Fprintf(&b, "%d. %s\n", i+1, inline(q))
	}
	b.WriteString("\nAnswer them in the spec itself, an issue by editing its text, and start the workflow again; answers in comments are not read. The points are explained in docs/planning.md; `readiness: 0` builds in any case.\n")
	return []byte(b.String())
}
