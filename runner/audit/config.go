package audit

import (
	"bytes"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

var (
	standsIn     = pattern.MustCompile(`"(assert|node:assert|node:test|jest|vitest|mocha|chai|expect)[^"]*"\s*:`)
	packKeys     = pattern.MustCompile(`"(passWithNoTests|bail|retries|testRunner|reporters|testResultsProcessor|fgrep|grep)"`)
	exitZero     = pattern.MustCompile(`exit 0`)
	goJudges     = pattern.MustCompile(`testify|go-cmp|gomega|ginkgo|go-quicktest|gotest\.tools|/is\b`)
	leavesOut    = pattern.MustCompile(`(?i)skipTests>?\s*[=:>]?\s*true|maven\.test\.skip>?\s*[=:>]?\s*true|testFailureIgnore>?\s*[=:>]?\s*true|ignoreFailures\s*=\s*true|harness\s*=\s*false|passWithNoTests|collect_ignore|__test__\s*=\s*False|enabled\s*=\s*false|IsTestProject>false|^\s*test\s*=\s*false|pytest11`)
	retrySetting = pattern.MustCompile(`(?i)\b(retries|reruns|retry|rerun)\b["']?\s*[:=]\s*["']?[1-9]`)
	optionLine   = pattern.MustCompile(`addopts|^args|^commands`)
	pluginOption = pattern.MustCompile(`-p\s+\w|--tb=no.*-q.*\|\|`)
	mapper       = pattern.MustCompile(`(?i)moduleNameMapper|alias|resolver`)
	judges       = pattern.MustCompile(`assert|node:test|chai|expect|vitest|@jest`)
	setting      = pattern.MustCompile(`[:=<]`)
	leavingOut   = pattern.MustCompile(`(?i)\b(bail|testPathIgnorePatterns|testRunner|testResultsProcessor|retries|fgrep|grep|invert)["']?\s*[:=]`)
	timeoutWord  = pattern.MustCompile(`(?i)timeout`)
	numeral      = pattern.MustCompile(`[\d_]+`)
)

var (
	noTests   = pattern.MustCompile(`^\s*(true|:|exit 0|echo\b[^&|;]*|printf\b[^&|;]*|node -e .*|sleep \d+|cat\b.*)\s*$|\|\|\s*(true|:|exit 0|echo\b)|;\s*(true|exit 0|:)\s*$|--passWithNoTests|--pass-with-no-tests|&&\s*exit 0\s*$|\bset \+e\b|--exit-zero|process\.exit\(0\)|2>&1\s*\|\s*\w+\s*$`)
	narrows   = pattern.MustCompile(`(^|\s)(-t|--testNamePattern|--testPathPattern\w*|--testPathIgnorePatterns|--test-name-pattern|--test-skip-pattern|--test-only|--grep|-g|--fgrep|--invert|-k|--deselect|--ignore\S*|-m|--lf|--last-failed|-run|-skip|--exclude|--filter|--bail|-x|--maxfail\S*|--onlyChanged|--changedSince|-short|--ci=false|--collect-only|--co|-list|--listTests|--dry-run)(\s|=|$)`)
	updates   = pattern.MustCompile(`(^|\s)(-u|--updateSnapshot|--update-snapshots?|--snapshot-update|-update|--test-update-snapshots)(\s|=|$)`)
	rerun     = pattern.MustCompile(`--retr(y|ies)\S*|--reruns\S*|--rerun-\S+|--force-flaky|\bgotestsum\b.*--rerun|--flaky\S*`)
	preloads  = pattern.MustCompile(`NODE_OPTIONS=|--require\s|\s-r\s|--import\s|--loader\s|--experimental-loader|PYTHONPATH=|PYTHONSTARTUP=|PYTEST_ADDOPTS=|GOFLAGS=|RUBYOPT=|LD_PRELOAD=|JAVA_TOOL_OPTIONS=|-toolexec|-overlay|-exec\s|-ldflags|\s-p\s|PYTHONOPTIMIZE=|python3? -O|--globals|--setupFiles|--globalSetup|--reporter|--test-reporter|--config\s|-c\s`)
	sabotages = pattern.MustCompile(`\brm\s+-|\bsed\s+-i|\bmv\s|\bcp\s|node\s+-e|python3?\s+-c|>\s*\S*(test|spec)|kill\b|git\s`)
	runners   = pattern.MustCompile(`\b(node\b.*--test|jest|vitest|mocha|ava|tap|uvu|playwright|cypress|pytest|unittest|tox|nox|go test|cargo test|rspec|rake|phpunit|dotnet test|mvn|gradle|react-scripts test|bun test|deno test|ng test|karma|wtr|npm (run|test)|pnpm|yarn|make)\b`)

	testScripts = []string{"test", "pretest", "posttest", "test:unit", "test:e2e", "test:ci", "unit", "e2e", "check", "verify"}
	liveScripts = []string{"start", "prestart", "poststart", "prepare", "preinstall", "postinstall", "install", "dev", "build", "serve"}

	configFile = pattern.MustCompile(`^(jest\.(config|setup)\.\w+|vitest\.(config|setup|workspace)\.\w+|vite\.config\.\w+|\.mocharc(\.\w+)?|\.nycrc(\.\w+)?|\.c8rc(\.\w+)?|ava\.config\.\w+|karma\.conf\.\w+|playwright\.config\.\w+|cypress\.config\.\w+|\.taprc|pytest\.ini|\.pytest\.ini|tox\.ini|setup\.cfg|noxfile\.py|conftest\.py|phpunit\.xml(\.dist)?|\.rspec|spec_helper\.rb|rails_helper\.rb|test_helper\.rb|Rakefile|babel\.config\.\w+|\.babelrc(\.\w+)?|\.swcrc|nextest\.toml|\.coveragerc|.*\.runsettings|surefire.*|\.?[Jj]ustfile|[Tt]askfile\.ya?ml)$`)
	weighty    = pattern.MustCompile(`(?i)\b(testRegex|testMatch|testPathIgnorePatterns|modulePathIgnorePatterns|testRunner|runner|reporters?|testResultsProcessor|collect_ignore(_glob)?|norecursedirs|testpaths|python_files|python_functions|python_classes|passWithNoTests|bail|forbidOnly|retries|retry|retryTimes|allowOnly|dangerouslyIgnoreUnhandledErrors|skipTests|testFailureIgnore|maven\.test\.(skip|failure\.ignore)|ignoreFailures|failOnRisky|stopOnFailure|exclude(d?Groups)?|fgrep|grep|invert|ignore)\b`)
	setups     = pattern.MustCompile(`(?i)\b(setupFiles(AfterEnv)?|globalSetup|globalTeardown|testEnvironment|transform|moduleNameMapper|resolver|require|import|alias|snapshotSerializers|snapshotResolver|plugins|loader|addopts|harness|pool|environment|file)\b`)
)

// Configures says whether the file at p says how tests are run.
func Configures(p string) bool {
	base := path.Base(p)
	return configFile.MatchString(base) && base != "conftest.py" || base == "Makefile" || base == ".npmrc" || base == "pom.xml"
}

// config looks at what says how the project is tested and started.
func (a *auditor) config(c *change) {
	base := path.Base(c.Path)
	a.standIns(c)
	switch {
	case base == "package.json":
		a.packageJSON(c)
	case base == "Makefile" || base == "makefile" || base == "GNUmakefile":
		a.makefile(c)
	case base == "go.mod" || base == "go.work":
		a.goMod(c)
	case base == "pyproject.toml":
		a.linesOf(c, func(section string) bool {
			return strings.HasPrefix(section, "[tool.pytest") || strings.HasPrefix(section, "[tool.coverage") || strings.HasPrefix(section, "[tool.tox") || strings.Contains(section, "entry-points") || strings.Contains(section, "plugins")
		})
	case base == "setup.cfg":
		a.linesOf(c, func(section string) bool {
			return strings.Contains(section, "pytest") || strings.Contains(section, "entry_points")
		})
	case base == "tox.ini":
		a.linesOf(c, func(string) bool { return true })
	case base == "Cargo.toml":
		a.linesOf(c, func(section string) bool {
			return strings.HasPrefix(section, "[[test") || strings.HasPrefix(section, "[profile.test") || section == "[lib]" || strings.HasPrefix(section, "[patch") || strings.HasPrefix(section, "[replace")
		})
	case base == "pom.xml" || strings.HasSuffix(base, ".gradle") || strings.HasSuffix(base, ".gradle.kts") || strings.HasSuffix(base, ".csproj") || base == "composer.json":
		a.linesOf(c, nil)
	case configFile.MatchString(base) && base != "conftest.py":
		a.linesOf(c, func(string) bool { return true })
	case base == "conftest.py" && c.After.Mode != Absent:
		a.linesOf(c, nil)
	}
	if c.After.Mode == Absent && c.Before.Mode != Absent && configFile.MatchString(base) {
		a.lost("runner-config", Failed, c, 0, "The test runner's configuration is gone. Put it back.")
	}
}

// packageJSON compares what npm would run, and what runners read there.
func (a *auditor) packageJSON(c *change) {
	if c.After.Mode == Absent {
		if c.Before.Mode != Absent {
			a.lost("runner-config", Failed, c, 0, "The project's package.json is gone, and with it how it is tested. Put it back.")
		}
		return
	}
	type pack struct {
		Scripts map[string]string `json:"scripts"`
	}
	var old, now pack
	var oldAll, nowAll map[string]json.RawMessage
	_ = json.Unmarshal(c.Before.Data, &old) // absent or broken is empty
	_ = json.Unmarshal(c.Before.Data, &oldAll)
	_ = json.Unmarshal(c.After.Data, &nowAll)
	if err := json.Unmarshal(c.After.Data, &now); err != nil {
		a.find("runner-config", Failed, c, 0, "This file cannot be read: %v.", err)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(now.Scripts)) {
		is, was := now.Scripts[name], old.Scripts[name]
		if is == was {
			continue
		}
		line := lineWith(c.After.Data, `"`+name+`"`)
		switch {
		case slices.Contains(testScripts, name):
			a.command(c, line, name, was, is)
		case slices.Contains(liveScripts, name) && (preloads.MatchString(is) && strings.Contains(is, "NODE_OPTIONS") || sabotages.MatchString(is) && (name == "postinstall" || name == "preinstall" || name == "prepare")):
			a.find("script", Failed, c, line, "The script `%s` does more than its name says. Let it only start or build the project.", name)
		case slices.Contains(liveScripts, name) && was != "":
			a.find("script", Note, c, line, "The script `%s` is another one than before: `%s`.", name, shorten(is))
		}
	}
	for _, name := range testScripts {
		if was, ok := old.Scripts[name]; ok && now.Scripts[name] == "" && name != "posttest" {
			a.lost("script", Failed, c, lineWith(c.Before.Data, `"`+name+`"`), "The script `%s` (`%s`) is gone. Put it back.", name, shorten(was))
		}
	}
	for _, key := range []string{"jest", "mocha", "vitest", "ava", "nyc", "c8", "tap", "babel", "imports", "exports", "overrides", "resolutions", "type", "node-options", "loader"} {
		is, was := nowAll[key], oldAll[key]
		if bytes.Equal(is, was) {
			continue
		}
		line := lineWith(c.After.Data, `"`+key+`"`)
		text := string(is)
		switch key {
		case "type", "exports", "c8", "nyc", "babel":
		case "imports", "overrides", "resolutions":
			if standsIn.MatchString(text) {
				a.find("runner-config", Invalid, c, line, "`%s` puts something else in the place of what the tests are judged by.", key)
			} else if key != "imports" {
				a.find("runner-config", Note, c, line, "`%s` decides which packages are really used.", key)
			}
		default:
			sev := Note
			if m := weighty.FindString(text); m != "" && was != nil {
				sev = Failed
			} else if packKeys.MatchString(text) && !bytes.Contains(was, []byte("passWithNoTests")) {
				sev = Failed
			}
			a.find("runner-config", sev, c, line, "`%s` decides which tests run and what counts as a pass. Leave it as it was.", key)
		}
	}
	for _, p := range flakyPackages {
		if bytes.Contains(c.After.Data, []byte(`"`+p+`"`)) && !bytes.Contains(c.Before.Data, []byte(`"`+p+`"`)) {
			a.find("retries", Failed, c, lineWith(c.After.Data, `"`+p+`"`), "`%s` runs tests until they pass, which proves nothing. Take it out.", p)
		}
	}
}

var flakyPackages = []string{"jest-retry", "mocha-retry", "cypress-plugin-retries", "jest-circus-retry", "pytest-rerunfailures", "flaky", "pytest-retry", "rspec-retry", "minitest-retry", "rspec-rerun", "pytest-ignore-flaky"}

// command judges the command that runs the tests.
func (a *auditor) command(c *change, line int, name, was, is string) {
	switch {
	case noTests.MatchString(is) && !noTests.MatchString(was) && name != "pretest" && name != "posttest":
		a.find("script", Invalid, c, line, "The script `%s` passes whatever the tests say, or runs none.", name)
	case noTests.MatchString(is) && exitZero.MatchString(is):
		a.find("script", Invalid, c, line, "The script `%s` keeps the tests from being run.", name)
	case preloads.MatchString(is) && !preloads.MatchString(was):
		a.find("script", Failed, c, line, "The script `%s` loads something before the tests, or changes what they report to. Run the tests as they are.", name)
	case rerun.MatchString(is) && !rerun.MatchString(was):
		a.find("retries", Failed, c, line, "The script `%s` runs tests until they pass, which proves nothing. Take the retries out.", name)
	case updates.MatchString(is) && !updates.MatchString(was):
		a.find("script", Failed, c, line, "The script `%s` writes what the tests expect instead of checking it. Take that out.", name)
	case narrows.MatchString(is) && !narrows.MatchString(was):
		a.find("script", Failed, c, line, "The script `%s` leaves tests out. Let it run all of them.", name)
	case sabotages.MatchString(is) && !sabotages.MatchString(was):
		a.find("script", Failed, c, line, "The script `%s` does more than run tests. Take that out.", name)
	case name == "test" && was != "" && fewerFiles(was, is):
		a.find("script", Failed, c, line, "The script `%s` names some files where it ran all tests before (`%s`). Let it run all of them.", name, shorten(was))
	case name == "test" && !runners.MatchString(is):
		a.find("script", Note, c, line, "The script `%s` runs no test runner that is known: `%s`.", name, shorten(is))
	case was == "":
		// A project that gets its tests has to say how they are run.
	default:
		a.find("script", Note, c, line, "The script `%s` is another one than before (`%s`).", name, shorten(was))
	}
}

var testFileArg = pattern.MustCompile(`\S+\.(test|spec)\.\w+|\S*_test\.\w+|\S*test_\w+\.py|\btests?/\S+\.\w+`)

func fewerFiles(was, is string) bool {
	return testFileArg.MatchString(is) && !strings.Contains(testFileArg.FindString(is), "*") && !testFileArg.MatchString(was)
}

// makefile looks at the recipes of targets that test.
func (a *auditor) makefile(c *change) {
	recipes := func(data []byte) map[string][]string {
		m := map[string][]string{}
		target := ""
		for l := range strings.Lines(string(data)) {
			l = strings.TrimRight(l, "\r\n")
			if strings.HasPrefix(l, "\t") {
				m[target] = append(m[target], strings.TrimSpace(l))
			} else if t, _, ok := strings.Cut(l, ":"); ok && !strings.HasPrefix(l, "#") && !strings.Contains(t, "=") {
				target = strings.TrimSpace(t)
			}
		}
		return m
	}
	old, now := recipes(c.Before.Data), recipes(c.After.Data)
	for _, t := range slices.Sorted(maps.Keys(now)) {
		was := strings.Join(old[t], "\n")
		if !strings.Contains(t, "test") && t != "check" && t != "verify" || strings.Join(now[t], "\n") == was {
			continue
		}
		for _, cmd := range now[t] {
			if slices.Contains(old[t], cmd) {
				continue
			}
			bare := strings.TrimLeft(cmd, "@-+")
			line := lineWith(c.After.Data, cmd)
			if strings.HasPrefix(cmd, "-") || strings.HasPrefix(cmd, "@-") {
				a.find("script", Invalid, c, line, "The target `%s` passes whatever the tests say.", t)
				continue
			}
			if !runners.MatchString(bare) && !noTests.MatchString(bare) {
				continue
			}
			if strings.HasPrefix(bare, "echo") && slices.ContainsFunc(now[t], runners.MatchString) {
				continue
			}
			a.command(c, line, "make "+t, was, bare)
		}
	}
	for _, t := range []string{"test", "check"} {
		if len(old[t]) > 0 && len(now[t]) == 0 {
			a.lost("script", Failed, c, lineWith(c.Before.Data, old[t][0]), "The target `%s` is gone. Put it back.", t)
		}
	}
}

// goMod finds what puts other code in the place of a module, or another tool in
// the place of Go.
func (a *auditor) goMod(c *change) {
	replacing := false
	n := 0
	for l := range bytes.Lines(c.After.Data) {
		n++
		text, _, _ := strings.Cut(strings.TrimSpace(string(l)), "//")
		if strings.HasPrefix(text, "replace (") {
			replacing = true
			continue
		}
		if text == ")" {
			replacing = false
		}
		if !c.fresh[n] {
			continue
		}
		switch {
		case strings.HasPrefix(text, "replace ") || replacing && strings.Contains(text, "=>"):
			sev := Note
			what := "Other code is put in the place of a module (`replace`)."
			from, to, _ := strings.Cut(strings.TrimPrefix(text, "replace "), "=>")
			switch from, _, _ := strings.Cut(strings.TrimSpace(from), " "); {
			case goJudges.MatchString(text):
				sev = Invalid
			case strings.HasPrefix(strings.TrimSpace(to), ".") && (assertPlace.MatchString(path.Base(from)) || a.judging(from)):
				sev, what = Failed, "A `replace` in go.mod leads to other code in the place of what tests assert with. Leave it as it was."
			}
			a.find("runner-config", sev, c, n, "%s", what)
		case strings.HasPrefix(text, "toolchain ") && bytes.Contains(c.Before.Data, []byte("\nmodule")) || strings.HasPrefix(text, "toolchain ") && len(c.Before.Data) > 0:
			a.find("runner-config", Note, c, n, "Another Go is asked for.")
		}
	}
}

// judging says whether tests of the change assert with the module: they hand t to
// what it gives.
func (a *auditor) judging(module string) bool {
	for _, c := range a.changes {
		if c.kind != Test || c.after == nil || c.after.lang != golang {
			continue
		}
		s := c.after
		for n := range s.toks {
			t := s.toks[n]
			if t.kind != str || t.text != module && !strings.HasPrefix(t.text, module+"/") {
				continue
			}
			pkg := path.Base(t.text)
			if slices.ContainsFunc(s.refs, func(r ref) bool {
				return r.call && (strings.HasPrefix(r.name, pkg+".") || r.name == pkg) && s.passesTee(r) && s.stands(r)
			}) {
				return true
			}
		}
	}
	return false
}

var (
	judgePackage = pattern.MustCompile(`"(assert|node:assert|node:test|jest|vitest|mocha|chai|expect|@jest/[\w-]+|@vitest/[\w-]+|ava|tap|uvu|should|sinon|@playwright/test|@testing-library/[\w-]+)(/strict|/\*)?"\s*:\s*\[?\s*"(file:|link:|portal:|npm:|\.{0,2}/|patch:|workspace:)`)
	pyJudge      = pattern.MustCompile(`^["']?(pytest|pluggy|hypothesis|assertpy|nose|unittest2)\b["']?\s*(=\s*\{.*\b(path|git|url)\b|@\s*(file:|\.|/))`)
)

// standIns finds lines that lead to other code in the place of a library by which
// tests are judged.
func (a *auditor) standIns(c *change) {
	base := path.Base(c.Path)
	list := base == "package.json" || base == "deno.json" || base == "import_map.json" || strings.HasPrefix(base, "tsconfig") || strings.HasPrefix(base, "jsconfig") || base == "deno.jsonc"
	py := base == "pyproject.toml" || strings.HasPrefix(base, "requirements")
	if !list && !py || c.After.Mode == Absent {
		return
	}
	n := 0
	for l := range bytes.Lines(c.After.Data) {
		n++
		if !c.fresh[n] {
			continue
		}
		if list && judgePackage.Match(l) || py && pyJudge.Match(bytes.TrimSpace(l)) {
			a.find("runner-config", Invalid, c, n, "This puts something else in the place of what the tests are judged by.")
		}
	}
}

// linesOf looks at the new lines of a configuration, in the sections that matter;
// with none named, at those only that can have no good reason.
func (a *auditor) linesOf(c *change, matters func(section string) bool) {
	if c.After.Mode == Absent {
		return
	}
	existed := c.Before.Mode != Absent
	section := ""
	n := 0
	changed := false
	for l := range bytes.Lines(c.After.Data) {
		n++
		text := strings.TrimSpace(string(l))
		if strings.HasPrefix(text, "[") {
			section = text
		}
		if !c.fresh[n] || strings.HasPrefix(text, "#") || strings.HasPrefix(text, "//") || strings.HasPrefix(text, "*") || strings.HasPrefix(text, ";") {
			continue
		}
		for _, p := range flakyPackages {
			if strings.Contains(text, `"`+p) || strings.HasPrefix(text, p) {
				a.find("retries", Failed, c, n, "`%s` runs tests until they pass, which proves nothing. Take it out.", p)
			}
		}
		hard := leavesOut.FindString(text)
		switch {
		case hard != "":
			sev := Failed
			if strings.Contains(hard, "ailure") {
				sev = Invalid
			}
			a.find("runner-config", sev, c, n, "With this, tests are left out, or their failures are. Take it out.")
		case matters == nil || !matters(section):
		case rerun.MatchString(text) || retrySetting.MatchString(text) && !strings.Contains(text, "CI"):
			a.find("retries", Failed, c, n, "A test that is run until it passes proves nothing. Take the retries out and mend what is flaky.")
		case optionLine.MatchString(text) && (narrows.MatchString(text) || pluginOption.MatchString(text)):
			a.find("runner-config", Failed, c, n, "With these options tests are left out, or something is loaded that decides about them. Let all of them run.")
		case mapper.MatchString(text) && judges.MatchString(text):
			a.find("runner-config", Invalid, c, n, "This puts something else in the place of what the tests are judged by.")
		case weighty.MatchString(text) && setting.MatchString(text) && existed:
			a.find("runner-config", Failed, c, n, "This decides which tests run and what counts as a pass (`%s`). Leave it as it was.", weighty.FindString(text))
		case weighty.MatchString(text) && leavingOut.MatchString(text) && !strings.Contains(text, "node_modules") && !strings.Contains(text, "false") && !strings.Contains(text, "env.CI"):
			a.find("runner-config", Failed, c, n, "This leaves tests out, or decides what counts as a pass. Take it out.")
		case setups.MatchString(text) || weighty.MatchString(text):
			a.find("runner-config", Note, c, n, "This decides how tests are run.")
		case timeoutWord.MatchString(text):
			if was, more := raised(c, text); more {
				a.find("timeout", Failed, c, n, "Tests have more time than before, where it was %s. Put the limit back and mend what got slow.", was)
			} else if m := numeral.FindString(text); m != "" {
				a.timeout(c, n, m)
			}
		default:
			changed = existed
		}
	}
	if changed && matters != nil && !slices.ContainsFunc(a.findings, func(f Finding) bool { return f.Path == c.Path }) && configFile.MatchString(path.Base(c.Path)) {
		a.find("runner-config", Note, c, 0, "The test runner's configuration is another one than before.")
	}
}

func lineWith(data []byte, what string) int {
	before, _, ok := bytes.Cut(data, []byte(what))
	if !ok {
		return 0
	}
	return bytes.Count(before, []byte("\n")) + 1
}
