package tool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// Limits of what tests and pages give.
const (
	mostTests = 6 << 10
	mostPage  = 12 << 10
)

// A Page is a browser page that the model drives. Text of the page is data.
type Page interface {
	// Do performs one action and tells what the page then shows. What went
	// wrong on the page is an error, for the model to read.
	Do(context.Context, PageAction) (string, error)
	// Shot is the picture that the last action took; nil if it took none.
	Shot() []byte
	Close() error
}

// A PageAction is one action in the browser.
type PageAction struct {
	Action string `json:"action"` // open, snapshot, click, type, press, wait, eval, console, screenshot
	URL    string `json:"url"`
	Ref    string `json:"ref"`
	Text   string `json:"text"`
	Key    string `json:"key"`
	Script string `json:"script"`
	WaitMS int    `json:"wait_ms"`
}

func (b *Box) browse(ctx context.Context, p agent.Permit, a PageAction) (string, error) {
	if err := a.complete(); err != nil {
		return "", err
	}
	if a.Action == "close" {
		if b.page == nil {
			return "no page was open", nil
		}
		err := b.page.Close()
		b.page = nil
		if err != nil {
			return "", fmt.Errorf("close the page: %w", err)
		}
		return "closed", nil
	}
	if b.o.Page == nil {
		return "", errors.New("there is no browser in this environment")
	}
	if b.page == nil {
		if a.Action != "open" {
			return "", errors.New("no page is open: open one first")
		}
		page, err := b.o.Page(ctx)
		if err != nil {
			return "", fmt.Errorf("the browser does not start: %w", err)
		}
		b.page = page
	}
	text, err := b.page.Do(ctx, a)
	if err != nil {
		return "", err
	}
	text = middle(cmp.Or(text, "done"), mostPage*2/3, mostPage/3)
	shot := b.page.Shot()
	if shot == nil || p.Show == nil {
		return text, nil
	}
	seen, err := b.show(p, shot)
	if err != nil {
		return text + "\n[the picture is not shown: " + err.Error() + "]", nil //nolint:nilerr // the screenshot was taken all the same
	}
	return text + "\n" + seen, nil
}

// complete says what an action lacks.
func (a PageAction) complete() error {
	for _, need := range []struct{ action, name, value string }{
		{"open", "url", a.URL}, {"click", "ref", a.Ref}, {"type", "ref", a.Ref}, {"press", "key", a.Key}, {"eval", "script", a.Script},
	} {
		if a.Action == need.action && need.value == "" {
			return fmt.Errorf("%s wants %s", a.Action, need.name)
		}
	}
	return nil
}

type testArgs struct {
	Scope string `json:"scope"`
}

func (b *Box) runTests(ctx context.Context, in testArgs) (string, error) {
	if b.o.Tests == nil {
		return "", errors.New("no test command is known; run the tests with the shell")
	}
	brief, whole, err := b.o.Tests(ctx, cmp.Or(in.Scope, "changed"))
	if err != nil {
		return "", broken{fmt.Errorf("run the tests: %w", err)}
	}
	text := middle(cmp.Or(brief, "the tests said nothing"), mostTests/3, mostTests*2/3)
	if log := b.nextLog(); log != "" && len(whole) > len(brief) {
		if err := b.logs.WriteFile(filepath.Base(log), []byte(whole), 0o644); err != nil {
			return "", broken{fmt.Errorf("keep the output of the tests: %w", err)}
		}
		text = strings.TrimRight(text, "\n") + "\n[all of it in " + log + "]"
	}
	return text, nil
}
