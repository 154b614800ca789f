package audit

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
)

// read reads the files of the change, within bounds.
func (a *auditor) read() {
	left := mostBytes
	before := map[string]int{} // line -> how often the parent has it, in all the change
	for _, in := range a.in.Changes {
		c := &change{Change: in, kind: a.in.Kind(in.Path), fresh: map[int]bool{}}
		a.changes = append(a.changes, c)
		c.before = a.source(c, in.Before, &left, false)
		c.after = a.source(c, in.After, &left, true)
		if in.Before.Mode == Regular || in.Before.Mode == Executable {
			for l := range bytes.Lines(in.Before.Data) {
				before[strings.TrimSpace(string(l))]++
			}
		}
	}
	for _, c := range a.changes {
		n := 0
		here := map[string]int{}
		for l := range bytes.Lines(c.Before.Data) {
			here[strings.TrimSpace(string(l))]++
		}
		var lines []string
		for l := range bytes.Lines(c.After.Data) {
			lines = append(lines, strings.TrimSpace(string(l)))
		}
		now := map[string]int{}
		for _, l := range lines {
			now[l]++
		}
		for _, l := range lines {
			// A line that moved here from elsewhere in the change is no news.
			n++
			c.fresh[n] = l != "" && now[l] > max(here[l], before[l])
		}
	}
}

func (a *auditor) source(c *change, f File, left *int, now bool) *source {
	if f.Mode != Regular && f.Mode != Executable {
		return nil
	}
	l := langOf(c.Path, f.Data)
	if l == "" {
		return nil
	}
	if f.Size > int64(len(f.Data)) || len(f.Data) > *left {
		if now {
			a.find("unaudited", Failed, c, 0, "This source file is too large to be audited. Keep sources below %d MB, and generated data out of them.", MostFile>>20)
		}
		return nil
	}
	*left -= len(f.Data)
	s := read(l, string(f.Data))
	if now && s.fuel <= 0 {
		a.find("unaudited", Failed, c, 0, "This file is too tangled to be audited. Split it, or write it plainer.")
	}
	if now && !s.whole {
		a.find("unaudited", Note, c, 0, "This file cannot be read whole: a string or a comment is not closed, or is hard to tell.")
	}
	return s
}

// code looks at what the candidate added to a program.
func (a *auditor) code(c *change) {
	s := c.after
	if s == nil {
		a.hiddenText(c)
		return
	}
	a.hiddenText(c)
	was := map[string]int{} // names in use before, for lines that are too long to compare
	if c.before != nil {
		for _, r := range c.before.refs {
			was[r.name]++
		}
	}
	now := map[string]int{}
	for _, r := range s.refs {
		now[r.name]++
		if !c.fresh[r.line] && !c.fresh[int(s.at(r.tok).line)] || len(lineOf(c.After.Data[:min(len(c.After.Data), 1<<16)], r.line)) > 110 && now[r.name] <= was[r.name] {
			continue
		}
		a.exits(c, s, r)
		a.patches(c, s, r)
		a.sniffs(c, s, r)
		a.retries(c, s, r)
		a.reaches(c, s, r)
	}
	for i := range s.toks {
		if s.toks[i].kind == str && c.fresh[int(s.toks[i].line)] {
			a.words(c, s, int32(i)) // #nosec G115 -- a file has at most 4 MB
		}
	}
	a.blocks(c, s)
	a.goSigns(c)
}

var (
	exitCall = regexp.MustCompile(`^(process\.(exit|reallyExit|abort)|Deno\.exit|Bun\.exit|os\._exit|sys\.exit|os\.abort|os\.Exit|syscall\.Exit|log\.Fatal(f|ln)?|exit!?|quit|abort|_exit|pytest\.exit|System\.exit|Runtime\.getRuntime\(\)\.(halt|exit)|Environment\.(Exit|FailFast)|std\.process\.(exit|abort)|process::exit|die|Kernel\.exit!?|Process\.exit!?)(\.call|\.apply)?$`)
	killCall = regexp.MustCompile(`^(process\.kill|os\.kill|os\.killpg|syscall\.Kill|signal\.raise_signal|Process\.kill)$`)
	atExit   = regexp.MustCompile(`^(atexit\.register|process\.(on|once|addListener|prependListener)|at_exit|register_shutdown_function|Minitest\.after_run)$`)
	aside    = regexp.MustCompile(`__name__ == "__main__"|require \. main === module|require \. main == module|import \. meta \. (main|url)|process \. argv|sys \. argv|__FILE__ == \$0|\$0 == __FILE__|PROGRAM_NAME`)
)

