package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A forger has a clone of a loop's remote, knows the program, and may push
// whatever he likes. Everything he does is done with git.
type forger struct {
	t   *testing.T
	dir string // a bare repository of his own: what he does to it stands for a push by force
}

const (
	stateRef = "refs/heads/autonomous-loop-state/main"
	workRef  = "refs/heads/autonomous-loop/main"
)

var (
	asHimself = []string{"GIT_AUTHOR_NAME=Mallory", "GIT_AUTHOR_EMAIL=m@example.com", "GIT_COMMITTER_NAME=Mallory", "GIT_COMMITTER_EMAIL=m@example.com"}
	asTheLoop = []string{
		"GIT_AUTHOR_NAME=autonomous-loop[bot]", "GIT_AUTHOR_EMAIL=autonomous-loop@users.noreply.github.com",
		"GIT_COMMITTER_NAME=autonomous-loop[bot]", "GIT_COMMITTER_EMAIL=autonomous-loop@users.noreply.github.com",
	}
)

func (f forger) git(env []string, stdin []byte, args ...string) string {
	f.t.Helper()
	cmd := exec.CommandContext(f.t.Context(), "git", append([]string{"-C", f.dir}, args...)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1"}, env...)
	cmd.Stdin = bytes.NewReader(stdin)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		f.t.Fatalf("git %v: %v: %s", args, err, said.String())
	}
	return strings.TrimSpace(string(out))
}

func (f forger) id(name string) string { return f.git(nil, nil, "rev-parse", "--verify", name) }
func (f forger) point(ref, at string)  { f.git(nil, nil, "update-ref", ref, f.id(at)) }

// files are those of a commit.
func (f forger) files(commit string) map[string][]byte {
	files := map[string][]byte{}
	for name := range strings.Lines(f.git(nil, nil, "ls-tree", "-r", "--name-only", commit)) {
		name = strings.TrimSpace(name)
		cmd := exec.CommandContext(f.t.Context(), "git", "-C", f.dir, "cat-file", "blob", commit+":"+name)
		data, err := cmd.Output()
		if err != nil {
			f.t.Fatal(err)
		}
		files[name] = data
	}
	return files
}

// tree stores files.
func (f forger) tree(files map[string][]byte) string {
	index := []string{"GIT_INDEX_FILE=" + filepath.Join(f.t.TempDir(), "index")}
	for name, data := range files {
		blob := f.git(nil, data, "hash-object", "-w", "--stdin")
		f.git(index, nil, "update-index", "--add", "--cacheinfo", "100644,"+blob+","+name)
	}
	return f.git(index, nil, "write-tree")
}

func (f forger) commit(as []string, tree, message string, parents ...string) string {
	args := []string{"commit-tree", tree, "-m", message}
	for _, p := range parents {
		args = append(args, "-p", p)
	}
	return f.git(as, nil, args...)
}

// state is the last transaction.
func (f forger) state() (runner.State, map[string][]byte) {
	files := f.files(stateRef)
	st, err := runner.Decode(files["state.json"], files["feature_list.json"])
	if err != nil {
		f.t.Fatal(err)
	}
	return st, files
}

// transaction makes a further transaction that checks: numbered, chained, made
// by the loop as far as a name goes.
func (f forger) transaction(st runner.State, files map[string][]byte) {
	f.t.Helper()
	f.point(stateRef, f.after(f.id(stateRef), files["state.json"], st, files))
}

// after is a transaction that follows the one with the state before.
func (f forger) after(parent string, before []byte, st runner.State, files map[string][]byte) string {
	f.t.Helper()
	st.Serial++
	st.Prev = ""
	var parents []string
	if before != nil {
		st.Prev = runner.Hash(before)
		parents = []string{parent, st.Code}
	} else {
		st.Serial = 1
	}
	state, list, err := runner.Encode(st)
	if err != nil {
		f.t.Fatal(err)
	}
	files["state.json"], files["feature_list.json"] = state, list
	return f.commit(asTheLoop, f.tree(files), "forged", parents...)
}

// rerecord changes the record of a feature's evidence, and all that names it
// by its hash in the state.
func (f forger) rerecord(st *runner.State, files map[string][]byte, id string, change func(*runner.Record)) {
	f.t.Helper()
	for i := range st.Features {
		feature := &st.Features[i]
		if feature.ID != id {
			continue
		}
		name := "evidence/" + id + "/" + feature.Evidence.Record
		var r runner.Record
		if err := json.Unmarshal(files[name], &r); err != nil {
			f.t.Fatal(err)
		}
		old := runner.Hash(files[name])
		change(&r)
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(r); err != nil {
			f.t.Fatal(err)
		}
		delete(files, name)
		delete(feature.Evidence.Files, feature.Evidence.Record)
		feature.Evidence.Record = fmt.Sprintf("record-%03d.json", r.Number)
		feature.Evidence.Files[feature.Evidence.Record] = runner.Hash(b.Bytes())
		files["evidence/"+id+"/"+feature.Evidence.Record] = b.Bytes()
		if st.Evidence.Head == old {
			st.Evidence.Head = runner.Hash(b.Bytes())
		}
	}
}

