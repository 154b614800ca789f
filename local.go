package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/autonomous-loop/autonomous-loop/report"
	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/agent"
	"github.com/autonomous-loop/autonomous-loop/runner/forge"
)

// On a laptop a loop is a chain of processes: a parent that shows progress, and
// one child per session. A child that wants a successor leaves a file in a
// queue beside the repository, and the parent starts it. A child that dies
// without a word is followed by another one, as a job would be by the schedule.

// childVariable names the variable by which a child knows that it is one. Its
// value is a childTask.
const childVariable = "AUTONOMOUS_LOOP_CHILD"

type childTask struct {
	Dir     string         `json:"dir"` // private to this session
	Trigger runner.Trigger `json:"trigger"`
	Lineage string         `json:"lineage,omitempty"`
}

// A message is what a child tells its parent, one JSON line on file 3.
type message struct {
	Event *runner.Event      `json:"event,omitempty"`
	Turn  string             `json:"turn,omitempty"`
	Rung  string             `json:"isolation,omitempty"`
	End   *runner.LoopResult `json:"end,omitempty"`
	Error string             `json:"error,omitempty"`
	Exit  int                `json:"exit,omitempty"`
}

// errCrashes says that sessions died one after the other.
var errCrashes = errors.New("sessions died one after the other without a word; look at what they said last, then start again")

// repository finds the git directory of a repository on disk.
func repository(dir string) (gitDir string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	is := func(path string) bool { _, err := os.Stat(path); return err == nil }
	dot := filepath.Join(dir, ".git")
	switch {
	case is(filepath.Join(dot, "HEAD")):
		return dot, nil
	case is(filepath.Join(dir, "HEAD")) && is(filepath.Join(dir, "objects")):
		return dir, nil
	}
	if data, err := os.ReadFile(dot); err == nil { // a linked work tree or a submodule
		link, _ := strings.CutPrefix(strings.TrimSpace(string(data)), "gitdir: ")
		if !filepath.IsAbs(link) {
			link = filepath.Join(dir, link)
		}
		if common, err := os.ReadFile(filepath.Join(link, "commondir")); err == nil { //nolint:gosec // a person's own repository says where it lies
			return filepath.Join(link, strings.TrimSpace(string(common))), nil
		}
		return link, nil
	}
	return "", fmt.Errorf("%s is not a git repository; name one with --repo, or make one with `git init` and a first commit", dir)
}

// localPlace is a repository on disk with its forge beside it.
func localPlace(c config, gitDir string, t childTask, now time.Time) (place, error) {
	self, err := forge.Self()
	if err != nil {
		return place{}, err
	}
	branch := strings.TrimPrefix(c.workBranch(), "refs/heads/")
	return place{
		remote: gitDir, owner: runner.Owner{Run: self, Attempt: 1, Claimed: now},
		trigger: t.Trigger, lineage: t.Lineage, local: true,
		links: report.Links{Repository: filepath.Base(strings.TrimSuffix(gitDir, "/.git")), Branch: branch, Resume: "autonomous-loop run"},
		forge: func(config, string) (runner.Forge, error) {
			return forge.Local(forge.LocalOptions{Dir: forgeDir(gitDir, c.Loop), Run: self, PullRequest: forge.PullRequest(c.PullRequest)}), nil
		},
	}, nil
}

// personal is what a person ignores in all of their repositories, and in this
// one, as git has it: their wishes for what is committed in their name. They lie
// where no session can write. Nothing else of their configuration counts: what
// is recorded would depend on the machine.
func personal(ctx context.Context, env environment, gitDir string) []string {
	out, err := exec.CommandContext(ctx, "git", "-C", gitDir, "config", "--path", "--get", "core.excludesFile").Output()
	global := strings.TrimSpace(string(out))
	if err != nil || global == "" {
		global = filepath.Join(cmp.Or(env.getenv("XDG_CONFIG_HOME"), filepath.Join(env.getenv("HOME"), ".config")), "git", "ignore")
	}
	var texts []string
	for _, name := range []string{global, filepath.Join(gitDir, "info", "exclude")} {
		if text, err := os.ReadFile(name); err == nil { // most people have none
			texts = append(texts, string(text))
		}
	}
	return texts
}

func forgeDir(gitDir, loop string) string { return filepath.Join(gitDir, "autonomous-loop", loop) }

