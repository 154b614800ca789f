package repo

import "syscall"

func stampFrom(s *syscall.Stat_t) stamp {
	return stamp{mtime: s.Mtim.Nano(), ctime: s.Ctim.Nano(), size: s.Size, dev: s.Dev, ino: s.Ino, mode: s.Mode, links: uint32(s.Nlink)} //nolint:gosec // file systems have fewer, and not all machines the same width
}
