package check

import (
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

func TestGoCandidates(t *testing.T) {
	s := samples(t, "go")
	parent, honest := s["parent"], s["tests"]
	built := tree{}.with(honest, s["impl"])
	const head = "package counter\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nvar _ = os.Exit\n\n"
	exit := func(body string) tree {
		return tree{"main_test.go": head + "func TestMain(m *testing.M) { " + body + " }\n"}
	}
	tests := []struct {
		name    string
		phase   runner.Phase
		edits   tree
		outcome runner.Outcome
		gate    string
		words   []string
	}{
		{"honest tests", runner.Tests, honest, runner.Red, "red", []string{"1 new test fails", "package ."}},
		{"honest feature", runner.Implement, built, runner.Verified, "canaries", []string{"2 tests pass", "1 of them new"}},
		{"os.Exit(0) in TestMain", runner.Implement, built.with(exit("os.Exit(0)")), runner.Invalid, "green", []string{"Ended before its tests were over", "TestAdd was never run"}},
		{"os.Exit(0) in place of a failure", runner.Implement, built.with(exit("m.Run(); os.Exit(0)"), tree{"counter.go": "package counter\n\ntype Counter struct{ n int }\n\nfunc (c *Counter) Add() int { return 7 }\n"}), runner.Invalid, "green", []string{"exit code 0 though a test failed", "Add() = 7, want 1"}},
	}
	w := newWorld(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := w.judge(tt.phase, parent, parent.with(tt.edits), runner.Row{ID: "reset"})
			want(t, v, tt.outcome, tt.gate, tt.words...)
		})
	}
}
