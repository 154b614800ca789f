package audit

import (
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

var (
	builtinMatcher = pattern.MustCompile(`\b(toBe|toEqual|toStrictEqual|toMatch|toContain|toThrow|toHaveLength|toBeTruthy|toBeDefined)\b`)
	saysTrue       = pattern.MustCompile(`return true|=> true`)
)

var (
	runnerInner = pattern.MustCompile(`^(assert(\.(strict|ok|equal|strictEqual|deepEqual|deepStrictEqual|notEqual|notStrictEqual|throws|rejects|match|fail|AssertionError)(\.\w+)*)|expect(\.\w+)*|expect|chai\.(assert|expect|Assertion)(\.\w+)*|unittest\.(TestCase|TestResult|TestProgram|TextTestResult|TextTestRunner|main)(\.\w+)*|TestCase\.\w+|pytest\.(raises|fail|skip|approx|main|mark|Item|Function)(\.\w+)*|_pytest\.[\w.]+|builtins\.(AssertionError|__import__|isinstance|len|all|any|sorted|str|int|open|getattr)|__builtins__\.\w+|AssertionError(\.\w+)*|it|test|describe|Minitest\.[\w.]+|RSpec\.[\w.]+|process\.(exit|reallyExit|exitCode|emit|on|hrtime|send|argv|execArgv)|sys\.(exit|excepthook|settrace|setprofile)|node:test\.\w+|Module\._(load|resolveFilename|compile|extensions)|Module\.prototype\.\w+|module\.(Module\.)?_load|require\.(cache|extensions)(\..+)?|require\.resolve|testing\.\w+)$`)
	prototype   = pattern.MustCompile(`^(Object|Array|String|Number|Boolean|Function|Promise|Map|Set|RegExp|Error|Date|Symbol|Reflect|JSON|Buffer|EventEmitter|Response|Request)\.(prototype\.\w+|is|keys|entries|parse|stringify|isArray|from|assign|getPrototypeOf|__proto__)$|\.__proto__$|\.__defineGetter__$`)
	clock       = pattern.MustCompile(`^(Date|Date\.(now|prototype\.\w+|parse|UTC)|performance\.now|Math\.random|setTimeout|setInterval|setImmediate|clearTimeout|queueMicrotask|process\.(hrtime|nextTick|uptime)|time\.(time|sleep|monotonic|perf_counter|time_ns|localtime|gmtime)|random\.(random|randint|choice|seed|shuffle)|datetime\.(datetime|date)(\.(now|today|utcnow))?|crypto\.random\w+|timers\.\w+)$`)
	replaces    = pattern.MustCompile(`^(console\.\w+|process\.(stdout|stderr)\.write|process\.std(out|err)|sys\.(stdout|stderr|stdin|modules)|fetch|globalThis\.\w+|XMLHttpRequest|http\.(request|get))$`)
)

// patches finds what replaces the parts that proof is made of.
func (a *auditor) patches(c *change, s *source, r ref) {
	name := r.name
	if r.call && (name == "expect.extend" || name == "expect.addEqualityTesters" || name == "chai.use" || name == "expect.addSnapshotSerializer") {
		body := s.text(r.args[0], r.args[1])
		if name == "expect.extend" && builtinMatcher.MatchString(body) || name == "expect.addEqualityTesters" && saysTrue.MatchString(body) {
			a.find("patched-assert", Invalid, c, r.line, "This replaces what assertions mean.")
		}
		return
	}
	if s.lang == golang && (r.name == "syscall.Mprotect" || r.name == "unix.Mprotect") {
		a.find("patched-runtime", Failed, c, r.line, "This changes code while it runs, the tests' included. Leave it out.")
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
