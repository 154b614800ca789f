package forge

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// tree lists the files below dir, with what they hold.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, f := range got(readAll(dir))(t) {
		out[f.Name] = string(f.Data)
	}
	return out
}

func local4(work string) runner.Report {
	return runner.Report{
		State:  runner.State{Lineage: lineage, Serial: 4, Base: runner.Base{Commit: "b"}, Work: work},
		Result: runner.LoopResult{SessionsUsed: 2},
		Files: []runner.File{
			{Name: "comment.md", Data: []byte("comment")},
			{Name: "summary.md", Data: []byte("summary")},
			{Name: "pull-request.md", Data: []byte("# Title\n\nbody\n")},
			{Name: "report.html", Data: []byte("<p>")},
			{Name: "../outside.md", Data: []byte("never written")},
		},
	}
}

func TestFolderReports(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "autonomous-loop", "main")
	f := Local(LocalOptions{Dir: dir, Run: "12-34"})
	out := got(f.Report(t.Context(), local4("b")))(t)
	if d := cmp.Diff(out.Keys, map[string]string{KeyComment: filepath.Join(dir, "comment.md")}); d != "" {
		t.Errorf("before there is verified code (-got +want):\n%s", d)
	}
	for range 2 {
		out = got(f.Report(t.Context(), local4("w")))(t)
		if d := cmp.Diff(out.Keys, map[string]string{KeyComment: filepath.Join(dir, "comment.md"), KeyPull: filepath.Join(dir, "pull-request.md")}); d != "" {
			t.Errorf("receipts (-got +want):\n%s", d)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "..", "outside.md")); err == nil {
		t.Error("a file left the directory")
	}
	files := tree(t, dir)
	if !strings.Contains(files["runs/12-34.json"], `"sessions_used": 2`) {
		t.Errorf("run table %q", files["runs/12-34.json"])
	}
	delete(files, "runs/12-34.json")
	if d := cmp.Diff(files, map[string]string{"comment.md": "comment", "summary.md": "summary", "pull-request.md": "# Title\n\nbody\n", "report.html": "<p>"}); d != "" {
		t.Errorf("files (-got +want):\n%s", d)
	}
}

func TestFolderUploads(t *testing.T) {
	dir := t.TempDir()
	f := Local(LocalOptions{Dir: dir})
	for range 2 {
		if at := got(f.Upload(t.Context(), "main-4", handoff))(t); at != filepath.Join(dir, "artifacts", "main-4") {
			t.Errorf("receipt %s", at)
		}
	}
	if d := cmp.Diff(tree(t, dir), map[string]string{
		"artifacts/main-4/handoff.json": `{"schema":1}`, "artifacts/main-4/evidence/add-001/red.txt": "not ok 1\n", "artifacts/main-4/empty": "",
	}); d != "" {
		t.Errorf("files (-got +want):\n%s", d)
	}
	if _, err := f.Upload(t.Context(), "main-4", handoff[:1]); err == nil || !strings.Contains(err.Error(), "with other content") {
		t.Errorf("error %v", err)
	}
	for _, bad := range []string{"", ".", "..", "a/b"} {
		if _, err := f.Upload(t.Context(), bad, handoff); err == nil {
			t.Errorf("%q is taken for a name", bad)
		}
	}
	if _, err := f.Upload(t.Context(), "x", []runner.File{{Name: "../../x"}}); err == nil {
		t.Error("a file left the directory")
	}
	if _, err := os.Stat(filepath.Join(dir, "artifacts", "x")); err == nil {
		t.Error("half an artifact")
	}
}

