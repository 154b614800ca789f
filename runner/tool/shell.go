package tool

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
)

// Limits of commands.
const (
	shellTime  = 120 // seconds, unless asked otherwise
	mostTime   = 900
	shellHead  = 6 << 10
	shellTail  = 10 << 10
	mostJobs   = 5 // running at once
	mostWait   = 60
	jobPoll    = 50 * time.Millisecond
	jobStartup = time.Second // a job that fails at once says so at once
)

type shellArgs struct {
	Command    string `json:"command"`
	Workdir    string `json:"workdir"`
	Timeout    int    `json:"timeout_s"`
	Background bool   `json:"background"`
}

func (b *Box) shell(ctx context.Context, p agent.Permit, in shellArgs) (string, error) {
	if strings.TrimSpace(in.Command) == "" {
		return "", errors.New("the command is empty")
	}
	if dir, text, is, err := patchIn(in.Command); is {
		if err != nil {
			return "", err
		}
		if !path.IsAbs(dir) {
			dir = path.Join(in.Workdir, dir)
		}
		return b.applyPatch(p, text, dir)
	}
	dir, err := b.workdir(in.Workdir)
	if err != nil {
		return "", err
	}
	c := sandbox.Command{
		Argv: []string{"bash", "-c", in.Command}, Dir: dir, Net: b.o.Net,
		Write: []string{b.o.Dir}, Head: shellHead, Tail: shellTail, Log: b.nextLog(),
	}
	if b.o.LogDir != "" {
		c.Read = []string{b.o.LogDir}
	}
	if in.Background {
		return b.start(ctx, c)
	}
	if b.o.Shell == nil {
		return "", errors.New("there is no shell in this environment")
	}
	seconds := shellTime
	if in.Timeout > 0 {
		seconds = min(in.Timeout, mostTime)
	}
	c.Timeout = time.Duration(seconds) * time.Second
	out, err := b.o.Shell.Run(ctx, c)
	if err != nil {
		return "", broken{fmt.Errorf("run a command: %w", err)}
	}
	return told(out, seconds), nil
}

func (b *Box) workdir(dir string) (string, error) {
	if strings.TrimSpace(dir) == "" {
		return b.o.Dir, nil
	}
	s, err := b.spot(dir)
	if err != nil {
		return "", err
	}
	st, err := s.root.Stat(s.name)
	if err != nil {
		return "", b.why(s, err)
	}
	if s.log || !st.IsDir() {
		return "", fmt.Errorf("%s is no directory of the project", s.name)
	}
	return filepath.Join(b.o.Dir, filepath.FromSlash(s.name)), nil
}

