package suite

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// A place is a directory of a project, with what is known of the files below it.
type place struct {
	root  *os.Root
	dir   string
	files []string            // relative to dir
	apart map[string][]string // family -> directories of which another place takes care
}

func (p place) join(name string) string { return path.Join(p.dir, name) }

// sub is the directory as a [Suite] has it.
func (p place) sub() string {
	if d := path.Clean(p.dir); d != "." {
		return d
	}
	return ""
}

func (p place) has(name string) bool {
	_, err := p.root.Stat(p.join(name))
	return err == nil
}

func (p place) hasAny(names ...string) bool { return slices.ContainsFunc(names, p.has) }

// text is what a file says; "" if it is not there or no readable file.
func (p place) text(name string) string {
	data, err := ReadFile(p.root, p.join(name), 1<<20)
	if err != nil {
		return ""
	}
	return string(data)
}

// find names the files that re matches.
func (p place) find(re *pattern.Regexp) []string {
	return slices.DeleteFunc(slices.Clone(p.files), func(f string) bool { return !re.MatchString(f) })
}

const mostFiles = 100_000 // of a project are looked at

// aside are directories whose contents are not tests of the project itself.
var aside = pattern.MustCompile(`(^|/)(testdata|fixtures?|__fixtures__|examples?|docs?|third_party|templates?|\.[^/]+)(/|$)`)

// detect finds the suites of a project that does not say how it is tested. Each
// runner is looked for at the root and, where it has nothing there, in directories
// that have a manifest of their own, two levels deep: a runner at the root is
// trusted to know its workspaces.
func detect(root *os.Root) ([]Suite, error) {
	top := place{root: root, dir: "."}
	err := walk(root, ".", func(f string) bool {
		top.files = append(top.files, f)
		return len(top.files) < mostFiles
	})
	if err != nil {
		return nil, err
	}
	dirs := manifested(top.files)
	top.apart = apart(top, dirs)
	found, err := at(top, nil)
	if err != nil {
		return nil, err
	}
	taken := kinds(found)
	for _, dir := range dirs {
		p := place{root: root, dir: dir}
		for _, f := range top.files {
			if rel, ok := strings.CutPrefix(f, dir+"/"); ok {
				p.files = append(p.files, rel)
			}
		}
		more, err := at(p, taken)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	if len(found) == 0 && top.has("Makefile") {
		for _, target := range []string{"test", "check"} {
			if regexp.MustCompile(`(?m)^` + target + `\s*:`).MatchString(top.text("Makefile")) {
				return top.chain("make "+target, "", 0), nil
			}
		}
	}
	return found, nil
}

// family is what runners of one language share: where one of them is found at the
// root, the others are not looked for further down.
func family(tool string) string {
	switch tool {
	case nodeTest, jest, vitest, mocha:
		return "node"
	case pytest, unittest:
		return "python"
	case rspec, minitest:
		return "ruby"
	case maven, gradle:
		return "java"
	}
	return tool
}

func kinds(found []Suite) []string {
	var all []string
	for _, s := range found {
		all = append(all, family(s.tool))
	}
	return all
}

// at finds the suites of one directory, but for the families that are taken.
func at(p place, taken []string) ([]Suite, error) {
	var found []Suite
	if !slices.Contains(taken, "node") {
		all, err := scripts(p.root, p.join("package.json"))
		if err != nil {
			return nil, err
		}
		if test := all["test"]; test != "" && !strings.Contains(test, "no test specified") {
			found = p.chain("npm test", "", 0)
		}
	}
	for _, a := range adapters() {
		if a.detect == nil || slices.Contains(taken, family(a.name)) || slices.Contains(kinds(found), family(a.name)) && a.name != rspec && a.name != minitest {
			continue
		}
		if family(a.name) == "node" && len(found) > 0 {
			continue // a test script says what there is
		}
		for _, command := range a.detect(p.of(family(a.name))) {
			s, ok := a.claim(command)
			if !ok {
				return nil, fmt.Errorf("suite: %s does not claim %q, which is its own", a.name, command) // unreachable unless bug in this package
			}
			s.Dir = p.sub()
			if family(a.name) == "node" && a.name != nodeTest {
				s.local = "node_modules/.bin"
			}
			found = append(found, s)
		}
	}
	return found, nil
}

// apart are the directories that have a manifest of a language of which the top has
// none: their tests are not the top's.
func apart(top place, dirs []string) map[string][]string {
	all := map[string][]string{}
	for language, names := range languages {
		if top.hasAny(names...) {
			continue
		}
		for _, d := range dirs {
			if slices.ContainsFunc(names, func(n string) bool { return top.has(d + "/" + n) }) {
				all[language] = append(all[language], d)
			}
		}
	}
	return all
}

var languages = map[string][]string{
	"node":   {"package.json"},
	"python": {"pyproject.toml", "setup.py", "setup.cfg", "pytest.ini", "requirements.txt"},
	"ruby":   {"Gemfile"},
	phpunit:  {"composer.json"},
}

// of is p with only those files that a runner of that family has to do with.
func (p place) of(family string) place {
	if dirs := p.apart[family]; len(dirs) > 0 {
		p.files = slices.DeleteFunc(slices.Clone(p.files), func(f string) bool {
			return slices.ContainsFunc(dirs, func(d string) bool { return strings.HasPrefix(f, d+"/") })
		})
	}
	return p
}

var manifest = pattern.MustCompile(`^([^/]+(?:/[^/]+)?)/(package\.json|go\.mod|pyproject\.toml|setup\.py|setup\.cfg|pytest\.ini|requirements\.txt|Gemfile|Cargo\.toml|pom\.xml|build\.gradle(\.kts)?|composer\.json|[^/]+\.(sln|csproj))$`)

// manifested are the directories, at most two levels down, that have a manifest.
func manifested(files []string) []string {
	var dirs []string
	for _, f := range files {
		if m := manifest.FindStringSubmatch(f); m != nil && !aside.MatchString(m[1]) && !slices.Contains(testDirs, path.Base(m[1])) {
			dirs = append(dirs, m[1])
		}
	}
	slices.SortFunc(dirs, func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.Count(a, "/"), strings.Count(b, "/")), strings.Compare(a, b))
	})
	dirs = slices.Compact(dirs)
	// What lies below another such directory is that one's.
	var tops []string
	for _, d := range dirs {
		if !slices.ContainsFunc(tops, func(t string) bool { return strings.HasPrefix(d, t+"/") }) {
			tops = append(tops, d)
		}
	}
	return tops
}
