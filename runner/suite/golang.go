package suite

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

const goTest = "go test"

var (
	goForm    = pattern.MustCompile(`^((?:\w+=\S*\s+)*(?:env\s+(?:\w+=\S*\s+)*)?)(go\s+test)\b\s*(.*)$`)
	goTaken   = pattern.MustCompile(`(?:^|\s)--?(?:json|v|count(?:=|\s+)\d+)\b`)
	goNarrow  = pattern.MustCompile(`(^|\s)--?(run|skip|bench|fuzz|list|exec)\b`)
	goTags    = pattern.MustCompile(`(?:^|\s)--?tags(?:=|\s+)(\S+)`)
	goTimeout = pattern.MustCompile(`(^|\s)--?timeout\b`)
)

// The process of go test reads what each package's binary prints, and makes events
// of it.
var goAdapter = adapter{
	name: goTest,
	claim: func(command string) (Suite, bool) {
		m := goForm.FindStringSubmatch(command)
		if m == nil {
			return Suite{}, false
		}
		return Suite{tool: goTest, Command: command, head: m[1], call: m[2], args: strings.TrimSpace(goTaken.ReplaceAllString(m[3], " "))}, true
	},
	detect: func(p place) []string {
		if !p.has("go.mod") {
			return nil
		}
		return []string{"go test ./..."}
	},
	plan: func(s Suite, k Kit) Plan {
		// Without -count=1 go test answers from its cache.
		script := s.head + s.call + " -json -count=1 "
		if !goTimeout.MatchString(s.args) {
			script += "-timeout=" + (k.Timeout * 9 / 10).String() + " "
		}
		return Plan{Script: script + s.args}
	},
	read: func(s Suite, run Run) (Report, error) {
		module := goModule(run.Root, s.dir())
		r := parseGo(run.Log, run.Dir, module)
		if strings.Contains(s.args, "./...") && !goNarrow.MatchString(s.args) {
			tests, err := declared(run.Root, s.dir(), s.tags())
			if err != nil {
				return Report{}, err
			}
			r.Early = append(r.Early, unreported(r, tests)...)
		}
		for i, c := range r.Cases {
			r.Cases[i].File = path.Join(s.dir(), c.File)
			if c.Load && s.Dir != "" {
				r.Cases[i].Name = "package " + r.Cases[i].File
			}
		}
		return r, nil
	},
	only: func(s Suite, scope string, isPath bool) Suite {
		if !isPath {
			s.args = "-run=" + quote(scope) + " " + s.args
			return s
		}
		if strings.HasSuffix(scope, ".go") {
			scope = path.Dir(scope)
		}
		s.args = quote("./" + path.Clean(scope))
		return s
	},
}

// tags are those a go test command is built with.
func (s Suite) tags() []string {
	if m := goTags.FindStringSubmatch(s.args); m != nil {
		return strings.Split(strings.Trim(m[1], `'"`), ",")
	}
	return nil
}

var moduleLine = pattern.MustCompile(`(?m)^module\s+"?([^\s"]+)`)

// goModule is the path of the module in dir, "" if there is none.
func goModule(root *os.Root, dir string) string {
	data, err := ReadFile(root, path.Join(dir, "go.mod"), 1<<20)
	if err != nil {
		return ""
	}
	if m := moduleLine.FindSubmatch(data); m != nil {
		return string(m[1])
	}
	return ""
}

// A goEvent is one line of go test -json; cmd/test2json documents it.
type goEvent struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Elapsed     float64
	Output      string
	FailedBuild string
}

