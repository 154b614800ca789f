package pattern_test

import (
	"regexp"
	"testing"

	_ "github.com/autonomous-loop/autonomous-loop/runner/agent"
	_ "github.com/autonomous-loop/autonomous-loop/runner/audit"
	_ "github.com/autonomous-loop/autonomous-loop/runner/check"
	_ "github.com/autonomous-loop/autonomous-loop/runner/model"
	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
	_ "github.com/autonomous-loop/autonomous-loop/runner/plan"
	_ "github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// What regexp.MustCompile would say at the start of the program is said here.
func TestAllCompile(t *testing.T) {
	all := pattern.All()
	if len(all) < 200 {
		t.Errorf("%d expressions: the packages that have them are not linked in", len(all))
	}
	for _, re := range all {
		if _, err := regexp.Compile(re.String()); err != nil {
			t.Error(err)
		}
	}
}

func BenchmarkAll(b *testing.B) {
	all := pattern.All()
	for b.Loop() {
		for _, re := range all {
			regexp.MustCompile(re.String())
		}
	}
	b.ReportMetric(float64(len(all)), "expressions")
}
