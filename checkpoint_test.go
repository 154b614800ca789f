package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A bench is a loop on disk that a person works on by hand.
type bench struct {
	*testing.T
	remote string
}

func (b bench) git(args ...string) string {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), "git", args...)
	cmd.Dir = b.remote
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (b bench) state() runner.State {
	b.Helper()
	st, err := runner.Decode([]byte(b.git("show", stateRef+":state.json")+"\n"), []byte(b.git("show", stateRef+":feature_list.json")+"\n"))
	if err != nil {
		b.Fatal(err)
	}
	return st
}

// points lists the checkpoints as JSON.
func (b bench) points() []point {
	b.Helper()
	var points []point
	out, _, err := play(b.T, "checkpoint", "--list", "--json", "--repo", b.remote)
	if err == nil {
		err = json.Unmarshal([]byte(out), &points)
	}
	if err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return points
}

// do runs a command that is to end with an exit code, and returns what it said.
func (b bench) do(code int, args ...string) string {
	b.Helper()
	out, got, err := play(b.T, append(args, "--repo", b.remote)...)
	if got != code {
		b.Errorf("%q ends with %d, want %d: %v\n%s", args, got, code, err, out)
	}
	if err != nil {
		out += err.Error()
	}
	return out
}

func (b bench) holds(args ...string) {
	b.Helper()
	proofs, _, code := prove(b.T, b.remote, args...)
	if code != 0 {
		b.Errorf("verify ends with %d; these do not hold: %q", code, broken(proofs))
		for _, name := range broken(proofs) {
			b.Log(name, proofs[name].Says)
		}
	}
}

func (b bench) completed() []string {
	b.Helper()
	var ids []string
	for _, f := range b.state().Features {
		if f.Status == runner.Complete {
			ids = append(ids, f.ID)
		}
	}
	return ids
}

// TestCheckpointsAndRollback returns a real loop to its checkpoints and back,
// has a session go on from there, and has it all proved again after each step.
func TestCheckpointsAndRollback(t *testing.T) {
	b := bench{t, greetings(t)}
	b.beside("run", "--features-per-session", "2", "--model", "script:"+b.script("-- greet-001/1/tests/1 write_file", "-- greet-001/1/tests/1 sleep 6s --\n-- greet-001/1/tests/1 write_file"))
	t.Run("points", b.kinds)
	before := b.state()
	tip, first := b.git("rev-parse", workRef), before.Features[0].Commit

	// Back to the first feature: files as they were, nothing rewritten.
	i := slices.IndexFunc(before.Points, func(p runner.Checkpoint) bool { return p.Kind == runner.FeatureReached && p.Feature == "greet-001" })
	id := strconv.Itoa(before.Points[i].Serial)
	out := b.do(0, "rollback", id, "--why", "the goodbye was not what I meant\nLoop-Session: 99")
	for _, want := range []string{"rolled back to checkpoint " + id, "to be done again: part-001", "undo it with autonomous-loop rollback " + strconv.Itoa(before.Serial)} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	now := b.state()
	part, _ := now.Feature("part-001")
	if b.git("rev-parse", workRef+"^") != tip || b.git("diff", "--name-only", first, workRef) != "" || now.Work != b.git("rev-parse", workRef) {
		t.Errorf("the work branch does not hold the files of then in a commit on its tip")
	}
	if message := b.git("log", "-1", "--format=%B", workRef); !strings.HasPrefix(message, "revert: return to checkpoint "+id+"\n\nthe goodbye was not what I meant Loop-Session: 99\n") ||
		b.git("log", "-1", "--format=%(trailers:key=Loop-Session,valueonly)", workRef) != "1" {
		t.Errorf("the commit says:\n%s", message)
	}
	if part.Status != runner.Todo || !strings.Contains(part.Note, "the goodbye was not what I meant") || part.Attempts != 1 || part.Evidence != nil {
		t.Errorf("part-001 is %+v", part.Progress)
	}
	if d := cmp.Diff(before.Spent, now.Spent); d != "" || len(now.Sessions) != len(before.Sessions) || now.Evidence != before.Evidence || now.Status != runner.Waiting {
		t.Errorf("counters, sessions, chain of evidence or status: %s %+v", d, now.Status)
	}
	if !strings.Contains(b.git("show", stateRef+":memory/episodic.json"), "the goodbye was not what I meant") {
		t.Error("memory does not know of it")
	}
	b.git("cat-file", "-e", stateRef+":evidence/part-001/"+before.Features[1].Evidence.Record)
	b.holds("--no-run")

	// Again, and to where it stands: nothing happens.
	for _, args := range [][]string{{"rollback", id}, {"rollback", "no such"}, {"rollback"}, {"rollback", "1", "2"}} {
		code := map[string]int{id: 0, "no such": 1}
		want, ok := code[args[len(args)-1]]
		if !ok {
			want = exitUsage
		}
		b.do(want, args...)
	}
	if b.state().Serial != now.Serial {
		t.Error("a second rollback to the same point saved another transaction")
	}

	// Undone by another one: both features are proved as they were.
	b.do(0, "rollback", strconv.Itoa(before.Serial))
	if d := cmp.Diff(b.completed(), []string{"greet-001", "part-001"}); d != "" || b.git("diff", "--name-only", tip, workRef) != "" {
		t.Errorf("after the rollback was undone: %s", d)
	}
	b.holds("--no-run")

	// Back once more, by name, and a session goes on: part-001 gets another proof.
	b.do(0, "checkpoint", "all", "done", "--description", "both features")
	b.do(0, "rollback", id)
	b.do(0, "run", "--model", "script:"+b.script("-- part-001/1/", "-- part-001/2/"))
	if st := b.state(); st.Status != runner.Done || st.Evidence.Length != 3 || st.Spent.Sessions != before.Spent.Sessions+1 {
		t.Errorf("the session after it: %s, %d records, %d sessions", st.Status, st.Evidence.Length, st.Spent.Sessions)
	}
	b.holds()

	// Its first proof is no longer the last one, so it cannot come back with it.
	b.do(0, "rollback", "all done")
	if d := cmp.Diff(b.completed(), []string{"greet-001"}); d != "" {
		t.Errorf("complete with a proof that was followed by another: %s", d)
	}
	b.holds("--no-run")
	b.git("fsck", "--strict", "--full")

	// A forged restore, of files that were never proved, is noticed.
	f := forger{t, b.remote}
	forged, files := f.state()
	code := f.files(workRef)
	code["page.js"] = append(code["page.js"], "// and more\n"...)
	r := forged.Rollbacks[len(forged.Rollbacks)-1]
	r.Serial, r.Commit = forged.Serial+1, f.commit(asTheLoop, f.tree(code), "revert: return", f.id(workRef))
	forged.Rollbacks = append(forged.Rollbacks, r)
	forged.Work, forged.Code, forged.Published = r.Commit, r.Commit, r.Commit
	f.transaction(forged, files)
	f.point(workRef, r.Commit)
	if proofs, _, code := prove(t, b.remote, "--no-run"); code != exitBroken || !slices.Contains(broken(proofs), "work branch") {
		t.Errorf("a forged restore: exit code %d, %q", code, broken(proofs))
	}
}

