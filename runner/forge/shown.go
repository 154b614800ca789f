package forge

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/google/go-github/v62/github"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Shown lists what people see of a loop and should see once: its open pull
// requests and its comments, by their URLs. It changes nothing.
func (h *Hub) Shown(ctx context.Context, st runner.State) (pulls, comments []string, err error) {
	pulls, comments, err = h.seen(ctx, st)
	if err != nil {
		return nil, nil, fmt.Errorf("look at pull requests and comments: %w", explain(err))
	}
	return pulls, comments, nil
}

func (h *Hub) seen(ctx context.Context, st runner.State) (pulls, comments []string, err error) {
	owner, _, _ := strings.Cut(h.called(), "/")
	opts := &github.PullRequestListOptions{State: "open", Head: owner + ":" + h.opts.Branch, ListOptions: github.ListOptions{PerPage: 100}}
	list, _, err := h.client.PullRequests.List(ctx, h.owner, h.repo, opts)
	if err != nil {
		return nil, nil, err
	}
	places := map[int]bool{}
	for _, p := range list {
		if p.GetHead().GetRef() == h.opts.Branch {
			pulls = append(pulls, p.GetHTMLURL())
			places[p.GetNumber()] = true
		}
	}
	receipt := st.Effects[KeyComment]
	if n, err := strconv.Atoi(path.Base(strings.Split(receipt, "#")[0])); err == nil {
		places[n] = true
	}
	for n := range places {
		ours, err := h.comments(ctx, n, marker(st.Lineage), receipt)
		if err != nil {
			return nil, nil, err
		}
		for _, c := range ours {
			comments = append(comments, c.GetHTMLURL())
		}
	}
	return pulls, comments, nil
}

// Shown is nothing that could be there twice: each thing is a file.
func (f *Folder) Shown(context.Context, runner.State) (pulls, comments []string, err error) {
	return nil, nil, nil
}
