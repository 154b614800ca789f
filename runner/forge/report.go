package forge

import (
	"context"
	"fmt"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Report makes the summary, the pull request and the one comment say what r
// says. A pull request or comment that GitHub refuses costs a warning; only a
// session that is over or must wait, and a token that is not valid, are errors,
// and what was done before still has its receipts.
func (h *Hub) Report(ctx context.Context, r runner.Report) (runner.Receipts, error) {
	out := runner.Receipts{Keys: map[string]string{}}
	warn := func(what string, err error) error {
		if err == nil {
			return nil
		}
		if fatal(ctx, err) {
			return fmt.Errorf("%s: %w", what, explain(err))
		}
		out.Warnings = append(out.Warnings, fmt.Sprintf("%s: %v", what, explain(err)))
		return nil
	}
	if err := warn("write the job's summary", h.summary(r)); err != nil {
		return out, err
	}
	p, err := h.pull(ctx, r)
	if p != nil && p.closed {
		out.Keys[KeyClosed] = p.url
	} else if p != nil {
		out.Keys[KeyPull] = p.url
	}
	what := "keep the pull request up to date"
	if p == nil {
		what = fmt.Sprintf("open a pull request (by hand: %s)", h.link("compare/%s...%s?expand=1", h.opts.Base, h.opts.Branch))
	}
	if err := warn(what, err); err != nil {
		return out, err
	}
	url, err := h.comment(ctx, r, p)
	if url != "" {
		out.Keys[KeyComment] = url
	}
	if h.rewritten != "" {
		out.Warnings = append(out.Warnings, fmt.Sprintf("the progress comment %s was deleted; it was written again", h.rewritten))
	}
	if name := h.called(); name != h.opts.Repository {
		out.Warnings = append(out.Warnings, fmt.Sprintf("the repository is called %s now; what was asked for by its old name was done there", name))
	}
	if err := warn("keep the progress comment up to date", err); err != nil {
		return out, err
	}
	label, err := h.label(ctx, r, p)
	if label != "" && err == nil {
		out.Keys[KeyLabel] = label
	}
	return out, warn(fmt.Sprintf("keep the label %q up to date", NeedsPerson), err)
}

// summary appends the report's summary to the job's, once for the same text.
func (h *Hub) summary(r runner.Report) error {
	text := shows(r, summaryFile)
	if h.opts.Summary == nil || text == "" || text == h.shown {
		return nil
	}
	if err := h.opts.Summary([]byte(fit(text, summaryLimit))); err != nil {
		return err
	}
	h.shown = text
	return nil
}
