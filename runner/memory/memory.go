// Package memory keeps what a loop has learned, for its later attempts: what
// happened (episodic), how things are done here (procedural), what is so
// (semantic), and which error was mended by what (causal).
//
// It promises that an error's mend is kept only with a verified feature, that
// everything says where it comes from, that nothing in it is a secret that can
// be told, and that it stays small, as does what is recalled. It proves
// nothing: a memory that is lost or damaged costs time. Its texts are an
// agent's or a program's words; whoever shows them to a model marks them so.
//
// It is files below memory/ on the state branch, and needs no fake.
package memory

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A Kind is what an entry is about.
type Kind string

// The kinds of memory. Each has a file of its own.
const (
	Episodic   Kind = "episodic"
	Procedural Kind = "procedural"
	Semantic   Kind = "semantic"
	Causal     Kind = "causal"
)

var kinds = []Kind{Episodic, Procedural, Semantic, Causal}

// Limits of what is kept.
const (
	mostEntries = 200 // of a kind
	mostText    = 400 // bytes of an entry's text
)

// Schema is the version of the files.
const Schema = 1

// An Entry is one thing that was learned.
type Entry struct {
	Text string `json:"text"` // of a causal one: the error
	Fix  string `json:"fix,omitempty"`

	Session int       `json:"session"`           // that learned it last
	Feature string    `json:"feature,omitempty"` // at which
	Commit  string    `json:"commit,omitempty"`  // that completed it
	Time    time.Time `json:"time"`
	Seen    int       `json:"seen"` // how often it was learned
	Hits    int       `json:"hits"` // how often it was recalled
}

// A file is one kind as it is saved.
type file struct {
	Schema  int     `json:"schema"`
	Kind    Kind    `json:"kind"`
	Entries []Entry `json:"entries"` // by when they were learned first
}

// Options are what a store works with.
type Options struct {
	// Load gives the files below memory/ as they were saved last. It is asked
	// once, at the first use.
	Load func(context.Context) ([]runner.File, error)
	// Scrub takes out of a text what looks like a secret.
	Scrub func(string) string
}

// A Store is a [runner.Memory].
type Store struct {
	o Options

	mu     sync.Mutex
	loaded bool
	all    map[Kind][]Entry
	saved  map[Kind][]byte
	keys   map[string]string // of texts: taking a key costs more than all else
}

// Open returns a store. It reads nothing yet: what is saved may change until
// the session owns the loop.
func Open(o Options) *Store { return &Store{o: o} }

// load reads what was saved. A file that cannot be read is begun anew.
func (s *Store) load(ctx context.Context) {
	if s.loaded {
		return
	}
	s.loaded, s.all, s.saved, s.keys = true, map[Kind][]Entry{}, map[Kind][]byte{}, map[string]string{}
	files, err := s.o.Load(ctx)
	if err != nil {
		return
	}
	for _, f := range files {
		var in file
		if json.Unmarshal(f.Data, &in) == nil && in.Schema == Schema && f.Name == in.Kind.name() && slices.Contains(kinds, in.Kind) {
			s.all[in.Kind], s.saved[in.Kind] = in.Entries, f.Data
		}
	}
}

func (k Kind) name() string { return path.Join("memory", string(k)+".json") }

// Learn takes up a lesson and returns the files that changed.
func (s *Store) Learn(ctx context.Context, l runner.Lesson) []runner.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.load(ctx)
	base := Entry{Session: l.Session, Feature: l.Feature.ID, Commit: l.Commit, Time: l.Time.UTC(), Seen: 1}
	add := func(k Kind, text, fix string) {
		e := base
		e.Text, e.Fix = s.clean(text), s.clean(fix)
		if e.Text != "" && (k != Causal || e.Fix != "") {
			s.all[k] = s.added(s.all[k], e)
		}
	}
	add(Episodic, l.What, "")
	if l.Commit != "" { // what was not verified teaches nothing else
		for _, n := range l.Notes {
			add(Semantic, n, "")
		}
		if b := l.Brief; b != nil {
			for _, d := range b.Decisions {
				add(Semantic, d, "")
			}
			for _, c := range b.Commands {
				add(Procedural, c, "")
			}
			for _, f := range b.Fixes {
				add(Causal, f.Class+" error: "+f.Error, f.Fix)
			}
		}
	}
	return s.changed()
}

