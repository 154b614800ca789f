package tool

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/agent"
	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
)

// A script is a model that gives its replies in order, by the number of
// assistant messages, and keeps what it was asked.
type script struct {
	t       *testing.T
	replies [][]agent.Call
	last    agent.Request
}

func (s *script) Window() int { return 100_000 }

func (s *script) Complete(_ context.Context, r agent.Request) (agent.Reply, error) {
	turn := 0
	for _, m := range r.Messages {
		if m.Role == agent.Assistant {
			turn++
		}
	}
	s.last = r
	if turn >= len(s.replies) {
		return agent.Reply{}, fmt.Errorf("unexpected turn %d", turn+1)
	}
	return agent.Reply{Calls: s.replies[turn], Finish: agent.FinishCalls, Prompt: 1000}, nil
}

// The agent and its real tools, from the tests to the code that makes them pass.
func TestAnAttemptWithRealTools(t *testing.T) {
	b := open(t, map[string]string{"README": "adds numbers\n"}, func(o *Options) {
		o.MayWrite = func(p agent.Phase, path string) error {
			if p == "tests" && !strings.HasPrefix(path, "test/") {
				return fmt.Errorf("only test files in the phase %s", p)
			}
			return nil
		}
		o.Tests = func(ctx context.Context, _ string) (string, string, error) {
			out, err := o.Shell.Run(ctx, sandbox.Command{Argv: []string{"bash", "test/add.sh"}, Dir: o.Dir, Write: []string{o.Dir}, Timeout: time.Minute, Tail: 1 << 10})
			return fmt.Sprintf("exit %d\n%s", out.Code, out.Text), "", err
		}
	})
	c := func(name string, in args) agent.Call { return callOf(t, name, in) }
	verify := c("request_verification", args{"summary": "s"})
	m := &script{t: t, replies: [][]agent.Call{
		{c("read_file", args{"path": "README"}), c("find_files", args{"glob": "**"}), c("search", args{"pattern": "add"})},
		{c("write_file", args{"path": "add.sh", "content": "too early"}), verify},
		{c("write_file", args{"path": "test/add.sh", "content": "[ \"$(bash add.sh 1 2)\" = 3 ] || { echo want 3; exit 1; }\n"}), c("run_tests", args{})},
		{verify},
		{c("write_file", args{"path": "add.sh", "content": "echo $(($1 - $2))\n"}), c("run_tests", args{})},
		{c("edit_file", args{"path": "add.sh", "edits": []args{{"old": "1\techo $(($1 - $2))", "new": "1\techo $(($1 + $2))"}}}), c("run_tests", args{}), verify},
	}}
	for i := range m.replies { // ids as a provider gives them
		for k := range m.replies[i] {
			m.replies[i][k].ID = fmt.Sprintf("call_%d_%d", i, k)
		}
	}
	a := agent.Open(agent.Options{Model: m, Tools: b})
	for _, phase := range []agent.Phase{"tests", "implement"} {
		task := runner.Task{Attempt: 1, Phase: phase}
		task.Feature.ID, task.Purse.Tokens = "add-001", 1e6
		if claim, err := a.Work(t.Context(), task); err != nil || len(claim.Notes) > 0 {
			t.Fatalf("%s: %v, %q", phase, err, claim.Notes)
		}
	}
	var got []string
	for _, m := range m.last.Messages {
		if m.Role == agent.Result {
			got = append(got, m.Content)
		}
	}
	for i, want := range []string{"1\tadds numbers", "README", "README:1:", "only test files", "not asked for", "created test/add.sh", "exit 1\n", "verifies", "created add.sh", "want 3"} {
		has(t, got[i], want)
	}
	if got := content(t, b, "add.sh"); got != "echo $(($1 + $2))\n" {
		t.Errorf("add.sh is %q", got)
	}
	if text, _, err := b.o.Tests(t.Context(), ""); err != nil || !strings.HasPrefix(text, "exit 0") {
		t.Errorf("%q, %v", text, err)
	}
}
