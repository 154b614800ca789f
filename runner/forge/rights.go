package forge

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-github/v62/github"
)

// Rights are what a token may do, as far as that can be known without doing it.
type Rights struct {
	Says  string   // of what is known
	Lacks []string // what it may not, as what would come after "it"
}

// Rights asks what the token may do: it reads what a session reads, the scopes that
// GitHub names for a classic token, and what it says of the account's rights in the
// repository. Whether a job's token or a fine-grained one may write, only writing
// tells. That it could not be asked is an error, a refusal is not.
func (h *Hub) Rights(ctx context.Context) (Rights, error) {
	r, resp, err := h.client.Repositories.Get(ctx, h.owner, h.repo)
	if err != nil {
		return h.refusedRight(err, "may not see the repository")
	}
	out := Rights{Says: "it may read what a session reads; whether it may write is known when it does"}
	if _, classic := resp.Header["X-Oauth-Scopes"]; classic {
		scopes := strings.FieldsFunc(resp.Header.Get("X-OAuth-Scopes"), func(c rune) bool { return c == ',' || c == ' ' })
		out.Says = fmt.Sprintf("a classic token with the scopes %s", strings.Join(scopes, ", "))
		if !slices.Contains(scopes, "repo") && (r.GetPrivate() || !slices.Contains(scopes, "public_repo")) {
			out.Lacks = append(out.Lacks, "lacks the scope repo (a classic token)")
		}
	}
	if may, said := r.GetPermissions()["push"]; said && !may {
		out.Lacks = append(out.Lacks, "belongs to an account that may not push to the repository")
	}
	if r.GetArchived() {
		out.Lacks = append(out.Lacks, "can write nothing: the repository is archived")
	}
	one := github.ListOptions{PerPage: 1}
	for what, ask := range map[string]func() error{
		"actions": func() error {
			_, _, err := h.client.Actions.ListRepositoryWorkflowRuns(ctx, h.owner, h.repo, &github.ListWorkflowRunsOptions{ListOptions: one})
			return err
		},
		"issues": func() error {
			_, _, err := h.client.Issues.ListByRepo(ctx, h.owner, h.repo, &github.IssueListByRepoOptions{ListOptions: one})
			return err
		},
		"pull-requests": func() error {
			_, _, err := h.client.PullRequests.List(ctx, h.owner, h.repo, &github.PullRequestListOptions{ListOptions: one})
			return err
		},
	} {
		if err := ask(); err != nil {
			no, err := h.refusedRight(err, "may not read "+what)
			if err != nil {
				return Rights{}, err
			}
			out.Lacks = append(out.Lacks, no.Lacks...)
		}
	}
	slices.Sort(out.Lacks)
	return out, nil
}

// refusedRight is a refusal as a right that is not there; any other error is one.
func (h *Hub) refusedRight(err error, what string) (Rights, error) {
	switch status(err) {
	case http.StatusForbidden, http.StatusNotFound, http.StatusUnauthorized:
		return Rights{Lacks: []string{fmt.Sprintf("%s (GitHub says %d %s)", what, status(err), said(err))}}, nil
	}
	return Rights{}, fmt.Errorf("ask what the token may do: %w", explain(err))
}
