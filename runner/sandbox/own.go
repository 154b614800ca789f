package sandbox

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Own hands a directory and everything in it to the commands' user, so that
// commands may write there. Links are handed over themselves, never followed,
// and nothing outside of path changes whatever commands do in it meanwhile.
// Without root it does nothing: the user is us.
func (s *Sandbox) Own(path string) error { return s.own(path, s.user) }

// OwnJudge is Own for the judge's user.
func (s *Sandbox) OwnJudge(path string) error { return s.own(path, s.judge) }

// OwnBrowser is Own for the browser's user.
func (s *Sandbox) OwnBrowser(path string) error { return s.own(path, s.browser) }

func (s *Sandbox) own(path string, u user) error {
	if !u.own {
		return nil
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return fmt.Errorf("hand over %s: %w", path, err)
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok || int(st.Uid) == u.uid { // the group is that of the command which made it
			return nil
		}
		if !info.IsDir() && st.Nlink > 1 {
			// The other name may lie anywhere: /etc/shadow, or git objects of a clone.
			return fmt.Errorf("%s has %d names, and handing it over would hand over a file that may lie elsewhere; copy it", name, st.Nlink)
		}
		return root.Lchown(name, u.uid, u.gid)
	})
	if err != nil {
		return fmt.Errorf("hand over %s: %w", path, err)
	}
	return nil
}
