package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// BenchmarkGates plays the demo and says what each gate of the verdicts on its
// complete features took, as a multiple of what running the tests once took in
// the same verdict. docs/verdicts.md has the figures.
func BenchmarkGates(b *testing.B) {
	program := filepath.Join(b.TempDir(), "autonomous-loop")
	ran(b, "go", "build", "-trimpath", "-o", program, ".")
	for b.Loop() {
		out := b.TempDir()
		began := time.Now()
		ran(b, program, "demo", "--out", out)
		b.ReportMetric(time.Since(began).Seconds(), "s/demo")
		var names []string
		var once time.Duration
		took := map[string]time.Duration{}
		for _, r := range evidenceOf(b, filepath.Join(out, "remote.git")) {
			for _, g := range r.Gates {
				if g.Name == "green" && len(g.Runs) > 0 {
					once += time.Duration(g.Runs[0].Millis) * time.Millisecond
				}
				if !slices.Contains(names, g.Name) {
					names = append(names, g.Name)
				}
				took[g.Name] += time.Duration(g.Millis) * time.Millisecond
			}
		}
		if once == 0 {
			b.Fatal("no verdict of the demo has run its tests")
		}
		for _, name := range names {
			b.ReportMetric(took[name].Seconds()/once.Seconds(), name+"/tests")
		}
	}
}

func ran(b *testing.B, argv ...string) string {
	b.Helper()
	out, err := exec.CommandContext(b.Context(), argv[0], argv[1:]...).CombinedOutput() // #nosec G204 -- a benchmark's own
	if err != nil {
		b.Fatalf("%q: %v\n%s", argv, err, out)
	}
	return string(out)
}

// evidenceOf is the evidence of all features that are complete.
func evidenceOf(b *testing.B, remote string) []runner.Record {
	b.Helper()
	const branch = "autonomous-loop-state/main"
	var all []runner.Record
	for file := range strings.FieldsSeq(ran(b, "git", "-C", remote, "ls-tree", "-r", "--name-only", branch, "evidence")) {
		if ok, _ := filepath.Match("evidence/*/record-*.json", file); !ok {
			continue
		}
		var r runner.Record
		if err := json.Unmarshal([]byte(ran(b, "git", "-C", remote, "show", fmt.Sprintf("%s:%s", branch, file))), &r); err != nil {
			b.Fatalf("%s: %v", file, err)
		}
		all = append(all, r)
	}
	return all
}
