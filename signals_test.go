package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A workplace is a GitHub with the greeter on it, and a binary to run there.
type workplace struct {
	*fakegithub.Server
	t    *testing.T
	url  string
	bin  string // directory of the binary under its names
	held atomic.Pointer[string]
	jobs int

	contained bool // steps run as process 1 of a namespace
}

func newWorkplace(t *testing.T, workflow string) *workplace {
	w := &workplace{t: t, bin: t.TempDir()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"autonomous-loop", postName} {
		if err := os.Symlink(self, filepath.Join(w.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	w.Server = fakegithub.New(fakegithub.Options{Root: filepath.Join(t.TempDir(), "remotes"), Token: jobToken})
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if path := w.held.Load(); path != nil && strings.Contains(r.URL.Path, *path) {
			body, _ := io.ReadAll(r.Body) // else it is not seen that the client goes
			for w.held.Load() != nil {
				select {
				case <-r.Context().Done(): // it was never answered
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		w.ServeHTTP(rw, r)
	}))
	t.Cleanup(srv.Close)
	w.url = srv.URL
	files := map[string]string{".github/workflows/loop.yml": string(read(t, filepath.Join("examples/workflows", workflow)))}
	project := os.DirFS("testdata/job")
	err = fs.WalkDir(project, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(project, name)
		files[name] = string(data)
		return err
	})
	if err == nil {
		err = w.AddRepo(repoName)
	}
	if err == nil {
		_, err = w.Seed(repoName, "main", "", files)
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// script is the greeter's model with some entries in the place of others.
func (w *workplace) script(replace, by string) string {
	w.t.Helper()
	text := string(read(w.t, "testdata/job-model.txtar"))
	if !strings.Contains(text, replace) {
		w.t.Fatalf("the script has no %q", replace)
	}
	return w.text(strings.Replace(text, replace, by, 1))
}

// text is a script of its own.
func (w *workplace) text(text string) string {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "model.txtar")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// start starts a run by hand.
func (w *workplace) start() int64 {
	run, err := w.StartRun(repoName, "loop.yml", "workflow_dispatch", fakegithub.Actor{Login: "ada", ID: 7}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.SetRun(run.ID, "in_progress", "")
	return run.ID
}

// A step is a container of a job.
type step struct {
	*exec.Cmd
	out  *lockedBuffer
	over chan struct{} // closed when it has ended
	test *testing.T

	state, output string // files of GITHUB_STATE and GITHUB_OUTPUT
}

// step starts the program as a step of a run's job does.
func (w *workplace) step(run int64, name string, env ...string) *step {
	w.t.Helper()
	w.jobs++
	dir := filepath.Join(w.t.TempDir(), fmt.Sprint("job", w.jobs))
	if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "event.json"), w.Event(run), 0o600)); err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.CommandContext(w.t.Context(), filepath.Join(w.bin, name))
	if w.contained {
		cmd = contained(w.t, name)
	}
	s := &step{cmd, &lockedBuffer{}, make(chan struct{}), w.t, filepath.Join(dir, "state"), filepath.Join(dir, "output")}
	s.Stdout, s.Stderr = s.out, s.out
	s.Env = append(w.Env(w.url, run), "PATH="+os.Getenv("PATH"), "HOME="+dir, "TMPDIR="+os.TempDir(), "INPUT_GITHUB-TOKEN="+jobToken,
		"GITHUB_EVENT_PATH="+filepath.Join(dir, "event.json"), "GITHUB_STATE="+s.state, "GITHUB_OUTPUT="+s.output, "GITHUB_STEP_SUMMARY="+filepath.Join(dir, "summary.md"),
		"AUTONOMOUS_LOOP_CACHE="+filepath.Join(dir, "cache"))
	for _, name := range []string{"AUTONOMOUS_LOOP_CHROMIUM", "AUTONOMOUS_LOOP_DRIVER", "AUTONOMOUS_LOOP_NODE"} {
		s.Env = append(s.Env, name+"="+os.Getenv(name))
	}
	s.Env = append(s.Env, env...)
	if err := s.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() { _ = s.Wait(); close(s.over) }()
	w.t.Cleanup(func() { _ = s.Process.Kill(); <-s.over })
	return s
}

// says waits until the step has said something.
func (s *step) says(t *testing.T, text string) {
	t.Helper()
	s.until(t, "says "+text, func() bool { return strings.Contains(string(s.out.bytes()), text) })
}

// until waits until something is so while the step runs.
func (s *step) until(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-s.over:
			if so() {
				return
			}
			t.Fatalf("it ended before it %s:\n%s", what, s.out.bytes())
		case <-ctx.Done():
			t.Fatalf("it never %s:\n%s", what, s.out.bytes())
		}
	}
}

