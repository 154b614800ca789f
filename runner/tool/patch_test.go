package tool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

const twice = "func a() {\n\tn := 0\n\treturn n\n}\n\nfunc b() {\n\tn := 0\n\treturn n\n}\n"

func TestPatchHunks(t *testing.T) {
	for _, c := range []struct{ name, file, hunks, want, told string }{
		{"one", "a\nb\nc\n", " a\n-b\n+x\n c\n", "a\nx\nc\n", ""},
		{"with an empty @@", "a\nb\nc\n", "@@\n-b\n+x\n", "a\nx\nc\n", ""},
		{"two", "a\nb\nc\nd\n", "@@\n-a\n+x\n@@\n-d\n+y\n", "x\nb\nc\ny\n", ""},
		{"two that share a line", "a\nb\nc\n", "@@\n-a\n+x\n b\n@@\n b\n-c\n+y\n", "x\nb\ny\n", ""},
		{"two, not in the file's order", "a\nb\nc\nd\n", "@@\n-d\n+y\n@@\n-a\n+x\n", "x\nb\nc\ny\n", ""},
		{"an insertion", "a\nb\n", "@@\n a\n+x\n+y\n b\n", "a\nx\ny\nb\n", ""},
		{"a removal", "a\nb\nc\n", "@@\n a\n-b\n c\n", "a\nc\n", ""},
		{"blank context without its blank", "a\n\nb\n", "@@\n a\n\n-b\n+c\n", "a\n\nc\n", ""},
		{"blank lines at the end of a hunk are none of it", "a\nb\n", "@@\n-a\n+x\n\n\n", "x\nb\n", ""},
		{"in the block of @@", twice, "@@ func b() {\n-\tn := 0\n+\tn := 1\n", "func a() {\n\tn := 0\n\treturn n\n}\n\nfunc b() {\n\tn := 1\n\treturn n\n}\n", ""},
		{"the start of the line is enough for @@", twice, "@@ func b(\n-\tn := 0\n+\tn := 1\n", "func a() {\n\tn := 0\n\treturn n\n}\n\nfunc b() {\n\tn := 1\n\treturn n\n}\n", ""},
		{"blocks in blocks", "class A:\n  def f():\n    x\nclass B:\n  def f():\n    x\n", "@@ class B:\n@@ def f():\n-    x\n+    y\n", "class A:\n  def f():\n    x\nclass B:\n  def f():\n    y\n", ""},
		{"by the order of two", twice, "@@\n-\tn := 0\n+\tn := 1\n@@\n-\tn := 0\n+\tn := 2\n", "func a() {\n\tn := 1\n\treturn n\n}\n\nfunc b() {\n\tn := 2\n\treturn n\n}\n", ""},
		{"by one that is unique before it", twice, "@@\n-func b() {\n+func c() {\n@@\n-\tn := 0\n+\tn := 2\n", "func a() {\n\tn := 0\n\treturn n\n}\n\nfunc c() {\n\tn := 2\n\treturn n\n}\n", ""},
		{"@@ is not there and not needed", "a\nb\n", "@@ func gone() {\n-a\n+x\n", "x\nb\n", "was not needed"},
		{"the head of a diff", "f\na\nb\n", "@@ -10,2 +10,2 @@ f\n-b\n+x\n", "f\na\nx\n", ""},
		{"end of file", "a\nb\na\n", "@@\n-a\n+x\n*** End of File\n", "a\nb\nx\n", ""},
		{"appended", "a\n", "@@\n+b\n*** End of File\n", "a\nb\n", ""},
		{"into an empty file", "", "@@\n+b\n", "b\n", ""},
		{"no end of the last line", "a\nb", "@@\n-b\n+c\n", "a\nc", ""},
		{"a line that begins with a dash", "-a\n+b\n", "@@\n--a\n+-x\n", "-x\n+b\n", ""},
		{"CRLF", "a\r\nb\r\nc\r\n", "@@\n a\n-b\n+x\n c\n", "a\r\nx\r\nc\r\n", "CRLF"},
		{"indentation", "if x {\n\ta()\n\tb()\n}\n", "@@\n a()\n-b()\n+c()\n", "if x {\n\ta()\n\tc()\n}\n", "indentation"},
		{"spaces for tabs", "f {\n\ta()\n}\n", "@@\n f {\n-    a()\n+    b()\n", "f {\n\tb()\n}\n", "indentation"},
		{"blanks at the end", "a  \nb\n", "@@\n a\n-b\n+c\n", "a  \nc\n", "ends of lines"},
		{"look-alikes", "t “a”\nb\n", "@@\n t \"a\"\n-b\n+c\n", "t “a”\nc\n", "typographic"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := parsePatch("*** Begin Patch\n*** Update File: f\n" + c.hunks + "*** End Patch")
			if err != nil {
				t.Fatal(err)
			}
			got, done, err := patch(c.file, s[0].hunks)
			if told := strings.Join(done.told, ""); err != nil || got != c.want || !strings.Contains(told, c.told) || (c.told == "") != (told == "") {
				t.Errorf("got %q, %q, %v\nwant %q, %q", got, told, err, c.want, c.told)
			}
		})
	}
}

