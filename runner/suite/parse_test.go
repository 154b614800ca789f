package suite

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// reading reads what a suite of that command would have left: log, exit code and
// files of results.
func reading(t *testing.T, command, log string, code int, out, files tree) Report {
	t.Helper()
	dir := lay(t, files)
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	all, err := Find(root, command)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	run := Run{Kit: Kit{Nonce: "loop-5eed", Dir: "/kit", Out: lay(t, out), Timeout: time.Minute}, Dir: "/checkout", Root: root, Log: log, Code: code}
	r, err := all[0].Read(run)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTAP(t *testing.T) {
	tests := []struct {
		name, log string
		code      int
		want      []said
		broken    string
	}{
		{
			"whole", "TAP version 13\nok 1 - a\nnot ok 2 - b\n  ---\n  operator: equal\n  ...\nok 3 - c # SKIP why\nnot ok 4 d # TODO\nok\n1..5\n# tests 5\n", 1,
			[]said{{"a", Pass, "", false}, {"b", Fail, Assertion, false}, {"c", Skip, "", false}, {"d", Skip, "", false}, {"test 5", Pass, "", false}},
			"",
		},
		{"plan first", "1..2\nok 1 a\nok 2 a\n", 0, []said{{"a", Pass, "", false}, {"a #2", Pass, "", false}}, ""},
		{"cut", "1..3\nok 1 a\nok 2 b\n", 0, nil, "planned 3 tests and reported 2"},
		{"cut before the plan", "TAP version 13\nok 1 a\n", 0, nil, "has no plan"},
		{"more than planned", "1..1\nok 1 a\nok 2 b\n", 0, nil, "planned 1 tests and reported 2"},
		{"out of order", "1..2\nok 2 a\nok 1 b\n", 0, nil, "out of order"},
		{"numbered twice", "1..2\nok 1 a\nok 1 a\n", 0, nil, "out of order"},
		{"run again", "TAP version 13\nnot ok 1 a\n1..1\nTAP version 13\nok 1 a\n1..1\n", 0, nil, "runs its tests more than once"},
		{"run again, and misnumbered", "TAP version 13\nok 1 a\nok 2 b\nnot ok 2 c\n1..2\nTAP version 13\nok 1 a\n1..1\n", 0, nil, "runs its tests more than once"},
		{"two plans", "1..1\nok 1 a\n1..1\n", 0, nil, "two plans"},
		{"bail out", "1..2\nok 1 a\nBail out! no database\n", 1, nil, "gave up"},
		{"none", "1..0 # SKIP no tests\n", 0, nil, ""},
		{"empty", "", 0, nil, "no TAP stream"},
		{"garbage before", "starting\nok then\n", 0, nil, "has no plan"},
		{"exit code against it", "1..1\nok 1 a\n", 2, nil, "exit code 2 though no test failed"},
		{"pass against it", "1..1\nnot ok 1 a\n", 0, nil, "exit code 0 though a test failed"},
		{"prove", "t/a.t .. \nok 1 - a\n1..1\nok\nt/b.t .. \n1..1\nok 1 - a\nok\nAll tests successful.\nFiles=2, Tests=2\nResult: PASS\n", 0, []said{{"t/a.t: a", Pass, "", false}, {"t/b.t: a", Pass, "", false}}, ""},
		{"names", "1..3\nok 1 - ünï \\# code\nok 2 - \x1b[31mred\x1b[0m\nok 3 - #1 of 2\n", 0, []said{{"ünï \\# code", Pass, "", false}, {"red", Pass, "", false}, {"#1 of 2", Pass, "", false}}, ""},
	}
	for _, tt := range tests {
		r := reading(t, "./all # tap", tt.log, tt.code, nil, nil)
		if !strings.Contains(r.Broken, tt.broken) || tt.broken == "" && r.Broken != "" {
			t.Errorf("%s: broken %q, want %q", tt.name, r.Broken, tt.broken)
		}
		if d := cmp.Diff(sorted(tt.want), summary(r)); tt.broken == "" && d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
	if r := reading(t, "./run.sh", "TAP version 14\n1..1\nok 1 - a\n", 0, nil, nil); len(r.Cases) != 1 || r.Cases[0].Weak || r.Cases[0].Name != "a" {
		t.Errorf("a command that prints TAP: %v", r.Cases)
	}
}

func TestJUnit(t *testing.T) {
	const suites = `<?xml version="1.0" encoding="ISO-8859-1"?><testsuites tests="3" failures="1" errors="0"><testsuite name="s" file="spec/a.js" tests="3" failures="1" errors="0" skipped="1">`
	const cases = `<testcase classname="C" name="a" time="1.5"/><testcase name="b"><failure type="AssertionError" message="got 1">want 2</failure></testcase><testcase name="c"><skipped/></testcase>`
	const end = `</testsuite></testsuites>`
	tests := []struct {
		name, xml string
		code      int
		want      []said
		broken    string
	}{
		{"whole", suites + cases + end, 1, []said{{"spec/a.js: C › a", Pass, "", false}, {"spec/a.js: b", Fail, Assertion, false}, {"spec/a.js: c", Skip, "", false}}, ""},
		{"one suite, no counts", `<testsuite><testcase name="x"/></testsuite>`, 0, []said{{"x", Pass, "", false}}, ""},
		{"cut", suites + cases, 1, nil, "cut or broken"},
		{"cut in a case", suites + `<testcase name="a"`, 1, nil, "cut or broken"},
		{"empty", "", 0, nil, "empty or cut"},
		{"another format", "<html></html>", 0, nil, "no JUnit report"},
		{"fewer than counted", suites + `<testcase name="a"/>` + end, 0, nil, "counts 3 tests and holds 1"},
		{"failures left out", `<testsuite tests="1" failures="1"><testcase name="a"/></testsuite>`, 0, nil, "counts 1 failures and holds none"},
		{"failures not counted", `<testsuite tests="1" failures="0" errors="0"><testcase name="a"><failure/></testcase></testsuite>`, 0, nil, "counts no failure and holds 1"},
		{"numbers that are none", `<testsuite tests="-1"><testcase name="a"/></testsuite>`, 0, nil, `counts tests="-1"`},
		{"something behind", suites + cases + end + "<testsuite/>", 1, nil, "after its end"},
		{"entities", `<!DOCTYPE x [<!ENTITY a "b">]><testsuite><testcase name="&a;"/></testsuite>`, 0, nil, "cut or broken"},
		{"exit code against it", `<testsuite><testcase name="x"/></testsuite>`, 1, nil, "exit code 1 though no test failed"},
		{
			"kinds", `<testsuite><testcase name="t"><error type="TimeoutException"/></testcase><testcase name="s"><error type="SyntaxError"/></testcase><testcase name="m"><error message="x is not a function"/></testcase><testcase name="c"><error message="boom"/></testcase></testsuite>`, 1,
			[]said{{"c", Fail, Crash, false}, {"m", Fail, Missing, false}, {"s", Fail, Syntax, false}, {"t", Fail, Timeout, false}},
			"",
		},
	}
	for _, tt := range tests {
		r := reading(t, "npx cypress run # junit: out/**/*.xml", "", tt.code, nil, tree{"out/a/b.xml": tt.xml})
		if !strings.Contains(r.Broken, tt.broken) || tt.broken == "" && r.Broken != "" {
			t.Errorf("%s: broken %q, want %q", tt.name, r.Broken, tt.broken)
		}
		if d := cmp.Diff(tt.want, summary(r)); tt.broken == "" && d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
	if r := reading(t, "./x # junit: out/*.xml", "", 0, nil, tree{"other/b.xml": suites + cases + end}); !strings.Contains(r.Broken, "wrote no report") {
		t.Errorf("no file: %q", r.Broken)
	}
	dir := lay(t, tree{"out/a.xml": "stale"})
	if r := do(t, dir, "true # junit: out/*.xml"); !strings.Contains(r.Broken, "wrote no report") {
		t.Errorf("a report that was there before is believed: %+v", r)
	}
}

// constructed from the documented format: no .NET could be had where this was made.
const constructedTRX = `<?xml version="1.0" encoding="utf-8"?>
<TestRun id="1" name="x" xmlns="http://microsoft.com/schemas/VisualStudio/TeamTest/2010">
  <Results>
    <UnitTestResult testId="1" testName="Notes.Tests.NotesTests.Adds" outcome="Passed" duration="00:00:01.5000000" />
    <UnitTestResult testId="2" testName="Notes.Tests.NotesTests.Removes" outcome="Failed" duration="00:00:00.0010000"><Output><ErrorInfo><Message>Assert.Equal() Failure: Values differ
Expected: 1
Actual:   2</Message><StackTrace>   at Notes.Tests.NotesTests.Removes() in /checkout/Notes.Tests/NotesTests.cs:line 9</StackTrace></ErrorInfo></Output></UnitTestResult>
    <UnitTestResult testId="3" testName="Notes.Tests.NotesTests.Throws" outcome="Failed"><Output><ErrorInfo><Message>System.InvalidOperationException : no</Message></ErrorInfo></Output></UnitTestResult>
    <UnitTestResult testId="4" testName="Notes.Tests.NotesTests.Later" outcome="Failed"><Output><ErrorInfo><Message>System.NotImplementedException : The method or operation is not implemented.</Message></ErrorInfo></Output></UnitTestResult>
    <UnitTestResult testId="5" testName="Notes.Tests.NotesTests.Skipped" outcome="NotExecuted" />
  </Results>
  <ResultSummary outcome="Failed"><Counters total="5" executed="4" passed="1" failed="3" error="0" aborted="0" /></ResultSummary>
</TestRun>
`

func TestTRX(t *testing.T) {
	project := tree{"Notes.Tests/NotesTests.cs": ""}
	r := reading(t, "dotnet test", "", 1, tree{"loop_1.trx": constructedTRX}, project)
	if r.Broken != "" {
		t.Fatal(r.Broken)
	}
	const f = "Notes.Tests/NotesTests.cs: Notes.Tests.NotesTests."
	want := []said{{f + "Adds", Pass, "", false}, {f + "Later", Fail, Missing, false}, {f + "Removes", Fail, Assertion, false}, {f + "Skipped", Skip, "", false}, {f + "Throws", Fail, Crash, false}}
	if d := cmp.Diff(want, summary(r)); d != "" {
		t.Error(d)
	}
	for name, tt := range map[string]struct{ trx, log, want string }{
		"cut":               {constructedTRX[:len(constructedTRX)/2], "", "cut or broken"},
		"no summary":        {"<TestRun><Results/></TestRun>", "", "no summary"},
		"a result left out": {strings.Replace(constructedTRX, `total="5"`, `total="6"`, 1), "", "counts 6 tests"},
		"aborted":           {strings.Replace(constructedTRX, `ResultSummary outcome="Failed"`, `ResultSummary outcome="Aborted"`, 1), "", "aborted"},
		"unknown outcome":   {strings.Replace(constructedTRX, "NotExecuted", "Perhaps", 1), "", `"Perhaps"`},
		"host that died":    {constructedTRX, "The active test run was aborted. Reason: Test host process crashed\n", "ended before they were over"},
	} {
		if r := reading(t, "dotnet test", tt.log, 1, tree{"loop_1.trx": tt.trx}, project); !strings.Contains(r.Broken, tt.want) {
			t.Errorf("%s: broken %q, want %q", name, r.Broken, tt.want)
		}
	}
	if r := reading(t, "dotnet test", "", 0, nil, project); !strings.Contains(r.Broken, "wrote no report") {
		t.Errorf("no report: %q", r.Broken)
	}
	for code, kind := range map[string]Kind{"CS0103": Missing, "CS1002": Syntax, "NU1101": Dependency} {
		log := "  Determining projects to restore...\n/checkout/Notes.Tests/NotesTests.cs(9,13): error " + code + ": something [/checkout/Notes.Tests/Notes.Tests.csproj]\n"
		r := reading(t, "dotnet test", log, 1, nil, project)
		if d := cmp.Diff([]said{{"Notes.Tests/NotesTests.cs", Fail, kind, true}}, summary(r)); d != "" || !r.Partial {
			t.Errorf("%s: %s", code, d)
		}
	}
}

// constructed from the documented format: no Gradle could be had where this was made.
func TestGradle(t *testing.T) {
	x := tree{
		"build/test-results/test/TEST-notes.NotesTest.xml": `<testsuite name="notes.NotesTest" tests="2" skipped="0" failures="1" errors="0"><testcase name="adds()" classname="notes.NotesTest" time="0.1"/><testcase name="removes()" classname="notes.NotesTest"><failure message="x" type="org.opentest4j.AssertionFailedError">org.opentest4j.AssertionFailedError: expected: 1</failure></testcase></testsuite>`,
		"src/test/kotlin/notes/NotesTest.kt":               "",
	}
	r := reading(t, "./gradlew test", "> Task :test FAILED\n", 1, nil, x)
	want := []said{{"src/test/kotlin/notes/NotesTest.kt: notes.NotesTest › adds()", Pass, "", false}, {"src/test/kotlin/notes/NotesTest.kt: notes.NotesTest › removes()", Fail, Assertion, false}}
	if d := cmp.Diff(want, summary(r)); d != "" || r.Broken != "" {
		t.Error(d, r.Broken)
	}
	r = reading(t, "./gradlew test", "> Task :compileTestJava FAILED\n/checkout/src/test/java/notes/XTest.java:5: error: cannot find symbol\n    Notes.remove(1);\n  symbol:   method remove(int)\n", 1, nil, tree{"src/test/java/notes/XTest.java": ""})
	if d := cmp.Diff([]said{{"src/test/java/notes/XTest.java", Fail, Missing, true}}, summary(r)); d != "" || r.Broken != "" {
		t.Error(d, r.Broken)
	}
	if r = reading(t, "./gradlew test", "> Task :test NO-SOURCE\nBUILD SUCCESSFUL\n", 0, nil, nil); r.Broken == "" && !r.None {
		t.Errorf("nothing run, and believed: %+v", r)
	}
}

// A report of our own reporters that has a gap, a lie or no end is not believed.
func TestEventsMustBeWhole(t *testing.T) {
	lines := []string{
		`{"k":"begin"}`, `{"k":"plan","file":"/checkout/a.py","name":"a"}`, `{"k":"plan","file":"/checkout/a.py","name":"b"}`, `{"k":"start","file":"/checkout/a.py","name":"a"}`,
		`{"k":"case","file":"/checkout/a.py","name":"a","state":"pass"}`, `{"k":"case","file":"/checkout/a.py","name":"b","state":"skip"}`, `{"k":"end","n":2}`,
	}
	log := func(lines []string) string {
		var b strings.Builder
		for i, l := range lines {
			fmt.Fprintf(&b, "noise\nloop-5eed %d %s\n", i, l)
		}
		return b.String()
	}
	read := func(text string, code int) string { return believed(reading(t, "pytest", text, code, nil, nil)) }
	if got := read(log(lines), 0); got != "" {
		t.Fatal(got)
	}
	for i := range lines {
		one := append(append([]string{}, lines[:i]...), lines[i+1:]...)
		if got := read(log(one), 0); got == "" && i != 1 && i != 2 && i != 3 {
			t.Errorf("without line %d (%s) it is believed", i, lines[i])
		}
		gap := strings.Replace(log(lines), fmt.Sprintf("loop-5eed %d ", i), "loop-0000 0 ", 1)
		if got := read(gap, 0); !strings.Contains(got, "missing or forged") && !strings.Contains(got, "no end") {
			t.Errorf("with line %d lost: %q", i, got)
		}
	}
	for name, tt := range map[string]struct {
		more string
		want string
	}{
		"number again":      {"loop-5eed 6 {\"k\":\"end\"}\n", "missing or forged"},
		"after the end":     {"loop-5eed 7 {\"k\":\"case\"}\n", "after the end"},
		"no JSON":           {"loop-5eed 7 {\n", "cannot be read"},
		"no number":         {"loop-5eed x {}\n", "missing or forged"},
		"foreign nonce":     {"loop-0000 7 {\"k\":\"end\"}\n", ""},
		"nonce in mid-line": {"x loop-5eed 7 {\"k\":\"end\"}\n", ""},
	} {
		if got := read(log(lines)+tt.more, 0); !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	for change, want := range map[[2]string]string{
		{`"state":"skip"`, `"state":"fine"`}:                       `state "fine"`,
		{`"k":"start"`, `"k":"begin"`}:                             "second begin",
		{`"k":"start"`, `"k":"surprise"`}:                          "unknown event",
		{`"n":2`, `"n":3`}:                                         "planned 3 cases and reported 2",
		{`"k":"end","n":2`, `"k":"stop"`}:                          "no end",
		{`"k":"start"`, `"k":"tamper","message":"it was changed"`}: "it was changed",
	} {
		if got := read(strings.Replace(log(lines), change[0], change[1], 1), 0); !strings.Contains(got, want) {
			t.Errorf("%s for %s: %q, want %q", change[1], change[0], got, want)
		}
	}
	if got := read(log(lines), 1); !strings.Contains(got, "exit code 1 though no test failed") {
		t.Errorf("exit code 1: %q", got)
	}
}

func TestPlainCommandsAreWeak(t *testing.T) {
	for name, tt := range map[string]struct {
		log  string
		code int
		want State
	}{
		"pass": {"12 passed\n", 0, Pass}, "fail": {"boom\n", 3, Fail}, "silent": {"", 0, Pass}, "nothing run": {"0 passed, 12 filtered out\n", 0, Fail}, "no tests": {"No tests found\n", 0, Fail}, "ran none": {"Ran 0 tests in 0.000s\nOK\n", 0, Fail},
	} {
		r := reading(t, "./run-all.sh", tt.log, tt.code, nil, nil)
		if len(r.Cases) != 1 || !r.Cases[0].Weak || r.Cases[0].State != tt.want || r.Broken != "" {
			t.Errorf("%s: %v %q", name, r.Cases, r.Broken)
		}
	}
}

// What cargo's blocks count and what they hold must agree.
func TestCargoText(t *testing.T) {
	const head = "     Running unittests src/lib.rs (target/debug/deps/notes-1)\n\nrunning 2 tests\n"
	const said = "test a ... ok\ntest b ... ok\n"
	const end = "\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n"
	for name, tt := range map[string]struct {
		log  string
		want string
	}{
		"whole":                    {head + said + end, ""},
		"a line left out":          {head + "test a ... ok\n" + end, "is not what its lines say"},
		"fewer than begun":         {head + "test a ... ok\n" + strings.Replace(end, "2 passed", "1 passed", 1), "began with 2 tests and ended with 1"},
		"a failure that is none":   {head + "test a ... ok\ntest b ... FAILED\n" + end, "is not what its lines say"},
		"two results":              {head + said + end + strings.Replace(end, "ok. 2 passed; 0 failed", "FAILED. 0 passed; 2 failed", 1), "two results"},
		"no result":                {head + said, "src/lib.rs"},
		"nothing":                  {"", "reported nothing"},
		"words of another program": {"hello\ntest a ... ok\n" + end, "reported nothing"},
	} {
		got := believed(reading(t, "cargo test", tt.log, 0, nil, nil))
		if !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// A log that was cut is not believed, whatever it says.
func TestCutOutput(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	all, err := Find(root, "./x # tap")
	if err != nil {
		t.Fatal(err)
	}
	r, err := all[0].Read(Run{Dir: "/checkout", Root: root, Log: "1..1\nok 1 a\n", Cut: true})
	if err != nil || !strings.Contains(r.Broken, "its output was cut") {
		t.Errorf("%v %q", err, r.Broken)
	}
}

// However much a run writes, reading it takes time and memory in proportion.
func TestHugeReports(t *testing.T) {
	const n = 20_000
	var events, gojson, junit, tap strings.Builder
	big := strings.Repeat("x", 100)
	fmt.Fprintln(&events, `loop-5eed 0 {"k":"begin"}`)
	junit.WriteString(`<testsuite>`)
	for i := range n {
		fmt.Fprintf(&events, "loop-5eed %d {\"k\":\"case\",\"file\":\"/checkout/a.py\",\"name\":\"same\",\"state\":\"fail\",\"message\":%q}\n", i+1, big)
		fmt.Fprintf(&gojson, "{\"Action\":\"run\",\"Package\":\"p\",\"Test\":\"T%d/a/b\"}\n{\"Action\":\"fail\",\"Package\":\"p\",\"Test\":\"T%d/a/b\"}\n", i, i)
		fmt.Fprintf(&junit, `<testcase name="t"><failure>%s</failure></testcase>`, big)
		fmt.Fprintf(&tap, "not ok %d\n%s\n", i+1, big)
	}
	fmt.Fprintf(&events, "loop-5eed %d {\"k\":\"end\"}\n", n+1)
	junit.WriteString(`</testsuite>`)
	fmt.Fprintf(&tap, "1..%d\n", n)
	start := time.Now()
	for name, r := range map[string]Report{
		"events": reading(t, "pytest", events.String(), 1, nil, nil),
		"go":     reading(t, "go test ./...", gojson.String(), 1, nil, nil),
		"junit":  reading(t, "./x # junit: a.xml", "", 1, nil, tree{"a.xml": junit.String()}),
		"tap":    reading(t, "./x # tap", tap.String(), 1, nil, nil),
	} {
		if r.Broken != "" || len(r.Failed()) != n || len(r.Index()) != n {
			t.Errorf("%s: %q, %d failures, %d names", name, r.Broken, len(r.Failed()), len(r.Index()))
		}
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("it took %s", d)
	}
	long := reading(t, "pytest", `loop-5eed 0 {"k":"begin"}`+"\n"+`loop-5eed 1 {"k":"case","name":"a","state":"fail","message":"`+strings.Repeat("y", 1<<20)+`"}`+"\n"+`loop-5eed 2 {"k":"end"}`+"\n", 1, nil, nil)
	if m := len(long.Cases[0].Message); m > mostMessage+64 {
		t.Errorf("a message of %d bytes is kept", m)
	}
}

// Whatever is read, reading does not panic, and what is no report is no pass.
func FuzzReports(f *testing.F) {
	recorded, _ := filepath.Glob("testdata/recorded/*.txtar")
	for i, file := range recorded {
		if text, err := os.ReadFile(file); err == nil && i%5 == 0 {
			_, log, _ := strings.Cut(string(text), "-- log --\n")
			f.Add(log, i%12)
		}
	}
	f.Add(constructedTRX, 9)
	commands := []string{"node --test", "jest", "vitest", "mocha", "go test ./...", "pytest", "python3 -m unittest", "rspec", "cargo test", "dotnet test", "./x # junit: a.xml", "./x # tap", "mvn test", "phpunit"}
	f.Fuzz(func(t *testing.T, text string, which int) {
		command := commands[max(0, which)%len(commands)]
		// The nonce is unknown to whoever wrote the text.
		text = strings.ReplaceAll(text, "loop-5eed", "loop-0000")
		files := tree{}
		out := tree{}
		switch command {
		case "./x # junit: a.xml":
			files["a.xml"] = text
		case "dotnet test":
			out["a.trx"] = text
		case "phpunit":
			out["junit.xml"] = text
		}
		r := reading(t, command, text, 0, out, files)
		if r.Command == "" {
			t.Error("the command is lost")
		}
		switch command {
		case "go test ./...", "cargo test", "dotnet test", "./x # junit: a.xml", "./x # tap", "phpunit", "mvn test":
			return // these have no nonce
		}
		for _, c := range r.Leaves() {
			if c.State == Pass && r.Broken == "" {
				t.Errorf("%s: %q made a pass: %v", command, text, c)
			}
		}
	})
}
