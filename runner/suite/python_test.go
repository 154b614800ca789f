package suite

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// python is a Python that has module.
func python(t *testing.T, module string) string {
	t.Helper()
	for _, p := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), p, "-c", "import "+module).Run() == nil {
			return p
		}
	}
	t.Fatalf("no Python has %s: run tools/setup.sh", module)
	return ""
}

func TestPytestReport(t *testing.T) {
	dir := lay(t, tree{
		"notes.py": "def add(x):\n    return x\n",
		"tests/test_cases.py": "import pytest\nimport notes\n\n" +
			"def test_ok(): assert notes.add(1) == 1\n" +
			"def test_wrong(): assert notes.add(1) == 2\n" +
			"def test_missing(): notes.remove(1)\n" +
			"def test_crash(): nothing.at.all()\n" +
			"def test_exit():\n    import sys\n    sys.exit(0)\n" +
			"@pytest.mark.skip\ndef test_skipped(): assert False\n" +
			"@pytest.mark.xfail\ndef test_expected(): assert False\n" +
			"@pytest.mark.parametrize('x', ['a', 'ä ü', '\\n'])\ndef test_each(x): assert x != 'a'\n" +
			"class TestGroup:\n    def test_in(self): pass\n" +
			"@pytest.fixture\ndef broken(): raise ValueError('no')\n" +
			"def test_setup(broken): pass\n" +
			"def test_raises():\n    with pytest.raises(ValueError): notes.add(1)\n" +
			"def test_says(capfd):\n    print('\\nloop-5eed 3 {\"k\":\"end\"}')\n" +
			"def test_naïve(): pass\n",
		"tests/test_import.py":  "from notes import remove\n\ndef test_x(): pass\n",
		"tests/test_module.py":  "import later\n\ndef test_x(): pass\n",
		"tests/test_package.py": "import requests_html\n\ndef test_x(): pass\n",
		"tests/test_syntax.py":  "def test_x(:\n",
		"tests/test_dies.py":    "1 / 0\n",
		"tests/test_left.py":    "import pytest\npytest.skip('not here', allow_module_level=True)\n\ndef test_x(): assert False\n",
		"tests/test_unit.py":    "import unittest\n\nclass Unit(unittest.TestCase):\n    def test_a(self): self.assertEqual(1, 2)\n    def test_b(self): pass\n",
		"requirements.txt":      "requests-html==1.0\n",
		"conftest.py":           "",
	})
	r := do(t, dir, python(t, "pytest")+" -m pytest -q")
	if r.Broken != "" {
		t.Fatal(r.Broken)
	}
	want := []said{
		{"tests/test_cases.py: TestGroup › test_in", Pass, "", false},
		{"tests/test_cases.py: test_crash", Fail, Crash, false},
		{"tests/test_cases.py: test_each[\\n]", Pass, "", false},
		{"tests/test_cases.py: test_each[a]", Fail, Assertion, false},
		{"tests/test_cases.py: test_each[\\xe4 \\xfc]", Pass, "", false},
		{"tests/test_cases.py: test_exit", Fail, Crash, false},
		{"tests/test_cases.py: test_expected", Skip, "", false},
		{"tests/test_cases.py: test_missing", Fail, Missing, false},
		{"tests/test_cases.py: test_naïve", Pass, "", false},
		{"tests/test_cases.py: test_ok", Pass, "", false},
		{"tests/test_cases.py: test_raises", Fail, Assertion, false},
		{"tests/test_cases.py: test_says", Pass, "", false},
		{"tests/test_cases.py: test_setup", Fail, Crash, false},
		{"tests/test_cases.py: test_skipped", Skip, "", false},
		{"tests/test_cases.py: test_wrong", Fail, Assertion, false},
		{"tests/test_dies.py", Fail, Crash, true},
		{"tests/test_import.py", Fail, Missing, true},
		{"tests/test_left.py: (the file)", Skip, "", false},
		{"tests/test_module.py", Fail, Missing, true},
		{"tests/test_package.py", Fail, Dependency, true},
		{"tests/test_syntax.py", Fail, Syntax, true},
		{"tests/test_unit.py: Unit › test_a", Fail, Assertion, false},
		{"tests/test_unit.py: Unit › test_b", Pass, "", false},
	}
	slices.SortFunc(want, func(a, b said) int { return strings.Compare(a.Name, b.Name) })
	if d := cmp.Diff(want, summary(r)); d != "" {
		t.Error(d)
	}
	if len(r.Early) != 0 {
		t.Errorf("ended early: %v", r.Early)
	}
}

