package forge

import (
	"context"
	"fmt"
	"time"

	"github.com/google/go-github/v62/github"
)

// A JobName is how a job is found among those of its run: by the runner that it
// is on, of which no two jobs have the same at a time, else by its name.
type JobName struct{ Runner, Name string }

// Started says when a job of this run began, by GitHub's clock; zero if it is not
// clear which of them it is.
func (h *Hub) Started(ctx context.Context, j JobName) (time.Time, error) {
	list, _, err := h.client.Actions.ListWorkflowJobsAttempt(ctx, h.owner, h.repo, h.opts.Run.ID, int64(max(1, h.opts.Run.Attempt)), &github.ListOptions{PerPage: 100})
	if err != nil {
		return time.Time{}, fmt.Errorf("ask when this job began: %w", explain(err))
	}
	by := func(is func(*github.WorkflowJob) bool) (at time.Time, n int) {
		for _, job := range list.Jobs {
			if job.GetStatus() == "in_progress" && is(job) {
				at, n = job.GetStartedAt().Time, n+1
			}
		}
		return at, n
	}
	for _, is := range []func(*github.WorkflowJob) bool{
		func(job *github.WorkflowJob) bool { return j.Runner != "" && job.GetRunnerName() == j.Runner },
		func(job *github.WorkflowJob) bool { return job.GetName() == j.Name },
		func(*github.WorkflowJob) bool { return true },
	} {
		if at, n := by(is); n == 1 {
			return at, nil
		}
	}
	return time.Time{}, nil
}

// File reads a file of the repository as it is at a commit or branch.
func (h *Hub) File(ctx context.Context, name, ref string) ([]byte, error) {
	file, _, _, err := h.client.Repositories.GetContents(ctx, h.owner, h.repo, name, &github.RepositoryContentGetOptions{Ref: ref})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, explain(err))
	}
	if file == nil {
		return nil, fmt.Errorf("read %s: it is no file", name)
	}
	text, err := file.GetContent()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return []byte(text), nil
}
