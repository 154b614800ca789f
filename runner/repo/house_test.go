package repo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGeneratedTreesAreLeftOut makes what tools leave behind in a project whose
// .gitignore does not say so: it is left out and told, unless the project has
// it already, or says that it wants it.
func TestGeneratedTreesAreLeftOut(t *testing.T) {
	t.Parallel()
	r, base := laid(t, map[string]string{
		"web/package.json": "{}\n", "vendored/node_modules/own/index.js": "1\n", "wanted/.gitignore": "!node_modules/\n!.env\n", "quiet/.gitignore": "node_modules/\n",
		"rust/Cargo.toml": "[package]\n", "src/target/aim.go": "package target\n", "old/.env": "A=1\n",
	})
	files := map[string]string{}
	for _, name := range []string{
		"web/node_modules/a/index.js", "web/node_modules/a/node_modules/b/index.js", "vendored/node_modules/own/more.js", "vendored/node_modules/other/index.js",
		"wanted/node_modules/a.js", "wanted/.env", "quiet/node_modules/a.js", "py/__pycache__/x.pyc", "py/.venv/bin/python", "py/venv/pyvenv.cfg", "py/env/x.py", "rust/target/debug/x",
		"src/target/hit.go", "new/target/CACHEDIR.TAG", "java/target/x.class", ".env", "app/.env.local", "app/.env.test.local", "app/.env.example", "old/.env", "dist/app.js", "node_modules.txt",
	} {
		files[name] = "new\n"
	}
	write(t, r.Work(), files)
	wantTree := []string{
		"app/.env.example 100644", "dist/app.js 100644", "java/target/x.class 100644", "node_modules.txt 100644", "old/.env 100644", "py/env/x.py 100644", "quiet/.gitignore 100644",
		"rust/Cargo.toml 100644", "src/target/aim.go 100644", "src/target/hit.go 100644",
		"vendored/node_modules/other/index.js 100644", "vendored/node_modules/own/index.js 100644", "vendored/node_modules/own/more.js 100644",
		"wanted/.env 100644", "wanted/.gitignore 100644", "wanted/node_modules/a.js 100644", "web/package.json 100644",
	}
	wantLeft := []string{
		".env: an environment of one machine, which may hold secrets", "app/.env.local: an environment of one machine, which may hold secrets", "app/.env.test.local: an environment of one machine, which may hold secrets",
		"new/target: a build of Cargo", "py/.venv: a virtual environment of Python", "py/__pycache__: compiled Python", "py/venv: a virtual environment of Python",
		"rust/target: a build of Cargo", "web/node_modules: packages of npm",
	}
	for _, record := range []func() ([]string, string){
		func() ([]string, string) {
			s, err := r.Snapshot(t.Context(), base, "x")
			must(t, err)
			return s.Left, s.Tree
		},
		func() ([]string, string) {
			s, err := r.Draft(t.Context(), base, "x")
			must(t, err)
			return s.Left, s.Tree
		},
		func() ([]string, string) {
			write(t, r.Work(), map[string]string{"web/node_modules/c.js": "1\n"})
			s, err := r.Draft(t.Context(), base, "x")
			must(t, err)
			return s.Left, s.Tree
		},
		func() ([]string, string) {
			s, err := r.Snapshot(t.Context(), base, "x")
			must(t, err)
			return s.Left, s.Tree
		},
	} {
		left, id := record()
		for i, l := range left {
			left[i], _, _ = strings.Cut(l, "; write ")
		}
		if d := cmp.Diff(left, wantLeft); d != "" {
			t.Errorf("left out, got and want:\n%s", d)
		}
		if d := cmp.Diff(tree(t, r, id), wantTree); d != "" {
			t.Errorf("tree, got and want:\n%s", d)
		}
	}
	// Whoever wants it says so, and it is there.
	write(t, r.Work(), map[string]string{".gitignore": "!.env\n"})
	s, err := r.Snapshot(t.Context(), base, "x")
	must(t, err)
	if all := tree(t, r, s.Tree); len(s.Left) != len(wantLeft)-1 || all[0] != ".env 100644" {
		t.Errorf("left out %q, recorded %q", s.Left, all)
	}
}

// TestAPersonsIgnoreRules gives a person's own rules, as they stand in
// .git/info/exclude and in the file of core.excludesFile, and holds the tree
// against git's with the same.
func TestAPersonsIgnoreRules(t *testing.T) {
	t.Parallel()
	global, local := "*.swp\n*.bak\n/scratch\n", "!keep.bak\n*.tmp\n"
	r, base := laid(t, map[string]string{".gitignore": "!wanted.tmp\n"}, func(o *Options) { o.Ignore = []string{global, local} })
	write(t, r.Work(), map[string]string{"a.swp": "1", "a.bak": "1", "keep.bak": "1", "a.tmp": "1", "wanted.tmp": "1", "scratch/x": "1", "sub/scratch/x": "1", "a.txt": "1"})
	private := filepath.Join(r.o.Dir, "git")
	must(t, os.MkdirAll(filepath.Join(private, "info"), 0o755))
	must(t, os.WriteFile(filepath.Join(private, "info", "exclude"), []byte(local), 0o644))
	excludes := filepath.Join(t.TempDir(), "excludes")
	must(t, os.WriteFile(excludes, []byte(global), 0o644))
	git(t, private, "config", "core.excludesFile", excludes)
	want, _ := gitTree(t, r, base)
	s, err := r.Snapshot(t.Context(), base, "x")
	must(t, err)
	if s.Tree != want || len(s.Left) > 0 {
		t.Errorf("ours %q, git's %q; left out %q", tree(t, r, s.Tree), tree(t, r, want), s.Left)
	}
	if d := cmp.Diff(tree(t, r, s.Tree), []string{".gitignore 100644", "a.txt 100644", "keep.bak 100644", "sub/scratch/x 100644", "wanted.tmp 100644"}); d != "" {
		t.Errorf("got and want:\n%s", d)
	}
}
