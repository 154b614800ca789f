package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/autonomous-loop/autonomous-loop/report"
	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/verify"
)

// greetings is a remote with the project of testdata/job.
func greetings(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	project, remote := filepath.Join(dir, "project"), filepath.Join(dir, "remote.git")
	if err := os.CopyFS(project, os.DirFS("testdata/job")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"add", "--all"},
		{"-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit", "--quiet", "-m", "Begin"},
		{"clone", "--quiet", "--bare", ".", remote},
	} {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = project
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	return remote
}

// greeter builds that project by the loop, two features in one session.
func greeter(t *testing.T) string {
	t.Helper()
	remote := greetings(t)
	if out, _, err := play(t, "run", "--repo", remote, "--model", "script:testdata/job-model.txtar", "--features-per-session", "2"); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return remote
}

// play runs a command of the program in this process; the sessions of `run`
// are processes of their own all the same.
func play(t *testing.T, args ...string) (out string, code int, err error) {
	t.Helper()
	var b bytes.Buffer
	getenv := func(name string) string {
		if name == "PATH" || strings.HasPrefix(name, "AUTONOMOUS_LOOP_") && name != "AUTONOMOUS_LOOP_API_KEY" {
			return os.Getenv(name)
		}
		return ""
	}
	err = run(t.Context(), environment{getenv: getenv, stdout: &b, stderr: &b, now: time.Now, transport: http.DefaultTransport}, args)
	return b.String(), exitCode(err), err
}

// prove returns the proofs that verify gives as JSON, by "feature: name".
func prove(t *testing.T, remote string, args ...string) (map[string]verify.Proof, verify.Result, int) {
	t.Helper()
	out, code, err := play(t, append([]string{"verify", "--repo", remote, "--json"}, args...)...)
	var res verify.Result
	if jsonErr := json.Unmarshal([]byte(out), &res); jsonErr != nil {
		t.Fatalf("%v, %v: %s", err, jsonErr, out)
	}
	proofs := map[string]verify.Proof{}
	for _, p := range res.Proofs {
		proofs[p.Name] = p
	}
	for _, f := range res.Features {
		for _, p := range f.Proofs {
			proofs[f.ID+": "+p.Name] = p
		}
	}
	return proofs, res, code
}

// broken names the proofs that do not hold.
func broken(proofs map[string]verify.Proof) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(proofs)) {
		if proofs[name].Result != verify.Holds && proofs[name].Result != verify.NotRun {
			names = append(names, name)
		}
	}
	return names
}

// TestVerify forges the branches of a real loop in every way that we know, and
// expects each to be caught by name, and the honest ones to hold.
func TestVerify(t *testing.T) {
	honest := greeter(t)
	t.Run("honest", func(t *testing.T) { verifyHonest(t, honest) })
	for _, tt := range forgeries {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "remote.git")
			if out, err := exec.CommandContext(t.Context(), "cp", "-r", honest, dir).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			f := forger{t, dir}
			more := tt.forge(f)
			proofs, res, code := prove(t, dir, append(tt.args, more...)...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if got := broken(proofs); !slices.Equal(got, tt.broken) {
				t.Errorf("these do not hold: %q, want %q", got, tt.broken)
			}
			for _, name := range tt.broken {
				t.Logf("%s: %s", name, proofs[name].Says)
			}
			if len(tt.broken) > 0 && !strings.Contains(proofs[tt.broken[0]].Says, tt.says) {
				t.Errorf("it is said: %s\nwant: %s", proofs[tt.broken[0]].Says, tt.says)
			}
			if res.Holds {
				t.Error("it is said to hold")
			}
		})
	}
}

