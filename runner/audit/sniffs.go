package audit

import (
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

var testMode = pattern.MustCompile(`"(test|testing|ci|e2e)"`)

var (
	runnerSign = pattern.MustCompile(`^(process\.env\.(JEST_\w+|VITEST\w*|MOCHA\w*|NODE_TEST\w*|TEST_WORKER\w*|NODE_V8_COVERAGE|PLAYWRIGHT\w*|CYPRESS\w*|LOOP_\w+)|import\.meta\.(env\.(VITEST|TEST)|vitest|jest)|testing\.Testing|flag\.Lookup|navigator\.webdriver|expect\.getState|process\.env\.npm_lifecycle_event|window\.(__playwright\w*|Cypress|callPhantom)|document\.\$cdc_\w+)$`)
	testEnv    = pattern.MustCompile(`^(process\.env\.(NODE_ENV|CI|GITHUB_ACTIONS|TEST|TESTING|E2E|APP_ENV|BABEL_ENV|ENV)|import\.meta\.env\.(MODE|DEV))$`)
	getenv     = pattern.MustCompile(`^(os\.(Getenv|LookupEnv|getenv|environ\.get|environ\.pop)|os\.environ\.\w+|os\.environ|getenv|ENV(\.\w+)?|\$_(ENV|SERVER)(\.\w+)?|System\.getenv|Environment\.GetEnvironmentVariable|std\.env\.var|env\.var|Deno\.env\.get|process\.env|os\.environ\.__contains__)$`)
	ofRunner   = pattern.MustCompile(`^(JEST_|VITEST|MOCHA|NODE_TEST|PYTEST|TEST_WORKER|PLAYWRIGHT|CYPRESS|NEXTEST|RUST_TEST|CARGO_MANIFEST|GO_TEST|TESTING_|LOOP_|JEST$)`)
	ofCI       = pattern.MustCompile(`^(CI|GITHUB_\w+|CONTINUOUS_INTEGRATION|RUNNER_\w+|BUILD_NUMBER|TEST|TESTING|E2E)$`)
)

// sniffs finds code that asks whether it is being tested.
func (a *auditor) sniffs(c *change, s *source, r ref) {
	if c.kind != Implementation && !(c.kind == Test && runnerSign.MatchString(r.name)) {
		return
	}
	const undo = " The program must do the same for its users as for its tests. Take it out."
	switch {
	case runnerSign.MatchString(r.name):
		if r.name == "flag.Lookup" && !strings.Contains(s.text(r.args[0], r.args[1]), "test.") {
			return
		}
		if c.kind == Test {
			a.find("environment", Note, c, r.line, "The test asks which runner it is run by (`%s`).", r.name)
			return
		}
		a.find("environment", Invalid, c, r.line, "The implementation asks whether it is being tested (`%s`).%s", r.name, undo)
	case testEnv.MatchString(r.name) && !r.set:
		a.envTest(c, s, r, strings.TrimPrefix(strings.TrimPrefix(r.name, "process.env."), "import.meta.env."))
	case getenv.MatchString(r.name):
		for i := r.tok; i < max(r.end, r.tok+6) && i < r.end+3; i++ {
			t := s.at(i)
			if t.kind != str {
				continue
			}
			switch {
			case ofRunner.MatchString(t.text):
				a.find("environment", Invalid, c, r.line, "The implementation asks whether it is being tested (`%s`).%s", t.text, undo)
			case ofCI.MatchString(t.text):
				a.find("environment", Failed, c, r.line, "The implementation asks where it runs (`%s`).%s", t.text, undo)
			case strings.HasSuffix(t.text, "_ENV") || t.text == "ENV" || t.text == "ENVIRONMENT":
				a.envTest(c, s, r, t.text)
			}
			break
		}
	case argList.MatchString(r.name):
		a.started(c, s, r)
	case strings.HasPrefix(r.name, "sys.modules") || r.name == "require.cache":
		if m := moduleSign.FindString(s.near(r)); m != "" {
			a.find("environment", Invalid, c, r.line, "The implementation asks whether a test runner is loaded (`%s`).%s", m, undo)
		}
	case r.name == "jest" || r.name == "vi" || r.name == "describe" || r.name == "it" || r.name == "__vitest_worker__" || r.name == "expect":
		if s.is(r.tok-1, "typeof") {
			a.find("environment", Invalid, c, r.line, "The implementation asks whether a test runner is there (`typeof %s`).%s", r.name, undo)
		}
	case stackCall.MatchString(r.name) || s.madeStack(r):
		a.stacks(c, s, r)
	case r.name == "Error.prepareStackTrace" && r.set:
		a.find("environment", Failed, c, r.line, "The implementation changes how stacks are put down, to look at who calls it.%s", undo)
	case strings.Contains(strings.ToLower(strings.ReplaceAll(r.name, "-", "")), "useragent"):
		if m := agentSign.FindString(s.near(r)); m != "" {
			a.find("environment", Invalid, c, r.line, "The implementation asks whether a browser is driven by a machine (`%s`).%s", m, undo)
		}
	case r.name == "process.env.PORT" || r.name == "process.env.HOST":
		if s.is(r.end, "===", "==", "!==", "!=") && s.at(r.end+1).kind != word || s.is(r.end, ".") {
			a.find("environment", Failed, c, r.line, "The implementation does something else on some ports.%s", undo)
		}
	}
}

var (
	argSign    = pattern.MustCompile(`--test\b|--test-[a-z]+|-test\.|\.test\b|\.test\\?\.[jt]s|_test\b|\bjest\b|\bmocha\b|\bvitest\b|\bpytest\b|py\.test|\bunittest\b`)
	moduleSign = pattern.MustCompile(`"(pytest|_pytest|unittest|nose|doctest|jest|mocha|vitest|chai)"|node_modules/(jest|mocha|vitest)`)
	stackCall  = pattern.MustCompile(`^(new )?(Error\(\)\.stack(\.\w+(\(\))?)*|Error\.captureStackTrace|inspect\.(stack|currentframe|getouterframes)|sys\._getframe|traceback\.(extract_stack|format_stack|walk_stack)|runtime\.(Caller|Callers|CallersFrames|Stack)|debug\.Stack|caller|caller_locations|debug_backtrace|Thread\.currentThread\(\)\.getStackTrace|StackWalker\.\w+)$`)
	stackSign  = pattern.MustCompile(`(?i)\.test\\?\.|_test\b|_test\.go|\btest_|node:test|node:internal/test|\bjest\b|\bmocha\b|vitest|pytest|unittest|"test"|testing\.|\.spec\b|tests?/|tRunner`)
	agentSign  = pattern.MustCompile(`(?i)headless\w*|playwright|puppeteer|selenium|webdriver|phantomjs|cypress|electron`)
)

// onLine is what stands before token i on its line.
func (s *source) onLine(i int32) string {
	from := i
	for from > max(0, i-60) && s.at(from-1).line == s.at(i).line {
		from--
	}
	return s.text(from, i)
}

var (
	reading = pattern.MustCompile(`(?i)readFile|ReadFile|\bopen \(|read_text|getsource|linecache`)
	inPage  = pattern.MustCompile(`navigator\.webdriver|HeadlessChrome|window\.Cypress|__playwright|\$cdc_|callPhantom`)
)

// near is the text around r: its statement and, as far as it is short, its
// function, because what is taken here may be looked at there.
func (s *source) near(r ref) string {
	start := s.statement(r.tok)
	end := r.end
	for end < r.end+40 && s.at(end).kind != ends && !s.is(end, ";") {
		end++
	}
	text := s.text(start, end)
	if !strings.Contains(s.text(start, r.tok), "=") && !s.is(start, "for") {
		return text
	}
	for b := range s.around(r.tok) {
		if b.kind == function && b.to-b.from < 200 {
			text += " " + s.text(b.from, b.to)
			break
		}
	}
	return text
}

// envTest reports a branch on NODE_ENV and its like.
func (a *auditor) envTest(c *change, s *source, r ref, name string) {
	const undo = " The program must do the same for its users as for its tests. Take it out; what only tests need, let them pass as an argument."
	near := s.text(s.statement(r.tok), r.end+8)
	switch {
	case name == "CI" || name == "GITHUB_ACTIONS" || name == "TEST" || name == "TESTING" || name == "E2E":
		a.find("environment", Failed, c, r.line, "The implementation asks where it runs (`%s`).%s", name, undo)
	case testMode.MatchString(near):
		a.find("environment", Failed, c, r.line, "The implementation asks whether it is being tested (`%s`).%s", name, undo)
	}
}
