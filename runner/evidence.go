package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Evidence names what a completed feature was proved with: the tree that was
// judged and the files under evidence/<feature>/ on the state branch.
type Evidence struct {
	Outcome Outcome           `json:"outcome"`
	Tree    string            `json:"tree"`             // "" where the feature held already: that of its commit
	Record  string            `json:"record,omitempty"` // name of the [Record] among Files; "": proved by a version that kept none
	Tests   []string          `json:"tests,omitempty"`  // the test files that it was proved with
	Cases   []string          `json:"cases,omitempty"`  // the tests in them that are its own, by file and name; none: not known
	Files   map[string]string `json:"files"`            // name -> sha256, in hex
}

// A Chain says how many records of evidence there are and which is the last.
// Each names the one before it, so that none can be taken out or replaced
// without a trace.
type Chain struct {
	Length int    `json:"records"`
	Head   string `json:"head,omitempty"` // sha256 of the last record, in hex
}

// A Record is the evidence of one verdict that completed a feature, as
// evidence/<feature>/record-<number>.json on the state branch. A feature that
// is proved again gets another record; the old one stays in the chain.
type Record struct {
	Schema int    `json:"schema"`
	Number int    `json:"number"` // counts from 1 along the chain
	Prev   string `json:"prev"`   // sha256 of the record before, in hex; "" for the first

	Loop        string    `json:"loop"`
	Lineage     string    `json:"lineage"`
	Transaction int       `json:"transaction"` // serial of the transaction that it was saved with
	Session     int       `json:"session"`
	Run         string    `json:"run"`
	Time        time.Time `json:"time"`

	Feature     string `json:"feature"`
	Description string `json:"description"`
	Attempt     int    `json:"attempt"`
	Row         string `json:"row_sha256"` // of the feature's row, passes aside
	Acceptance  string `json:"acceptance_sha256"`

	Parent string `json:"parent"` // commit that the work built on
	Commit string `json:"commit"` // that completed the feature; Parent where it held already
	Tree   string `json:"tree"`   // that was judged, and that Commit holds; "" where the feature held already: that of Parent

	Taken Source `json:"taken,omitempty"` // whose commits were taken in; "": the record is about a feature

	Outcome Outcome           `json:"outcome"`
	Reason  string            `json:"reason"`
	Gates   []Gate            `json:"gates"` // in the order in which they were asked
	Files   map[string]string `json:"files"` // the other files of evidence: name -> sha256, in hex
}

// RecordSchema is the version of a record that this program writes. It is
// described by docs/evidence.schema.json.
const RecordSchema = 1

// AcceptanceHash is the hash of a row's acceptance with its data, as it was drawn up:
// an acceptance with another hash is not the one that was agreed on.
func (r Row) AcceptanceHash() string {
	b, err := json.Marshal(struct {
		Acceptance []Step           `json:"acceptance,omitempty"`
		Data       map[string]Datum `json:"data,omitempty"`
	}{r.Acceptance, r.Data})
	if err != nil {
		panic("runner: an acceptance cannot be encoded: " + err.Error()) // unreachable unless Step gets a field that JSON cannot hold
	}
	return Hash(b)
}

// proved puts the evidence of a verdict on record: as the next of the chain in
// the state that it returns, and as files for the transaction that completes f.
// words, if not nil, gives the page for people that is kept beside the record.
func (st State) proved(f Feature, tree, commit string, v Verdict, now time.Time, words func(Record) []byte) (State, *Evidence, []File, error) {
	r := Record{
		Schema: RecordSchema, Number: st.Evidence.Length + 1, Prev: st.Evidence.Head,
		Loop: st.Loop, Lineage: st.Lineage, Transaction: st.Serial + 1, Session: st.Spent.Sessions, Time: now.UTC(),
		Feature: f.ID, Description: f.Description, Attempt: f.Attempts, Row: rowHash(f.Row), Acceptance: f.AcceptanceHash(),
		Parent: st.Work, Commit: commit, Tree: tree,
		Outcome: v.Outcome, Reason: legible(v.Reason, noteBytes), Gates: v.Gates, Files: map[string]string{},
	}
	if st.Owner != nil {
		r.Run = st.Owner.Run
	}
	var files []File
	for _, file := range v.Files {
		r.Files[file.Name] = Hash(file.Data)
		files = append(files, File{Name: path.Join("evidence", f.ID, file.Name), Data: file.Data})
	}
	data, err := encodeJSON(r)
	if err != nil {
		return st, nil, nil, fmt.Errorf("put the evidence of %s on record: %w", f.ID, err)
	}
	ev := &Evidence{Outcome: v.Outcome, Tree: tree, Record: path.Base(r.name()), Tests: v.Tests, Cases: v.Cases, Files: maps.Clone(r.Files)}
	keep := func(name string, data []byte) {
		ev.Files[name] = Hash(data)
		files = append(files, File{Name: path.Join("evidence", f.ID, name), Data: data})
	}
	keep(ev.Record, data)
	if words != nil {
		keep(pageName, words(r))
	}
	st.Evidence = Chain{Length: r.Number, Head: Hash(data)}
	return st, ev, files, nil
}

