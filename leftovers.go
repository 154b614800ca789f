package main

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// A session's directory is locked by the processes that work in it, so that it
// can be told from what a killed one left: the kernel takes a lock away when
// its holder dies, however it dies.
const (
	dirPrefix = "autonomous-loop-"
	lockName  = "in-use"
)

// privateDir makes a directory that only this user can list and that the
// sandbox's user can walk through. remove takes it away.
func privateDir() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp("", dirPrefix)
	if err != nil {
		return "", nil, err
	}
	// The lock appears when it is held: nobody takes this for a leftover.
	made := filepath.Join(dir, lockName+".new")
	lock, err := hold(made)
	err = errors.Join(err, os.Rename(made, filepath.Join(dir, lockName)), os.Chmod(dir, 0o711)) //nolint:gosec // walked through, not listed: see above
	remove = func() {
		_ = os.RemoveAll(dir) // what stays is a leftover: see clearLeftovers
		_ = lock.Close()
	}
	if err != nil {
		remove()
		return "", nil, err
	}
	return dir, remove, nil
}

// hold takes a share of a directory's lock, which lasts for as long as the file
// is open and this process lives.
func hold(file string) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return f, syscall.Flock(int(f.Fd()), syscall.LOCK_SH)
}

// clearLeftovers removes what sessions left below dir that were killed: our own
// directories in which no process works any more. What cannot be removed costs
// disk and nothing else.
func clearLeftovers(dir string) {
	found, err := filepath.Glob(filepath.Join(dir, dirPrefix+"*"))
	if err != nil {
		return
	}
	for _, d := range found {
		if dead(d) {
			_ = os.RemoveAll(d)
		}
	}
}

// dead says whether dir is a session's, of this user, and out of use.
func dead(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return false
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() {
		return false
	}
	// Without a lock's file it is being made right now, or not a session's.
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
