package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/doctor"
)

// examine asks doctor for what it finds in a repository.
func examine(t *testing.T, remote string, args ...string) (doctor.Result, int) {
	t.Helper()
	out, code, err := play(t, append([]string{"doctor", "--repo", remote, "--json", "--isolation", "none", "--e2e", "off"}, args...)...)
	var res doctor.Result
	if jsonErr := json.Unmarshal([]byte(out), &res); jsonErr != nil {
		t.Fatalf("%v, %v: %s", err, jsonErr, out)
	}
	return res, code
}

// edit changes a file of JSON as text.
func edit(t *testing.T, data []byte, old, by string) []byte {
	t.Helper()
	if !strings.Contains(string(data), old) {
		t.Fatalf("there is no %q in\n%s", old, data)
	}
	return []byte(strings.Replace(string(data), old, by, 1))
}

// TestDoctor damages a real loop in every way that has a name, and expects
// doctor to give that name, to say how to mend it, and to change nothing.
func TestDoctor(t *testing.T) {
	if testing.Short() {
		t.Skip("a session with a browser")
	}
	honest := greeter(t)
	res, code := examine(t, honest)
	if !res.Healthy || code != 0 || res.Lineage == "" {
		t.Fatalf("an honest loop: code %d, %+v", code, res)
	}
	// tip makes the last transaction anew, by the loop's name.
	tip := func(f forger, change func(files map[string][]byte) (message string, parents []string)) {
		files := f.files(stateRef)
		message := f.git(nil, nil, "log", "-1", "--format=%B", stateRef)
		parents := []string{f.id(stateRef + "^1"), f.id(stateRef + "^2")}
		if m, p := change(files); m != "" || p != nil {
			if m != "" {
				message = m
			}
			if p != nil {
				parents = p
			}
		}
		f.point(stateRef, f.commit(asTheLoop, f.tree(files), message, parents...))
	}
	for kind, tt := range map[string]struct {
		damage func(f forger)
		code   int
	}{
		"foreign commit": {func(f forger) {
			f.point(stateRef, f.commit(asHimself, f.tree(f.files(stateRef)), "by hand", f.id(stateRef)))
		}, exitState},
		"missing state": {func(f forger) {
			tip(f, func(files map[string][]byte) (string, []string) { delete(files, "state.json"); return "", nil })
		}, exitState},
		"unreadable state": {func(f forger) {
			tip(f, func(files map[string][]byte) (string, []string) { files["state.json"] = []byte("{\n"); return "", nil })
		}, exitState},
		"newer schema": {func(f forger) {
			tip(f, func(files map[string][]byte) (string, []string) {
				files["state.json"] = edit(t, files["state.json"], `"schema": 3`, `"schema": 99`)
				return "", nil
			})
		}, exitState},
		"damaged state": {func(f forger) {
			tip(f, func(files map[string][]byte) (string, []string) {
				files["feature_list.json"] = edit(t, files["feature_list.json"], `"The page greets a name"`, `"The page greets nobody"`)
				return "", nil
			})
		}, exitState},
		"foreign lineage": {func(f forger) {
			st, files := f.state()
			st.Lineage = "anotherloop1"
			f.transaction(st, files)
		}, exitState},
		"serial": {func(f forger) {
			st, files := f.state()
			before := files["state.json"]
			st.Serial += 3
			f.point(stateRef, f.after(f.id(stateRef), before, st, files))
		}, exitState},
		"previous hash": {func(f forger) {
			st, files := f.state()
			f.point(stateRef, f.after(f.id(stateRef), []byte("another"), st, files))
		}, exitState},
		"epoch": {func(f forger) {
			st, files := f.state()
			st.Epoch = 0
			f.transaction(st, files)
		}, exitState},
		"cut root": {func(f forger) {
			tip(f, func(map[string][]byte) (string, []string) { return "", []string{} })
		}, exitState},
		"parents": {func(f forger) {
			tip(f, func(map[string][]byte) (string, []string) { return "", []string{f.id(stateRef + "^1")} })
		}, exitState},
		"code commit": {func(f forger) {
			tip(f, func(map[string][]byte) (string, []string) {
				return "", []string{f.id(stateRef + "^1"), f.id("refs/heads/main")}
			})
		}, exitState},
		"trailers": {func(f forger) {
			tip(f, func(map[string][]byte) (string, []string) { return "end session 1\n\nLoop-Serial: 1\n", nil })
		}, exitState},
		"evidence": {func(f forger) {
			tip(f, func(files map[string][]byte) (string, []string) {
				files["evidence/greet-001/green.txt"] = []byte("all passed\n")
				return "", nil
			})
		}, exitState},
		"handoff": {func(f forger) {
			tip(f, func(files map[string][]byte) (string, []string) { files["handoff.json"] = []byte("{}"); return "", nil })
		}, exitDone},
		"unreadable repository": {func(f forger) {
			// Packed as it is, it is taken apart, so that one object can go.
			lost := f.id(stateRef + "~2:state.json")
			packs, _ := filepath.Glob(filepath.Join(f.dir, "objects", "pack", "*.pack"))
			for _, p := range packs {
				away := filepath.Join(t.TempDir(), filepath.Base(p))
				if err := os.Rename(p, away); err != nil {
					t.Fatal(err)
				}
				_ = os.Remove(strings.TrimSuffix(p, ".pack") + ".idx")
				data, err := os.ReadFile(away)
				if err != nil {
					t.Fatal(err)
				}
				f.git(nil, data, "unpack-objects", "-q")
			}
			if err := os.Remove(filepath.Join(f.dir, "objects", lost[:2], lost[2:])); err != nil {
				t.Fatal(err)
			}
		}, exitState},
		"deleted state branch": {func(f forger) { f.git(nil, nil, "update-ref", "-d", stateRef) }, exitState},
		"deleted work branch":  {func(f forger) { f.git(nil, nil, "update-ref", "-d", workRef) }, exitState},
		"work branch behind": {func(f forger) {
			st, files := f.state()
			st.Published = f.id(workRef + "^")
			f.point(workRef, workRef+"^")
			f.transaction(st, files)
		}, exitState}, // its message is forged as well
		"unpublished work branch": {func(f forger) {
			st, files := f.state()
			st.Published = ""
			f.git(nil, nil, "update-ref", "-d", workRef)
			f.transaction(st, files)
		}, exitState}, // its message is forged as well
		"foreign work": {func(f forger) {
			f.point(workRef, f.commit(asHimself, f.tree(f.files(workRef)), "by hand", f.id(workRef)))
		}, exitDone},
		"moved work branch": {func(f forger) {
			f.point(workRef, f.commit(asHimself, f.tree(f.files(workRef)), "instead", f.id(workRef+"^")))
		}, exitState},
		"lost feature": {func(f forger) {
			st, files := f.state()
			st.Code, st.Work = st.Base.Commit, st.Base.Commit
			f.transaction(st, files)
		}, exitState},
		"orphaned owner": {func(f forger) {
			st, files := f.state()
			st.Status, st.Owner = runner.Running, &runner.Owner{Run: "999999-1", Attempt: 1}
			f.transaction(st, files)
		}, exitState},
	} {
		t.Run(kind, func(t *testing.T) {
			f := forger{t, filepath.Join(t.TempDir(), "remote.git")}
			if out, err := exec.CommandContext(t.Context(), "cp", "-r", honest, f.dir).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			tt.damage(f)
			before := f.git(nil, nil, "for-each-ref")
			res, code := examine(t, f.dir)
			i := slices.IndexFunc(res.Findings, func(found doctor.Finding) bool { return found.Kind == kind })
			if i < 0 {
				t.Fatalf("it is not named: %+v", res.Findings)
			}
			if found := res.Findings[i]; found.Mend == "" || found.Says == "" || found.Level == doctor.Fine {
				t.Errorf("it says %+v", found)
			}
			if code != tt.code {
				t.Errorf("code %d, want %d: %+v", code, tt.code, res.Findings)
			}
			if after := f.git(nil, nil, "for-each-ref"); after != before {
				t.Errorf("it changed something:\n%s\n%s", before, after)
			}
		})
	}
	t.Run("for people", func(t *testing.T) {
		out, code, _ := play(t, "doctor", "--repo", honest, "--isolation", "none", "--e2e", "off")
		for _, want := range []string{"git ", "disk ", "transactions   ok: ", "evidence       ok: ", "work branch    ok: ", "owner          ok: no session owns"} {
			if code != 0 || !strings.Contains(out, want) {
				t.Errorf("code %d, no %q:\n%s", code, want, out)
			}
		}
	})
	t.Run("status and report", func(t *testing.T) {
		out, _, err := play(t, "status", "--repo", honest)
		for _, want := range []string{"owner      none\n", "handoff    of session 1 at ", ": everything is complete\n", "next start by a changed spec\n"} {
			if err != nil || !strings.Contains(out, want) {
				t.Errorf("%v, no %q:\n%s", err, want, out)
			}
		}
		to := filepath.Join(t.TempDir(), "report")
		out, _, err = play(t, "report", to, "--repo", honest)
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if html := read(t, filepath.Join(to, "report.html")); !strings.Contains(string(html), "greet-001") {
			t.Errorf("the report says\n%s", html)
		}
	})
}

// TestInit: a repository gets a workflow and a spec to begin with, and what is
// there is never written over.
func TestInit(t *testing.T) {
	dir := t.TempDir()
	if out, code, err := play(t, "init", dir); code != exitUsage {
		t.Errorf("where no repository is: code %d, %v: %s", code, err, out)
	}
	if out, err := exec.CommandContext(t.Context(), "git", "init", "-q", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "SPEC.md"), []byte("mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code, err := play(t, "init", dir)
	if code != 0 || !strings.Contains(out, "kept     SPEC.md") || !strings.Contains(out, "written  .github/workflows/loop.yml") {
		t.Errorf("code %d, %v: %s", code, err, out)
	}
	if got := string(read(t, filepath.Join(dir, "SPEC.md"))); got != "mine\n" {
		t.Errorf("the spec was written over: %s", got)
	}
	if got, want := string(read(t, filepath.Join(dir, ".github/workflows/loop.yml"))), string(read(t, "examples/workflows/two-jobs.yml")); got != want {
		t.Errorf("the workflow is\n%s", got)
	}
	if out, code, err := play(t, "init", dir); code != exitUsage {
		t.Errorf("again: code %d, %v: %s", code, err, out)
	}
}
