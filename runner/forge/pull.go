package forge

import (
	"context"
	"net/http"
	"strings"

	"github.com/google/go-github/v62/github"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A pull is the loop's pull request as the forge has it.
type pull struct {
	number      int
	url         string
	title, body string
	closed      bool // by a person, without merging it
	ours        bool // opened by this loop, not by a person on its behalf
}

// pull makes the pull request say what r says and returns it, nil if there is
// none: no verified code yet, or none is wanted, or none can be opened.
func (h *Hub) pull(ctx context.Context, r runner.Report) (*pull, error) {
	text := shows(r, pullFile)
	if h.opts.PullRequest == None || text == "" || !opened(r.State) {
		return nil, nil
	}
	lineage, receipt := r.State.Lineage, r.State.Effects[KeyPull]
	name, body := title(text)
	p, err := ensure(ctx, h,
		func(ctx context.Context) (*pull, bool, error) {
			p, err := h.findPull(ctx, lineage, receipt)
			return p, p != nil, err
		},
		func(ctx context.Context) (*pull, error) {
			return h.openPull(ctx, lineage, receipt, name, section("", lineage, body))
		})
	if err != nil || p == nil || p.closed || !p.ours {
		return p, err
	}
	body = section(p.body, lineage, body)
	if p.title == name && same(p.body, body) {
		return p, nil
	}
	_, _, err = h.client.PullRequests.Edit(ctx, h.owner, h.repo, p.number, &github.PullRequest{Title: &name, Body: &body})
	return p, err
}

// findPull finds the pull request of the work branch: an open one, whoever
// opened it; else the newest one of this loop if a person closed it. One that
// was merged has done its work, and another one may follow it.
func (h *Hub) findPull(ctx context.Context, lineage, receipt string) (*pull, error) {
	who, err := h.self(ctx)
	if err != nil {
		return nil, err
	}
	opts := &github.PullRequestListOptions{
		State: "all", Head: h.owner + ":" + h.opts.Branch, Base: h.opts.Base, ListOptions: github.ListOptions{PerPage: 100},
	}
	var newest *pull
	for {
		list, resp, err := h.client.PullRequests.List(ctx, h.owner, h.repo, opts)
		if err != nil {
			return nil, err
		}
		for _, g := range list {
			// Servers other than GitHub do not filter; a fork may have a branch of the same name.
			if g.GetHead().GetRef() != h.opts.Branch || g.GetBase().GetRef() != h.opts.Base ||
				!strings.EqualFold(g.GetHead().GetRepo().GetFullName(), h.opts.Repository) {
				continue
			}
			p := &pull{
				number: g.GetNumber(), url: g.GetHTMLURL(), title: g.GetTitle(), body: g.GetBody(),
				ours:   (g.GetUser().GetID() == who.id || g.GetHTMLURL() == receipt) && strings.Contains(g.GetBody(), marker(lineage)),
				closed: g.GetState() == "closed" && g.MergedAt == nil,
			}
			switch {
			case g.GetState() == "open":
				return p, nil
			case p.ours && (newest == nil || p.number > newest.number):
				newest = p
			}
		}
		if resp.NextPage == 0 {
			break
		}
		opts.Page = resp.NextPage
	}
	if newest != nil && newest.closed {
		return newest, nil
	}
	return nil, nil
}

// openPull opens the pull request. There is none if the branches do not differ.
func (h *Hub) openPull(ctx context.Context, lineage, receipt, title, body string) (*pull, error) {
	draft := h.opts.PullRequest != Ready
	ask := &github.NewPullRequest{Title: &title, Body: &body, Head: &h.opts.Branch, Base: &h.opts.Base, Draft: &draft}
	g, _, err := h.client.PullRequests.Create(ctx, h.owner, h.repo, ask)
	if draft && names(err, "draft pull requests are not supported") {
		draft = false
		g, _, err = h.client.PullRequests.Create(ctx, h.owner, h.repo, ask)
	}
	switch {
	case err == nil:
		return &pull{number: g.GetNumber(), url: g.GetHTMLURL(), title: title, body: body, ours: true}, nil
	case status(err) == http.StatusUnprocessableEntity && names(err, "no commits between"):
		return nil, nil
	case status(err) == http.StatusUnprocessableEntity && names(err, "already exists"):
		// Another one was faster.
		if p, again := h.findPull(ctx, lineage, receipt); again != nil || p != nil {
			return p, again
		}
	}
	return nil, err
}
