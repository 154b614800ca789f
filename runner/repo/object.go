package repo

import (
	"bytes"
	"cmp"
	"crypto/sha1" //nolint:gosec // git's object ids are SHA-1
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

// An oid is the id of an object.
type oid = plumbing.Hash

// none is the id of nothing: an absent ref, an unknown tree.
var none oid

// emptyTree is the id of the tree without entries. Git knows it without having
// it stored.
var emptyTree = hash(plumbing.TreeObject, nil)

// parseID reads a full id. Abbreviations are refused: a compare-and-swap with
// one compares nothing.
func parseID(s string) (oid, error) {
	if len(s) != 40 || strings.Trim(s, "0123456789abcdef") != "" {
		return none, fmt.Errorf("%q is not a full object id", s)
	}
	return plumbing.NewHash(s), nil
}

// short is an id as people read it.
func short(id oid) string {
	if id == none {
		return "nothing"
	}
	return id.String()[:7]
}

func hash(t plumbing.ObjectType, content []byte) oid {
	h := sha1.New() //nolint:gosec // see above
	h.Write(header(t, content))
	h.Write(content)
	return oid(h.Sum(nil))
}

func header(t plumbing.ObjectType, content []byte) []byte {
	b := append([]byte(t.String()), ' ')
	b = strconv.AppendInt(b, int64(len(content)), 10)
	return append(b, 0)
}

// The modes of a tree's entries.
const (
	modeFile uint32 = 0o100644
	modeExec uint32 = 0o100755
	modeLink uint32 = 0o120000
	modeDir  uint32 = 0o040000
	modeSub  uint32 = 0o160000 // the commit of a submodule
)

// An entry is one line of a tree.
type entry struct {
	name string
	mode uint32
	id   oid
}

// parseTree reads a tree as a repository may hold it. Modes of old repositories
// become today's.
func parseTree(b []byte) ([]entry, error) {
	var es []entry
	for len(b) > 0 {
		mode, rest, ok := bytes.Cut(b, []byte{' '})
		name, rest, ok2 := bytes.Cut(rest, []byte{0})
		m, err := strconv.ParseUint(string(mode), 8, 32)
		if !ok || !ok2 || err != nil || len(rest) < len(none) {
			return nil, errors.New("malformed tree")
		}
		e := entry{name: string(name), mode: canonical(uint32(m)), id: oid(rest[:len(none)])}
		es, b = append(es, e), rest[len(none):]
	}
	return es, nil
}

func canonical(m uint32) uint32 {
	switch m & 0o170000 {
	case modeDir, modeLink, modeSub:
		return m & 0o170000
	}
	if m&0o100 != 0 {
		return modeExec
	}
	return modeFile
}

// encodeTree writes a tree in git's order, in which a directory's name ends
// with a slash. It sorts es.
func encodeTree(es []entry) []byte {
	slices.SortFunc(es, func(a, b entry) int { return cmp.Compare(a.sortKey(), b.sortKey()) })
	var b []byte
	for _, e := range es {
		b = e.append(b)
	}
	return b
}

// append writes one line of a tree.
func (e entry) append(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(e.mode), 8)
	b = append(b, ' ')
	b = append(b, e.name...)
	b = append(b, 0)
	return append(b, e.id[:]...)
}

func (e entry) sortKey() string {
	if e.mode == modeDir {
		return e.name + "/"
	}
	return e.name
}

// A commit is what this package reads of a commit object.
type commit struct {
	tree      oid
	parents   []oid
	committer string // name <mail>
	when      int64  // committed, in Unix time
	message   string
}

func parseCommit(b []byte) (commit, error) {
	var c commit
	head, message, _ := strings.Cut(string(b), "\n\n")
	c.message = message
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch key {
		case "tree", "parent":
			id, err := parseID(value)
			if err != nil {
				return c, fmt.Errorf("malformed commit: %w", err)
			}
			if key == "tree" {
				c.tree = id
			} else {
				c.parents = append(c.parents, id)
			}
		case "committer":
			who, when, _ := strings.Cut(value, "> ")
			c.committer = who + ">"
			seconds, _, _ := strings.Cut(when, " ")
			c.when, _ = strconv.ParseInt(seconds, 10, 64) // an odd date only makes a walk longer
		}
	}
	if c.tree == none {
		return c, errors.New("malformed commit: no tree")
	}
	return c, nil
}

// encodeCommit writes a commit. Author and committer are one person, the time
// is in UTC, and nothing else goes in: the same arguments give the same id.
func encodeCommit(tree oid, parents []oid, who, message string, when time.Time) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "tree %s\n", tree)
	for _, p := range parents {
		fmt.Fprintf(&b, "parent %s\n", p)
	}
	// A NUL would end the message for git, and fsck refuses it.
	message = strings.TrimRight(strings.ReplaceAll(message, "\x00", ""), "\n")
	fmt.Fprintf(&b, "author %s %d +0000\ncommitter %s %[2]d +0000\n\n%[4]s\n", who, when.Unix(), who, message)
	return b.Bytes()
}
