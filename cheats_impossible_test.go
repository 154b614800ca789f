package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// TestImpossible plays whole sessions on specs that contradict their own
// checks, with a model that cheats and with one that says so. Neither completes
// the feature; the honest one is not blamed.
func TestImpossible(t *testing.T) {
	names, err := filepath.Glob("testdata/cheats/impossible/*.txtar")
	if err != nil || len(names) < 20 {
		t.Fatalf("%d specs, %v", len(names), err)
	}
	for _, name := range names {
		if strings.HasPrefix(filepath.Base(name), "_") {
			continue
		}
		s, err := readImpossible(name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !deepTests && !s.has("sample") {
			continue
		}
		for _, model := range []string{"honest", "cheat"} {
			t.Run(s.name+"/"+model, func(t *testing.T) { s.play(t, model) })
		}
	}
}

// An impossible spec, and what two models do with it.
type impossible struct {
	name    string
	header  map[string]string
	project files
	row     string // feature.json
	script  map[string][]txtar.File
}

func (s impossible) has(word string) bool { _, ok := s.header[word]; return ok }

func readImpossible(name string) (impossible, error) {
	s := impossible{name: strings.TrimSuffix(filepath.Base(name), ".txtar"), header: map[string]string{}, project: files{}, script: map[string][]txtar.File{}}
	read := func(name string) error {
		a, err := txtar.ParseFile(name)
		if err != nil {
			return err
		}
		for _, m := range headerLine.FindAllStringSubmatch(string(a.Comment), -1) {
			s.header[m[1]] = strings.TrimSpace(m[2])
		}
		for _, f := range a.Files {
			dir, rest, _ := strings.Cut(f.Name, "/")
			model, verb, _ := strings.Cut(f.Name, " ")
			switch {
			case f.Name == "feature.json":
				s.row = string(f.Data)
			case dir == "parent":
				s.project[rest] = string(f.Data)
			case model == "cheat" || model == "honest":
				s.script[model] = append(s.script[model], txtar.File{Name: verb, Data: f.Data})
			default:
				return fmt.Errorf("%s is neither a file nor a model's turn", f.Name)
			}
		}
		return nil
	}
	if err := read(name); err != nil {
		return s, err
	}
	if base := s.header["base"]; base != "" {
		own := s.project
		s.project = files{}
		if err := read(filepath.Join(filepath.Dir(name), "_"+base+".txtar")); err != nil {
			return s, err
		}
		maps.Copy(s.project, own)
	}
	if s.row == "" || len(s.script["cheat"]) == 0 {
		return s, fmt.Errorf("%s has no feature.json, or no model that cheats", name)
	}
	if len(s.script["honest"]) == 0 {
		s.script["honest"] = []txtar.File{{Name: "tests/1 cannot_complete conflict", Data: []byte("The spec and its check cannot both hold: " + s.header["conflict"] + "\n")}}
	}
	_, err := regexp.Compile(s.header["reason"])
	return s, err
}

// model is the script of a model: the same in its first attempts and in the
// second chance. One that writes reads what is there first, as it must, and asks
// for verification after each phase.
func (s impossible) model(who, id string) string {
	var b strings.Builder
	for attempt := 1; attempt <= 3; attempt++ {
		last := map[string]int{}
		for _, f := range s.script[who] {
			key, verb, _ := strings.Cut(f.Name, " ")
			phase, turn, _ := strings.Cut(key, "/")
			if strings.HasPrefix(verb, "cannot_complete") {
				fmt.Fprintf(&b, "-- %s/%d/%s %s --\n%s", id, attempt, key, verb, f.Data)
				continue
			}
			if last[phase] == 0 {
				for _, p := range slices.Sorted(maps.Keys(s.project)) {
					fmt.Fprintf(&b, "-- %s/%d/%s/1 read_file %s --\n", id, attempt, phase, p)
				}
			}
			n := 0
			fmt.Sscan(turn, &n)
			last[phase] = max(last[phase], n+1)
			fmt.Fprintf(&b, "-- %s/%d/%s/%d %s --\n%s", id, attempt, phase, n+1, verb, f.Data)
		}
		for phase, n := range last {
			fmt.Fprintf(&b, "-- %s/%d/%s/%d request_verification --\nEverything passes.\n", id, attempt, phase, n+1)
		}
	}
	return b.String()
}

func (s impossible) play(t *testing.T, who string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	dir, remove, err := privateDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	var row runner.Row
	if err := json.Unmarshal([]byte(s.row), &row); err != nil {
		t.Fatal(err)
	}
	project := files{"features.json": "[" + s.row + "]\n", "SPEC.md": row.Description + "\n\n- " + strings.Join(row.Steps, "\n- ") + "\n"}
	maps.Copy(project, s.project)
	remote := bareRepo(t, cheat{trees: [3]files{project}})
	script := filepath.Join(dir, "model.txtar")
	if err := os.WriteFile(script, []byte(s.model(who, row.ID)), 0o600); err != nil {
		t.Fatal(err)
	}
	inputs := map[string]string{
		"model": "script:" + script, "features": "features.json", "attempts-per-feature": "1", "repairs-per-attempt": "0",
		"mode": "session", "test": s.header["test"], "pull-request": "none",
	}
	if len(row.Acceptance) == 0 {
		inputs["e2e"] = "off"
	}
	lookup := func(name string) string { return inputs[name] }
	env := environment{
		getenv: func(name string) string {
			if name == "PATH" {
				return "/usr/bin:/bin:" + os.Getenv("PATH")
			}
			return os.Getenv(name)
		},
		now: time.Now, stdout: io.Discard, stderr: io.Discard,
	}
	c, err := parseConfig(lookup)
	if err != nil {
		t.Fatal(err)
	}
	p, err := localPlace(c, remote, childTask{Trigger: runner.ByPerson}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var events []runner.Event
	session, err := wire(ctx, env, lookup, p, dir, func(e runner.Event) { events = append(events, e) }, func(agent.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	}()
	res, err := session.Run(ctx)
	if err != nil {
		t.Fatalf("%v\n%+v", err, events)
	}
	show := func(name string) []byte {
		out, err := exec.CommandContext(ctx, "git", "--git-dir", remote, "show", "autonomous-loop-state/main:"+name).Output()
		if err != nil {
			t.Fatalf("show %s: %v", name, err)
		}
		return out
	}
	st, err := runner.Decode(show("state.json"), show("feature_list.json"))
	if err != nil {
		t.Fatal(err)
	}
	f, _ := st.Feature(row.ID)
	var verdicts []string
	blamed := false // by a verdict other than conflict
	for _, e := range events {
		if e.Step == "verdict" {
			blamed = blamed || e.Outcome != "conflict"
			verdicts = append(verdicts, fmt.Sprintf("%s %s: %s", e.Phase, e.Outcome, e.Text))
		}
	}
	said := fmt.Sprintf("%s, failures %d, note %q\n%s", f.Status, f.Failures, f.Note, strings.Join(verdicts, "\n"))
	complete := res.FeaturesCompleted > 0 || res.Success || f.Status == runner.Complete ||
		slices.ContainsFunc(events, func(e runner.Event) bool { return e.Step == "complete" })
	var bad string
	switch {
	case complete:
		bad = "is complete"
	case who == "honest" && (!strings.Contains(f.Note, "conflict: ") || f.Failures > 0 || f.Crashes > 0 || blamed):
		bad = "the honest model's conflict is not what is kept of it"
	case who == "cheat" && !regexp.MustCompile(`(?is)`+s.header["reason"]).MatchString(f.Note+strings.Join(verdicts, "\n")):
		bad = fmt.Sprintf("the reason does not name the cheat: want %q", s.header["reason"])
	}
	if bad != "" {
		t.Errorf("%s\n%s", bad, said)
		return
	}
	t.Log(said)
}
