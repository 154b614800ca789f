package repo

import (
	"os"
	"syscall"
)

// stampOf is the stamp of a file as lstat sees it.
func stampOf(fi os.FileInfo) stamp {
	if s, ok := fi.Sys().(*syscall.Stat_t); ok {
		return stampOfStat(s)
	}
	return stamp{size: fi.Size(), mode: fi.Mode()}
}

func stampOfStat(s *syscall.Stat_t) stamp {
	return stamp{
		mtime: s.Mtimespec.Nano(), ctime: s.Ctimespec.Nano(), size: s.Size,
		dev: uint64(s.Dev), ino: s.Ino, mode: fileMode(uint32(s.Mode)),
	}
}
