package repo

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// utf16le is a text as files of Windows have it, with a mark at the beginning.
func utf16le(s string) string {
	b := []byte{0xff, 0xfe}
	for _, c := range utf16.Encode([]rune(s)) {
		b = append(b, byte(c), byte(c>>8))
	}
	return string(b)
}

// A golden case is a base commit and what is done to its work tree.
type golden struct {
	base map[string]string
	do   func(t *testing.T, at func(string) string)
	put  map[string]string // written after do; "-> x" is a link
	left int               // how many paths are left out
}

var goldens = map[string]golden{
	"nothing": {base: map[string]string{"a": "1\n"}},
	"modes": {base: map[string]string{"run": "#!/bin/sh\n", "data": "1\n"}, do: func(t *testing.T, at func(string) string) {
		must(t, os.Chmod(at("run"), 0o755))
		must(t, os.Chmod(at("data"), 0o640))
		for name, mode := range map[string]os.FileMode{"owner": 0o700, "group": 0o654, "others": 0o645, "none": 0, "sticky": 0o1644, "setuid": 0o4755, "read": 0o400} {
			must(t, os.WriteFile(at(name), []byte(name), 0o600))
			must(t, syscall.Chmod(at(name), uint32(mode.Perm())|uint32(mode&0o7000)))
		}
	}},
	"links": {base: map[string]string{"dir/f": "1\n", "was-link": "-> dir", "was-file": "1\n", "was-dir/f": "1\n"}, do: func(t *testing.T, at func(string) string) {
		must(t, os.Remove(at("was-link")))
		must(t, os.Remove(at("was-file")))
		must(t, os.RemoveAll(at("was-dir")))
	}, put: map[string]string{
		"was-link": "a file\n", "was-file": "-> dir/f", "was-dir": "-> dir", "dangling": "-> no/such", "to-dir": "-> dir", "to-itself": "-> to-itself",
		"dir/up": "-> ../was-link", "deep/er/up": "-> ../../dir/f", "newline": "-> a\nb", "spaces": "->  x ",
	}},
	"files and directories change places": {base: map[string]string{"a/b/c": "1\n", "x": "1\n", "n.txt": "1\n", "n": "2\n"}, do: func(t *testing.T, at func(string) string) {
		must(t, os.RemoveAll(at("a")))
		must(t, os.Remove(at("x")))
		must(t, os.Remove(at("n")))
	}, put: map[string]string{"a": "now a file\n", "x/y/z": "now a directory\n", "n/f": "3\n", "n-": "4\n", "n0": "5\n"}},
	"order of names": {put: map[string]string{"b.txt": "1", "b/x": "2", "b-": "3", "b0": "4", "b": "", "B": "5"}, do: nil},
	"line ends": {base: map[string]string{"crlf.txt": "a\r\nb\r\n", "mixed.txt": "a\r\nb\n"}, do: touchAll, put: map[string]string{
		".gitattributes": "*.txt text\n*.bat text eol=crlf\n*.sh eol=lf\n*.bin -text\n*.dat binary\n*.auto text=auto\n*.old crlf=input\n*.mix text=auto eol=crlf\n",
		"a.txt":          "1\r\n2\r\n", "a.bat": "1\r\n2\n", "a.sh": "1\r\n", "a.bin": "1\r\n", "a.dat": "1\r\n", "a.auto": "1\r\n", "b.auto": "1\r\n\x00", "c.auto": "1\r2\r\n", "a.old": "1\r\n", "a.mix": "1\r\n2\n",
		"sub/.gitattributes": "*.txt !text\n*.bin text\n", "sub/a.txt": "1\r\n", "sub/a.bin": "1\r\n", "sub/lone.bin": "1\r2\r\n",
	}},
	"line ends that are recorded": {base: map[string]string{"a.auto": "1\r\n2\r\n", "b.auto": "1\n", "c.txt": "1\r\n"}, do: touchAll, put: map[string]string{
		".gitattributes": "*.auto text=auto\n*.txt text\n", "a.auto": "1\r\n2\r\n3\r\n", "b.auto": "1\r\n2\r\n", "c.txt": "1\r\n2\r\n",
	}},
	"ident": {base: map[string]string{"k.c": "$Id$\n"}, do: touchAll, put: map[string]string{
		".gitattributes": "*.c ident\n*.h ident text\n*.n -ident\n",
		"k.c":            "/* $Id: 0123456789 $ */\n$Id$ $Id: a b c $ $Id:$ $Ident: x $ $Id: over\nlines $ $Id\n", "k.h": "$Id: x $\r\n", "k.n": "$Id: x $\n", "end.c": "$Id: no end", "many.c": "$Id: 1 $$Id: 2 $$Id$Id: 3 $\n",
	}},
	"export-subst and other attributes": {do: touchAll, put: map[string]string{
		".gitattributes": "*.v export-subst\n*.x export-ignore merge=ours diff=evil\n[attr]mine text\n*.y mine\nb.y -mine\n[attr]more mine -diff\n*.z more\n*.w text -mine\n[attr]binary foo\n*.b text binary\n\"quoted name\" -text\n", "a.v": "$Format:%H$\n", "a.x": "1\r\n", "quoted name": "1\r\n", "a.y": "1\r\n", "b.y": "1\r\n", "a.z": "1\r\n", "a.w": "1\r\n", "a.b": "1\r\n",
	}},
	"encodings": {do: touchAll, put: map[string]string{
		".gitattributes": "*.u16 text working-tree-encoding=UTF-16\n*.le working-tree-encoding=UTF-16LE-BOM\n*.u8 working-tree-encoding=UTF-8 text\n*.i text ident working-tree-encoding=utf-16\n",
		"a.u16":          utf16le("grüße €\r\nzwei 😀\r\n"), "a.le": utf16le("eins\r\n"), "a.u8": "1\r\n", "a.i": utf16le("$Id: x $\r\n"),
	}},
	"ignored": {base: map[string]string{"tracked.log": "1\n", "build/kept": "1\n", ".gitignore": "*.log\nbuild/\n!keep.log\n"}, put: map[string]string{
		"tracked.log": "2\n", "new.log": "1\n", "keep.log": "1\n", "build/kept": "2\n", "build/new": "1\n", "a/build/x": "1\n", "a/build.txt": "1\n",
		"a/.gitignore": "!*.log\n/only\n**/deep\nx/**/z\n!/only/not\n*.t[mx]p\n\\#h\n\\!b\ntrail \nkeep\\ \n[[:digit:]]q\nfoo/*\n!foo/bar\n", "a/new.log": "1\n", "a/only": "1\n", "a/b/only": "1\n", "a/b/deep": "1\n", "a/x/z": "1\n", "a/x/y/z": "1\n",
		"a/1.tmp": "1\n", "a/1.txp": "1\n", "a/1.tap": "1\n", "a/#h": "1\n", "a/!b": "1\n", "a/trail": "1\n", "a/keep ": "1\n", "a/7q": "1\n", "a/foo/bar/x": "1\n", "a/foo/baz/x": "1\n",
		"b/.gitignore": "*\n!.gitignore\n!sub/\n!sub/*.go\n", "b/x": "1\n", "b/sub/x.go": "1\n", "b/sub/x.c": "1\n", "c/.gitignore": "\xef\xbb\xbffirst\nsecond\r\n", "c/first": "1\n", "c/second": "1\n",
	}},
	"a rule that is a link": {base: map[string]string{"rules": "*.log\n"}, put: map[string]string{".gitignore": "-> rules", "a.log": "1\n"}},
	"empty directories": {base: map[string]string{"a/b": "1\n"}, do: func(t *testing.T, at func(string) string) {
		must(t, os.Remove(at("a/b")))
		must(t, os.MkdirAll(at("x/y/z"), 0o755))
		must(t, os.MkdirAll(at("with/ignored"), 0o755))
	}, put: map[string]string{".gitignore": "junk\n", "with/ignored/junk": "1\n"}},
	"names": {base: map[string]string{"a\nb": "1\n"}, put: map[string]string{
		"caf\u00e9": "NFC\n", "cafe\u0301": "NFD\n", "\xff\xfe": "invalid\n", "tab\t": "1", "new\nline": "1", "\"quoted\"": "1", "'": "1", "dot.": "1", "space ": "1", " lead": "1", "-dash": "1", "*": "1", "?": "1", "[a]": "1", ":x": "1", "$HOME": "1", "%s": "1",
		"con": "1", "aux.txt": "1", "~": "1", "日本語/ファイル": "1", "README": "1", "readme": "2", "ReadMe/x": "3", strings.Repeat("n", 255): "1", ".gitkeep": "", "..a": "1", "...": "1", "a/.../b": "1", "git~2": "1", ".gi": "1",
	}},
	"pipes, sockets and devices": {base: map[string]string{"was": "1\n", "dir/was": "1\n"}, do: func(t *testing.T, at func(string) string) {
		must(t, syscall.Mkfifo(at("pipe"), 0o644))
		l, err := net.Listen("unix", at("s"))
		must(t, err)
		t.Cleanup(func() { l.Close() })
		if os.Geteuid() == 0 {
			must(t, syscall.Mknod(at("null"), syscall.S_IFCHR|0o666, 1<<8|3))
		}
	}},
	"hard links": {base: map[string]string{"a": "1\n"}, do: func(t *testing.T, at func(string) string) {
		must(t, os.Link(at("a"), at("b")))
		must(t, os.WriteFile(at("a"), []byte("2\n"), 0o644))
	}},
	"macros below the root": {do: touchAll, put: map[string]string{"sub/.gitattributes": "[attr]mine text\n*.y mine\n* binary\n", "sub/a.y": "1\r\n", ".gitattributes": "* text\n"}},
	"huge": {do: func(t *testing.T, at func(string) string) {
		f, err := os.Create(at("huge"))
		must(t, err)
		must(t, f.Truncate(60<<20))
		_, err = f.WriteAt([]byte("\r\nend"), 60<<20-5)
		must(t, err)
		must(t, f.Close())
	}},
}

