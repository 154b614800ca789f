package repo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Git that is killed while it moves a branch of a repository on this disk leaves
// the branch's lock lying there, and nothing moves that branch any more until
// somebody takes it away. On a laptop that is what our own end leaves behind: the
// push is carried out by a git that is ended with us.

// forgotten is the age from which a lock is nobody's: git holds one for
// milliseconds.
const forgotten = 10 * time.Second

// unlocked makes sure that no lock keeps the branches from being moved that a dead
// process has left. One that may be held is waited for.
func (r *Repo) unlocked(todo []update) error {
	if r.remote.ep.Protocol != "file" {
		return nil
	}
	for _, u := range todo {
		for _, dir := range []string{"", ".git"} {
			lock := filepath.Join(r.remote.ep.Path, dir, filepath.FromSlash(u.ref)+".lock")
			held, err := os.Lstat(lock)
			if err != nil {
				continue // there is none, or git says what is wrong
			}
			now, err := r.clock()
			if err != nil {
				return err
			}
			if stampOf(held).mtime > now-int64(forgotten) || !takenAway(lock, held) {
				return &remoteError{err: errLocked, text: fmt.Sprintf("another git is about to move %s, or was killed (%s is there)", u.ref, lock), transient: true}
			}
			if r.o.Log != nil {
				r.o.Log(fmt.Sprintf("git: took away %s, which a git that was killed has left", lock))
			}
		}
	}
	return nil
}

var errLocked = errors.New("the branch is locked")

// takenAway takes away the lock that was looked at, and no other: of two who do
// this at once one takes the old lock, and the other must not take a new one.
func takenAway(lock string, held os.FileInfo) bool {
	aside := strings.TrimSuffix(lock, ".lock") + ".left.lock" // git takes no such name for a branch
	if os.Rename(lock, aside) != nil {
		return false
	}
	moved, err := os.Lstat(aside)
	old := err == nil && os.SameFile(held, moved)
	if !old {
		_ = os.Link(aside, lock) // it was held by now; where it is there again, that is another one
	}
	_ = os.Remove(aside)
	return old
}
