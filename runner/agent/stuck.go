package agent

import (
	"fmt"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A finding says that a phase goes in circles.
type finding struct {
	Rule string // each rule nudges once in a phase
	Stop bool
	Text string // for the model, and for whoever reads why it stopped
}

// The thresholds of the rules: a nudge, then the end of the phase. Those that
// look at calls alone can be fooled by a command that varies; those that look
// at the tree and the failing tests cannot.
const (
	sameNudge, sameStop           = 3, 5   // the same call with the same result, within the last 10
	pairNudge, pairStop           = 6, 10  // calls of two kinds that take turns, with the same results
	missNudge, missStop           = 3, 6   // edits that miss, in a row
	malformedNudge, malformedStop = 3, 4   // calls that cannot be read, in a row
	errorNudge, errorStop         = 4, 8   // commands that end in the same error, whatever they were
	revertNudge, revertStop       = 2, 4   // changes in a row that lead back to a tree there was before
	failsNudge, failsStop         = 4, 8   // runs in a row in which the same tests fail with the same words, on as many trees
	namesNudge, namesStop         = 8, 14  // and with other words
	stillNudge, stillStop         = 40, 70 // half turns in which neither tree nor failing tests changed
	sameWindow                    = 10
)

// stuck looks at the steps of a phase and says in which ways the last of them
// goes in circles. It never counts across progress: after a new edit or a new
// command the same test may well be run again.
func stuck(phase runner.Phase, steps []step) []finding {
	if len(steps) == 0 {
		return nil
	}
	var found []finding
	for _, rule := range []func(runner.Phase, []step) (finding, bool){malformed, misses, pair, same, sameError, reverts, sameFails, still} {
		if f, ok := rule(phase, steps); ok {
			found = append(found, f)
		}
	}
	return found
}

func malformed(_ runner.Phase, steps []step) (finding, bool) {
	n := inARow(steps, func(s step) bool { return s.Malformed })
	return finding{"malformed", n >= malformedStop, fmt.Sprintf("%d calls in a row could not be read. Write small, plain JSON arguments; give long text to write_file in parts.", n)}, n >= malformedNudge
}

func misses(_ runner.Phase, steps []step) (finding, bool) {
	last := steps[len(steps)-1]
	if !edits(last.Tool) || !last.Failed {
		return finding{}, false
	}
	n := inARow(only(steps, last.Tool), func(s step) bool { return s.Failed })
	return finding{"misses", n >= missStop, fmt.Sprintf("%d edits in a row missed. Read the region again and copy old from it, or replace the file with write_file.", n)}, n >= missNudge
}

// same is the same call with the same result. A call that could not be read has
// a rule of its own.
func same(_ runner.Phase, steps []step) (finding, bool) {
	last := steps[len(steps)-1]
	if last.Malformed || last.Waits || last.Tool == noteTool || edits(last.Tool) && last.Failed {
		return finding{}, false
	}
	recent := steps[progress(steps):]
	n := 0
	for _, s := range recent[max(0, len(recent)-sameWindow):] {
		if s.repeats(last) {
			n++
		}
	}
	return finding{"same", n >= sameStop, fmt.Sprintf("%s %s was called %d times with the same result and nothing changed in between. Repeating it will not help: change the approach.", last.Tool, oneLine(last.Args, 160), n)}, n >= sameNudge
}

// pair is back and forth between two calls, none of which leads anywhere.
func pair(_ runner.Phase, steps []step) (finding, bool) {
	fresh := news(steps)
	n, last := 0, len(steps)-1
	for i := last; i >= 0 && !fresh[i] && !steps[i].Waits && !steps[i].Malformed; i-- {
		if i <= last-2 && !steps[i].repeats(steps[i+2]) || i < last && steps[i].repeats(steps[i+1]) {
			break
		}
		n++
	}
	if n < pairNudge {
		return finding{}, false
	}
	a, b := steps[last-1], steps[last]
	return finding{"pair", n >= pairStop, fmt.Sprintf("%s %s and %s %s took turns for %d calls with the same results. Neither will give another: find out what both have in common, and do something else.",
		a.Tool, oneLine(a.Args, 100), b.Tool, oneLine(b.Args, 100), n)}, true
}

// sameError is one error behind commands that differ.
func sameError(_ runner.Phase, steps []step) (finding, bool) {
	last := steps[len(steps)-1]
	if last.Trouble == "" || last.Tool != "shell" {
		return finding{}, false
	}
	fresh := news(steps)
	n := 0
	for i := len(steps) - 1; i >= 0 && !fresh[i]; i-- {
		if steps[i].Tool == "shell" && steps[i].Trouble == last.Trouble {
			n++
		}
	}
	return finding{"error", n >= errorStop, fmt.Sprintf("%d commands ended in the same error, and nothing changed in between: %s. Another command of that kind will, too: remove the cause, or do without.", n, oneLine(last.Trouble, 200))}, n >= errorNudge
}

// reverts is a tree that goes back to where it was, again and again. A change
// that is tried and taken back is none of that: it was new.
func reverts(_ runner.Phase, steps []step) (finding, bool) {
	if steps[len(steps)-1].Tree == "" {
		return finding{}, false
	}
	seen := map[string]bool{}
	n, tree, moved := 0, "", false
	for _, s := range steps {
		if moved = s.Tree != "" && s.Tree != tree; !moved {
			continue
		}
		if n++; !seen[s.Tree] {
			n = 0
		}
		seen[s.Tree], tree = true, s.Tree
	}
	return finding{"revert", n >= revertStop, fmt.Sprintf("The last %d changes only led back to what the tree held before. Decide for one of the versions by what the tests say, or try a third.", n)}, moved && n >= revertNudge
}

// sameFails is tests that go on failing whatever is changed. In the tests phase
// they should.
func sameFails(phase runner.Phase, steps []step) (finding, bool) {
	last := steps[len(steps)-1]
	if phase == runner.Tests || last.Names == "" || last.Names == "none" || last.Tree == "" {
		return finding{}, false
	}
	byName, byWord := map[string]bool{}, map[string]bool{} // the trees
	runs := 0
	words := true
	for _, s := range slices.Backward(steps) {
		if s.Tool != "run_tests" || s.Names == "" || s.Args != last.Args {
			continue
		}
		if s.Names != last.Names {
			break
		}
		runs++
		byName[s.Tree] = true
		if words = words && s.Words == last.Words; words {
			byWord[s.Tree] = true
		}
	}
	names := strings.Split(last.Names, "\n")
	text := fmt.Sprintf("The same %d tests failed in %d runs, whatever was changed in between: %s. The cause is elsewhere than where you look: reproduce one of them smaller, and see what the code really gets and does.",
		len(names), runs, oneLine(strings.Join(names, ", "), 300))
	return finding{"fails", len(byWord) >= failsStop || len(byName) >= namesStop, text}, len(byWord) >= failsNudge || len(byName) >= namesNudge
}

// still is time that passes without any change to the tree or to what fails.
// Waiting for a job costs nothing, and a turn that only looks at something new
// counts half: a large project takes some reading.
func still(_ runner.Phase, steps []step) (finding, bool) {
	fresh := news(steps)
	begin := -1 // the last time that the tree was looked at and was another
	looked := false
	for i, s := range steps {
		if looked = looked || s.Tree != ""; fresh[i] {
			begin = i
		}
	}
	if !looked {
		return finding{}, false
	}
	seen := map[string]bool{}
	for _, s := range steps[:begin+1] {
		seen[s.Tool+" "+s.Args+" "+s.Result] = true
	}
	halves, turns := 0, 0
	for i := begin + 1; i < len(steps); {
		weight := 0
		j := i
		for ; j < len(steps) && steps[j].Turn == steps[i].Turn; j++ {
			s := steps[j]
			key := s.Tool + " " + s.Args + " " + s.Result
			switch {
			case s.Waits || s.Tool == "":
			case (shared(s.Tool) || s.Tool == "browser" || s.Tool == "job") && !s.Failed && !seen[key]:
				weight = max(weight, 1)
			default:
				weight = 2
			}
			seen[key] = true
		}
		if weight > 0 {
			turns++
		}
		halves += weight
		i = j
	}
	return finding{"still", halves >= stillStop, fmt.Sprintf("For %d turns neither the files nor the failing tests changed. Make the smallest change that could be right, and see what the tests say; or write down what is missing and give up honestly.", turns)}, halves >= stillNudge
}

// diagnosis is what a person, and the next attempt, get to read of a phase that
// was stopped.
func diagnosis(f finding, steps []step) string {
	var b strings.Builder
	fmt.Fprintf(&b, "it was stuck (%s). %s", f.Rule, f.Text)
	for _, s := range slices.Backward(steps) {
		if n := s.Names; n != "" {
			fmt.Fprintf(&b, " Failing at the end: %s.", oneLine(strings.ReplaceAll(n, "\n", ", "), 300))
			break
		}
	}
	b.WriteString(" The last calls:")
	for _, s := range steps[max(0, len(steps)-3):] {
		fmt.Fprintf(&b, " %s %s;", s.Tool, oneLine(s.Args, 100))
	}
	return strings.TrimSuffix(b.String(), ";") + "."
}
