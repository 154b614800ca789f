package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// A Gauge says how far the work has come, in values that are compared and
// nothing else. Without one only what was called and answered is looked at.
type Gauge interface {
	// Tree names what the work tree holds: the same name, the same content.
	Tree(ctx context.Context) (string, error)
	// Failing are the tests that failed when the project's tests last ran, by
	// name with what they said; nil before they ran, empty if none failed.
	Failing() map[string]string
}

// A step is a tool call that was answered, as the stuck rules see it.
type step struct {
	Turn      int
	Tool      string
	Args      string // canonical
	Result    string // normalised, a hash of it if it is long
	Waits     bool   // for a job that is still running
	Failed    bool   // nothing was done
	Malformed bool   // it could not even be read as a call
	Tree      string // what the work tree held after it; "": nobody looked
	Names     string // the tests that failed in it, "none", or "": no tests ran
	Words     string // what they said, normalised
	Trouble   string // fingerprint of the error that its command ended in
}

// measure looks at the tree and the tests after a call that may have changed
// one of them.
func (p *phase) measure(ctx context.Context, s *step) {
	g := p.a.o.Gauge
	if g == nil || s.Failed {
		return
	}
	switch s.Tool {
	case "run_tests":
		if failing := g.Failing(); failing != nil {
			s.Names, s.Words = failures(failing)
		}
	case "edit_file", "apply_patch", "write_file", "shell":
	default:
		return
	}
	if tree, err := g.Tree(ctx); err == nil { // without it fewer rules hold
		s.Tree = tree
	}
}

// failures are the names of failing tests, and what they said, as values.
func failures(failing map[string]string) (names, words string) {
	all := slices.Sorted(maps.Keys(failing))
	var said []string
	for _, name := range all {
		const most = 600
		said = append(said, name+": "+normal(clip(failing[name], most)))
	}
	return cmp.Or(strings.Join(all, "\n"), "none"), brief(strings.Join(said, "\n"))
}

// news says for each step whether the work was somewhere after it that it had
// not been before: another tree, or other failing tests.
func news(steps []step) []bool {
	trees, fails := map[string]bool{}, map[string]bool{}
	out := make([]bool, len(steps))
	for i, s := range steps {
		if s.Tree != "" && !trees[s.Tree] {
			out[i] = len(trees) > 0
			trees[s.Tree] = true
		}
		if s.Names != "" && !fails[s.Words] {
			out[i] = out[i] || len(fails) > 0
			fails[s.Words] = true
		}
	}
	return out
}

// progress is the index of the last step that may have changed something and
// had not been made before.
func progress(steps []step) int {
	type call struct{ tool, args string }
	seen := map[call]bool{}
	at := 0
	for i, s := range steps {
		switch s.Tool {
		case "edit_file", "apply_patch", "write_file", "shell", "browser":
			c := call{s.Tool, s.Args}
			if !s.Failed && !seen[c] {
				at = i
			}
			seen[c] = true
		}
	}
	for i, is := range news(steps) {
		if is {
			at = max(at, i)
		}
	}
	return at
}

func inARow(steps []step, is func(step) bool) int {
	n := 0
	for i := len(steps) - 1; i >= 0 && is(steps[i]); i-- {
		n++
	}
	return n
}

func only(steps []step, tool string) []step {
	var out []step
	for _, s := range steps {
		if s.Tool == tool {
			out = append(out, s)
		}
	}
	return out
}

// repeats says whether s is o again, with the same outcome.
func (s step) repeats(o step) bool {
	return s.Tool == o.Tool && s.Args == o.Args && (s.Result == o.Result || s.Failed && o.Failed)
}

// noise is what differs between two runs of the same thing: durations,
// addresses, temporary paths, ports, process ids and log names.
var noise = pattern.MustCompile(`\b\d+([.,]\d+)?\s?(ns|µs|us|ms|s|sec|seconds|m)\b|0x[0-9a-fA-F]+|\b[0-9a-f]{12,}\b|/tmp/[^\s"']+|(localhost|127\.0\.0\.1|\]|::1):\d+|\b(pid|PID)[ =:]*\d+|\d+\.log\b|\bjob\d+\b`)

func normal(result string) string { return noise.ReplaceAllString(clip(result, 8<<10), "~") }

// compared is what of a result is compared. What only reads has no noise, and
// taking it out of long results would take longer than all else in a turn.
func compared(tool, result string) string {
	if shared(tool) {
		return brief(result)
	}
	return brief(normal(result))
}

// brief is a text, or a hash of it: the rules look at all steps again and again.
func brief(text string) string {
	const long = 200
	if len(text) <= long {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// waiting says that a call waited for a job that is still running, which is no
// circle however often it is done.
func waiting(tool, result string) bool {
	return tool == "job" && !strings.HasPrefix(result, Failed) && !strings.Contains(result, "has ended")
}

// canonical is args with its keys in order, so that two spellings compare equal.
func canonical(args string) string {
	var v any
	d := json.NewDecoder(strings.NewReader(args))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return args
	}
	return encode(v)
}
