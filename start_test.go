package main

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var initLine = regexp.MustCompile(`(?m)^init (\S+) @.* (\d+) bytes, \d+ allocs$`)

// Every command that is confined starts this program once more, and every session
// three times over. What packages do before main is what that costs, most of all
// the compiling of expressions, which belong to package pattern: half of a start
// was spent on it. Bytes say what time, on a busy machine, does not.
func TestPackagesDoLittleBeforeMain(t *testing.T) {
	const most = 100 << 10 // of a package; the expressions of one were 700 KB
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^$")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ours := 0
	for _, m := range initLine.FindAllStringSubmatch(string(out), -1) {
		if path, ok := strings.CutPrefix(m[1], module+"/"); ok && !strings.HasPrefix(path, "internal/") { // those are for tests
			ours++
			if n, err := strconv.Atoi(m[2]); err != nil || n > most {
				t.Errorf("%s takes %s bytes before main, want at most %d: see runner/pattern", path, m[2], most)
			}
		}
	}
	if ours < 10 {
		t.Errorf("only %d packages of this module were seen:\n%s", ours, out)
	}
}
