package audit

import (
	"path"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

var (
	argList   = pattern.MustCompile(`^(process\.(argv|execArgv|argv0|title|mainModule)(\..*)?|sys\.(argv|orig_argv)(\..*)?|os\.(Args|Executable)|require\.main(\..*)?|__main__\.__file__|process\.env\.(_|npm_lifecycle_script))$`)
	firstArgs = pattern.MustCompile(`argv \[ [01] \]|Args \[ 0 \]|argv0|process \. title|execArgv|mainModule|main \. filename|Executable \(|__main__|orig_argv|env \. _ |npm_lifecycle_script|\[ , \w+ \] = process \. argv|argv \. at \( [01] \)|argv \. slice \( [01]? ?(, 2)? ?\)`)
	partly    = pattern.MustCompile(`\. (includes|endsWith|startsWith|indexOf|match|test|search|exec|endswith|startswith|find|HasSuffix|HasPrefix|Contains|MatchString) \(|[!=]==? | in (sys|os) `)
	wholly    = pattern.MustCompile(`argv \. (some|join|find|filter|every|toString|findIndex|at) \(|\bany \(|" \. join \( sys|strings \. Join \( os|\bof process \. argv|\bin sys \. argv :|range os \. Args|String \( process`)
	given     = pattern.MustCompile(`slice \( 2|^[^\[]*\[ ([2-9]|1 :)`)
	argvIs    = pattern.MustCompile(`(\w+) = (process \. argv|sys \. argv)( ;|$)`)
)

// started finds code that tells by the command line that started it whether it is
// tested: by signs of runners, or by the name of a test file of the change. Its
// own file's name, and what people give as arguments, are another thing.
func (a *auditor) started(c *change, s *source, r ref) {
	const undo = " The program must do the same for its users as for its tests. Take it out."
	text := s.followed(r)
	if m := argSign.FindString(strings.ReplaceAll(text, `\.`, ".")); m != "" {
		a.find("environment", Invalid, c, r.line, "The implementation asks by its arguments (argv) whether it is being tested (`%s`).%s", m, undo)
		return
	}
	if strings.Contains(s.text(r.tok, r.tok+8), "[ 1 ]") && r.name == "process.argv" && reading.MatchString(s.onLine(r.tok)) {
		a.find("environment", Invalid, c, r.line, "The implementation reads the file that was started, which is the test. Let it work by itself.")
		return
	}
	if given.MatchString(s.text(r.tok, r.end+4)) {
		return // what people gave it
	}
	if m := argvIs.FindStringSubmatch(text); m != nil {
		text = strings.ReplaceAll(text, m[1]+" .", "argv .")
	}
	first := firstArgs.MatchString(text)
	if !partly.MatchString(text) || !first && (!wholly.MatchString(text) || strings.Contains(text, "slice ( 2 )") || strings.Contains(text, "[ 1 : ]")) {
		return
	}
	for _, m := range inQuotes.FindAllStringSubmatch(text, 50) {
		w := strings.Trim(strings.ReplaceAll(m[1]+m[2], `\`, ""), "^$/")
		if len(w) < 2 || strings.HasPrefix(w, "--") || strings.Contains(w, " ") {
			continue
		}
		named := func(k Kind) bool {
			return slices.ContainsFunc(a.changes, func(o *change) bool { return o.kind == k && strings.Contains(o.Path, w) })
		}
		if named(Test) && !strings.Contains(path.Base(c.Path), w) && !named(Implementation) {
			a.find("environment", Invalid, c, r.line, "The implementation asks by its arguments (argv) whether a test was started (`%s`).%s", w, undo)
			return
		}
	}
}

var (
	testPlace = pattern.MustCompile(`(^|/)(tests?|__tests__|spec|specs)(/|$)|\.(test|spec)\.[cm]?[jt]sx?$|_test\.(go|py)$|(^|/)test_\w+\.py$|_spec\.rb$`)
	suffix    = pattern.MustCompile(`^[._](test|spec)\.\w+$`)
	testFile  = pattern.MustCompile(`\.(test|spec)\.[cm]?[jt]sx?$|_test\.(go|py)$|(^|/)test_\w+(\.py)?$|_spec\.rb$`)
	sources   = pattern.MustCompile(`(?i)readFile|ReadFile|\bopen \(|read_text|getsource|linecache|readdir|ReadDir|read_bytes|createReadStream|os \. Open|\bglob|Bun \. file|iterdir|listdir|import \(|require \(|import_module|runpy`)
)

// readsTests finds an implementation that takes its answers from the tests: it
// names a test's file, or a directory of tests, and reads what is there.
func (a *auditor) readsTests(c *change, s *source, i int32) {
	t := s.at(i)
	if c.kind != Implementation || len(t.text) > 200 || !testPlace.MatchString(t.text) || strings.ContainsAny(t.text, "*@ {}<>") || suffix.MatchString(t.text) {
		return
	}
	said := func(sev Severity) {
		if c.script() {
			sev = Note
		}
		a.find("environment", sev, c, int(t.line), "The implementation reads the tests (test file `%s`), where the answers stand. Let it work by itself.", shorten(t.text))
	}
	file := testFile.MatchString(t.text)
	if s.is(i-1, "from") && s.lang == js || s.is(i-1, "import") || s.is(i-1, "(") && s.is(i-2, "require", "import", "import_module") {
		if p := path.Join(path.Dir(c.Path), t.text); file || strings.HasPrefix(t.text, ".") && a.in.Kind(p) == Test {
			said(Failed)
		}
		return
	}
	if s.is(i-1, "==", "===", "!=", "!==", "case") || s.is(i+1, "==", "===", "!=", "!==", ":") && s.lang != python {
		return
	}
	text := s.followed(ref{tok: i, end: i + 1})
	if !sources.MatchString(text) {
		return
	}
	// A word alone may mean anything; it takes more of the path, or the start of
	// it, to mean the project's tests.
	if file || strings.Contains(t.text, "/") && !strings.HasPrefix(t.text, "/") || strings.Contains(text, `".."`) || strings.Contains(text, "cwd") || strings.Contains(text, "dirname") || strings.Contains(text, "__file__") || strings.Contains(text, ".test.") || s.is(i-1, "(") {
		said(Invalid)
	}
}

// importsTests finds a module of Python that imports the tests.
func (a *auditor) importsTests(c *change, s *source, i int32) {
	if c.kind != Implementation || s.lang != python || !s.is(i, "from", "import") || !s.at(i).nl || c.script() {
		return
	}
	mod, _ := s.dottedPlain(i + 1)
	parts := strings.Split(strings.TrimLeft(mod, "."), ".")
	last := parts[len(parts)-1]
	for _, o := range a.changes {
		if o.kind == Test && leadsTo(python, c.Path, mod, o.Path) && testFile.MatchString(o.Path) {
			last = "test_"
		}
	}
	if strings.HasPrefix(last, "test_") || parts[0] == "tests" {
		a.find("environment", Failed, c, int(s.at(i).line), "The implementation reads the tests (test file `%s`), where the answers stand. Let it work by itself.", mod)
	}
}
