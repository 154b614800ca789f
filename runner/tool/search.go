package tool

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Limits of a search.
const (
	mostMatches = 100
	mostShown   = 400 // characters of a line
	mostFound   = 24 << 10
	mostSearch  = 5 * time.Second
	mostScanned = 2 << 20  // bytes of a file: larger ones are not sources
	mostLogged  = 64 << 20 // bytes of a log
)

type searchArgs struct {
	Pattern string `json:"pattern"`
	Path    string `json:"path"`
	Glob    string `json:"glob"`
	Context int    `json:"context"`
	Mode    string `json:"mode"`
}

// A hunt is a search while it goes on.
type hunt struct {
	b     *Box
	in    searchArgs
	re    *regexp.Regexp
	need  need
	match func(rel string) bool
	tools sync.Pool // of *scanner

	mu    sync.Mutex
	files []hits
}

// hits are what one file has of a pattern.
type hits struct {
	name  string
	lines int    // that match
	text  string // what is shown of them
}

func (b *Box) search(ctx context.Context, in searchArgs) (string, error) {
	re, err := regexp.Compile(in.Pattern)
	if err != nil {
		return "", fmt.Errorf("the pattern is no Go regular expression (for plain text escape .*+?()[]{}|^$ with a backslash): %w", err)
	}
	h := &hunt{b: b, in: in, re: re, need: needs(in.Pattern), match: func(string) bool { return true }}
	if in.Glob != "" {
		if h.match, err = glob(in.Glob); err != nil {
			return "", err
		}
	}
	h.tools.New = func() any { return &scanner{sieve: h.need.sieve(), buf: make([]byte, 64<<10)} }
	limited, cancel := context.WithTimeout(ctx, mostSearch)
	defer cancel()
	s, seen, err := h.all(limited)
	late := limited.Err() != nil && ctx.Err() == nil
	if err != nil && !late {
		return "", err
	}
	return h.tell(s, seen, late), nil
}

// all searches the files of the tree: those that ripgrep finds to hold what a
// match needs, where there is one and that can be asked of it, else all.
func (h *hunt) all(ctx context.Context) (spot, walked, error) {
	if names, ok := h.ripgrep(ctx); ok {
		top := spot{root: h.b.tree, name: "."}
		for _, name := range names {
			if ctx.Err() != nil {
				return top, walked{}, context.Cause(ctx)
			}
			_ = h.visit(entry{spot: spot{root: h.b.tree, name: name}, rel: name}) // one that is gone, or that we do not touch
		}
		return top, walked{all: true}, nil
	}
	return h.b.walk(ctx, h.in.Path, func(e entry) error {
		err := h.visit(e)
		if e.dir == nil {
			return err // asked for by name
		}
		return nil // gone meanwhile, or none that we touch
	})
}

// visit searches one file.
func (h *hunt) visit(e entry) error {
	if !h.match(e.rel) || e.dir != nil && !e.mode.IsRegular() {
		return nil
	}
	sc := h.tools.Get().(*scanner)
	defer h.tools.Put(sc)
	data, err := sc.read(h.b, e)
	if err != nil || bytes.IndexByte(data[:min(len(data), 8192)], 0) >= 0 || !sc.sieve.passes(data) {
		return err // binary, by git's rule, or without a match; most files end here
	}
	lines := linesOf(string(data))
	var at []int
	for i, l := range lines {
		if h.re.MatchString(l) {
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return nil
	}
	found := hits{e.name, len(at), h.shown(e.spot, lines, at)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.files = append(h.files, found)
	return nil
}

// A scanner is what a goroutine reads files with.
type scanner struct {
	sieve *sieve
	buf   []byte
}

// read is the content of a file, until the next is read. A file that a walk has
// come to is opened in the directory it was found in, and only if it is what it
// was found to be.
func (s *scanner) read(b *Box, e entry) ([]byte, error) {
	if e.dir == nil {
		f, st, err := b.open(e.spot)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }() // was only read
		if !e.log && st.Size() > mostScanned {
			return nil, fmt.Errorf("%s has %s, too much to search; use grep in the shell", e.name, bytesOf(st.Size()))
		}
		return io.ReadAll(io.LimitReader(f, mostLogged))
	}
	fd, err := syscall.Openat(int(e.dir.Fd()), e.name[strings.LastIndexByte(e.name, '/')+1:], syscall.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("open", err)
	}
	defer func() { _ = syscall.Close(fd) }() // was only read
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return nil, os.NewSyscallError("stat", err)
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFREG || st.Nlink > 1 || !e.log && st.Size > mostScanned {
		return nil, errNotSearched
	}
	n := 0
	for {
		if n == len(s.buf) {
			if n >= mostLogged {
				return s.buf, nil
			}
			s.buf = append(s.buf, make([]byte, n)...)
		}
		k, err := syscall.Read(fd, s.buf[n:])
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return nil, os.NewSyscallError("read", err)
		case k == 0:
			return s.buf[:n], nil
		}
		if n += k; int64(n) == st.Size { // most files end where they said, and need no second look
			return s.buf[:n], nil
		}
	}
}