// TakenIn is where records lie that are about no feature but about commits of
// others, instead of a feature's id. Parent is the verified commit before them,
// and Commit what came of it.
const TakenIn = "_taken"

// reproved puts on record what was proved again with others' commits.
func (st State) reproved(t Taken, parent string, m Merge, v Verdict, now time.Time) (State, []File, error) {
	r := Record{
		Schema: RecordSchema, Number: st.Evidence.Length + 1, Prev: st.Evidence.Head,
		Loop: st.Loop, Lineage: st.Lineage, Transaction: st.Serial + 1, Session: st.Spent.Sessions, Time: now.UTC(),
		Feature: TakenIn, Description: t.String(), Taken: t.From, Row: Hash(nil), Acceptance: Hash(nil),
		Parent: parent, Commit: m.Commit, Tree: m.Tree,
		Outcome: v.Outcome, Reason: legible(v.Reason, noteBytes), Gates: v.Gates, Files: map[string]string{},
	}
	if r.Gates == nil {
		r.Gates = []Gate{}
	}
	if st.Owner != nil {
		r.Run = st.Owner.Run
	}
	data, err := encodeJSON(r)
	if err != nil {
		return st, nil, fmt.Errorf("put on record what was taken in: %w", err)
	}
	st.Evidence = Chain{Length: r.Number, Head: Hash(data)}
	return st, []File{{Name: r.name(), Data: data}}, nil
}

// pageName is a record put into words. GitHub shows a file of this name with
// the directory that it is in.
const pageName = "README.md"

// name is where the record is kept on the state branch.
func (r Record) name() string {
	return path.Join("evidence", r.Feature, fmt.Sprintf("record-%03d.json", r.Number))
}

// A Flaw is what is wrong with the evidence of a loop.
type Flaw struct { //nolint:errname // one of a list of findings, which nothing fails with
	Feature string // "": the chain as a whole
	Err     error
}

func (f Flaw) Error() string {
	if f.Feature == "" {
		return f.Err.Error()
	}
	return f.Feature + ": " + f.Err.Error()
}

// CheckEvidence holds the evidence on the state branch, files whose names begin
// with evidence/, against the state. It returns the records of the chain from
// the first to the last, as far as the chain reaches, and what is wrong.
func (st State) CheckEvidence(files []File) ([]Record, []Flaw) {
	have := map[string]File{} // by name
	for _, f := range files {
		have[f.Name] = f
	}
	records, flaws := st.walk(files)
	last, earlier := map[string]Record{}, map[string]bool{} // name and hash of what a record of the chain vouches for
	for _, r := range records {
		last[r.Feature] = r
		for name, hash := range r.Files {
			earlier[path.Join("evidence", r.Feature, name)+" "+hash] = true
		}
	}
	for _, f := range st.Features {
		if f.Status != Complete || f.Evidence == nil {
			continue
		}
		for _, err := range f.misproved(last[f.ID], have, earlier) {
			flaws = append(flaws, Flaw{f.ID, err})
		}
	}
	return records, flaws
}

func isRecord(name string) bool {
	ok, err := path.Match("evidence/*/record-*.json", name)
	return ok && err == nil
}

