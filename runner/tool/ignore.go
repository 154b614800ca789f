package tool

import (
	"os"
	"path"
	"slices"
	"strings"
)

// mostIgnore is how large a .gitignore may be to be read.
const mostIgnore = 256 << 10

// ignores says which paths of a directory a listing leaves out: .git,
// node_modules, and what the .gitignore files there and above say. It is for
// people's convenience and guards nothing.
type ignores struct {
	up    *ignores // of the directory above, nil at the root
	dir   string
	rules []rule
}

// A rule is one line of a .gitignore.
type rule struct {
	pattern  string
	negated  bool
	dirOnly  bool
	anchored bool // holds a slash: meant for the path below its directory
}

// ignoresAbove are the rules of the directories above s.
func (b *Box) ignoresAbove(s spot) *ignores {
	var ig *ignores
	if s.name == "." {
		return nil
	}
	for dir := "."; ; {
		ig = &ignores{ig, dir, b.rules(s.root, dir)}
		rest := strings.TrimPrefix(s.name, dir+"/")
		if dir == "." {
			rest = s.name
		}
		part, _, more := strings.Cut(rest, "/")
		if !more {
			return ig
		}
		dir = path.Join(dir, part)
	}
}

// rules are what the .gitignore of a directory says.
func (b *Box) rules(root *os.Root, dir string) []rule {
	text, _, err := b.read(spot{root: root, name: path.Join(dir, ".gitignore")})
	if err != nil || len(text) > mostIgnore {
		return nil // none there, or none that git would read
	}
	var rules []rule
	for l := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		if r, ok := parseRule(l); ok {
			rules = append(rules, r)
		}
	}
	return rules
}

// skip decides for a path whose directory is not skipped itself: the deepest
// file and there the last rule that matches wins.
func (ig *ignores) skip(name string, isDir bool) bool {
	if base := path.Base(name); base == ".git" || isDir && base == "node_modules" {
		return true
	}
	for ; ig != nil; ig = ig.up {
		rel := name
		if ig.dir != "." {
			rel = strings.TrimPrefix(name, ig.dir+"/")
		}
		for _, r := range slices.Backward(ig.rules) {
			if r.match(rel, isDir) {
				return !r.negated
			}
		}
	}
	return false
}

func (r rule) match(rel string, isDir bool) bool {
	if r.dirOnly && !isDir {
		return false
	}
	if !r.anchored {
		rel = path.Base(rel)
	}
	return wildmatch(r.pattern, rel, true)
}

func parseRule(l string) (r rule, ok bool) {
	l = strings.TrimRight(l, "\r\n")
	if strings.HasPrefix(l, "#") {
		return r, false
	}
	for strings.HasSuffix(l, " ") && !strings.HasSuffix(l, `\ `) {
		l = l[:len(l)-1]
	}
	l, r.negated = strings.CutPrefix(l, "!")
	l, r.dirOnly = strings.CutSuffix(l, "/")
	r.anchored = strings.Contains(l, "/")
	r.pattern = strings.TrimPrefix(l, "/")
	return r, r.pattern != ""
}