func TestPatchesThatAreRefused(t *testing.T) {
	update := func(hunks string) string {
		return "*** Begin Patch\n*** Update File: f\n" + hunks + "*** End Patch\n"
	}
	files := map[string]string{"f": twice, "g": "g\n"}
	for _, c := range []struct{ name, patch, want string }{
		{"twice there", update("@@\n-\tn := 0\n+\tn := 1\n"), "hunk 1 of 1"},
		{"twice there, places", update("@@\n-\tn := 0\n+\tn := 1\n"), "2 times, at lines 2, 7"},
		{"part of a line is no line", update("@@\n-n := 0\n+n := 1\n"), "2 times"},
		{"order leaves two", update("@@\n-func a() {\n+func z() {\n@@\n-\treturn n\n+\treturn 1\n"), "hunk 2 of 2 (old is what it has with blank and -): old occurs 2 times, at lines 3, 8"},
		{"not there", update("@@\n-\tm := 0\n+\tn := 1\n"), "nearest is at line"},
		{"@@ does not exist, several", update("@@ func z() {\n-\tn := 0\n+\tn := 1\n"), "the line after @@ is not in the file"},
		{"before its @@", update("@@ func b() {\n-func a() {\n+func z() {\n"), "before the line after @@"},
		{"one of two fits", update("@@\n-func a() {\n+func z() {\n@@\n-nothing\n+x\n"), "hunk 2 of 2"},
		{"twice the same line", update("@@\n-func a() {\n+func y() {\n@@\n-func a() {\n+func z() {\n"), "change line"},
		{"adds nowhere", update("@@\n+x\n"), "does not say where"},
		{"changes nothing", update("@@\n func a() {\n"), "changes nothing"},
		{"no lines", update(""), "has no lines"},
		{"a line without its mark", update("@@\n-func a() {\nfunc z() {\n"), `line 5 of the patch: "func z() {" begins with none`},
		{"no begin", "*** Update File: f\n*** End Patch", "begins with the line"},
		{"no end: it may have been cut", "*** Begin Patch\n*** Update File: f\n@@\n-func a() {\n+func z() {\n", "ends with the line"},
		{"nothing", "*** Begin Patch\n*** End Patch", "names no file"},
		{"a word that is none", "*** Begin Patch\n*** Change File: f\n*** End Patch", "line 2 of the patch"},
		{"no path", "*** Begin Patch\n*** Delete File: \n*** End Patch", "path is missing"},
		{"add what is there", "*** Begin Patch\n*** Add File: f\n+x\n*** End Patch", "f exists"},
		{"add without a plus", "*** Begin Patch\n*** Add File: n\n+x\ny\n*** End Patch", "begins with +"},
		{"update what is not", "*** Begin Patch\n*** Update File: n\n@@\n-a\n+b\n*** End Patch", "n does not exist"},
		{"delete what is not", "*** Begin Patch\n*** Delete File: n\n*** End Patch", "n does not exist"},
		{"move onto another", "*** Begin Patch\n*** Update File: f\n*** Move to: g\n*** End Patch", "g, which exists"},
		{"out of the tree", "*** Begin Patch\n*** Add File: ../n\n+x\n*** End Patch", "leads out"},
		{"move out of the tree", "*** Begin Patch\n*** Update File: f\n*** Move to: /etc/f\n*** End Patch", "outside of the project"},
		{"into .git", "*** Begin Patch\n*** Add File: .git/hooks/x\n+x\n*** End Patch", "belongs to the harness"},
		{"through a link", "*** Begin Patch\n*** Update File: link\n@@\n-g\n+h\n*** End Patch", "symbolic link"},
		{"deletes a link's target", "*** Begin Patch\n*** Delete File: link\n*** End Patch", "symbolic link"},
		{"not what the phase allows", "*** Begin Patch\n*** Add File: secret/x\n+x\n*** End Patch", "must not be written now"},
		{"a move to where the phase does not allow", "*** Begin Patch\n*** Update File: f\n*** Move to: secret/f\n*** End Patch", "must not be written now"},
		{"deletes what the phase does not allow", "*** Begin Patch\n*** Delete File: secret/kept\n*** End Patch", "must not be written now"},
		{"the second of two files", "*** Begin Patch\n*** Add File: n\n+x\n*** Delete File: g\n*** Update File: f\n@@\n-zzz\n+x\n*** End Patch", "nothing was changed: f, hunk 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, files, func(o *Options) {
				o.Patch = true
				o.MayWrite = func(_ agent.Phase, p string) error {
					if strings.HasPrefix(p, "secret/") {
						return errors.New("secret")
					}
					return nil
				}
			})
			put(t, b.o.Dir, map[string]string{"secret/kept": "k\n"})
			if err := os.Symlink("g", filepath.Join(b.o.Dir, "link")); err != nil {
				t.Fatal(err)
			}
			before := tree(t, b.o.Dir)
			got := use(t, b, "apply_patch", args{"input": c.patch})
			has(t, got, agent.Failed+"nothing was changed", c.want)
			if diff := cmp.Diff(before, tree(t, b.o.Dir)); diff != "" {
				t.Errorf("refused, and changed: %s", diff)
			}
		})
	}
}

