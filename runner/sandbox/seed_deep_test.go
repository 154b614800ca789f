//go:build deep

package sandbox

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSeedCannotBePoisoned: the agent's commands and what is judged do what they
// can to the caches that they were given. Neither reaches the other's, nor the
// seed, nor what the next session judges by.
func TestSeedCannotBePoisoned(t *testing.T) {
	t.Parallel()
	keep := filepath.Join(place(t), "keep")
	// One package keeps it short; main says std.
	const wanted = "errors"
	const passes = "go test -count=1 ./..."
	module := func(work string) {
		t.Helper()
		for name, text := range map[string]string{
			"go.mod":    "module m\n\ngo 1.21\n",
			"m_test.go": "package m\n\nimport (\n\t\"errors\"\n\t\"testing\"\n)\n\nfunc TestM(t *testing.T) {\n\tif errors.Is(errors.New(\"a\"), nil) {\n\t\tt.Fatal(\"is\")\n\t}\n}\n",
		} {
			if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o644); err != nil { //nolint:gosec // commands read it
				t.Fatal(err)
			}
		}
	}
	command := func(work, script string, judge bool) Command {
		c := sh(work, script)
		c.Dir, c.Write, c.Read, c.Judge = work, nil, []string{work}, judge
		return c
	}
	want := func(s *Sandbox, c Command, code int, words string) {
		t.Helper()
		if out := ran(t, s, c); out.Code != code || !strings.Contains(out.Text, words) {
			t.Errorf("%v ends with %d, want %d and %q:\n%s", c.Argv, out.Code, code, words, out.Text)
		}
	}
	// What is compiled already is in no answer of go's to -n.
	compiles := `go test -count=1 -n ./... 2>&1 | grep -c '/compile .* -p errors ' || true`
	// All data in the cache is overwritten, or replaced, by as many zeros: go
	// looks at no more than the size.
	const poison = `cd "$GOCACHE" && for f in $(find . -type f -name '*-d'); do n=$(stat -c %s $f)
			chmod u+w $f; head -c $n /dev/zero >$f || { rm -f $f && head -c $n /dev/zero >$f; }; done 2>/dev/null
		for f in $(find . -type f -name '*-d'); do head -c 100 $f | tr -d '\0' | grep -q . && echo left; done; true`
	reach := func(dir string) string {
		return `for f in $(find ` + dir + ` 2>/dev/null | head -n 50) ` + dir + `/x; do echo poison >$f && echo "reached $f"; done 2>/dev/null; true`
	}

	first, work := box(t, Options{})
	if err := first.Warm(t.Context(), keep, wanted); err != nil {
		t.Fatal(err)
	}
	seed := bytesBelow(t, keep)
	if len(seed) < 20 {
		t.Fatalf("the seed has %d files", len(seed))
	}
	module(work)
	for _, judge := range []bool{false, true} {
		want(first, command(work, compiles, judge), 0, "0\n")
		want(first, command(work, passes, judge), 0, "ok")
	}

	// The agent's commands poison their own cache, and reach no other.
	want(first, command(work, poison, false), 0, "")
	if first.user.own {
		want(first, command(work, passes, false), 1, "") // the poison is one
		want(first, command(work, passes, true), 0, "ok")
	}
	for _, judge := range []bool{false, true} {
		if out := ran(t, first, command(work, reach(keep), judge)); strings.Contains(out.Text, "reached") {
			t.Errorf("a command wrote to the seed:\n%s", out.Text)
		}
	}

	// What is judged poisons its own: the next run, and the next session, have the
	// seed as it was.
	want(first, command(work, poison+" && ! "+passes, true), 0, "")
	want(first, command(work, passes, true), 0, "ok")
	if diff := cmp.Diff(seed, bytesBelow(t, keep)); diff != "" {
		t.Errorf("the seed has changed (-before +after):\n%s", diff)
	}
	next, work := box(t, Options{})
	if err := next.Warm(t.Context(), keep, wanted); err != nil {
		t.Fatal(err)
	}
	module(work)
	for _, judge := range []bool{false, true} {
		want(next, command(work, compiles, judge), 0, "0\n")
		want(next, command(work, passes, judge), 0, "ok")
	}
	if diff := cmp.Diff(seed, bytesBelow(t, keep)); diff != "" {
		t.Errorf("the seed has changed (-before +after):\n%s", diff)
	}
}

// bytesBelow hashes the files below dir.
func bytesBelow(t *testing.T, dir string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var data []byte
			data, err = os.ReadFile(name)
			sums[name] = fmt.Sprintf("%x", sha256.Sum256(data))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sums
}
