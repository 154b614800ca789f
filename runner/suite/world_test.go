package suite

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A tree is a project: path -> text.
type tree map[string]string

// lay writes a project into a directory.
func lay(t *testing.T, files tree) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for p, text := range files {
		put(t, filepath.Join(dir, p), text)
	}
	return dir
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// do runs the tests of the project in dir as the gates do, but isolates nothing.
func do(t *testing.T, dir, override string) Report {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	all, err := Find(root, override)
	if err != nil {
		t.Fatal(err)
	}
	var rs []Report
	for _, s := range all {
		run := run(t, s, dir, root, 5*time.Minute)
		r, err := s.Read(run)
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
		if *record && len(all) == 1 {
			keep(t, s, override, run, r)
		}
	}
	return Merge(rs)
}

func run(t *testing.T, s Suite, dir string, root *os.Root, patience time.Duration) Run {
	t.Helper()
	kit := Kit{Nonce: "loop-5eed", Dir: filepath.Join(t.TempDir(), "kit"), Out: t.TempDir(), Timeout: patience}
	plan := s.Plan(kit)
	for name, text := range plan.Files {
		put(t, filepath.Join(kit.Dir, name), text)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", plan.Script)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "NO_COLOR=1", "GOCACHE=" + cache(t), "GOFLAGS=-mod=mod", "GOPROXY=off", "LANG=C.UTF-8"}
	if home, err := os.UserHomeDir(); err == nil { // where rustup and cargo may be
		cmd.Env = append(cmd.Env, "RUSTUP_HOME="+cmp.Or(os.Getenv("RUSTUP_HOME"), filepath.Join(home, ".rustup")), "CARGO_HOME="+cmp.Or(os.Getenv("CARGO_HOME"), filepath.Join(home, ".cargo")), "CARGO_NET_OFFLINE=true")
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return Run{Kit: kit, Dir: dir, Root: root, Log: out.String(), Code: cmd.ProcessState.ExitCode(), TimedOut: ctx.Err() != nil, Wall: time.Since(start)}
}

// cache is where Go keeps what it built, for all tests.
func cache(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// believed says what is wrong with a report as a whole.
func believed(r Report) string { return r.Broken + strings.Join(r.Early, "; ") }

func sorted(all []said) []said {
	slices.SortFunc(all, func(a, b said) int { return strings.Compare(a.Name, b.Name) })
	return all
}
