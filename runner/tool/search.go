package tool

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
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

// found is what a search has gathered.
type found struct {
	in             searchArgs
	re             *regexp.Regexp
	out            strings.Builder
	matches, files int
	searched       int
}

func (b *Box) search(ctx context.Context, in searchArgs) (string, error) {
	re, err := regexp.Compile(in.Pattern)
	if err != nil {
		return "", fmt.Errorf("the pattern is no Go regular expression (for plain text escape .*+?()[]{}|^$ with a backslash): %w", err)
	}
	match := func(string) bool { return true }
	if in.Glob != "" {
		if match, err = glob(in.Glob); err != nil {
			return "", err
		}
	}
	f := &found{in: in, re: re}
	limited, cancel := context.WithTimeout(ctx, mostSearch)
	defer cancel()
	s, all, err := b.walk(limited, in.Path, func(s spot, name, rel string) error {
		if !match(rel) {
			return nil
		}
		f.searched++
		enough, err := f.file(b, spot{s.root, name, s.log})
		switch {
		case enough:
			return errEnough
		case name == s.name: // asked for by name
			return err
		}
		return nil // gone meanwhile, or none that we touch
	})
	late := limited.Err() != nil && ctx.Err() == nil
	if err != nil && !late {
		return "", err
	}
	if f.matches == 0 && all {
		return fmt.Sprintf("no match in %d files below %s", f.searched, s.name), nil
	}
	foot := fmt.Sprintf("[%d matches in %d files]", f.matches, f.files)
	switch {
	case late:
		foot = fmt.Sprintf("[stopped after %v: %d matches in %d files so far; narrow path or glob]", mostSearch, f.matches, f.files)
	case !all:
		foot = fmt.Sprintf("[stopped at %d matches in %d files: narrow the pattern, path or glob]", f.matches, f.files)
	}
	return f.out.String() + foot, nil
}

// file searches one file, and says whether that is enough.
func (f *found) file(b *Box, s spot) (enough bool, err error) {
	h, st, err := b.open(s)
	if err != nil {
		return false, err
	}
	defer func() { _ = h.Close() }() // was only read
	if !s.log && st.Size() > mostScanned {
		return false, fmt.Errorf("%s has %s, too much to search; use grep in the shell", s.name, bytesOf(st.Size()))
	}
	data, err := io.ReadAll(io.LimitReader(h, mostLogged))
	if err != nil || bytes.IndexByte(data[:min(len(data), 8192)], 0) >= 0 {
		return false, err // binary, by git's rule
	}
	if literal, _ := f.re.LiteralPrefix(); !bytes.Contains(data, []byte(literal)) {
		return false, nil // no line can match, and most files end here
	}
	lines := linesOf(string(data))
	var hits []int
	for i, l := range lines {
		if f.re.MatchString(l) {
			hits = append(hits, i)
		}
	}
	if len(hits) == 0 {
		return false, nil
	}
	f.files++
	switch f.in.Mode {
	case "files":
		f.matches++
		fmt.Fprintf(&f.out, "%s\n", b.shown(s))
	case "count":
		f.matches++
		fmt.Fprintf(&f.out, "%s:%d\n", b.shown(s), len(hits))
	default:
		f.lines(b.shown(s), lines, hits)
	}
	return f.matches >= mostMatches || f.out.Len() >= mostFound, nil
}

// shown is how a path is told to the model: so that it can be used again.
func (b *Box) shown(s spot) string {
	if s.log {
		return b.o.LogDir + "/" + s.name
	}
	return s.name
}

// lines writes the matches of one file as path:line:text, and lines around them
// as path-line-text.
func (f *found) lines(name string, lines []string, hits []int) {
	next := 0 // first line that was not written
	for k, i := range hits {
		if f.matches >= mostMatches || f.out.Len() >= mostFound {
			return
		}
		f.matches++
		from, to := max(i-f.in.Context, next), min(i+f.in.Context, len(lines)-1)
		if k+1 < len(hits) {
			to = min(to, hits[k+1]-1)
		}
		if f.in.Context > 0 && from > next && next > 0 {
			f.out.WriteString("--\n")
		}
		for n := from; n <= to; n++ {
			sep := "-"
			if n == i {
				sep = ":"
			}
			fmt.Fprintf(&f.out, "%s%s%d%s%s\n", name, sep, n+1, sep, cut(lines[n], mostShown))
		}
		next = max(next, to+1)
	}
}
