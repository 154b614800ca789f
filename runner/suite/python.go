package suite

import (
	_ "embed"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

//go:embed python/pytest_plugin.py
var pytestPlugin string

//go:embed python/unittest_main.py
var unittestMain string

const (
	pytest   = "pytest"
	unittest = "unittest"
)

var (
	pytestForm   = caller(`(?:\S*/)?(?:pytest|py\.test)(?:-3)?|(?:\S*/)?python[\d.]*\s+-m\s+pytest`)
	unittestForm = caller(`(?:\S*/)?python[\d.]*\s+-m\s+unittest`)
	pyTestFile   = pattern.MustCompile(`(^|/)(test_[^/]*|[^/]*_test)\.py$`)
	pyNarrow     = pattern.MustCompile(`(^|\s)(-k|-m|--deselect|--ignore|--ignore-glob|--lf|--last-failed|--ff|--sw|-x|--maxfail|--pyargs|[^-\s]\S*)`)
	pySection    = pattern.MustCompile(`(?m)^\[(tool\.pytest|tool:pytest|pytest)`)
	pyUsesPytest = pattern.MustCompile(`(?m)^(import pytest|from pytest|(async )?def test_)`)
	pyUsesUnit   = pattern.MustCompile(`(?m)^\s*(import unittest|from unittest)`)
)

var pytestAdapter = adapter{
	name:  pytest,
	claim: claimer(pytest, pytestForm),
	detect: func(p place) []string {
		tests := slices.DeleteFunc(p.find(pyTestFile), aside.MatchString)
		configured := p.hasAny("pytest.ini", ".pytest.ini", "conftest.py", "tests/conftest.py") || pySection.MatchString(p.text("pyproject.toml")+p.text("tox.ini")+p.text("setup.cfg"))
		wanted := strings.Contains(p.text("pyproject.toml")+p.text("requirements.txt")+p.text("requirements-dev.txt")+p.text("Pipfile")+p.text("setup.py")+p.text("setup.cfg"), "pytest")
		if len(tests) == 0 && !configured {
			return nil
		}
		if !configured && !wanted && !p.anySays(tests, pyUsesPytest) {
			return nil
		}
		return []string{p.python() + " -m pytest"}
	},
	plan: func(s Suite, k Kit) Plan {
		// -p loads the plugin before any conftest.py; no cache is written, so that
		// no run knows of another; a file that does not load does not hide the rest.
		p := tell(s, "-p loop_plugin -p no:cacheprovider --color=no --continue-on-collection-errors", map[string]string{"loop_plugin.py": pytestPlugin})
		p.Script = "PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=" + quote(k.Dir) + `"${PYTHONPATH:+:$PYTHONPATH}"; export PYTHONPATH PYTHONDONTWRITEBYTECODE; ` + p.Script
		return p
	},
	read: func(s Suite, run Run) (Report, error) {
		r := parseEvents(run.Log, run, pyWhy(run, s.dir()))
		if pyNarrow.MatchString(" "+s.args) || pyTuned.MatchString(pyOptions(run, s.dir())) {
			return r, nil
		}
		return r, pyUnheard(&r, run, s.dir(), true)
	},
	only: adding(" ", " -k "),
}

var unittestAdapter = adapter{
	name:  unittest,
	claim: claimer(unittest, unittestForm),
	detect: func(p place) []string {
		tests := slices.DeleteFunc(p.find(pyTestFile), aside.MatchString)
		if !p.anySays(tests, pyUsesUnit) {
			return nil
		}
		for _, dir := range []string{"tests", "test"} {
			if p.has(dir) && !p.has(dir+"/__init__.py") && !slices.ContainsFunc(tests, func(f string) bool { return !strings.HasPrefix(f, dir+"/") }) {
				return []string{p.python() + " -m unittest discover -s " + dir}
			}
		}
		return []string{p.python() + " -m unittest"}
	},
	plan: func(s Suite, k Kit) Plan {
		call := strings.TrimSuffix(strings.TrimSpace(strings.TrimSuffix(s.call, "unittest")), "-m")
		script := "PYTHONDONTWRITEBYTECODE=1; export PYTHONDONTWRITEBYTECODE; " + s.head + call + quote(path.Join(k.Dir, "unittest_main.py")) + " " + s.args
		return Plan{Script: strings.TrimSpace(script), Files: map[string]string{"unittest_main.py": unittestMain}}
	},
	read: func(s Suite, run Run) (Report, error) {
		r := parseEvents(run.Log, run, pyWhy(run, s.dir()))
		return r, pyUnheard(&r, run, s.dir(), false)
	},
	only: replacing(" -k "),
}

// python is how Python is called in this project.
func (p place) python() string {
	switch {
	case p.has(".venv/bin/python"):
		return ".venv/bin/python"
	case p.has("venv/bin/python"):
		return "venv/bin/python"
	case p.has("uv.lock"):
		return "uv run python"
	case p.has("poetry.lock"):
		return "poetry run python"
	case p.has("Pipfile.lock"):
		return "pipenv run python"
	}
	return "python3"
}

// anySays says whether one of the first of files matches re.
func (p place) anySays(files []string, re *pattern.Regexp) bool {
	return slices.ContainsFunc(files[:min(len(files), 50)], func(f string) bool { return re.MatchString(p.text(f)) })
}

var (
	pyModule  = pattern.MustCompile(`No module named '([^']+)'`)
	pyImport  = pattern.MustCompile(`cannot import name '[^']+' from '([^']+)'`)
	pyMissing = pattern.MustCompile(`object has no attribute|^type object .* has no attribute|module '[^']*' has no attribute|partially initialized module|got an unexpected keyword argument|missing \d+ required (positional|keyword)|takes (\d+|from \d+ to \d+) positional arguments?|object is not callable`)
	pySyntax  = pattern.MustCompile(`(?m)^E?\s*(SyntaxError|IndentationError|TabError): `)
)

// pyTuned are settings by which pytest looks for tests elsewhere than by default.
var pyTuned = pattern.MustCompile(`(?m)(testpaths|python_files|python_classes|python_functions|norecursedirs|collect_ignore)|addopts.*(-k|-m|--ignore|--deselect|--pyargs|-x\b)`)

func pyOptions(run Run, dir string) string {
	p := place{root: run.Root, dir: dir}
	return p.text("pytest.ini") + p.text("pyproject.toml") + p.text("tox.ini") + p.text("setup.cfg") + p.text("conftest.py")
}

// pyUnheard adds to r the test functions that the sources declare and that nothing
// was heard of. all: in every file that looks like a test; else only in those of
// which some test was heard.
func pyUnheard(r *Report, run Run, dir string, all bool) error {
	if r.Broken != "" || run.TimedOut {
		return nil
	}
	heard := map[string]map[string]bool{}
	for _, c := range r.Cases {
		if heard[c.File] == nil {
			heard[c.File] = map[string]bool{}
		}
		if c.Load || strings.HasPrefix(c.Name, "(") {
			heard[c.File]["*"] = true
		}
		name, _, _ := strings.Cut(c.Name, "[")
		parts := strings.Split(name, " › ")
		heard[c.File][parts[len(parts)-1]] = true
	}
	return walk(run.Root, dir, func(f string) bool {
		rel := strings.TrimPrefix(f, strings.TrimPrefix(dir+"/", "./"))
		if !pyTestFile.MatchString(f) || aside.MatchString(rel) || heard[f]["*"] || !all && heard[f] == nil {
			return true
		}
		src, err := ReadFile(run.Root, f, 4<<20)
		if err != nil {
			return true
		}
		for _, fn := range pyDeclared(string(src)) {
			if !heard[f][fn] {
				r.Early = append(r.Early, f+" ("+fn+" was never run)")
				break
			}
		}
		return true
	})
}

var (
	pyFunc   = pattern.MustCompile(`^(\s*)(?:async\s+)?def\s+(test\w*)\s*\(`)
	pyClass  = pattern.MustCompile(`^class\s+(\w+)\s*(?:\(([^)]*)\))?\s*:`)
	pyString = pattern.MustCompile(`"""|\'\'\'`)
)

// pyDeclared names the test functions at the top of a module, and those in classes
// that are surely collected. It reads lines, so it is careful: what it is not sure
// of it leaves out.
func pyDeclared(src string) []string {
	if strings.Contains(src, "__test__") || strings.Contains(src, "load_tests") || strings.Contains(src, "collect_ignore") {
		return nil
	}
	var names []string
	inClass, inText := false, false
	for l := range strings.Lines(src) {
		was := inText
		if len(pyString.FindAllString(l, -1))%2 == 1 {
			inText = !inText
		}
		if was || strings.TrimSpace(l) == "" {
			continue
		}
		m := pyFunc.FindStringSubmatch(l)
		switch {
		case l[0] != ' ' && l[0] != '\t':
			if c := pyClass.FindStringSubmatch(l); c != nil {
				inClass = strings.HasSuffix(c[2], "TestCase")
			} else {
				inClass = inClass && strings.HasPrefix(l, "#")
			}
			if m != nil {
				names = append(names, m[2])
			}
		case m != nil && inClass && (m[1] == "    " || m[1] == "\t"):
			names = append(names, m[2])
		}
	}
	return names
}

// famous are packages whose absence is no feature that is missing, even where the
// project does not declare them.
var famous = []string{
	"attr", "bs4", "celery", "click", "django", "fastapi", "flask", "freezegun", "httpx", "hypothesis", "jinja2", "lxml", "matplotlib", "mock", "nose",
	"numpy", "pandas", "PIL", "playwright", "pydantic", "pytest", "pytest_asyncio", "requests", "responses", "scipy", "selenium", "six", "sklearn", "sqlalchemy", "starlette", "torch", "trio", "yaml",
}

// pyWhy is pyKind for the project of a run.
func pyWhy(run Run, dir string) func(event, string) Kind {
	p := place{root: run.Root, dir: dir}
	declared := p.text("pyproject.toml") + p.text("requirements.txt") + p.text("requirements-dev.txt") + p.text("setup.py") + p.text("setup.cfg") + p.text("Pipfile")
	own := func(module string) bool {
		top, _, _ := strings.Cut(module, ".")
		if p.hasAny(top, top+".py", "src/"+top, "src/"+top+".py") {
			return true
		}
		return !slices.Contains(famous, top) && !regexp.MustCompile(`(?mi)(^|["'\s])`+regexp.QuoteMeta(strings.ReplaceAll(top, "_", "-"))+`\b`).MatchString(declared)
	}
	return func(e event, _ string) Kind { return pyKind(e, own) }
}

// pyKind says why a case or a file failed. Of an exception, code names the classes
// that it is made of. own says whether a module is, or would be, the project's.
func pyKind(e event, own func(module string) bool) Kind {
	is := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return e.Type == n || slices.Contains(strings.Split(e.Code, ", "), n) })
	}
	text := e.Text + "\n" + e.Trace
	switch {
	case is("SyntaxError") || e.K == "load" && pySyntax.MatchString(text):
		return Syntax
	case is("AssertionError") || e.Type == "Failed" && !strings.Contains(e.Text, "Timeout"), e.Type == "UnexpectedSuccess":
		return Assertion
	case is("TimeoutError") || strings.Contains(e.Text, "Timeout >") || e.Type == "Timeout":
		return Timeout
	}
	if m := pyModule.FindStringSubmatch(text); m != nil && (is("ModuleNotFoundError", "ImportError") || e.K == "load") {
		if own(m[1]) {
			return Missing
		}
		return Dependency
	}
	if pyImport.MatchString(text) && (is("ImportError") || e.K == "load") {
		return Missing
	}
	if is("AttributeError", "TypeError") && pyMissing.MatchString(e.Text) || is("NotImplementedError") || e.K == "load" && pyMissing.MatchString(text) {
		return Missing
	}
	return Crash
}
