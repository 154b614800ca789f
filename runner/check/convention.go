package check

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

var (
	testDirs  = []string{"test", "tests", "__tests__", "__mocks__", "__snapshots__", "__fixtures__", "spec", "e2e", "testdata", "fixtures", "androidTest"}
	testNames = regexp.MustCompile(`^(` +
		`.+\.(test|spec)\.[cm]?[jt]sx?|test\.[cm]?[jt]s|test-.+\.[cm]?[jt]s|.+[-_]test\.[cm]?[jt]s|` + // JavaScript, as node --test and others find them
		`.+_test\.go|` +
		`test_.+\.py|.+_test\.py|conftest\.py|` +
		`.+_(spec|test)\.rb|` +
		`.+(Test|Tests|Spec)\.(java|kt|cs|php|scala|swift)|` +
		`.+_test\.(dart|exs?|c|cc|cpp)|` +
		`.+\.snap)$`)
	manifests = []string{
		"package.json", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml",
		"go.mod", "go.sum", "go.work", "go.work.sum", "pyproject.toml", "requirements.txt", "requirements-dev.txt",
		"Cargo.toml", "Cargo.lock", "Gemfile", "Gemfile.lock",
	}
	owned = []string{".autonomous-loop", ".github/workflows", ".github/actions", ".github/autonomous-loop.yml", ".github/autonomous-loop.yaml"}
)

// IsTest says whether the file at p, slash-separated and relative to the
// project, belongs to its tests by the conventions of its ecosystem: a test, or
// what only tests use (fixtures, snapshots).
func IsTest(p string) bool {
	p = path.Clean(p)
	if testNames.MatchString(path.Base(p)) {
		return true
	}
	for dir := range strings.SplitSeq(path.Dir(p), "/") {
		if slices.Contains(testDirs, dir) {
			return true
		}
	}
	return false
}

// isManifest says whether p declares the project and its packages. It holds no
// behavior of the project, and tests of a new project cannot run without it.
func isManifest(p string) bool {
	return slices.Contains(manifests, path.Base(p))
}

// isOwned says whether p belongs to the harness or decides what the repository's
// automation may do, so that no agent may write it. Case is folded because file
// systems may.
func isOwned(p string) bool {
	p = strings.ToLower(path.Clean(p))
	return strings.Contains("/"+p+"/", "/.git/") || slices.ContainsFunc(owned, func(o string) bool {
		return p == o || strings.HasPrefix(p, o+"/")
	})
}

// MayWrite says whether the agent may write the file at p, slash-separated and
// relative to the project, in a phase. The error tells it what to do instead.
//
// The tests phase may also write manifests: without a go.mod or a package.json
// the first test of a new project cannot even fail.
func MayWrite(phase runner.Phase, p string) error {
	p = path.Clean(p)
	switch {
	case p == ".." || strings.HasPrefix(p, "../") || path.IsAbs(p):
		return fmt.Errorf("%s is outside the project: write inside it, with a relative path", p)
	case isOwned(p):
		return fmt.Errorf("%s belongs to the repository's automation and cannot be changed here: leave it, and build the feature without it; "+
			"if that is impossible, use cannot_complete with kind blocked and say what a person should change", p)
	case phase == runner.Tests && !IsTest(p) && !isManifest(p):
		return fmt.Errorf("%s is not a test file: in this phase write only the feature's tests (for example test/name.test.js or name_test.go), "+
			"see them fail, then ask for verification; the implementation comes in the next phase", p)
	}
	return nil
}