// script is the model's of the project with a part of it replaced.
func (b bench) script(old, by string) string {
	b.Helper()
	text, err := os.ReadFile("testdata/job-model.txtar")
	if err != nil || !strings.Contains(string(text), old) {
		b.Fatal("the script: ", err)
	}
	name := filepath.Join(b.TempDir(), "model.txtar")
	if err := os.WriteFile(name, []byte(strings.ReplaceAll(string(text), old, by)), 0o644); err != nil {
		b.Fatal(err)
	}
	return name
}

// beside runs a loop to its end and has a person roll back, and make a
// checkpoint, while a session is at work: it is refused, and the session is not
// disturbed.
func (b bench) beside(args ...string) {
	b.Helper()
	done := make(chan string, 1)
	go func() {
		out, _, err := play(b.T, append(args, "--repo", b.remote)...)
		if err != nil {
			out = err.Error() + out
		} else {
			out = ""
		}
		done <- out
	}()
	for !strings.Contains(b.git("log", "--format=%s", "--all"), "begin attempt 1") {
		select {
		case out := <-done:
			b.Fatalf("the session ended: %s", out)
		case <-time.After(50 * time.Millisecond):
		}
	}
	before := b.git("rev-parse", stateRef)
	for _, args := range [][]string{{"rollback", "latest"}, {"checkpoint", "now"}, {"checkpoint", "--delete", "1"}} {
		if out := b.do(exitFailed, args...); !strings.Contains(out, "is at work on this loop") {
			b.Errorf("%q: %s", args, out)
		}
	}
	if after := b.git("rev-parse", stateRef); after != before {
		b.Error("the state branch moved beneath a session")
	}
	if out := <-done; out != "" {
		b.Error(out)
	}
}