// exits finds what leaves the process, and with it the tests.
func (a *auditor) exits(c *change, s *source, r ref) {
	bare := s.lang == python && (r.name == "exit" || r.name == "quit") || s.lang == ruby || s.lang == php || s.lang != js && s.lang != golang
	switch {
	case r.name == "process.exitCode" && r.set:
		if s.is(r.end+1, "0", "undefined") && (c.kind == Test || s.mentionedIn(r.tok, "exit", "beforeExit")) {
			a.find("exit", Invalid, c, r.line, "This makes a run of failing tests end like one that passed.")
		}
		return
	case atExit.MatchString(r.name) && r.call:
		body := s.text(r.args[0], r.args[1])
		if (strings.Contains(body, "exit") || strings.HasPrefix(r.name, "atexit")) && (strings.Contains(body, "exitCode") || strings.Contains(body, "_exit") || strings.Contains(body, "reallyExit") || strings.HasPrefix(body, `"exit"`) && strings.Contains(body, "process . exit")) {
			a.find("exit", Invalid, c, r.line, "This changes how the process ends when its tests are over, and so what their runner is told.")
		} else if c.kind == Test && (r.name == "atexit.register" || strings.HasPrefix(body, `"exit"`)) {
			a.find("exit", Note, c, r.line, "Something happens here when the tests' process ends.")
		}
		return
	case killCall.MatchString(r.name) && r.call:
		who := s.text(r.args[0], r.args[1])
		if strings.Contains(who, "process . pid") || strings.Contains(who, "process . ppid") || strings.Contains(who, "getpid") || strings.Contains(who, "getppid") || strings.Contains(who, "Getpid") || strings.Contains(who, "Getppid") {
			sev := Failed
			if c.kind == Test {
				sev = Invalid
			}
			a.find("exit", sev, c, r.line, "This ends the process of the tests, or their runner. Let tests end by themselves.")
		}
		return
	}
	if r.name == "SystemExit" && s.is(r.tok-1, "raise") {
		r.call = true
	} else if !exitCall.MatchString(r.name) || !r.call && !s.passed(r) {
		return
	}
	if (r.name == "exit" || r.name == "quit" || r.name == "abort" || r.name == "die" || r.name == "_exit" || r.name == "exit!") && !bare {
		return
	}
	if s.is(r.tok-1, "def", "function", "func", "fn", "new", "void") || s.is(r.end, "{") && s.lang != ruby {
		return // it is declared here
	}
	zero := r.call && (r.args[0] >= r.args[1] || s.is(r.args[0], "0") || strings.Contains(s.text(r.args[0], r.args[1]), "EX_OK"))
	guard := s.guard(r.tok)
	hard := strings.Contains(r.name, "_exit") || strings.Contains(r.name, "reallyExit") || r.name == "syscall.Exit" || strings.Contains(r.name, "abort") || r.name == "exit!"
	if strings.Contains(r.name, "log.Fatal") {
		zero = false
	}
	if c.kind == Test {
		a.exitInTest(c, s, r, zero, hard, guard)
		return
	}
	switch {
	case s.lang == golang:
		a.goExit(c, s, r, zero)
	case hard && r.name != "abort" && s.lang != rust:
		if s.inFunction(r.tok) && strings.Contains(strings.Join(c.lines(), "\n"), "fork(") {
			a.find("exit", Note, c, r.line, "The process is left here in a way that skips all clean-up, as children after a fork do.")
			return
		}
		sev := Failed
		if !s.inFunction(r.tok) || zero {
			sev = Invalid
		}
		a.find("exit", sev, c, r.line, "This leaves the process, tests included, in a way that nothing can notice. Return, or throw an error.")
	case !s.inFunction(r.tok) && aside.MatchString(guard):
		// A program that was started by hand may end as it likes.
	case !s.inFunction(r.tok) && zero && s.lang != ruby && s.lang != php && !c.script():
		sev := Invalid
		if strings.Contains(guard, "if") {
			sev = Failed
		}
		a.find("exit", sev, c, r.line, "Whoever loads this file ends with success, its tests included. Leave only from the program's main function.")
	case !s.inFunction(r.tok) && s.lang == python && !c.script():
		a.find("exit", Failed, c, r.line, "Whoever imports this file ends. Leave only under `if __name__ == \"__main__\":`.")
	case zero && s.inFunction(r.tok) && !strings.Contains(s.functionNames(r.tok), "main") && !s.handler(r.tok):
		a.find("exit", Note, c, r.line, "The process is left here with success; a test that came by would end, too.")
	}
}

