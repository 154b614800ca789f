package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A first process that forks twice leaves orphans; this counts those that nobody
// buried, as the last line, and ends with code 7.
const orphans = `
for i in 1 2 3 4 5 6 7 8; do (sh -c 'sleep 0.05 & exit 0' &); done
sleep 0.6
n=0
for f in /proc/[0-9]*/stat; do case "$(cat $f 2>/dev/null)" in *') Z '*) n=$((n+1));; esac; done
echo "first: $(tr '\0' ' ' < /proc/1/cmdline)"
echo "unburied: $n"
exit 7
`

// asFirstOrphans is what the first process of a container starts in the test.
func asFirstOrphans() {
	code, err := first("/bin/sh", []string{"sh", "-c", orphans})
	if err != nil {
		panic(err)
	}
	os.Exit(code)
}

// unburied is a first process that buries nobody: the negative control.
func unburied() {
	p, err := os.StartProcess("/bin/sh", []string{"sh", "-c", orphans}, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		panic(err)
	}
	state, err := p.Wait()
	if err != nil {
		panic(err)
	}
	os.Exit(state.ExitCode())
}

// contained runs the test's binary under a name as process 1 of a namespace of
// its own.
func contained(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	how := []string{"--pid", "--fork", "--mount-proc", "--kill-child"}
	if os.Geteuid() != 0 {
		how = append(how, "--user", "--map-root-user")
	}
	return exec.CommandContext(t.Context(), "unshare", append(append(how, "--", link), args...)...)
}

// TestFirstBuriesOrphans: process 1 of a container waits for those whose parents
// are gone, ends with the program, and with its code.
func TestFirstBuriesOrphans(t *testing.T) {
	for name, want := range map[string]string{"first-orphans": "unburied: 0\n", "first-unburied": "unburied: 16\n"} {
		out, err := contained(t, name).CombinedOutput()
		if code := exitOf(err); code != 7 || !strings.HasSuffix(string(out), want) || !strings.Contains(string(out), "first: ") {
			t.Errorf("%s: code %d, want 7 and %q:\n%s", name, code, want, out)
		}
	}
}

func exitOf(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.ExitCode()
	}
	return -1
}

// TestProgramAsFirst: the program itself as process 1 works, says its exit code,
// and hands a signal on to a session, which puts its work in order.
func TestProgramAsFirst(t *testing.T) {
	out, err := contained(t, "autonomous-loop", "help").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Commands:") {
		t.Errorf("help: %v\n%s", err, out)
	}
	out, err = contained(t, "autonomous-loop", "nonsense").CombinedOutput()
	if code := exitOf(err); code != exitUsage {
		t.Errorf("a wrong command: code %d\n%s", code, out)
	}
	if testing.Short() {
		t.Skip("a session")
	}
	w := newWorkplace(t, "one-job.yml")
	model := w.script("-- greet-001/1/implement/1 read_file page.js --", "-- greet-001/1/implement/1 shell --\n(setsid sh -c 'sleep 471103 &' &); sleep 471104\n")
	w.contained = true
	s := w.step(w.start(), "autonomous-loop", "INPUT_MODEL=script:"+model)
	s.until(t, "runs the command", func() bool { return running("sleep 471103") && running("sleep 471104") })
	// unshare stays outside; what it forked is process 1.
	children, err := os.ReadFile("/proc/" + strconv.Itoa(s.Process.Pid) + "/task/" + strconv.Itoa(s.Process.Pid) + "/children")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "kill", "-INT", strings.TrimSpace(string(children))).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.ends(t, time.Minute)
	if st := w.state(); st.Reason != "cancelled" || st.Wip == nil {
		t.Errorf("the loop is %s (%s), at %+v:\n%s", st.Status, st.Reason, st.Wip, s.out.bytes())
	}
	if running("sleep 47110") {
		t.Error("a command is still running")
	}
}
