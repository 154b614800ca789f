package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// grace is what a command has between being told to stop and being killed: long
// enough to say why.
const grace = 2 * time.Second

// A Process is a command that was started, with all that it started.
type Process struct {
	s     *Sandbox
	cmd   *exec.Cmd
	kin   kin
	out   *capture
	env   []string // the command's
	stdin *os.File // nil if it has none to write to
	begun time.Time

	stop     chan struct{} // closed: it is to end
	stopOnce sync.Once
	now      chan struct{} // closed: and at once
	nowOnce  sync.Once

	done   chan struct{} // closed: it has ended; the fields below are set
	result Output
	err    error
}

// Run runs c to its end, and ends what it left running. An error means that it
// could not be run; a command that failed, was not found, or ran out of time is
// an output.
func (s *Sandbox) Run(ctx context.Context, c Command) (Output, error) {
	return s.run(ctx, c, nil)
}

func (s *Sandbox) run(ctx context.Context, c Command, p *probe) (Output, error) {
	proc, err := s.start(ctx, c, false, p)
	if err != nil {
		return Output{}, err
	}
	<-proc.done
	return proc.result, proc.err
}

// Start starts c and returns: for servers and what else goes on in the
// background. It ends by itself, by its timeout, when ctx does, by
// [Process.Stop] or by [Sandbox.Close]. Its stdin stays open, after c.Stdin, for
// [Process.Write].
func (s *Sandbox) Start(ctx context.Context, c Command) (*Process, error) {
	return s.start(ctx, c, true, nil)
}

func (s *Sandbox) start(ctx context.Context, c Command, job bool, probe *probe) (_ *Process, err error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if probe == nil {
		if err := s.Held(); err != nil {
			return nil, err
		}
	}
	if err := s.check(c); err != nil {
		return nil, fmt.Errorf("run %s: %w", name(c), err)
	}
	c, leave, err := s.lodge(c)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", name(c), err)
	}
	defer func() {
		if err != nil {
			leave()
		}
	}()
	p := &Process{s: s, stop: make(chan struct{}), now: make(chan struct{}), done: make(chan struct{})}
	m, err := claim()
	if err != nil {
		return nil, err
	}
	if p.out, err = newCapture(c.Head, c.Tail, c.Log); err != nil {
		m.release()
		return nil, err
	}
	output, err := p.launch(c, m, job, probe)
	if err != nil {
		m.release()
		p.out.close()
		return nil, fmt.Errorf("run %s: %w", name(c), err)
	}
	go p.supervise(ctx, c.Timeout, output, func() {
		m.sweep()
		leave()
		m.release()
	})
	if job && len(c.Stdin) > 0 {
		if err := p.Write(c.Stdin); err != nil {
			p.Stop()
			return nil, fmt.Errorf("run %s: %w", name(c), err)
		}
	}
	return p, nil
}

func name(c Command) string {
	if len(c.Argv) == 0 {
		return "a command"
	}
	return c.Argv[0]
}

// launch starts the helper and waits until it has become the command. It
// returns the pipe that carries both stdout and stderr: one, so that their order
// is kept.
func (p *Process) launch(c Command, m mark, job bool, probe *probe) (output *os.File, err error) {
	s := p.s
	pol := s.policy(c, m)
	pol.Parent, pol.Probe = os.Getpid(), probe
	p.env = pol.Env
	text, err := json.Marshal(pol)
	if err != nil {
		return nil, err
	}
	var theirs, ours []*os.File // to close: always, and on failure
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
		if err != nil {
			for _, f := range ours {
				f.Close()
			}
		}
	}()
	pipe := func() (r, w *os.File) {
		if err == nil {
			r, w, err = os.Pipe()
		}
		return r, w
	}
	output, stdout := pipe()
	silence, report := pipe()
	if err != nil {
		return nil, err
	}
	ours, theirs = append(ours, output, silence), append(theirs, stdout, report)
	policyFile, err := memory("policy", text)
	if err != nil {
		return nil, err
	}
	theirs = append(theirs, policyFile)
	var stdin *os.File
	switch {
	case job:
		stdin, p.stdin = pipe()
		if err == nil {
			ours = append(ours, p.stdin)
		}
	case c.Stdin != nil:
		stdin, err = memory("stdin", c.Stdin)
	default:
		stdin, err = os.Open(os.DevNull)
	}
	if err != nil {
		return nil, err
	}
	theirs = append(theirs, stdin)
	if pol.Drop {
		// Else a command could not open /dev/stdout and /dev/stderr, whose inode is ours.
		if err := errors.Join(stdout.Chown(pol.UID, pol.GID), chownPipe(stdin, job, pol)); err != nil {
			return nil, err
		}
	}
	p.cmd = &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{helperName}, Env: []string{}, // not nil, which would mean ours
		Stdin: stdin, Stdout: stdout, Stderr: stdout, ExtraFiles: []*os.File{policyFile, report},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := p.begin(c.Net, m); err != nil {
		return nil, err
	}
	report.Close()
	said, err := io.ReadAll(silence)
	silence.Close()
	if err == nil && len(said) > 0 {
		err = errors.New(strings.TrimSpace(string(said)))
	}
	if err != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait() // how it ended is known
		s.forget(p)
		close(p.done) // Close may be waiting for it
		return nil, err
	}
	return output, nil
}

func chownPipe(stdin *os.File, job bool, pol policy) error {
	if !job {
		return nil
	}
	return stdin.Chown(pol.UID, pol.GID)
}

