package tool

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// Limits of what a reading tool gives.
const (
	linesRead  = 400      // of a file, unless asked otherwise
	mostLines  = 2000     // of a file, whatever is asked
	mostRead   = 48 << 10 // bytes of a file
	mostLine   = 2000     // characters of a line
	mostFiles  = 200      // paths in a list
	mostWalked = 200_000  // entries looked at
)

type readArgs struct {
	Path   string `json:"path"`
	Offset int    `json:"offset"`
	Limit  int    `json:"limit"`
}

// A showing is a part of a file that stands in the conversation.
type showing struct {
	view int
	sum  [sha256.Size]byte
}

// worthSaving is how long a result must be for not being given twice.
const worthSaving = 1500

// again says that the model was shown a part of a file before and it has not
// changed. Whoever asks once more after that gets it: there may be a reason.
func (b *Box) again(p agent.Permit, in readArgs, content string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := showing{p.View, sha256.Sum256([]byte(content))}
	if b.shown[in] == now {
		delete(b.shown, in)
		return true
	}
	b.shown[in] = now
	return false
}

func (b *Box) readFile(p agent.Permit, in readArgs) (string, error) {
	s, err := b.spot(in.Path)
	if err != nil {
		return "", err
	}
	if p.Show != nil && pictured(s.name) {
		return b.look(p, s)
	}
	content, _, err := b.read(s)
	if err != nil {
		return "", err
	}
	if !s.log {
		b.know(s.name, content)
	}
	if content == "" {
		return "[empty file]", nil
	}
	lines := linesOf(content)
	first := max(in.Offset, 1)
	if first > len(lines) {
		return "", fmt.Errorf("%s has %d lines, none from %d on", s.name, len(lines), first)
	}
	last := min(first-1+min(cmp.Or(max(in.Limit, 0), linesRead), mostLines), len(lines))
	text, last := numbered(lines, first, last, mostRead)
	foot := fmt.Sprintf("[lines %d–%d of %d]", first, last, len(lines))
	if last < len(lines) {
		foot = fmt.Sprintf("[lines %d–%d of %d; go on with offset %d]", first, last, len(lines), last+1)
	}
	asked := readArgs{s.name, first, last}
	if !s.log && len(text) > worthSaving && b.again(p, asked, content) {
		return fmt.Sprintf("[lines %d–%d of %d are unchanged since you read them: they stand above; ask once more to have them again]", first, last, len(lines)), nil
	}
	if !utf8.ValidString(content) {
		foot += "\n[the file is not UTF-8; bytes that could not be shown are \uFFFD]"
	}
	return text + foot, nil
}

// pictured says by the name that a file is a picture which can be shown.
func pictured(name string) bool {
	return slices.Contains([]string{".png", ".jpg", ".jpeg", ".gif", ".webp"}, strings.ToLower(path.Ext(name)))
}

// linesOf splits a text into its lines, without their ends.
func linesOf(content string) []string {
	lines := strings.Split(strings.TrimSuffix(content, "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSuffix(l, "\r")
	}
	return lines
}

// numbered is lines first to last, counted from 1, as N<TAB>text, and the last
// that fits into most bytes. One line always does.
func numbered(lines []string, first, last, most int) (string, int) {
	var b strings.Builder
	for n := first; n <= last; n++ {
		l := fmt.Sprintf("%d\t%s\n", n, cut(lines[n-1], mostLine))
		if n > first && b.Len()+len(l) > most {
			return b.String(), n - 1
		}
		b.WriteString(l)
	}
	return b.String(), last
}

// cut is the first n characters of a line, and how many more it has.
func cut(l string, n int) string {
	l = strings.ToValidUTF8(l, "\uFFFD")
	if len(l) <= n {
		return l
	}
	if r := []rune(l); len(r) > n {
		return fmt.Sprintf("%s… [%d more characters]", string(r[:n]), len(r)-n)
	}
	return l
}

type findArgs struct {
	Glob string `json:"glob"`
	Path string `json:"path"`
}

func (b *Box) findFiles(ctx context.Context, in findArgs) (string, error) {
	match, err := glob(in.Glob)
	if err != nil {
		return "", err
	}
	var mu sync.Mutex
	var found []string
	s, seen, err := b.walk(ctx, in.Path, func(f entry) error {
		if match(f.rel) {
			mu.Lock()
			defer mu.Unlock()
			found = append(found, f.name)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return fmt.Sprintf("no file matches %s below %s", in.Glob, s.name) + seen.odd(), nil
	}
	slices.Sort(found)
	text := strings.Join(found[:min(len(found), mostFiles)], "\n")
	if n := len(found) - mostFiles; n > 0 {
		text += fmt.Sprintf("\n[%d more: narrow the glob]", n)
	}
	if !seen.all {
		text += fmt.Sprintf("\n[stopped after %d files: look in a directory]", mostWalked)
	}
	return text + seen.odd(), nil
}

// glob says which paths match a pattern: ** stands for any directories, {a,b}
// for either, and a pattern without a slash for a name in any directory.
func glob(pattern string) (func(string) bool, error) {
	if strings.TrimSpace(pattern) == "" {
		return nil, errors.New("the glob is empty")
	}
	if len(pattern) > 1000 {
		return nil, errors.New("the glob is too long")
	}
	alternatives := braces(strings.TrimPrefix(pattern, "./"), 64)
	return func(rel string) bool {
		return slices.ContainsFunc(alternatives, func(p string) bool {
			if !strings.Contains(p, "/") {
				return wildmatch(p, path.Base(rel), true)
			}
			return wildmatch(strings.TrimPrefix(p, "/"), rel, true)
		})
	}, nil
}

// braces expands {a,b} to at most n patterns.
func braces(p string, n int) []string {
	open := strings.IndexByte(p, '{')
	if open < 0 {
		return []string{p}
	}
	depth, start := 0, open+1
	var parts []string
	for i := open; i < len(p); i++ {
		switch p[i] {
		case '{':
			depth++
		case '}':
			depth--
		}
		if p[i] == ',' && depth == 1 || depth == 0 {
			parts = append(parts, p[start:i])
			start = i + 1
		}
		if depth == 0 {
			var out []string
			for _, part := range parts {
				out = append(out, braces(p[:open]+part+p[i+1:], n)...)
				if len(out) >= n {
					return out[:n]
				}
			}
			return out
		}
	}
	return []string{p} // not closed: taken as it stands
}
