package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
	"github.com/autonomous-loop/autonomous-loop/runner"
)

// next takes the run that the loop asked for.
func (w *workplace) next() int64 {
	w.t.Helper()
	run, ok := w.Take(repoName)
	if !ok {
		w.t.Fatal("no run was asked for")
	}
	return run.ID
}

// session runs a whole step of a run and ends the run.
func (w *workplace) session(run int64, env ...string) *step {
	w.t.Helper()
	s := w.step(run, "autonomous-loop", append([]string{"INPUT_MODEL=script:testdata/job-model.txtar"}, env...)...)
	s.ends(w.t, 3*time.Minute)
	w.SetRun(run, "completed", "success")
	return s
}

// replaced puts another file into the last transaction, as somebody could who
// may push to the state branch and hides it.
func (w *workplace) replaced(name string, data []byte) {
	w.t.Helper()
	f := forger{w.t, w.Dir(repoName)}
	files := f.files(stateRef)
	if data == nil {
		delete(files, name)
	} else {
		files[name] = data
	}
	message := f.git(nil, nil, "log", "-1", "--format=%B", stateRef)
	f.point(stateRef, f.commit(asTheLoop, f.tree(files), message, f.id(stateRef+"^1"), f.id(stateRef+"^2")))
}

// TestHandoff: what a session leaves is the same on the branch and in the
// artifact, is what the schema says, and is checked by the next session: what
// does not fit costs it a line.
func TestHandoff(t *testing.T) {
	if testing.Short() {
		t.Skip("sessions with a browser")
	}
	w := newWorkplace(t, "one-job.yml")
	w.session(w.start())
	f := forger{t, w.Dir(repoName)}
	handoff := f.files(stateRef)["handoff.json"]
	if st := w.state(); st.Handoff != runner.Hash(handoff) {
		t.Errorf("the state names %s, the handoff is %s", st.Handoff, runner.Hash(handoff))
	}
	if got := w.unzipped(0, "handoff.json"); !bytes.Equal(got, handoff) {
		t.Errorf("the artifact has another one:\n%s\n%s", got, handoff)
	}
	schema, err := jsonschema.NewCompiler().Compile("docs/handoff.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	valid := func(data []byte) error {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			return err
		}
		return schema.Validate(v)
	}
	if err := valid(handoff); err != nil {
		t.Errorf("%v\n%s", err, handoff)
	}
	for old, spoilt := range map[string]string{`"summary":`: `"nonsense": 1, "summary":`, `"git_hash":`: `"hash":`} {
		if valid([]byte(strings.Replace(string(handoff), old, spoilt, 1))) == nil {
			t.Errorf("the schema takes anything: %s", spoilt)
		}
	}
	var h runner.Handoff
	if err := json.Unmarshal(handoff, &h); err != nil || h.Type != runner.SessionHandoff || h.Reason != runner.FeaturesPerSession || h.RunAttempt != 1 || h.Context.SessionNumber != 1 {
		t.Errorf("%+v, %v", h, err)
	}

	// The rest is said before anything else, so that a session that is cut short will do.
	before := f.id(stateRef)
	said := func(want string, change func()) {
		t.Helper()
		change()
		s := w.step(w.start(), "autonomous-loop", "INPUT_MODEL=script:testdata/job-model.txtar", "INPUT_DRY-RUN=true")
		s.ends(t, time.Minute)
		if !strings.Contains(string(s.out.bytes()), want) {
			t.Errorf("it does not say %q:\n%s", want, s.out.bytes())
		}
		f.point(stateRef, before)
	}
	said("session: session 1 handed over with "+h.ID+"\n", func() {})
	said("by the artifact, because that on the branch was damaged", func() { w.replaced("handoff.json", []byte("{}")) })
	said("by the artifact, because that on the branch was damaged", func() { w.replaced("handoff.json", nil) })
	w.Expire(w.Artifacts()[0].ID)
	said("recovery: there is no handoff", func() { w.replaced("handoff.json", nil) })
	said("it has expired; going on from transaction", func() { w.replaced("handoff.json", nil) })

	// It starts from the branch all the same.
	w.replaced("handoff.json", []byte(`{"state":{"completed_features":["greet-001","part-001"]}}`))
	s := w.session(w.next())
	if st := w.state(); st.Status != runner.Done || !strings.Contains(string(s.out.bytes()), "recovery: the handoff has schema 0;") {
		t.Errorf("the loop is %s:\n%s", st.Status, s.out.bytes())
	}
}

