package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
)

// What a setup leaves at home is there in each run of its tree, and of those that
// share its packages, as the setup left it: whatever a run makes of it. Another
// setup begins with nothing.
func TestHomeOfTheSetup(t *testing.T) {
	const leaves = `test ! -e ~/.setting || echo met >>~/.setting; echo "$HOME" >>~/.setting; mkdir -p ~/.local/bin ~/.npm/_cacache; echo cached >~/.npm/_cacache/x; ` +
		`head -c 100000 /dev/zero >~/.local/large; ln -s large ~/.local/link; chmod 700 ~/.local; echo gone >"$TMPDIR/x"; printf '#!/bin/sh\necho tool\n' >~/.local/bin/tool; chmod +x ~/.local/bin/tool`
	const looks = `cat ~/.setting; cd ~; ls -A . .npm; cd "$TMPDIR"; ls -A .; wc -c <~/.local/link; ~/.local/bin/tool; stat -c %a "$(head -n 1 ~/.setting)/.local"`
	const spoils = `echo spoilt >>~/.setting; rm -rf ~/.local/large; echo spoilt >~/.local/large; echo spoilt >"$TMPDIR/x"; mkdir ~/more; ` +
		`old=$(head -n 1 ~/.setting); chmod 777 "$old/.local"; touch "$old/.local/more"; true`
	nobody := func(path string) error { return exec.Command("chown", "-hR", "65534:65534", path).Run() }
	for name, own := range map[string]func(string) error{"same user": nil, "another user": nobody} {
		if own != nil && os.Geteuid() != 0 {
			continue // only root can hand files to another user
		}
		for _, setup := range []string{"npm ci", "npm ci; true"} { // kept for all, and run in each tree
			t.Run(name+", "+setup, func(t *testing.T) {
				bin, _ := fakeNpm(t, leaves)
				for d := bin; own != nil && d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
					if err := os.Chmod(d, 0o777); err != nil { // another user counts there
						t.Fatal(err)
					}
				}
				w := newWorld(t, func(o *Options) {
					o.Own, o.Setup, o.Env = own, setup, []string{"PATH=" + bin + ":" + os.Getenv("PATH")}
					if own != nil {
						o.Run = execRunner{as: &syscall.Credential{Uid: 65534, Gid: 65534}}
						o.Dir = openDir(t)
					}
				})
				run := func(files tree, script string) string {
					t.Helper()
					dir, done, err := w.checkout(t.Context(), w.git.write(files))
					if err != nil {
						t.Fatal(err)
					}
					defer done()
					out, err := w.run(t.Context(), w.o.Run, sandbox.Command{Argv: []string{"sh", "-c", script}, Dir: dir})
					if err != nil {
						t.Fatal(err)
					}
					return out.Text
				}
				a := tree{"package.json": "{}", "package-lock.json": "a"}
				first := run(a, looks)
				for _, part := range []string{"/home\n", ".local\n", "100000\n", "tool\n"} {
					if !strings.Contains(first, part) {
						t.Errorf("the first run misses %q: %s", part, first)
					}
				}
				for _, part := range []string{"gone", "met", "_cacache", "\nx\n"} {
					if strings.Contains(first, part) {
						t.Errorf("the first run has %q: %s", part, first)
					}
				}
				run(a, spoils)
				if again := run(a, looks); own != nil && again != first || strings.Contains(again, "spoilt") || strings.Contains(again, "more\n") && own != nil {
					t.Errorf("the next run sees\n%s\nwant\n%s", again, first)
				}
				if other := run(tree{"package.json": "{}", "package-lock.json": "b"}, looks); strings.Contains(other, "met") || strings.Count(other, "/home\n") != 1 {
					t.Errorf("another setup met the home of the first: %s", other)
				}
			})
		}
	}
}