func TestFolderQueue(t *testing.T) {
	f := Local(LocalOptions{Dir: t.TempDir()})
	pending := func(want ...runner.Successor) {
		t.Helper()
		s, ok, err := f.Pending()
		must(t, err)
		var have []runner.Successor
		if ok {
			have = append(have, s)
		}
		if d := cmp.Diff(have, want); d != "" {
			t.Errorf("pending (-got +want):\n%s", d)
		}
	}
	pending()
	first := got(f.Continue(t.Context(), next))(t)
	if again := got(f.Continue(t.Context(), next))(t); again != first {
		t.Errorf("receipts %s and %s", first, again)
	}
	pending(next)
	must(t, f.Take(next))
	pending()
	if err := f.Take(next); err == nil {
		t.Error("taken twice")
	}
	// A session that died after asking asks again; its successor has begun.
	got(f.Continue(t.Context(), next))(t)
	pending()

	five, six := next, next
	five.Serial, six.Serial = 5, 16
	got(f.Continue(t.Context(), five))(t)
	got(f.Continue(t.Context(), six))(t)
	pending(six)
	must(t, f.Take(six))
	pending()

	other := runner.Successor{Loop: "main", Lineage: "another", Serial: 4}
	stale := next
	stale.Serial = 99
	got(f.Continue(t.Context(), stale))(t)
	got(f.Continue(t.Context(), other))(t)
	pending(other)
}

func TestFolderOver(t *testing.T) {
	f := Local(LocalOptions{Dir: t.TempDir()})
	ask := func(run string, want bool) {
		t.Helper()
		if over := got(f.Over(t.Context(), runner.Owner{Run: run}))(t); over != want {
			t.Errorf("%s is over: %v", run, over)
		}
	}
	me := got(Self())(t)
	ask(me, false)

	// A real other process, before and after its end, and one that has its id
	// but began at another time.
	cmd := exec.Command("cat")
	in := got(cmd.StdinPipe())(t)
	must(t, cmd.Start())
	start := got(began(cmd.Process.Pid))(t)
	run := fmt.Sprintf("%d-%s", cmd.Process.Pid, start)
	ask(run, false)
	ask(fmt.Sprintf("%d-%s", cmd.Process.Pid, "1"), true)
	must(t, in.Close())
	must(t, cmd.Wait())
	ask(run, true)

	for _, bad := range []string{"", "123", "run-5", "12-x", "-5-5"} {
		if over, err := f.Over(t.Context(), runner.Owner{Run: bad}); over || err == nil {
			t.Errorf("%q: over %v, error %v", bad, over, err)
		}
	}
}

// A process that has ended but whose parent has not noticed is over.
func TestZombiesAreOver(t *testing.T) {
	cmd := exec.Command("true")
	must(t, cmd.Start())
	defer cmd.Wait()
	pid := cmd.Process.Pid
	for {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		must(t, err)
		if strings.Contains(string(data), ") Z ") {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := began(pid); err == nil {
		t.Error("a zombie runs")
	}
}

// A name with brackets and blanks does not confuse the table of processes.
func TestProcessNames(t *testing.T) {
	at := filepath.Join(t.TempDir(), "a) Z 1 (b")
	data := got(os.ReadFile("/bin/cat"))(t)
	must(t, os.WriteFile(at, data, 0o755))
	cmd := exec.Command(at)
	in := got(cmd.StdinPipe())(t)
	must(t, cmd.Start())
	defer cmd.Wait()
	defer in.Close()
	start := got(began(cmd.Process.Pid))(t)
	if !Alive(cmd.Process.Pid, start) || strings.Trim(start, "0123456789") != "" {
		t.Errorf("began at %q", start)
	}
}

func TestFolderAsks(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "autonomous-loop", "main")
	f := Local(LocalOptions{Dir: dir})
	got(f.Ask(t.Context(), runner.Questions{Loop: "main"}))(t)
	if _, err := os.Stat(dir); err == nil {
		t.Error("without questions a directory was made")
	}
	at := got(f.Ask(t.Context(), runner.Questions{Loop: "main", Text: []byte("For whom?\n")}))(t)
	if data, err := os.ReadFile(at); err != nil || string(data) != "For whom?\n" || at != filepath.Join(dir, "questions.md") {
		t.Errorf("%s: %q, %v", at, data, err)
	}
	got(f.Ask(t.Context(), runner.Questions{Loop: "main"}))(t)
	if _, err := os.Stat(at); err == nil {
		t.Error("the questions are still there")
	}
}