// unzipped is a file of the nth artifact.
func (w *workplace) unzipped(n int, name string) []byte {
	w.t.Helper()
	all := w.Artifacts()
	if n >= len(all) {
		w.t.Fatalf("there are %d artifacts", len(all))
	}
	file := filepath.Join(w.t.TempDir(), "artifact.zip")
	if err := os.WriteFile(file, all[n].Data, 0o600); err != nil {
		w.t.Fatal(err)
	}
	out, err := exec.CommandContext(w.t.Context(), "unzip", "-p", file, name).Output()
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// TestPulseOutlivesAKill: what a session had done when it was killed in the
// middle of a phase is on the state branch, and the next attempt is told of it.
func TestPulseOutlivesAKill(t *testing.T) {
	if testing.Short() {
		t.Skip("sessions with a browser")
	}
	w := newWorkplace(t, "one-job.yml")
	model := w.script("-- greet-001/1/implement/1 read_file page.js --", "-- greet-001/1/implement/1 write_file half.js --\nhalf\n-- greet-001/1/implement/2 sleep 10m --\n-- greet-001/1/implement/2 read_file page.js --")
	run := w.start()
	s := w.step(run, "autonomous-loop", "INPUT_MODEL=script:"+model, "AUTONOMOUS_LOOP_BEAT=200ms")
	f := forger{t, w.Dir(repoName)}
	saved := func() bool {
		out, err := exec.CommandContext(t.Context(), "git", "-C", f.dir, "show", stateRef+"^2:half.js").Output()
		return err == nil && string(out) == "half\n"
	}
	s.until(t, "saves what it has", saved)
	serial := w.state().Serial
	time.Sleep(time.Second) // some beats
	if n := w.state().Serial; n != serial {
		t.Errorf("%d transactions although nothing changed", n-serial)
	}
	if err := s.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.over
	w.SetRun(run, "completed", "failure")
	lost := f.id(stateRef + "^2")

	scheduled, err := w.StartRun(repoName, "loop.yml", "schedule", fakegithub.Actor{Login: "ada", ID: 7}, nil)
	if err != nil {
		t.Fatal(err)
	}
	again := strings.ReplaceAll(string(read(t, "testdata/job-model.txtar")), "-- greet-001/1/", "-- greet-001/2/")
	again = strings.Replace(again, "-- greet-001/2/tests/1 write_file", "-- greet-001/2/tests/1 expect --\nthe session died in the implement phase of attempt 1\nhalf.js\n-- greet-001/2/tests/1 write_file", 1)
	file := filepath.Join(t.TempDir(), "again.txtar")
	if err := os.WriteFile(file, []byte(again), 0o600); err != nil {
		t.Fatal(err)
	}
	w.SetRun(scheduled.ID, "in_progress", "")
	s = w.session(scheduled.ID, "INPUT_MODEL=script:"+file)
	st := w.state()
	g, _ := st.Feature("greet-001")
	if g.Status != runner.Complete || g.Attempts != 2 || g.Crashes != 1 || !strings.Contains(string(s.out.bytes()), "recovery: session 1 left no handoff") {
		t.Errorf("greet-001 is %s after %d attempts and %d crashes:\n%s", g.Status, g.Attempts, g.Crashes, s.out.bytes())
	}
	f.git(nil, nil, "merge-base", "--is-ancestor", lost, stateRef) // what was lost is kept
	if files := f.files(workRef); files["half.js"] != nil {
		t.Error("what was not verified is on the work branch")
	}
}
