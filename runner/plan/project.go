package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// A Project is what a repository holds already, as a plan wants to know it.
type Project struct {
	Stack []string // languages and frameworks, with the file that says so
	Tests []string // how its tests run
	Start []string // how the application starts
	Map   []string // its directories and files, not all of them
}

// Empty says that there is nothing to build on yet.
func (p Project) Empty() bool { return len(p.Stack) == 0 }

// String is the project for a prompt, "" where there is none.
func (p Project) String() string {
	if p.Empty() {
		return ""
	}
	var b strings.Builder
	for _, part := range []struct {
		what string
		says []string
	}{{"stack", p.Stack}, {"tests", p.Tests}, {"starts", p.Start}} {
		if len(part.says) > 0 {
			fmt.Fprintf(&b, "%s: %s\n", part.what, strings.Join(part.says, "; "))
		}
	}
	b.WriteString("files:\n")
	for _, line := range p.Map {
		b.WriteString("  " + line + "\n")
	}
	return b.String()
}

// manifests are files that say in what a project is built.
var manifests = map[string]string{
	"package.json": "Node.js", "deno.json": "Deno", "go.mod": "Go", "pyproject.toml": "Python", "requirements.txt": "Python", "setup.py": "Python",
	"manage.py": "Django", "Gemfile": "Ruby", "Cargo.toml": "Rust", "pom.xml": "Java with Maven", "build.gradle": "Java with Gradle",
	"build.gradle.kts": "Kotlin with Gradle", "composer.json": "PHP", "mix.exs": "Elixir", "tsconfig.json": "TypeScript",
}

// frameworks are packages of Node.js that say how a project is built or tested.
var (
	frameworks = []string{"next", "react", "vue", "svelte", "@angular/core", "astro", "express", "fastify", "koa", "hono", "vite", "typescript"}
	testers    = []string{"vitest", "jest", "mocha", "ava", "tap", "@playwright/test", "cypress"}
)

// skipped are directories that say nothing of a project.
var skipped = []string{"node_modules", "vendor", "dist", "build", "target", "coverage", "__pycache__", "venv"}

const (
	mostSeen    = 5000 // files that are looked at
	mostMapped  = 60   // lines of the map
	mostInside  = 8    // files of a directory that are named
	mostRead    = 64 << 10
	mostCommand = 200
)

// Look says what a repository holds. It reads names, and of the manifests at its
// root what they say about tests and start.
func Look(files fs.FS) (Project, error) {
	var p Project
	dirs := map[string][]string{}
	seen := 0
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && (strings.HasPrefix(d.Name(), ".") || d.IsDir() && slices.Contains(skipped, d.Name())):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		}
		if seen++; seen > mostSeen {
			return fs.SkipAll
		}
		dirs[path.Dir(name)] = append(dirs[path.Dir(name)], d.Name())
		return nil
	})
	if err != nil {
		return p, fmt.Errorf("look at what the repository holds: %w", err)
	}
	p.manifests(files, dirs)
	p.draw(dirs)
	return p, nil
}

func (p *Project) manifests(files fs.FS, dirs map[string][]string) {
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		if strings.Count(dir, "/") > 1 {
			continue
		}
		for _, name := range slices.Sorted(slices.Values(dirs[dir])) {
			if what := manifests[name]; what != "" {
				p.Stack = append(p.Stack, fmt.Sprintf("%s (%s)", what, path.Join(dir, name)))
			}
		}
	}
	if slices.Contains(dirs["."], "package.json") {
		p.node(files)
	}
	if slices.Contains(dirs["."], "go.mod") {
		p.golang(files, dirs)
	}
	if slices.Contains(dirs["."], "Makefile") {
		for _, target := range []string{"test", "run", "start"} {
			if data := glance(files, "Makefile"); regexp.MustCompile(`(?m)^` + target + `:`).MatchString(data) {
				at := &p.Start
				if target == "test" {
					at = &p.Tests
				}
				*at = append(*at, "make "+target)
			}
		}
	}
	for dir, names := range dirs {
		if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "test_") && strings.HasSuffix(n, ".py") }) {
			p.Tests = append(p.Tests, "Python tests in "+dir)
		}
	}
	slices.Sort(p.Tests)
}

// node reads package.json.
func (p *Project) node(files fs.FS) {
	var m struct {
		Type            string            `json:"type"`
		Scripts         map[string]string `json:"scripts"`
		Dependencies    map[string]string `json:"dependencies"`
		DevDependencies map[string]string `json:"devDependencies"`
	}
	if json.Unmarshal([]byte(glance(files, "package.json")), &m) != nil {
		return
	}
	has := func(name string) bool { return m.Dependencies[name] != "" || m.DevDependencies[name] != "" }
	for _, f := range frameworks {
		if has(f) {
			p.Stack = append(p.Stack, f)
		}
	}
	for _, f := range testers {
		if has(f) {
			p.Tests = append(p.Tests, f)
		}
	}
	if m.Type == "module" {
		p.Stack = append(p.Stack, "ES modules")
	}
	for _, s := range []struct {
		name string
		at   *[]string
	}{{"test", &p.Tests}, {"start", &p.Start}, {"dev", &p.Start}} {
		if c := m.Scripts[s.name]; c != "" {
			*s.at = append(*s.at, fmt.Sprintf("npm run %s (%s)", s.name, oneLine(c, mostCommand)))
		}
	}
}

var goModule = pattern.MustCompile(`(?m)^module\s+(\S+)`)

// golang reads go.mod, and looks for what can be started and tested.
func (p *Project) golang(files fs.FS, dirs map[string][]string) {
	if m := goModule.FindStringSubmatch(glance(files, "go.mod")); m != nil {
		p.Stack = append(p.Stack, "module "+oneLine(m[1], mostCommand))
	}
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		names := dirs[dir]
		if slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, "_test.go") }) && !slices.Contains(p.Tests, "go test ./...") {
			p.Tests = append(p.Tests, "go test ./...")
		}
		if slices.Contains(names, "main.go") {
			p.Start = append(p.Start, "go run ./"+strings.TrimPrefix(dir, "."))
		}
	}
}

// draw makes the map: the directories from the root down, each with some of its
// files.
func (p *Project) draw(dirs map[string][]string) {
	names := slices.SortedFunc(maps.Keys(dirs), func(a, b string) int {
		return cmp.Or(cmp.Compare(depth(a), depth(b)), cmp.Compare(a, b))
	})
	for i, dir := range names {
		if i == mostMapped {
			p.Map = append(p.Map, fmt.Sprintf("and %d more directories", len(names)-i))
			return
		}
		inside := dirs[dir]
		slices.Sort(inside)
		line := oneLine(strings.Join(inside[:min(len(inside), mostInside)], " "), 400)
		if n := len(inside) - mostInside; n > 0 {
			line += fmt.Sprintf(" and %d more", n)
		}
		if dir == "." {
			p.Map = append(p.Map, line)
			continue
		}
		p.Map = append(p.Map, oneLine(dir, mostCommand)+"/  "+line)
	}
}

func depth(dir string) int {
	if dir == "." {
		return 0
	}
	return 1 + strings.Count(dir, "/")
}

// glance is the beginning of a file, "" if it cannot be read.
func glance(files fs.FS, name string) string {
	data, err := fs.ReadFile(files, name)
	if err != nil {
		return ""
	}
	return string(data[:min(len(data), mostRead)])
}

// oneLine is text that cannot end the line that it stands in.
func oneLine(text string, most int) string {
	text = clean(text)
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