// parseGo reads the log of go test -json, run in dir, where module is the path
// of the main module.
func parseGo(log, dir, module string) Report {
	var r Report
	type key struct{ pkg, test string }
	at := map[key]int{}
	said := map[key]*strings.Builder{}
	say := func(k key, text string) {
		if said[k] == nil {
			said[k] = &strings.Builder{}
		}
		said[k].WriteString(text)
	}
	hear := func(k key) string {
		if said[k] == nil {
			return ""
		}
		return said[k].String()
	}
	open := map[string]bool{} // packages that were begun
	var stray strings.Builder // of older Go: what the build says is not in events
	var other strings.Builder // what is not said by a test
	run := false

	for l := range strings.Lines(log) {
		if !strings.HasPrefix(l, "{") {
			stray.WriteString(l)
			continue
		}
		var e goEvent
		if err := json.Unmarshal([]byte(l), &e); err != nil || e.Action == "" {
			stray.WriteString(l)
			continue
		}
		run = true
		k := key{e.Package, e.Test}
		switch e.Action {
		case "start":
			open[e.Package] = true
		case "build-output":
			say(key{e.ImportPath, "build"}, e.Output)
		case "output":
			say(k, e.Output)
			if e.Test == "" {
				other.WriteString(e.Output)
			}
		case "run":
			at[k] = len(r.Cases)
			r.Cases = append(r.Cases, Case{File: packageDir(e.Package, module), Name: e.Test, State: Fail, Kind: Crash, Message: "the test was begun but never ended"})
		case "pass", "fail", "skip":
			if e.Test == "" {
				delete(open, e.Package)
				if e.Action != "fail" {
					continue
				}
				build := hear(key{e.FailedBuild, "build"})
				if build == "" && strings.Contains(hear(k), "[build failed]") || strings.Contains(hear(k), "[setup failed]") && build == "" {
					build = stray.String()
				}
				d := packageDir(e.Package, module)
				switch {
				case build != "":
					r.Cases = append(r.Cases, Case{File: d, Name: "package " + d, State: Fail, Load: true, Kind: buildKind(build, module), Message: trimPaths(build, dir)})
				case !slices.ContainsFunc(r.Cases, func(c Case) bool { return c.File == d && c.State == Fail }):
					r.Cases = append(r.Cases, Case{File: d, Name: "package " + d, State: Fail, Load: true, Kind: deathKind(hear(k)), Message: trimPaths(hear(k), dir)})
				}
				continue
			}
			i, ok := at[k]
			if !ok {
				r.Broken = fmt.Sprintf("the test report is not in order: %s ends and was never begun", e.Test)
				return r
			}
			c := &r.Cases[i]
			c.Wall = millis(e.Elapsed * 1000)
			c.Message, c.Kind = "", ""
			switch e.Action {
			case "pass":
				c.State = Pass
			case "skip":
				c.State = Skip
			default:
				c.Message = trimPaths(goMessage(hear(k)), dir)
				c.Kind = failKind(hear(k))
			}
		}
	}
	// A parent fails with its subtests; if none failed, it failed by itself.
	parents, blamed := map[key]bool{}, map[key]bool{}
	for _, c := range r.Cases {
		for name := c.Name; !c.Load && strings.Contains(name, "/"); {
			name = name[:strings.LastIndexByte(name, '/')]
			parents[key{c.File, name}] = true
			if c.State == Fail {
				blamed[key{c.File, name}] = true
			}
		}
	}
	for i, c := range r.Cases {
		k := key{c.File, c.Name}
		r.Cases[i].Group = !c.Load && parents[k] && (c.State != Fail || blamed[k])
	}
	r.Cases = distinct(r.Cases)
	for p := range open {
		r.Early = append(r.Early, packageDir(p, module))
	}
	slices.Sort(r.Early)
	r.Tail = Tail(trimPaths(stray.String()+other.String(), dir), 4<<10)
	if !run && !strings.Contains(stray.String(), "matched no packages") && !strings.Contains(stray.String(), "no packages to test") {
		r.Broken = "go test reported nothing: " + head(trimPaths(stray.String(), dir), 4<<10)
	}
	return r
}

var (
	goMissing = pattern.MustCompile(`: undefined: |\(type .* has no field or method |undefined \(|unknown field |not enough arguments in call|too many arguments in call|` +
		`missing method |not enough return values|assignment mismatch|cannot use |has no field or method|not exported by package|` +
		`: no non-test Go files|build constraints exclude all Go files`)
	goPackage = pattern.MustCompile(`no required module provides package ([^\s;:]+)|package (\S+) is not in std|cannot find (?:package|module providing package) "?([^\s":]+)|` +
		`could not import (\S+)|no required module provides package|package (\S+) provided by .* but not found`)
	goSyntax = pattern.MustCompile(`syntax error|: expected |: illegal |declared and not used|imported and not used|redeclared in this block|literal not terminated|found packages `)
)