func (b *Box) nextLog() string {
	if b.o.LogDir == "" {
		return ""
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ran++
	return filepath.Join(b.o.LogDir, fmt.Sprintf("%03d.log", b.ran))
}

// told is what became of a command, for the model.
func told(out sandbox.Output, seconds int) string {
	var b strings.Builder
	switch {
	case out.TimedOut:
		fmt.Fprintf(&b, "timed out after %d s and was killed; servers want background, long work a larger timeout_s", seconds)
	case out.Signal != "":
		fmt.Fprintf(&b, "killed by %s (exit %d)", out.Signal, out.Code)
	default:
		fmt.Fprintf(&b, "exit %d", out.Code)
	}
	fmt.Fprintf(&b, " · %.1f s · %d lines, %s", out.Wall.Seconds(), out.Lines, bytesOf(out.Bytes))
	if out.Bytes > shellHead+shellTail && out.Log != "" && !strings.Contains(out.Text, out.Log) {
		fmt.Fprintf(&b, " · whole output in %s", out.Log)
	}
	if out.Leftover > 0 {
		fmt.Fprintf(&b, " · %d processes it left running were killed", out.Leftover)
	}
	if text := strings.TrimRight(out.Text, "\n"); text != "" {
		b.WriteString("\n" + text)
	}
	return b.String()
}

// A job is a command in the background.
type job struct {
	id   string
	p    Process
	read int64 // how much of its output the model has seen
	log  string
	over bool // the model was told how it ended
}

func (b *Box) start(ctx context.Context, c sandbox.Command) (string, error) {
	if b.o.Start == nil {
		return "", errors.New("there are no background jobs in this environment")
	}
	running := 0
	for _, j := range b.jobs {
		if !j.ended() {
			running++
		}
	}
	if running >= mostJobs {
		return "", fmt.Errorf("%d jobs are running already; stop one first", running)
	}
	p, err := b.o.Start(ctx, c)
	if err != nil {
		return "", broken{fmt.Errorf("start a job: %w", err)}
	}
	b.begun++
	j := &job{id: fmt.Sprintf("job%d", b.begun), p: p, log: c.Log}
	b.jobs[j.id] = j
	j.wait(ctx, jobStartup, false)
	return j.tell(), nil
}

func (j *job) ended() bool {
	select {
	case <-j.p.Done():
		return true
	default:
		return false
	}
}

// wait returns when the job has ended, has new output if that is wanted, or
// after d.
func (j *job) wait(ctx context.Context, d time.Duration, output bool) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	poll := time.NewTicker(jobPoll)
	defer poll.Stop()
	for {
		select {
		case <-j.p.Done():
			return
		case <-ctx.Done():
			return
		case <-poll.C:
			if text, _ := j.p.Since(j.read); output && text != "" {
				return
			}
		}
	}
}

// tell is the state of a job and its output since the last time.
func (j *job) tell() string {
	ended := j.ended() // before its output is read, or the end of that is missed
	text, next := j.p.Since(j.read)
	n := next - j.read
	j.read = next
	var b strings.Builder
	if ended {
		out := j.p.Stop()
		j.over = true
		fmt.Fprintf(&b, "%s has ended, exit %d", j.id, out.Code)
		if out.Signal != "" {
			fmt.Fprintf(&b, " (%s)", out.Signal)
		}
	} else {
		fmt.Fprintf(&b, "%s is running", j.id)
	}
	fmt.Fprintf(&b, " · %s of new output", bytesOf(n))
	if len(text) > shellHead+shellTail && j.log != "" {
		fmt.Fprintf(&b, " · whole output in %s", j.log)
	}
	if text = strings.TrimRight(middle(text, shellHead, shellTail), "\n"); text != "" {
		b.WriteString("\n" + text)
	}
	return b.String()
}

// middle cuts the middle out of a text that is longer than head and tail.
func middle(s string, head, tail int) string {
	if len(s) <= head+tail {
		return s
	}
	return strings.ToValidUTF8(s[:head], "") + fmt.Sprintf("\n[... %s cut ...]\n", bytesOf(int64(len(s)-head-tail))) + strings.ToValidUTF8(s[len(s)-tail:], "")
}

type jobArgs struct {
	ID     string `json:"id"`
	Action string `json:"action"`
	Input  string `json:"input"`
	Wait   int    `json:"wait_s"`
}

func (b *Box) job(ctx context.Context, in jobArgs) (string, error) {
	j, ok := b.jobs[in.ID]
	if !ok {
		return "", fmt.Errorf("there is no job %q; shell with background starts one", in.ID)
	}
	switch in.Action {
	case "write":
		if err := j.p.Write([]byte(in.Input)); err != nil {
			return "", fmt.Errorf("write to %s: %w", j.id, err)
		}
		j.wait(ctx, time.Duration(min(in.Wait, mostWait))*time.Second, true)
	case "stop":
		j.p.Stop()
	default:
		if text, _ := j.p.Since(j.read); text == "" {
			j.wait(ctx, time.Duration(min(in.Wait, mostWait))*time.Second, true)
		}
	}
	return j.tell(), nil
}

func (b *Box) stopJobs() {
	for _, j := range b.jobs {
		if !j.over {
			j.p.Stop()
		}
	}
	clear(b.jobs)
}
