package check

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/audit"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// TestFormer says which tests may change with a feature that a person changed:
// its own, and no other's.
func TestFormer(t *testing.T) {
	report := suite.Report{Cases: []suite.Case{{File: "test/a.test.js", Name: "a"}, {File: "test/b.test.js", Name: "b"}, {File: "test/shared.test.js", Name: "s"}, {File: "test/base.test.js", Name: "nobody's"}}}
	text := audit.File{Mode: audit.Regular, Data: []byte("x")}
	changes := []audit.Change{{Path: "test/a.test.js", Before: text, After: text}, {Path: "test/b.test.js", Before: text}, {Path: "page.js", Before: text, After: text}}
	other := runner.Feature{Row: runner.Row{ID: "b-001"}, Progress: runner.Progress{Evidence: &runner.Evidence{Tests: []string{"test/b.test.js", "test/shared.test.js"}}}}
	judge := func(former ...string) *judgement {
		return &judgement{Candidate: runner.Candidate{
			Feature:   runner.Feature{Row: runner.Row{ID: "a-001"}, Progress: runner.Progress{Former: former}},
			Completed: []runner.Feature{other},
		}}
	}
	names := func(r suite.Report) (all []string) {
		for _, c := range r.Cases {
			all = append(all, c.Name)
		}
		return all
	}
	for _, tt := range []struct {
		former []string
		cases  []string
		before []bool // of changes: the file was there
	}{
		{nil, []string{"a", "b", "s", "nobody's"}, []bool{true, true, true}},
		{[]string{"test/a.test.js"}, []string{"b", "s", "nobody's"}, []bool{false, true, true}},
		{[]string{"test/a.test.js", "test/shared.test.js", "test/b.test.js"}, []string{"b", "s", "nobody's"}, []bool{false, true, true}},
	} {
		j := judge(tt.former...)
		var before []bool
		for _, c := range j.asNew(suite.Report{}, changes) {
			before = append(before, c.Before.Mode != audit.Absent)
		}
		if diff := cmp.Diff(tt.cases, names(j.earlier(report))) + cmp.Diff(tt.before, before); diff != "" {
			t.Errorf("%q: %s", tt.former, diff)
		}
	}
	if len(report.Cases) != 4 || changes[0].Before.Mode != audit.Regular {
		t.Error("what was given was changed")
	}
}

