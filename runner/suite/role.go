package suite

import (
	"encoding/json"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// A Role says what a file is for. What is taken out to see whether tests notice is
// the implementation; test and support stay.
type Role string

// The roles of files.
const (
	Implementation Role = "implementation"
	Test           Role = "test"
	Support        Role = "test support"       // fixtures, snapshots, helpers: only tests use it
	Config         Role = "test configuration" // of a runner: it decides what is run
	Manifest       Role = "manifest"           // declares the project and its packages
)

// IsTest says whether the file at p, slash-separated and relative to the
// project, belongs to its tests by the conventions of its ecosystem: a test, or
// what only tests use (fixtures, snapshots).
func IsTest(p string) bool {
	r := roleOf(path.Clean(p))
	return r == Test || r == Support
}

// IsManifest says whether p declares the project and its packages. It holds no
// behavior of the project, and tests of a new project cannot run without it.
func IsManifest(p string) bool { return roleOf(path.Clean(p)) == Manifest }

// Conventions are those of one project: its ecosystems', and what its runners are
// configured to take for tests.
type Conventions struct{ tests, support []*regexp.Regexp }

// Learn reads the configuration of the runners in root. A candidate could declare
// its implementation a test, so what is to be judged by is the parent's.
func Learn(root *os.Root) (Conventions, error) {
	var c Conventions
	top := place{root: root, dir: "."}
	var projects []string
	err := walk(root, ".", func(f string) bool {
		if dotnetTests.MatchString(f) {
			projects = append(projects, path.Dir(f))
		}
		return true
	})
	if err != nil {
		return Conventions{}, err
	}
	for _, dir := range projects {
		if dir != "." {
			c.tests = append(c.tests, regexp.MustCompile(`^`+regexp.QuoteMeta(dir)+`/`))
		}
	}
	c.javascript(top)
	c.python(top)
	for _, m := range phpSuites.FindAllStringSubmatch(top.text("phpunit.xml")+top.text("phpunit.xml.dist")+top.text("phpunit.dist.xml"), -1) {
		c.add(&c.tests, strings.TrimSpace(m[2]))
	}
	for _, m := range cargoTests.FindAllStringSubmatch(top.text("Cargo.toml"), -1) {
		c.add(&c.tests, m[1])
	}
	if m := mavenTests.FindStringSubmatch(top.text("pom.xml")); m != nil {
		c.add(&c.tests, strings.TrimSpace(strings.NewReplacer("${project.basedir}/", "", "${basedir}/", "").Replace(m[1])))
	}
	return c, nil
}

var (
	phpSuites  = pattern.MustCompile(`<(directory|file)(?:\s[^>]*(?:suffix|prefix|phpVersion)[^>]*)?>([^<]*[Tt]est[^<]*)</`)
	cargoTests = pattern.MustCompile(`(?s)\[\[test\]\][^\[]*?path\s*=\s*"([^"]+)"`)
	mavenTests = pattern.MustCompile(`<testSourceDirectory>([^<]+)<`)
	jsMatch    = pattern.MustCompile(`(?s)\b(testMatch|include|spec)["']?\s*[:=]\s*(\[(?:[^\]"']|"[^"]*"|'[^']*')*\]|["'][^"']*["'])`)
	jsRegex    = pattern.MustCompile(`(?s)\btestRegex["']?\s*[:=]\s*(\[(?:[^\]"']|"[^"]*"|'[^']*')*\]|["'][^"']*["'])`)
	jsSupport  = pattern.MustCompile(`(?s)\b(setupFiles|setupFilesAfterEnv|globalSetup|globalTeardown|require|file|snapshotResolver)["']?\s*[:=]\s*(\[(?:[^\]"']|"[^"]*"|'[^']*')*\]|["'][^"']*["'])`)
	quoted     = pattern.MustCompile(`["']([^"']+)["']`)
	pyPaths    = pattern.MustCompile(`(?m)^\s*testpaths\s*=\s*(\[[^\]]*\]|[^\n]*(?:\n[ \t]+[^\n]+)*)`)
	pyFiles    = pattern.MustCompile(`(?m)^\s*python_files\s*=\s*(\[[^\]]*\]|[^\n]*(?:\n[ \t]+[^\n]+)*)`)
)

func (c *Conventions) javascript(p place) {
	var configs []string
	for _, name := range slices.Concat(jestConfig, viteConfig, mochaConfig) {
		configs = append(configs, p.text(name))
	}
	var manifest struct{ Jest, Mocha json.RawMessage }
	if json.Unmarshal([]byte(p.text("package.json")), &manifest) == nil {
		configs = append(configs, string(manifest.Jest), string(manifest.Mocha))
	}
	for _, text := range configs {
		// A YAML list reads like a JavaScript one once its dashes are gone.
		text = yamlList.ReplaceAllStringFunc(text, func(s string) string {
			m := yamlList.FindStringSubmatch(s)
			return m[1] + ": [" + strings.Join(strings.Split(yamlItem.ReplaceAllString(strings.TrimSpace(m[2]), `"$1"`), "\n"), ",") + "]\n"
		})
		for _, m := range jsMatch.FindAllStringSubmatch(text, -1) {
			for _, q := range quoted.FindAllStringSubmatch(m[2], -1) {
				c.add(&c.tests, q[1])
			}
		}
		for _, m := range jsSupport.FindAllStringSubmatch(text, -1) {
			for _, q := range quoted.FindAllStringSubmatch(m[2], -1) {
				if strings.HasPrefix(q[1], ".") || strings.HasPrefix(q[1], "<rootDir>") || strings.Contains(q[1], "/") && !strings.HasPrefix(q[1], "@") {
					c.add(&c.support, q[1])
				}
			}
		}
		for _, m := range jsRegex.FindAllStringSubmatch(text, -1) {
			for _, q := range quoted.FindAllStringSubmatch(m[1], -1) {
				if re, err := regexp.Compile(strings.ReplaceAll(q[1], `\\`, `\`)); err == nil && !re.MatchString("src/notes.js") {
					c.tests = append(c.tests, re)
				}
			}
		}
	}
}

var (
	yamlList = pattern.MustCompile(`(?m)^(spec|file|require):[ \t]*\n((?:[ \t]*-[ \t]+.*(?:\n|$))+)`)
	yamlItem = pattern.MustCompile(`(?m)^[ \t]*-[ \t]+["']?(.*?)["']?[ \t]*$`)
)

func (c *Conventions) python(p place) {
	text := p.text("pytest.ini") + "\n" + p.text("tox.ini") + "\n" + p.text("setup.cfg") + "\n" + p.text("pyproject.toml")
	for _, m := range pyPaths.FindAllStringSubmatch(text, -1) {
		for _, dir := range strings.FieldsFunc(m[1], func(r rune) bool { return strings.ContainsRune(" \t\n,[]\"'", r) }) {
			if dir = path.Clean(dir); dir != "." && !strings.HasPrefix(dir, "#") {
				// A directory of tests may hold what they import; what is below src, lib or
				// beside the code is told by its name.
				if slices.Contains(testDirs, path.Base(dir)) {
					c.add(&c.tests, dir)
				}
			}
		}
	}
	for _, m := range pyFiles.FindAllStringSubmatch(text, -1) {
		for _, g := range strings.FieldsFunc(m[1], func(r rune) bool { return strings.ContainsRune(" \t\n,[]\"'", r) }) {
			c.add(&c.tests, "**/"+g)
		}
	}
}

// add takes in a glob, a file or a directory. One that would take everything for
// a test says nothing, and is left out.
func (c *Conventions) add(to *[]*regexp.Regexp, glob string) {
	glob = strings.TrimPrefix(strings.TrimPrefix(glob, "<rootDir>/"), "./")
	if strings.HasPrefix(glob, "!") || glob == "" {
		return
	}
	q := regexp.QuoteMeta(path.Clean(glob))
	q = extGlob.ReplaceAllStringFunc(q, func(s string) string {
		m := extGlob.FindStringSubmatch(s)
		mark := map[string]string{`\?`: "?", `\*`: "*", `\+`: "+", "@": ""}[m[1]]
		return "(?:" + strings.ReplaceAll(m[2], `\|`, "|") + ")" + mark
	})
	q = braces.ReplaceAllStringFunc(q, func(s string) string {
		return "(?:" + strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(s, `\{`), `\}`), ",", "|") + ")"
	})
	q = strings.NewReplacer(`\*\*/`, `(?:.*/)?`, `\*\*`, `.*`, `\*`, `[^/]*`, `\?`, `[^/]`, `\[`, `[`, `\]`, `]`, `\-`, `-`).Replace(q)
	re, err := regexp.Compile(`^` + q + `(/.*)?$`)
	if err != nil || re.MatchString("src/notes.js") || re.MatchString("lib/notes.ts") || re.MatchString("notes.py") || re.MatchString("src/notes.rs") || re.MatchString("src/Notes.php") {
		return
	}
	*to = append(*to, re)
}

var (
	extGlob = pattern.MustCompile(`(\\\?|\\\*|\\\+|@)\\\(((?:[^()\\]|\\[^()])*)\\\)`)
	braces  = pattern.MustCompile(`\\\{[^{}\\]*(?:\\[^{}][^{}\\]*)*\\\}`)
)

// Role is what the file at p, slash-separated and relative to the project, is for.
func (c Conventions) Role(p string) Role {
	p = path.Clean(p)
	r := roleOf(p)
	if r != Implementation {
		return r
	}
	match := func(all []*regexp.Regexp) bool {
		return slices.ContainsFunc(all, func(re *regexp.Regexp) bool { return re.MatchString(p) })
	}
	switch {
	case match(c.tests):
		return Test
	case match(c.support):
		return Support
	}
	return Implementation
}

// IsTest says whether the file at p is a test, or what only tests use.
func (c Conventions) IsTest(p string) bool {
	r := c.Role(p)
	return r == Test || r == Support
}

var (
	testDirs    = []string{"test", "tests", "__tests__", "spec", "specs", "e2e", "androidTest", "integrationTest", "functionalTest", "cypress"}
	supportDirs = []string{"__mocks__", "__snapshots__", "__fixtures__", "testdata", "fixtures", "test_helper", "test-utils", "testutils"}
	testProject = pattern.MustCompile(`(^|/)[^/]+\.(Unit|Integration|Functional|Acceptance)?Tests?/[^/]`) // .NET
	testNames   = pattern.MustCompile(`^(` +
		`.+\.(test|spec|cy)\.[cm]?[jt]sx?|test\.[cm]?[jt]s|test-.+\.[cm]?[jt]s|.+[-_]test\.[cm]?[jt]s|` + // JavaScript, as node --test and others find them
		`.+_test\.go|` +
		`test_.+\.py|.+_test\.py|` +
		`.+_(spec|test)\.rb|test_.+\.rb|` +
		`.+(Test|Tests|Spec|IT)\.(java|kt|groovy|cs|fs|vb|php|scala|swift)|` +
		`.+_test\.(dart|exs?|c|cc|cpp)|.+\.bats|` +
		`tests?\.rs)$`)
	supportNames = pattern.MustCompile(`^(conftest\.py|(spec|rails|test)_helper\.rb|.+\.snap)$`)
	configNames  = pattern.MustCompile(`^((jest|vitest|playwright|cypress|karma|wdio)\.(config|conf|workspace)\.(json|[cm]?[jt]s)|\.mocharc\.\w+|\.nycrc(\.\w+)?|\.c8rc(\.\w+)?|` +
		`\.?pytest\.ini|tox\.ini|\.coveragerc|\.rspec|phpunit(\.dist)?\.xml(\.dist)?|nextest\.toml|\.runsettings)$`)
	manifests = []string{
		"package.json", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml",
		"go.mod", "go.sum", "go.work", "go.work.sum", "pyproject.toml", "requirements.txt", "requirements-dev.txt",
		"setup.py", "setup.cfg", "Pipfile", "Pipfile.lock", "poetry.lock", "uv.lock",
		"Cargo.toml", "Cargo.lock", "Gemfile", "Gemfile.lock", "composer.json", "composer.lock",
		"pom.xml", "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts",
	}
)

// roleOf goes by name and place alone.
func roleOf(p string) Role {
	base, dir := path.Base(p), path.Dir(p)
	in := func(names []string) bool {
		for d := range strings.SplitSeq(dir, "/") {
			if slices.Contains(names, d) {
				return true
			}
		}
		return false
	}
	switch {
	case supportNames.MatchString(base):
		return Support
	case testNames.MatchString(base):
		return Test
	case in(supportDirs):
		return Support
	case in(testDirs) || testProject.MatchString(p) || tapFile.MatchString(p):
		return Test
	case slices.Contains(manifests, base) || strings.HasSuffix(base, ".csproj") || strings.HasSuffix(base, ".fsproj") || strings.HasSuffix(base, ".sln"):
		return Manifest
	case configNames.MatchString(base):
		return Config
	}
	return Implementation
}
