package forge

import (
	"context"
	"net/http"
	"path"
	"strconv"
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
	gone        bool // deleted: there is no place for a comment
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
	return p, accepted(err)
}

// findPull finds the pull request of the work branch: an open one, whoever
// opened it; else the newest one of this loop if a person closed it. One that
// was merged has done its work, and another one may follow it.
func (h *Hub) findPull(ctx context.Context, lineage, receipt string) (*pull, error) {
	who, err := h.self(ctx)
	if err != nil {
		return nil, err
	}
	owner, _, _ := strings.Cut(h.called(), "/")
	opts := &github.PullRequestListOptions{
		State: "all", Head: owner + ":" + h.opts.Branch, Base: h.opts.Base, ListOptions: github.ListOptions{PerPage: 100},
	}
	var newest *pull
	for {
		list, resp, err := h.client.PullRequests.List(ctx, h.owner, h.repo, opts)
		if err != nil {
			return nil, err
		}
		if h.moved(ctx) {
			return h.findPull(ctx, lineage, receipt)
		}
		for _, g := range list {
			// Servers other than GitHub do not filter; a fork may have a branch of the same name.
			if g.GetHead().GetRef() != h.opts.Branch || g.GetBase().GetRef() != h.opts.Base ||
				g.GetHead().GetRepo().GetID() != g.GetBase().GetRepo().GetID() {
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
	if newest == nil {
		return h.lostPull(ctx, receipt)
	}
	return nil, nil
}

// lostPull tells what became of a pull request of the loop that is not listed
// any more: nil if it was none. One that was deleted is as good as closed, and
// one whose base a person changed goes on.
func (h *Hub) lostPull(ctx context.Context, receipt string) (*pull, error) {
	number, err := strconv.Atoi(path.Base(receipt))
	if err != nil {
		return nil, nil //nolint:nilerr // a receipt of something else
	}
	g, _, err := h.client.PullRequests.Get(ctx, h.owner, h.repo, number)
	switch code := status(err); {
	case code == http.StatusNotFound, code == http.StatusGone:
		return &pull{number: number, url: receipt, closed: true, gone: true}, nil
	case err != nil:
		return nil, err
	case g.GetHead().GetRef() != h.opts.Branch:
		return nil, nil
	}
	return &pull{
		number: number, url: g.GetHTMLURL(), title: g.GetTitle(), body: g.GetBody(), ours: g.GetState() == "open",
		closed: g.GetState() == "closed" && g.MergedAt == nil,
	}, nil
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