// With names it is by tests, in whatever file: one that two features share stays
// bound where it is the other's, or nobody's, and may go where it is only asked
// for by what a person changed or dropped. In real projects.
func TestTestsThatNobodyAsksForAnyMore(t *testing.T) {
	type project struct {
		file, impl, id string
		head, codeHead string
		test           func(name, body string) string
		fn             func(name, says string) string
	}
	node := project{
		file: "test/shared.test.js", impl: "page.js", id: "test/shared.test.js › ",
		head:     "import test from 'node:test';\nimport assert from 'node:assert';\nimport * as page from '../page.js';\n",
		codeHead: "",
		test:     func(name, body string) string { return "test('" + name + "', () => {\n  " + body + "\n});\n" },
		fn:       func(name, says string) string { return "export const " + name + " = () => '" + says + "';\n" },
	}
	golang := project{
		file: "page_test.go", impl: "page.go", id: ". › ",
		head: "package page\n\nimport \"testing\"\n", codeHead: "package page\n",
		test: func(name, body string) string { return "\nfunc Test" + name + "(t *testing.T) {\n\t" + body + "\n}\n" },
		fn:   func(name, says string) string { return "\nfunc " + name + "() string { return \"" + says + "\" }\n" },
	}
	for lang, p := range map[string]project{"node": node, "go": golang} {
		is := func(fn, says string) string {
			if lang == "go" {
				return "if got := " + fn + "(); got != \"" + says + "\" {\n\t\tt.Errorf(\"got %s\", got)\n\t}"
			}
			return "assert.equal(page." + fn + "(), '" + says + "');"
		}
		empty := map[string]string{"go": "_ = Other", "node": "page.Other();"}[lang]
		all := func(parts ...string) string { return strings.Join(parts, "") }
		name := func(n string) string { // as it is reported
			if lang == "go" {
				return p.id + "Test" + n
			}
			return p.id + n
		}
		base, own, other, dropped := p.test("Base", is("Base", "base")), p.test("Own", is("Own", "old")), p.test("Others", is("Other", "other")), p.test("Dropped", is("Dropped", "dropped"))
		code := func(own string, rest ...string) string {
			return all(p.codeHead, p.fn("Base", "base"), p.fn("Own", own), p.fn("Other", "other"), all(rest...))
		}
		extra := map[string]tree{"go": {"go.mod": "module page\n\ngo 1.25\n"}, "node": {"package.json": `{"type": "module", "scripts": {"test": "node --test"}}`}}[lang]
		parent := extra.with(tree{p.impl: code("old", p.fn("Dropped", "dropped")), p.file: all(p.head, base, own, other, dropped)})
		fresh := p.test("Own", is("Own", "new"))
		renamed := p.test("Greets", is("Own", "new"))
		w := newWorld(t, func(o *Options) { o.Browser = nil })
		for title, tt := range map[string]struct {
			former []string
			tests  string
			code   string
			want   runner.Outcome
			says   string
			freed  []string
			cases  []string
		}{
			"its own is changed":                {[]string{"Own"}, all(p.head, base, fresh, other, dropped), code("new", p.fn("Dropped", "dropped")), runner.Verified, "", []string{"Own", "Dropped"}[:1], []string{"Own"}},
			"its own has another name":          {[]string{"Own"}, all(p.head, base, renamed, other, dropped), code("new", p.fn("Dropped", "dropped")), runner.Verified, "1 test is gone that nobody asks for", []string{"Own"}, []string{"Greets"}},
			"nothing may change":                {nil, all(p.head, base, renamed, other, dropped), code("new", p.fn("Dropped", "dropped")), runner.Failed, "gone", nil, nil},
			"another's is weakened":             {[]string{"Own"}, all(p.head, base, fresh, p.test("Others", empty), dropped), code("new", p.fn("Dropped", "dropped")), runner.Failed, "Others", nil, nil},
			"another's is gone":                 {[]string{"Own"}, all(p.head, base, fresh, dropped), code("new", p.fn("Dropped", "dropped")), runner.Failed, "Others", nil, nil},
			"another's, though it is asked for": {[]string{"Own", "Others"}, all(p.head, base, fresh, dropped), code("new", p.fn("Dropped", "dropped")), runner.Failed, "Others", nil, nil},
			"nobody's is gone":                  {[]string{"Own"}, all(p.head, fresh, other, dropped), code("new", p.fn("Dropped", "dropped")), runner.Failed, "Base", nil, nil},
			"what the spec dropped is gone":     {[]string{"Own", "Dropped"}, all(p.head, base, fresh, other), code("new"), runner.Verified, "1 test is gone that nobody asks for", []string{"Own", "Dropped"}, []string{"Own"}},
			"what it did not drop is gone":      {[]string{"Own"}, all(p.head, base, fresh, other), code("new"), runner.Failed, "Dropped", nil, nil},
			"its test is left behind":           {[]string{"Own", "Dropped"}, all(p.head, base, fresh, other, dropped), code("new"), runner.Failed, "", nil, nil},
		} {
			if lang == "go" && title != "its own has another name" && title != "another's is weakened" {
				continue // which is slow, and differs in how tests are called only
			}
			t.Run(lang+": "+title, func(t *testing.T) {
				ids := func(names []string) (all []string) {
					for _, n := range names {
						all = append(all, name(n))
					}
					return all
				}
				c := runner.Candidate{
					Feature: runner.Feature{Row: runner.Row{ID: "own-001", Description: "it says new"}, Progress: runner.Progress{FormerCases: ids(tt.former)}}, Phase: runner.Implement,
					Parent: w.git.commit(w.git.write(parent)), Tree: w.git.write(parent.with(tree{p.impl: tt.code, p.file: tt.tests})),
					Completed: []runner.Feature{{Row: runner.Row{ID: "other-001"}, Progress: runner.Progress{Evidence: &runner.Evidence{Tests: []string{p.file}, Cases: ids([]string{"Others"})}}}},
				}
				c.Commit = c.Tree
				v, err := w.Judge(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				said := v.Reason + v.Detail
				if v.Outcome != tt.want || !strings.Contains(said, tt.says) {
					t.Fatalf("%s, want %s saying %q:\n%s", v.Outcome, tt.want, tt.says, said)
				}
				if tt.want != runner.Verified {
					return
				}
				if diff := cmp.Diff(ids(tt.cases), v.Cases) + cmp.Diff(ids(tt.freed), v.Freed); diff != "" {
					t.Error(diff)
				}
				if title != "what the spec dropped is gone" {
					return
				}
				// Whoever judges it again has no more than what was kept.
				c.Feature.FormerCases, c.Completed = v.Freed, nil
				if v, err = newWorld(t, func(o *Options) { o.Browser, o.Trees = nil, w.git }).Judge(t.Context(), c); err != nil || v.Outcome != runner.Verified {
					t.Errorf("again: %s, %s, %v", v.Outcome, v.Reason, err)
				}
			})
		}
	}
}
