package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// A finding is what one gate concludes from recorded runs.
type finding struct {
	Outcome runner.Outcome // "": the gate is passed
	Reason  string
	Detail  string
	Counts  runner.Counts
}

func (f finding) passed() bool { return f.Outcome == "" }

func failed(detail, format string, args ...any) finding {
	return finding{Outcome: runner.Failed, Reason: fmt.Sprintf(format, args...), Detail: detail}
}

// judgeFrozen compares the acceptances that are about to be performed with what
// the state says of them. asked is false where there is nothing to compare.
func judgeFrozen(now runner.Feature, completed []runner.Feature) (f finding, asked bool) {
	for _, c := range append([]runner.Feature{now}, completed...) {
		if c.Frozen == "" {
			continue // of a caller that keeps no state
		}
		asked = true
		if have := c.AcceptanceHash(); have != c.Frozen {
			return finding{Outcome: runner.Invalid, Reason: fmt.Sprintf("The acceptance of %s is not the one that was frozen when it was written (%.12s now, %.12s then). Only a person changes it, by the spec or the feature list; then the feature is done again.", c.ID, have, c.Frozen)}, true
		}
	}
	f.Reason = fmt.Sprintf("the acceptance is the one that was written, %.12s.", now.Frozen)
	return f, asked
}

// judgeRed says whether the candidate's tests, wrote, fail without its code for
// the reason that the feature is missing. parent is the report of the parent
// tree, red that of the tree with the new tests and without the feature. What a
// test needs beyond the project itself must be there when it is written;
// lenient forgives that, for tests whose packages came with the implementation.
func judgeRed(parent, red suite.Report, wrote []string, lenient bool) finding {
	if f, ok := judgeRun(red); !ok {
		return f
	}
	n := sortOut(parent, red, wrote, lenient)
	all := slices.Concat(n.proper, n.wrong, n.passing)
	f := finding{Counts: counts(all)}
	switch {
	case len(n.wrong) > 0: // first: a test that dies takes others with it
		f.Outcome, f.Detail = runner.Failed, brief(n.wrong)
		f.Reason = wrongReason(n.wrong)
	case len(n.broken) > 0:
		f.Outcome, f.Detail = runner.Failed, brief(n.broken)
		f.Reason = fmt.Sprintf("%s now: %s. Restore what the earlier tests need; if the feature contradicts them, use cannot_complete with kind conflict.",
			plural(len(n.broken), "earlier test that passed before fails", "earlier tests that passed before fail"), list(names(n.broken)))
	case len(n.vanished) > 0:
		f.Outcome = runner.Failed
		f.Reason = fmt.Sprintf("Earlier tests are gone or skipped (`%s`): %s. Earlier tests stay; put them back under the same name.", red.Command, list(n.vanished))
	case len(n.proper) > 0:
		f.Reason = fmt.Sprintf("%s without the feature, as it should: %s", plural(len(n.proper), "new test fails", "new tests fail"), list(names(n.proper)))
		if len(n.passing) > 0 {
			f.Reason += fmt.Sprintf("; %s already and so proves nothing: %s", plural(len(n.passing), "new test passes", "new tests pass"), list(names(n.passing)))
		}
		f.Reason += "."
	case len(wrote) == 0:
		f.Outcome = runner.Failed
		f.Reason = "No test file was added or changed. Write tests for the feature that fail as long as it is missing."
	case len(n.passing) > 0:
		f.Outcome = runner.Failed
		f.Reason = fmt.Sprintf("%s although the feature is not there, and so does not test it: %s. Make the tests look at what the feature adds: they must fail now by an assertion.",
			plural(len(n.passing), "new test passes", "new tests pass"), list(names(n.passing)))
	default:
		f.Outcome = runner.Failed
		f.Reason = fmt.Sprintf("Test files were changed (%s), but `%s` ran no new test from them. Put the tests where that command finds them, under names of their own, not skipped.",
			list(wrote), red.Command)
	}
	return f
}

// news is what a run says beyond the parent's.
type news struct {
	proper   []suite.Case // new, and fail because the feature is missing
	wrong    []suite.Case // new, and fail for another reason
	passing  []suite.Case // new, and pass
	broken   []suite.Case // not new, passed before, and fail
	vanished []string     // not new, passed before, and are gone or skipped
}

