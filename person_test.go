package main

import (
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// labels [LABEL]: the pull request has this label, or none.
func (h *hub) labels(ts *testscript.TestScript, args []string) {
	got := h.Labels(repoName, h.Pulls(repoName)[0].Number)
	if strings.Join(got, "\n") != strings.Join(args, "\n") {
		ts.Fatalf("labels: %q, want %q", got, args)
	}
}
