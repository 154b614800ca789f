package forge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-github/v62/github"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// comment makes the loop's one comment say what r says and returns its URL, ""
// if there is no place for it. Its place is the pull request; before that is
// opened, the issue that the spec came from.
func (h *Hub) comment(ctx context.Context, r runner.Report, p *pull) (string, error) {
	text := shows(r, commentFile)
	place := h.opts.SpecIssue
	if p != nil && !p.gone {
		place = p.number
	}
	if text == "" || place == 0 {
		return "", nil
	}
	receipt := r.State.Effects[KeyComment]
	mark := marker(r.State.Lineage)
	url, fresh, err := h.post(ctx, place, mark, receipt, mark+"\n"+strings.TrimPrefix(text, mark+"\n"))
	if fresh && strings.Contains(receipt, fmt.Sprintf("/%d#", place)) {
		h.rewritten = receipt
	}
	if err != nil || place == h.opts.SpecIssue || h.opts.SpecIssue == 0 {
		return url, err
	}
	// It has moved: one comment, not two. GitHub shows the way from the issue
	// to the pull request.
	old, err := h.comments(ctx, h.opts.SpecIssue, mark, receipt)
	if err != nil {
		return url, err
	}
	return url, h.remove(ctx, old)
}

// post makes text the one comment with mark on an issue or pull request and
// says whether it had to be written anew. Of several, which two sessions at the
// same moment may leave, the oldest stays. One that somebody deletes between
// two of our questions is written once more, and not again.
func (h *Hub) post(ctx context.Context, number int, mark, receipt, text string) (url string, fresh bool, err error) {
	text = fit(text, bodyLimit)
	for try := 0; ; try++ {
		var extra []*github.IssueComment
		c, err := ensure(ctx, h,
			func(ctx context.Context) (*github.IssueComment, bool, error) {
				ours, err := h.comments(ctx, number, mark, receipt)
				if err != nil || len(ours) == 0 {
					return nil, false, err
				}
				extra = ours[1:]
				return ours[0], true, nil
			},
			func(ctx context.Context) (*github.IssueComment, error) {
				c, _, err := h.client.Issues.CreateComment(ctx, h.owner, h.repo, number, &github.IssueComment{Body: &text})
				fresh = true
				return c, err
			})
		if err != nil {
			return "", fresh, err
		}
		if !same(c.GetBody(), text) {
			_, _, err := h.client.Issues.EditComment(ctx, h.owner, h.repo, c.GetID(), &github.IssueComment{Body: &text})
			if code := status(err); try == 0 && (code == http.StatusNotFound || code == http.StatusGone) {
				continue
			}
			if err = accepted(err); err != nil {
				return c.GetHTMLURL(), fresh, err
			}
		}
		return c.GetHTMLURL(), fresh, h.remove(ctx, extra)
	}
}

// comments lists the loop's comments on an issue or pull request, oldest first:
// those that begin with mark and were written by our account. Anybody can write
// a marker. The receipt of an earlier session counts as well, because some
// tokens cannot tell whose they are.
func (h *Hub) comments(ctx context.Context, number int, mark, receipt string) ([]*github.IssueComment, error) {
	who, err := h.self(ctx)
	if err != nil {
		return nil, err
	}
	var ours []*github.IssueComment
	opts := &github.IssueListCommentsOptions{ListOptions: github.ListOptions{PerPage: 100}}
	for {
		list, resp, err := h.client.Issues.ListComments(ctx, h.owner, h.repo, number, opts)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			wrote := c.GetUser().GetID() == who.id || strings.HasSuffix(receipt, "#issuecomment-"+strconv.FormatInt(c.GetID(), 10))
			if wrote && strings.HasPrefix(strings.TrimSpace(c.GetBody()), mark) {
				ours = append(ours, c)
			}
		}
		if resp.NextPage == 0 {
			break
		}
		opts.Page = resp.NextPage
	}
	slices.SortFunc(ours, func(a, b *github.IssueComment) int { return cmp.Compare(a.GetID(), b.GetID()) })
	return ours, nil
}

// remove deletes comments of ours; one that is gone already is as good.
func (h *Hub) remove(ctx context.Context, comments []*github.IssueComment) error {
	var errs []error
	for _, c := range comments {
		if _, err := h.client.Issues.DeleteComment(ctx, h.owner, h.repo, c.GetID()); accepted(err) != nil && status(err) != http.StatusNotFound {
			errs = append(errs, fmt.Errorf("delete the comment %s, which is one too many: %w", c.GetHTMLURL(), explain(err)))
		}
	}
	return errors.Join(errs...)
}
