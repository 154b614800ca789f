package crash

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
)

const (
	repoName = "octo/greeter"
	jobToken = "ghs_1_test.token-of_the-job"
)

// A world is a GitHub, a model and a git remote, on one port, with the processes
// of one loop: everything outside of the program, and the place where it is
// killed. Each request is an effect and has a number, from 1, over all of the
// loop's processes.
type world struct {
	*fakegithub.Server
	t      testing.TB
	dir    string
	url    string
	binary string
	model  http.Handler
	env    []string // beside what the runner sets
	two    bool     // the two-job form

	mu      sync.Mutex
	effects []effect
	asked   int // questions to the model
	meet    func(w *world, n int, e effect) fault
	proc    *os.Process
	at      string // the job at work, in the two-job form
	killed  int
	met     int // faults that were met
	runs    []string
}

// An effect is one thing that the program does to the world outside of it.
type effect struct {
	what    string
	changes bool   // something outside
	job     string // of the two-job form: session or continue
}

// A fault is what becomes of a request.
type fault struct {
	kill  kill
	spoil func(rw http.ResponseWriter, r *http.Request, serve http.HandlerFunc) // instead of serving it
}

// A kill is the moment of a request at which the process is killed.
type kill string

const (
	before kill = "before"
	lost   kill = "with the answer lost"
	after  kill = "after"
)

var moments = []kill{before, lost, after}

func newWorld(t testing.TB, binary string, files map[string]string, env ...string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), binary: binary, env: env}
	w.Server = fakegithub.New(fakegithub.Options{Root: filepath.Join(w.dir, "remotes"), Token: jobToken})
	to, err := url.Parse(modelURL)
	if err != nil {
		t.Fatal(err)
	}
	w.model = httputil.NewSingleHostReverseProxy(to)
	server := httptest.NewServer(w)
	w.url = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	workflow, err := os.ReadFile("../../examples/workflows/one-job.yml")
	if err != nil {
		t.Fatal(err)
	}
	files = maps.Clone(files)
	files[".github/workflows/loop.yml"] = string(workflow)
	if err := w.AddRepo(repoName); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Seed(repoName, "main", "", files); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(w.dir, "tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	return w
}

var numbers = regexp.MustCompile(`/\d+`)

// effectOf names a request without what differs from run to run.
func effectOf(r *http.Request) effect {
	e := effect{what: r.Method + " " + numbers.ReplaceAllString(r.URL.Path, "/N"), changes: r.Method != http.MethodGet && r.Method != http.MethodHead}
	if service := r.URL.Query().Get("service"); service != "" {
		e.what += " " + service
	}
	if comp := r.URL.Query().Get("comp"); comp != "" {
		e.what += " " + comp
	}
	if strings.HasSuffix(r.URL.Path, "/git-upload-pack") || strings.HasPrefix(r.URL.Path, "/v1/") {
		e.changes = false
	}
	return e
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	e := effectOf(r)
	w.mu.Lock()
	e.job = w.at
	w.effects = append(w.effects, e)
	n := len(w.effects)
	var f fault
	if w.meet != nil {
		f = w.meet(w, n, e)
	}
	if f.kill != "" || f.spoil != nil {
		w.met++
	}
	w.mu.Unlock()
	switch {
	case f.spoil != nil:
		f.spoil(rw, r, w.serve)
	case f.kill == before:
		w.kill()
		panic(http.ErrAbortHandler)
	case f.kill == lost:
		w.serve(httptest.NewRecorder(), r)
		w.kill()
		panic(http.ErrAbortHandler)
	case f.kill == after:
		w.serve(rw, r)
		_ = http.NewResponseController(rw).Flush()
		w.kill()
	default:
		w.serve(rw, r)
	}
}

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/v1/") {
		w.mu.Lock()
		w.asked++
		w.mu.Unlock()
		w.model.ServeHTTP(rw, r)
		return
	}
	w.Server.ServeHTTP(rw, r)
}

