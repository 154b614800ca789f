package repo

import (
	"os"
	"syscall"
)

// A stamp is what tells a changed file from an unchanged one. The change time
// is in it because a program can set the modification time but not that.
type stamp struct {
	mtime, ctime int64
	size         int64
	dev, ino     uint64
	mode         uint32 // as the system has it, kind and permissions
	links        uint32
}

// touched says whether a file with this stamp could change, or have changed,
// after that time without the stamp showing it: the file system's clock is
// coarse, and may lag behind the machine's.
func (st stamp) touched(after int64) bool {
	const tick = 10e6
	return max(st.mtime, st.ctime) >= after-tick
}

func (st stamp) kind() uint32    { return st.mode & syscall.S_IFMT }
func (st stamp) isLink() bool    { return st.kind() == syscall.S_IFLNK }
func (st stamp) isRegular() bool { return st.kind() == syscall.S_IFREG }
func (st stamp) isDir() bool     { return st.kind() == syscall.S_IFDIR }

// git is the mode that git records for a file.
func (st stamp) git() uint32 {
	switch {
	case st.isLink():
		return modeLink
	case st.mode&0o100 != 0:
		return modeExec
	}
	return modeFile
}

// stampOf is the stamp of a file as lstat sees it.
func stampOf(fi os.FileInfo) stamp {
	if s, ok := fi.Sys().(*syscall.Stat_t); ok {
		return stampFrom(s)
	}
	return stamp{size: fi.Size()} // unreachable on the systems that git runs on
}
