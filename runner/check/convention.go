package check

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

var owned = []string{".autonomous-loop", ".github/workflows", ".github/actions", ".github/autonomous-loop.yml", ".github/autonomous-loop.yaml"}

// isOwned says whether p belongs to the harness or decides what the repository's
// automation may do, so that no agent may write it. Case is folded because file
// systems may.
func isOwned(p string) bool {
	p = strings.ToLower(path.Clean(p))
	return strings.Contains("/"+p+"/", "/.git/") || slices.ContainsFunc(owned, func(o string) bool {
		return p == o || strings.HasPrefix(p, o+"/")
	})
}

// MayWrite says whether the agent may write the file at p, slash-separated and
// relative to the project, in a phase. The error tells it what to do instead.
//
// The tests phase may also write manifests: without a go.mod or a package.json
// the first test of a new project cannot even fail.
func MayWrite(phase runner.Phase, p string) error {
	p = path.Clean(p)
	switch {
	case p == ".." || strings.HasPrefix(p, "../") || path.IsAbs(p):
		return fmt.Errorf("%s is outside the project: write inside it, with a relative path", p)
	case isOwned(p):
		return fmt.Errorf("%s belongs to the repository's automation and cannot be changed here: leave it, and build the feature without it; "+
			"if that is impossible, use cannot_complete with kind blocked and say what a person should change", p)
	case phase == runner.Tests && !suite.IsTest(p) && !suite.IsManifest(p):
		return fmt.Errorf("%s is not a test file: in this phase write only the feature's tests (for example test/name.test.js or name_test.go), "+
			"see them fail, then ask for verification; the implementation comes in the next phase", p)
	}
	return nil
}
