package main

import (
	"os"
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

// asks N [TEXT]: issue N has one comment, which says TEXT, or none.
func (h *hub) asks(ts *testscript.TestScript, args []string) {
	comments := h.Comments(repoName, count(ts, args[0]))
	if len(comments) != len(args)-1 || len(args) == 2 && !strings.Contains(comments[0].Body, args[1]) {
		ts.Fatalf("comments: %+v", comments)
	}
}

// edit-issue N FILE: its author writes FILE into issue N.
func (h *hub) editIssue(ts *testscript.TestScript, args []string) {
	text, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	h.EditIssue(repoName, count(ts, args[0]), string(text))
}
