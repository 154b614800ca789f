package main

import (
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/autonomous-loop/autonomous-loop"

// arrows lists for each package what else of this module it may import: the
// table of DESIGN.md, executable. What stands after "test:" is for tests only.
var arrows = map[string]string{
	"main": "report runner runner/agent runner/browser runner/check runner/doctor runner/forge runner/memory runner/model runner/pattern runner/plan runner/repo runner/sandbox runner/tool runner/verify " +
		"test: internal/fakegithub internal/fakegithub/oracle internal/faults",
	"runner":                     "test: internal/choose",
	"runner/plan":                "runner runner/pattern",
	"runner/agent":               "runner runner/pattern test: internal/faults",
	"runner/model":               "runner/agent runner runner/pattern test: internal/faults",
	"runner/tool":                "runner/agent runner/sandbox test: runner",
	"runner/sandbox":             "",
	"runner/suite":               "runner/pattern",
	"runner/audit":               "runner/pattern",
	"runner/pattern":             "test: runner/agent runner/audit runner/check runner/model runner/plan runner/suite",
	"runner/check":               "runner runner/audit runner/pattern runner/sandbox runner/suite",
	"runner/browser":             "runner/check runner/sandbox test: internal/faults",
	"runner/repo":                "runner test: runner/check internal/faults",
	"runner/forge":               "runner test: internal/fakegithub internal/fakegithub/oracle internal/faults",
	"runner/verify":              "runner",
	"runner/doctor":              "runner",
	"runner/memory":              "runner",
	"report":                     "runner",
	"internal/sim":               "test: internal/fakegithub runner runner/forge",
	"internal/choose":            "",
	"internal/crash":             "test: internal/fakegithub runner runner/model runner/repo",
	"internal/fakegithub":        "test: internal/fakegithub/oracle",
	"internal/fakegithub/oracle": "internal/fakegithub",
	"internal/faults":            "runner",
	"tools/driver":               "runner/browser",
	"tools/said":                 "",
}

// libraries lists for each library of others who may import it, in the same way.
// A library that is not listed is not used.
var libraries = map[string]string{
	"github.com/sashabaranov/go-openai":             "runner/model",
	"github.com/go-git/go-git/v5":                   "runner/repo",
	"github.com/go-git/go-billy/v5":                 "runner/repo", // go-git's files
	"github.com/google/go-github/v62":               "runner/forge",
	"github.com/playwright-community/playwright-go": "runner/browser",
	"github.com/sethvargo/go-githubactions":         "main",
	"github.com/landlock-lsm/go-landlock":           "runner/sandbox",
	"golang.org/x/net/bpf":                          "runner/sandbox test: internal/crash", // seccomp's programs
	"golang.org/x/sys":                              "runner/repo runner/sandbox test: runner/tool internal/crash",
	"golang.org/x/tools/txtar":                      "runner/model test: main runner/audit runner/check runner/suite", // scripts
	"gopkg.in/yaml.v3":                              "main internal/fakegithub",
	"github.com/getkin/kin-openapi":                 "internal/fakegithub/oracle",
	"github.com/santhosh-tekuri/jsonschema/v6":      "test: main runner/plan",
	"github.com/rogpeppe/go-internal/testscript":    "test: main",
	"github.com/tiktoken-go/tokenizer":              "test: main", // of GPT models
	"github.com/google/go-cmp/cmp":                  "test: " + strings.Join(slices.Sorted(maps.Keys(arrows)), " "),
}

// drawn splits an entry of the tables into what it says of code and of tests,
// which may do all that code may.
func drawn(entry string) (code, tests []string) {
	c, t, _ := strings.Cut(entry, "test:")
	code = strings.Fields(c)
	return code, slices.Concat(code, strings.Fields(t))
}

type pack struct {
	path    string // without the module
	imports []string
	tests   []string
}

func TestArrows(t *testing.T) {
	const format = `{{.ImportPath}};{{join .Imports " "}};{{join .TestImports " "}} {{join .XTestImports " "}}`
	out, err := exec.CommandContext(t.Context(), "go", "list", "-tags", "deep", "-f", format, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	var packs []pack
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), ";")
		p := pack{"main", strings.Fields(f[1]), strings.Fields(f[2])}
		if f[0] != module {
			p.path = strings.TrimPrefix(f[0], module+"/")
		}
		packs, seen[p.path] = append(packs, p), true
	}
	for _, wrong := range misdrawn(packs) {
		t.Error(wrong)
	}
	for path := range arrows {
		if !seen[path] {
			t.Errorf("arrows are drawn for %s, which is not there", path)
		}
	}
}

