package repo

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// packedByGit is a git directory with one pack of many versions of a few files,
// nearly all of it differences.
func packedByGit(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "init", "-q")
	rnd := rand.New(rand.NewPCG(3, 4))
	var stream strings.Builder
	lines := strings.Split(strings.Repeat("a line of text that is long enough\n", 300), "\n")
	for n := range 120 {
		lines[rnd.IntN(len(lines))] = fmt.Sprint("changed ", n)
		text := strings.Join(lines, "\n")
		fmt.Fprintf(&stream, "commit refs/heads/main\ncommitter J <j@x> %d +0000\ndata 1\nx\nM 644 inline f\ndata %d\n%s\nM 644 inline d%d/e\ndata 3\nabc\n\n", n, len(text), text, n)
	}
	cmd := exec.Command("git", "fast-import", "--quiet")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stream.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	git(t, dir, "repack", "-adfq", "--depth=80", "--window=50")
	return filepath.Join(dir, ".git")
}

func TestPacksAreReadAsGitDoes(t *testing.T) {
	t.Parallel()
	dir := packedByGit(t)
	s := &store{dir: dir, packs: packs{dir: filepath.Join(dir, "objects", "pack"), have: map[string]bool{}}}
	must(t, s.packs.refresh())
	cmd := exec.Command("git", "cat-file", "--batch-all-objects", "--batch")
	cmd.Dir = dir
	out, err := cmd.Output()
	must(t, err)
	n := 0
	for len(out) > 0 {
		head, rest, _ := bytes.Cut(out, []byte("\n"))
		f := strings.Fields(string(head))
		size, err := strconv.Atoi(f[2])
		must(t, err)
		kind, err := plumbing.ParseObjectType(f[1])
		must(t, err)
		b, err := s.read(kind, plumbing.NewHash(f[0]))
		if err != nil || !bytes.Equal(b, rest[:size]) {
			t.Fatalf("%s: %v", head, err)
		}
		out = rest[size+1:]
		n++
	}
	if n < 300 {
		t.Errorf("only %d objects", n)
	}
	if s.has(plumbing.NewHash(strings.Repeat("ab", 20))) {
		t.Error("it has what is not there")
	}
}

// TestDamagedPacksAreErrors flips bytes of a pack and of its index: whatever is
// read must be what was written, or an error.
func TestDamagedPacksAreErrors(t *testing.T) {
	t.Parallel()
	dir := packedByGit(t)
	idx, err := filepath.Glob(filepath.Join(dir, "objects/pack/*.idx"))
	must(t, err)
	ids := strings.Fields(git(t, dir, "rev-list", "--all", "--objects", "--no-object-names"))
	rnd := rand.New(rand.NewPCG(5, 6))
	wrong, failed := 0, 0
	for _, ext := range []string{".pack", ".idx"} {
		name := strings.TrimSuffix(idx[0], ".idx") + ext
		whole, err := os.ReadFile(name)
		must(t, err)
		must(t, os.Chmod(name, 0o644))
		for range 60 {
			b := bytes.Clone(whole)
			for range 20 {
				b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
			}
			if rnd.IntN(4) == 0 {
				b = b[:rnd.IntN(len(b))]
			}
			must(t, os.WriteFile(name, b, 0o644))
			s := &store{dir: dir, packs: packs{dir: filepath.Dir(name), have: map[string]bool{}}}
			if s.packs.refresh() != nil {
				failed++
				continue
			}
			for _, id := range ids {
				for _, kind := range []plumbing.ObjectType{plumbing.CommitObject, plumbing.TreeObject, plumbing.BlobObject} {
					b, err := s.read(kind, plumbing.NewHash(id))
					if err == nil && hash(kind, b).String() != id {
						wrong++
					} else if err != nil {
						failed++
					}
				}
			}
		}
		must(t, os.WriteFile(name, whole, 0o644))
	}
	t.Logf("%d errors", failed)
	if wrong > 0 {
		t.Errorf("%d objects were read that are not what they should be", wrong)
	}
}
