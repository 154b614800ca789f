package audit

import (
	"bytes"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

var (
	exitCall = pattern.MustCompile(`^(process\.(exit|reallyExit|abort)|Deno\.exit|Bun\.exit|os\._exit|sys\.exit|os\.abort|os\.Exit|syscall\.Exit|log\.Fatal(f|ln)?|exit!?|quit|abort|_exit|pytest\.exit|System\.exit|Runtime\.getRuntime\(\)\.(halt|exit)|Environment\.(Exit|FailFast)|std\.process\.(exit|abort)|process::exit|die|Kernel\.exit!?|Process\.exit!?)(\.call|\.apply)?$`)
	killCall = pattern.MustCompile(`^(process\.kill|os\.kill|os\.killpg|syscall\.Kill|signal\.raise_signal|Process\.kill)$`)
	atExit   = pattern.MustCompile(`^(atexit\.register|process\.(on|once|addListener|prependListener)|at_exit|register_shutdown_function|Minitest\.after_run)$`)
	aside    = pattern.MustCompile(`__name__ == "__main__"|require \. main === module|require \. main == module|import \. meta \. (main|url)|process \. argv|sys \. argv|__FILE__ == \$0|\$0 == __FILE__|PROGRAM_NAME`)
)

var skipFromCode = map[string]bool{"pytest.skip": true, "pytest.xfail": true, "pytest.importorskip": true, "unittest.SkipTest": true, "pytest.skip.Exception": true, "_pytest.outcomes.Skipped": true}

// exits finds what leaves the process, and with it the tests.
func (a *auditor) exits(c *change, s *source, r ref) {
	bare := s.lang == python && (r.name == "exit" || r.name == "quit") || s.lang == ruby || s.lang == php || s.lang != js && s.lang != golang
	switch {
	case s.lang == golang && (r.name == "syscall.SYS_EXIT" || r.name == "syscall.SYS_EXIT_GROUP" || r.name == "unix.SYS_EXIT" || r.name == "unix.SYS_EXIT_GROUP"):
		a.find("exit", Invalid, c, r.line, "This leaves the process, tests included, in a way that nothing can notice. Return an error.")
		return
	case s.lang == python && c.kind == Implementation && skipFromCode[r.name]:
		a.find("test-skipped", Failed, c, r.line, "The implementation skips the test that calls it. Let it do its work, or raise an error of its own.")
		return
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
	if strings.HasPrefix(r.name, "pytest.") && c.kind != Test {
		a.find("exit", Invalid, c, r.line, "The implementation ends the run of the tests.")
		return
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
