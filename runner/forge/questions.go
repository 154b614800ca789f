package forge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// questionsFile is what a [Folder] keeps questions in.
const questionsFile = "questions.md"

// questionsMark is the marker of the comment that asks about a loop's spec. The
// loop may have no lineage yet.
func questionsMark(loop string) string { return marker("questions:" + loop) }

// Ask makes the questions one comment, on the issue that the spec came from or
// else on the loop's open pull request, and in any case part of the job's
// summary. Without questions the comment is deleted.
func (h *Hub) Ask(ctx context.Context, q runner.Questions) (string, error) {
	mark, text := questionsMark(q.Loop), string(q.Text)
	var errs []error
	if text != "" && h.opts.Summary != nil {
		errs = append(errs, h.opts.Summary([]byte(fit(text, summaryLimit))))
	}
	url, err := func() (string, error) {
		place := h.opts.SpecIssue
		if place == 0 {
			p, err := h.findPull(ctx, "", "")
			if err != nil || p == nil {
				return "", err
			}
			place = p.number
		}
		if text != "" {
			url, _, err := h.post(ctx, place, mark, "", mark+"\n"+text)
			return url, err
		}
		old, err := h.comments(ctx, place, mark, "")
		if err != nil {
			return "", err
		}
		return "", h.remove(ctx, old)
	}()
	if err != nil {
		errs = append(errs, fmt.Errorf("ask about the spec: %w", explain(err)))
	}
	return url, errors.Join(errs...)
}

// Ask writes the questions into a file, or removes it.
func (f *Folder) Ask(_ context.Context, q runner.Questions) (string, error) {
	at := f.path(questionsFile)
	if strings.TrimSpace(string(q.Text)) == "" {
		if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("take the questions back: %w", err)
		}
		return "", nil
	}
	if err := write(at, q.Text); err != nil {
		return "", fmt.Errorf("write the questions: %w", err)
	}
	return at, nil
}
