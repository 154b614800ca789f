package suite

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

const tap = "TAP"

var (
	tapVersion = pattern.MustCompile(`(?m)\A\s*TAP version 1[2-4]\s*$`)
	tapPlan    = pattern.MustCompile(`^1\.\.(\d+)(?:\s*#\s*(.*))?$`)
	tapPoint   = pattern.MustCompile(`^(not )?ok\b(?:\s+(\d+))?(?:\s+-)?\s*(.*)$`)
	tapNote    = pattern.MustCompile(`(?i)^(.*?)(?:^|[^\\])#\s*(skip|todo)(?:ped)?\b.*$`)
	tapHead    = pattern.MustCompile(`^(\S+\.(?:t|bats|pl|js|sh|rb|py|php)) \.+\s*$`) // prove -v
	tapForm    = caller(`(?:\S*/)?(?:bats|tape|prove)`)
	tapTaken   = pattern.MustCompile(`(?:^|\s)(?:--(?:tap|pretty|formatter|verbose|quiet|jobs)(?:[=\s]\S+)?|-[pvq]\b|-j\s*\d+|-F\s*\S+)`)
	tapFile    = pattern.MustCompile(`^t/.*\.t$`)
	batsFile   = pattern.MustCompile(`\.bats$`)
)

// Of bats, tape and prove the Test Anything Protocol is read from what they print.
// Tests write to the same stream, so the plan and the numbers guard it, no nonce.
var tapAdapter = adapter{
	name: tap,
	claim: func(command string) (Suite, bool) {
		s, ok := claimer(tap, tapForm)(command)
		s.args = strings.TrimSpace(tapTaken.ReplaceAllString(s.args, ""))
		return s, ok
	},
	detect: func(p place) []string {
		var all []string
		if files := p.find(tapFile); len(files) > 0 {
			all = append(all, "prove -r -l t")
		}
		if files := p.find(batsFile); len(files) > 0 && !aside.MatchString(files[0]) {
			all = append(all, "bats -r "+quote(path.Dir(files[0])))
		}
		return all
	},
	plan: func(s Suite, k Kit) Plan {
		switch path.Base(s.call) {
		case "bats":
			return tell(s, "--formatter tap", nil)
		case "prove":
			return tell(s, "-v", nil)
		}
		return tell(s, "", nil)
	},
	read: func(_ Suite, run Run) (Report, error) { return parseTAP(run.Log, run.Dir), nil },
}

// parseTAP reads a stream of the Test Anything Protocol, or several, each under
// the name of its file as prove prints them.
func parseTAP(log, dir string) Report {
	var r Report
	type stream struct {
		file            string
		planned, points int
	}
	s := stream{planned: -1}
	streams := 0
	last := -1 // the case that diagnostics are of
	fail := func(format string, args ...any) {
		if r.Broken == "" {
			r.Broken = fmt.Sprintf(format, args...)
		}
	}
	close := func() {
		switch {
		case s.planned < 0 && s.points > 0:
			fail("the TAP stream%s has no plan: it was cut, or the process was ended", of(s.file))
		case s.planned >= 0 && s.planned != s.points:
			fail("the TAP stream%s planned %d tests and reported %d", of(s.file), s.planned, s.points)
		}
		if s.planned >= 0 {
			streams++
		}
	}
	for l := range strings.Lines(log) {
		line := strings.TrimRight(l, "\r\n \t")
		if m := tapHead.FindStringSubmatch(line); m != nil {
			close()
			s, last = stream{file: m[1], planned: -1}, -1
			continue
		}
		if tapVersion.MatchString(line) && (s.points > 0 || s.planned >= 0) {
			// Said before whatever else is odd about the streams: it is their reason.
			r.Broken = fmt.Sprintf("a second TAP stream%s follows the first: the command runs its tests more than once, and retries prove nothing", of(s.file))
		}
		if m := tapPlan.FindStringSubmatch(line); m != nil {
			n, err := strconv.Atoi(m[1])
			if err != nil || s.planned >= 0 {
				fail("the TAP stream%s has two plans, or one that is no number", of(s.file))
				continue
			}
			s.planned = n
			if n == 0 {
				r.None = r.None || len(r.Cases) == 0
			}
			continue
		}
		if strings.HasPrefix(line, "Bail out!") {
			fail("the tests gave up%s: %s", of(s.file), line)
			continue
		}
		m := tapPoint.FindStringSubmatch(line)
		if m == nil || line == "ok" && s.planned == s.points { // prove's own ok
			if last >= 0 && r.Cases[last].State == Fail && len(r.Cases[last].Message) < mostMessage && line != "" {
				r.Cases[last].Message += strings.TrimPrefix(strings.TrimPrefix(l, "#"), " ")
			}
			continue
		}
		s.points++
		if n, err := strconv.Atoi(m[2]); m[2] != "" && (err != nil || n != s.points) {
			fail("test %s of the TAP stream%s is out of order: %d was to come", m[2], of(s.file), s.points)
		}
		c := Case{File: s.file, Name: strings.TrimSpace(m[3]), State: Pass}
		noted := tapNote.FindStringSubmatch(m[3])
		if noted != nil {
			c.Name = strings.TrimSpace(noted[1])
		}
		if c.Name == "" {
			c.Name = fmt.Sprintf("test %d", s.points)
		}
		if m[1] != "" {
			c.State, c.Kind = Fail, Assertion
		}
		if noted != nil { // a todo that fails does not fail the run, so it proves nothing
			c.State, c.Kind = Skip, ""
		}
		r.Cases = append(r.Cases, c)
		last = len(r.Cases) - 1
	}
	close()
	for i, c := range r.Cases {
		if c.State == Fail {
			r.Cases[i].Message = trimPaths(strings.TrimSpace(Clean(c.Message)), dir)
			r.Cases[i].Kind = tapKind(r.Cases[i].Message)
		}
	}
	if streams == 0 && r.Broken == "" {
		r.Broken = "it printed no TAP stream with a plan: " + head(trimPaths(Clean(log[:min(len(log), 64<<10)]), dir), 4<<10)
	}
	r.None = r.None && len(r.Cases) == 0
	return r
}

func of(file string) string {
	if file == "" {
		return ""
	}
	return " of " + file
}

// tapKind says why a point is not ok. A point is what an assertion prints, so it
// is one unless it says otherwise.
func tapKind(text string) Kind {
	switch {
	case strings.Contains(text, "command not found") || strings.Contains(text, "(in test file") && strings.Contains(text, "status 127"):
		return Missing
	case strings.Contains(text, "is not a function") || strings.Contains(text, "Cannot find module '.") || strings.Contains(text, "Can't locate object method") || strings.Contains(text, "Undefined subroutine"):
		return Missing
	case strings.Contains(text, "SyntaxError") || strings.Contains(text, "syntax error"):
		return Syntax
	case strings.Contains(text, "timed out") || strings.Contains(text, "timeout"):
		return Timeout
	case strings.Contains(text, "operator: error") || strings.Contains(text, "plan != count"):
		return Crash
	}
	return Assertion
}
