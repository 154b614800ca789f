package suite

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRoles(t *testing.T) {
	for p, want := range map[string]Role{
		"test/a.js": Test, "a.test.js": Test, "src/a.spec.tsx": Test, "src/__tests__/a.js": Test, "cypress/e2e/a.cy.ts": Test,
		"a_test.go": Test, "pkg/testdata/x.json": Support, "test_a.py": Test, "a/tests/b.py": Test, "pkg/conftest.py": Support,
		"tests/a.rs": Test, "src/tests.rs": Test, "src/lib.rs": Implementation, "benches/a.rs": Implementation,
		"spec/models/a_spec.rb": Test, "spec/spec_helper.rb": Support, "test/fixtures/a.yml": Support, "lib/a.rb": Implementation, "test/test_helper.rb": Support,
		"src/test/java/A.java": Test, "src/main/java/A.java": Implementation, "src/it/java/AIT.java": Test, "src/test/resources/a.csv": Test,
		"tests/ATest.php": Test, "src/A.php": Implementation, "A.Tests/B.cs": Test, "A.UnitTests/Helper.cs": Test, "A/B.cs": Implementation, "Contests/A.cs": Implementation,
		"t/00-load.t": Test, "a.bats": Test, "__snapshots__/a.snap": Support, "a.snap": Support,
		"package.json": Manifest, "web/Cargo.toml": Manifest, "A/A.csproj": Manifest, "pom.xml": Manifest,
		"jest.config.ts": Config, "vitest.config.mts": Config, ".mocharc.yml": Config, "pytest.ini": Config, "phpunit.xml.dist": Config, ".rspec": Config,
		"Makefile": Implementation, "src/latest.js": Implementation, "src/attest/a.go": Implementation,
	} {
		if got := (Conventions{}).Role(p); got != want {
			t.Errorf("%s: got %s, want %s", p, got, want)
		}
		if got := IsTest(p); got != (want == Test || want == Support) {
			t.Errorf("IsTest(%s) = %v", p, got)
		}
	}
}

func TestConventionsAreLearnt(t *testing.T) {
	dir := lay(t, tree{
		"package.json":            `{"jest": {"testMatch": ["<rootDir>/checks/**/*.check.[jt]s?(x)", "**/*.js"], "testRegex": "\\.verify\\.js$", "setupFilesAfterEnv": ["<rootDir>/jest-setup.js"]}}`,
		"vitest.config.ts":        "export default { test: { include: ['probes/**/*.{js,ts}', 'src/**/*.{js,ts}'], setupFiles: './vitest-setup.ts' } }\n",
		".mocharc.yml":            "spec:\n  - proofs/**/*.cjs\nrequire:\n  - ./hooks/start.cjs\n  - ts-node/register\n",
		"pytest.ini":              "[pytest]\ntestpaths = app/tests\n  src\npython_files = check_*.py\n",
		"phpunit.xml":             `<phpunit><testsuites><testsuite><directory suffix="Case.php">app/TestSuite</directory></testsuite></testsuites></phpunit>`,
		"Cargo.toml":              "[[test]]\nname = \"x\"\npath = \"checks/x.rs\"\n",
		"pom.xml":                 "<project><build><testSourceDirectory>${project.basedir}/src/proof</testSourceDirectory></build></project>",
		"Notes.Proof/Test.csproj": "<Project/>", "Notes.Proof/MyTests.csproj": "<Project/>",
	})
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	c, err := Learn(root)
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]Role{
		"checks/a/b.check.tsx": Test, "checks/b.check.js": Test, "checks/b.js": Implementation, "a.verify.js": Test, "jest-setup.js": Support,
		"probes/a/b.ts": Test, "vitest-setup.ts": Support, "proofs/a.cjs": Test, "hooks/start.cjs": Support,
		"app/tests/a.py": Test, "lib/check_a.py": Test, "app/TestSuite/ACase.php": Test, "checks/x.rs": Test, "src/proof/A.java": Test, "Notes.Proof/A.cs": Test,
		// What would take everything for a test is not believed.
		"src/notes.js": Implementation, "src/notes.ts": Implementation, "src/app.py": Implementation, "notes.js": Implementation,
	} {
		if got := c.Role(p); got != want {
			t.Errorf("%s: got %s, want %s", p, got, want)
		}
	}
}

const (
	rustParent = `//! Notes. #[cfg(test)] mod no { }
pub fn add(x: i32) -> i32 { x } // } "
const S: &str = "#[cfg(test)] mod no { \" }";
const R: &str = r#"}"{"#;
const C: char = '{';
fn life<'a>(x: &'a str) -> &'a str { /* { /* nested */ } */ x }

#[cfg(test)]
#[allow(dead_code)]
mod tests {
    #[test] fn old() { assert_eq!(super::add(1), 1); let _ = '}'; }
}

pub fn last() {}
`
	rustCandidate = `pub fn add(x: i32) -> i32 { x }
pub fn remove(x: i32) -> i32 { -x }

#[cfg(test)]
use std::collections::HashMap;

#[cfg(all(test, feature = "x"))]
mod tests {
    #[test] fn new() { assert_eq!(super::remove(1), -1); }
}
`
)

func TestGraft(t *testing.T) {
	got := string(Graft("src/lib.rs", []byte(rustParent), []byte(rustCandidate)))
	before, _, _ := strings.Cut(rustParent, "#[cfg(test)]\n#[allow")
	want := before + "\n\npub fn last() {}\n" + `#[cfg(test)]
use std::collections::HashMap;
#[cfg(all(test, feature = "x"))]
mod tests {
    #[test] fn new() { assert_eq!(super::remove(1), -1); }
}
`
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for name, tt := range map[string]struct{ p, parent, candidate, want string }{
		"a test":             {"tests/a.rs", "old", "new", "new"},
		"no tests inside":    {"src/a.rs", "fn a() {}", "fn b() {}", "fn a() {}"},
		"of another kind":    {"a.js", "old", "new", "old"},
		"tests are new":      {"src/a.rs", "fn a() {}", "fn b() {}\n#[cfg(test)] mod t { }", "fn a() {}\n#[cfg(test)] mod t { }\n"},
		"tests are gone":     {"src/a.rs", "fn a() {}\n#[cfg(test)] mod t { }\n", "fn b() {}\n", "fn a() {}\n\n"},
		"a module elsewhere": {"src/a.rs", "fn a() {}\n", "fn b() {}\n#[cfg(test)]\nmod tests;\n", "fn a() {}\n#[cfg(test)]\nmod tests;\n"},
	} {
		if got := string(Graft(tt.p, []byte(tt.parent), []byte(tt.candidate))); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

func FuzzGraft(f *testing.F) {
	f.Add(rustParent, rustCandidate)
	f.Add("#[cfg(test)]", "#[cfg(test)] mod x { r##\"")
	f.Fuzz(func(t *testing.T, parent, candidate string) {
		got := Graft("src/lib.rs", []byte(parent), []byte(candidate))
		if len(got) > len(parent)+2*len(candidate)+64 {
			t.Errorf("%d bytes came of %d and %d", len(got), len(parent), len(candidate))
		}
	})
}