func sortOut(parent, red suite.Report, wrote []string, lenient bool) news {
	var n news
	before, now, dead, deadBefore := parent.Index(), red.Index(), red.Unloaded(), parent.Unloaded()
	weak := !slices.ContainsFunc(red.Cases, func(c suite.Case) bool { return !c.Weak })
	for _, c := range red.Leaves() {
		old, known := before[c.ID()]
		switch {
		case c.State == suite.Skip:
		case c.Weak && !weak: // beside real reports it is a linter or a compiler, say, and green asks for it
		case c.Load:
			// Its cases are unknown: new, if it was written now and loaded before or was not there.
			_, was := deadBefore[c.File]
			switch {
			case !touches(wrote, c.File):
				if !was {
					n.broken = append(n.broken, c)
				}
			case proves(c.Kind, lenient):
				n.proper = append(n.proper, c)
			default:
				n.wrong = append(n.wrong, c)
			}
		case known && c.Weak && c.State == suite.Fail && old.State == suite.Pass && len(wrote) > 0:
			n.proper = append(n.proper, c)
		case known && c.State == suite.Fail && old.State == suite.Pass:
			n.broken = append(n.broken, c)
		case c.Weak && c.State == suite.Pass:
			if len(wrote) > 0 {
				n.passing = append(n.passing, c)
			}
		case known:
		case c.State == suite.Pass:
			n.passing = append(n.passing, c)
		case proves(c.Kind, lenient) || c.Weak:
			n.proper = append(n.proper, c)
		default:
			n.wrong = append(n.wrong, c)
		}
	}
	for _, c := range parent.Leaves() {
		if c.State != suite.Pass || c.Weak || c.Load || red.Partial {
			continue
		}
		if _, unknown := dead[c.File]; unknown {
			continue
		}
		if have, there := now[c.ID()]; !there || have.State == suite.Skip {
			n.vanished = append(n.vanished, c.String())
		}
	}
	return n
}

// proves says whether a failure of kind k shows that the feature is missing.
func proves(k suite.Kind, lenient bool) bool {
	return k == suite.Assertion || k == suite.Missing || lenient && k == suite.Dependency
}

// touches says whether file, or package directory file, holds one of wrote.
func touches(wrote []string, file string) bool {
	return slices.ContainsFunc(wrote, func(w string) bool {
		return w == file || file == "." && !strings.Contains(w, "/") || strings.HasPrefix(w, file+"/") && strings.Count(w, "/") == strings.Count(file, "/")+1
	})
}

func wrongReason(wrong []suite.Case) string {
	hints := map[suite.Kind]string{
		suite.Syntax:     "a file with a syntax error tests nothing: mend it",
		suite.Timeout:    "a test that hangs tests nothing: let it fail by an assertion",
		suite.Dependency: "the package is not installed: use what the project has, or what comes with the language",
		suite.Crash:      "a test that dies by itself tests nothing: check with an assertion what it does or throws",
		suite.Unknown:    "see the output",
	}
	said := map[suite.Kind][]string{}
	for _, c := range wrong {
		said[c.Kind] = append(said[c.Kind], c.String())
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(said)) {
		parts = append(parts, fmt.Sprintf("%s (%s; %s)", list(said[k]), k, hints[k]))
	}
	return "The new tests must fail by an assertion, or because a function or module of the feature is missing. These fail otherwise: " + strings.Join(parts, "; ") + "."
}

