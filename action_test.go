package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

var update = flag.Bool("update", false, "write the tables of action.yml and README.md anew")

// outputDocs say what the outputs hold, in the order of outputNames.
var outputDocs = map[string]string{
	"success":            "true when every feature is complete.",
	"features-completed": "Features that are complete.",
	"features-total":     "Features of the list, deprecated ones left out.",
	"sessions-used":      "Sessions that were claimed so far.",
	"total-tokens":       "Tokens spent so far, over all sessions.",
	"errors-recovered":   "Failed verdicts and crashes that were later made good.",
	"duration-minutes":   "Minutes of all sessions.",
	"handoff-reason":     "Why the session ended with work remaining; empty when every feature is complete.",
	"result":             "All of this and more as JSON.",
	"status":             "running, awaiting_successor, waiting, stopped, done or done_with_exceptions.",
	"branch":             "The branch with the verified code.",
	"pull-request":       "The pull request's address, once there is one.",
	"artifact-id":        "The id of the artifact that this session uploaded.",
}

// TestActionAgreesWithTheCode holds action.yml and the README's tables against
// the table of inputs that the program reads and the outputs that it writes.
func TestActionAgreesWithTheCode(t *testing.T) {
	var actionInputs, actionOutputs, readmeInputs, readmeOutputs strings.Builder
	for _, in := range inputs {
		doc := in.doc + " Takes " + in.takes + "."
		def := ""
		if in.def != "" {
			doc += " Default: " + in.def + "."
			def = "`" + in.def + "`"
		}
		fmt.Fprintf(&actionInputs, "  %s:\n    description: %s\n", in.name, strconv.Quote(doc))
		if in.name == "github-token" {
			fmt.Fprintf(&actionInputs, "    default: ${{ github.token }}\n")
		}
		fmt.Fprintf(&readmeInputs, "| `%s` | %s | %s |\n", in.name, def, strings.ReplaceAll(in.doc+" Takes "+in.takes+".", "|", "\\|"))
	}
	for _, name := range outputNames {
		if outputDocs[name] == "" {
			t.Errorf("output %s is not documented", name)
		}
		fmt.Fprintf(&actionOutputs, "  %s:\n    description: %s\n", name, strconv.Quote(outputDocs[name]))
		fmt.Fprintf(&readmeOutputs, "| `%s` | %s |\n", name, outputDocs[name])
	}
	section(t, "action.yml", "# inputs\n", "# /inputs\n", actionInputs.String())
	section(t, "action.yml", "# outputs\n", "# /outputs\n", actionOutputs.String())
	section(t, "README.md", "<!-- inputs -->\n", "<!-- /inputs -->\n", "| input | default | what it is |\n|---|---|---|\n"+readmeInputs.String())
	section(t, "README.md", "<!-- outputs -->\n", "<!-- /outputs -->\n", "| output | what it is |\n|---|---|\n"+readmeOutputs.String())

	data, err := os.ReadFile("action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var action struct {
		Inputs  map[string]struct{ Default string }
		Outputs map[string]any
		Runs    struct{ Using, Image string }
	}
	if err := yaml.Unmarshal(data, &action); err != nil {
		t.Fatal(err)
	}
	if len(action.Inputs) != len(inputs) || len(action.Outputs) != len(outputNames) || action.Runs.Using != "docker" {
		t.Errorf("action.yml: %d inputs, %d outputs, %+v", len(action.Inputs), len(action.Outputs), action.Runs)
	}
	for name, in := range action.Inputs {
		// A default here would outrank the config file.
		if in.Default != "" && name != "github-token" {
			t.Errorf("action.yml: input %s has the default %q", name, in.Default)
		}
	}
}

// section compares what stands between two marks of a file, or writes it.
func section(t *testing.T, file, from, to, want string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), from)
	got, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatalf("%s: no %q … %q", file, from, to)
	}
	if *update && got != want {
		if err := os.WriteFile(file, []byte(before+from+want+to+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got; go test -run TestAction -update . writes it):\n%s", file, diff)
	}
}

