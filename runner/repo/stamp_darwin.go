package repo

import (
	"os"
	"syscall"
)

// stampOf is the stamp of a file as lstat sees it.
func stampOf(fi os.FileInfo) stamp {
	st := stamp{size: fi.Size(), mode: fi.Mode()}
	if s, ok := fi.Sys().(*syscall.Stat_t); ok {
		st.mtime, st.ctime = s.Mtimespec.Nano(), s.Ctimespec.Nano()
		st.dev, st.ino = uint64(s.Dev), s.Ino
	}
	return st
}
