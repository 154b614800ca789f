package runner

import (
	"encoding/json"
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write testdata/states for the schema of today")

// A shelf is a loop with two proved features, as it is kept.
type shelf struct {
	st    State
	files map[string][]byte
}

func (s shelf) list() []File {
	var files []File
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		files = append(files, File{name, s.files[name]})
	}
	return files
}

// prove completes a feature as the loop does.
func (s *shelf) prove(t *testing.T, id, commit string) {
	t.Helper()
	f, _ := s.st.Feature(id)
	v := Verdict{
		Outcome: Verified, Reason: "every gate passed",
		Gates: []Gate{{Name: "green", Passed: true, Tree: "tree-" + commit, Counts: Counts{Run: 3, Passed: 3}, Runs: []Run{{
			Command: "go test ./...", Tree: "tree-" + commit, Env: []string{"CI=true", "HOME"}, Counts: Counts{Run: 3, Passed: 3}, Tail: "ok",
		}}}},
		Files: []File{{"green.txt", []byte("green of " + id)}, {"screenshot.png", []byte("picture of " + id)}},
	}
	st, ev, files, err := s.st.proved(f, "tree-"+commit, commit, v, time.Unix(1e9, 0).UTC(), func(r Record) []byte { return []byte("# " + r.Feature) })
	if err != nil {
		t.Fatal(err)
	}
	s.st = st.complete(id, commit, v, ev, time.Unix(1e9, 0).UTC())
	s.st.Serial++
	for _, f := range files {
		s.files[f.Name] = f.Data
	}
}

func proved(t *testing.T) shelf {
	t.Helper()
	s := shelf{files: map[string][]byte{}, st: saved(func(st *State) {
		st.Owner = &Owner{Run: "7", Attempt: 1}
		st.Features = nil
		for _, id := range []string{"a", "b", "c"} {
			f := feature(id)
			f.Acceptance = []Step{{Step: 1, Action: "goto", Value: "/" + id}}
			f.Frozen = f.AcceptanceHash()
			st.Features = append(st.Features, f)
		}
	})}
	s.prove(t, "a", "c1")
	s.prove(t, "b", "c2")
	return s
}

func TestEvidenceOfTheLoopChecks(t *testing.T) {
	s := proved(t)
	records, flaws := s.st.CheckEvidence(s.list())
	if len(flaws) > 0 || len(records) != 2 || records[0].Feature != "a" || records[1].Feature != "b" {
		t.Fatalf("%v, %+v", flaws, records)
	}
	// Proved again, after it was taken back: the old record stays in the chain.
	s.prove(t, "a", "c3")
	records, flaws = s.st.CheckEvidence(s.list())
	if len(flaws) > 0 || len(records) != 3 || records[2].Feature != "a" || s.st.Features[0].Evidence.Record != "record-003.json" {
		t.Fatalf("%v, %+v", flaws, records)
	}
}

