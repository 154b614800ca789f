package suite

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Our own reporters, in whatever language, write events: lines of their own with
// the nonce, a running number and JSON. The number shows a line that was lost or
// added; the last one shows that the runner came to its end.

// sift separates the events in log from what else was written.
func sift(log, nonce string, event func(body []byte) error) (other string, err error) {
	var rest strings.Builder
	number := 0
	for l := range strings.Lines(log) {
		line, ours := strings.CutPrefix(l, nonce+" ")
		if !ours {
			rest.WriteString(l)
			continue
		}
		n, body, _ := strings.Cut(line, " ")
		if i, err := strconv.Atoi(n); err != nil || i != number {
			return rest.String(), fmt.Errorf("event %d of the test report is missing or forged", number)
		}
		number++
		if err := event([]byte(body)); err != nil {
			return rest.String(), fmt.Errorf("event %d of the test report cannot be read: %w", number-1, err)
		}
	}
	return rest.String(), nil
}

// An event is what the reporters of jest, Vitest, Mocha, pytest, unittest, RSpec
// and Minitest say.
type event struct {
	K     string  `json:"k"` // see parseEvents
	File  string  `json:"file"`
	Name  string  `json:"name"`
	State State   `json:"state"`
	MS    float64 `json:"ms"`
	N     *int    `json:"n"`
	Type  string  `json:"type"`    // of what was thrown
	Code  string  `json:"code"`    // of Node's errors
	Text  string  `json:"message"` // of what was thrown
	Trace string  `json:"stack"`
}

// parseEvents reads the log of a run with one of our reporters. why says why a
// case or a file failed.
func parseEvents(log string, run Run, why func(e event, dir string) Kind) Report {
	var r Report
	var begun, ended, stopped bool
	var planned []string
	running := map[string]int{} // -> its place
	files := map[string]bool{}  // -> came to its end
	heard := map[string]bool{}
	total := -1
	id := func(e event) string { return Case{File: e.File, Name: e.Name}.ID() }
	other, err := sift(log, run.Kit.Nonce, func(body []byte) error {
		var e event
		if err := json.Unmarshal(body, &e); err != nil {
			return err
		}
		if ended {
			return fmt.Errorf("%q after the end", e.K)
		}
		e.File = relative(run.Dir, e.File)
		switch e.K {
		case "begin": // the reporter is at work
			if begun {
				return fmt.Errorf("a second begin")
			}
			begun = true
			if e.N != nil {
				total = *e.N
			}
		case "plan": // a case will be run
			planned = append(planned, id(e))
		case "file": // a file is taken up
			if !files[e.File] {
				files[e.File] = false
			}
		case "over": // and was gone through
			files[e.File] = true
		case "start": // a case is taken up
			running[id(e)] = len(running)
		case "case": // what became of it
			c := Case{File: e.File, Name: e.Name, State: e.State, Wall: millis(e.MS)}
			switch c.State {
			case Pass, Skip:
			case Fail:
				c.Kind, c.Message = why(e, run.Dir), e.said(run.Dir)
			default:
				return fmt.Errorf("state %q", e.State)
			}
			heard[id(e)] = true
			delete(running, id(e))
			r.Cases = append(r.Cases, c)
		case "load": // a file could not be loaded
			files[e.File] = true
			r.Cases = append(r.Cases, Case{File: e.File, Name: e.File, State: Fail, Load: true, Kind: why(e, run.Dir), Message: e.said(run.Dir)})
		case "fault": // a failure of no case: a hook, an error that nobody awaited
			r.Cases = append(r.Cases, Case{File: e.File, Name: "(" + e.Name + ")", State: Fail, Kind: why(e, run.Dir), Message: e.said(run.Dir)})
		case "stop": // the runner gave up before its plan was done
			stopped = true
		case "tamper": // something changed what the runner would have said
			r.Broken = e.Text
		case "partial": // what did not load kept the runner from the rest
			r.Partial = true
		case "none":
			r.None = true
		case "end":
			ended = true
			if e.N != nil {
				total = *e.N
			}
		default:
			return fmt.Errorf("unknown event %q", e.K)
		}
		return nil
	})
	r.Tail = Tail(trimPaths(Clean(strings.TrimSpace(Tail(other, 64<<10))), run.Dir), 4<<10)
	n := len(slices.DeleteFunc(slices.Clone(r.Cases), func(c Case) bool { return c.Load || strings.HasPrefix(c.Name, "(") }))
	switch {
	case r.Broken != "":
	case err != nil:
		r.Broken = err.Error()
	case !begun:
		r.Broken = "the runner reported nothing: " + head(trimPaths(Clean(other), run.Dir), 4<<10)
	case !ended && len(running) > 0:
		r.Broken = "the test report has no end: something ended the process in the middle of " + first(running) + " (an exit, a signal, a crash)"
	case !ended:
		r.Broken = "the test report has no end: it was cut, or something ended the process before the tests were over"
	}
	if r.Broken == "" {
		for _, id := range planned {
			if !heard[id] {
				r.Early = append(r.Early, id+" (planned, never run)")
			}
		}
		for f, over := range files {
			if !over {
				r.Early = append(r.Early, f)
			}
		}
		slices.Sort(r.Early)
		if total >= 0 && n < total && !stopped && !r.Partial && len(r.Early) == 0 {
			r.Broken = fmt.Sprintf("the runner planned %d cases and reported %d", total, n)
		}
		const most = 20
		if len(r.Early) > most {
			r.Early = append(r.Early[:most], fmt.Sprintf("and %d more", len(r.Early)-most))
		}
	}
	return r
}

// said is what an event tells of a failure.
func (e event) said(dir string) string {
	text := strings.TrimPrefix(e.Type+": "+e.Text, ": ")
	if e.Trace != "" {
		text = e.Trace
		if first := firstLine(e.Text); first != "" && !strings.Contains(e.Trace, first) {
			text = strings.TrimPrefix(e.Type+": "+e.Text, ": ") + "\n" + e.Trace
		}
	}
	return trimPaths(text, dir)
}

// first is the key with the least number.
func first(places map[string]int) string {
	return slices.MinFunc(slices.Sorted(maps.Keys(places)), func(a, b string) int { return cmp.Compare(places[a], places[b]) })
}
