package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/autonomous-loop/autonomous-loop"

// arrows lists for each package what else of this module it may import: the
// table of DESIGN.md, executable. Package main ties everything together. What
// stands after "test:" is for tests only.
var arrows = map[string]string{
	"runner":                     "test: internal/choose",
	"runner/plan":                "runner",
	"runner/agent":               "runner",
	"runner/model":               "runner/agent runner",
	"runner/tool":                "runner/agent runner/sandbox test: runner",
	"runner/sandbox":             "",
	"runner/check":               "runner runner/sandbox",
	"runner/browser":             "runner/check runner/sandbox",
	"runner/repo":                "runner test: runner/check",
	"runner/forge":               "runner test: internal/fakegithub internal/fakegithub/oracle",
	"report":                     "runner",
	"internal/choose":            "",
	"internal/fakegithub":        "test: internal/fakegithub/oracle",
	"internal/fakegithub/oracle": "internal/fakegithub",
	"tools/driver":               "runner/browser",
	"tools/said":                 "",
}

// libraries lists who may import which third-party module.
var libraries = map[string]string{
	"github.com/sashabaranov/go-openai":             "runner/model",
	"github.com/go-git/go-git/v5":                   "runner/repo",
	"github.com/google/go-github/v62":               "runner/forge",
	"github.com/playwright-community/playwright-go": "runner/browser",
	"github.com/sethvargo/go-githubactions":         "",
	"github.com/landlock-lsm/go-landlock":           "runner/sandbox",
	"github.com/elastic/go-seccomp-bpf":             "runner/sandbox",
}

type pack struct {
	path    string // without the module, "" for package main
	imports []string
	tests   []string
}

func TestArrows(t *testing.T) {
	const format = `{{.ImportPath}};{{join .Imports " "}};{{join .TestImports " "}} {{join .XTestImports " "}}`
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", format, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var packs []pack
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), ";")
		packs = append(packs, pack{strings.TrimPrefix(strings.TrimPrefix(f[0], module), "/"), strings.Fields(f[1]), strings.Fields(f[2])})
	}
	if len(packs) < 14 {
		t.Errorf("only %d packages were looked at", len(packs))
	}
	for _, wrong := range misdrawn(packs) {
		t.Error(wrong)
	}
}

// misdrawn says which imports the tables do not draw.
func misdrawn(packs []pack) []string {
	var wrong []string
	for _, p := range packs {
		allowed, known := arrows[p.path]
		if !known && p.path != "" {
			wrong = append(wrong, fmt.Sprintf("%s: no arrow is drawn for this package", p.path))
			continue
		}
		code, tests, _ := strings.Cut(allowed, "test:")
		see := func(imports []string, may []string) {
			for _, imp := range imports {
				if to, ours := strings.CutPrefix(imp, module+"/"); ours && p.path != "" && to != p.path && !slices.Contains(may, to) {
					wrong = append(wrong, fmt.Sprintf("%s imports %s, which DESIGN.md does not draw", p.path, to))
				}
				for library, home := range libraries {
					if (imp == library || strings.HasPrefix(imp, library+"/")) && p.path != home {
						wrong = append(wrong, fmt.Sprintf("%s imports %s, which belongs to %q", p.path, imp, home))
					}
				}
			}
		}
		see(p.imports, strings.Fields(code))
		see(p.tests, append(strings.Fields(code), strings.Fields(tests)...))
	}
	return wrong
}

func TestArrowsAreSeen(t *testing.T) {
	for _, p := range []pack{
		{"runner", []string{module + "/runner/repo"}, nil},
		{"runner", []string{module + "/internal/choose"}, nil},
		{"runner/repo", []string{"github.com/google/go-github/v62/github"}, nil},
		{"runner/tool", nil, []string{module + "/runner/repo"}},
		{"runner/util", nil, nil},
	} {
		if len(misdrawn([]pack{p})) != 1 {
			t.Errorf("%+v was let through: %v", p, misdrawn([]pack{p}))
		}
	}
}
