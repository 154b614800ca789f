package tool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

func TestWriteFile(t *testing.T) {
	b := open(t, map[string]string{"old.txt": "old\n", "run.sh": "#!/bin/sh\n", "empty": ""})
	if err := os.Chmod(filepath.Join(b.o.Dir, "run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(path, content string) string {
		return use(t, b, "write_file", args{"path": path, "content": content})
	}
	has(t, write("a/b/new.txt", "one\ntwo\n"), "created a/b/new.txt: 2 lines, 8 bytes")
	if got := content(t, b, "a/b/new.txt"); got != "one\ntwo\n" {
		t.Errorf("got %q", got)
	}
	has(t, write("a/b/new.txt", "three\n"), "replaced") // it knows what it wrote
	has(t, write("empty", "x\n"), "replaced")           // there was nothing to know
	has(t, write("old.txt", "new\n"), agent.Failed, "you have not read it")
	has(t, use(t, b, "edit_file", args{"path": "old.txt", "edits": []args{{"old": "old", "new": "x"}}}), agent.Failed, "you have not read it")
	use(t, b, "read_file", args{"path": "old.txt", "limit": 1})
	put(t, b.o.Dir, map[string]string{"old.txt": "changed by a command\n"})
	has(t, write("old.txt", "new\n"), agent.Failed, "has changed since")
	if got := content(t, b, "old.txt"); got != "changed by a command\n" {
		t.Errorf("got %q", got)
	}
	use(t, b, "read_file", args{"path": "old.txt"})
	has(t, write("old.txt", "new\n"), "replaced old.txt: 1 lines")
	has(t, write("old.txt", "new\n"), "exactly this already")
	use(t, b, "read_file", args{"path": "run.sh"})
	has(t, use(t, b, "edit_file", args{"path": "run.sh", "edits": []args{{"old": "/bin/sh", "new": "/bin/bash"}}}), "1\t#!/bin/bash")
	if st, err := os.Stat(filepath.Join(b.o.Dir, "run.sh")); err != nil || st.Mode().Perm() != 0o755 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	has(t, write("bin", "a\x00"), agent.Failed, "NUL")
	has(t, write("big", strings.Repeat("x", mostWritten+1)), agent.Failed, "too much")
	has(t, write("old.txt/x", "x"), agent.Failed, "no directory")
	has(t, use(t, b, "edit_file", args{"path": "nope", "edits": []args{{"old": "a", "new": "b"}}}), agent.Failed, "make new files with write_file")
	put(t, b.o.Dir, map[string]string{"latin": "caf\xe9\n"})
	use(t, b, "read_file", args{"path": "latin"})
	has(t, use(t, b, "edit_file", args{"path": "latin", "edits": []args{{"old": "caf", "new": "tea"}}}), agent.Failed, "not UTF-8")
	left, err := filepath.Glob(filepath.Join(b.o.Dir, ".loop-write*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestThePhaseSaysWhatMayBeWritten(t *testing.T) {
	var asked []string
	b := open(t, map[string]string{"src/a.js": "a\n"}, func(o *Options) {
		o.MayWrite = func(p agent.Phase, path string) error {
			asked = append(asked, string(p)+" "+path)
			if p == "tests" && !strings.HasPrefix(path, "test/") {
				return errors.New("only tests in this phase")
			}
			return nil
		}
	})
	if err := os.Symlink("../src", filepath.Join(b.o.Dir, "test")); err != nil { // a way around, by a link
		t.Fatal(err)
	}
	in := func(p agent.Phase, name string, in args) string {
		text, err := b.Use(t.Context(), callOf(t, name, in), agent.Permit{Phase: p})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	in("tests", "read_file", args{"path": "src/a.js"})
	edits := []args{{"old": "a", "new": "b"}}
	has(t, in("tests", "write_file", args{"path": "test/../src/b.js", "content": "x"}), agent.Failed, "only tests in this phase")
	has(t, in("tests", "edit_file", args{"path": "src/a.js", "edits": edits}), agent.Failed, "only tests in this phase")
	has(t, in("tests", "write_file", args{"path": "test/b.js", "content": "x"}), agent.Failed, "symbolic link")
	has(t, in("implement", "edit_file", args{"path": "./src/a.js", "edits": edits}), "edited src/a.js")
	if want := []string{"tests src/b.js", "tests src/a.js", "tests test/b.js", "implement src/a.js"}; strings.Join(asked, ",") != strings.Join(want, ",") {
		t.Errorf("asked %q, want %q", asked, want)
	}
}

// What the harness makes, commands must be able to change: it belongs to whom
// the directory belongs.
func TestNewFilesBelongToTheOwnerOfTheTree(t *testing.T) {
	user, group := uint32(60001), uint32(60002)
	if os.Getuid() != 0 { // who cannot give files away gets them
		user, group = uint32(os.Getuid()), uint32(os.Getgid())
	}
	b := open(t, nil)
	if err := os.Chown(b.o.Dir, int(user), int(group)); err != nil {
		t.Fatal(err)
	}
	use(t, b, "write_file", args{"path": "d/e/f", "content": "x"})
	for _, name := range []string{"d", "d/e", "d/e/f"} {
		st, err := os.Stat(filepath.Join(b.o.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if sys := st.Sys().(*syscall.Stat_t); sys.Uid != user || sys.Gid != group {
			t.Errorf("%s belongs to %d:%d", name, sys.Uid, sys.Gid)
		}
	}
}
