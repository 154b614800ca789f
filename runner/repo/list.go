package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// An item is an entry of a directory, as lstat sees it.
type item struct {
	name string
	stamp
}

func (e *item) isDir() bool     { return e.mode.IsDir() }
func (e *item) isRegular() bool { return e.mode.IsRegular() }
func (e *item) isLink() bool    { return e.mode.Type() == os.ModeSymlink }

// list returns the entries of a directory. Package os could do it too, but
// makes so much of each entry that a large tree takes twice as long.
func list(r *os.Root, path string) ([]item, error) {
	f, err := r.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it is only read
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	fd := int(f.Fd()) //nolint:gosec // a descriptor is a small number
	return lookAt(fd, "", names)
}

// lookAt returns what stands at the names below a directory that is open as fd.
// What is gone is left out.
func lookAt(fd int, dir string, names []string) ([]item, error) {
	items := make([]item, 0, len(names))
	path := []byte(dir)
	if dir != "" {
		path = append(path, '/')
	}
	for _, name := range names {
		var st unix.Stat_t
		var err error
		at := string(append(path, name...))
		for err = unix.EINTR; err == unix.EINTR; { //nolint:errorlint // a bare number
			err = unix.Fstatat(fd, at, &st, unix.AT_SYMLINK_NOFOLLOW)
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			continue // gone since it was listed
		}
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", at, err)
		}
		items = append(items, item{name, stamp{
			mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(), size: st.Size,
			dev: uint64(st.Dev), ino: st.Ino, mode: fileMode(uint32(st.Mode)), //nolint:gosec,unconvert // their types differ between systems
		}})
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
		{unix.S_IFMT, unix.S_IFDIR, os.ModeDir},
		{unix.S_IFMT, unix.S_IFLNK, os.ModeSymlink},
		{unix.S_IFMT, unix.S_IFIFO, os.ModeNamedPipe},
		{unix.S_IFMT, unix.S_IFSOCK, os.ModeSocket},
		{unix.S_IFMT, unix.S_IFBLK, os.ModeDevice},
		{unix.S_IFMT, unix.S_IFCHR, os.ModeDevice | os.ModeCharDevice},
		{unix.S_ISUID, unix.S_ISUID, os.ModeSetuid},
		{unix.S_ISGID, unix.S_ISGID, os.ModeSetgid},
		{unix.S_ISVTX, unix.S_ISVTX, os.ModeSticky},
	} {
		if m&b.mask == b.bits {
			mode |= b.means
		}
	}
	return mode
}
