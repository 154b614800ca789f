package tool

import (
	"path"
	"slices"
	"strings"
)

// mostIgnore is how large a .gitignore may be to be read.
const mostIgnore = 256 << 10

// ignores says which paths a listing leaves out: .git, node_modules, and what
// the .gitignore files say. It is for people's convenience and guards nothing.
type ignores struct {
	load  func(dir string) []rule
	rules map[string][]rule // by directory
}

// A rule is one line of a .gitignore.
type rule struct {
	pattern  string
	negated  bool
	dirOnly  bool
	anchored bool // holds a slash: meant for the path below its directory
}

// ignores begins with the rules of the directories above s.
func (b *Box) ignores(s spot) *ignores {
	ig := &ignores{rules: map[string][]rule{}, load: func(dir string) []rule {
		text, _, err := b.read(spot{s.root, path.Join(dir, ".gitignore"), s.log})
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
	}}
	for dir := s.name; dir != "."; {
		dir = path.Dir(dir)
		ig.enter(dir)
	}
	return ig
}

// enter reads the rules of a directory.
func (ig *ignores) enter(dir string) { ig.rules[dir] = ig.load(dir) }

// skip decides for a path whose directory is not skipped itself: the deepest
// file and there the last rule that matches wins.
func (ig *ignores) skip(name string, isDir bool) bool {
	if base := path.Base(name); base == ".git" || isDir && base == "node_modules" {
		return true
	}
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		rel := name
		if dir != "." {
			rel = strings.TrimPrefix(name, dir+"/")
		}
		for _, r := range slices.Backward(ig.rules[dir]) {
			if r.match(rel, isDir) {
				return !r.negated
			}
		}
		if dir == "." {
			return false
		}
	}
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