// begin starts the helper, on the thread that is under the rules of its
// network, and notes it, unless the sandbox is closed.
func (p *Process) begin(n Net, m mark) error {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("the sandbox is closed")
	}
	l := s.plain
	if n == Local && s.rung.confine {
		if s.ports == nil {
			var err error
			if s.ports, err = newLauncher(confinePorts); err != nil {
				return err
			}
		}
		l = s.ports
	}
	p.begun = s.now()
	if err := l.do(p.cmd.Start); err != nil {
		return err
	}
	s.live[p] = true
	p.kin = s.kin(m, p.cmd.Process.Pid)
	return nil
}

// forget strikes a process that is over off the list.
func (s *Sandbox) forget(p *Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, p)
}

// supervise waits for the end of the command, or brings it about, and then ends
// all that it left, and leaves.
func (p *Process) supervise(ctx context.Context, timeout time.Duration, output *os.File, leave func()) {
	copied := make(chan struct{})
	go func() {
		_, _ = io.Copy(p.out, output)
		close(copied)
	}()
	exited := make(chan error, 1)
	go func() { exited <- p.cmd.Wait() }()

	var res Output
	var waited error
	var expired <-chan time.Time
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		expired = timer.C
	}
	gone := false
	select {
	case waited = <-exited:
		gone = true
	case <-expired:
		res.TimedOut = true
	case <-ctx.Done():
		res.Cancelled = true
	case <-p.stop:
	}
	var errs []error
	if !gone {
		errs = append(errs, p.kin.tell(unix.SIGTERM))
		last := time.NewTimer(grace)
		defer last.Stop()
		select {
		case waited = <-exited:
			gone = true
		case <-last.C:
		case <-p.now:
		}
	}
	left, err := p.kin.end()
	errs = append(errs, err)
	if !gone {
		if err != nil {
			_ = p.cmd.Process.Kill()
		}
		waited = <-exited
	}
	res.Wall = p.s.now().Sub(p.begun)
	// Every holder of the pipe is dead, so it ends at once, unless a command
	// gave it away over a socket to one that runs on.
	last := time.NewTimer(grace)
	defer last.Stop()
	select {
	case <-copied:
	case <-last.C:
		errs = append(errs, output.SetReadDeadline(time.Unix(1, 0)))
		<-copied
	}
	output.Close()
	if p.stdin != nil {
		p.stdin.Close()
	}
	if _, ok := errors.AsType[*exec.ExitError](waited); !ok {
		errs = append(errs, waited)
	}
	p.finish(res, left, errors.Join(errs...))
	leave()
	p.s.forget(p)
	close(p.done)
}

// finish writes down what became of the command.
func (p *Process) finish(res Output, left int, err error) {
	res.Leftover = left
	if state := p.cmd.ProcessState; state != nil {
		res.CPU = state.UserTime() + state.SystemTime()
		res.Code = state.ExitCode()
		if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			res.Signal = status.Signal().String()
			res.Code = 128 + int(status.Signal())
		}
	}
	p.out.close()
	p.result, p.err = p.shown(res), err
}

// shown adds what the command has said.
func (p *Process) shown(o Output) Output {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	o.Text, o.Bytes, o.Lines, o.Log, o.Env = p.out.text(), p.out.total, p.out.lines, p.out.name, p.env
	return o
}

// Done is closed when the process and all that it started are over.
func (p *Process) Done() <-chan struct{} { return p.done }

// Output is what is known so far; the code is -1 until it is over.
func (p *Process) Output() Output {
	select {
	case <-p.done:
		return p.result
	default:
		return p.shown(Output{Code: -1, Wall: p.s.now().Sub(p.begun)})
	}
}

// Since is what was said after the first offset bytes, and the offset to ask
// from next: that, and no more, is new then.
func (p *Process) Since(offset int64) (text string, next int64) {
	select {
	case <-p.done:
		return p.out.since(offset, true)
	default:
		return p.out.since(offset, false)
	}
}

// Write writes to the stdin of a started process. It does not wait for one that
// does not read.
func (p *Process) Write(b []byte) error {
	if p.stdin == nil {
		return errors.New("write to stdin: it has none that is open")
	}
	sent := make(chan error, 1)
	go func() { // ends at the latest with the process, which closes the pipe
		_, err := p.stdin.Write(b)
		sent <- err
	}()
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select {
	case err := <-sent:
		if err != nil {
			return fmt.Errorf("write to stdin: %w", err)
		}
		return nil
	case <-p.done:
		return errors.New("write to stdin: it is over")
	case <-patience.C:
		return fmt.Errorf("write to stdin: it has not read for %v", grace)
	}
}

// Stop ends the process and all that it started: they are told to, and killed
// if they have not gone after two seconds. It returns when they are over;
// stopping twice is harmless.
func (p *Process) Stop() Output {
	p.end(politely)
	<-p.done
	return p.result
}

type manner bool

const (
	politely manner = false
	atOnce   manner = true
)

func (p *Process) end(how manner) {
	p.stopOnce.Do(func() { close(p.stop) })
	if how == atOnce {
		p.nowOnce.Do(func() { close(p.now) })
	}
}

// memory is a file without a name, with text in it, to be read from its start.
func memory(name string, text []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.Write(text)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("fill a file in memory: %w", err)
	}
	return f, nil
}

// beside is a limit on processes for commands that run as us: the kernel counts
// all of the person's, not only theirs.
func beside(limit uint64, uid int) (uint64, error) {
	threads, err := threadsOf(uid)
	return limit + threads, err
}

func threadsOf(uid int) (uint64, error) {
	ps, err := processes()
	if err != nil {
		return 0, err
	}
	var n uint64
	for _, p := range ps {
		if p.uid == uid {
			n += uint64(max(p.threads, 1))
		}
	}
	return n, nil
}