// kinds looks at the index as JSON, and at a checkpoint made by hand.
func (b bench) kinds(t *testing.T) {
	b.T = t
	if out := b.do(0, "checkpoint", "before", "lunch", "--description", "as it was"); !strings.Contains(out, "return to it with") {
		t.Error(out)
	}
	points := b.points()
	kinds := map[string]int{}
	for _, p := range points {
		kinds[p.Kind]++
		if !strings.HasPrefix(b.git("show", p.FeatureState.SnapshotPath), "[") || b.git("cat-file", "-t", p.GitState.CommitHash) != "commit" {
			t.Errorf("checkpoint %s: %+v", p.ID, p)
		}
	}
	if d := cmp.Diff(kinds, map[string]int{"automatic": 4, "session": 1, "feature": 2, "manual": 1}); d != "" {
		t.Errorf("kinds, got and want: %s", d)
	}
	st := b.state()
	got := points[len(points)-1]
	got.Timestamp, got.FeatureState.SnapshotPath = time.Time{}, ""
	want := point{
		ID: strconv.Itoa(st.Serial), Kind: "manual", Name: "before lunch", Description: "as it was",
		GitState:     gitState{CommitHash: st.Work, Branch: "autonomous-loop/main", DirtyFiles: []string{}},
		FeatureState: featureState{Completed: []string{"greet-001", "part-001"}},
		Context:      pointContext{SessionNumber: st.Spent.Sessions, TokenUsage: st.Spent.Tokens},
	}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("got and want: %s", d)
	}
	// What was unfinished then is named.
	if i := slices.IndexFunc(points, func(p point) bool { return len(p.GitState.DirtyFiles) > 0 }); i < 0 || points[i].FeatureState.Current == "" {
		t.Errorf("no checkpoint tells of unfinished work: %+v", points)
	}
	for _, args := range [][]string{{"checkpoint", "12"}, {"checkpoint", "latest"}, {"checkpoint", "--delete", "x"}, {"checkpoint", "--delete", "1", "y"}} {
		b.do(exitUsage, args...)
	}
	b.do(1, "checkpoint", "--delete", points[0].ID) // the loop's own
	b.do(1, "checkpoint", "--delete", "9999")
	b.do(0, "checkpoint", "--delete", strconv.Itoa(st.Serial))
	if n := len(b.points()); n != len(points)-1 {
		t.Errorf("%d points after one was deleted, of %d", n, len(points))
	}
	b.git("merge-base", "--is-ancestor", points[len(points)-1].GitState.CommitHash, stateRef)
}

// TestRollbackOnGitHub rolls a loop back over HTTP with the real program, which
// is killed before its push arrives and after it, when it waits for the answer.
// Whoever types the command again finds it done once.
func TestRollbackOnGitHub(t *testing.T) {
	t.Parallel()
	const token = "ghp_ofAda"
	hub := fakegithub.New(fakegithub.Options{Root: t.TempDir()})
	hub.AddToken(token, fakegithub.Actor{Login: "ada", ID: 7, Perms: fakegithub.DefaultPermissions()})
	workflow, err := os.ReadFile("examples/workflows/one-job.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := hub.AddRepo(repoName); err != nil {
		t.Fatal(err)
	}
	if _, err := hub.Seed(repoName, "main", "", map[string]string{".github/workflows/loop.yml": string(workflow)}); err != nil {
		t.Fatal(err)
	}
	b := bench{t, hub.Dir(repoName)}
	f := forger{t, b.remote}
	two := twoFeatures(f)

	var stage atomic.Int32 // 0: serve; 1: keep the push; 2: keep the answer
	waits, release := make(chan struct{}, 1), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/git-receive-pack") || stage.Load() == 0 {
			hub.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		if stage.Load() == 2 {
			hub.ServeHTTP(rec, r)
		}
		waits <- struct{}{}
		<-release
	}))
	t.Cleanup(func() { close(release); server.Close() })

	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start := func() (*exec.Cmd, *bytes.Buffer) {
		var out bytes.Buffer
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Args = []string{"autonomous-loop", "rollback", strconv.Itoa(two), "--why", "wrong way", "--repo", server.URL + "/" + repoName}
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir(), "GH_TOKEN=" + token, "GITHUB_SERVER_URL=" + server.URL, "GITHUB_API_URL=" + server.URL}
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, &out
	}

	// A run of the loop is at work: only GitHub can tell.
	run, err := hub.StartRun(repoName, "loop.yml", "workflow_dispatch", fakegithub.Actor{Login: "ada", ID: 7}, nil)
	if err != nil {
		t.Fatal(err)
	}
	hub.SetRun(run.ID, "in_progress", "")
	st, files := f.state()
	st.Status, st.Owner = runner.Running, &runner.Owner{Run: strconv.Itoa(int(run.ID)), Attempt: 1}
	f.transaction(st, files)
	cmd, out := start()
	if err := cmd.Wait(); err == nil || !strings.Contains(out.String(), "is at work on this loop") {
		t.Errorf("beside a run: %v: %s", err, out)
	}
	hub.SetRun(run.ID, "completed", "failure")

	before := b.state()
	for n := int32(1); n <= 2; n++ {
		stage.Store(n)
		cmd, out := start()
		select {
		case <-waits:
		case <-time.After(time.Minute):
			t.Fatalf("no push came: %s", out)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait() // it was killed
		if moved := b.state().Serial - before.Serial; moved != int(n-1) {
			t.Errorf("killed in stage %d: the state moved by %d", n, moved)
		}
	}
	stage.Store(0)
	cmd, out = start()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	after := b.state()
	if after.Serial != before.Serial+1 || len(after.Rollbacks) != 1 || !strings.Contains(out.String(), "rolled back to checkpoint") {
		t.Errorf("done %d times in %d transactions: %s", len(after.Rollbacks), after.Serial-before.Serial, out)
	}
	if b.git("rev-parse", workRef) != after.Work || b.git("rev-list", "--count", before.Work+".."+workRef) != "1" {
		t.Error("the work branch is not where the state has it")
	}
	if d := cmp.Diff(b.completed(), []string{"one-001"}); d != "" {
		t.Errorf("complete: %s", d)
	}
	if strings.Contains(out.String(), token) {
		t.Error("the token was printed")
	}
	b.git("fsck", "--strict", "--full")
}