// errNotSearched says that a file is none that is searched unless it is named.
var errNotSearched = fmt.Errorf("not searched")

// shown is what is told of one file's matches, within the limits of a result.
func (h *hunt) shown(s spot, lines []string, at []int) string {
	name := s.name
	if s.log {
		name = h.b.o.LogDir + "/" + name // so that it can be used again
	}
	switch h.in.Mode {
	case "files":
		return name + "\n"
	case "count":
		return fmt.Sprintf("%s:%d\n", name, len(at))
	}
	return around(name, lines, at[:min(len(at), mostMatches)], h.in.Context)
}

// around writes the matches of one file as path:line:text, and the lines around
// them as path-line-text.
func around(name string, lines []string, at []int, context int) string {
	var b strings.Builder
	next := 0 // first line that was not written
	for k, i := range at {
		from, to := max(i-context, next), min(i+context, len(lines)-1)
		if k+1 < len(at) {
			to = min(to, at[k+1]-1)
		}
		if context > 0 && from > next && next > 0 {
			b.WriteString("--\n")
		}
		for n := from; n <= to; n++ {
			sep := "-"
			if n == i {
				sep = ":"
			}
			fmt.Fprintf(&b, "%s%s%d%s%s\n", name, sep, n+1, sep, cut(lines[n], mostShown))
		}
		next = max(next, to+1)
		if b.Len() > mostFound {
			break
		}
	}
	return b.String()
}

// tell puts the files in order and the matches together.
func (h *hunt) tell(s spot, seen walked, late bool) string {
	slices.SortFunc(h.files, func(a, b hits) int { return inOrder(a.name, b.name) })
	var out strings.Builder
	matches, told := 0, 0
	for _, f := range h.files {
		n := f.lines
		if h.in.Mode == "files" || h.in.Mode == "count" {
			n = 1
		}
		matches += n
		for l := range strings.Lines(f.text) {
			if told >= mostMatches || out.Len()+len(l) > mostFound {
				break
			}
			out.WriteString(l)
			if isMatch(l, f.name, h.in) {
				told++
			}
		}
	}
	foot := fmt.Sprintf("[%d matches in %d files]", matches, len(h.files))
	switch {
	case late:
		foot = fmt.Sprintf("[stopped after %v: %d matches in %d files so far; narrow path or glob]", mostSearch, matches, len(h.files))
	case matches == 0 && seen.all && h.in.Glob != "":
		foot = fmt.Sprintf("no match below %s in files that match %s", s.name, h.in.Glob)
	case matches == 0 && seen.all:
		foot = "no match below " + s.name
	case told < matches:
		foot = fmt.Sprintf("[stopped at %d matches of %d in %d files: narrow the pattern, path or glob]", told, matches, len(h.files))
	case !seen.all:
		foot = fmt.Sprintf("[stopped after %d files: %d matches in %d of them; look in a directory]", mostWalked, matches, len(h.files))
	}
	return out.String() + foot
}

// isMatch says whether a line of a result is a match, not one beside it.
func isMatch(l, name string, in searchArgs) bool {
	if in.Context == 0 || in.Mode == "files" || in.Mode == "count" {
		return true
	}
	i := strings.Index(l, name)
	return i >= 0 && strings.HasPrefix(l[i+len(name):], ":")
}

// inOrder compares paths as a walk in the order of names comes to them.
func inOrder(a, b string) int {
	return strings.Compare(strings.ReplaceAll(a, "/", "\x00"), strings.ReplaceAll(b, "/", "\x00"))
}