// touchAll waits until files look changed: git looks at a file for new
// attributes only if it must for another reason.
func touchAll(t *testing.T, at func(string) string) {
	time.Sleep(20 * time.Millisecond)
	touch(t, at(""))
}

// TestGoldenTrees compares the trees of what people and programs put into a work
// tree with those that the git command line makes of it, each twice: anew, and
// with what was remembered of the first time.
func TestGoldenTrees(t *testing.T) {
	t.Parallel()
	for name, g := range goldens {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := g.base
			if base == nil {
				base = map[string]string{"base": "1\n"}
			}
			r, parent := laid(t, base)
			at := func(name string) string { return filepath.Join(r.Work(), name) }
			if g.do != nil {
				g.do(t, at)
			}
			if name == "order of names" {
				delete(g.put, "b")
			}
			for p := range g.put {
				if fi, err := os.Lstat(at(p)); err == nil && !fi.IsDir() {
					must(t, os.Remove(at(p)))
				}
			}
			write(t, r.Work(), g.put)
			want, ok := gitTree(t, r, parent)
			if !ok {
				t.Fatal("git refuses it")
			}
			for range 2 {
				s, err := r.Snapshot(t.Context(), parent, "x")
				must(t, err)
				if s.Tree != want {
					diff, _ := gitErr(filepath.Join(r.o.Dir, "git"), nil, "diff-tree", "-r", s.Tree, want)
					t.Errorf("from ours to git's:\n%s", diff)
				}
				if len(s.Left) != g.left {
					t.Errorf("left out %q", s.Left)
				}
			}
			git(t, filepath.Join(r.o.Dir, "git"), "fsck", "--strict", "--full")
		})
	}
}