// ends waits until the step has ended by itself.
func (s *step) ends(t *testing.T, within time.Duration) time.Duration {
	t.Helper()
	begun := time.Now()
	select {
	case <-s.over:
	case <-time.After(within):
		t.Fatalf("it has not ended within %v:\n%s", within, s.out.bytes())
	}
	return time.Since(begun)
}

// state is what the state branch holds, zero if there is none.
func (w *workplace) state() runner.State {
	w.t.Helper()
	git := func(args ...string) []byte {
		out, _ := exec.CommandContext(w.t.Context(), "git", append([]string{"-C", w.Dir(repoName)}, args...)...).Output()
		return out
	}
	at := strings.TrimSpace(string(git("rev-parse", "--verify", "--quiet", stateRef))) // it may move on
	show := func(name string) []byte { return git("show", at+":"+name) }
	data := show("state.json")
	if len(data) == 0 {
		return runner.State{}
	}
	st, err := runner.Decode(data, show("feature_list.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

// dispatched counts the runs that were asked for by the loop.
func (w *workplace) dispatched() int {
	n := 0
	for _, e := range w.Edits() {
		if strings.Contains(e, "dispatched on") {
			n++
		}
	}
	return n
}

// running says whether a process runs whose command line has text.
func running(text string) bool {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if line, err := os.ReadFile(f); err == nil && bytes.Contains(bytes.ReplaceAll(line, []byte{0}, []byte{' '}), []byte(text)) {
			return true
		}
	}
	return false
}

// A session that is told to end ends within the seconds that GitHub's runner
// leaves it, whatever it is doing; what was done is kept, nobody is asked to go
// on, and nothing that it started is left. A person's next run goes on with the
// same attempt.
func TestSignals(t *testing.T) {
	if testing.Short() {
		t.Skip("sessions with a browser")
	}
	const tests = "-- greet-001/1/tests/1 write_file test/greet.test.js --"
	const verify = "-- greet-001/1/implement/2 request_verification --"
	for name, tt := range map[string]struct {
		replace, by string // in the model's script
		env         []string
		when        func(w *workplace, s *step)
		signals     []syscall.Signal
		pushed      bool // it could save before it ended
		phase       runner.Phase
		again       bool // the test goes on with a person's run
	}{
		"a call of the model hangs": {
			"-- greet-001/1/implement/1 read_file page.js --", "-- greet-001/1/implement/1 sleep 10m --\n-- greet-001/1/implement/1 read_file page.js --", nil,
			func(_ *workplace, s *step) { s.says(s.test, "greet-001: implement") },
			[]syscall.Signal{syscall.SIGINT},
			true, runner.Implement, true,
		},
		"a command runs that heeds no signal": {
			"-- greet-001/1/implement/1 read_file page.js --", "-- greet-001/1/implement/1 shell --\ntrap '' INT TERM; echo kept > kept.txt; sleep 471101\n", nil,
			func(_ *workplace, s *step) {
				s.until(s.test, "runs the command", func() bool { return running("sleep 471101") })
			},
			[]syscall.Signal{syscall.SIGINT},
			true, runner.Implement, false,
		},
		"the gates wait for the application, beside the browser": {
			verify, verify,
			[]string{"INPUT_START=sleep 471102; node server.js"},
			func(_ *workplace, s *step) {
				s.until(s.test, "starts the application", func() bool { return running("sleep 471102") && running("headless-shell") })
			},
			[]syscall.Signal{syscall.SIGTERM},
			true, runner.Tests, false,
		},
		"a push hangs": {
			tests, tests, nil,
			func(w *workplace, s *step) {
				s.says(s.test, "greet-001: attempt 1")
				path := "git-receive-pack"
				w.held.Store(&path)
				s.until(s.test, "works on the tests", func() bool { return strings.Contains(string(s.out.bytes()), "red") })
			},
			[]syscall.Signal{syscall.SIGINT},
			false, runner.Tests, true,
		},
		"twice": {
			"-- greet-001/1/implement/1 read_file page.js --", "-- greet-001/1/implement/1 sleep 10m --\n-- greet-001/1/implement/1 read_file page.js --", nil,
			func(w *workplace, s *step) {
				s.says(s.test, "greet-001: implement")
				path := "git-receive-pack"
				w.held.Store(&path)
			},
			[]syscall.Signal{syscall.SIGINT, syscall.SIGINT},
			false, runner.Implement, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorkplace(t, "one-job.yml")
			model := w.script(tt.replace, tt.by)
			run := w.start()
			s := w.step(run, "autonomous-loop", append(tt.env, "INPUT_MODEL=script:"+model)...)
			tt.when(w, s)
			for _, sig := range tt.signals {
				if err := s.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				time.Sleep(100 * time.Millisecond) // signals of one kind that come at once are one
			}
			took := s.ends(t, time.Minute)
			t.Logf("it took %v", took)
			w.held.Store(nil)
			for _, left := range []string{"sleep 4711"} {
				if running(left) {
					t.Errorf("%s is still running", left)
				}
			}
			st := w.state()
			if tt.pushed && (st.Status != runner.Stopped || st.Reason != runner.Cancelled || st.Wip == nil || st.Wip.Phase != tt.phase) {
				t.Errorf("the loop is %s (%s), at %+v:\n%s", st.Status, st.Reason, st.Wip, s.out.bytes())
			}
			if !tt.pushed && st.Status != runner.Running {
				t.Errorf("the loop is %s although nothing could be pushed", st.Status)
			}

			// The second chance.
			note, err := os.ReadFile(s.state)
			if err != nil || string(note) != "cancelled=true\n" {
				t.Errorf("the note for the step after it: %q, %v", note, err)
			}
			p := w.step(run, postName, "STATE_cancelled=true", "INPUT_MODEL=script:"+model)
			p.ends(t, time.Minute)
			st = w.state()
			if st.Status != runner.Stopped || st.Reason != runner.Cancelled || st.Owner != nil || st.Wip == nil || st.Wip.Attempt != 1 {
				t.Errorf("after the second chance the loop is %s (%s), of %v, at %+v:\n%s", st.Status, st.Reason, st.Owner, st.Wip, p.out.bytes())
			}
			if n := w.dispatched(); n != 0 {
				t.Errorf("%d runs were asked for", n)
			}
			w.SetRun(run, "completed", "cancelled")

			// A schedule leaves it alone.
			scheduled, err := w.StartRun(repoName, "loop.yml", "schedule", fakegithub.Actor{Login: "ada", ID: 7}, nil)
			if err != nil {
				t.Fatal(err)
			}
			w.SetRun(scheduled.ID, "in_progress", "")
			c := w.step(scheduled.ID, "autonomous-loop", "INPUT_MODEL=script:"+model)
			c.ends(t, time.Minute)
			if after := w.state(); after.Serial != st.Serial {
				t.Errorf("a schedule went on:\n%s", c.out.bytes())
			}

			if !tt.again {
				return
			}
			// A person starts it again.
			again := w.step(w.start(), "autonomous-loop", "INPUT_MODEL=script:testdata/job-model.txtar")
			again.ends(t, 3*time.Minute)
			st = w.state()
			f, _ := st.Feature("greet-001")
			if f.Status != runner.Complete || f.Attempts != 1 || f.Crashes != 0 {
				t.Errorf("started again, greet-001 is %s after %d attempts and %d crashes:\n%s", f.Status, f.Attempts, f.Crashes, again.out.bytes())
			}
		})
	}
}

// TestCancelAfterTheDecision: a session that had decided to go on, and whose run
// is cancelled before it has asked for a successor, asks for none; and the loop
// is stopped, if not by itself then by the second chance.
func TestCancelAfterTheDecision(t *testing.T) {
	if testing.Short() {
		t.Skip("a session with a browser")
	}
	for name, answered := range map[string]bool{"what it does meanwhile ends": true, "and hangs": false} {
		t.Run(name, func(t *testing.T) { cancelAfterTheDecision(t, answered) })
	}
}

func cancelAfterTheDecision(t *testing.T, answered bool) {
	w := newWorkplace(t, "one-job.yml")
	path := "/twirp/" // the artifact's service, which is asked between the two
	w.held.Store(&path)
	run := w.start()
	s := w.step(run, "autonomous-loop", "INPUT_MODEL=script:testdata/job-model.txtar")
	s.until(t, "decides to go on", func() bool { return w.state().Status == runner.AwaitingSuccessor })
	if err := s.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if answered {
		s.until(t, "hears the signal", func() bool { note, _ := os.ReadFile(s.state); return len(note) > 0 })
		w.held.Store(nil)
	}
	s.ends(t, time.Minute)
	if n := w.dispatched(); n != 0 {
		t.Errorf("%d runs were asked for:\n%s", n, s.out.bytes())
	}
	if st := w.state(); answered && st.Reason != runner.Cancelled {
		t.Errorf("by itself the loop came to %s (%s):\n%s", st.Status, st.Reason, s.out.bytes())
	}
	w.held.Store(nil)
	p := w.step(run, postName, "STATE_cancelled=true", "INPUT_MODEL=script:testdata/job-model.txtar")
	p.ends(t, time.Minute)
	st := w.state()
	if st.Status != runner.Stopped || st.Reason != runner.Cancelled || w.dispatched() != 0 {
		t.Errorf("the loop is %s (%s), %d runs were asked for:\n%s", st.Status, st.Reason, w.dispatched(), p.out.bytes())
	}
	// Once more it does nothing.
	again := w.step(run, postName, "STATE_cancelled=true", "INPUT_MODEL=script:testdata/job-model.txtar")
	again.ends(t, time.Minute)
	if after := w.state(); after.Serial != st.Serial {
		t.Errorf("it was closed twice:\n%s", again.out.bytes())
	}
}