// passed says whether r, a function, is handed on or given a name, not called.
func (s *source) passed(r ref) bool {
	return s.is(r.tok-1, "(", ",") && s.is(r.end, ")", ",") && strings.Contains(r.name, ".")
}

func (s *source) mentionedIn(tok int32, words ...string) bool {
	start := max(0, tok-40)
	for i := start; i < tok; i++ {
		if s.at(i).kind == str && slices.Contains(words, s.at(i).text) {
			return true
		}
	}
	return false
}

// handler says whether token i is in a function that answers a signal.
func (s *source) handler(i int32) bool {
	for j := i; j > max(0, i-80); j-- {
		if t := s.at(j); strings.HasPrefix(t.text, "SIG") || t.kind == str && (t.text == "uncaughtException" || t.text == "unhandledRejection" || t.text == "close" || t.text == "message" || t.text == "shutdown") {
			return true
		}
	}
	return false
}

func (s *source) functionNames(i int32) string {
	var names []string
	for b := range s.around(i) {
		if b.kind == function {
			names = append(names, strings.ToLower(b.name))
		}
	}
	return strings.Join(names, " ")
}

// script says whether the file is made to be started, not to be loaded.
func (c *change) script() bool {
	return bytes.HasPrefix(c.After.Data, []byte("#!")) || strings.HasPrefix(c.Path, "bin/") || strings.HasPrefix(c.Path, "scripts/") || strings.Contains(c.Path, "/bin/") || strings.HasSuffix(c.Path, "__main__.py")
}

func (c *change) lines() []string { return strings.Split(string(c.After.Data), "\n") }

func (a *auditor) exitInTest(c *change, s *source, r ref, zero, hard bool, guard string) {
	text := s.text(r.args[0], r.args[1])
	names := s.functionNames(r.tok)
	switch {
	case s.lang == golang && strings.Contains(" "+names+" ", " testmain "):
		if strings.Contains(text, "Run (") || s.runResult(text) {
			return
		}
		if zero {
			a.find("exit", Invalid, c, r.line, "TestMain ends with success, whatever the tests said. Pass on what m.Run returns.")
		} else {
			a.find("exit", Note, c, r.line, "TestMain ends with a code of its own.")
		}
	case s.lang == golang && strings.Contains(s.guardAll(r.tok), "os . Getenv"):
		a.find("exit", Note, c, r.line, "A test leaves the process where an environment variable says that it is a helper.")
	case aside.MatchString(guard):
	case strings.HasPrefix(r.name, "log.Fatal"):
		a.find("exit", Failed, c, r.line, "This ends the process of the tests. Use t.Fatal.")
	case s.is(r.tok-1, "(", ",") && !r.call: // given to something that may only expect it
	case s.lang == python && r.name != "os._exit" && s.under(r.tok, "raises"):
	case (s.lang == js || s.lang == python) && !hard && s.inTestOf(r.tok) && s.patched(r.name):
	case zero || hard:
		a.find("exit", Invalid, c, r.line, "This ends the run of the tests with success before they are over. Take it out; let tests end by themselves.")
	default:
		a.find("exit", Failed, c, r.line, "This ends the run of the tests before they are over. Let them end by themselves, and fail by an assertion.")
	}
}

func (s *source) runResult(text string) bool {
	return text == "code" || text == "m . Run ( )" || text == "exit" || text == "status" || text == "ret" || text == "rc" || text == "exitCode" || text == "result" || text == "v" || text == "c"
}

func (s *source) guardAll(i int32) string {
	var g []string
	for b := range s.around(i) {
		g = append(g, s.text(b.head, b.from))
		if b.kind == function {
			g = append(g, s.text(b.from, min(i, b.from+60)))
		}
	}
	return strings.Join(g, " | ")
}

func (s *source) under(i int32, name string) bool {
	for b := range s.around(i) {
		if strings.Contains(s.text(b.head, b.from), name) {
			return true
		}
	}
	return false
}

