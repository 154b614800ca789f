package plan

import (
	"context"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A fakeAsker answers its questions in order, and fails the test at one it has
// no answer for. Every question uses 100 tokens and a cent.
type fakeAsker struct {
	t       *testing.T
	answers []string
	errs    []error
	system  string
	prompts []string
}

func (f *fakeAsker) Ask(ctx context.Context, system, prompt string) (string, runner.Usage, error) {
	f.t.Helper()
	if err := ctx.Err(); err != nil {
		return "", runner.Usage{}, err
	}
	n := len(f.prompts)
	f.system, f.prompts = system, append(f.prompts, prompt)
	used := runner.Usage{Calls: 1, Tokens: 100, Cost: runner.Dollar / 100}
	if n < len(f.errs) && f.errs[n] != nil {
		return "", used, f.errs[n]
	}
	if n >= len(f.answers) {
		f.t.Fatalf("question %d has no answer:\n%s", n+1, prompt)
	}
	return f.answers[n], used, nil
}
