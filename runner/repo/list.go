package repo

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// An item is an entry of a directory, as lstat sees it.
type item struct {
	name string
	stamp
}

func (e *item) isDir() bool     { return e.mode.IsDir() }
func (e *item) isRegular() bool { return e.mode.IsRegular() }
func (e *item) isLink() bool    { return e.mode.Type() == os.ModeSymlink }

// list returns the entries of a directory.
func list(r *os.Root, path string) ([]item, error) {
	f, err := r.Open(path)
	if err != nil {
		return nil, err
	}
	es, err := f.ReadDir(-1)
	f.Close() // it was only read
	if err != nil {
		return nil, err
	}
	items := make([]item, len(es))
	for i, e := range es {
		fi, err := e.Info() // below an os.Root it is there already
		if err != nil {
			return nil, err
		}
		items[i] = item{e.Name(), stampOf(fi)}
	}
	return items, nil
}

// lookAt returns what stands at names in dir, as list would if it still held
// these names. What is gone is left out. The path may lead through a link that
// was just planted; that shows a stamp, and files are told apart by theirs.
func lookAt(dir string, names []string) ([]item, error) {
	items := make([]item, 0, len(names))
	path := append([]byte(dir), '/')
	for _, name := range names {
		var st syscall.Stat_t
		err := syscall.EINTR
		for errors.Is(err, syscall.EINTR) {
			err, _ = syscall.Lstat(string(append(path, name...)), &st).(syscall.Errno)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		case err != 0:
			return nil, err
		default:
			items = append(items, item{name, stampOfStat(&st)})
		}
	}
	return items, nil
}

// fileMode is what package os makes of a mode.
func fileMode(m uint32) os.FileMode {
	mode := os.FileMode(m & 0o777)
	for _, b := range []struct {
		mask, bits uint32
		means      os.FileMode
	}{
		{syscall.S_IFMT, syscall.S_IFDIR, os.ModeDir},
		{syscall.S_IFMT, syscall.S_IFLNK, os.ModeSymlink},
		{syscall.S_IFMT, syscall.S_IFIFO, os.ModeNamedPipe},
		{syscall.S_IFMT, syscall.S_IFSOCK, os.ModeSocket},
		{syscall.S_IFMT, syscall.S_IFBLK, os.ModeDevice},
		{syscall.S_IFMT, syscall.S_IFCHR, os.ModeDevice | os.ModeCharDevice},
		{syscall.S_ISUID, syscall.S_ISUID, os.ModeSetuid},
		{syscall.S_ISGID, syscall.S_ISGID, os.ModeSetgid},
		{syscall.S_ISVTX, syscall.S_ISVTX, os.ModeSticky},
	} {
		if m&b.mask == b.bits {
			mode |= b.means
		}
	}
	return mode
}