func (s *source) inTestOf(i int32) bool {
	for _, t := range s.tests {
		if !t.helper && t.from <= i && i < t.to {
			return true
		}
	}
	return false
}

// patched says whether the file replaces what is called name, so that calling it
// does nothing.
func (s *source) patched(name string) bool {
	return slices.ContainsFunc(s.refs, func(r ref) bool { return r.set && r.name == name })
}

func (a *auditor) goExit(c *change, s *source, r ref, zero bool) {
	names := s.functionNames(r.tok)
	main := false
	for i := range min(len(s.toks), 200) {
		if s.toks[i].text == "package" && s.at(int32(i)+1).text == "main" { // #nosec G115 -- at most 200
			main = true
		}
	}
	initial := slices.Contains(strings.Fields(names), "init") || !s.inFunction(r.tok)
	switch {
	case initial && zero:
		a.find("exit", Invalid, c, r.line, "Whoever loads this package ends with success, its tests included. Leave only from func main.")
	case initial || r.name == "syscall.Exit":
		a.find("exit", Failed, c, r.line, "Whoever loads this package may end, its tests included. Return an error, and leave only from func main.")
	case main || strings.HasPrefix(r.name, "log.Fatal"):
	case zero:
		a.find("exit", Failed, c, r.line, "A package that ends the process with success ends its tests, too. Return, and leave only from func main.")
	default:
		a.find("exit", Note, c, r.line, "A package ends the process here; returning an error would leave that to its caller.")
	}
}

var (
	runnerInner = regexp.MustCompile(`^(assert(\.(strict|ok|equal|strictEqual|deepEqual|deepStrictEqual|notEqual|notStrictEqual|throws|rejects|match|fail|AssertionError)(\.\w+)*)|expect(\.\w+)*|expect|chai\.(assert|expect|Assertion)(\.\w+)*|unittest\.(TestCase|TestResult|TestProgram|TextTestResult|TextTestRunner|main)(\.\w+)*|TestCase\.\w+|pytest\.(raises|fail|skip|approx|main|mark|Item|Function)(\.\w+)*|_pytest\.[\w.]+|builtins\.(AssertionError|__import__|isinstance|len|all|any|sorted|str|int|open|getattr)|__builtins__\.\w+|AssertionError(\.\w+)*|it|test|describe|Minitest\.[\w.]+|RSpec\.[\w.]+|process\.(exit|reallyExit|exitCode|emit|on|hrtime|send|argv|execArgv)|sys\.(exit|excepthook|settrace|setprofile)|node:test\.\w+|Module\._(load|resolveFilename|compile|extensions)|Module\.prototype\.\w+|module\.(Module\.)?_load|require\.(cache|extensions)(\..+)?|require\.resolve|testing\.\w+)$`)
	prototype   = regexp.MustCompile(`^(Object|Array|String|Number|Boolean|Function|Promise|Map|Set|RegExp|Error|Date|Symbol|Reflect|JSON|Buffer|EventEmitter|Response|Request)\.(prototype\.\w+|is|keys|entries|parse|stringify|isArray|from|assign|getPrototypeOf|__proto__)$|\.__proto__$|\.__defineGetter__$`)
	clock       = regexp.MustCompile(`^(Date|Date\.(now|prototype\.\w+|parse|UTC)|performance\.now|Math\.random|setTimeout|setInterval|setImmediate|clearTimeout|queueMicrotask|process\.(hrtime|nextTick|uptime)|time\.(time|sleep|monotonic|perf_counter|time_ns|localtime|gmtime)|random\.(random|randint|choice|seed|shuffle)|datetime\.(datetime|date)(\.(now|today|utcnow))?|crypto\.random\w+|timers\.\w+)$`)
	replaces    = regexp.MustCompile(`^(console\.\w+|process\.(stdout|stderr)\.write|process\.std(out|err)|sys\.(stdout|stderr|stdin|modules)|fetch|globalThis\.\w+|XMLHttpRequest|http\.(request|get))$`)
)

