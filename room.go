package main

import (
	"fmt"
	"syscall"
)

// leastRoom is what has to be left on the disk before a session begins: clones,
// packages and browsers take as much, and a disk that is full in the middle of
// it costs what was spent until then.
const leastRoom = 2 << 30

// roomy says what is wrong with the room on the disk of dir, if anything. That
// it cannot be told is nothing wrong.
func roomy(dir string, least uint64) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return nil //nolint:nilerr // see above
	}
	left := s.Bavail * uint64(s.Bsize) //nolint:gosec // the size of a block is positive, and of another type on other systems
	if left >= least {
		return nil
	}
	return fmt.Errorf("the disk of %s has %d MB left, and a session needs %d: make room on the runner (docker system prune, old work directories), then start the loop again; nothing was begun, and no token spent", dir, left>>20, least>>20)
}
