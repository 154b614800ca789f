// Package suite knows the project's own tests: which command runs them, what its
// report says case by case, and which files belong to them.
//
// It runs nothing. It says what is to be run and with which files at hand, and
// reads what came of it. It promises that a report of which not everything is
// known says so, that a runner that ran nothing is not mistaken for one that
// passed, and that text which a test prints is not mistaken for a result. It does
// not promise to see through tests that are made to deceive: code under test
// often shares a process with its runner, so its word is guarded (a nonce, numbered
// events, the natural end, the tests that the runner planned and that the sources
// declare, the exit code) but not beyond forgery. See docs/tests.md.
package suite

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// A Suite is one command of a project's tests.
type Suite struct {
	Command string // for a shell, as the project means it
	Dir     string // where it runs, relative to the project; "" is the project

	tool    string   // the adapter's name
	head    string   // what stands before the tool's own name: NODE_ENV=test
	call    string   // how the tool is called: npx jest
	args    string   // and what stands after
	local   string   // a directory of programs that its shell looks into first, as npm does
	results []string // where it leaves its results, if it was said
}

func (s Suite) dir() string {
	if s.Dir == "" {
		return "."
	}
	return path.Clean(s.Dir)
}

// Runner is the runner of tests that s is understood to call.
func (s Suite) Runner() string { return s.tool }

// Find finds out how the project in root is tested: by override, else by what its
// manifests, configuration and test files say. A project in several languages has
// several suites; none means that it has no tests yet.
func Find(root *os.Root, override string) ([]Suite, error) {
	if override != "" {
		return split(place{root: root, dir: "."}, override)
	}
	return detect(root)
}

// Only narrows a suite to what scope names: a path of the project, or else a
// pattern for the names of tests.
func (s Suite) Only(root *os.Root, scope string) Suite {
	only := s.adapter().only
	if only == nil {
		return s
	}
	_, err := root.Stat(path.Clean(scope))
	if err == nil && s.dir() != "." {
		rel, inside := strings.CutPrefix(path.Clean(scope)+"/", s.dir()+"/")
		if !inside {
			return s
		}
		scope = path.Clean("./" + rel)
	}
	return only(s, scope, err == nil)
}

// Scripts reads the scripts of package.json; none if there is no such file
// or it cannot be understood, which npm would say better.
func Scripts(root *os.Root) (map[string]string, error) { return scripts(root, "package.json") }

func scripts(root *os.Root, manifest string) (map[string]string, error) {
	data, err := ReadFile(root, manifest, 4<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var p struct{ Scripts map[string]json.RawMessage }
	if json.Unmarshal(data, &p) != nil {
		return nil, nil //nolint:nilerr // see above
	}
	all := map[string]string{}
	for name, raw := range p.Scripts {
		var one string
		var many []string // Composer's scripts may be lists
		if json.Unmarshal(raw, &one) == nil {
			all[name] = one
		} else if json.Unmarshal(raw, &many) == nil {
			all[name] = strings.Join(many, " && ")
		}
	}
	return all, nil
}

// AnyFile says whether root holds a file, not of an installed package, that want
// says yes to.
func AnyFile(root *os.Root, want func(p string) bool) (bool, error) {
	found := false
	err := walk(root, ".", func(p string) bool {
		found = want(p)
		return !found
	})
	return found, err
}

// installed are directories of what is not the project's own.
var installed = []string{"node_modules", ".git", "vendor", "target", ".venv", "venv", ".tox", ".nox", "__pycache__", ".bundle", ".gradle", "bin/Debug", "obj"}

// walk visits the project's own files until visit says no.
func walk(root *os.Root, dir string, visit func(p string) bool) error {
	err := fs.WalkDir(root.FS(), dir, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != dir && slices.Contains(installed, d.Name()):
			return fs.SkipDir
		case d.Type().IsRegular() && !visit(p):
			return fs.SkipAll
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for tests: %w", err)
	}
	return nil
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
