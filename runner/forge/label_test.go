package forge

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
	"github.com/autonomous-loop/autonomous-loop/runner"
)

// While only a person can let the loop go on, the pull request has a label; it
// goes away when the loop goes on, and what people do with it is left alone.
func TestTheLabelCallsAPerson(t *testing.T) {
	needs := func(r runner.Report) runner.Report {
		r.State.Status, r.State.Reason = runner.Stopped, runner.NoProgress
		r.State.Effects = map[string]string{KeyLabel: ""}
		return r
	}
	goesOn := func(r runner.Report, label string) runner.Report {
		r.State.Status, r.State.Effects = runner.Running, map[string]string{KeyLabel: label}
		return r
	}
	labelled := []string{`label "autonomous-loop: needs a person"`, `#1 is labelled "autonomous-loop: needs a person"`}
	for name, play := range map[string]func(t *testing.T, w *world, do func(runner.Report) string) (edits []string){
		"no person is needed": func(_ *testing.T, w *world, do func(runner.Report) string) []string {
			do(w.report("1 of 3"))
			return nil
		},
		"it is put there, once, and taken off": func(t *testing.T, w *world, do func(runner.Report) string) []string {
			at := do(needs(w.report("1 of 3")))
			again := needs(w.report("1 of 3"))
			again.State.Effects[KeyLabel] = at
			if at != "1" || do(again) != "" || do(goesOn(w.report("1 of 3"), at)) != runner.NoLabel || do(goesOn(w.report("1 of 3"), runner.NoLabel)) != "" {
				t.Error("receipts")
			}
			return append(labelled, `#1 is not labelled "autonomous-loop: needs a person" any more`)
		},
		"there is such a label already, in a colour of theirs": func(_ *testing.T, w *world, do func(runner.Report) string) []string {
			w.Label(where, w.AddIssue(where, boss, "Another", ""), "Autonomous-loop: needs a person")
			do(needs(w.report("1 of 3")))
			return []string{`#2 is labelled "Autonomous-loop: needs a person"`}
		},
		"a person took it off": func(_ *testing.T, w *world, do func(runner.Report) string) []string {
			at := do(needs(w.report("1 of 3")))
			w.Label(where, 1, "mine")
			again := needs(w.report("1 of 3"))
			again.State.Effects[KeyLabel] = at
			do(again)
			do(goesOn(w.report("1 of 3"), at))
			return labelled
		},
		"whoever put it there died": func(_ *testing.T, w *world, do func(runner.Report) string) []string {
			do(needs(w.report("1 of 3")))
			do(goesOn(w.report("1 of 3"), ""))
			return append(labelled, `#1 is not labelled "autonomous-loop: needs a person" any more`)
		},
		"before there is a pull request, on the issue; then it moves": func(_ *testing.T, w *world, do func(runner.Report) string) []string {
			w.opts.SpecIssue = w.AddIssue(where, boss, "A list", "Build it.")
			at := do(needs(w.early("0 of 3")))
			r := needs(w.report("1 of 3"))
			r.State.Effects[KeyLabel] = at
			do(r)
			return append(labelled, `#2 is labelled "autonomous-loop: needs a person"`, `#1 is not labelled "autonomous-loop: needs a person" any more`)
		},
		"no pull request and no issue": func(_ *testing.T, w *world, do func(runner.Report) string) []string {
			do(needs(w.early("0 of 3")))
			return nil
		},
		"another session is making it at the same moment": func(_ *testing.T, w *world, do func(runner.Report) string) []string {
			w.Label(where, w.AddIssue(where, boss, "Another", ""), NeedsPerson)
			w.Fail(fakegithub.Fault{Match: "GET /repos/*/*/labels/*", Status: 404})
			do(needs(w.report("1 of 3")))
			return slices.Clone(labelled[1:2])
		},
		"the answer is lost": func(_ *testing.T, w *world, do func(runner.Report) string) []string {
			w.Fail(fakegithub.Fault{Match: "POST /repos/*/*/issues/*/labels", Lose: true})
			if out := got(w.hub().Report(t.Context(), needs(w.report("1 of 3"))))(t); out.Keys[KeyLabel] != "" || len(out.Warnings) != 1 {
				t.Errorf("%+v", out)
			}
			if do(needs(w.report("1 of 3"))) != "1" {
				t.Error("it is not known where the label stands")
			}
			return labelled
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			want := play(t, w, func(r runner.Report) string {
				out := got(w.hub().Report(t.Context(), r))(t)
				if len(out.Warnings) > 0 {
					t.Errorf("warnings %q", out.Warnings)
				}
				return out.Keys[KeyLabel]
			})
			var have []string
			for _, e := range w.edits() {
				if strings.Contains(e, "label") {
					have = append(have, e)
				}
			}
			if name == "another session is making it at the same moment" || name == "there is such a label already, in a colour of theirs" {
				for i := range want { // the pull request comes after the other issue
					want[i] = strings.Replace(want[i], "#1", "#2", 1)
				}
			}
			if d := cmp.Diff(want, have); d != "" {
				t.Errorf("edits (-want +got):\n%s", d)
			}
		})
	}
}

// A label that GitHub refuses costs a warning that names the permission.
func TestARefusedLabelCostsAWarning(t *testing.T) {
	w := newWorld(t)
	w.opts.SpecIssue = w.AddIssue(where, boss, "A list", "Build it.")
	w.SetPermission("issues", "read")
	r := w.early("0 of 3")
	r.State.Status, r.State.Reason = runner.Stopped, runner.NoProgress
	out := got(w.hub().Report(t.Context(), r))(t)
	all := strings.Join(out.Warnings, "\n")
	if !strings.Contains(all, `keep the label "autonomous-loop: needs a person" up to date: GitHub says 403`) || !strings.Contains(all, "issues: write") || out.Keys[KeyLabel] != "" {
		t.Errorf("%q, keys %v", out.Warnings, out.Keys)
	}
	// On a pull request either permission will do.
	out = got(w.hub().Report(t.Context(), func() runner.Report {
		r := w.report("1 of 3")
		r.State.Status, r.State.Reason = runner.Stopped, runner.NoProgress
		return r
	}()))(t)
	if diff := cmp.Diff([]string{NeedsPerson}, w.Labels(where, 2)); diff != "" || out.Keys[KeyLabel] != "2" {
		t.Errorf("%s, %v, %q", diff, out.Keys, out.Warnings)
	}
}