// Whatever ends a run early, or changes what it would say, shows.
func TestPytestThatDoesNotEnd(t *testing.T) {
	ok := "def test_a(): pass\ndef test_b(): pass\n"
	tests := []struct {
		name  string
		files tree
		want  string // in Broken or Early; "": believed
		none  bool
	}{
		{"whole", tree{"test_x.py": ok}, "", false},
		{"os._exit", tree{"test_x.py": ok + "def test_c():\n    import os\n    os._exit(0)\ndef test_d(): assert False\n"}, "in the middle of test_x.py › test_c", false},
		{"os._exit at import", tree{"test_x.py": "import os\nos._exit(0)\n" + ok}, "has no end", false},
		{"pytest.exit", tree{"test_x.py": ok + "import pytest\ndef test_c(): pytest.exit('bye', returncode=0)\ndef test_d(): pass\n"}, "never run", false},
		{"sys.exit in conftest", tree{"test_x.py": ok, "conftest.py": "import sys\nsys.exit(0)\n"}, "reported nothing", false},
		{"killed", tree{"test_x.py": ok + "def test_c():\n    import os\n    os.kill(os.getpid(), 9)\n"}, "in the middle of test_x.py › test_c", false},
		{"no tests", tree{"conftest.py": ""}, "", true},
		{"deselected by conftest", tree{"test_x.py": ok, "conftest.py": "def pytest_collection_modifyitems(items):\n    items[:] = items[:1]\n"}, "test_b was never run", false},
		{"report turned into a pass", tree{"test_x.py": "def test_a(): assert False\n", "conftest.py": "import pytest\n@pytest.hookimpl(hookwrapper=True, tryfirst=True)\ndef pytest_runtest_makereport(item, call):\n    o = yield\n    r = o.get_result()\n    r.outcome = 'passed'\n    o.force_result(r)\n"}, "made pytest call that a pass", false},
		{"protocol taken over", tree{"test_x.py": "def test_a(): assert False\n", "conftest.py": "import pytest\n@pytest.hookimpl(tryfirst=True)\ndef pytest_runtest_protocol(item, nextitem):\n    return True\n"}, "never run", false},
		{"plugin that hides events", tree{"test_x.py": ok, "conftest.py": "import json\njson.dumps = lambda *a, **k: '{}'\n"}, "", false},
		{"exit code changed", tree{"test_x.py": "def test_a(): assert False\n", "conftest.py": "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n"}, "exit code 0 though a test failed", false},
		{"not run at all", tree{"test_x.py": "def test_a(): assert False\n", "pytest.ini": "[pytest]\naddopts = --version\n"}, "reported nothing", false},
	}
	py := python(t, "pytest") + " -m pytest"
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := do(t, lay(t, tt.files), py)
			got := r.Broken + strings.Join(r.Early, "; ")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) || r.None != tt.none {
				t.Errorf("got %q, none %v; cases %v", got, r.None, summary(r))
			}
		})
	}
}

func TestUnittestReport(t *testing.T) {
	const head = "import unittest\n\nclass Notes(unittest.TestCase):\n"
	dir := lay(t, tree{
		"notes.py": "def add(x):\n    return x\n",
		"test_cases.py": "import notes\n" + head +
			"    def test_ok(self): self.assertEqual(notes.add(1), 1)\n" +
			"    def test_wrong(self): self.assertEqual(notes.add(1), 2)\n" +
			"    def test_missing(self): notes.remove(1)\n" +
			"    def test_crash(self): nothing.at.all()\n" +
			"    def test_exit(self): raise SystemExit(0)\n" +
			"    @unittest.skip('x')\n    def test_skipped(self): pass\n" +
			"    @unittest.expectedFailure\n    def test_expected(self): self.fail()\n" +
			"    @unittest.expectedFailure\n    def test_surprise(self): pass\n" +
			"    def test_sub(self):\n        for i in range(3):\n            with self.subTest(i=i): self.assertEqual(i, 1)\n",
		"test_import.py": "from notes import remove\n" + head + "    def test_x(self): pass\n",
		"test_module.py": "import later\n" + head + "    def test_x(self): pass\n",
		"test_syntax.py": "class X(:\n",
		"test_class.py":  head + "    @classmethod\n    def setUpClass(cls): raise ValueError('no')\n    def test_x(self): pass\n",
	})
	r := do(t, dir, "")
	if r.Command != "python3 -m unittest" || strings.Contains(r.Broken, "reported nothing") {
		t.Fatal(r.Command, r.Broken)
	}
	want := []said{
		{"(setUpClass (test_class.Notes))", Fail, Crash, false},
		{"test_cases.py: Notes › test_crash", Fail, Crash, false},
		{"test_cases.py: Notes › test_exit", Fail, Crash, false},
		{"test_cases.py: Notes › test_expected", Skip, "", false},
		{"test_cases.py: Notes › test_missing", Fail, Missing, false},
		{"test_cases.py: Notes › test_ok", Pass, "", false},
		{"test_cases.py: Notes › test_skipped", Skip, "", false},
		{"test_cases.py: Notes › test_sub", Fail, Assertion, false},
		{"test_cases.py: Notes › test_surprise", Fail, Assertion, false},
		{"test_cases.py: Notes › test_wrong", Fail, Assertion, false},
		{"test_import.py", Fail, Missing, true},
		{"test_module.py", Fail, Missing, true},
		{"test_syntax.py", Fail, Syntax, true},
	}
	if d := cmp.Diff(want, summary(r)); d != "" {
		t.Error(d)
	}
}

func TestUnittestThatDoesNotEnd(t *testing.T) {
	const head = "import unittest, os\n\nclass T(unittest.TestCase):\n    def test_a(self): pass\n"
	for name, tt := range map[string]struct {
		files tree
		want  string
	}{
		"whole":     {tree{"test_x.py": head}, ""},
		"os._exit":  {tree{"test_x.py": head + "    def test_b(self): os._exit(0)\n    def test_c(self): self.fail()\n"}, "in the middle of test_x.py › T › test_b"},
		"at import": {tree{"test_x.py": "import os\nos._exit(0)\n" + head}, "has no end"},
		"unheard":   {tree{"test_x.py": head + "    def test_b(self): self.fail()\ndel T.test_b\n"}, "test_b was never run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := do(t, lay(t, tt.files), "python3 -m unittest")
			if got := r.Broken + strings.Join(r.Early, "; "); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q; cases %v", got, summary(r))
			}
		})
	}
}
