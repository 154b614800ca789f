package crash

import "golang.org/x/sys/unix"

// older are calls that newer architectures do not have.
var older = map[uint32]changes{
	unix.SYS_RENAME: {"rename", 1 | plain}, unix.SYS_LINK: {"link", 1 | plain}, unix.SYS_SYMLINK: {"symlink", 1 | plain}, unix.SYS_UNLINK: {"unlink", 0 | plain},
	unix.SYS_RMDIR: {"unlink", 0 | plain}, unix.SYS_MKDIR: {"mkdir", 0 | plain}, unix.SYS_OPEN: {"open", 0 | plain}, unix.SYS_CHMOD: {"chmod", 0 | plain},
}
