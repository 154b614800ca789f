package repo

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A ground is the directory of a work tree, below which everything is opened by
// its path from there: no link on the way is followed, so that nothing outside
// is ever reached, whatever is being moved about meanwhile.
type ground struct {
	root *os.Root
	top  int // the same directory
}

func openGround(path string) (*ground, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	top, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		root.Close()
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &ground{root, top}, nil
}

func (g *ground) close() {
	g.root.Close()
	unix.Close(g.top)
}

// stamp is that of the directory.
func (g *ground) stamp() (stamp, error) { return handle(g.top).stamp() }

// keeps says whether the file system is one of those that are known to stamp a
// directory for every change of its names, and to tell of the changes.
func (g *ground) keeps() bool {
	var st unix.Statfs_t
	if unix.Fstatfs(g.top, &st) != nil {
		return false
	}
	const zfs = 0x2fc12fc1
	switch int64(st.Type) { //nolint:unconvert // it is 32 bits wide on some machines
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC, zfs:
		return true
	}
	return false
}

// open opens what is at a path, following no link.
func (g *ground) open(path string, flags int) (int, error) {
	flags |= unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	how := unix.OpenHow{Flags: uint64(flags), Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS} //nolint:gosec // flags are few
	for {
		fd, err := unix.Openat2(g.top, path, &how)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
			continue
		case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM): // an old kernel, or an old filter of system calls
			fd, err = g.walk(path, flags)
		}
		if err != nil {
			return -1, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		return fd, nil
	}
}

// walk opens one directory after the other.
func (g *ground) walk(path string, flags int) (int, error) {
	at := g.top
	for {
		name, rest, more := strings.Cut(path, "/")
		f := flags
		if more {
			f = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
		}
		fd, err := unix.Openat(at, name, f, 0)
		if at != g.top {
			unix.Close(at)
		}
		if err != nil || !more {
			return fd, err
		}
		at, path = fd, rest
	}
}

// A handle is a directory that was opened.
type handle int

func (g *ground) dir(path string) (handle, error) {
	fd, err := g.open(path, unix.O_DIRECTORY)
	return handle(fd), err
}

func (h handle) close() { unix.Close(int(h)) }

// stamp is the directory's own.
func (h handle) stamp() (stamp, error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(h), &st); err != nil {
		return stamp{}, os.NewSyscallError("fstat", err)
	}
	return stampFrom(&st), nil
}

// lstat is the stamp of what has a name in the directory.
func (h handle) lstat(name string) (stamp, error) {
	var st unix.Stat_t
	for {
		err := unix.Fstatat(int(h), name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return stamp{}, err
		}
		return stamp{mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(), size: st.Size, dev: st.Dev, ino: st.Ino, mode: st.Mode, links: uint32(st.Nlink)}, nil //nolint:gosec // see stampFrom
	}
}

var listings = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// names calls do for every name in the directory, with the kind of what has it
// (of a mode; 0 if the file system does not say) and its inode.
func (h handle) names(do func(name []byte, kind uint32, ino uint64) error) error {
	buf := listings.Get().(*[]byte)
	defer listings.Put(buf)
	for {
		n, err := unix.ReadDirent(int(h), *buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return os.NewSyscallError("getdents", err)
		}
		if n <= 0 {
			return nil
		}
		for b := (*buf)[:n]; len(b) > 0; {
			const at = 19 // where the name stands in an entry
			ino, size, kind := binary.NativeEndian.Uint64(b), binary.NativeEndian.Uint16(b[16:]), b[18]
			name := b[at:size]
			for i, c := range name {
				if c == 0 {
					name = name[:i]
					break
				}
			}
			b = b[size:]
			if string(name) == "." || string(name) == ".." {
				continue
			}
			if err := do(name, uint32(kind)<<12, ino); err != nil { // as the modes have it
				return err
			}
		}
	}
}

// read is readStable for a path.
func (g *ground) read(path string) ([]byte, stamp, error) { return readStable(path, g.readOnce) }

func (g *ground) readOnce(path string) ([]byte, stamp, error) {
	fd, err := g.open(path, 0)
	if errors.Is(err, unix.ELOOP) { // it is a link, or one stands on the way to it
		b, st, err := readBelow(g.root, path)
		if err == nil && !st.isLink() {
			err = errBusy
		}
		return b, st, err
	}
	if errors.Is(err, unix.ENOTDIR) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, stamp{}, err
	}
	defer unix.Close(fd)
	before, err := handle(fd).stamp()
	if err != nil {
		return nil, stamp{}, err
	}
	if !before.isRegular() {
		return nil, stamp{}, errBusy
	}
	// One byte more than it should be: whether it has grown is seen then.
	b := make([]byte, before.size+1)
	n := 0
	for n < len(b) {
		m, err := unix.Read(fd, b[n:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, stamp{}, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		if m <= 0 {
			break
		}
		n += m
	}
	after, err := handle(fd).stamp()
	if err == nil && (after != before || int64(n) != after.size) {
		err = errBusy
	}
	return b[:n], after, err
}