// patches finds what replaces the parts that proof is made of.
func (a *auditor) patches(c *change, s *source, r ref) {
	name := r.name
	if r.call && (name == "expect.extend" || name == "expect.addEqualityTesters" || name == "chai.use" || name == "expect.addSnapshotSerializer") {
		body := s.text(r.args[0], r.args[1])
		builtin := regexp.MustCompile(`\b(toBe|toEqual|toStrictEqual|toMatch|toContain|toThrow|toHaveLength|toBeTruthy|toBeDefined)\b`)
		if name == "expect.extend" && builtin.MatchString(body) || name == "expect.addEqualityTesters" && regexp.MustCompile(`return true|=> true`).MatchString(body) {
			a.find("patched-assert", Invalid, c, r.line, "This replaces what assertions mean.")
		}
		return
	}
	if !r.set || s.declares(r) {
		return
	}
	if s.lang == js || s.lang == python || s.lang == ruby {
		switch {
		case runnerInner.MatchString(name) && (strings.Contains(name, ".") || s.global(r)):
			if (name == "process.argv" || name == "sys.argv" || name == "process.exit" || name == "sys.exit" || name == "process.send" || name == "process.on" || name == "process.emit") && c.kind == Test {
				a.find("patched-runtime", Note, c, r.line, "The test replaces `%s`; look whether it puts it back.", name)
				return
			}
			if name == "process.exitCode" {
				return // see exits
			}
			a.find("patched-assert", Invalid, c, r.line, "This replaces a part of what the tests are judged by (`%s`).", name)
		case clock.MatchString(name) && (strings.Contains(name, ".") || s.global(r)):
			if c.kind == Test {
				a.find("patched-clock", Note, c, r.line, "The test replaces `%s`; look whether it puts it back.", name)
			} else {
				a.find("patched-clock", Failed, c, r.line, "The implementation replaces `%s` for everything that runs beside it, tests included. Pass a clock or randomness as an argument instead.", name)
			}
		case prototype.MatchString(name):
			switch {
			case strings.Contains(s.guard(r.tok), "! "+dotless(name)), strings.Contains(s.guard(r.tok), "typeof "+dotless(name)):
				a.find("patched-runtime", Note, c, r.line, "`%s` is filled in where it is missing.", name)
			case s.own(name):
			default:
				a.find("patched-runtime", Failed, c, r.line, "This changes `%s` for everything that runs beside it, assertions included. Write a function of your own.", name)
			}
		case replaces.MatchString(name):
			a.find("patched-runtime", Note, c, r.line, "`%s` is replaced here; look whether it is put back.", name)
		}
	}
}

func dotless(name string) string { return strings.ReplaceAll(name, ".", " . ") }

// own says whether the file declares the class whose prototype it changes.
func (s *source) own(name string) bool {
	r := root(name)
	return slices.ContainsFunc(s.blocks, func(b block) bool { return b.kind == class && b.name == r })
}

// declares says whether r is a variable that is made here.
func (s *source) declares(r ref) bool {
	if strings.Contains(s.at(r.tok).text+r.name, ".") && s.is(r.tok+1, ".", "[") {
		return false
	}
	return s.is(r.tok-1, "const", "let", "var", "local", "my", ",", "{", "(")
}

// global says whether r, a name without members, can mean the global one.
func (s *source) global(r ref) bool {
	if s.is(r.tok, "globalThis", "global", "window") {
		return true
	}
	return s.lang == js && !s.is(r.tok-1, "const", "let", "var", ",", "{", "(", ":") && !slices.ContainsFunc(s.refs, func(o ref) bool {
		return o.name == r.name && s.is(o.tok-1, "const", "let", "var")
	})
}

