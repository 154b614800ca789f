package agent

import (
	"cmp"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// Limits of the map: about 1,200 tokens, made from so many files.
const (
	mapBytes   = 3600
	mapSources = 400
	mapFile    = 32 << 10
	mapNamed   = 40 // files whose names are told

	mapManifests = 12
)

// Map is what a repository looks like, short: its directories, its manifests
// and what its most used files export. The same files give the same bytes.
// paths are its files, sorted; read gives the content of one.
func Map(paths []string, read func(name string) ([]byte, error)) string {
	paths = slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return strings.ContainsFunc(p, func(r rune) bool { return !unicode.IsPrint(r) }) })
	var b strings.Builder
	line := func(s string) {
		if b.Len()+len(s) < mapBytes {
			b.WriteString(s + "\n")
		}
	}
	roots, dirs := outline(paths)
	line(oneLine("files at the root: "+short(roots, 40), 600))
	line(oneLine("directories, with the number of files below: "+short(dirs, 60), 1200))
	manifests := 0
	for _, p := range paths {
		if s := manifest(p, read); s != "" && manifests < mapManifests {
			line(oneLine(s, 300))
			manifests++
		}
	}
	for _, s := range exports(paths, read, mapBytes-b.Len()-1) {
		line(s)
	}
	return b.String()
}

// outline are the files at the root, and the directories to depth two.
func outline(paths []string) (roots, dirs []string) {
	count := map[string]int{}
	for _, p := range paths {
		parts := strings.Split(p, "/")
		if len(parts) == 1 {
			roots = append(roots, p)
		}
		for depth := 1; depth < len(parts) && depth <= 2; depth++ {
			count[strings.Join(parts[:depth], "/")+"/"]++
		}
	}
	for _, d := range slices.Sorted(maps.Keys(count)) {
		dirs = append(dirs, fmt.Sprintf("%s %d", d, count[d]))
	}
	return roots, dirs
}

func short(all []string, most int) string {
	if len(all) > most {
		return strings.Join(all[:most], ", ") + fmt.Sprintf(" and %d more", len(all)-most)
	}
	return strings.Join(all, ", ")
}

// manifest is a line about a file that says how the project is built and run.
func manifest(p string, read func(string) ([]byte, error)) string {
	if strings.Count(p, "/") > 1 || foreign(p) {
		return ""
	}
	switch path.Base(p) {
	case "package.json":
		var in struct {
			Type    string            `json:"type"`
			Scripts map[string]string `json:"scripts"`
		}
		if data, err := read(p); err != nil || json.Unmarshal(data, &in) != nil {
			return ""
		}
		var scripts []string
		for _, name := range slices.Sorted(maps.Keys(in.Scripts)) {
			scripts = append(scripts, fmt.Sprintf("%s: %s", name, oneLine(in.Scripts[name], 80)))
		}
		return fmt.Sprintf("%s (type %s); %s", p, cmp.Or(in.Type, "commonjs"), short(scripts, 12))
	case "go.mod":
		data, err := read(p)
		if err != nil {
			return ""
		}
		return p + ": " + oneLine(strings.SplitN(string(data), "\nrequire", 2)[0], 120)
	case "Makefile":
		data, err := read(p)
		if err != nil {
			return ""
		}
		var names []string
		for _, m := range makeTargets.FindAllStringSubmatch(clip(string(data), mapFile), -1) {
			names = append(names, m[1])
		}
		return p + " has the targets " + short(names, 15)
	case "pyproject.toml", "requirements.txt", "setup.py", "Cargo.toml", "pom.xml", "build.gradle", "Gemfile", "composer.json", "Dockerfile", "compose.yaml", "docker-compose.yml":
		return p + " is there"
	}
	return ""
}

