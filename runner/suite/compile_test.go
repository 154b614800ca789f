package suite

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is compiled ahead executes nothing of the project's: flags that name a
// program, or are not known, are not taken over from its own command.
func TestCompileExecutesNothing(t *testing.T) {
	const plain = "(cd '.' && go test -count=1 -exec=true ./...)"
	tests := map[string]string{
		"":              plain,
		"go test ./...": plain,
		"go test -race -tags=a,b -timeout=5m ./x": "(cd '.' && go test -count=1 -exec=true -race -tags=a,b -timeout=5m ./x)",
		"CGO_ENABLED=0 go test ./...":             "(cd '.' && CGO_ENABLED=0 go test -count=1 -exec=true ./...)",
		"make test":                               plain,
		"go test -toolexec=./evil ./...":          plain,
		"go test -toolexec ./evil ./...":          plain,
		"go test -exec ./evil ./...":              plain,
		"go test -vettool=./evil ./...":           plain,
		"go test -overlay=o.json ./...":           plain,
		"go test -modfile=x.mod ./...":            plain,
		"go test -ldflags=-extld=./evil ./...":    plain,
		"go test ./... -args x":                   plain,
		"go test $(./evil)":                       plain,
		"GOFLAGS=-toolexec=./evil go test ./...":  plain,
		"PATH=.:$PATH go test ./...":              plain,
		"env CC=./evil go test ./...":             plain,
	}
	for command, want := range tests {
		root := rooted(t, map[string]string{"go.mod": "module m\n"})
		var suites []Suite
		if command != "" {
			var err error
			if suites, err = Find(root, command); err != nil {
				t.Fatal(err)
			}
		}
		c, err := Compile(root, suites)
		if err != nil || c.Script != want {
			t.Errorf("%q is compiled by\n%s, %v; want\n%s", command, c.Script, err, want)
		}
	}
	if c, err := Compile(rooted(t, map[string]string{"package.json": "{}"}), nil); err != nil || c.Script != "" {
		t.Errorf("a project without Go: %+v, %v", c, err)
	}
}

// Compiling is done again where something else is needed, and not for every change.
func TestCompileKey(t *testing.T) {
	base := map[string]string{"go.mod": "module m\n", "a.go": "package m\n\nimport \"fmt\"\n"}
	key := func(change map[string]string) string {
		files := map[string]string{}
		for _, m := range []map[string]string{base, change} {
			maps.Copy(files, m)
		}
		c, err := Compile(rooted(t, files), nil)
		if err != nil || c.Key == "" {
			t.Fatal(c, err)
		}
		return c.Key
	}
	first := key(nil)
	for name, change := range map[string]map[string]string{
		"code":           {"a.go": "package m\n\nimport \"fmt\"\n\nvar x = fmt.Sprint(1)\n"},
		"a file":         {"b.go": "package m\n"},
		"a broken file":  {"b.go": "package"},
		"something else": {"README.md": "x"},
	} {
		if key(change) != first {
			t.Errorf("%s makes a difference", name)
		}
	}
	for name, change := range map[string]map[string]string{
		"an import":          {"a_test.go": "package m\n\nimport \"net/http\"\n"},
		"a manifest":         {"go.mod": "module m\n\ngo 1.25\n"},
		"sums":               {"go.sum": "x"},
		"a package below it": {"x/x.go": "package x\n\nimport \"os\"\n"},
	} {
		if key(change) == first {
			t.Errorf("%s makes no difference", name)
		}
	}
}

func rooted(t *testing.T, files map[string]string) *os.Root {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strings.TrimLeft(text, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}
