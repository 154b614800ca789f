package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// BenchmarkStart measures a session's process from its start to the first request
// that reaches the model's endpoint: settings, sandbox, repository and state lie
// between. Beside it, in the same run, stand the program's start alone and a clone
// of the same repository by git. Processor time is that of the process and all that
// it has started until then, when it is killed: on a busy machine nothing else tells.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	if err := os.Chmod(dir, 0o711); err != nil { // the sandbox's user walks through
		b.Fatal(err)
	}
	program := filepath.Join(dir, "autonomous-loop")
	ran(b, "go", "build", "-trimpath", "-o", program, ".")
	source, remote := filepath.Join(dir, "source"), filepath.Join(dir, "remote.git")
	ran(b, "git", "init", "-q", source)
	if err := os.WriteFile(filepath.Join(source, "SPEC.md"), []byte("# Adding\n\nA function that adds two numbers and returns their sum.\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	ran(b, "git", "-C", source, "add", ".")
	ran(b, "git", "-C", source, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "begin")
	ran(b, "git", "clone", "-q", "--bare", source, remote)

	asked := make(chan time.Time, 1)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- time.Now():
		default:
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer endpoint.Close()

	var first, alone, clone, cpu []time.Duration
	for b.Loop() {
		began := time.Now()
		ran(b, program, "help")
		alone = append(alone, time.Since(began))

		began = time.Now()
		ran(b, "git", "clone", "-q", "--bare", remote, filepath.Join(b.TempDir(), "clone.git"))
		clone = append(clone, time.Since(began))

		private, remove, err := privateDir()
		if err != nil {
			b.Fatal(err)
		}
		task, err := json.Marshal(childTask{Dir: private})
		if err != nil {
			b.Fatal(err)
		}
		said, err := os.Create(filepath.Join(b.TempDir(), "messages"))
		if err != nil {
			b.Fatal(err)
		}
		c := exec.CommandContext(b.Context(), program, "run", "--repo", remote, "--spec", "SPEC.md", "--model", "m", "--base-url", endpoint.URL+"/v1", "--e2e", "off") // #nosec G204 -- a benchmark's own
		c.Env = append(os.Environ(), childVariable+"="+string(task), "AUTONOMOUS_LOOP_API_KEY=k")
		c.ExtraFiles = []*os.File{said}
		var out bytes.Buffer
		c.Stdout, c.Stderr = &out, &out
		began = time.Now()
		if err := c.Start(); err != nil {
			b.Fatal(err)
		}
		select {
		case at := <-asked:
			first = append(first, at.Sub(began))
		case <-time.After(time.Minute):
			b.Errorf("nothing was asked:\n%s", &out)
		}
		_ = c.Process.Kill()
		_ = c.Wait() // it was killed
		if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
			cpu = append(cpu, time.Duration(u.Utime.Nano()+u.Stime.Nano()))
		}
		_ = said.Close()
		remove()
	}
	for unit, took := range map[string][]time.Duration{"first-request": first, "start-alone": alone, "git-clone": clone, "processor": cpu} {
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2])/1e6, "ms-"+unit)
		b.ReportMetric(float64(took[0])/1e6, "ms-"+unit+"-least")
	}
	b.ReportMetric(0, "ns/op")
}