var (
	makeTargets = pattern.MustCompile(`(?m)^([\w-]+):(?:[^=]|$)`)
	quoted      = pattern.MustCompile(`["'\x60]([\w@./-]{1,200})["'\x60]|(?m:^\s*(?:from|import)\s+([\w.]+))`)
	exportedJS  = pattern.MustCompile(`(?m)^export\s+(?:default\s+)?(?:async\s+)?(?:function\*?|class|const|let|var|interface|type|enum)\s+([\w$]+)|^(?:module\.)?exports\.([\w$]+)\s*=`)
	exportedPy  = pattern.MustCompile(`(?m)^(?:async\s+)?(?:def|class)\s+([A-Za-z]\w*)`)
)

// foreign says that a file is not the project's own, or is no code to know.
func foreign(p string) bool {
	for part := range strings.SplitSeq(path.Dir(p), "/") {
		switch part {
		case "vendor", "node_modules", "testdata", "dist", "build", "third_party", "fixtures", ".git":
			return true
		}
	}
	base := path.Base(p)
	return strings.Contains(base, "_test.") || strings.Contains(base, ".test.") || strings.Contains(base, ".spec.") || strings.Contains(base, ".min.") || strings.HasPrefix(base, "test_")
}

// exports are what the most used files offer, a line each, sorted by path, as
// many as there is room for.
func exports(paths []string, read func(string) ([]byte, error), room int) []string {
	type source struct {
		path  string
		names []string
	}
	var all []source
	used := map[string]int{} // by the last part of the name under which others ask for it
	deep := func(p string) int { return strings.Count(p, "/") }
	shallow := slices.SortedStableFunc(slices.Values(paths), func(a, b string) int { return cmp.Compare(deep(a), deep(b)) })
	for _, p := range shallow { // where not all are read, those that lie deep are not
		names := namesOf(path.Ext(p))
		if names == nil || foreign(p) || len(all) == mapSources {
			continue
		}
		data, err := read(p)
		if err != nil || len(data) > mapFile {
			continue
		}
		for _, m := range quoted.FindAllStringSubmatch(string(data), -1) {
			used[stem(cmp.Or(m[1], strings.ReplaceAll(m[2], ".", "/")))]++
		}
		if found := names(data); len(found) > 0 {
			all = append(all, source{p, found})
		}
	}
	uses := func(s source) int {
		n := used[stem(s.path)]
		if path.Ext(s.path) == ".go" { // is asked for by its package
			n = used[path.Base(path.Dir(s.path))]
		}
		return n
	}
	slices.SortStableFunc(all, func(a, b source) int { return cmp.Compare(uses(b), uses(a)) })
	var lines []string
	for _, s := range all[:min(len(all), mapNamed)] {
		line := s.path + ": " + short(s.names, 12)
		if room -= len(line) + 1; room < 0 {
			break
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

func stem(name string) string {
	base := path.Base(name)
	return strings.TrimSuffix(base, path.Ext(base))
}

// namesOf finds what a file of this kind exports; nil for other files.
func namesOf(ext string) func([]byte) []string {
	switch ext {
	case ".go":
		return goNames
	case ".js", ".mjs", ".cjs", ".ts", ".tsx", ".jsx":
		return matched(exportedJS)
	case ".py":
		return matched(exportedPy)
	}
	return nil
}

func matched(re *pattern.Regexp) func([]byte) []string {
	return func(data []byte) []string {
		var names []string
		for _, m := range re.FindAllStringSubmatch(string(data), -1) {
			if name := strings.Join(m[1:], ""); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		return names
	}
}

func goNames(data []byte) []string {
	f, err := parser.ParseFile(token.NewFileSet(), "", data, parser.SkipObjectResolution)
	if err != nil {
		return nil
	}
	var names []string
	add := func(id *ast.Ident) {
		if id.IsExported() {
			names = append(names, id.Name)
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				add(d.Name)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					add(s.Name)
				case *ast.ValueSpec:
					for _, id := range s.Names {
						add(id)
					}
				}
			}
		}
	}
	return names
}
