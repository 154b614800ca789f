package repo

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// seen returns the tip that was last seen of a branch, and see remembers one.
// They stand as refs of the git directory, so that what they reach is known to
// be complete there, and so that a rewound branch is noticed in the next
// session on the same machine.
func (s *store) seen(name string) oid {
	b, err := os.ReadFile(filepath.Join(s.dir, "refs", "seen", name))
	if err != nil {
		return none
	}
	id, err := parseID(strings.TrimSpace(string(b)))
	if err != nil {
		return none
	}
	return id
}

func (s *store) see(name string, id oid) error {
	dir := filepath.Join(s.dir, "refs", "seen")
	if id == none {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp := filepath.Join(s.dir, name+".seen")
	if err := os.WriteFile(tmp, []byte(id.String()+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, name))
}
