package repo

import "os"

// A sight is what was seen of a file on disk. While its stamp stays the same it
// need not be read again. Only what may be recorded has one.
type sight struct {
	stamp stamp
	mode  uint32
	id    oid  // of the content as it is recorded, which is stored
	plain bool // and would be so whatever is recorded at its path now
	racy  bool // the content may have changed without a new stamp
}

// A stamp is what tells a changed file from an unchanged one. The change time
// is in it because a program can set the modification time but not that.
type stamp struct {
	mtime, ctime int64
	size         int64
	dev, ino     uint64
	mode         os.FileMode
}

// still says that the file with this stamp has the content that was seen.
func (s sight) still(st stamp) bool { return s.stamp == st && !s.racy }

// touched says whether a file with this stamp could change, or have changed,
// after that time without the stamp showing it: the file system's clock is
// coarse.
func (st stamp) touched(after int64) bool {
	const tick = 10e6
	return max(st.mtime, st.ctime) >= after-tick
}

// modeOf is the mode that git records for a file.
func modeOf(m os.FileMode) uint32 {
	switch {
	case m&os.ModeSymlink != 0:
		return modeLink
	case m&0o100 != 0:
		return modeExec
	}
	return modeFile
}