// TestExitCodesAreDocumented holds the README's table against main.go, and the
// help against the inputs.
func TestExitCodesAreDocumented(t *testing.T) {
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "<!-- exit codes -->")
	table, _, ok := strings.Cut(rest, "<!-- /exit codes -->")
	codes := regexp.MustCompile(`(?m)^\texit\w+\s+= (\d)`).FindAllSubmatch(source, -1)
	if !ok || len(codes) < 5 || strings.Count(table, "\n| ") != len(codes)+1 {
		t.Errorf("%d codes in main.go, table:\n%s", len(codes), table)
	}
	for _, c := range codes {
		if !strings.Contains(table, "\n| "+string(c[1])+" |") {
			t.Errorf("exit code %s is not in the README", c[1])
		}
	}
	var b bytes.Buffer
	help(&b)
	for _, in := range inputs {
		if strings.Contains(b.String(), "--"+in.name+" ") == in.secretInput() {
			t.Errorf("help and input %s do not agree", in.name)
		}
	}
}

// TestWorkflowsLint runs actionlint over every workflow that we ship: our own,
// the examples, and those in the README. Where they use this action, they use
// the one that is here, so that the inputs they give it are held against
// action.yml.
func TestWorkflowsLint(t *testing.T) {
	files := map[string][]byte{}
	for _, pattern := range []string{"examples/workflows/*.yml", ".github/workflows/*.yml"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		for _, file := range found {
			files[filepath.Base(file)] = read(t, file)
		}
	}
	blocks := workflowsIn(read(t, "README.md"))
	for i, block := range blocks {
		files[fmt.Sprintf("readme%d.yml", i)] = block
	}
	if len(blocks) == 0 {
		t.Error("the README shows no workflow")
	}
	if out, err := lint(t, files); err != nil {
		t.Errorf("actionlint: %v\n%s", err, out)
	}
	// The negative control: what is wrong is seen.
	out, err := lint(t, map[string][]byte{"broken.yml": []byte(`on: push
jobs:
  a:
    runs-on: ubuntu-latest
    permissions: { contents: all }
    steps:
      - run: echo ${{ github.event.issue.title }}
      - id: loop
        uses: autonomous-loop/autonomous-loop@v1
        with: { modle: name }
      - run: echo ${{ steps.loop.outputs.succes }}
`)})
	for _, want := range []string{`"all"`, "untrusted", `"modle"`, `"succes"`} {
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("actionlint did not see %s: %v\n%s", want, err, out)
		}
	}
}

// TestReadmeShowsTheOneJobForm holds the workflow to copy against the example
// that TestJobs runs.
func TestReadmeShowsTheOneJobForm(t *testing.T) {
	_, want, _ := strings.Cut(string(read(t, "examples/workflows/one-job.yml")), "\n") // the first line says which form it is
	blocks := workflowsIn(read(t, "README.md"))
	if len(blocks) != 1 {
		t.Fatalf("the README shows %d workflows", len(blocks))
	}
	if diff := cmp.Diff(want, string(blocks[0])); diff != "" {
		t.Errorf("README.md is not examples/workflows/one-job.yml (-want +got):\n%s", diff)
	}
}

// workflowsIn finds the whole workflows in a text.
func workflowsIn(text []byte) [][]byte {
	var found [][]byte
	for _, b := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(text, -1) {
		if bytes.Contains(b[1], []byte("\njobs:")) {
			found = append(found, b[1])
		}
	}
	return found
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// lint runs actionlint over workflows in a repository that holds this action,
// which is where it looks into an action.
func lint(t *testing.T, workflows map[string][]byte) (string, error) {
	t.Helper()
	dir := t.TempDir()
	put := func(name string, data []byte) string {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	put(".git/HEAD", nil)
	put("action.yml", read(t, "action.yml"))
	put("Dockerfile", nil)
	for _, name := range []string{"autonomous-loop", "autonomous-loop-post"} {
		put("usr/local/bin/"+name, nil) // it looks for what is in the image in the repository
	}
	args := []string{"tool", "-modfile=tools/actionlint/go.mod", "actionlint", "-shellcheck=", "-pyflakes="}
	for name, text := range workflows {
		text = regexp.MustCompile(`autonomous-loop/autonomous-loop@\S+`).ReplaceAll(text, []byte("./"))
		args = append(args, put(".github/workflows/"+name, text))
	}
	out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput()
	return string(out), err
}
