package repo

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// TestFiles holds the files of a commit against the contract of file systems,
// and sees that a link leads nowhere.
func TestFiles(t *testing.T) {
	t.Parallel()
	dir := bare(t, map[string]string{"README.md": "hello\n", "specs/b.md": "b\n", "specs/a/x.md": "x\n", "specs/a-z.md": "z\n"})
	r := open(t, dir)
	if _, err := r.Files(""); err == nil {
		t.Error("files of a repository that was not loaded")
	}
	first := load(t, r).Base.Commit
	at, err := r.Files("")
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(at, "README.md", "specs/b.md", "specs/a/x.md", "specs/a-z.md"); err != nil {
		t.Error(err)
	}
	if data, err := fs.ReadFile(at, "specs/a/x.md"); err != nil || string(data) != "x\n" {
		t.Errorf("%v, %q", err, data)
	}
	push(t, dir, "main", map[string]string{"specs/b.md": "new\n", "specs/link": "-> /etc/passwd"}, "Change")
	load(t, r)
	if data, err := fs.ReadFile(at, "specs/b.md"); err != nil || string(data) != "b\n" {
		t.Errorf("an old commit changed: %v, %q", err, data)
	}
	old, err := r.Files(first)
	if err != nil {
		t.Fatal(err)
	}
	now, err := r.Files("")
	if err != nil {
		t.Fatal(err)
	}
	for f, want := range map[fs.FS]string{old: "b\n", now: "new\n"} {
		if data, err := fs.ReadFile(f, "specs/b.md"); err != nil || string(data) != want {
			t.Errorf("%v, %q, want %q", err, data, want)
		}
	}
	if _, err := fs.ReadFile(now, "specs/link"); err == nil || !strings.Contains(err.Error(), "link") {
		t.Errorf("a link was followed: %v", err)
	}
	entries, err := fs.ReadDir(now, "specs")
	if err != nil || len(entries) != 4 || entries[3].Name() != "link" || entries[3].Type() != fs.ModeSymlink {
		t.Errorf("%v, %v", err, entries)
	}
	if _, err := r.Files(strings.Repeat("0", 40)); err == nil {
		t.Error("a commit that is not there has files")
	}
}