func feature(st *runner.State, id string) *runner.Feature {
	for i := range st.Features {
		if st.Features[i].ID == id {
			return &st.Features[i]
		}
	}
	panic("no feature " + id)
}

// rewind puts both branches back to where the first feature was complete and
// the second was not.
func (f *forger) rewind() {
	f.t.Helper()
	f.point(workRef, workRef+"^")
	for {
		st, _ := f.state()
		if n := st.Result("").FeaturesCompleted; n == 1 {
			return
		}
		f.point(stateRef, stateRef+"^")
	}
}

// rebuild makes both branches anew, from the first transaction on: every hash
// fits, the evidence is the old one put on new code. Only the code does not do
// what is said.
func (f forger) rebuild(spoil func(code map[string][]byte), agree func(*runner.State)) {
	f.t.Helper()
	honest, old := f.state()
	st := honest
	st.Features = nil
	for _, feature := range honest.Features {
		feature.Progress = runner.Progress{Status: runner.Todo}
		st.Features = append(st.Features, feature)
	}
	if agree != nil {
		agree(&st)
	}
	for i := range st.Features {
		st.Features[i].Frozen = st.Features[i].AcceptanceHash()
	}
	st.Serial, st.Evidence, st.Published = 0, runner.Chain{}, ""
	st.Work, st.Code = st.Base.Commit, st.Base.Commit
	files := map[string][]byte{}
	tip := f.after("", nil, st, files)
	st.Serial = 1
	for n, was := range honest.Features {
		code := f.files(was.Commit)
		spoil(code)
		tree := f.tree(code)
		parent := st.Work
		st.Work = f.commit(asTheLoop, tree, "feat: "+was.Description, parent)
		st.Code, st.Published = st.Work, st.Work
		p := feature(&st, was.ID)
		row := p.Row
		row.Passes = false
		text, err := json.Marshal(row)
		if err != nil {
			f.t.Fatal(err)
		}
		ev := *was.Evidence
		ev.Tree, ev.Files = tree, maps.Clone(ev.Files)
		p.Status, p.Commit, p.Attempts, p.Evidence = runner.Complete, st.Work, 1, &ev
		for name := range ev.Files {
			files["evidence/"+was.ID+"/"+name] = old["evidence/"+was.ID+"/"+name]
		}
		prev := st.Evidence.Head
		st.Evidence = runner.Chain{Length: n + 1, Head: runner.Hash(files["evidence/"+was.ID+"/"+ev.Record])}
		f.rerecord(&st, files, was.ID, func(r *runner.Record) {
			r.Prev, r.Number, r.Transaction = prev, n+1, st.Serial+1
			r.Parent, r.Commit, r.Tree = parent, st.Work, tree
			r.Acceptance, r.Row = p.Frozen, runner.Hash(text)
		})
		tip = f.after(tip, files["state.json"], st, files)
		st.Serial++
	}
	f.point(stateRef, tip)
	f.point(workRef, st.Work)
}

// weaken takes most of an acceptance away, hashes and all, in a transaction that
// says it took up a spec that a person changed.
func (f forger) weaken(claim func(*runner.State, *runner.Sync)) {
	f.t.Helper()
	st, files := f.weakened()
	y := runner.Sync{Serial: st.Serial + 1, Changed: []string{"part-001"}}
	claim(&st, &y)
	st.Spec, st.Syncs = y.Spec, append(st.Syncs, y)
	f.transaction(st, files)
}

// weakened is the state with most of an acceptance taken away, hashes and all.
func (f forger) weakened() (runner.State, map[string][]byte) {
	f.t.Helper()
	st, files := f.state()
	part := feature(&st, "part-001")
	part.Acceptance = part.Acceptance[:1]
	part.Frozen = part.AcceptanceHash()
	row := part.Row
	row.Passes = false
	text, err := json.Marshal(row)
	if err != nil {
		f.t.Fatal(err)
	}
	f.rerecord(&st, files, "part-001", func(r *runner.Record) { r.Acceptance, r.Row = part.Frozen, runner.Hash(text) })
	return st, files
}
