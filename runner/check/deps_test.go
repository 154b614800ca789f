package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// fakeNpm is a directory with an npm that brings one package and counts how
// often it was asked to. more is shell that it runs besides.
func fakeNpm(t *testing.T, more string) (dir string, runs func() int) {
	t.Helper()
	dir = t.TempDir()
	count := filepath.Join(dir, "count")
	put(t, filepath.Join(dir, "npm"), "#!/bin/sh\necho run >>"+count+"\nmkdir -p node_modules/left/lib\necho 'module.exports = 1;' >node_modules/left/index.js\necho x >node_modules/left/lib/x\nln -s ../left/lib node_modules/left/link\n"+more+"\n")
	if err := os.Chmod(filepath.Join(dir, "npm"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir, func() int {
		data, _ := os.ReadFile(count)
		return strings.Count(string(data), "run")
	}
}

// What a setup brings is brought once for all trees that ask for the same.
func TestPackagesAreKept(t *testing.T) {
	lock := func(s string) tree { return tree{"package.json": `{"type": "module"}`, "package-lock.json": s} }
	tests := []struct {
		name  string
		setup string
		more  string // that npm does besides
		files tree
		want  int // runs of the setup for three trees, two with the same lock file
	}{
		{"packages and nothing else", "npm ci --no-audit", "", nil, 2},
		{"a command that is not known", "npm ci; true", "", nil, 3},
		{"a build besides", "npm ci", "mkdir dist; echo 1 >dist/a", nil, 3},
		{"a file of the tree is changed", "npm ci", "echo >>package.json", nil, 3},
		{"packages that lead back into the tree", "npm ci", "ln -s ../app.js node_modules/app", nil, 3},
		{"scripts of the project's own", "npm ci", "", tree{"package.json": `{"scripts": {"postinstall": "true"}}`}, 3},
		{"scripts that are not run", "npm ci --ignore-scripts", "", tree{"package.json": `{"scripts": {"postinstall": "true"}}`}, 2},
		{"workspaces", "npm ci", "", tree{"package.json": `{"workspaces": ["a"]}`}, 3},
		{"a package in the tree", "npm ci", "", tree{"package.json": `{"dependencies": {"a": "file:./a"}}`}, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bin, runs := fakeNpm(t, tt.more)
			w := newWorld(t, func(o *Options) {
				o.Setup, o.Env = tt.setup, []string{"PATH=" + bin + ":" + os.Getenv("PATH")}
			})
			for i, files := range []tree{lock("a"), lock("a").with(tree{"app.js": "1\n"}), lock("b")} {
				dir, done, err := w.checkout(t.Context(), w.git.write(files.with(tt.files, tree{"n": string(rune('0' + i))})))
				if err != nil {
					t.Fatal(err)
				}
				for _, name := range []string{"node_modules/left/index.js", "node_modules/left/link/x", "n", "package.json"} {
					if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
						t.Error(err)
					}
				}
				done()
			}
			if got := runs(); got != tt.want {
				t.Errorf("the setup ran %d times, want %d", got, tt.want)
			}
		})
	}
}

// A run that spoils the packages spoils them for nobody else.
func TestPackagesCannotBePoisoned(t *testing.T) {
	nobody := 65534
	for name, own := range map[string]func(string) error{
		"same user": nil,
		"another user": func(path string) error {
			return exec.Command("chown", "-hR", "65534:65534", path).Run()
		},
	} {
		t.Run(name, func(t *testing.T) {
			if own != nil && os.Geteuid() != 0 {
				t.Skip("only root can hand files to another user")
			}
			bin, runs := fakeNpm(t, "")
			w := newWorld(t, func(o *Options) {
				o.Own, o.Setup, o.Env = own, "npm ci", []string{"PATH=" + bin + ":" + os.Getenv("PATH")}
				if own != nil { // another user must get to where the checkouts are
					o.Dir = openDir(t)
				}
			})
			id := w.git.write(tree{"package.json": "{}"})
			spoil := "echo spoilt >>node_modules/left/index.js; chmod -R 777 node_modules; echo spoilt >>node_modules/left/index.js; " +
				"ln -sf /etc/passwd node_modules/left/lib/x; echo kept >node_modules/.cache; rm -rf node_modules/left/index.js; true"
			for range 2 {
				dir, done, err := w.checkout(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				if text, err := os.ReadFile(filepath.Join(dir, "node_modules/left/index.js")); err != nil || string(text) != "module.exports = 1;\n" {
					t.Errorf("the package is %q, %v", text, err)
				}
				cmd := exec.Command("sh", "-c", spoil)
				cmd.Dir = dir
				if own != nil {
					cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(nobody), Gid: uint32(nobody)}}
				}
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				if _, err := os.Stat(filepath.Join(dir, "node_modules/.cache")); err != nil {
					t.Errorf("tools cannot keep a cache: %v", err)
				}
				done()
			}
			if runs() != 1 {
				t.Errorf("the setup ran %d times, want once", runs())
			}
		})
	}
}

func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gates-") //nolint:usetesting // t.TempDir is below a directory that no other user may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A verdict with packages from the shelf: the tests of every tree find them, and
// the manifest that comes with the tests is set up for RED, too.
func TestVerdictWithPackages(t *testing.T) {
	bin, runs := fakeNpm(t, "")
	w := newWorld(t, func(o *Options) { o.Setup, o.Env = "npm ci", []string{"PATH=" + bin + ":" + os.Getenv("PATH")} })
	s := samples(t, "node")
	test := tree{"test/remove.test.js": s["tests"]["test/remove.test.js"] + "\nimport left from 'left';\ntest('left', () => { assert.equal(left, 1); assert.ok(remove); });\n"}
	manifest := tree{"package.json": strings.Replace(s["parent"]["package.json"], "{", `{"dependencies": {"left": "1.0.0"}, `, 1)}
	tests := s["parent"].with(s["tests"], test, manifest)
	want(t, w.judge(runner.Tests, s["parent"], tests, runner.Row{ID: "x"}), runner.Red, "red")
	want(t, w.judge(runner.Implement, s["parent"], tests.with(s["impl"]), runner.Row{ID: "x"}), runner.Verified, "canaries")
	if runs() != 2 {
		t.Errorf("the setup ran %d times, want once for each manifest", runs())
	}
}
