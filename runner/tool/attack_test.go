package tool

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

const secret = "TOP-SECRET-CANARY"

// naive is the confinement that this package does not use: the negative control
// of the attacks. Where it leaks, the attack is a real one.
func naive(dir, p string) string {
	full := filepath.Join(dir, p)
	if !strings.HasPrefix(full, dir) {
		return "denied"
	}
	data, err := os.ReadFile(full)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func TestFileToolsStayInside(t *testing.T) {
	b := open(t, map[string]string{"sub/ok.txt": "inside\n", "ok.txt": "inside\n"})
	ws, top := b.o.Dir, filepath.Dir(b.o.Dir)
	out := filepath.Join(top, "outside")
	put(t, top, map[string]string{"secret": secret, "outside/f": secret, "ws-secret/f": secret})
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(ws, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("../secret", "rel")
	link(filepath.Join(top, "secret"), "abs")
	link("../outside", "dir")
	link("../../secret", "sub/up")
	link(fmt.Sprintf("/proc/self/root%s/secret", top), "procroot")
	link("/proc/self/environ", "environ")
	held, err := os.Open(filepath.Join(top, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	link(fmt.Sprintf("/proc/self/fd/%d", held.Fd()), "fd")
	link("loop", "loop")
	link("ok.txt", "inrel")
	link("sub", "indir")
	link(filepath.Join(ws, "ok.txt"), "inabs")
	link("/dev/zero", "zero")
	if err := os.Link(filepath.Join(top, "secret"), filepath.Join(ws, "hard")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(ws, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(ws, "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("CANARY", secret)
	put(t, ws, map[string]string{".git/config": "[core]"})

	const leaks, hangs = true, true
	for _, c := range []struct {
		path  string
		naive bool // leaks
		skip  bool // the control would hang
		read  string
		write string // "" as read
	}{
		{"../secret", false, false, "leads out", ""},
		{"sub/../../secret", false, false, "leads out", ""},
		{out + "/f", false, false, "outside of the project", ""},
		{"/proc/self/environ", false, false, "outside of the project", ""},
		{"../ws-secret/f", leaks, false, "leads out", ""},
		{ws + "-secret/f", false, false, "outside of the project", ""},
		{"rel", leaks, false, "leads out", "not written through"},
		{"abs", leaks, false, "leads out", "not written through"},
		{"dir/f", leaks, false, "leads out", "not written through"},
		{"dir/new", false, false, "", "not written through"},
		{"sub/up", leaks, false, "leads out", "not written through"},
		{"procroot", leaks, false, "leads out", "not written through"},
		{"environ", false, false, "leads out", "not written through"}, // the control reads what it had at its start
		{"fd", leaks, false, "leads out", "not written through"},
		{"loop", false, false, "leads nowhere", "not written through"},
		{"hard", leaks, false, "2 hard links", ""},
		{"fifo", false, hangs, "named pipe", ""},
		{"sock", false, hangs, "", "a socket"},
		{"zero", false, hangs, "leads out", "not written through"},
		{"inabs", false, false, "absolute symbolic link, which is not followed; use ok.txt", "not written through"},
		{"indir/ok.txt", false, false, "inside", "not written through"},
		{"inrel", false, false, "inside", "not written through"},
		{".git/config", false, false, "belongs to the harness", ""},
		{".GIT/hooks/pre-commit", false, false, "belongs to the harness", ""},
		{"sub/.git", false, false, "belongs to the harness", ""},
		{"a\x00b", false, false, "control character", ""},
		{"a\nb", false, false, "control character", ""},
		{"", false, false, "directory", "not a file"},
		{"sub", false, false, "directory", "directory"},
		{"ok.txt/x", false, false, "no directory", "no directory"},
	} {
		t.Run(strings.ReplaceAll(c.path, "/", "|"), func(t *testing.T) {
			if !c.skip {
				if got := strings.Contains(naive(ws, c.path), secret); got != c.naive {
					t.Errorf("the control leaks: %v, want %v", got, c.naive)
				}
			}
			before := tree(t, top)
			got := use(t, b, "read_file", args{"path": c.path})
			has(t, got, c.read)
			if strings.Contains(got, secret) {
				t.Fatal("read_file leaks")
			}
			for _, path := range []string{c.path, "."} {
				if got := use(t, b, "search", args{"pattern": secret[:6], "path": path}); strings.Contains(got, secret) {
					t.Fatal("search leaks")
				}
			}
			write := c.write
			if write == "" {
				write = c.read
			}
			for _, got := range []string{
				use(t, b, "write_file", args{"path": c.path, "content": "owned"}),
				use(t, b, "edit_file", args{"path": c.path, "edits": []args{{"old": "inside", "new": "owned"}, {"old": secret, "new": "owned"}}}),
			} {
				has(t, got, agent.Failed, write)
			}
			if d := cmp.Diff(tree(t, top), before); d != "" {
				t.Error(d)
			}
		})
	}
	if got := use(t, b, "find_files", args{"glob": "**"}); strings.Contains(got, "dir/f") || !strings.Contains(got, "sub/ok.txt") {
		t.Errorf("find_files follows links: %s", got)
	}
}

// A job may swap a directory for a link while a file tool is on its way.
func TestSwappedDirectoryDoesNotLeak(t *testing.T) {
	b := open(t, map[string]string{"d/f": "inside"})
	ws, top := b.o.Dir, filepath.Dir(b.o.Dir)
	put(t, top, map[string]string{"outside/f": secret})
	if err := os.Symlink("../outside", filepath.Join(ws, "evil")); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				err := unix.Renameat2(unix.AT_FDCWD, filepath.Join(ws, "d"), unix.AT_FDCWD, filepath.Join(ws, "evil"), unix.RENAME_EXCHANGE)
				if err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	in, out, control := 0, 0, 0
	for i := range 3000 {
		if got := use(t, b, "read_file", args{"path": "d/f"}); strings.Contains(got, secret) {
			t.Fatal("leaked")
		} else if strings.Contains(got, "inside") {
			in++
		}
		if got := use(t, b, "write_file", args{"path": "d/f", "content": fmt.Sprint("inside", i)}); !strings.HasPrefix(got, agent.Failed) {
			out++
		}
		if real, err := filepath.EvalSymlinks(filepath.Join(ws, "d/f")); err == nil && strings.HasPrefix(real, ws+"/") {
			if data, _ := os.ReadFile(filepath.Join(ws, "d/f")); string(data) == secret {
				control++ // checked, then opened
			}
		}
	}
	close(stop)
	wg.Wait()
	if got, err := os.ReadFile(filepath.Join(top, "outside/f")); err != nil || string(got) != secret {
		t.Fatalf("written outside: %q, %v", got, err)
	}
	if entries, err := os.ReadDir(filepath.Join(top, "outside")); err != nil || len(entries) != 1 {
		t.Errorf("made outside: %v, %v", entries, err)
	}
	if in == 0 || out == 0 {
		t.Errorf("the tools never got through: %d reads, %d writes", in, out)
	}
	t.Logf("%d reads and %d writes of 3000 got through, none outside; check-then-open leaked %d times", in, out, control)
}

func FuzzPathsStayInside(f *testing.F) {
	for _, p := range []string{"a", "../x", "d/../../x", "l/x", "/etc/x", "a/b/c", "l", ".git/x", "d\\x", "…", "d/./e//f", " "} {
		f.Add(p, "text")
	}
	f.Fuzz(func(t *testing.T, path, text string) {
		b := open(t, map[string]string{"d/f": "x"})
		top := filepath.Dir(b.o.Dir)
		put(t, top, map[string]string{"outside/f": secret})
		if err := os.Symlink("../outside", filepath.Join(b.o.Dir, "l")); err != nil {
			t.Fatal(err)
		}
		before := tree(t, filepath.Join(top, "outside"))
		use(t, b, "write_file", args{"path": path, "content": text})
		use(t, b, "read_file", args{"path": path})
		use(t, b, "edit_file", args{"path": path, "edits": []args{{"old": text, "new": text + "y"}}})
		if d := cmp.Diff(tree(t, filepath.Join(top, "outside")), before); d != "" {
			t.Error(d)
		}
		entries, err := os.ReadDir(top)
		if err != nil || len(entries) != 3 { // ws, outside, logs
			t.Errorf("%v, %v", entries, err)
		}
	})
}
