package audit

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	godiff "github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the table of docs/verdicts.md")

// TestDocsTellTheRules holds the table of docs/verdicts.md against the rules.
func TestDocsTellTheRules(t *testing.T) {
	const from, to = "<!-- rules, from runner/audit/rules.go -->\n", "<!-- /rules -->"
	var b strings.Builder
	b.WriteString("| rule | says | finds | leaves alone |\n|---|---|---|---|\n")
	for _, r := range Rules {
		var says []string
		for _, s := range r.Severities {
			says = append(says, string(s))
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.ID, strings.Join(says, ", "), r.Says, r.Spares)
	}
	name := filepath.Join("..", "..", "docs", "verdicts.md")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), from)
	got, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatalf("%s: no %q … %q", name, from, to)
	}
	if *update {
		if err := os.WriteFile(name, []byte(before+from+b.String()+to+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := godiff.Diff(b.String(), got); d != "" {
		t.Errorf("go test -run Docs -update ./runner/audit writes it:\n%s", d)
	}
}

// TestRulesAreUsed holds the rules against the code: each severity that a rule
// may have is given somewhere in the corpus or the tests, and no other.
func TestRulesAreUsed(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range corpus(t) {
		for _, f := range Judge(s.input()) {
			seen[f.Rule+" "+string(f.Severity)] = true
			if !slices.Contains(rules[f.Rule].Severities, f.Severity) {
				t.Errorf("%s: %s is %s, which the table does not know", s.name, f.Rule, f.Severity)
			}
		}
	}
	code := ""
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if data, err := os.ReadFile(f); err == nil && f != "rules.go" && !strings.HasSuffix(f, "_test.go") {
			code += string(data)
		}
	}
	for _, r := range Rules {
		if !regexp.MustCompile(`"` + r.ID + `"`).MatchString(code) {
			t.Errorf("nothing finds %s", r.ID)
		}
		// The gravest that a rule may say is shown by a case.
		if !seen[r.ID+" "+string(r.Severities[0])] && r.ID != "unaudited" && r.ID != "binary" {
			t.Errorf("no case shows %s as %s", r.ID, r.Severities[0])
		}
	}
}

// Programs are told by how they begin.
func TestBinaries(t *testing.T) {
	for p, want := range map[string]struct {
		data string
		said []string
	}{
		"bin/tool":             {"\x7fELF\x02\x01\x01\x00", []string{"failed binary"}},
		"app.wasm":             {"\x00asm\x01\x00\x00\x00", []string{"note binary"}},
		"__pycache__/cart.pyc": {"\xa7\r\r\n\x00\x00", []string{"failed binary"}},
		"lib/x.node":           {"\x7fELF\x02\x01\x01\x00", []string{"failed binary"}},
		"logo.png":             {"\x89PNG\r\n\x1a\n\x00", nil},
		"MZ.txt":               {"MZ is how it begins\n", nil},
		"notes.class":          {"first, second\n", nil},
	} {
		got := said(Judge(Input{Kind: kindOf, Changes: []Change{{Path: p, After: File{Mode: Regular, Data: []byte(want.data), Size: int64(len(want.data))}}}}))
		if d := godiff.Diff(want.said, got); d != "" {
			t.Errorf("%s: %s", p, d)
		}
	}
	got := said(Judge(Input{Kind: kindOf, Changes: []Change{{Path: "lib", After: File{Mode: Other}}}}))
	if d := godiff.Diff([]string{"failed link"}, got); d != "" {
		t.Error(d)
	}
}
