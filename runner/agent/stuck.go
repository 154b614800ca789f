package agent

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// A step is a tool call that was answered, as the stuck rules see it.
type step struct {
	Tool      string
	Args      string // canonical
	Result    string // normalised
	Failed    bool   // nothing was done
	Malformed bool   // it could not even be read as a call
}

// A finding says that a phase goes in circles.
type finding struct {
	Rule string // each rule nudges once in a phase
	Stop bool
	Text string // for the model, and for whoever reads why it stopped
}

// The thresholds of the rules: a nudge, then the end of the phase.
const (
	sameNudge, sameStop           = 3, 5 // the same call with the same result, within the last 10
	missNudge, missStop           = 3, 6 // edits that miss, in a row
	malformedNudge, malformedStop = 3, 4 // calls that cannot be read, in a row
	sameWindow                    = 10
)

// stuck looks at the steps of a phase and says whether the last of them goes in
// circles. It never counts across a change that was made: after a new edit or
// a new command the same test may well be run again.
func stuck(steps []step) (finding, bool) {
	if len(steps) == 0 {
		return finding{}, false
	}
	last := steps[len(steps)-1]
	if n := inARow(steps, func(s step) bool { return s.Malformed }); n >= malformedNudge {
		return finding{"malformed", n >= malformedStop, fmt.Sprintf("%d calls in a row could not be read. Write small, plain JSON arguments; give long text to write_file in parts.", n)}, true
	}
	if last.Tool == "edit_file" && last.Failed {
		edits := only(steps, "edit_file")
		if n := inARow(edits, func(s step) bool { return s.Failed }); n >= missNudge {
			return finding{"misses", n >= missStop, fmt.Sprintf("%d edits in a row missed. Read the region again and copy old from it, or replace the file with write_file.", n)}, true
		}
	}
	if last.Tool == "job" || last.Tool == noteTool { // waiting for a job is no circle
		return finding{}, false
	}
	recent := steps[progress(steps):]
	n := 0
	for _, s := range recent[max(0, len(recent)-sameWindow):] {
		if s.Tool == last.Tool && s.Args == last.Args && (s.Result == last.Result || s.Failed && last.Failed) {
			n++
		}
	}
	if n < sameNudge {
		return finding{}, false
	}
	return finding{"same", n >= sameStop, fmt.Sprintf("%s %s was called %d times with the same result and nothing changed in between. Repeating it will not help: change the approach.", last.Tool, oneLine(last.Args, 160), n)}, true
}

// progress is the index of the last step that may have changed something and
// had not been made before.
func progress(steps []step) int {
	type call struct{ tool, args string }
	seen := map[call]bool{}
	at := 0
	for i, s := range steps {
		switch s.Tool {
		case "edit_file", "write_file", "shell", "browser":
			c := call{s.Tool, s.Args}
			if !s.Failed && !seen[c] {
				at = i
			}
			seen[c] = true
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

// noise is what differs between two runs of the same thing: durations,
// addresses, temporary paths, ports, process ids and log names.
var noise = regexp.MustCompile(`\b\d+([.,]\d+)?\s?(ns|µs|us|ms|s|sec|seconds|m)\b|0x[0-9a-fA-F]+|\b[0-9a-f]{12,}\b|/tmp/[^\s"']+|(localhost|127\.0\.0\.1|\]|::1):\d+|\b(pid|PID)[ =:]*\d+|\d+\.log\b|\bjob\d+\b`)

func normal(result string) string { return noise.ReplaceAllString(clip(result, 8<<10), "~") }

// compared is what of a result is compared. What only reads has no noise, and
// taking it out of long results would take longer than all else in a turn.
func compared(tool, result string) string {
	if shared(tool) {
		return result
	}
	return normal(result)
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
