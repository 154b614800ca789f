package repo

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestSnapshotBesideWriters takes snapshots while several others write into the
// work tree as agents and their programs do: over files in place, by renaming a
// new file over the old one, by swapping files, directories, links and pipes.
// Each snapshot must be a whole tree, and each of its files what some writer had
// written as a whole.
func TestSnapshotBesideWriters(t *testing.T) {
	t.Parallel()
	r, base := laid(t, map[string]string{"still": "still\n", "src/renamed": "0\n0\n", "swap": "0\n0\n", "src/log": ""})
	w := r.Work()
	at := func(name string) string { return filepath.Join(w, name) }
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	writer := func(name string, once func(n int)) {
		all.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				once(n)
				if n%64 == 0 {
					time.Sleep(time.Millisecond) // nobody writes without pause
				}
			}
		})
	}
	whole := func(n int) []byte { return fmt.Appendf(nil, "%d\n%s%[1]d\n", n, strings.Repeat("x", n%5000)) }
	writer("renamed", func(n int) {
		os.WriteFile(at("src/renamed.tmp"), whole(n), 0o644)
		os.Rename(at("src/renamed.tmp"), at("src/renamed"))
	})
	writer("appended", func(n int) {
		if f, err := os.OpenFile(at("src/log"), os.O_APPEND|os.O_WRONLY, 0); err == nil {
			fmt.Fprintf(f, "line %d\n", n)
			f.Close()
		}
		if n%500 == 0 {
			os.Truncate(at("src/log"), 0)
		}
	})
	writer("swapped", func(n int) {
		os.RemoveAll(at("swap"))
		switch n % 5 {
		case 0:
			os.Mkdir(at("swap"), 0o755)
			os.WriteFile(at("swap/below"), []byte("below\n"), 0o644)
		case 1:
			os.Symlink("/etc", at("swap"))
		case 2:
			syscall.Mkfifo(at("swap"), 0o644)
		case 3:
			os.Symlink("src", at("swap"))
		default:
			os.WriteFile(at("swap"), []byte("0\n0\n"), 0o644)
		}
	})
	defer func() { cancel(); all.Wait() }()
	for n := range 60 {
		s, err := r.Snapshot(ctx, base, "beside writers")
		if err != nil {
			t.Fatalf("snapshot %d: %v", n, err)
		}
		for _, left := range s.Left {
			if !strings.HasPrefix(left, "swap") && !strings.HasPrefix(left, "src/") {
				t.Errorf("left out: %s", left)
			}
		}
		if b, err := r.store.file(mustID(t, s.Commit), "still"); err != nil || string(b) != "still\n" {
			t.Errorf("still: %q, %v", b, err)
		}
		b, err := r.store.file(mustID(t, s.Commit), "src/renamed")
		if first, rest, _ := bytes.Cut(b, []byte("\n")); err != nil || !bytes.HasSuffix(rest, append(first, '\n')) {
			t.Errorf("a file of two versions: %.20q, %v", b, err)
		}
	}
	cancel()
	all.Wait()
	// Whoever comes to rest is recorded as he is.
	s, err := r.Snapshot(t.Context(), base, "after them")
	must(t, err)
	if want, ok := gitTree(t, r, base); ok && want != s.Tree && len(s.Left) == 0 {
		t.Errorf("git makes another tree")
	}
	git(t, filepath.Join(r.o.Dir, "git"), "fsck", "--strict", "--full")
}
