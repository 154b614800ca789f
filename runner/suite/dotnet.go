package suite

import (
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

const dotnet = "dotnet test"

var (
	dotnetForm  = caller(`dotnet\s+test`)
	dotnetTaken = pattern.MustCompile(`(?:^|\s)(?:--(?:logger|results-directory)[=\s]+\S+|-l\s+\S+|-r\s+\S+)`)
	dotnetTests = pattern.MustCompile(`(^|/)[^/]*Tests?(\.[^/]*)?\.(cs|fs|vb)proj$`)
)

// The test host is a process of its own; vstest writes the results from above.
var dotnetAdapter = adapter{
	name: dotnet,
	claim: func(command string) (Suite, bool) {
		s, ok := claimer(dotnet, dotnetForm)(command)
		s.args = strings.TrimSpace(dotnetTaken.ReplaceAllString(s.args, ""))
		return s, ok
	},
	detect: func(p place) []string {
		if len(p.find(dotnetTests)) == 0 {
			return nil
		}
		return []string{"dotnet test"}
	},
	plan: func(s Suite, k Kit) Plan {
		p := tell(s, "--nologo --logger 'trx;LogFilePrefix=loop' --results-directory "+quote(k.Out), nil)
		p.Script = "DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 MSBUILDDISABLENODEREUSE=1; export DOTNET_CLI_TELEMETRY_OPTOUT DOTNET_NOLOGO MSBUILDDISABLENODEREUSE; " + p.Script
		return p
	},
	read: func(s Suite, run Run) (Report, error) { return readDotnet(run), nil },
	only: byClass(" --filter ", "FullyQualifiedName~", ""),
}

var (
	csharpError   = pattern.MustCompile(`(?m)^\s*(\S+\.(?:cs|fs|vb))\((\d+),\d+\): error (\w+): (.*)$`)
	csharpMissing = []string{"CS0103", "CS0117", "CS0234", "CS0246", "CS1061", "CS1501", "CS1503", "CS7036", "CS0535", "CS0029", "CS1739", "CS0122", "FS0039", "BC30451", "BC30456"}
	dotnetNone    = pattern.MustCompile(`No test is available in|No test matches the given testcase filter`)
	dotnetDied    = pattern.MustCompile(`The active test run was aborted\. Reason: .*|Test host process crashed.*`)
)

func readDotnet(run Run) Report {
	var r Report
	log := Clean(Tail(run.Log, 1<<20))
	r.Cases, r.Broken = outReports(run, ".trx", func(data []byte) ([]Case, error) { return parseTRX(data, run.Dir) })
	if m := dotnetDied.FindString(log); m != "" {
		r.Broken = "the process of the tests was ended before they were over: " + m
		return r
	}
	if errs := csharpError.FindAllStringSubmatch(log, -1); len(errs) > 0 && len(r.Cases) == 0 {
		kind := Missing
		var b strings.Builder
		for _, e := range errs {
			if !slices.Contains(csharpMissing, e[3]) {
				kind = Syntax
			}
			if e[3] == "NU1101" || e[3] == "CS0246" && strings.Contains(e[4], "using directive") && strings.Contains(e[4], "'Xunit'") {
				kind = Dependency
			}
			if b.Len() < mostMessage {
				fmt.Fprintf(&b, "%s(%s): error %s: %s\n", e[1], e[2], e[3], e[4])
			}
		}
		file := relative(run.Dir, errs[0][1])
		return Report{Partial: true, Cases: []Case{{File: file, Name: file, State: Fail, Load: true, Kind: kind, Message: trimPaths(b.String(), run.Dir)}}}
	}
	if len(r.Cases) == 0 && dotnetNone.MatchString(log) {
		r.None, r.Broken = true, ""
	}
	return r
}

// A trxResult is a <UnitTestResult> of Visual Studio's format.
type trxResult struct {
	Name     string `xml:"testName,attr"`
	Outcome  string `xml:"outcome,attr"`
	Duration string `xml:"duration,attr"`
	Message  string `xml:"Output>ErrorInfo>Message"`
	Stack    string `xml:"Output>ErrorInfo>StackTrace"`
}

// parseTRX reads one file of Visual Studio's test results.
func parseTRX(data []byte, dir string) ([]Case, error) {
	var t struct {
		XMLName xml.Name    `xml:"TestRun"`
		Results []trxResult `xml:"Results>UnitTestResult"`
		Summary *struct {
			Outcome  string `xml:"outcome,attr"`
			Counters struct {
				Total    int `xml:"total,attr"`
				Executed int `xml:"executed,attr"`
				Passed   int `xml:"passed,attr"`
				Failed   int `xml:"failed,attr"`
				Error    int `xml:"error,attr"`
				Aborted  int `xml:"aborted,attr"`
			} `xml:"Counters"`
		} `xml:"ResultSummary"`
	}
	if err := xml.Unmarshal([]byte(strings.TrimPrefix(string(data), "\ufeff")), &t); err != nil {
		return nil, fmt.Errorf("its XML is cut or broken: %w", err)
	}
	if t.Summary == nil {
		return nil, errors.New("it has no summary: it was cut")
	}
	var cases []Case
	passed, failed := 0, 0
	for _, u := range t.Results {
		c := Case{Name: u.Name, State: Pass}
		if d, err := time.Parse("15:04:05.9999999", u.Duration); err == nil {
			c.Wall = d.Sub(d.Truncate(24 * time.Hour))
		}
		switch u.Outcome {
		case "Passed":
			passed++
		case "Failed", "Error", "Timeout", "Aborted":
			failed++
			text := strings.TrimSpace(u.Message + "\n" + u.Stack)
			c.State, c.Kind, c.Message = Fail, dotnetKind(u.Outcome, text), trimPaths(text, dir)
		case "NotExecuted", "Inconclusive", "Pending":
			c.State = Skip
		default:
			return cases, fmt.Errorf("the outcome of %s is %q", u.Name, u.Outcome)
		}
		cases = append(cases, c)
	}
	n := t.Summary.Counters
	switch {
	case t.Summary.Outcome == "Aborted" || n.Aborted > 0:
		return cases, errors.New("the run was aborted")
	case n.Total != len(cases) || n.Passed != passed || n.Failed+n.Error != failed:
		return cases, fmt.Errorf("it counts %d tests, %d passed, %d failed, and holds %d, %d, %d", n.Total, n.Passed, n.Failed+n.Error, len(cases), passed, failed)
	}
	return cases, nil
}

var dotnetAssert = pattern.MustCompile(`^(Assert\.|Xunit\.Sdk\.|NUnit\.Framework\.|Microsoft\.VisualStudio\.TestTools\.UnitTesting\.Assert|Expected|FluentAssertions|Shouldly|\s*Expected: |Assertion)|Assert\.\w+(\(\) Failure| failed)`)

// dotnetKind says why a case failed.
func dotnetKind(outcome, text string) Kind {
	switch {
	case outcome == "Timeout" || strings.Contains(text, "exceeded timeout period") || strings.Contains(text, "execution timed out"):
		return Timeout
	case dotnetAssert.MatchString(text):
		return Assertion
	case strings.HasPrefix(text, "System.NotImplementedException") || strings.HasPrefix(text, "System.MissingMethodException") || strings.HasPrefix(text, "System.TypeLoadException"):
		return Missing
	}
	return Crash
}

// outReports reads the results with such a name in the directory that the command
// was given for them.
func outReports(run Run, ext string, one func([]byte) ([]Case, error)) ([]Case, string) {
	out, err := os.OpenRoot(run.Kit.Out)
	if err != nil {
		return nil, "the directory of its report cannot be read: " + err.Error()
	}
	defer out.Close()
	return gather(out, ".", func(p string) bool { return strings.HasSuffix(p, ext) }, one)
}