// misdrawn says which imports the tables do not draw.
func misdrawn(packs []pack) []string {
	var wrong []string
	for _, p := range packs {
		entry, known := arrows[p.path]
		if !known {
			wrong = append(wrong, fmt.Sprintf("%s: no arrow is drawn for this package", p.path))
			continue
		}
		code, tests := drawn(entry)
		for _, imp := range p.imports {
			wrong = append(wrong, astray(p.path, imp, code, false)...)
		}
		for _, imp := range p.tests {
			wrong = append(wrong, astray(p.path, imp, tests, true)...)
		}
	}
	return wrong
}

// astray says what is wrong with one import of from, if anything.
func astray(from, imp string, may []string, test bool) []string {
	if to, ours := strings.CutPrefix(imp, module+"/"); ours {
		if to == from || slices.Contains(may, to) {
			return nil
		}
		return []string{fmt.Sprintf("%s imports %s, which DESIGN.md does not draw", from, to)}
	}
	if first, _, _ := strings.Cut(imp, "/"); !strings.Contains(first, ".") {
		return nil // the standard library's
	}
	for library, entry := range libraries {
		if imp != library && !strings.HasPrefix(imp, library+"/") {
			continue
		}
		homes, inTests := drawn(entry)
		if test {
			homes = inTests
		}
		if !slices.Contains(homes, from) {
			return []string{fmt.Sprintf("%s imports %s, which belongs to %q", from, imp, entry)}
		}
		return nil
	}
	return []string{fmt.Sprintf("%s imports %s, a library that no package is said to use", from, imp)}
}

// TestArrowsAreSeen is the negative control: each of these is wrong in one way.
func TestArrowsAreSeen(t *testing.T) {
	for _, p := range []pack{
		{"runner", []string{module + "/runner/repo"}, nil},
		{"runner", []string{module + "/internal/choose"}, nil},
		{"main", []string{module + "/internal/fakegithub"}, nil},
		{"runner/repo", []string{"github.com/google/go-github/v62/github"}, nil},
		{"runner/plan", []string{"gopkg.in/yaml.v3"}, nil},
		{"runner/plan", []string{"github.com/google/go-cmp/cmp"}, nil},
		{"runner/plan", nil, []string{"github.com/stretchr/testify/assert"}},
		{"runner/tool", nil, []string{module + "/runner/repo"}},
		{"runner/util", nil, nil},
	} {
		if got := misdrawn([]pack{p}); len(got) != 1 {
			t.Errorf("%+v was let through: %v", p, got)
		}
	}
	right := pack{"runner/repo", []string{"net/http", module + "/runner", "github.com/go-git/go-git/v5/plumbing"}, []string{module + "/runner/repo", module + "/runner/check"}}
	if got := misdrawn([]pack{right}); len(got) != 0 {
		t.Errorf("%+v was refused: %v", right, got)
	}
}

// TestLinterKnowsTheArrows holds depguard's rules against the same tables, so
// that an editor shows what this test would find. Its rules are for code only.
func TestLinterKnowsTheArrows(t *testing.T) {
	var rules strings.Builder
	for _, path := range slices.Sorted(maps.Keys(arrows)) {
		if path == "main" {
			continue // no pattern names the files of the root and no others
		}
		fmt.Fprintf(&rules, "        %s:\n          list-mode: strict\n          files: [\"**/%s/*.go\", \"!$test\"]\n          allow:\n            - $gostd\n", strings.ReplaceAll(path, "/", "-"), path)
		code, _ := drawn(arrows[path])
		for _, to := range slices.Sorted(slices.Values(code)) {
			fmt.Fprintf(&rules, "            - %s/%s$\n", module, to)
		}
		for _, library := range slices.Sorted(maps.Keys(libraries)) {
			if homes, _ := drawn(libraries[library]); slices.Contains(homes, path) {
				fmt.Fprintf(&rules, "            - %s\n", library)
			}
		}
	}
	section(t, ".golangci.yml", "        # arrows, from imports_test.go\n", "        # /arrows\n", rules.String())
}
