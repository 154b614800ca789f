package suite

import (
	"path"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

const phpunit = "PHPUnit"

var (
	phpForm  = caller(`(?:php\s+(?:-d\s*\S+\s+)*)?(?:\S*/)?(?:phpunit|simple-phpunit|pest)(?:\.phar)?`)
	phpTaken = pattern.MustCompile(`(?:^|\s)(?:--(?:log-junit|colors|testdox|no-output|stop-on-\w+)(?:[=]\S+)?)`)
	phpTest  = pattern.MustCompile(`(^|/)\w+Test\.php$`)
)

// PHPUnit writes its results when it has come to its end, in a file; it shares its
// process with the tests. One that was ended early leaves none.
var phpAdapter = adapter{
	name: phpunit,
	claim: func(command string) (Suite, bool) {
		s, ok := claimer(phpunit, phpForm)(command)
		s.args = strings.TrimSpace(phpTaken.ReplaceAllString(s.args, ""))
		return s, ok
	},
	detect: func(p place) []string {
		if !p.hasAny("phpunit.xml", "phpunit.xml.dist", "phpunit.dist.xml") && len(p.find(phpTest)) == 0 {
			return nil
		}
		args := ""
		if !p.hasAny("phpunit.xml", "phpunit.xml.dist", "phpunit.dist.xml") {
			args = " tests"
		}
		for _, program := range []string{"vendor/bin/pest", "vendor/bin/phpunit"} {
			if p.has(program) {
				return []string{program + args}
			}
		}
		return []string{"phpunit" + args}
	},
	plan: func(s Suite, k Kit) Plan {
		return tell(s, "--colors=never --log-junit "+quote(path.Join(k.Out, "junit.xml")), nil)
	},
	read: func(_ Suite, run Run) (Report, error) { return readPHP(run), nil },
	only: adding(" ", " --filter "),
}

var (
	phpNone    = pattern.MustCompile(`(?m)^No tests executed!|^No tests found`)
	phpDead    = pattern.MustCompile(`(?m)^(?:PHP )?(?:Parse|Fatal) error:.*$|ParseError: .*$`)
	phpPlace   = pattern.MustCompile(`(?: in |at )(/\S+?\.php)(?:\(|:| on line )`)
	phpMissing = pattern.MustCompile(`Call to undefined (?:function|method)|Class "[^"]+" not found|Undefined constant|Interface "[^"]+" not found|Failed opening required|Too few arguments to function|Unknown named parameter|undefined property|Undefined property`)
	phpPackage = pattern.MustCompile(`(?:Class|Interface|Trait) "(PHPUnit|Mockery|Symfony|Illuminate|Laravel|Doctrine|GuzzleHttp|Psr|Monolog)\\`)
)

func readPHP(run Run) Report {
	var r Report
	log := Clean(Tail(run.Log, 256<<10))
	cases, broken := outReports(run, ".xml", func(data []byte) ([]Case, error) { return parseJUnit(data, run.Dir, phpKind) })
	r.Cases, r.Broken = cases, broken
	if len(cases) > 0 && broken == "" {
		return r
	}
	if m := phpDead.FindString(log); m != "" && run.Code != 0 {
		file := ""
		if at := phpPlace.FindStringSubmatch(log[strings.Index(log, m):]); at != nil {
			file = relative(run.Dir, at[1])
		}
		kind := phpKind(true, "", m)
		if strings.Contains(m, "arse") {
			kind = Syntax
		}
		name := file
		if name == "" {
			name = "the tests"
		}
		return Report{Partial: true, Cases: []Case{{File: file, Name: name, State: Fail, Load: true, Kind: kind, Message: trimPaths(head(log, mostMessage), run.Dir)}}}
	}
	if phpNone.MatchString(log) {
		return Report{None: true}
	}
	return r
}

// phpKind says why a case failed.
func phpKind(fault bool, kind, text string) Kind {
	switch {
	case strings.Contains(kind, "Timeout") || strings.Contains(text, "aborted after"):
		return Timeout
	case strings.Contains(kind, "ExpectationFailed") || strings.Contains(kind, "AssertionFailed") || strings.Contains(kind, "ComparisonFailure"):
		return Assertion
	case strings.Contains(kind, "ParseError"):
		return Syntax
	case phpPackage.MatchString(text):
		return Dependency
	case phpMissing.MatchString(text):
		return Missing
	case !fault:
		return Assertion
	}
	return Crash
}