// kill kills the process at work and everything that it has started, as the end
// of its machine would.
func (w *world) kill() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.proc == nil {
		return
	}
	family := descendants(w.proc.Pid)
	_ = w.proc.Kill()
	for _, pid := range family {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	w.killed++
}

func descendants(pid int) []int {
	var all []int
	for _, child := range kids(pid) {
		all = append(append(all, child), descendants(child)...)
	}
	return all
}

func kids(pid int) []int {
	var all []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, t := range tasks {
		text, _ := os.ReadFile(t)
		for field := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(all, child)
			}
		}
	}
	return all
}

// An end is how a process of the loop ended.
type end struct {
	code int // -1: it was killed
	said string
}

// job runs the program once, as one job of a run.
func (w *world) job(run fakegithub.Run, extra ...string) end {
	w.t.Helper()
	dir, err := os.MkdirTemp(w.dir, "job")
	if err != nil {
		w.t.Fatal(err)
	}
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			w.t.Fatal(err)
		}
		return path
	}
	var said bytes.Buffer
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Minute) // of a machine that others use as well
	defer cancel()
	cmd := exec.CommandContext(ctx, w.binary)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = time.Second
	cmd.Env = slices.Concat([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + filepath.Join(w.dir, "tmp"), "AUTONOMOUS_LOOP_CACHE=" + filepath.Join(w.dir, "cache"),
		"INPUT_MODEL=script", "INPUT_API=chat", "INPUT_BASE-URL=" + w.url + "/v1", "INPUT_API-KEY=sk-test-key-of-the-loop", "INPUT_GITHUB-TOKEN=" + jobToken,
		"INPUT_TEST=sh t/all.sh # tap", "INPUT_E2E=off", "INPUT_ISOLATION=none",
		"GITHUB_EVENT_PATH=" + file("event.json", w.Event(run.ID)), "GITHUB_OUTPUT=" + file("output", nil), "GITHUB_STEP_SUMMARY=" + file("summary.md", nil),
	}, w.Env(w.url, run.ID), w.env, extra)
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	w.proc = cmd.Process
	w.mu.Unlock()
	err = cmd.Wait()
	w.mu.Lock()
	w.proc = nil
	w.runs = append(w.runs, fmt.Sprintf("run %d: %v\n%s", run.ID, err, said.String()))
	w.mu.Unlock()
	if ctx.Err() != nil {
		w.t.Fatalf("a session does not end:\n%s", said.String())
	}
	return end{cmd.ProcessState.ExitCode(), said.String()}
}

// play runs the loop until it is quiet, as GitHub would: what was dispatched is
// begun; where nothing was, the schedule goes on, until a run that lived had
// nothing to do.
func (w *world) play() {
	w.t.Helper()
	const most = 14
	run, err := w.StartRun(repoName, "loop.yml", "workflow_dispatch", fakegithub.Actor{Login: "ada", ID: 7}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for range most {
		w.SetRun(run.ID, "in_progress", "")
		e := w.session(run)
		conclusion := map[bool]string{true: "success", false: "failure"}[e.code == 0]
		w.SetRun(run.ID, "completed", conclusion)
		next, ok := w.Take(repoName)
		if !ok {
			if e.code == 0 && w.done() {
				return
			}
			if next, err = w.StartRun(repoName, "loop.yml", "schedule", fakegithub.Actor{Login: "ada", ID: 7}, nil); err != nil {
				w.t.Fatal(err)
			}
		}
		run = next
	}
	w.fail("the loop is not quiet after %d runs", most)
}

func (w *world) session(run fakegithub.Run) end {
	if !w.two {
		return w.job(run)
	}
	w.at = "session"
	e := w.job(run, "INPUT_MODE=session")
	w.at = "continue"
	if f := w.job(run, "INPUT_MODE=continue"); e.code == 0 {
		e = f
	}
	return e
}

// fail tells everything that is known of the execution.
func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var log strings.Builder
	for i, e := range w.effects {
		fmt.Fprintf(&log, "%d %s\n", i+1, e.what)
	}
	w.t.Errorf("%s\n%s\n%s", fmt.Sprintf(format, args...), strings.Join(w.runs, "\n"), log.String())
}
