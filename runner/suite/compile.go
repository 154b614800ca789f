package suite

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// A Compilation compiles what the runs of a project's tests need besides the
// project, and executes nothing of the project's.
type Compilation struct {
	Script string
	Key    string // the same: there is nothing that was not compiled before
}

// Compile says how the tests of the project in root, which are run by suites, are
// compiled beforehand; no script if nothing is to be gained. Only Go compiles
// libraries anew wherever it does not find them in its cache.
func Compile(root *os.Root, suites []Suite) (Compilation, error) {
	var scripts []string
	for _, s := range suites {
		if s.tool != goTest || !compiles.MatchString(s.head) || s.call != goTest {
			continue
		}
		args := strings.Fields(s.args)
		if slices.ContainsFunc(args, func(arg string) bool { return !harmless.MatchString(arg) }) {
			continue
		}
		scripts = append(scripts, compileGo(s.dir(), s.head, strings.Join(args, " ")))
	}
	if _, err := root.Lstat("go.mod"); err == nil && len(scripts) == 0 { // tested by make, say
		scripts = append(scripts, compileGo(".", "", "./..."))
	}
	if len(scripts) == 0 {
		return Compilation{}, nil
	}
	script := strings.Join(scripts, "\n")
	key, err := goNeeds(root)
	if err != nil {
		return Compilation{}, err
	}
	return Compilation{Script: script, Key: fmt.Sprintf("%s %q", key, script)}, nil
}

var (
	// What may stand in a project's own command without naming a program that go
	// would start.
	compiles = pattern.MustCompile(`^(?:CGO_ENABLED=[01]\s+)?$`)
	harmless = pattern.MustCompile(`^(?:--?(?:race|short|v|cover|failfast|benchmem|(?:covermode|coverpkg|tags|timeout|p|parallel|cpu|shuffle|vet)=[\w.,/:-]+)|\./[\w./-]*|\.|\.\.\.)$`)
)

// compileGo is a script that compiles the tests and executes true in their place.
// Its result is not to be kept: it is that all of them pass.
func compileGo(dir, head, args string) string {
	return "(cd " + quote(dir) + " && " + head + goTest + " -count=1 -exec=true " + args + ")"
}

// goNeeds names what a project needs besides itself: by its imports and its manifests.
func goNeeds(root *os.Root) (string, error) {
	all := map[string]bool{}
	err := walk(root, ".", func(p string) bool {
		switch base := path.Base(p); {
		case slices.Contains([]string{"go.mod", "go.sum", "go.work", "go.work.sum"}, base):
			if data, err := ReadFile(root, p, 16<<20); err == nil {
				all[fmt.Sprintf("%s %x", p, sha256.Sum256(data))] = true
			}
		case path.Ext(base) == ".go":
			data, err := ReadFile(root, p, 4<<20)
			if err != nil {
				break
			}
			f, err := parser.ParseFile(token.NewFileSet(), p, data, parser.ImportsOnly)
			if err != nil || f == nil {
				break // nor does go compile it
			}
			for _, i := range f.Imports {
				if name, err := strconv.Unquote(i.Path.Value); err == nil {
					all[name] = true
				}
			}
		}
		return true
	})
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(h, "%q\n", name)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
