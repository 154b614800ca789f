package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

func TestReadTakesAFile(t *testing.T) {
	from := fstest.MapFS{"docs/SPEC.md": {Data: []byte("\ufeff# Shelf\r\n")}, "empty.md": {}, "bits.md": {Data: []byte("a\x00")}, "big.md": {Data: make([]byte, 256<<10+1)}}
	s, err := Read(from, "./docs/SPEC.md")
	if err != nil || s.Name != "docs/SPEC.md" || string(s.Text()) != "# Shelf\r\n" || s.Check() != nil {
		t.Errorf("%v, %+v, %v", err, s, s.Check())
	}
	if sum := sha256.Sum256([]byte("\ufeff# Shelf\r\n")); s.Hash() != hex.EncodeToString(sum[:]) {
		t.Errorf("the hash is not the file's: %s", s.Hash())
	}
	for name, want := range map[string]string{"empty.md": "spec empty.md: empty; write down", "bits.md": "not UTF-8 text", "big.md": "256 KiB is more than 256 KiB; keep what", "no.md": "not exist"} {
		s, err := Read(from, name)
		if err == nil {
			err = s.Check()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

func TestReadTakesADirectory(t *testing.T) {
	from := fstest.MapFS{
		"specs/b.md": {Data: []byte("Second. ```\ncode\n```\n")}, "specs/a.markdown": {Data: []byte("First.\n")}, "specs/deep/c.MD": {Data: []byte("Third.\n")},
		"specs/picture.png": {Data: []byte{0}}, "specs/.draft.md": {Data: []byte("never")}, "specs/.git/x.md": {Data: []byte("never")}, "specs/blank.md": {}, "other.md": {Data: []byte("never")},
	}
	s, err := Read(from, "specs/")
	if err != nil || s.Check() != nil {
		t.Fatal(err, s.Check())
	}
	want := "# The file specs/a.markdown\n\n```\nFirst.\n```\n\n# The file specs/b.md\n\n````\nSecond. ```\ncode\n```\n````\n\n# The file specs/blank.md\n\n```\n\n```\n\n# The file specs/deep/c.MD\n\n```\nThird.\n```\n\n"
	if diff := cmp.Diff(want, string(s.Text())); diff != "" {
		t.Error(diff)
	}
	h := s.Hash()
	from["specs/deep/c.MD"].Data = []byte("Changed.\n")
	if again, err := Read(from, "specs"); err != nil || again.Hash() == h {
		t.Errorf("%v; a changed file does not change the hash", err)
	}
	delete(from, "specs/deep/c.MD")
	from["specs/deep/d.md"] = &fstest.MapFile{Data: []byte("Third.\n")}
	if again, err := Read(from, "specs"); err != nil || again.Hash() == h {
		t.Errorf("%v; another name does not change the hash", err)
	}
}

func TestReadRefusesADirectory(t *testing.T) {
	many := fstest.MapFS{}
	for i := range 101 {
		many[fmt.Sprintf("s/%03d.md", i)] = &fstest.MapFile{Data: []byte("x")}
	}
	for want, from := range map[string]fstest.MapFS{
		"more than 100 Markdown files":       many,
		"holds no Markdown file":             {"s/x.txt": {Data: []byte("x")}},
		"320 KiB is more than 256 KiB":       {"s/a.md": {Data: make([]byte, 160<<10)}, "s/b.md": {Data: make([]byte, 160<<10)}},
		"s/l.md is a link, which may lead":   {"s/l.md": {Data: []byte("/etc/passwd"), Mode: fs.ModeSymlink}},
		"spec s/b.md: not UTF-8 text":        {"s/a.md": {Data: []byte("x")}, "s/b.md": {Data: []byte("\xff")}},
		"spec s: empty; write down what is ": {"s/a.md": {Data: []byte(" \n")}},
	} {
		s, err := Read(from, "s")
		if err == nil {
			err = s.Check()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestReadStaysInside reads from a disk on which links lead out of the tree.
func TestReadStaysInside(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(dir, "secret.md")
	inside := filepath.Join(dir, "tree")
	for _, err := range []error{
		os.WriteFile(outside, []byte("secret"), 0o644), os.MkdirAll(filepath.Join(inside, "specs"), 0o755),
		os.WriteFile(filepath.Join(inside, "real.md"), []byte("real"), 0o644),
		os.Symlink("../secret.md", filepath.Join(inside, "out.md")), os.Symlink(outside, filepath.Join(inside, "specs/out.md")),
		os.Symlink("real.md", filepath.Join(inside, "in.md")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(inside)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, name := range []string{"out.md", "specs"} {
		if s, err := Read(root.FS(), name); err == nil {
			t.Errorf("%s was read: %q", name, s.Text())
		}
	}
	if _, err := ReadList(root.FS(), "out.md"); err == nil {
		t.Error("a list was read out of the tree")
	}
	if s, err := Read(root.FS(), "in.md"); err != nil || string(s.Text()) != "real" {
		t.Errorf("a link within the tree: %v, %q", err, s.Text())
	}
}

func TestIssueFormsAreReadByQuestion(t *testing.T) {
	body := "### What is it?\r\n\r\nA shop.\r\n\r\n```\n### not a question\n```\n\n### Who uses it?\n\n_No response_\n\n### Must have\n\n- [X] Accounts\n- [ ] Mails\n\n### What else?\n\n## My heading\n\ntext\n\n### Nothing ticked\n\n- [ ] a\n"
	want := "# Title\n\n## What is it?\n\nA shop.\n\n```\n### not a question\n```\n\n## Who uses it?\n\n(not answered)\n\n## Must have\n\n- Accounts\n\n## What else?\n\n\n\n### My heading\n\ntext\n\n## Nothing ticked\n\n(not answered)\n"
	s := Issue(7, "Title", body)
	if diff := cmp.Diff(want, string(s.Text())); diff != "" || s.Name != "issue:7" {
		t.Error(diff)
	}
	if got := unanswered(string(s.Text())); !cmp.Equal(got, []string{"Who uses it?", "Nothing ticked"}) {
		t.Errorf("not answered: %q", got)
	}
	questions := strings.Join(Ready(string(s.Text()), false).Questions(), "\n")
	if !strings.Contains(questions, `The form's question "Who uses it?" has no answer.`) {
		t.Errorf("asked:\n%s", questions)
	}
	for _, plain := range []string{"Just text.\n\n### A heading\n\nmore", "## Two\n\n### Three\n", "", "```\n### a\n```\n"} {
		if got := string(Issue(7, "T", plain).Text()); got != "# T\n\n"+plain {
			t.Errorf("%q became %q", plain, got)
		}
	}
}

// Blanks and line breaks between words ask for nothing else; in code they may.
func TestWordsOfASpec(t *testing.T) {
	const spec = "# A list\n\n- Add a book by its title.\n- See it.\n\n```\n  two  blanks\n\nend\n```\n\nThat is all.\n"
	words := func(name, text string) string { return Text(name, []byte(text)).Words() }
	for name, same := range map[string]string{
		"Windows":         strings.ReplaceAll(spec, "\n", "\r\n"),
		"a mark at first": "\ufeff" + spec,
		"trailing blanks": strings.ReplaceAll(spec, "title.\n", "title.  \n"),
		"empty lines":     strings.ReplaceAll(spec, "# A list\n\n", "\n\n# A list\n\n\n\n"),
		"wrapped":         strings.ReplaceAll(spec, "by its", "by\n  its"),
		"tabs":            strings.ReplaceAll(spec, "- See", "-\tSee"),
		"no last line":    strings.TrimSpace(spec),
	} {
		if words("SPEC.md", spec) != words("SPEC.md", same) || Text("SPEC.md", []byte(spec)).Hash() == Text("SPEC.md", []byte(same)).Hash() {
			t.Errorf("%s: it asks for something else", name)
		}
	}
	for name, other := range map[string]string{
		"a word":             strings.ReplaceAll(spec, "See it", "See them"),
		"two words for one":  strings.ReplaceAll(spec, "title", "ti tle"),
		"blanks in code":     strings.ReplaceAll(spec, "two  blanks", "two blanks"),
		"an indent in code":  strings.ReplaceAll(spec, "  two", " two"),
		"a line in code":     strings.ReplaceAll(spec, "\n\nend", "\nend"),
		"the code ends late": strings.ReplaceAll(spec, "end\n```\n\nThat is all.\n", "end\n\nThat is all.\n```\n"),
		"less":               strings.ReplaceAll(spec, "That is all.\n", ""),
	} {
		if words("SPEC.md", spec) == words("SPEC.md", other) {
			t.Errorf("%s: it is taken for the same", name)
		}
	}
	if words("SPEC.md", spec) == words("PLAN.md", spec) {
		t.Error("another file is taken for the same")
	}
	two := Source{Name: "docs", Files: []runner.File{{Name: "docs/a.md", Data: []byte("a")}, {Name: "docs/b.md", Data: []byte("b")}}}
	one := Source{Name: "docs", Files: []runner.File{{Name: "docs/a.md", Data: []byte("a b")}, {Name: "docs/b.md"}}}
	if two.Words() == one.Words() {
		t.Error("a word in another file is taken for the same")
	}
}