// twoFeatures makes the branches of a loop that has completed two features, as
// the program would, and returns the checkpoint of the first.
func twoFeatures(f forger) int {
	f.t.Helper()
	now := time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	base := f.id("refs/heads/main")
	st := runner.State{
		Schema: runner.Schema, Loop: "main", Lineage: "abcdefghijkl", Epoch: 1, Status: runner.Waiting, Reason: runner.Paused,
		Base: runner.Base{Branch: "main", Commit: base}, Code: base, Work: base, Spent: runner.Spent{Sessions: 1},
		Sessions: []runner.SessionRecord{{Number: 1, Run: "1", Begun: now, Ended: now}},
	}
	files := map[string][]byte{}
	for _, id := range []string{"one-001", "two-001"} {
		row := runner.Row{ID: id, Category: "functional", Description: "What " + id + " asks", Priority: 1}
		st.Features = append(st.Features, runner.Feature{Row: row, Progress: runner.Progress{Status: runner.Todo, Frozen: row.AcceptanceHash()}})
	}
	tip := f.after("", nil, st, files)
	st.Serial = 1
	first := 0
	for i, id := range []string{"one-001", "two-001"} {
		code := f.files(st.Work)
		code[id+".txt"] = []byte("it is here\n")
		st.Work = f.commit(asTheLoop, f.tree(code), "feat: "+id, st.Work)
		st.Code, st.Published = st.Work, st.Work
		p := &st.Features[i].Progress
		// A version that kept no records proved them; the chain is empty.
		verdict := []byte("{}\n")
		files["evidence/"+id+"/verdict.json"] = verdict
		p.Status, p.Commit, p.Attempts = runner.Complete, st.Work, 1
		p.Evidence = &runner.Evidence{Outcome: runner.Verified, Tree: f.id(st.Work + "^{tree}"), Files: map[string]string{"verdict.json": runner.Hash(verdict)}}
		if first == 0 {
			first = st.Serial + 1
		}
		st.Points = append(st.Points, runner.Checkpoint{Serial: st.Serial + 1, Kind: runner.FeatureReached, Feature: id, Code: st.Code, Time: now})
		tip = f.after(tip, files["state.json"], st, files)
		st.Serial++
	}
	f.point(stateRef, tip)
	f.point(workRef, st.Work)
	return first
}

// TestAPersonsIgnoreRulesAreRead reads them where git would.
func TestAPersonsIgnoreRulesAreRead(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	b := bench{t, filepath.Join(home, "repo")}
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "git", "init", "-q", "--bare", b.remote).CombinedOutput(); err != nil {
		t.Fatal(string(out))
	}
	read := func() []string {
		return personal(t.Context(), environment{getenv: func(name string) string { return map[string]string{"HOME": home}[name] }}, b.remote)
	}
	write("repo/info/exclude", "here\n")
	write(".config/git/ignore", "everywhere\n")
	if d := cmp.Diff(read(), []string{"everywhere\n", "here\n"}); d != "" {
		t.Errorf("got and want:\n%s", d)
	}
	write("mine", "mine\n")
	b.git("config", "core.excludesFile", filepath.Join(home, "mine"))
	if d := cmp.Diff(read(), []string{"mine\n", "here\n"}); d != "" {
		t.Errorf("got and want:\n%s", d)
	}
}