// added is all with e as the newest, or as one more of what there was. Above
// the limit that goes which was of least use, the oldest first.
func (s *Store) added(all []Entry, e Entry) []Entry {
	same := func(o Entry) bool { return s.key(o.Text) == s.key(e.Text) && s.key(o.Fix) == s.key(e.Fix) }
	if i := slices.IndexFunc(all, same); i >= 0 {
		e.Seen += all[i].Seen
		e.Hits = all[i].Hits
		all[i] = e
		return all
	}
	if all = append(all, e); len(all) <= mostEntries {
		return all
	}
	least := 0
	for i, o := range all[:len(all)-1] {
		if o.Seen+o.Hits < all[least].Seen+all[least].Hits {
			least = i
		}
	}
	return slices.Delete(all, least, least+1)
}

func (s *Store) key(text string) string {
	k, known := s.keys[text]
	if !known {
		k = key(text)
		s.keys[text] = k
	}
	return k
}

// clean makes a text fit to be kept: on one line, visible, short, without secrets.
func (s *Store) clean(text string) string {
	if s.o.Scrub != nil {
		text = s.o.Scrub(text)
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > mostText {
		text = strings.ToValidUTF8(text[:mostText], "") + "…"
	}
	return text
}

// changed are the files that are not as they were saved.
func (s *Store) changed() []runner.File {
	var files []runner.File
	for _, k := range kinds {
		if len(s.all[k]) == 0 {
			continue
		}
		data := encode(file{Schema, k, s.all[k]})
		if bytes.Equal(data, s.saved[k]) {
			continue
		}
		s.saved[k] = data
		files = append(files, runner.File{Name: k.name(), Data: data})
	}
	return files
}

func encode(f file) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(f); err != nil { // unreachable unless Entry gets a field that JSON cannot hold
		panic("memory: " + err.Error())
	}
	return b.Bytes()
}

// Recall is what is known that bears on a feature, as text of at most about
// 2,000 tokens, "" if nothing is.
func (s *Store) Recall(ctx context.Context, f runner.Feature) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.load(ctx)
	query := words(strings.Join(append([]string{f.ID, f.Category, f.Description, f.Note}, f.Steps...), " "))
	var b strings.Builder
	for _, part := range []struct {
		kind   Kind
		title  string
		most   int
		always bool // also where nothing is alike: how things are run bears on every feature
	}{
		{Causal, "Errors that were mended, each with a feature that was verified then", 8, false},
		{Semantic, "Notes", 10, false},
		{Procedural, "Commands that worked", 5, true},
		{Episodic, "What happened", 6, false},
	} {
		var lines []string
		for _, i := range alike(s.all[part.kind], query, part.most, part.always) {
			e := &s.all[part.kind][i]
			line := "- " + e.words() + "\n"
			if b.Len()+len(part.title)+len(strings.Join(lines, ""))+len(line)+2 > mostRecalled {
				break
			}
			e.Hits++
			lines = append(lines, line)
		}
		if len(lines) > 0 {
			b.WriteString(part.title + ":\n" + strings.Join(lines, ""))
		}
	}
	return b.String()
}

// mostRecalled is how much is recalled, in bytes: 2,000 tokens of three bytes.
const mostRecalled = 6000

// Similar is what helped against errors like this one, "" if nothing is known.
func (s *Store) Similar(ctx context.Context, text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.load(ctx)
	const most, near = 2, 0.5
	query := words(text)
	all := s.all[Causal]
	var lines []string
	for _, i := range alike(all, query, len(all), false) {
		if shared := overlap(query, words(all[i].Text)); shared >= near && len(lines) < most {
			all[i].Hits++
			lines = append(lines, "- "+all[i].words())
		}
	}
	return strings.Join(lines, "\n")
}

// words are the entry with where it comes from.
func (e Entry) words() string {
	text := e.Text
	if e.Fix != "" {
		text += " -> " + e.Fix
	}
	var from []string
	if e.Feature != "" {
		from = append(from, e.Feature)
	}
	if e.Commit != "" {
		from = append(from, "commit "+e.Commit[:min(7, len(e.Commit))])
	}
	if e.Session > 0 {
		from = append(from, fmt.Sprintf("session %d", e.Session))
	}
	return text + " (" + cmp.Or(strings.Join(from, ", "), "of old") + ")"
}