// buildKind says why a package and its tests did not build. Whatever the
// compiler says besides a missing symbol is an error of the tests themselves.
func buildKind(text, module string) Kind {
	switch m := goPackage.FindStringSubmatch(text); {
	case goSyntax.MatchString(text):
		return Syntax
	case m != nil:
		name := strings.Join(m[1:], "")
		if module != "" && (name == module || strings.HasPrefix(name, module+"/")) {
			return Missing
		}
		return Dependency
	case goMissing.MatchString(text):
		return Missing
	}
	return Syntax
}

// failKind tells a test that looked and did not find from one that died.
func failKind(text string) Kind {
	if strings.Contains(text, "panic: ") || strings.Contains(text, "fatal error: ") {
		return deathKind(text)
	}
	return Assertion
}

func deathKind(text string) Kind {
	if strings.Contains(text, "panic: test timed out after") {
		return Timeout
	}
	return Crash
}

// goMessage leaves out what test2json frames a test with.
func goMessage(text string) string {
	var b strings.Builder
	for l := range strings.Lines(text) {
		if t := strings.TrimSpace(l); strings.HasPrefix(t, "=== ") || strings.HasPrefix(t, "--- ") {
			continue
		}
		b.WriteString(l)
	}
	return b.String()
}

// packageDir is the directory of an import path, relative to the module.
func packageDir(pkg, module string) string {
	pkg, _, _ = strings.Cut(pkg, " ")
	if pkg == module {
		return "."
	}
	return strings.TrimPrefix(pkg, module+"/")
}

// declared finds the tests that the files of a module declare, by package
// directory. It reads the sources and runs nothing, so nothing that the project
// does in TestMain or init can hide one.
func declared(root *os.Root, top string, tags []string) (map[string][]string, error) {
	tests := map[string][]string{}
	err := fs.WalkDir(root.FS(), top, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p == top {
				return nil
			}
			if name == "testdata" || name == "vendor" || name == "node_modules" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
				return fs.SkipDir
			}
			if _, err := root.Stat(path.Join(p, "go.mod")); err == nil {
				return fs.SkipDir // a module of its own
			}
			return nil
		}
		if !d.Type().IsRegular() || !strings.HasSuffix(name, "_test.go") || !matches(root, tags, p) {
			return nil
		}
		src, err := ReadFile(root, p, 4<<20)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
		if err != nil {
			return nil //nolint:nilerr // a file that does not parse does not build, and go test says so
		}
		dir, err := filepath.Rel(top, path.Dir(p))
		if err != nil {
			return err // unreachable: p is below top
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && isTestFunc(fn) {
				tests[dir] = append(tests[dir], fn.Name.Name)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for tests: %w", err)
	}
	return tests, nil
}

// unreported names the packages of which a declared test was not heard of.
func unreported(r Report, tests map[string][]string) []string {
	heard := r.Index()
	var names []string
	for dir, fns := range tests {
		if slices.ContainsFunc(r.Cases, func(c Case) bool { return c.File == dir && (c.Load || c.State == Fail && c.Kind == Crash) }) {
			continue // it did not build, or died: that is a failure of its own
		}
		for _, fn := range fns {
			if _, ok := heard[Case{File: dir, Name: fn}.ID()]; !ok {
				names = append(names, fmt.Sprintf("package %s (%s was never run)", dir, fn))
				break
			}
		}
	}
	slices.Sort(names)
	return names
}

// matches applies the constraints in a file's name and text.
func matches(root *os.Root, tags []string, p string) bool {
	ctxt := build.Default
	ctxt.BuildTags = tags
	ctxt.OpenFile = func(p string) (io.ReadCloser, error) { return root.Open(p) }
	ok, err := ctxt.MatchFile(path.Split(p))
	return ok && err == nil
}

func isTestFunc(fn *ast.FuncDecl) bool {
	rest, ok := strings.CutPrefix(fn.Name.Name, "Test")
	if r, _ := utf8.DecodeRuneInString(rest); !ok || fn.Recv != nil || fn.Type.TypeParams != nil || rest != "" && unicode.IsLower(r) {
		return false
	}
	if fn.Type.Params.NumFields() != 1 {
		return false
	}
	star, ok := fn.Type.Params.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	switch t := star.X.(type) {
	case *ast.SelectorExpr:
		return t.Sel.Name == "T"
	case *ast.Ident:
		return t.Name == "T"
	}
	return false
}
