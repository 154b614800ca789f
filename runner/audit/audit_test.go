package audit

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	godiff "github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

type files map[string]string

// kindOf stands in for the conventions of package check.
func kindOf(p string) Kind {
	base := path.Base(p)
	switch {
	case regexp.MustCompile(`(\.(test|spec)\.\w+|_test\.\w+|_spec\.rb|^test_.*\.py|^conftest\.py|Tests?\.(java|cs|php)|\.snap)$`).MatchString(base),
		regexp.MustCompile(`(^|/)(tests?|__tests__|__mocks__|__snapshots__|spec|testdata)/`).MatchString(p):
		return Test
	case slices.Contains([]string{"package.json", "go.mod", "pyproject.toml", "Makefile", "Cargo.toml", "pom.xml", "setup.cfg", "tox.ini", "pytest.ini"}, base), strings.Contains(base, ".config."), strings.HasPrefix(base, ".mocharc"):
		return Config
	}
	return Implementation
}

func entryOf(t files, p string) File {
	text, ok := t[p]
	if !ok {
		return File{}
	}
	if to, ok := strings.CutPrefix(text, "-> "); ok {
		return File{Mode: Link, Data: []byte(strings.TrimSpace(to))}
	}
	return File{Mode: Regular, Data: []byte(text), Size: int64(len(text))}
}

// changes are the paths in which two trees differ.
func changes(before, after files) []Change {
	all := maps.Clone(before)
	maps.Copy(all, after)
	var cs []Change
	for _, p := range slices.Sorted(maps.Keys(all)) {
		c := Change{Path: p, Before: entryOf(before, p), After: entryOf(after, p)}
		if c.Before.Mode != c.After.Mode || !bytes.Equal(c.Before.Data, c.After.Data) {
			cs = append(cs, c)
		}
	}
	return cs
}

// A sample is a case of the corpus: a directory of an archive in testdata, with
// parent/ and candidate/ (what differs; an empty file is gone), want, and at
// will feature.json and cases.
type sample struct {
	name              string
	parent, candidate files
	feature           struct {
		Text       string
		Acceptance []Step
		Drawn      []string
	}
	before, now []string
	want        []string
}

func (s sample) input() Input {
	return Input{
		Changes: changes(s.parent, s.candidate), Kind: kindOf,
		Text: s.feature.Text, Acceptance: s.feature.Acceptance, Drawn: s.feature.Drawn,
		CasesBefore: s.before, CasesNow: s.now,
	}
}

func corpus(t testing.TB) []sample {
	t.Helper()
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("the corpus has %d archives, %v", len(archives), err)
	}
	var all []sample
	for _, name := range archives {
		ar, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		base := files{}
		var s *sample
		for _, f := range ar.Files {
			dir, rest, ok := strings.Cut(f.Name, "/")
			if dir == "base" {
				base[rest] = string(f.Data)
				continue
			}
			if !ok {
				t.Fatalf("%s: %s stands in no directory", name, f.Name)
			}
			id := strings.TrimSuffix(filepath.Base(name), ".txtar") + "/" + dir
			if s == nil || s.name != id {
				all = append(all, sample{name: id, parent: maps.Clone(base)})
				s = &all[len(all)-1]
			}
			part, p, _ := strings.Cut(rest, "/")
			text := string(f.Data)
			switch part {
			case "parent":
				s.parent[p] = text
			case "candidate":
				if s.candidate == nil {
					s.candidate = maps.Clone(s.parent)
				}
				if s.candidate[p] = text; text == "" {
					delete(s.candidate, p)
				}
			case "want":
				for l := range strings.Lines(text) {
					if l = strings.TrimSpace(l); l != "" {
						s.want = append(s.want, l)
					}
				}
				slices.Sort(s.want)
			case "feature.json":
				if err := json.Unmarshal(f.Data, &s.feature); err != nil {
					t.Fatalf("%s: %v", f.Name, err)
				}
			case "cases":
				b, n, _ := strings.Cut(text, "---\n")
				s.before, s.now = strings.Split(strings.TrimSpace(b), "\n"), strings.Split(strings.TrimSpace(n), "\n")
			default:
				t.Fatalf("%s: %s is no part of a case", name, f.Name)
			}
		}
	}
	return all
}

