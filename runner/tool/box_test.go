package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
)

// A bareShell runs commands without any sandbox: the fake beside [Runner].
type bareShell struct{ t testing.TB }

func (s bareShell) Run(ctx context.Context, c sandbox.Command) (sandbox.Output, error) {
	p, err := s.Start(ctx, c)
	if err != nil {
		return sandbox.Output{}, err
	}
	_ = p.(*proc).in.Close()
	select {
	case <-p.Done():
		return p.(*proc).output(), nil
	case <-time.After(c.Timeout):
		out := p.Stop()
		out.TimedOut = true
		return out, nil
	case <-ctx.Done():
		out := p.Stop()
		out.Cancelled = true
		return out, nil
	}
}

func (s bareShell) Start(ctx context.Context, c sandbox.Command) (Process, error) {
	if !filepath.IsAbs(c.Dir) || len(c.Write) != 1 && c.Argv[0] == "bash" || c.Head+c.Tail == 0 {
		s.t.Errorf("a command without directory, bounds or right to write: %+v", c)
	}
	p := &proc{c: c, cmd: exec.Command(c.Argv[0], c.Argv[1:]...), done: make(chan struct{}), begun: time.Now()}
	p.cmd.Dir = c.Dir
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	w := writer(p.collect)
	p.cmd.Stdout, p.cmd.Stderr = w, w
	p.cmd.WaitDelay = time.Second
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) })
	go func() {
		_ = p.cmd.Wait()
		if c.Log != "" {
			if err := os.WriteFile(c.Log, p.all(), 0o644); err != nil {
				s.t.Error(err)
			}
		}
		close(p.done)
	}()
	return p, nil
}

type proc struct {
	c     sandbox.Command
	cmd   *exec.Cmd
	in    io.WriteCloser
	done  chan struct{}
	begun time.Time
	mu    sync.Mutex
	buf   bytes.Buffer
}

func (p *proc) Write(b []byte) error  { _, err := p.in.Write(b); return err }
func (p *proc) Done() <-chan struct{} { return p.done }

func (p *proc) all() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(p.buf.Bytes())
}

func (p *proc) Since(from int64) (string, int64) {
	all := p.all()
	return string(all[from:]), int64(len(all))
}

func (p *proc) Stop() sandbox.Output {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
	return p.output()
}

func (p *proc) output() sandbox.Output {
	all := string(p.all())
	out := sandbox.Output{Text: middle(all, p.c.Head, p.c.Tail), Bytes: int64(len(all)), Lines: int64(strings.Count(all, "\n")), Log: p.c.Log, Wall: time.Since(p.begun)}
	ws := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	out.Code = ws.ExitStatus()
	if ws.Signaled() {
		out.Code, out.Signal = 128+int(ws.Signal()), ws.Signal().String()
	}
	return out
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func (p *proc) collect(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.Write(b)
}

// put writes files below dir; a directory ends in a slash.
func put(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// open is a box over a work tree with files, with a real shell.
func open(t testing.TB, files map[string]string, change ...func(*Options)) *Box {
	t.Helper()
	top := t.TempDir()
	dir := filepath.Join(top, "ws")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, dir, files)
	o := Options{Dir: dir, LogDir: filepath.Join(top, "logs")}
	if t, ok := t.(*testing.T); ok {
		o.Shell, o.Start = bareShell{t}, bareShell{t}.Start
	}
	for _, f := range change {
		f(&o)
	}
	b, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

type args map[string]any

// use performs one call in the implement phase.
func use(t testing.TB, b *Box, name string, in args) string {
	t.Helper()
	text, err := b.Use(t.Context(), callOf(t, name, in), agent.Permit{Phase: "implement"})
	if err != nil {
		t.Fatalf("%s %v: %v", name, in, err)
	}
	return text
}

func callOf(t testing.TB, name string, in args) agent.Call {
	t.Helper()
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	return agent.Call{ID: "1", Name: name, Args: string(raw)}
}

func content(t testing.TB, b *Box, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(b.o.Dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// tree is all that is below dir: kinds, modes, link targets and contents.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := e.Info()
		if err != nil {
			return err
		}
		what := st.Mode().String()
		switch {
		case st.Mode().IsRegular():
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			what += " " + string(data)
		case st.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			what += " -> " + to
		}
		out[p] = what
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func has(t testing.TB, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("got %q, want %q in it", text, want)
		}
	}
}

var errFake = errors.New("the fake broke")