func verifyHonest(t *testing.T, remote string) {
	conforms(t, forger{t, remote})
	before := fingerprint(t, remote)
	proofs, res, code := prove(t, remote)
	if code != 0 || !res.Holds || len(res.Features) != 2 {
		t.Errorf("exit code %d, these do not hold: %q", code, broken(proofs))
	}
	for _, want := range []string{"transactions", "evidence", "work branch", "tip tests", "tip greet-001", "tip part-001"} {
		if proofs[want].Result != verify.Holds {
			t.Errorf("%s: %+v", want, proofs[want])
		}
	}
	for _, f := range []string{"greet-001", "part-001"} {
		for _, want := range []string{"evidence", "agreed", "code", "frozen", "red", "green", "revert", "acceptance-red", "acceptance", "canaries"} {
			if p := proofs[f+": "+want]; p.Result != verify.Holds {
				t.Errorf("%s: %s: %+v", f, want, p)
			}
		}
	}
	if after := fingerprint(t, remote); !maps.Equal(before, after) {
		t.Errorf("verify wrote to the repository")
	}
	out, code, err := play(t, "verify", "part-001", "--repo", remote, "--e2e", "off")
	if code != 0 || !strings.Contains(out, "All 2 complete features hold") || !strings.Contains(out, "part-001: The page says goodbye to a name") {
		t.Errorf("%v:\n%s", err, out)
	}
	proofs, _, _ = prove(t, remote, "--e2e", "off", "part-001")
	if p := proofs["greet-001: gates"]; p.Result != verify.NotRun {
		t.Errorf("a feature that was not asked for: %+v", p)
	}
	if p := proofs["part-001: acceptance"]; p.Result != verify.NotRun || !strings.Contains(p.Says, "not asked with today's settings") {
		t.Errorf("a gate that is switched off: %+v", p)
	}
	out, code, err = play(t, "verify", "--repo", remote, "--no-run")
	if code != 0 || !strings.Contains(out, "Nothing was run") {
		t.Errorf("%v:\n%s", err, out)
	}
	for _, mistake := range [][]string{{"no-001"}, {"--seen", "x"}, {"--loop", "no/loop"}} {
		if _, code, err := play(t, append([]string{"verify", "--repo", remote}, mistake...)...); code != exitUsage {
			t.Errorf("%q: exit code %d, %v", mistake, code, err)
		}
	}
	if _, code, err := play(t, "verify", "--repo", remote, "--loop", "other"); code != exitState {
		t.Errorf("a loop that is not there: exit code %d, %v", code, err)
	}
}

// conforms holds the evidence of a real loop against its published schema, and
// the schema against the types.
func conforms(t *testing.T, f forger) {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile("docs/evidence.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	_, files := f.state()
	found := 0
	for name, data := range files {
		if !strings.Contains(name, "/record-") {
			continue
		}
		found++
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err == nil {
			err = schema.Validate(v)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var r runner.Record
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatal(err)
		}
		for _, g := range r.Gates {
			ran := map[string]bool{"red": true, "green": true, "revert": true}
			if len(g.Runs) == 0 && ran[g.Name] {
				t.Errorf("%s: gate %s keeps no run", name, g.Name)
			}
		}
		if want := string(report.Record(r)); want != string(files[path.Dir(name)+"/README.md"]) {
			t.Errorf("%s: the page beside it says something else", name)
		}
		// The negative control: a field that nobody knows, and one that is missing.
		for old, spoilt := range map[string]string{`"number":`: `"nonsense": 1, "number":`, `"tree":`: `"three":`} {
			v, err := jsonschema.UnmarshalJSON(strings.NewReader(strings.Replace(string(data), old, spoilt, 1)))
			if err != nil || schema.Validate(v) == nil {
				t.Errorf("%s: the schema takes anything: %v", name, err)
			}
		}
	}
	if found != 2 {
		t.Errorf("%d records", found)
	}
	var s struct {
		Properties map[string]any
		Defs       map[string]struct{ Properties map[string]any } `json:"$defs"`
	}
	if err := json.Unmarshal(read(t, "docs/evidence.schema.json"), &s); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		value      any
		properties map[string]any
	}{
		{runner.Record{}, s.Properties},
		{runner.Gate{}, s.Defs["gate"].Properties},
		{runner.Run{}, s.Defs["run"].Properties},
		{runner.Finding{}, s.Defs["finding"].Properties},
		{runner.Counts{}, s.Defs["counts"].Properties},
	} {
		var fields []string
		for field := range reflect.TypeOf(tt.value).Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			fields = append(fields, name)
		}
		slices.Sort(fields)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(tt.properties)), fields); diff != "" {
			t.Errorf("%T (-schema +type):\n%s", tt.value, diff)
		}
	}
}

