package repo

import "syscall"

func stampFrom(s *syscall.Stat_t) stamp {
	return stamp{mtime: s.Mtimespec.Nano(), ctime: s.Ctimespec.Nano(), size: s.Size, dev: uint64(s.Dev), ino: s.Ino, mode: uint32(s.Mode), links: uint32(s.Nlink)}
}
