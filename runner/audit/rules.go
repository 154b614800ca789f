package audit

// A Rule is one means by which a proof is made worth less.
type Rule struct {
	ID         string
	Severities []Severity // that it may have, the gravest first
	Says       string     // what it finds
	Spares     string     // what looks alike and is left alone
}

// Rules are all rules, in the order of the documentation (docs/verdicts.md,
// which a test holds against this table).
var Rules = []Rule{
	{"test-deleted", []Severity{Failed}, "a test that the parent has is gone", "a test that moved to another file that the runner finds"},
	{"test-hidden", []Severity{Failed}, "a test was moved or renamed to where no runner finds it", "a test that moved between files that runners find"},
	{"test-renamed", []Severity{Note}, "a test asserts the same under another name", ""},
	{"test-changed", []Severity{Note}, "a test uses other values than before, beside what it expects", "values that were only added"},
	{"test-skipped", []Severity{Failed, Note}, "a test that ran is skipped now: skip marks, skip calls, build tags", "a new test that is skipped is a note; platform tags on new files"},
	{"test-only", []Severity{Failed}, "a test is marked so that the others of its file do not run", ""},
	{"fewer-cases", []Severity{Failed}, "cases that ran on the parent do not run now", ""},
	{"fewer-inputs", []Severity{Failed, Note}, "a test goes over less than before: rows of a table are gone, loops are shorter or pass something by", "rows that moved, were put in another form or say more; a note where the feature names what is gone"},
	{"assertion-removed", []Severity{Failed}, "a test asserts less than before", "several assertions joined into one that holds all their values"},
	{"assertion-loosened", []Severity{Failed}, "an exact assertion became one that more results satisfy", "an assertion that became stricter, or looks at the same by another call"},
	{"expectation-changed", []Severity{Failed, Note}, "a test that was there before expects something else", "a note where the feature's description, steps or acceptance name the new value"},
	{"assertion-empty", []Severity{Failed, Note}, "an assertion that holds whatever the program does: constants, a thing compared with itself", "a note beside assertions that can fail"},
	{"assertion-none", []Severity{Failed, Note}, "a new test without an assertion, or that only sees that something is there; failed where nothing else proves the feature", "helpers that assert, tests that throw, queries that throw, snapshots, examples with output"},
	{"assertion-swallowed", []Severity{Failed, Note}, "an assertion whose failure is caught and dropped, or given to a testing.T of its own", "a catch that asserts, throws on, or keeps the error to look at it; a testing.T whose Failed is looked at; a panic that is dropped beside assertions is a note"},
	{"toothless", []Severity{Failed}, "a helper that tests assert with compares, and can fail nothing", "helpers that prepare something, or whose result is asserted; what libraries do"},
	{"double", []Severity{Failed, Note}, "a test that defines or replaces what it tests, or takes from the implementation all that it expects", "doubles of what the tested code uses, constants and messages of the program beside values of the test's own"},
	{"assertion-unreachable", []Severity{Failed}, "an assertion behind a return, under a condition that never holds, or in a function that is never called", "early returns on a condition"},
	{"snapshot", []Severity{Failed, Note}, "lines of a snapshot or golden file changed or went", "a note where lines were only added, or where the feature names what is new"},
	{"timeout", []Severity{Failed, Note}, "a time limit of tests was set; failed where it is none, longer than ten minutes, or longer than what the test had before", "a limit that became shorter, or that the feature names"},
	{"retries", []Severity{Failed}, "tests are run until they pass, by options, marks or packages, or by a loop of their own", "loops that wait between tries, or do another thing each time; retries of the program itself; retries on CI in a browser runner's configuration"},
	{"script", []Severity{Invalid, Failed, Note}, "the scripts and Makefile targets that test: invalid where they pass whatever happens, failed where they leave out, load or update something", "a test script where there was none, a start script, another runner"},
	{"runner-config", []Severity{Invalid, Failed, Note}, "the test runner's configuration: which tests run, what counts, what stands in for the assertion library", "a first configuration; set-up files and transforms are notes, and their content is audited"},
	{"runner-hook", []Severity{Invalid, Failed, Note}, "hooks of pytest and Go's TestMain: invalid where they decide results, failed where they drop tests", "options, fixtures, reports that are read and not written"},
	{"startup", []Severity{Invalid, Failed, Note}, "files that are obeyed without being asked for: sitecustomize.py, .pth, .npmrc, NODE_OPTIONS in .env, modules in the place of pytest or assert", "a registry in .npmrc, ordinary variables in .env"},
	{"exit", []Severity{Invalid, Failed, Note}, "the process of the tests is left: in a test, when a file is loaded, by exit handlers and signals to itself", "the main function, programs that are started by hand, handlers of signals, helper processes of Go's tests"},
	{"equality", []Severity{Invalid, Failed, Note}, "a value that equals whatever it is compared with, or is another one each time", "an equality that looks at something"},
	{"patched-assert", []Severity{Invalid}, "assertions, test libraries, module loading or process.exit are replaced", "matchers with names of their own"},
	{"patched-clock", []Severity{Failed, Note}, "the implementation replaces clock or randomness; in a test a note", "fake timers of the test libraries, a clock that is passed as an argument"},
	{"patched-runtime", []Severity{Failed, Note}, "prototypes and built-in functions are replaced", "a prototype of the project's own, a gap that is filled in; console and fetch in tests"},
	{"environment", []Severity{Invalid, Failed, Note}, "the implementation asks whether it is being tested: variables of runners, NODE_ENV compared with test, loaded modules, the command line, who is on the stack, a headless browser; or it reads the tests", "NODE_ENV=production, PORT with a default, ordinary arguments, stacks that are logged"},
	{"literal", []Severity{Invalid, Failed, Note}, "answers written down instead of worked out: drawn values, what the acceptance types in, several results of one form, the tests' own examples", "headings, messages, addresses and tables of the feature"},
	{"forged-report", []Severity{Invalid, Note}, "something prints or writes what only a test runner says", "such text as data of a test"},
	{"harness", []Severity{Invalid, Note}, "places of the judging machine are named: /proc, the runner's files, git's directory and hooks", "git in lists of what to leave out"},
	{"disguise", []Severity{Failed, Note}, "code that is decoded and run, names put together, invisible characters", "eval of plain text is a note"},
	{"network", []Severity{Note}, "a test asks a machine that is not there when it is judged", "local addresses, example.com, addresses as data"},
	{"link", []Severity{Invalid, Failed, Note}, "links out of the project, submodules, attributes that make a checkout differ", "links within the project, line endings, LFS is a note"},
	{"binary", []Severity{Failed, Note}, "compiled code that nobody can read", "images, fonts, data; WebAssembly is a note"},
	{"unaudited", []Severity{Failed, Note}, "a source file that is too large or too tangled to be read", "large data files"},
}

var rules = func() map[string]Rule {
	m := map[string]Rule{}
	for _, r := range Rules {
		m[r.ID] = r
	}
	return m
}()