const manyFiles = `*** Begin Patch
*** Add File: new/a.txt
+one
+two
*** Update File: f
*** Move to: sub/f
@@ func b() {
-	n := 0
+	n := 1
*** Delete File: g

*** Update File: h
@@
-h
+H
*** End Patch`

func TestPatchOfManyFiles(t *testing.T) {
	b := open(t, map[string]string{"f": twice, "g": "g\n", "h": "h\n"}, func(o *Options) { o.Patch = true })
	if err := os.Chmod(filepath.Join(b.o.Dir, "f"), 0o755); err != nil {
		t.Fatal(err)
	}
	got := use(t, b, "apply_patch", args{"input": manyFiles})
	has(t, got, "added new/a.txt: 2 lines", "removed f", "moved f to sub/f", "7\t\tn := 1", "deleted g", "updated h\n1\tH")
	want := map[string]string{"new/a.txt": "one\ntwo\n", "sub/f": strings.Replace(twice, "func b() {\n\tn := 0", "func b() {\n\tn := 1", 1), "h": "H\n"}
	for name, text := range want {
		if got := content(t, b, name); got != text {
			t.Errorf("%s: %q", name, got)
		}
	}
	for _, name := range []string{"f", "g"} {
		if _, err := os.Lstat(filepath.Join(b.o.Dir, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	if st, err := os.Stat(filepath.Join(b.o.Dir, "sub/f")); err != nil || st.Mode().Perm() != 0o755 {
		t.Errorf("the mode was lost: %v, %v", st.Mode(), err)
	}
	// What was only seen through a hunk still has to be read to be replaced.
	has(t, use(t, b, "write_file", args{"path": "h", "content": "x\n"}), "have not read it")
	has(t, use(t, b, "write_file", args{"path": "new/a.txt", "content": "x\n"}), "replaced")
	left, err := filepath.Glob(filepath.Join(b.o.Dir, "*", ".loop-write*"))
	if top, _ := filepath.Glob(filepath.Join(b.o.Dir, ".loop-write*")); err != nil || len(left)+len(top) > 0 {
		t.Errorf("left behind: %v %v", left, top)
	}
}

// A patch that cannot be written to its end is not written at all.
func TestPatchIsUndone(t *testing.T) {
	b := open(t, map[string]string{"f": "f\n", "g": "g\n"}, func(o *Options) { o.Patch = true })
	before := tree(t, b.o.Dir)
	got := use(t, b, "apply_patch", args{"input": "*** Begin Patch\n*** Update File: f\n@@\n-f\n+F\n*** Delete File: g\n*** Add File: d\n+x\n*** Add File: d/e\n+x\n*** End Patch"})
	has(t, got, agent.Failed+"nothing was changed")
	if diff := cmp.Diff(before, tree(t, b.o.Dir)); diff != "" {
		t.Errorf("half done: %s", diff)
	}
}

func TestPatchIsOfferedInsteadOfEdit(t *testing.T) {
	names := func(b *Box) (all []string) {
		for _, s := range b.Specs() {
			all = append(all, s.Name)
		}
		return all
	}
	edits, patches := names(open(t, nil)), names(open(t, nil, func(o *Options) { o.Patch = true }))
	want := strings.Replace(strings.Join(edits, " "), "edit_file", "apply_patch", 1)
	if got := strings.Join(patches, " "); got != want || strings.Contains(got, "edit_file") || strings.Contains(strings.Join(edits, " "), "apply_patch") {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Models give patches to the shell, as if there were a program for them.
func TestPatchInTheShell(t *testing.T) {
	body := "*** Begin Patch\n*** Update File: f\n@@\n-$a `b` \\c\n+$a `b` \\d\n*** End Patch"
	plain := "*** Begin Patch\n*** Update File: f\n@@\n-plain\n+changed\n*** End Patch"
	for _, c := range []struct{ name, command, workdir, want string }{
		{"quoted", "apply_patch <<'EOF'\n" + body + "\nEOF", "", "updated f"},
		{"double quotes, another word", "applypatch << \"PATCH\"\n" + body + "\nPATCH\n", "", "updated f"},
		{"bare, nothing to expand", "apply_patch <<EOF\n" + plain + "\nEOF", "", "updated f"},
		{"in a directory", "cd sub && apply_patch <<'EOF'\n" + body + "\nEOF", "", "updated sub/f"},
		{"by workdir", "apply_patch <<'EOF'\n" + body + "\nEOF", "sub", "updated sub/f"},
		{"bare, with a dollar", "apply_patch <<EOF\n" + body + "\nEOF", "", "error: nothing was run: without quotes"},
		{"and a command after it", "apply_patch <<'EOF'\n" + body + "\nEOF\ntouch done", "", "error: nothing was run: a patch must be all"},
		{"through a pipe", "cat <<'EOF' | apply_patch\n" + body + "\nEOF", "", "error: nothing was run: a patch must be all"},
		{"out of the tree", "cd .. && apply_patch <<'EOF'\n" + body + "\nEOF", "", "leads out"},
		{"a command that only speaks of it", "echo 'see apply_patch'", "", "exit 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := "$a `b` \\c\nplain\n"
			b := open(t, map[string]string{"f": text, "sub/f": text})
			got := use(t, b, "shell", args{"command": c.command, "workdir": c.workdir})
			has(t, got, c.want)
			if _, err := os.Stat(filepath.Join(b.o.Dir, "done")); err == nil {
				t.Error("a part was run")
			}
		})
	}
}

// The cases of edits, as far as they are whole lines, make the same of a file as
// hunks, or are refused: none lands elsewhere.
func TestEditCasesAsPatches(t *testing.T) {
	applied, refused := 0, 0
	for _, c := range editCases {
		if c.all || c.kind == "copied" || strings.HasPrefix(c.name, "first line only") || c.new != "" && strings.HasSuffix(c.old, "\n") != strings.HasSuffix(c.new, "\n") {
			continue
		}
		split := func(s string) []string {
			if s == "" {
				return nil
			}
			return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
		}
		got, _, err := patch(c.file, []hunk{{old: split(toLF(c.old)), new: split(toLF(c.new))}})
		switch {
		case err != nil && got == c.file:
			refused++
		case err == nil && c.refused == nil && strings.TrimSuffix(got, "\n") == strings.TrimSuffix(c.want, "\n"):
			applied++
		default:
			t.Errorf("%s/%s: got %q, %v, want %q or a refusal", c.kind, c.name, got, err, c.want)
		}
	}
	t.Logf("%d applied, %d refused", applied, refused)
	if applied < 30 {
		t.Errorf("only %d were applied", applied)
	}
}

func FuzzPatch(f *testing.F) {
	f.Add(twice, manyFiles)
	f.Add("a\nb\n", "*** Begin Patch\n*** Update File: f\n@@ a\n-b\n+c\n*** End of File\n*** End Patch")
	f.Add("a\r\n\tb\n", "*** Begin Patch\n*** Update File: f\n@@ -1 +1 @@ a\n-    b\n+    c\n+\n*** End Patch")
	f.Fuzz(func(t *testing.T, file, text string) {
		sections, err := parsePatch(text)
		if err != nil {
			return
		}
		for _, s := range sections {
			if s.verb != "update" {
				continue
			}
			got, done, err := patch(file, s.hunks)
			if err != nil && (got != file || len(done.spans) > 0) {
				t.Fatalf("refused (%v), and changed to %q", err, got)
			}
			if err == nil {
				done.tell(got)
			}
		}
	})
}