// What is done to the evidence by anyone is noticed, and said.
func TestForgedEvidenceIsNoticed(t *testing.T) {
	const first, second = "evidence/a/record-001.json", "evidence/b/record-002.json"
	edit := func(s *shelf, name string, change func(*Record)) {
		var r Record
		if err := json.Unmarshal(s.files[name], &r); err != nil {
			t.Fatal(err)
		}
		change(&r)
		s.files[name], _ = encodeJSON(r)
	}
	for _, tt := range []struct {
		what  string
		forge func(*shelf)
		says  string
	}{
		{"a record removed", func(s *shelf) { delete(s.files, first) }, "record 1 (sha256"},
		{"the last record removed", func(s *shelf) { delete(s.files, second) }, "record 2 (sha256"},
		{"a record edited", func(s *shelf) { edit(s, first, func(r *Record) { r.Outcome = Already }) }, "record 1 (sha256"},
		{"a record edited, with its hash in the state", func(s *shelf) {
			edit(s, first, func(r *Record) { r.Reason = "better" })
			s.st.Features[0].Evidence.Files["record-001.json"] = Hash(s.files[first])
		}, "record 1 (sha256"},
		{"the last record edited, head and all", func(s *shelf) {
			edit(s, second, func(r *Record) { r.Tree = "other" })
			s.st.Features[1].Evidence.Files["record-002.json"] = Hash(s.files[second])
			s.st.Evidence.Head = Hash(s.files[second])
		}, "b: record 2 is about commit c2 with tree other"},
		{"the chain cut off", func(s *shelf) { s.st.Evidence = Chain{} }, "a: no record of the chain is about it"},
		{"the head put back", func(s *shelf) { s.st.Evidence = Chain{1, Hash(s.files[first])} }, second + " (sha256"},
		{"evidence of another feature copied", func(s *shelf) {
			s.st.Features[2].Status, s.st.Features[2].Commit = Complete, "c2"
			ev := *s.st.Features[1].Evidence
			s.st.Features[2].Evidence = &ev
			for name, data := range maps.Clone(s.files) {
				if rest, ok := strings.CutPrefix(name, "evidence/b/"); ok {
					s.files["evidence/c/"+rest] = data
				}
			}
		}, "c: no record of the chain is about it"},
		{"a record copied", func(s *shelf) { s.files["evidence/c/record-001.json"] = s.files[first] }, "evidence/c/record-001.json (sha256"},
		{"another feature's record in its place", func(s *shelf) { s.files["evidence/a/record-001.json"] = s.files[second] }, "record 1 (sha256"},
		{"passes forged", func(s *shelf) {
			s.st.Features[2].Status, s.st.Features[2].Commit = Complete, "c2"
			s.st.Features[2].Evidence = &Evidence{Outcome: Verified, Tree: "t", Record: "record-003.json", Files: map[string]string{"record-003.json": "00"}}
		}, "c: evidence/c/record-003.json is gone"},
		{"a picture replaced", func(s *shelf) { s.files["evidence/a/screenshot.png"] = []byte("nicer") }, "a: evidence/a/screenshot.png was replaced"},
		{"a picture replaced, with its hash in the state", func(s *shelf) {
			s.files["evidence/a/screenshot.png"] = []byte("nicer")
			s.st.Features[0].Evidence.Files["screenshot.png"] = Hash([]byte("nicer"))
		}, "a: record 1 names other files than the state"},
		{"a log removed", func(s *shelf) { delete(s.files, "evidence/b/green.txt") }, "b: evidence/b/green.txt is gone"},
		{"a file added", func(s *shelf) { s.files["evidence/b/audit.txt"] = []byte("fine") }, "b: evidence/b/audit.txt was added"},
		{"the page for people rewritten", func(s *shelf) { s.files["evidence/b/README.md"] = []byte("all fine") }, "b: evidence/b/README.md was replaced"},
		{"the acceptance weakened", func(s *shelf) { s.st.Features[0].Acceptance = nil }, "a: its acceptance is not the one that was frozen"},
		{"the acceptance weakened, and frozen anew", func(s *shelf) {
			s.st.Features[0].Acceptance = nil
			s.st.Features[0].Frozen = s.st.Features[0].AcceptanceHash()
		}, "a: record 1 is about another feature, or its row was changed since"},
		{"another commit", func(s *shelf) { s.st.Features[0].Commit = "c9" }, "a: record 1 is about commit c1"},
		{"a loop of another", func(s *shelf) { s.st.Lineage = "l2" }, "belongs to loop l1"},
		{"a record of a transaction to come", func(s *shelf) { s.st.Serial = 5 }, "is of transaction 6"},
		{"a stray record", func(s *shelf) { s.files["evidence/c/record-009.json"] = []byte("{}") }, "does not belong to it"},
		{"numbers wrong", func(s *shelf) { s.st.Evidence.Length = 3 }, "is number 2 where 3 belongs"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			s := proved(t)
			tt.forge(&s)
			_, flaws := s.st.CheckEvidence(s.list())
			if !slices.ContainsFunc(flaws, func(f Flaw) bool { return strings.Contains(f.Error(), tt.says) }) {
				t.Errorf("it is said: %v\nwant: %s", flaws, tt.says)
			}
		})
	}
}

// The state of today, with its evidence, is kept with the old ones; what stands
// there must be what is written.
func TestEvidenceOfOldStatesChecks(t *testing.T) {
	const dir = "testdata/states/schema-3"
	if *update {
		s := proved(t)
		state, list, err := Encode(s.st)
		if err != nil {
			t.Fatal(err)
		}
		s.files["state.json"], s.files["feature_list.json"] = state, list
		for name, data := range s.files {
			name = filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, dir := range []string{"testdata/states/schema-2", dir} {
		var files []File
		err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(filepath.Join(dir, name))
			files = append(files, File{name, data})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		content := func(name string) []byte {
			return files[slices.IndexFunc(files, func(f File) bool { return f.Name == name })].Data
		}
		st, err := Decode(content("state.json"), content("feature_list.json"))
		if err != nil {
			t.Fatal(err)
		}
		files = slices.DeleteFunc(files, func(f File) bool { return !strings.HasPrefix(f.Name, "evidence/") })
		if records, flaws := st.CheckEvidence(files); len(flaws) > 0 || len(records) != 2 {
			t.Errorf("%d records, %v", len(records), flaws)
		}
	}
}
