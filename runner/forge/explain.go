package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-github/v62/github"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// status is the status that GitHub refused a request with, 0 if it was not
// GitHub that refused.
func status(err error) int {
	if e, ok := errors.AsType[*github.ErrorResponse](err); ok {
		return e.Response.StatusCode
	}
	return 0
}

// said is what GitHub said when it refused, in one line.
func said(err error) string {
	e, ok := errors.AsType[*github.ErrorResponse](err)
	if !ok {
		return err.Error()
	}
	words := []string{e.Message}
	for _, detail := range e.Errors {
		if detail.Message != "" {
			words = append(words, detail.Message)
		} else if detail.Field != "" {
			words = append(words, detail.Field+" is "+detail.Code)
		}
	}
	return strings.Join(strings.Fields(strings.Join(words, ": ")), " ")
}

// names says whether GitHub refused with a word.
func names(err error, word string) bool {
	return status(err) != 0 && strings.Contains(strings.ToLower(said(err)), strings.ToLower(word))
}

// explain returns err in words that tell a person what to do. What was
// explained where it happened stays as it is.
func explain(err error) error {
	if _, done := errors.AsType[*refusal](err); done {
		return err
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err // which says as much, in fewer words
	}
	e, ok := errors.AsType[*github.ErrorResponse](err)
	if !ok {
		return err
	}
	var hint string
	switch code := e.Response.StatusCode; {
	case code == http.StatusUnauthorized:
		hint = "the token is invalid or has expired"
	case code == http.StatusUnavailableForLegalReasons:
		hint = "the repository is blocked for legal reasons: only its owner can settle that with GitHub"
	case names(err, "archived"):
		hint = "an archived repository takes no changes: unarchive it under Settings, then start the loop again"
	case names(err, "not permitted to create or approve pull requests"):
		hint = "allow it under Settings, Actions, General: Allow GitHub Actions to create and approve pull requests"
	case names(err, "not accessible by"):
		hint = "the token lacks a permission"
		if need := permissions(e.Response.Header.Get("X-Accepted-GitHub-Permissions")); need != "" {
			hint = "the token lacks the permission " + need + "; add it to the job's permissions"
		}
	case code == http.StatusNotFound:
		hint = "it is not there, or the token may not see it"
	}
	if hint != "" {
		hint = " (" + hint + ")"
	}
	return &refusal{fmt.Sprintf("GitHub says %d %s%s", e.Response.StatusCode, said(err), hint), err}
}

// A refusal is GitHub's no, in our words.
type refusal struct {
	text string
	err  error
}

func (e *refusal) Error() string { return e.text }
func (e *refusal) Unwrap() error { return e.err }

// permissions writes GitHub's list of sufficient permissions as a workflow has
// them: "issues=write; pull_requests=write" is issues: write or
// pull-requests: write.
func permissions(accepted string) string {
	var out []string
	for p := range strings.SplitSeq(accepted, ";") {
		if name, level, ok := strings.Cut(strings.TrimSpace(p), "="); ok {
			out = append(out, strings.ReplaceAll(name, "_", "-")+": "+level)
		}
	}
	return strings.Join(out, " or ")
}

// fatal says whether err ends a report, instead of costing it a line: when the
// session is over, must wait, or has no valid token.
func fatal(ctx context.Context, err error) bool {
	_, stop := errors.AsType[*runner.StopError](err)
	return stop || ctx.Err() != nil || status(err) == http.StatusUnauthorized
}
