//go:build deep

package suite

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBatsReport(t *testing.T) {
	need(t, "bats")
	dir := lay(t, tree{"test/a.bats": "@test \"ok ünï\" {\n  true\n}\n@test \"wrong # 1\" {\n  [ 1 -eq 2 ]\n}\n@test \"missing\" {\n  nosuchcommand\n}\n@test \"skipped\" {\n  skip \"why\"\n}\n"})
	r := do(t, dir, "")
	if believed(r) != "" {
		t.Fatal(believed(r), r.Tail)
	}
	want := sorted([]said{{"ok ünï", Pass, "", false}, {"wrong # 1", Fail, Assertion, false}, {"missing", Fail, Missing, false}, {"skipped", Skip, "", false}})
	if d := cmp.Diff(want, summary(r)); d != "" {
		t.Error(d)
	}
	do(t, lay(t, tree{"test/a.bats": "@test \"a\" {\n  true\n}\n@test \"b\" {\n  kill -9 $PPID\n}\n"}), "")
}
