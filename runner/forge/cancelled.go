package forge

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/google/go-github/v62/github"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Cancelled says whether a person cancelled the owner's run, or that of the
// successor that was asked for. GitHub calls cancelled as well what its own
// clocks and queues ended, so they are told apart: a run that lasted until its
// job's time was up ran out of it, where that moment is not known one that took as
// long as a session may, and one that another run of the workflow was
// started beside gave its place to that. All times are GitHub's, but for the
// session's beginning, before which its job may have waited long.
func (h *Hub) Cancelled(ctx context.Context, hold runner.Hold) (bool, error) {
	cancelled, err := h.cancelled(ctx, hold)
	if err != nil {
		return false, explain(err)
	}
	return cancelled, nil
}

func (h *Hub) cancelled(ctx context.Context, hold runner.Hold) (bool, error) {
	const conclusion = "cancelled"
	id, err := strconv.ParseInt(hold.Owner.Run, 10, 64)
	if err != nil {
		return false, fmt.Errorf("run %q is not one of GitHub's", hold.Owner.Run)
	}
	run, _, err := h.client.Actions.GetWorkflowRunAttempt(ctx, h.owner, h.repo, id, max(1, hold.Owner.Attempt), nil)
	if err != nil && status(err) != http.StatusNotFound {
		return false, err
	}
	if err == nil && run.GetConclusion() == conclusion {
		begun := run.GetRunStartedAt().Time
		if hold.Owner.Claimed.After(begun) {
			begun = hold.Owner.Claimed
		}
		ended := run.GetUpdatedAt().Time
		switch {
		case !hold.Due.IsZero():
			if ended.Before(hold.Due.Add(-dueSlack)) {
				return true, nil
			}
		case ended.Sub(begun) < hold.Session:
			return true, nil
		}
	}
	if hold.Successor == nil || h.workflow == "" {
		return false, nil
	}
	next, err := h.findRun(ctx, runName(*hold.Successor))
	if err != nil || next == nil || next.GetConclusion() != conclusion {
		return false, err
	}
	replaced, err := h.replaced(ctx, next)
	return !replaced, err
}

// dueSlack is how much earlier than it was reckoned the end may come.
const dueSlack = 30 * time.Second

// replaced says whether another run of the workflow was started while run waited:
// of those that wait for one group GitHub keeps the newest.
func (h *Hub) replaced(ctx context.Context, run *github.WorkflowRun) (bool, error) {
	const slack = 10 * time.Second // between a run that is made and one that is cancelled for it
	list, _, err := h.client.Actions.ListWorkflowRunsByFileName(ctx, h.owner, h.repo, h.workflow, &github.ListWorkflowRunsOptions{ListOptions: github.ListOptions{PerPage: 100}})
	if err != nil {
		return false, err
	}
	gone := run.GetUpdatedAt().Add(slack)
	for _, r := range list.WorkflowRuns {
		if made := r.GetCreatedAt().Time; r.GetID() != run.GetID() && r.GetID() > run.GetID() && !made.After(gone) {
			return true, nil
		}
	}
	return false, nil
}

// runName is the name that the workflow's run-name gives to the successor's run.
func runName(s runner.Successor) string { return fmt.Sprintf("loop %s#%d", s.Lineage, s.Serial) }