var (
	runnerSign = regexp.MustCompile(`^(process\.env\.(JEST_\w+|VITEST\w*|MOCHA\w*|NODE_TEST\w*|TEST_WORKER\w*|NODE_V8_COVERAGE|PLAYWRIGHT\w*|CYPRESS\w*|LOOP_\w+)|import\.meta\.(env\.(VITEST|TEST)|vitest|jest)|testing\.Testing|flag\.Lookup|navigator\.webdriver|expect\.getState|process\.env\.npm_lifecycle_event|window\.(__playwright\w*|Cypress|callPhantom)|document\.\$cdc_\w+)$`)
	testEnv    = regexp.MustCompile(`^(process\.env\.(NODE_ENV|CI|GITHUB_ACTIONS|TEST|TESTING|E2E|APP_ENV|BABEL_ENV|ENV)|import\.meta\.env\.(MODE|DEV))$`)
	getenv     = regexp.MustCompile(`^(os\.(Getenv|LookupEnv|getenv|environ\.get|environ\.pop)|os\.environ\.\w+|os\.environ|getenv|ENV(\.fetch)?|System\.getenv|Environment\.GetEnvironmentVariable|std\.env\.var|env\.var|Deno\.env\.get|process\.env|os\.environ\.__contains__)$`)
	ofRunner   = regexp.MustCompile(`^(JEST_|VITEST|MOCHA|NODE_TEST|PYTEST|TEST_WORKER|PLAYWRIGHT|CYPRESS|NEXTEST|RUST_TEST|CARGO_MANIFEST|GO_TEST|TESTING_|LOOP_|JEST$)`)
	ofCI       = regexp.MustCompile(`^(CI|GITHUB_\w+|CONTINUOUS_INTEGRATION|RUNNER_\w+|BUILD_NUMBER|TEST|TESTING|E2E)$`)
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
	case r.name == "process.argv" || r.name == "process.execArgv" || r.name == "sys.argv" || r.name == "os.Args" || strings.HasPrefix(r.name, "process.argv.") || strings.HasPrefix(r.name, "process.execArgv.") || strings.HasPrefix(r.name, "sys.argv."):
		if m := argSign.FindString(s.near(r)); m != "" {
			a.find("environment", Invalid, c, r.line, "The implementation asks by its arguments whether it is being tested (`%s`).%s", m, undo)
		}
	case strings.HasPrefix(r.name, "sys.modules") || r.name == "require.cache":
		if m := moduleSign.FindString(s.near(r)); m != "" {
			a.find("environment", Invalid, c, r.line, "The implementation asks whether a test runner is loaded (`%s`).%s", m, undo)
		}
	case r.name == "jest" || r.name == "vi" || r.name == "describe" || r.name == "it" || r.name == "__vitest_worker__" || r.name == "expect":
		if s.is(r.tok-1, "typeof") {
			a.find("environment", Invalid, c, r.line, "The implementation asks whether a test runner is there (`typeof %s`).%s", r.name, undo)
		}
	case stackCall.MatchString(r.name):
		if m := stackSign.FindString(s.near(r)); m != "" {
			a.find("environment", Invalid, c, r.line, "The implementation looks on the stack whether a test calls it (`%s`).%s", m, undo)
		} else if r.name != "runtime.Caller" && r.name != "runtime.Callers" && !strings.HasSuffix(r.name, ".stack") {
			a.find("environment", Note, c, r.line, "The implementation looks at who calls it (`%s`).", r.name)
		}
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
	argSign    = regexp.MustCompile(`--test\b|--test-[a-z]+|-test\.|\.test\b|\.test\.[jt]s|_test\b|\bjest\b|\bmocha\b|\bvitest\b|\bpytest\b|py\.test|\bunittest\b`)
	moduleSign = regexp.MustCompile(`"(pytest|_pytest|unittest|nose|doctest|jest|mocha|vitest|chai)"|node_modules/(jest|mocha|vitest)`)
	stackCall  = regexp.MustCompile(`^(new )?(Error\(\)\.stack(\.\w+(\(\))?)*|Error\.captureStackTrace|inspect\.(stack|currentframe|getouterframes)|sys\._getframe|traceback\.(extract_stack|format_stack|walk_stack)|runtime\.(Caller|Callers|CallersFrames|Stack)|debug\.Stack|caller|caller_locations|debug_backtrace|Thread\.currentThread\(\)\.getStackTrace|StackWalker\.\w+)$`)
	stackSign  = regexp.MustCompile(`(?i)\.test\\?\.|_test\b|_test\.go|\btest_|node:test|node:internal/test|\bjest\b|\bmocha\b|vitest|pytest|unittest|"test"|testing\.|\.spec\b|tests?/|tRunner`)
	agentSign  = regexp.MustCompile(`(?i)headless\w*|playwright|puppeteer|selenium|webdriver|phantomjs|cypress|electron`)
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
	case regexp.MustCompile(`"(test|testing|ci|e2e)"`).MatchString(near):
		a.find("environment", Failed, c, r.line, "The implementation asks whether it is being tested (`%s`).%s", name, undo)
	}
}

var retryCall = regexp.MustCompile(`^(jest\.retryTimes|this\.retries|vi\.retry|pytest\.mark\.(flaky|rerun\w*)|flaky|pytest\.mark\.repeat|describe\.configure|test\.describe\.configure|backoff\.on_exception|tenacity\.retry|retry)$`)

