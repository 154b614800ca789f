package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A place is a copy of the repository's root in which setup.sh runs with a PATH
// that has only what the test puts there.
type place struct {
	t         *testing.T
	root, bin string
}

func newPlace(t *testing.T, tools ...string) place {
	t.Helper()
	p := place{t, t.TempDir(), t.TempDir()}
	for _, name := range []string{"go.mod", "go.sum", "tools/setup.sh"} {
		b, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		p.write(filepath.Join(p.root, name), string(b))
	}
	for _, name := range append(tools, "cat", "chmod", "dirname", "find", "grep", "head", "id", "mkdir", "mktemp", "mv", "rm", "sed", "tar") {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(p.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func (p place) write(name, text string) string {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
		p.t.Fatal(err)
	}
	return name
}

func (p place) program(name, script string) string {
	return p.write(filepath.Join(p.bin, name), "#!/bin/sh\n"+script+"\n")
}

// setup runs the script and returns what it says.
func (p place) setup(env ...string) (string, error) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), "/bin/sh", filepath.Join(p.root, "tools/setup.sh"))
	cmd.Env = append([]string{
		"PATH=" + p.bin, "HOME=" + os.Getenv("HOME"), "GOMODCACHE=" + os.Getenv("GOMODCACHE"), "GOFLAGS=-mod=mod", "GOPROXY=off",
		"AUTONOMOUS_LOOP_CACHE=" + filepath.Join(p.root, "cache"),
	}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// What is missing is said, with how to get it, and nothing is skipped.
func TestSetupSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	const node20, works = "echo 20", "exit 0"
	for name, tt := range map[string]struct {
		tools    []string
		programs map[string]string
		env      []string
		want     string
	}{
		"node": {
			want: "setup: Node.js is missing\nsetup: install Node.js 18 or newer, so that node is in PATH\n",
		},
		"a newer node": {
			programs: map[string]string{"node": "echo 16"},
			want:     "is Node.js 16, too old\nsetup: install Node.js 18 or newer",
		},
		"go": {
			programs: map[string]string{"node": node20},
			want:     "setup: Go is missing\n",
		},
		"npm": {
			tools:    []string{"go"},
			programs: map[string]string{"node": node20},
			want:     "setup: npm is missing, and the driver comes from npm\nsetup: install Node.js from https://nodejs.org, which brings it\n",
		},
		"the network": {
			tools:    []string{"go"},
			programs: map[string]string{"node": node20, "npm": "echo npm: no network >&2; exit 1"},
			want:     "npm: no network\nsetup: npm cannot fetch playwright-core@",
		},
		"a prepared driver": {
			programs: map[string]string{"node": node20},
			env:      []string{"AUTONOMOUS_LOOP_DRIVER=/nowhere"},
			want:     "setup: /nowhere is not a prepared driver\n",
		},
		"an absolute cache": {
			programs: map[string]string{"node": node20},
			env:      []string{"AUTONOMOUS_LOOP_CACHE=cache"},
			want:     "setup: AUTONOMOUS_LOOP_CACHE=cache is not an absolute path\n",
		},
		"a chromium that runs": {
			programs: map[string]string{"node": node20},
			env:      []string{"AUTONOMOUS_LOOP_DRIVER=PREPARED", "AUTONOMOUS_LOOP_CHROMIUM=/bin/false"},
			want:     "setup: /bin/false does not run\n",
		},
		"root": {
			programs: map[string]string{"id": "echo 1000", "apt-get": works},
			want:     "setup: installing nodejs needs root\nsetup: run this script as root, or: apt-get install --no-install-recommends nodejs\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, tt.tools...)
			if name == "root" {
				b, _ := os.ReadFile("/etc/os-release")
				if s := string(b); !strings.Contains(s, "ID=debian\n") && !strings.Contains(s, "ID=ubuntu\n") {
					t.Skip("only Debian and Ubuntu have what the script would install")
				}
				if err := os.Remove(filepath.Join(p.bin, "id")); err != nil {
					t.Fatal(err)
				}
			}
			for prog, script := range tt.programs {
				p.program(prog, script)
			}
			for i, e := range tt.env {
				prepared := filepath.Dir(p.write(filepath.Join(p.root, "driver", "prepared"), ""))
				tt.env[i] = strings.Replace(e, "PREPARED", prepared, 1)
			}
			out, err := p.setup(tt.env...)
			if err == nil || !strings.Contains(out, tt.want) {
				t.Errorf("%v: got %q, want %q", err, out, tt.want)
			}
			if _, err := os.Stat(filepath.Join(p.root, "build", "env")); err == nil {
				t.Error("it left build/env")
			}
			left, _ := filepath.Glob(filepath.Join(p.root, "cache", "*"))
			if len(left) > 0 {
				t.Errorf("it left %q", left)
			}
		})
	}
}

// The second run does nothing, and does it at once; it is done again when a
// part has gone or go.mod has changed.
func TestSetupRunsOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.program("node", "echo 20")
	p.program("rg", "echo ripgrep 13")
	chromium := p.program("chromium", "echo Chromium 1")
	driver := filepath.Dir(p.write(filepath.Join(p.root, "driver", "prepared"), ""))
	env := []string{"AUTONOMOUS_LOOP_DRIVER=" + driver, "AUTONOMOUS_LOOP_CHROMIUM=" + chromium}
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{"go.mod", "tools/setup.sh"} {
		if err := os.Chtimes(filepath.Join(p.root, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	const done = "setup: ready: build/env\n"
	run := func(want string) {
		t.Helper()
		if out, err := p.setup(env...); err != nil || out != want {
			t.Errorf("%v: got %q, want %q", err, out, want)
		}
	}
	run(done)
	b, err := os.ReadFile(filepath.Join(p.root, "build", "env"))
	want := "AUTONOMOUS_LOOP_CHROMIUM=" + chromium + "\nAUTONOMOUS_LOOP_DRIVER=" + driver + "\nAUTONOMOUS_LOOP_NODE=" + filepath.Join(p.bin, "node") + "\n"
	if err != nil || string(b) != want {
		t.Errorf("build/env: %q, want %q, %v", b, want, err)
	}
	run("")

	soon := time.Now().Add(time.Minute)
	if err := os.Chtimes(filepath.Join(p.root, "go.mod"), soon, soon); err != nil {
		t.Fatal(err)
	}
	run(done)
	if err := os.Chtimes(filepath.Join(p.root, "go.mod"), old, old); err != nil {
		t.Fatal(err)
	}
	run("")
	env[1] = "AUTONOMOUS_LOOP_CHROMIUM=" + p.program("chrome", "echo Chrome 2")
	run(done)
	if err := os.Remove(filepath.Join(p.bin, "chrome")); err != nil {
		t.Fatal(err)
	}
	if out, err := p.setup(env...); err == nil || !strings.Contains(out, "chrome does not run") {
		t.Errorf("%v: got %q", err, out)
	}
}
