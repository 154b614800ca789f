package check

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

// A suite is one command of a project's tests.
type suite struct {
	tool    tool
	command string // for a shell, as the project means it
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

// suites finds out how the project in root is tested: by override, else by what
// package.json, go.mod and the test files say. None means that it has no tests
// yet.
func suites(root *os.Root, override string) ([]suite, error) {
	scripts, err := npmScripts(root)
	if err != nil {
		return nil, err
	}
	if override != "" {
		return split(override, scripts, false, 0), nil
	}
	var found []suite
	test := scripts["test"]
	switch hasTests, err := anyFile(root, nodeTestFile.MatchString); {
	case err != nil:
		return nil, err
	case test != "" && !strings.Contains(test, "no test specified"):
		found = split("npm test", scripts, false, 0)
	case hasTests:
		found = []suite{{tool: nodeTest, command: "node --test", args: "--test"}}
	}
	if _, err := root.Stat("go.mod"); err == nil && !slices.ContainsFunc(found, func(s suite) bool { return s.tool == goTest }) {
		found = append(found, suite{tool: goTest, command: "go test ./...", args: "./..."})
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
func split(command string, scripts map[string]string, local bool, depth int) []suite {
	command = strings.TrimSpace(command)
	if !strings.ContainsAny(command, `'"`) && strings.Contains(command, "&&") {
		var all []suite
		for part := range strings.SplitSeq(command, "&&") {
			all = append(all, split(part, scripts, local, depth)...)
		}
		return all
	}
	if m := npmRun.FindStringSubmatch(command); m != nil && scripts[m[1]] != "" && depth < 5 {
		var all []suite
		for _, name := range []string{"pre" + m[1], m[1], "post" + m[1]} {
			if script := scripts[name]; script != "" {
				all = append(all, split(script, scripts, true, depth+1)...)
			}
		}
		return all
	}
	s := suite{tool: plain, command: command, local: local}
	if shellish.MatchString(command) {
		return []suite{s}
	}
	if m := nodeForm.FindStringSubmatch(command); m != nil && testFlag.MatchString(m[2]) {
		s.tool, s.head, s.args = nodeTest, m[1], nodeTaken.ReplaceAllString(m[2], "")
	} else if m := goForm.FindStringSubmatch(command); m != nil {
		s.tool, s.head, s.args = goTest, m[1], strings.TrimSpace(goTaken.ReplaceAllString(m[2], " "))
	}
	return []suite{s}
}

// only narrows a suite to what scope names: a path of the project, or else a
// pattern for the names of tests.
func (s suite) only(root *os.Root, scope string) suite {
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
func (s suite) whole() bool {
	return strings.Contains(s.args, "./...") && !narrowed.MatchString(s.args)
}

// tags are those a go test command is built with.
func (s suite) tags() []string {
	if m := tagsFlag.FindStringSubmatch(s.args); m != nil {
		return strings.Split(strings.Trim(m[1], `'"`), ",")
	}
	return nil
}

// quote makes s one word of a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// npmScripts reads the scripts of package.json; none if there is no such file
// or it cannot be understood, which npm would say better.
func npmScripts(root *os.Root) (map[string]string, error) {
	data, err := readFile(root, "package.json", 4<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var p struct{ Scripts map[string]string }
	if json.Unmarshal(data, &p) != nil {
		return nil, nil
	}
	return p.Scripts, nil
}

var moduleLine = regexp.MustCompile(`(?m)^module\s+"?([^\s"]+)`)

// goModule is the path of the module in root, "" if there is none.
func goModule(root *os.Root) string {
	data, err := readFile(root, "go.mod", 1<<20)
	if err != nil {
		return ""
	}
	if m := moduleLine.FindSubmatch(data); m != nil {
		return string(m[1])
	}
	return ""
}

var nodeTestFile = regexp.MustCompile(`(^test|[._-]test|/test-[^/]*)\.[cm]?js$|(^|/)(test|__tests__)/.*\.[cm]?js$`)

// anyFile says whether root holds a file, not of an installed package, that want
// says yes to.
func anyFile(root *os.Root, want func(p string) bool) (bool, error) {
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

// readFile reads a regular file of at most limit bytes. The project wrote it,
// so it may be anything: a pipe would block, a link may lead outside.
func readFile(root *os.Root, p string, limit int64) ([]byte, error) {
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