// walk follows the chain from its head to the first record. Every record that
// it does not meet does not belong to it.
func (st State) walk(files []File) (records []Record, flaws []Flaw) {
	broken := func(format string, args ...any) {
		flaws = append(flaws, Flaw{"", fmt.Errorf("the chain of evidence is broken: "+format, args...)})
	}
	type kept struct {
		File
		hash string
	}
	var left []kept
	for _, f := range files {
		if isRecord(f.Name) {
			left = append(left, kept{f, Hash(f.Data)})
		}
	}
	take := func(hash string) (File, bool) {
		i := slices.IndexFunc(left, func(f kept) bool { // a copy has the same hash under another name
			var r Record
			return f.hash == hash && json.Unmarshal(f.Data, &r) == nil && r.name() == f.Name
		})
		if i < 0 {
			i = slices.IndexFunc(left, func(f kept) bool { return f.hash == hash })
		}
		if i < 0 {
			return File{}, false
		}
		f := left[i].File
		left = slices.Delete(left, i, i+1)
		return f, true
	}
	next := Record{Number: st.Evidence.Length + 1, Transaction: st.Serial + 1, Prev: st.Evidence.Head}
	for next.Number > 1 {
		f, ok := take(next.Prev)
		if !ok {
			broken("record %d (sha256 %.12s) was removed or replaced", next.Number-1, next.Prev)
			break
		}
		var r Record
		if err := json.Unmarshal(f.Data, &r); err != nil {
			broken("%s cannot be read: %v", f.Name, err)
			break
		}
		switch {
		case r.Number != next.Number-1:
			broken("%s is number %d where %d belongs", f.Name, r.Number, next.Number-1)
		case f.Name != r.name():
			broken("%s is the record %d of %s", f.Name, r.Number, r.Feature)
		case r.Lineage != st.Lineage:
			broken("%s belongs to loop %s", f.Name, r.Lineage)
		case r.Transaction >= next.Transaction:
			broken("%s is of transaction %d, and the one after it of %d", f.Name, r.Transaction, next.Transaction)
		}
		records = append(records, r)
		next = r
	}
	if next.Number <= 1 && next.Prev != "" {
		broken("the first record names one before it")
	}
	if len(flaws) == 0 {
		for _, f := range left {
			broken("%s (sha256 %.12s) does not belong to it", f.Name, f.hash)
		}
	}
	slices.Reverse(records)
	return records, flaws
}

// misproved says what of a completed feature's evidence does not belong to it.
// r is the last record of the chain that names it, and earlier what any vouches
// for: a feature that was proved again keeps the files of its earlier proofs.
func (f Feature) misproved(r Record, have map[string]File, earlier map[string]bool) []error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	prefix := "evidence/" + f.ID + "/"
	for _, name := range slices.Sorted(maps.Keys(f.Evidence.Files)) {
		switch file, there := have[prefix+name]; {
		case !there:
			wrong("%s is gone", prefix+name)
		case Hash(file.Data) != f.Evidence.Files[name]:
			wrong("%s was replaced: its sha256 is %.12s, the state says %.12s", prefix+name, Hash(file.Data), f.Evidence.Files[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if rest, mine := strings.CutPrefix(name, prefix); mine && f.Evidence.Files[rest] == "" && !isRecord(name) && !earlier[name+" "+Hash(have[name].Data)] {
			wrong("%s was added: the state knows nothing of it", name)
		}
	}
	if f.Frozen != f.AcceptanceHash() {
		errs = append(errs, errors.New("its acceptance is not the one that was frozen"))
	}
	if f.Evidence.Record == "" {
		return errs // proved by a version that kept no records
	}
	files := maps.Clone(f.Evidence.Files)
	delete(files, f.Evidence.Record)
	delete(files, pageName)
	switch {
	case r.Number == 0:
		wrong("no record of the chain is about it")
	case prefix+f.Evidence.Record != r.name():
		wrong("the state names %s, the last record about it is %d", f.Evidence.Record, r.Number)
	case r.Row != rowHash(f.Row):
		wrong("record %d is about another feature, or its row was changed since", r.Number)
	case r.Acceptance != f.Frozen:
		wrong("record %d is about another acceptance than the one that was frozen", r.Number)
	case r.Tree != f.Evidence.Tree || r.Commit != f.Commit || r.Outcome != f.Evidence.Outcome:
		wrong("record %d is about commit %.7s with tree %.7s (%s), the state names %.7s with %.7s (%s)", r.Number, r.Commit, r.Tree, r.Outcome, f.Commit, f.Evidence.Tree, f.Evidence.Outcome)
	case !maps.Equal(r.Files, files):
		wrong("record %d names other files than the state", r.Number)
	}
	return errs
}
