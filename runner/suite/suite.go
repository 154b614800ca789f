// Package suite knows the project's own tests: which command runs them, what its
// report says case by case, and which files belong to them.
//
// It runs nothing. It says what is to be run and with which files at hand, and
// reads what came of it. It promises that a report of which not everything is
// known says so, and that what a test prints is not mistaken for a result. It
// does not promise to see through tests that are made to deceive: code under test
// shares a process with its tests, so their word is guarded (a nonce, the natural
// end of each test file, the tests that the sources declare) but not beyond
// forgery.
package suite

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A Suite is one command of a project's tests.
type Suite struct {
	tool    tool
	Command string // for a shell, as the project means it
	head    string // what stands before the tool's own name: NODE_ENV=test
	args    string // and after
	local   bool   // looks for programs in node_modules/.bin, as npm does
}

type tool string

const (
	nodeTest tool = "node --test"
	goTest   tool = "go test"
	plain    tool = "exit code" // any other: only the exit code is known
)

// Find finds out how the project in root is tested: by override, else by what
// package.json, go.mod and the test files say. None means that it has no tests
// yet.
func Find(root *os.Root, override string) ([]Suite, error) {
	scripts, err := Scripts(root)
	if err != nil {
		return nil, err
	}
	if override != "" {
		return split(override, scripts, false, 0), nil
	}
	var found []Suite
	test := scripts["test"]
	switch hasTests, err := AnyFile(root, nodeTestFile.MatchString); {
	case err != nil:
		return nil, err
	case test != "" && !strings.Contains(test, "no test specified"):
		found = split("npm test", scripts, false, 0)
	case hasTests:
		found = []Suite{{tool: nodeTest, Command: "node --test", args: "--test"}}
	}
	if _, err := root.Stat("go.mod"); err == nil && !slices.ContainsFunc(found, func(s Suite) bool { return s.tool == goTest }) {
		found = append(found, Suite{tool: goTest, Command: "go test ./...", args: "./..."})
	}
	return found, nil
}

var (
	npmRun    = regexp.MustCompile(`^(?:npm|yarn|pnpm)\s+(?:run(?:-script)?\s+)?(?:(?:-s|--silent)\s+)?([\w:.-]+)$`)
	shellish  = regexp.MustCompile("[|;&<>`\n]|\\$\\(")
	nodeForm  = regexp.MustCompile(`^((?:cross-env\s+)?(?:\w+=\S*\s+)*)node\s+(.*)$`)
	goForm    = regexp.MustCompile(`^((?:\w+=\S*\s+)*)go\s+test\b\s*(.*)$`)
	testFlag  = regexp.MustCompile(`(^|\s)--test(\s|$)`)
	nodeTaken = regexp.MustCompile(`--(?:test-reporter(?:-destination)?(?:=|\s+)\S+|(?:experimental-)?test-isolation(?:=|\s+)\S+|watch\b)`)
	narrowed  = regexp.MustCompile(`(^|\s)--?(run|skip|bench|fuzz|list|exec)\b`)
	tagsFlag  = regexp.MustCompile(`(?:^|\s)--?tags(?:=|\s+)(\S+)`)
	goTaken   = regexp.MustCompile(`(?:^|\s)--?(?:json|v|count(?:=|\s+)\d+)\b`)
)

// split reads a shell command as a chain of suites. npm scripts are followed to
// what they run, with their pre and post scripts.
func split(command string, scripts map[string]string, local bool, depth int) []Suite {
	command = strings.TrimSpace(command)
	if !strings.ContainsAny(command, `'"`) && strings.Contains(command, "&&") {
		var all []Suite
		for part := range strings.SplitSeq(command, "&&") {
			all = append(all, split(part, scripts, local, depth)...)
		}
		return all
	}
	if m := npmRun.FindStringSubmatch(command); m != nil && scripts[m[1]] != "" && depth < 5 {
		var all []Suite
		for _, name := range []string{"pre" + m[1], m[1], "post" + m[1]} {
			if script := scripts[name]; script != "" {
				all = append(all, split(script, scripts, true, depth+1)...)
			}
		}
		return all
	}
	s := Suite{tool: plain, Command: command, local: local}
	if shellish.MatchString(command) {
		return []Suite{s}
	}
	if m := nodeForm.FindStringSubmatch(command); m != nil && testFlag.MatchString(m[2]) {
		s.tool, s.head, s.args = nodeTest, m[1], nodeTaken.ReplaceAllString(m[2], "")
	} else if m := goForm.FindStringSubmatch(command); m != nil {
		s.tool, s.head, s.args = goTest, m[1], strings.TrimSpace(goTaken.ReplaceAllString(m[2], " "))
	}
	return []Suite{s}
}

// Only narrows a suite to what scope names: a path of the project, or else a
// pattern for the names of tests.
func (s Suite) Only(root *os.Root, scope string) Suite {
	_, err := root.Stat(path.Clean(scope))
	isPath := err == nil
	switch {
	case s.tool == nodeTest && isPath:
		s.args = "--test " + quote(scope)
	case s.tool == nodeTest:
		s.args = "--test-name-pattern=" + quote(scope) + " " + s.args
	case s.tool == goTest && isPath:
		if strings.HasSuffix(scope, ".go") {
			scope = path.Dir(scope)
		}
		s.args = quote("./" + path.Clean(scope))
	case s.tool == goTest:
		s.args = "-run=" + quote(scope) + " " + s.args
	}
	return s
}

// whole says whether a go test command runs every test of every package.
func (s Suite) whole() bool {
	return strings.Contains(s.args, "./...") && !narrowed.MatchString(s.args)
}

// tags are those a go test command is built with.
func (s Suite) tags() []string {
	if m := tagsFlag.FindStringSubmatch(s.args); m != nil {
		return strings.Split(strings.Trim(m[1], `'"`), ",")
	}
	return nil
}

// Scripts reads the scripts of package.json; none if there is no such file
// or it cannot be understood, which npm would say better.
func Scripts(root *os.Root) (map[string]string, error) {
	data, err := ReadFile(root, "package.json", 4<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var p struct{ Scripts map[string]string }
	if json.Unmarshal(data, &p) != nil {
		return nil, nil //nolint:nilerr // see above
	}
	return p.Scripts, nil
}

var moduleLine = regexp.MustCompile(`(?m)^module\s+"?([^\s"]+)`)

// goModule is the path of the module in root, "" if there is none.
func goModule(root *os.Root) string {
	data, err := ReadFile(root, "go.mod", 1<<20)
	if err != nil {
		return ""
	}
	if m := moduleLine.FindSubmatch(data); m != nil {
		return string(m[1])
	}
	return ""
}

var nodeTestFile = regexp.MustCompile(`(^test|[._-]test|/test-[^/]*)\.[cm]?js$|(^|/)(test|__tests__)/.*\.[cm]?js$`)

// AnyFile says whether root holds a file, not of an installed package, that want
// says yes to.
func AnyFile(root *os.Root, want func(p string) bool) (bool, error) {
	found := false
	err := fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git"):
			return fs.SkipDir
		case d.Type().IsRegular() && want(p):
			found = true
			return fs.SkipAll
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("look for tests: %w", err)
	}
	return found, nil
}

// ReadFile reads a regular file of at most limit bytes. The project wrote it,
// so it may be anything: a pipe would block, a link may lead outside.
func ReadFile(root *os.Root, p string, limit int64) ([]byte, error) {
	info, err := root.Stat(p)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return nil, fmt.Errorf("read %s: not a file of at most %d bytes", p, limit)
	}
	f, err := root.Open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}
