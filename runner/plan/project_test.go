package plan

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// TestLook says what existing projects hold, among them two of this repository.
func TestLook(t *testing.T) {
	node, err := Look(os.DirFS("../../examples/demo/project"))
	if err != nil || node.Empty() {
		t.Fatal(err, node)
	}
	for _, want := range []string{"stack: Node.js (package.json)", "tests: npm run test (", "starts: npm run start (", "\n  lib/  app.js\n"} {
		if !strings.Contains(node.String(), want) {
			t.Errorf("the demo does not say %q:\n%s", want, node)
		}
	}
	golang, err := Look(os.DirFS("../../examples/second/project"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"stack: Go (go.mod); module ", "tests: go test ./...\n", "starts: go run ./\n", "handler_test.go"} {
		if !strings.Contains(golang.String(), want) {
			t.Errorf("the second does not say %q:\n%s", want, golang)
		}
	}
	for name, tt := range map[string]struct {
		files fstest.MapFS
		want  []string
		not   []string
	}{
		"a spec and nothing else": {files: fstest.MapFS{"SPEC.md": {}, "README.md": {}}},
		"Python": {
			fstest.MapFS{"pyproject.toml": {}, "app/main.py": {}, "tests/test_app.py": {}, "venv/x.py": {}, ".git/config": {}},
			[]string{"Python (pyproject.toml)", "Python tests in tests"},
			[]string{"venv", ".git"},
		},
		"React with Vitest": {
			fstest.MapFS{"package.json": {Data: []byte(`{"type":"module","scripts":{"test":"vitest run\nx","dev":"vite"},"dependencies":{"react":"1"},"devDependencies":{"vitest":"1"}}`)}, "node_modules/react/index.js": {}},
			[]string{"stack: Node.js (package.json); react; ES modules\n", "tests: npm run test (vitest run x); vitest\n", "starts: npm run dev (vite)\n"},
			[]string{"node_modules"},
		},
		"a package.json that is none": {files: fstest.MapFS{"package.json": {Data: []byte("{")}}, want: []string{"Node.js (package.json)"}},
		"a name that would be a line": {files: fstest.MapFS{"go.mod": {}, "a\nstack: Cobol": {}}, not: []string{"\nstack: Cobol"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Look(tt.files)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == nil && tt.not == nil && p.String() != "" {
				t.Errorf("of nothing it says:\n%s", p)
			}
			for _, w := range tt.want {
				if !strings.Contains(p.String(), w) {
					t.Errorf("it does not say %q:\n%s", w, p)
				}
			}
			for _, n := range tt.not {
				if strings.Contains(p.String(), n) {
					t.Errorf("it says %q:\n%s", n, p)
				}
			}
		})
	}
}

// A large repository has a short map.
func TestLookIsShort(t *testing.T) {
	files := fstest.MapFS{"go.mod": {Data: []byte("module example.com/x\n")}}
	for i := range 200 {
		for k := range 40 {
			files[fmt.Sprintf("d%03d/%03d.go", i, k)] = &fstest.MapFile{}
		}
	}
	p, err := Look(files)
	if err != nil || len(p.Map) != mostMapped+1 || len(p.String()) > 16<<10 {
		t.Errorf("%v, %d lines, %d bytes", err, len(p.Map), len(p.String()))
	}
	again, err := Look(files)
	if diff := cmp.Diff(p, again); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}