// child runs one session and tells its parent how it goes.
func child(ctx context.Context, env environment, lookup func(string) string, gitDir, task string) error {
	var t childTask
	if err := json.Unmarshal([]byte(task), &t); err != nil {
		return fmt.Errorf("%s: %w", childVariable, err)
	}
	to := json.NewEncoder(os.NewFile(3, "parent"))
	send := func(m message) { _ = to.Encode(m) } // a parent that is gone hears nothing; the session goes on
	res, err := func() (runner.LoopResult, error) {
		c, err := parseConfig(lookup)
		if err != nil {
			return runner.LoopResult{}, usage(err)
		}
		ctx, cancel := softDeadline(ctx, env.now(), c.SessionMinutes)
		defer cancel()
		// The session goes on when its parent is killed.
		lock, err := hold(filepath.Join(t.Dir, lockName))
		if err != nil {
			return runner.LoopResult{}, err
		}
		defer lock.Close()
		p, err := localPlace(c, gitDir, t, env.now())
		if err != nil {
			return runner.LoopResult{}, err
		}
		p.seeds = seedsDir(env.getenv)
		p.ignore = personal(ctx, env, gitDir)
		s, err := wire(ctx, env, lookup, p, t.Dir, func(e runner.Event) { send(message{Event: &e}) }, func(e agent.Event) {
			if e.Tool != "" {
				send(message{Turn: fmt.Sprintf("turn %d: %s %s", e.Turn, e.Tool, e.Arg)})
			}
		})
		if err != nil {
			return runner.LoopResult{}, err
		}
		send(message{Rung: s.rung})
		if c.DryRun {
			o, err := s.Preview(ctx)
			if err == nil {
				for _, line := range outlook(o, c) {
					send(message{Event: &runner.Event{Time: env.now(), Step: "outlook", Text: line}})
				}
			}
			return seen(o), errors.Join(err, s.Close())
		}
		res, err := s.Run(ctx)
		return res, errors.Join(err, s.Close())
	}()
	if errors.Is(err, errOff) {
		send(message{Event: &runner.Event{Time: env.now(), Step: "off", Text: err.Error() + "; no session is started"}})
	}
	m := message{End: &res, Exit: exitCode(err)}
	if err != nil {
		m.Error = err.Error()
	}
	send(m)
	return err
}

// A chain runs sessions one after the other until none is asked for.
type chain struct {
	env    environment
	args   []string // of this program, as the parent got them
	gitDir string
	config config
	folder *forge.Folder
	show   *progress
	// kill says whether the child that told of e is to be killed: the demo does
	// that once. nil: never.
	kill func(e runner.Event, turn string) bool
}

// crashes is how many sessions in a row may die without a word.
const crashes = 3

func (c *chain) run(ctx context.Context) (runner.LoopResult, error) {
	task := childTask{Trigger: runner.ByPerson}
	for died := 0; ; {
		m, err := c.session(ctx, task)
		if err != nil {
			return runner.LoopResult{}, err
		}
		switch {
		case m.End != nil && m.Exit != exitDone:
			return *m.End, &sessionError{m.Error, m.Exit}
		case m.End != nil:
			died = 0
		default:
			died++
			c.show.line(fmt.Sprintf("the session died (%s); the next one carries on", m.Error))
			if died == crashes {
				return runner.LoopResult{}, errCrashes
			}
			task = childTask{Trigger: runner.ByClock}
			continue
		}
		if c.config.DryRun {
			return *m.End, nil // and no request is taken up
		}
		next, ok, err := c.folder.Pending()
		if err != nil || !ok || ctx.Err() != nil {
			return *m.End, err
		}
		if err := c.folder.Take(next); err != nil {
			return *m.End, err
		}
		task = childTask{Trigger: runner.ByChain, Lineage: next.Lineage}
	}
}

// A sessionError is what a child said before it exited.
type sessionError struct {
	text string
	code int
}

func (e *sessionError) Error() string { return e.text }

// session starts a child and listens until it ends. A child that ends without
// an end to tell has died.
func (c *chain) session(ctx context.Context, task childTask) (message, error) {
	clearLeftovers(os.TempDir())
	dir, remove, err := privateDir()
	if err != nil {
		return message{}, err
	}
	defer remove()
	task.Dir = dir
	value, err := json.Marshal(task)
	if err != nil {
		return message{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return message{}, err
	}
	from, to, err := os.Pipe()
	if err != nil {
		return message{}, err
	}
	defer from.Close()
	log := &lockedBuffer{}
	cmd := exec.CommandContext(ctx, self)
	cmd.Args = append([]string{"autonomous-loop"}, c.args...)
	cmd.Env = append(os.Environ(), childVariable+"="+string(value)) //nolint:forbidigo // a child has its parent's environment
	cmd.ExtraFiles = []*os.File{to}
	cmd.Stdout, cmd.Stderr = log, log
	// The child puts its work in order when it is interrupted, so it gets time.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	// Of its own group, so that a terminal's signals reach it through us: once.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return message{}, errors.Join(err, to.Close())
	}
	if err := to.Close(); err != nil {
		return message{}, err
	}
	over := make(chan struct{})
	go func() {
		select {
		case <-c.env.leave.hurry:
			_ = cmd.Process.Signal(syscall.SIGTERM) // the second: it hurries, too
		case <-over:
		}
	}()
	end, err := c.listen(from, cmd.Process)
	waited := cmd.Wait()
	close(over)
	if end.End == nil {
		end.Error = strings.TrimSpace(fmt.Sprintf("%v: %s", waited, lastLines(string(log.bytes()), 10)))
	}
	return end, err
}

func (c *chain) listen(from io.Reader, p *os.Process) (message, error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return m, fmt.Errorf("listen to the session: %w", err)
		}
		switch {
		case m.End != nil:
			return m, nil
		case m.Event != nil:
			c.show.show(*m.Event)
		case m.Rung != "":
			c.show.line("isolation: " + m.Rung)
		default:
			c.show.turn(m.Turn)
		}
		if c.kill != nil && c.kill(c.show.last, m.Turn) {
			c.show.line("the demo kills this session with SIGKILL")
			if err := p.Kill(); err != nil {
				return m, err
			}
			c.kill = nil
		}
	}
	return message{}, nil
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
