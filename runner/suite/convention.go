package suite

import (
	"path"
	"regexp"
	"slices"
	"strings"
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

// IsManifest says whether p declares the project and its packages. It holds no
// behavior of the project, and tests of a new project cannot run without it.
func IsManifest(p string) bool {
	return slices.Contains(manifests, path.Base(p))
}
