package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tree lists the files of the repository that end in one of these.
func tree(t *testing.T, endings ...string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == "build" || path == ".git" || d.Name() == "testdata"):
			return filepath.SkipDir
		case slices.Contains(endings, filepath.Ext(path)):
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestDocsNameWhatIsThere holds what the documents name against the tree: the
// tests that are said to hold an invariant, the files that are linked, the
// targets of make.
func TestDocsNameWhatIsThere(t *testing.T) {
	tests := testsOf(t)
	makefile := string(read(t, "Makefile"))
	docs := tree(t, ".md")
	if len(docs) < 6 {
		t.Errorf("only %v were looked at", docs)
	}
	for _, doc := range docs {
		for _, wrong := range misnamed(string(read(t, doc)), filepath.Dir(doc), tests, makefile) {
			t.Errorf("%s: %s", doc, wrong)
		}
	}
}

// TestMisnamedIsSeen is the negative control.
func TestMisnamedIsSeen(t *testing.T) {
	text := "held by TestNothing and TestArrows; see [this](no/such/file.md#part), [that](README.md), [there](https://example.com), [below](#x); run `make tests`, `make test`\n\n    make demos\n    make demo"
	got := misnamed(text, ".", map[string]bool{"TestArrows": true}, "\ntest: x\ndemo: y\n")
	if len(got) != 4 {
		t.Errorf("of four mistakes these were seen: %q", got)
	}
}

var (
	testNames = regexp.MustCompile(`\bTest[A-Z]\w*`)
	links     = regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`)
	targets   = regexp.MustCompile("(?m)(?:`|^    )make ([a-z-]+)")
)

// misnamed says what a text in dir names that is not there.
func misnamed(text, dir string, tests map[string]bool, makefile string) []string {
	var wrong []string
	for _, name := range testNames.FindAllString(text, -1) {
		if !tests[name] {
			wrong = append(wrong, "there is no test "+name)
		}
	}
	for _, l := range links.FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join(dir, l[1])); err != nil {
			wrong = append(wrong, "there is no file "+l[1])
		}
	}
	for _, m := range targets.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(makefile, "\n"+m[1]+":") {
			wrong = append(wrong, "make has no target "+m[1])
		}
	}
	return wrong
}

// testsOf collects the names of the tree's tests, whatever their build tags.
func testsOf(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, file := range tree(t, ".go") {
		if !strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
				names[fn.Name.Name] = true
			}
		}
	}
	return names
}
