package main

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/check"
	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
)

// twoTrees are the trees "before" and "after", each of one file.
type twoTrees map[string]string

func (t twoTrees) Export(_ context.Context, tree, dir string) error {
	return os.WriteFile(filepath.Join(dir, "answer.txt"), []byte(t[tree]), 0o600)
}

func (t twoTrees) Changed(_ context.Context, from, to string) ([]string, error) {
	if t[from] == t[to] {
		return nil, nil
	}
	return []string{"answer.txt"}, nil
}

// passing is a command that passes, whatever it is.
type passing struct{}

func (passing) Run(_ context.Context, c sandbox.Command) (sandbox.Output, error) {
	const text = "1 passed\n"
	return sandbox.Output{Text: text, Bytes: int64(len(text))}, os.WriteFile(c.Log, []byte(text), 0o600)
}

// The second model is asked over HTTP, and its word goes into the verdict: a
// veto with its reason, and nothing where it is out of order.
func TestReviewOverHTTP(t *testing.T) {
	script := filepath.Join(t.TempDir(), "second.txtar")
	err := os.WriteFile(script, []byte("-- review/veto-001/1 expect --\n+made up\nthe feature\n-- review/veto-001/1 say --\n{\"veto\": true, \"reason\": \"the answer is made up\"}\n"+
		"-- review/fine-001/1 say --\n{\"veto\": false, \"reason\": \"\"}\n-- review/odd-001/1 say --\nI approve of this!\n"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseConfig(func(name string) string {
		return map[string]string{"model": "script:other.txtar", "review-model": "script:" + script, "spec": "x"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Model, c.Script = c.ReviewModel, c.ReviewScript
	var s session
	t.Cleanup(func() { _ = s.Close() })
	second, err := s.model(environment{now: time.Now}, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	gates, err := check.Open(check.Options{
		Trees: twoTrees{"before": "a\n", "after": "a\nmade up\n"}, Review: second, Run: passing{}, Dir: t.TempDir(),
		Test: "true", E2E: check.E2EOff, Rand: rand.NewChaCha8([32]byte{}), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		id      string
		outcome runner.Outcome
		says    string
	}{
		{"veto-001", runner.Failed, "A second model objects: the answer is made up"},
		{"fine-001", runner.Verified, "a second model does not object"},
		{"odd-001", runner.Verified, "no opinion: the answer is not the JSON"},
		{"unknown-001", runner.Verified, "no opinion: "},
	} {
		v, err := gates.Judge(t.Context(), runner.Candidate{
			Feature: runner.Feature{Row: runner.Row{ID: tt.id, Description: "an answer"}}, Phase: runner.Implement,
			Parent: "before", Commit: "after", Tree: "after", Purse: runner.Purse{Tokens: 1000},
		})
		if err != nil {
			t.Fatal(err)
		}
		if v.Outcome != tt.outcome || !strings.Contains(v.Reason, tt.says) {
			t.Errorf("%s: %s, %s", tt.id, v.Outcome, v.Reason)
		}
		if answered := tt.id != "unknown-001"; answered != (v.Usage.Tokens > 0) {
			t.Errorf("%s: used %+v", tt.id, v.Usage)
		}
	}
}
