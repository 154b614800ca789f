package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tiktoken-go/tokenizer"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/agent"
	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
	"github.com/autonomous-loop/autonomous-loop/runner/tool"
)

func TestWhoGetsPatches(t *testing.T) {
	for _, c := range []struct {
		edit, model string
		want        bool
	}{
		{"auto", "gpt-5.4-codex", true},
		{"auto", "openai/gpt-5-mini", true},
		{"auto", "GPT-OSS-120b", true},
		{"auto", "codex-mini-latest", true},
		{"auto", "chatgpt-4o-latest", true},
		{"auto", "claude-opus-5", false},
		{"auto", "not-gpt-at-all", false},
		{"auto", "mistral/devstral", false},
		{"auto", "script", false},
		{"replace", "gpt-5.4", false},
		{"patch", "claude-opus-5", true},
	} {
		if got := patches(c.edit, c.model); got != c.want {
			t.Errorf("edit %s, model %s: %v", c.edit, c.model, got)
		}
	}
	if _, err := parseConfig(lookupIn(map[string]string{"model": "m", "api-key": "k", "edit": "both"})); err == nil || !strings.Contains(err.Error(), "auto, replace or patch") {
		t.Errorf("both: %v", err)
	}
}

// A listener takes the first request and answers nothing.
type listener struct{ first *agent.Request }

var errHeard = errors.New("heard")

func (l listener) Complete(_ context.Context, r agent.Request) (agent.Reply, error) {
	if l.first.Messages == nil {
		*l.first = r
	}
	return agent.Reply{}, errHeard
}

func (l listener) Window() int { return 128_000 }

// What is sent with every request, whatever the project, is small: the system
// prompt and the tools, counted as GPT models count.
func TestFixedTokens(t *testing.T) {
	const most = 3000
	count, err := tokenizer.Get(tokenizer.O200kBase)
	if err != nil {
		t.Fatal(err)
	}
	tokens := func(s string) int {
		n, err := count.Count(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, patch := range []bool{false, true} {
		box, err := tool.Open(tool.Options{Dir: t.TempDir(), Patch: patch})
		if err != nil {
			t.Fatal(err)
		}
		defer box.Close()
		var sent agent.Request
		_, err = agent.Open(agent.Options{Model: listener{&sent}, Tools: box}).Work(t.Context(), runner.Task{Phase: runner.Tests, Purse: runner.Purse{Tokens: 1e9}})
		if !errors.Is(err, errHeard) {
			t.Fatal(err)
		}
		tools, err := json.Marshal(sent.Tools)
		if err != nil {
			t.Fatal(err)
		}
		system := tokens(sent.Messages[0].Content)
		n := system + tokens(string(tools))
		t.Logf("patch %v: %d tokens of system prompt, %d of %d tools, %d together", patch, system, n-system, len(sent.Tools), n)
		if n >= most || n < 1000 {
			t.Errorf("%d tokens, want fewer than %d", n, most)
		}
	}
}

// ripgrep is run in the sandbox like any other command, and answers there.
func TestRipgrepInTheSandbox(t *testing.T) {
	rg := ripgrep(os.Getenv("PATH"))
	if rg == "" {
		t.Skip("rg is not installed: apt-get install ripgrep, or make setup")
	}
	dir, err := os.MkdirTemp("", "ripgrep") //nolint:usetesting // the sandbox's user may not walk through a test's own directory
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	work := filepath.Join(dir, "work")
	for _, err := range []error{os.Chmod(dir, 0o711), os.Mkdir(work, 0o755), os.WriteFile(filepath.Join(work, "a"), []byte("needle\n"), 0o644)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	box, err := sandbox.Open(t.Context(), sandbox.Options{Isolation: "auto", Dir: filepath.Join(dir, "sandbox"), Path: os.Getenv("PATH")})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	asked := &asker{Sandbox: box}
	tools, err := tool.Open(tool.Options{Dir: work, Shell: asked, Ripgrep: rg})
	if err != nil {
		t.Fatal(err)
	}
	defer tools.Close()
	got, err := tools.Use(t.Context(), agent.Call{Name: "search", Args: `{"pattern":"needle"}`}, agent.Permit{})
	if err != nil || got != "a:1:needle\n[1 matches in 1 files]" {
		t.Errorf("got %q, %v", got, err)
	}
	if asked.out.Code != 0 || asked.out.Text != "./a\n" {
		t.Errorf("rg in the sandbox: %+v", asked.out)
	}
}

// An asker remembers what the last command said.
type asker struct {
	*sandbox.Sandbox
	out sandbox.Output
}

func (a *asker) Run(ctx context.Context, c sandbox.Command) (sandbox.Output, error) {
	out, err := a.Sandbox.Run(ctx, c)
	a.out = out
	return out, err
}