// retries finds what runs a failing test until it passes, or gives it more time.
func (a *auditor) retries(c *change, s *source, r ref) {
	if c.kind != Test || !r.call && !s.is(r.tok-1, "@") {
		return
	}
	switch {
	case retryCall.MatchString(r.name) && (strings.Contains(r.name, ".") || s.is(r.tok-1, "@")):
		if strings.HasSuffix(r.name, "configure") && !strings.Contains(s.text(r.args[0], r.args[1]), "retries") {
			return
		}
		a.find("retries", Failed, c, r.line, "A test that is run until it passes proves nothing. Take the retries out and mend what is flaky.")
	case r.name == "jest.setTimeout" || r.name == "this.timeout" || r.name == "vi.setConfig" || r.name == "pytest.mark.timeout" || r.name == "test.setTimeout":
		a.timeout(c, r.line, s.at(r.args[0]).text)
	}
}

// timeout judges a time limit: much or none hides what hangs.
func (a *auditor) timeout(c *change, line int, value string) {
	n := 0
	for _, d := range strings.ReplaceAll(value, "_", "") {
		if d < '0' || d > '9' {
			break
		}
		n = min(n*10+int(d-'0'), 1<<40)
	}
	if value == "0" || value == "Infinity" || value == "None" || n > 600_000 {
		a.find("timeout", Failed, c, line, "Without a time limit that means something a test that hangs is never seen. Set a limit of less than ten minutes.")
		return
	}
	a.find("timeout", Note, c, line, "A time limit of tests is set.")
}

var (
	evals   = regexp.MustCompile(`^(eval|Function|exec|execfile|compile|vm\.(runInThisContext|runInNewContext|Script)|instance_eval|class_eval|execScript)$`)
	decodes = regexp.MustCompile(`atob|Buffer \. from|base64|b64decode|fromCharCode|codecs|unhexlify|fromhex|rot13|unescape|decodeURIComponent|zlib|marshal|\. reverse|chr \(`)
	shells  = regexp.MustCompile(`^(child_process\.(exec|execSync|spawn|spawnSync|execFile|execFileSync|fork)|subprocess\.(run|call|Popen|check_call|check_output)|os\.(system|popen|execv|execvp|spawnl)|exec\.Command|exec\.CommandContext|system)$`)
	fetches = regexp.MustCompile(`^(fetch|axios(\.\w+)?|got(\.\w+)?|http\.(get|request|Get|Post|Head)|https\.(get|request)|requests\.\w+|urllib\.request\.\w+|urlopen|httpx\.\w+|net\.(connect|createConnection|Dial)|socket\.create_connection|Net\.HTTP\.\w+|new WebSocket|WebSocket)$`)
	away    = regexp.MustCompile(`^(https?|wss?)://([^/:?#]+)`)
)

// reaches finds what reaches beyond the program.
func (a *auditor) reaches(c *change, s *source, r ref) {
	if !r.call {
		return
	}
	args := s.text(r.args[0], r.args[1])
	switch {
	case evals.MatchString(r.name) && !(r.name == "compile" && strings.HasPrefix(args, "r")) && !s.is(r.tok-1, "def", "function", "func", "."):
		switch {
		case decodes.MatchString(args):
			a.find("disguise", Failed, c, r.line, "Code that is decoded and run cannot be read by anyone. Write it down plainly.")
		case r.name == "eval" || r.name == "Function" || s.lang == python && r.name == "exec":
			a.find("disguise", Note, c, r.line, "Text is run as code here.")
		}
	case (r.name == "getattr" || r.name == "Reflect.get") && regexp.MustCompile(`^(os|sys|builtins|__builtins__|process|globalThis)\b`).MatchString(args) && (strings.Contains(args, "+") || decodes.MatchString(args) || strings.Contains(args, "join")):
		a.find("disguise", Failed, c, r.line, "The name of what is called here is put together, so that nobody can read it. Write it down plainly.")
	case c.kind == Test && fetches.MatchString(r.name) && s.at(r.args[0]).kind == str:
		if m := away.FindStringSubmatch(s.at(r.args[0]).text); m != nil && !local(m[2]) {
			a.find("network", Note, c, r.line, "The test asks %s, which is not there when it is judged, unless something stands in for it.", m[2])
		}
	case shells.MatchString(r.name) && strings.Contains(args, `"git`) || shells.MatchString(r.name) && strings.Contains(args, "core.hooksPath"):
		sev := Note
		if strings.Contains(args, "hooksPath") || strings.Contains(args, "config") && strings.Contains(args, "filter.") {
			sev = Invalid
		}
		a.find("harness", sev, c, r.line, "git is run here; the history is no input of a program or its tests.")
	}
}

