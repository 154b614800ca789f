package forge

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/google/go-github/v62/github"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Over says whether the run attempt that owns a session has ended: GitHub says
// that it is completed, or has no such run. If GitHub cannot be asked, that is
// an error and never a yes.
func (h *Hub) Over(ctx context.Context, o runner.Owner) (bool, error) {
	id, err := strconv.ParseInt(o.Run, 10, 64)
	if err != nil {
		return false, fmt.Errorf("run %q, which owns the session, is not one of GitHub's: only where it runs can it be told whether it is over", o.Run)
	}
	run, _, err := h.client.Actions.GetWorkflowRunAttempt(ctx, h.owner, h.repo, id, max(1, o.Attempt), nil)
	switch {
	case err == nil:
		return run.GetStatus() == "completed", nil
	case status(err) != http.StatusNotFound:
		return false, fmt.Errorf("ask whether run %d is over: %w", id, explain(err))
	}
	// A token that may not see the repository's runs is told 404 as well.
	if _, _, err := h.client.Actions.ListRepositoryWorkflowRuns(ctx, h.owner, h.repo, &github.ListWorkflowRunsOptions{ListOptions: github.ListOptions{PerPage: 1}}); err != nil {
		return false, fmt.Errorf("ask whether run %d is over: %w", id, explain(err))
	}
	return true, nil
}

// Continue dispatches the workflow on the default branch, where no session can
// write, for the successor to one transaction. The run's name says which one it
// continues, so that it is found again: a run of that name, whatever became of
// it, is the successor that was asked for. One that fails before it claims its
// session is left for people to see, and does not ask for another that would
// fail the same way; the schedule or a person goes on from there.
func (h *Hub) Continue(ctx context.Context, s runner.Successor) (string, error) {
	if h.workflow == "" {
		return "", fmt.Errorf("ask for the next session: no workflow is named that could be dispatched")
	}
	name := runName(s)
	var branch string
	url, err := ensure(ctx, h,
		func(ctx context.Context) (string, bool, error) {
			run, err := h.findRun(ctx, name)
			if run.GetID() == h.opts.Run.ID && run != nil {
				return "", false, fmt.Errorf("this run was asked for to continue transaction %d, and its session ended before it began: its log says why", s.Serial)
			}
			return run.GetHTMLURL(), run != nil, err
		},
		func(ctx context.Context) (string, error) {
			r, _, err := h.client.Repositories.Get(ctx, h.owner, h.repo)
			if err != nil {
				return "", err
			}
			branch = r.GetDefaultBranch()
			return h.dispatch(ctx, branch, s)
		})
	if err != nil {
		return "", fmt.Errorf("ask for the next session: %w%s", h.undispatched(err, branch), h.byHand(branch, s))
	}
	if url == "" {
		url = name
	}
	return url, nil
}

// findRun finds a run of the workflow by the name that its run-name gives it,
// nil if there is none.
func (h *Hub) findRun(ctx context.Context, name string) (*github.WorkflowRun, error) {
	opts := &github.ListWorkflowRunsOptions{Event: "workflow_dispatch", ListOptions: github.ListOptions{PerPage: 100}}
	// Runs are listed newest first, and a successor is asked for soon after its
	// transaction: older pages cannot have it. If they did, the second successor
	// would lose the claim.
	for range 3 {
		list, resp, err := h.client.Actions.ListWorkflowRunsByFileName(ctx, h.owner, h.repo, h.workflow, opts)
		if err != nil {
			return nil, err
		}
		for _, r := range list.WorkflowRuns {
			if r.GetDisplayTitle() == name || r.GetName() == name {
				return r, nil
			}
		}
		if resp.NextPage == 0 {
			break
		}
		opts.Page = resp.NextPage
	}
	return nil, nil
}

// dispatch starts the workflow once and returns the run's URL, "" if GitHub
// does not tell.
func (h *Hub) dispatch(ctx context.Context, branch string, s runner.Successor) (string, error) {
	type ask struct {
		Ref     string            `json:"ref"`
		Inputs  map[string]string `json:"inputs"`
		Details bool              `json:"return_run_details,omitempty"`
	}
	// go-github knows neither the flag nor the answer.
	send := func(details bool) (string, error) {
		req, err := h.client.NewRequest(http.MethodPost, fmt.Sprintf("repos/%s/%s/actions/workflows/%s/dispatches", h.owner, h.repo, h.workflow), ask{
			Ref:     branch,
			Inputs:  map[string]string{"loop": s.Loop, "lineage": s.Lineage, "serial": strconv.Itoa(s.Serial)},
			Details: details,
		})
		if err != nil {
			return "", err
		}
		var run struct {
			URL string `json:"html_url"`
		}
		_, err = h.client.Do(ctx, req, &run)
		return run.URL, err
	}
	url, err := send(true)
	if names(err, "return_run_details") { // an older server
		return send(false)
	}
	return url, err
}

// undispatched says what to do about a dispatch that GitHub refuses.
func (h *Hub) undispatched(err error, branch string) error {
	code := status(err)
	hint := ""
	switch {
	case code == http.StatusNotFound:
		hint = fmt.Sprintf("check that .github/workflows/%s is on the default branch, that the input workflow names it, and that the job has actions: write", h.workflow)
	case names(err, "unexpected inputs"), names(err, "required input"):
		hint = fmt.Sprintf("%s on %s is older than this action: copy the current workflow again, it has the inputs loop, lineage and serial", h.workflow, branch)
	case names(err, "does not have 'workflow_dispatch' trigger"):
		hint = fmt.Sprintf("add workflow_dispatch to what starts %s on %s", h.workflow, branch)
	case names(err, "disabled workflow"):
		hint = fmt.Sprintf("enable %s on the repository's Actions page; GitHub disables it after 60 days without activity", h.workflow)
	default:
		return explain(err)
	}
	return &refusal{fmt.Sprintf("GitHub says %d %s (%s)", code, said(err), hint), err}
}

// byHand is how a person does what Continue could not.
func (h *Hub) byHand(branch string, s runner.Successor) string {
	if branch != "" {
		branch = " --ref " + branch
	}
	return fmt.Sprintf("; by hand: gh workflow run %s%s -f loop=%s -f lineage=%s -f serial=%d", h.workflow, branch, s.Loop, s.Lineage, s.Serial)
}