// judgeGreen says whether every test passes and none of those that counted
// before is gone. red is the report without the feature; nil where the tests
// need not have been seen to fail.
func judgeGreen(parent suite.Report, red *suite.Report, green suite.Report) finding {
	if f, ok := judgeRun(green); !ok {
		return f
	}
	f := finding{Counts: counts(green.Leaves())}
	bad := green.Failed()
	before := parent.Index()
	fresh := slices.DeleteFunc(green.Leaves(), func(c suite.Case) bool { _, known := before[c.ID()]; return known || c.State != suite.Pass })
	gone, skipped := lost(parent, green)
	empty := slices.DeleteFunc(slices.Clone(green.Empty), func(c string) bool { return slices.Contains(parent.Empty, c) || parent.None && parent.Command == c })
	switch {
	case len(bad) > 0:
		f.Outcome, f.Detail = runner.Failed, brief(bad)
		var since, ever []string
		for _, c := range bad {
			switch old, known := before[c.ID()]; {
			case known && old.State == suite.Pass:
				since = append(since, c.String())
			case known && old.State == suite.Fail:
				ever = append(ever, c.String())
			}
		}
		f.Reason = fmt.Sprintf("%s in a clean checkout (`%s`): %s.", plural(len(bad), "test fails", "tests fail"), green.Command, list(names(bad)))
		if len(since) > 0 {
			f.Reason += fmt.Sprintf(" Passed before this feature: %s.", list(since))
		}
		if len(ever) > 0 {
			f.Reason += fmt.Sprintf(" Failed before this feature, too, and must be mended with it: %s.", list(ever))
		}
	case f.Counts.Run == 0:
		f.Outcome = runner.Failed
		f.Reason = fmt.Sprintf("`%s` ran no test at all%s; that is not a pass.", green.Command, skips(f.Counts.Skipped))
	case len(empty) > 0:
		f.Outcome = runner.Failed
		f.Reason = fmt.Sprintf("Of the commands that test the project, `%s` ran no test at all; that is not a pass. Give it tests that it finds, or leave it as it was.", strings.Join(empty, "`, `"))
	case len(gone) > 0:
		f.Outcome = runner.Failed
		f.Reason = fmt.Sprintf("Tests that ran before this feature are gone: %s. Put them back under the same name; if the feature contradicts them, use cannot_complete with kind conflict.", list(gone))
	case len(skipped) > 0:
		f.Outcome = runner.Failed
		f.Reason = fmt.Sprintf("Tests that passed before this feature are skipped now: %s. Let them run.", list(skipped))
	case red != nil:
		if un := unanswered(parent, *red, green, fresh); len(un) > 0 {
			f.Outcome = runner.Failed
			f.Reason = fmt.Sprintf("What failed without the feature does not pass with it, it is not there: %s. A test must fail without the feature and pass with it, under the same name.", list(un))
		}
	}
	if f.passed() {
		f.Reason = fmt.Sprintf("%s in a clean checkout, %d of them new%s.", plural(f.Counts.Passed, "test passes", "tests pass"), len(fresh), skips(f.Counts.Skipped))
		if len(green.Empty) > 0 {
			f.Reason += fmt.Sprintf(" `%s` finds no test, as before this feature.", strings.Join(green.Empty, "`, `"))
		}
		if weak := slices.DeleteFunc(green.Leaves(), func(c suite.Case) bool { return !c.Weak }); len(weak) > 0 {
			f.Reason += fmt.Sprintf(" Of %s only the exit code is known, which is weak evidence.", list(names(weak)))
		}
	}
	return f
}

// judgeRun says whether a report can be believed at all.
func judgeRun(r suite.Report) (finding, bool) {
	c := counts(r.Leaves())
	with := func(f finding) finding {
		f.Counts = c
		return f
	}
	switch {
	case r.Command == "":
		return failed("", "Nothing says how the project is tested: there is no test script in package.json, no go.mod, and no test file that a known runner would find."), false
	case r.Hung:
		return with(failed(limit(suite.Clean(r.Tail), mostDetail), "`%s` did not end in time and was stopped after %.0f s. Something waits for ever: an open server, socket or timer, or an endless loop.", r.Command, r.Wall.Seconds())), false
	case r.Broken != "":
		return with(failed(limit(brief(r.Failed())+suite.Clean(r.Tail), mostDetail), "The run of `%s` cannot be believed: %s.", r.Command, shorten(suite.Clean(r.Broken), 12, mostChars))), false
	case len(r.Early) > 0:
		return with(failed(brief(r.Failed()), "Ended before its tests were over: %s. Something called process.exit or os.Exit, or killed the process, so nothing it reported counts. Let tests end by themselves; close servers and timers instead.", list(r.Early))), false
	}
	return finding{}, true
}

// lost names the cases that counted in parent and do not in now.
func lost(parent, now suite.Report) (gone, skipped []string) {
	have := now.Index()
	for _, c := range parent.Leaves() {
		if c.Load || c.Weak || c.State == suite.Skip {
			continue
		}
		switch got, there := have[c.ID()]; {
		case !there:
			gone = append(gone, c.String())
		case got.State == suite.Skip:
			skipped = append(skipped, c.String())
		}
	}
	return gone, skipped
}

// unanswered names what was red and is not among the passes: a case by its name,
// a file that did not load by any new case in it.
func unanswered(parent, red, green suite.Report, fresh []suite.Case) []string {
	before, now := parent.Index(), green.Index()
	var names []string
	for _, c := range red.Failed() {
		if old, known := before[c.ID()]; known && !(c.Weak && old.State == suite.Pass) {
			continue
		}
		ok := now[c.ID()].State == suite.Pass
		if c.Load {
			ok = slices.ContainsFunc(fresh, func(o suite.Case) bool { return o.File == c.File })
		}
		if !ok {
			names = append(names, c.String())
		}
	}
	return names
}

func counts(cases []suite.Case) runner.Counts {
	var n runner.Counts
	for _, c := range cases {
		switch c.State {
		case suite.Pass:
			n.Run++
			n.Passed++
		case suite.Fail:
			n.Run++
			n.Failed++
		case suite.Skip:
			n.Skipped++
		}
	}
	return n
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func skips(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d skipped)", n)
}