func local(host string) bool {
	return host == "localhost" || strings.HasPrefix(host, "127.") || host == "0.0.0.0" || host == "[" || host == "" ||
		strings.HasSuffix(host, ".test") || strings.HasSuffix(host, ".example") || strings.HasSuffix(host, ".invalid") || strings.HasSuffix(host, ".localhost") ||
		strings.HasSuffix(host, "example.com") || strings.HasSuffix(host, "example.org") || strings.HasSuffix(host, "example.net")
}

var (
	harnessPath = regexp.MustCompile(`^/proc/(self|\d+|1|thread-self)?(/|$)|/proc/.*(environ|cmdline|/mem|/fd)|^/github/|\.autonomous-loop\b|^/dev/mem|(^|/)\.git/(hooks|config|index|objects|refs|HEAD|info)|core\.hooksPath|^GITHUB_(ENV|PATH|OUTPUT|STEP_SUMMARY)$`)
	reportText  = regexp.MustCompile(`^\s*(--- (PASS|FAIL|SKIP): |=== RUN |ok  ?\t|PASS$|PASS\n|TAP version 1[34]|ok \d+( |$)|1\.\.\d+|# (pass|tests|fail) |Tests: +\d+ passed|=+ \d+ passed|<testsuites?\b|<testcase\b|test result: ok|OK \(\d+ tests?)|"Action": ?"(pass|run|output)"|^loop-[0-9a-f]{16}|"k": ?"(case|over|end)"`)
	reportFile  = regexp.MustCompile(`(?i)(^|/)(junit|test-results?|test-report|TEST-[\w.]+|report|results)[\w.-]*\.(xml|trx|tap)$|\.pytest_cache|surefire-reports`)
	prints      = regexp.MustCompile(`(^|\.)(log|info|print|println|printf|Println|Printf|Print|Fprintf|Fprintln|Fprint|write|writeSync|writeFile|writeFileSync|WriteString|Write|WriteFile|write_text|puts|echo|error|send)$`)
)

// words looks at a string that the candidate added.
func (a *auditor) words(c *change, s *source, i int32) {
	t := s.at(i)
	text := t.text
	if len(text) > 4000 {
		text = text[:4000]
	}
	line := int(t.line)
	if m := harnessPath.FindString(text); m != "" {
		sev := Invalid
		if strings.Contains(m, ".git/") && !strings.Contains(m, "hooks") || strings.Contains(m, ".autonomous-loop") && c.kind == Config {
			sev = Note
		}
		if c.kind == Implementation && strings.HasPrefix(m, "/proc/") && !strings.Contains(text, "environ") && !strings.Contains(text, "cmdline") && !strings.Contains(text, "/mem") && !strings.Contains(text, "/fd") {
			sev = Note // a program about processes
		}
		a.find("harness", sev, c, line, "This names a place of the machine that judges (`%s`), which is none of the project's business.", m)
	}
	if m := reportText.FindString(text); m != "" {
		sev := Note
		if s.printed(i) {
			sev = Invalid
		}
		if sev == Invalid || c.kind != Test {
			a.find("forged-report", sev, c, line, "This looks like what a test runner reports (`%s`). Only the runner may say that.", strings.TrimSpace(m))
		}
	}
	if m := reportFile.FindString(text); m != "" && s.printed(i) {
		a.find("forged-report", Invalid, c, line, "This writes where test runners write their reports (`%s`).", m)
	}
}

// printed says whether the string at i is given to something that writes.
func (s *source) printed(i int32) bool {
	for n := 0; i > 0 && n < 100; n++ {
		i--
		t := s.at(i)
		if t.kind == ends || t.kind == punct && (t.text == ";" || t.text == "{" || t.text == "}") {
			return false
		}
		if t.kind == punct && t.pair >= 0 && t.pair < i {
			i = t.pair
			continue
		}
		if t.kind == punct && t.text == "(" && s.at(i-1).kind == word {
			j := i - 1
			name := s.at(j).text
			if prints.MatchString(name) {
				return true
			}
		}
	}
	return false
}