// TestFiltersAreNotRun has attributes ask for filters, and the work tree define
// some: nothing is run, and what a filter would change is recorded as it is.
// Only files of Git LFS are told by their content from their pointers.
func TestFiltersAreNotRun(t *testing.T) {
	t.Parallel()
	const content = "the whole picture\n"
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + runner.Hash([]byte(content)) + "\nsize 18\n"
	other := strings.Replace(pointer, "sha256:", "sha256:0", 1)
	r, base := laid(t, map[string]string{
		".gitattributes": "*.png filter=lfs diff=lfs merge=lfs -text\n*.evil filter=evil\n",
		"a.png":          pointer, "b.png": pointer, "c.png": other, "d.png": pointer, "plain.txt": pointer,
	})
	touched := filepath.Join(t.TempDir(), "touched")
	config := "[filter \"evil\"]\n\tclean = touch " + touched + "\n\tprocess = touch " + touched + "\n[filter \"lfs\"]\n\tclean = touch " + touched + "\n\trequired = true\n"
	write(t, r.Work(), map[string]string{
		"a.png": content, "b.png": content + "changed\n", "c.png": content, "new.png": content, "plain.txt": content, "x.evil": "1\r\n",
		".gitconfig": config, "sub/.git/config": config, "sub/y.evil": "1\n", "config": config,
	})
	want := map[string]string{
		"a.png": pointer, "b.png": content + "changed\n", "c.png": content, "d.png": pointer, "new.png": content, "plain.txt": content, "x.evil": "1\r\n", "sub/y.evil": "1\n",
	}
	for range 2 {
		s, err := r.Snapshot(t.Context(), base, "x")
		must(t, err)
		for name, content := range want {
			if b, err := r.store.file(mustID(t, s.Commit), name); err != nil || string(b) != content {
				t.Errorf("%s is recorded as %q, %v", name, b, err)
			}
		}
	}
	if _, err := os.Lstat(touched); err == nil {
		t.Error("a filter was run")
	}
}

