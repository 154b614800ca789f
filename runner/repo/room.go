package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// roomy calls do, and once more with room made for it if the disk was full.
func (r *Repo) roomy(do func() error) error {
	err := do()
	if !full(err) {
		return r.ailing(err)
	}
	r.store.sweep()
	if err = do(); full(err) {
		return fmt.Errorf("%w; %s", err, left(r.o.Dir))
	}
	return r.ailing(err)
}

// ailing is err with what to do about a disk that fails, or that the kernel has
// made read-only because it does.
func (r *Repo) ailing(err error) error {
	if errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EROFS) || err != nil && strings.Contains(err.Error(), "Read-only file system") {
		return fmt.Errorf("%w; the disk of %s fails, or was made read-only: see the machine's log, or use another runner, then start the loop again: it goes on from what was saved", err, r.o.Dir)
	}
	return err
}

// full says whether err is that of a full disk: of a system call, or in the
// words of git.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) ||
		err != nil && strings.Contains(err.Error(), "No space left on device")
}

// left is what df would say of the disk that dir is on.
func left(dir string) string {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return "how much room there is cannot be told: " + err.Error()
	}
	mb := func(blocks uint64) float64 { return float64(blocks) * float64(s.Bsize) / (1 << 20) }
	return fmt.Sprintf("the disk of %s has %.1f of %.1f MB left, and %d of %d files: make room, then start the loop again", dir, mb(s.Bavail), mb(s.Blocks), s.Ffree, s.Files)
}

// sweep removes what interrupted writes have left in the store.
func (s *store) sweep() {
	_ = filepath.WalkDir(filepath.Join(s.dir, "objects"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasPrefix(d.Name(), "tmp_") {
			_ = os.Remove(path) //nolint:gosec // nobody else writes there; what stays costs room and nothing else
		}
		return nil
	})
}

// tidy makes one pack of many small ones: each fetch and each process has left
// one, and every object is looked for in all of them.
func (s *store) tidy(ctx context.Context) error {
	const many = 50
	if len(s.packs.list) < many {
		return nil
	}
	// Without git, or with one that is too old for it, it is only slower.
	if _, err := s.git(ctx, nil, "repack", "--geometric=2", "-d", "-q"); err != nil {
		return ctx.Err()
	}
	s.packs = packs{dir: s.packs.dir, have: map[string]bool{}}
	return s.packs.refresh()
}

// openAnew opens the git directory at dir without the objects that are in it, so
// that they are fetched again. What was seen of the remote stays known.
func openAnew(dir string) (*store, error) {
	if err := os.RemoveAll(filepath.Join(dir, "objects")); err != nil {
		return nil, err
	}
	return openStore(dir)
}
