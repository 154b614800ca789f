package forge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/google/go-github/v62/github"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// NeedsPerson is the label on the loop's pull request, or on the issue that its
// spec came from, while only a person can let the loop go on.
const NeedsPerson = "autonomous-loop: needs a person"

// What the label looks like where the loop makes it. Whoever gave it another
// look keeps that.
const (
	labelColor = "d93f0b"
	labelText  = "The loop goes on when a person has done what its comment says"
)

// label makes the label stand where people look while the loop needs one, and
// nowhere else. One that a person took off is not put there again for the same
// end. The receipt is "" where nothing is to be kept.
func (h *Hub) label(ctx context.Context, r runner.Report, p *pull) (receipt string, err error) {
	place := h.opts.SpecIssue
	if p != nil && !p.closed {
		place = p.number
	}
	stands, begun := r.State.Effects[KeyLabel]
	old, _ := strconv.Atoi(stands)
	switch wanted := r.State.NeedsPerson() && place != 0; {
	case wanted && old != place:
		if err := h.addLabel(ctx, place); err != nil {
			return "", err
		}
		if old != 0 {
			err = h.takeLabel(ctx, old)
		}
		return strconv.Itoa(place), err
	case wanted || !begun || stands == runner.NoLabel:
		return "", nil
	case old != 0:
		return runner.NoLabel, h.takeLabel(ctx, old)
	}
	// Whoever was about to put it there died, and did not say where.
	for _, number := range []int{place, h.opts.SpecIssue} {
		if number != 0 && err == nil {
			err = h.takeLabel(ctx, number)
		}
	}
	return runner.NoLabel, err
}

func (h *Hub) addLabel(ctx context.Context, number int) error {
	_, _, err := h.client.Issues.GetLabel(ctx, h.owner, h.repo, url.PathEscape(NeedsPerson))
	if status(err) == http.StatusNotFound {
		name, color, text := NeedsPerson, labelColor, labelText
		_, _, err = h.client.Issues.CreateLabel(ctx, h.owner, h.repo, &github.Label{Name: &name, Color: &color, Description: &text})
		if status(err) == http.StatusUnprocessableEntity && names(err, "already_exists") {
			err = nil // another one was faster
		}
	}
	if err != nil {
		return err
	}
	// The client's own way sends a bare list, which GitHub does not describe.
	req, err := h.client.NewRequest(http.MethodPost, fmt.Sprintf("repos/%s/issues/%d/labels", h.opts.Repository, number), map[string][]string{"labels": {NeedsPerson}})
	if err != nil {
		return err
	}
	_, err = h.client.Do(ctx, req, nil)
	return err
}

// takeLabel takes the label off; one that is not there is as good.
func (h *Hub) takeLabel(ctx context.Context, number int) error {
	_, err := h.client.Issues.RemoveLabelForIssue(ctx, h.owner, h.repo, number, url.PathEscape(NeedsPerson))
	if status(err) == http.StatusNotFound {
		return nil
	}
	return err
}
