package sandbox

import (
	"os"
	"path/filepath"
	"syscall"
)

// sweep removes what the processes of a command left in the one directory that
// all commands may write, which some libraries of C cannot do without. They are
// told by their group: a command has no other than its mark, and so has all that
// it makes there.
func (m mark) sweep() {
	if m.gid == 0 {
		return // without root, nothing tells whose they are
	}
	all, err := os.ReadDir(shared)
	if err != nil {
		return
	}
	for _, e := range all {
		info, err := e.Info()
		if err != nil {
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && st.Gid == m.gid {
			_ = os.RemoveAll(filepath.Join(shared, e.Name())) // or somebody else is faster
		}
	}
}