func said(fs []Finding) []string {
	var all []string
	for _, f := range fs {
		all = append(all, string(f.Severity)+" "+f.Rule)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func TestCorpus(t *testing.T) {
	names := map[string]bool{}
	for _, s := range corpus(t) {
		if names[s.name] {
			t.Errorf("two cases are called %s", s.name)
		}
		names[s.name] = true
		t.Run(s.name, func(t *testing.T) {
			got := Judge(s.input())
			if d := godiff.Diff(cmp.Or(strings.Join(s.want, "\n"), "quiet"), cmp.Or(strings.Join(said(got), "\n"), "quiet")); d != "" {
				var b strings.Builder
				for _, f := range got {
					fmt.Fprintf(&b, "%s %s\n", f.Severity, f)
				}
				t.Errorf("%s\n%s", d, b.String())
			}
		})
	}
}

// history plays what a script of the demo writes, feature by feature, and yields
// the trees before and after each.
func history(t *testing.T, dir string) []sample {
	t.Helper()
	tree := files{}
	root := filepath.Join("..", "..", "examples", dir, "project")
	err := filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		rel, _ := filepath.Rel(root, p)
		tree[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ar, err := txtar.ParseFile(filepath.Join("..", "..", "examples", dir, "model.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		ID, Description string
		Steps           []string
		Acceptance      []Step
	}
	lastTry := map[string]string{}
	for _, f := range ar.Files {
		parts := strings.Split(strings.Fields(f.Name)[0], "/")
		if parts[0] == "plan" {
			if err := json.Unmarshal(f.Data, &rows); err != nil {
				t.Fatal(err)
			}
			continue
		}
		lastTry[parts[0]] = parts[1]
	}
	if len(rows) < 4 {
		t.Fatalf("the plan has %d features", len(rows))
	}
	var all []sample
	var s *sample
	for _, f := range ar.Files {
		key, verb, _ := strings.Cut(f.Name, " ")
		parts := strings.Split(key, "/")
		if parts[0] == "plan" || lastTry[parts[0]] != parts[1] {
			continue
		}
		if s == nil || s.name != parts[0] {
			all = append(all, sample{name: parts[0], parent: maps.Clone(tree), candidate: tree})
			s = &all[len(all)-1]
			i := slices.IndexFunc(rows, func(r struct {
				ID, Description string
				Steps           []string
				Acceptance      []Step
			},
			) bool {
				return r.ID == parts[0]
			})
			s.feature.Text, s.feature.Acceptance = rows[i].Description+"\n"+strings.Join(rows[i].Steps, "\n"), rows[i].Acceptance
		}
		verb, p, _ := strings.Cut(verb, " ")
		switch verb {
		case "write_file":
			tree[p] = string(f.Data)
		case "edit_file":
			for block := range strings.SplitSeq(string(f.Data), "<<<<<<<\n") {
				old, rest, ok := strings.Cut(block, "=======\n")
				if !ok {
					continue
				}
				fresh, _, _ := strings.Cut(rest, ">>>>>>>")
				if !strings.Contains(tree[p], old) {
					t.Fatalf("%s: nothing to replace in %s", f.Name, p)
				}
				tree[p] = strings.Replace(tree[p], old, fresh, 1)
			}
		}
		s.candidate = maps.Clone(tree)
	}
	return all
}

// What the demo and the second project's honest model does is no cheat.
func TestHonestHistoriesAreQuiet(t *testing.T) {
	for _, dir := range []string{"demo", "second"} {
		n := 0
		for _, s := range history(t, dir) {
			in := s.input()
			n += len(in.Changes)
			for _, f := range Judge(in) {
				if f.Severity != Note {
					t.Errorf("%s %s: %s %s", dir, s.name, f.Severity, f)
				} else {
					t.Logf("%s %s: %s", dir, s.name, f)
				}
			}
		}
		if n < 12 {
			t.Errorf("%s: only %d changes were looked at", dir, n)
		}
	}
}