// TestRemotesOfAllForms takes a whole session's way through remotes that are
// clones of their own kind: shallow, sparse, a linked work tree, one that has
// alternates.
func TestRemotesOfAllForms(t *testing.T) {
	t.Parallel()
	origin := bare(t, map[string]string{"a/x.txt": "1\n", "b/y.txt": "2\n"})
	push(t, origin, "main", map[string]string{"a/x.txt": "3\n"}, "second")
	for name, clone := range map[string]func(dir string) string{
		"shallow": func(dir string) string {
			git(t, "", "clone", "-q", "--depth=1", "file://"+origin, dir)
			return filepath.Join(dir, ".git")
		},
		"sparse": func(dir string) string {
			git(t, "", "clone", "-q", "--sparse", origin, dir)
			git(t, dir, "sparse-checkout", "set", "a")
			return filepath.Join(dir, ".git")
		},
		"linked": func(dir string) string {
			git(t, "", "clone", "-q", origin, dir+"-main")
			git(t, dir+"-main", "worktree", "add", "-q", "-b", "other", dir)
			return filepath.Join(dir+"-main", ".git")
		},
		"shared": func(dir string) string {
			git(t, "", "clone", "-q", "--shared", origin, dir)
			return filepath.Join(dir, ".git")
		},
	} {
		t.Run(name, func(t *testing.T) {
			remote := clone(filepath.Join(t.TempDir(), "clone"))
			git(t, remote, "config", "receive.denyCurrentBranch", "ignore")
			r := open(t, remote)
			f := load(t, r)
			must(t, r.Restore(t.Context(), f.Base.Commit))
			l := begin(f)
			l.save(t, r, "", "")
			write(t, r.Work(), map[string]string{"b/z.txt": "4\n"})
			s, err := r.Snapshot(t.Context(), f.Base.Commit, "x")
			must(t, err)
			if d := cmp.Diff(tree(t, r, s.Tree), []string{"a/x.txt 100644", "b/y.txt 100644", "b/z.txt 100644"}); d != "" {
				t.Errorf("tree, got and want:\n%s", d)
			}
			l.save(t, r, s.Commit, s.Commit)
			if got := git(t, remote, "rev-parse", workRef); got != s.Commit {
				t.Errorf("the work branch is at %s", got)
			}
			again := open(t, remote)
			if f := load(t, again); f.Chain != nil || f.Work != s.Commit {
				t.Errorf("the next session found %+v", f)
			}
			must(t, again.Restore(t.Context(), s.Commit))
			git(t, remote, "fsck", "--strict")
		})
	}
}
