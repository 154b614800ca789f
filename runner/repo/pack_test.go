package repo

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// stored are the packs of a repository's private directory, without extension.
func stored(t *testing.T, r *Repo) (packs []string) {
	t.Helper()
	for _, ext := range []string{".pack", ".idx"} {
		names, err := filepath.Glob(filepath.Join(r.store.packs.dir, "*"+ext))
		must(t, err)
		if packs != nil && len(packs) != len(names) {
			t.Errorf("%d packs and %d indexes", len(packs), len(names))
		}
		packs = names
	}
	return packs
}

// TestCheckpointsMakeFewPacks sees that objects go on to be found, by us and by
// git, while the pack that they are in is written again and again.
func TestCheckpointsMakeFewPacks(t *testing.T) {
	t.Parallel()
	r := open(t, bare(t, map[string]string{"README.md": "hello\n"}))
	base := load(t, r).Base.Commit
	must(t, r.Restore(t.Context(), base))
	before := len(stored(t, r))
	var commits []string
	var reading sync.WaitGroup
	for n := range 60 {
		text := ""
		for k := range 400 { // 60 of them are more than one tail
			text += fmt.Sprintf("%d ", n*k*7919)
		}
		write(t, r.Work(), map[string]string{"a/b/c.txt": text})
		s, err := r.Snapshot(t.Context(), base, "x")
		must(t, err)
		commits = append(commits, s.Commit)
		reading.Go(func() { // while others take its place
			if c, err := r.store.commit(mustID(t, s.Commit)); err != nil {
				t.Error(err)
			} else if _, err := r.store.find(c.tree, "a/b/c.txt"); err != nil {
				t.Error(err)
			}
		})
	}
	reading.Wait()
	if n := len(stored(t, r)) - before; n < 1 || n > 3 {
		t.Errorf("%d packs of 60 checkpoints", n)
	}
	git(t, r.store.dir, "fsck", "--strict", "--no-dangling")
	again := open(t, r.o.Remote, func(o *Options) { o.Dir = r.o.Dir })
	for _, id := range commits {
		git(t, r.store.dir, "cat-file", "-e", id+":a/b/c.txt")
		if b, err := again.store.file(mustID(t, id), "a/b/c.txt"); err != nil || len(b) < 400 {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// TestOldDirectoryIsTidied opens a directory that many processes have left a
// pack in.
func TestOldDirectoryIsTidied(t *testing.T) {
	t.Parallel()
	r := open(t, bare(t, map[string]string{"README.md": "hello\n"}))
	var ids []oid
	for n := range 80 {
		b := &batch{s: r.store}
		id, err := b.put(plumbing.BlobObject, fmt.Append(nil, n))
		must(t, err)
		must(t, b.done())
		r.store.tail = tail{} // as in another process
		ids = append(ids, id)
	}
	loose, err := r.store.put(plumbing.BlobObject, []byte("loose"))
	must(t, err)
	if n := len(stored(t, r)); n != 80 {
		t.Fatalf("%d packs", n)
	}
	again := open(t, r.o.Remote, func(o *Options) { o.Dir = r.o.Dir })
	if n := len(stored(t, again)); n > 40 {
		t.Errorf("%d packs are left", n)
	}
	for n, id := range append(ids, loose) {
		want := fmt.Sprint(n)
		if id == loose {
			want = "loose"
		}
		if b, err := again.store.blob(id); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", id, b, err)
		}
	}
	git(t, r.store.dir, "fsck", "--strict", "--no-dangling")
}
