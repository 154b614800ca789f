package repo

import (
	"fmt"
	"path"
	"strings"
)

// largest is the size over which GitHub refuses a file, and the push with it.
const largest = 100 << 20

// owned says why the agent's changes below path are left out, "" if they are
// not. The job's token may not push workflows, and would take the whole push
// down; a .gitmodules that git's checks refuse would do the same.
func owned(path string) string {
	switch {
	case within(path, ".github/workflows"):
		return notWorkflows
	case strings.EqualFold(path, ".gitmodules"):
		return notModules
	}
	return ""
}

// within says whether path is dir or below it, in any case: the file systems
// that ignore case must not make a difference.
func within(path, dir string) bool {
	return len(path) >= len(dir) && strings.EqualFold(path[:len(dir)], dir) &&
		(len(path) == len(dir) || path[len(dir)] == '/')
}

// validName refuses names that no tree may hold: they lead out of it, or into
// somebody's repository.
func validName(name string) error {
	if name == "" || name == "." || name == ".." || strings.Contains(name, "/") || isDotGit(name) {
		return fmt.Errorf("refused the name %q", name)
	}
	return nil
}

// mayBeDotGit says whether isDotGit must be asked: nearly all names begin in a
// way that needs no closer look.
func mayBeDotGit(name []byte) bool {
	c := name[0]
	return c == '.' || c == 'g' || c == 'G' || c >= 0x80
}

// isDotGit says whether a file system may take name for .git: one that ignores
// case, trailing dots and spaces, streams (NTFS, with its short name git~1), or
// certain characters (HFS+).
func isDotGit(name string) bool {
	if len(name) < 4 {
		return false
	}
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 0x200c && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x206a && r <= 0x206f, r == 0xfeff:
			return -1
		}
		return r
	}, name)
	name, _, _ = strings.Cut(name, ":")
	name, _, _ = strings.Cut(name, `\`)
	name = strings.TrimRight(name, " .")
	return strings.EqualFold(name, ".git") || strings.EqualFold(name, "git~1")
}

// leaves says whether a symbolic link at path leads out of the tree. A target
// may climb only at its start: further on, .. starts from wherever another link
// points to.
func leaves(link, target string) bool {
	if path.IsAbs(target) {
		return true
	}
	depth := strings.Count(link, "/")
	climbing := true
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; depth < 0 || !climbing {
				return true
			}
		default:
			climbing = false
		}
	}
	return false
}