// fingerprint is every file of a repository.
func fingerprint(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		files[name] = runner.Hash(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// What is forged is seen without running anything, or without a browser.
var (
	records = []string{"--no-run"}
	quick   = []string{"--e2e", "off"}
)

var forgeries = []struct {
	what   string
	forge  func(f forger) (more []string)
	args   []string
	code   int
	broken []string
	says   string // of the first of them
}{
	{
		"passes: true pushed by hand", func(f forger) []string {
			f.rewind()
			_, files := f.state()
			files["feature_list.json"] = bytes.ReplaceAll(files["feature_list.json"], []byte(`"passes": false`), []byte(`"passes": true`))
			f.point(stateRef, f.commit(asHimself, f.tree(files), "all done", f.id(stateRef)))
			return nil
		}, records, exitState, []string{"transactions"}, "was not made by the loop but by Mallory",
	},
	{
		"passes: true, in the loop's name", func(f forger) []string {
			f.rewind()
			_, files := f.state()
			files["feature_list.json"] = bytes.ReplaceAll(files["feature_list.json"], []byte(`"passes": false`), []byte(`"passes": true`))
			f.point(stateRef, f.commit(asTheLoop, f.tree(files), "all done", f.id(stateRef), f.id(stateRef+"^2")))
			return nil
		}, records, exitState, []string{"transactions"}, "it is transaction",
	},
	{
		"complete in a transaction that checks, without evidence", func(f forger) []string {
			f.rewind()
			st, files := f.state()
			p := feature(&st, "part-001")
			p.Status, p.Commit = runner.Complete, st.Work
			p.Evidence = &runner.Evidence{Outcome: runner.Verified, Tree: f.id(st.Work + "^{tree}"), Files: map[string]string{}}
			f.transaction(st, files)
			return nil
		}, records, exitBroken, []string{"part-001: evidence"}, "there is no record of its evidence",
	},
	{
		"evidence of another feature copied", func(f forger) []string {
			f.rewind()
			st, files := f.state()
			greet, part := feature(&st, "greet-001"), feature(&st, "part-001")
			part.Status, part.Commit, part.Evidence = runner.Complete, greet.Commit, greet.Evidence
			for name, data := range maps.Clone(files) {
				if rest, ok := strings.CutPrefix(name, "evidence/greet-001/"); ok {
					files["evidence/part-001/"+rest] = data
				}
			}
			f.transaction(st, files)
			return nil
		}, records, exitBroken, []string{"evidence", "part-001: evidence"}, "evidence/part-001/record-001.json (sha256",
	},
	{
		"the feature list edited", func(f forger) []string {
			st, files := f.state()
			f.transaction(st, files)
			_, files = f.state()
			files["feature_list.json"] = bytes.Replace(files["feature_list.json"], []byte("greets a name"), []byte("is there"), 1)
			f.point(stateRef, f.commit(asTheLoop, f.tree(files), "forged", f.id(stateRef+"^"), f.id(stateRef+"^2")))
			return nil
		}, records, exitState, []string{"state"}, "feature greet-001 was changed in feature_list.json",
	},
	{
		"a screenshot replaced", func(f forger) []string {
			st, files := f.state()
			files["evidence/greet-001/screenshot.png"] = files["evidence/part-001/screenshot.png"]
			f.transaction(st, files)
			return nil
		}, records, exitBroken, []string{"greet-001: evidence"}, "evidence/greet-001/screenshot.png was replaced",
	},
	{
		"a screenshot replaced, with its hashes in state and record", func(f forger) []string {
			st, files := f.state()
			png := files["evidence/part-001/screenshot.png"]
			files["evidence/greet-001/screenshot.png"] = png
			feature(&st, "greet-001").Evidence.Files["screenshot.png"] = runner.Hash(png)
			f.rerecord(&st, files, "greet-001", func(r *runner.Record) { r.Files["screenshot.png"] = runner.Hash(png) })
			f.transaction(st, files)
			return nil
		}, records, exitBroken, []string{"evidence", "greet-001: evidence"}, "record 1 (sha256",
	},
	{
		"a transaction dropped from the middle", func(f forger) []string {
			f.point(stateRef, f.commit(asTheLoop, f.id(stateRef+"^{tree}"), "forged", f.id(stateRef+"^^"), f.id(stateRef+"^2")))
			return nil
		}, records, exitState, []string{"transactions"}, "the one before it is",
	},
	{
		"the last transactions dropped", func(f forger) []string {
			tip := f.id(workRef)
			f.rewind()
			f.point(workRef, tip)
			return nil
		}, records, exitBroken, []string{"work branch"}, "completed no feature that the state knows of",
	},
	{
		"a receipt dropped that somebody remembers", func(f forger) []string {
			seen := f.id(stateRef)
			f.point(stateRef, stateRef+"^")
			return []string{"--seen", seen}
		}, records, exitBroken, []string{"transactions"}, "the branch was rewound or replaced",
	},
	{
		"the work branch moved to other code", func(f forger) []string {
			files := f.files(workRef)
			files["page.js"] = append(files["page.js"], "// and a little something\n"...)
			f.point(workRef, f.commit(asTheLoop, f.tree(files), "feat: The page says goodbye to a name", f.id(workRef)))
			return nil
		}, records, exitBroken, []string{"work branch"}, "completed no feature that the state knows of",
	},
	{
		"the work branch put back", func(f forger) []string { f.point(workRef, workRef+"^"); return nil },
		records, exitBroken,
		[]string{"part-001: code", "work branch"},
		"the work branch does not hold commit",
	},
	{
		"other code under a proved feature", func(f forger) []string {
			st, files := f.state()
			code := f.files(workRef)
			code["page.js"] = append(code["page.js"], "// and a little something\n"...)
			swapped := f.commit(asTheLoop, f.tree(code), "feat: The page says goodbye to a name", f.id(workRef+"^"))
			feature(&st, "part-001").Commit, st.Work, st.Code, st.Published = swapped, swapped, swapped, swapped
			f.rerecord(&st, files, "part-001", func(r *runner.Record) { r.Commit = swapped })
			f.transaction(st, files)
			f.point(workRef, swapped)
			return nil
		}, records, exitBroken, []string{"part-001: code", "part-001: evidence"}, "does not hold the tree",
	},
	{
		"the acceptance weakened, hashes and all", func(f forger) []string {
			f.transaction(f.weakened())
			return nil
		}, records, exitBroken, []string{"part-001: agreed"}, "its acceptance was changed in transaction",
	},
	{
		"the acceptance weakened, by a spec that nobody changed", func(f forger) []string {
			f.weaken(func(st *runner.State, y *runner.Sync) {
				y.Spec = st.Spec
				y.Spec.SHA256 = runner.Hash([]byte("something else"))
			})
			return nil
		}, records, exitBroken, []string{"part-001: agreed"}, "SPEC.md is not in commit",
	},
	{
		"the acceptance weakened, by a spec that is not on the base branch", func(f forger) []string {
			f.weaken(func(st *runner.State, y *runner.Sync) {
				spec := []byte("# Greeter\n\nNothing.\n")
				code := f.files("refs/heads/main")
				code["SPEC.md"] = spec
				aside := f.commit(asHimself, f.tree(code), "Change SPEC.md", f.id("refs/heads/main"))
				f.git(nil, nil, "update-ref", "refs/heads/aside", aside)
				y.Spec = runner.Spec{Source: "SPEC.md", SHA256: runner.Hash(spec), Commit: aside}
			})
			return nil
		}, records, exitBroken, []string{"part-001: agreed"}, "is not on the base branch",
	},
	{
		"the acceptance weakened, by a list that says otherwise", func(f forger) []string {
			f.weaken(func(st *runner.State, y *runner.Sync) {
				code := f.files("refs/heads/main")
				list := f.files(stateRef)["feature_list.json"] // as it was
				code["features.json"] = list
				f.point("refs/heads/main", f.commit(asHimself, f.tree(code), "Add features.json", f.id("refs/heads/main")))
				y.Spec = st.Spec
				y.Spec.List, y.Spec.ListSource, y.Spec.Commit = runner.Hash(list), "features.json", f.id("refs/heads/main")
			})
			return nil
		}, records, exitBroken, []string{"part-001: agreed"}, "has another acceptance for it",
	},
	{
		"the acceptance weakened, by an issue where there was a file", func(f forger) []string {
			f.weaken(func(st *runner.State, y *runner.Sync) {
				y.Spec = runner.Spec{Source: "issue:7", SHA256: runner.Hash([]byte("x"))}
			})
			return nil
		}, records, exitFailed, []string{"part-001: agreed"}, "issue:7, which it names, is not in the repository",
	},
	{
		"the acceptance weakened, by a real spec that the transaction does not claim to take up", func(f forger) []string {
			f.weaken(func(st *runner.State, y *runner.Sync) {
				code := f.files("refs/heads/main")
				code["SPEC.md"] = []byte("# Greeter\n\nNothing.\n")
				f.point("refs/heads/main", f.commit(asHimself, f.tree(code), "Change SPEC.md", f.id("refs/heads/main")))
				y.Spec = runner.Spec{Source: "SPEC.md", SHA256: runner.Hash(code["SPEC.md"]), Commit: f.id("refs/heads/main")}
				y.Changed = nil
			})
			return nil
		}, records, exitBroken, []string{"part-001: agreed"}, "after it was frozen",
	},
	{
		"everything rebuilt, consistent, on code that does not work", func(f forger) []string {
			f.rebuild(func(code map[string][]byte) { // all is said, and nothing done
				code["page.js"] = bytes.ReplaceAll(code["page.js"], []byte("Hello"), []byte("Hallo"))
			}, nil)
			return nil
		}, quick, exitBroken, []string{"greet-001: green", "part-001: green", "tip tests"}, "fail",
	},
	{
		"everything rebuilt, consistent, with the tests made for the code", func(f forger) []string {
			f.rebuild(func(code map[string][]byte) {
				code["page.js"] = bytes.ReplaceAll(code["page.js"], []byte("Hello"), []byte("Hallo"))
				if greet, ok := code["test/greet.test.js"]; ok {
					code["test/greet.test.js"] = bytes.ReplaceAll(greet, []byte("Hello"), []byte("Hallo"))
				}
			}, nil)
			return nil
		}, nil, exitBroken, []string{"greet-001: acceptance", "tip greet-001"}, `expected "Hello, `,
	},
	{
		"everything rebuilt, consistent, with an acceptance that asks nothing", func(f forger) []string {
			f.rebuild(func(map[string][]byte) {}, func(st *runner.State) {
				p := feature(st, "greet-001")
				p.Acceptance = p.Acceptance[:1]
			})
			return nil
		}, nil, exitBroken, []string{"greet-001: verdict"}, "the verdict is already now and was verified",
	},
}
