package tool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

// An entry is a file that a walk has come to.
type entry struct {
	spot
	rel  string   // below the directory that was asked for
	dir  *os.File // the directory it is in, open while it is visited; nil if it was asked for by name
	mode fs.FileMode
}

// A walked is what a walk has seen.
type walked struct {
	all    bool // it was not ended early
	hidden int  // names that cannot be shown
}

// odd says that there are names which a list, one to a line, cannot show.
func (w walked) odd() string {
	if w.hidden == 0 {
		return ""
	}
	return fmt.Sprintf("\n[%d names with control characters are left out: use the shell]", w.hidden)
}

// shows says whether a name can be told in a line without being taken for more
// than a name.
func shows(name string) bool {
	return utf8.ValidString(name) && strings.IndexFunc(name, unicode.IsControl) < 0
}

// A walker goes through directories, several at once.
type walker struct {
	b     *Box
	top   spot
	visit func(entry) error

	files, hidden atomic.Int64

	mu   sync.Mutex
	more *sync.Cond
	todo []folder
	busy int // folders being listed
	err  error
}

// A folder is a directory still to be listed.
type folder struct {
	name string
	ig   *ignores // of the directory above
}

// walk calls visit for every file below dir that is not ignored, from several
// goroutines and in no order. A file that dir names itself is visited whatever
// it is. An error of visit ends the walk.
func (b *Box) walk(ctx context.Context, dir string, visit func(entry) error) (s spot, seen walked, err error) {
	s, err = b.spot(cmp.Or(strings.TrimSpace(dir), "."))
	if err != nil {
		return s, seen, err
	}
	st, err := s.root.Stat(s.name)
	if err != nil {
		return s, seen, b.why(s, err)
	}
	if !st.IsDir() {
		return s, walked{all: true}, visit(entry{s, path.Base(s.name), nil, st.Mode()})
	}
	w := &walker{b: b, top: s, visit: visit, todo: []folder{{s.name, b.ignoresAbove(s)}}}
	w.more = sync.NewCond(&w.mu)
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 16) {
		wg.Go(func() { w.run(ctx) })
	}
	wg.Wait()
	seen = walked{all: w.err == nil, hidden: int(w.hidden.Load())}
	if errors.Is(w.err, errEnough) {
		return s, seen, nil
	}
	return s, seen, w.err
}

// errEnough ends a walk early.
var errEnough = errors.New("enough")

func (w *walker) run(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for len(w.todo) == 0 && w.busy > 0 && w.err == nil {
			w.more.Wait()
		}
		if len(w.todo) == 0 || w.err != nil {
			return
		}
		f := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		w.busy++
		w.mu.Unlock()
		below, err := w.list(ctx, f)
		w.mu.Lock()
		w.busy--
		w.todo = append(w.todo, below...)
		w.err = cmp.Or(w.err, err)
		w.more.Broadcast()
	}
}

// list visits the files of a directory and returns the directories in it.
func (w *walker) list(ctx context.Context, f folder) (below []folder, err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	d, err := w.top.root.Open(f.name)
	if err != nil {
		return nil, nil // gone meanwhile, or closed to us: nothing to list
	}
	defer d.Close()
	entries, _ := d.ReadDir(-1) // what could be read
	ig := f.ig
	for _, e := range entries {
		if e.Name() == ".gitignore" {
			ig = &ignores{f.ig, f.name, w.b.rules(w.top.root, f.name)}
		}
	}
	for _, e := range entries {
		name := e.Name()
		if f.name != "." {
			name = f.name + "/" + name
		}
		switch {
		case ig.skip(name, e.IsDir()):
			continue
		case !shows(e.Name()):
			w.hidden.Add(1)
			continue
		case e.IsDir():
			below = append(below, folder{name, ig})
			continue
		}
		if w.files.Add(1) > mostWalked {
			return nil, errEnough
		}
		rel := name
		if w.top.name != "." {
			rel = strings.TrimPrefix(name, w.top.name+"/")
		}
		if err := w.visit(entry{spot{w.top.root, name, w.top.log}, rel, d, e.Type()}); err != nil {
			return nil, err
		}
	}
	return below, nil
}
