package tool

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

func TestReadFile(t *testing.T) {
	var long strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&long, "line %d\n", i+1)
	}
	b := open(t, map[string]string{
		"a.txt": "one\r\ntwo\n\nfour", "long": long.String(), "empty": "", "wide": strings.Repeat("é", 2500) + "\nx\n",
		"binary": "a\x00b", "latin": "caf\xe9\n", "heavy": strings.Repeat(strings.Repeat("x", 999)+"\n", 100),
		"huge": strings.Repeat("y", mostText+1),
	})
	for _, c := range []struct {
		name string
		in   args
		want string
	}{
		{"whole", args{"path": "a.txt"}, "1\tone\n2\ttwo\n3\t\n4\tfour\n[lines 1–4 of 4]"},
		{"absolute", args{"path": filepath.Join(b.o.Dir, "a.txt"), "limit": 1}, "1\tone\n[lines 1–1 of 4; go on with offset 2]"},
		{"odd way", args{"path": "./x/../a.txt", "offset": 4}, "4\tfour\n[lines 4–4 of 4]"},
		{"middle", args{"path": "long", "offset": 999, "limit": 9}, "999\tline 999\n1000\tline 1000\n[lines 999–1000 of 1000]"},
		{"past the end", args{"path": "a.txt", "offset": 5}, agent.Failed + "a.txt has 4 lines, none from 5 on"},
		{"empty", args{"path": "empty"}, "[empty file]"},
		{"wide", args{"path": "wide"}, "1\t" + strings.Repeat("é", 2000) + "… [500 more characters]\n2\tx\n[lines 1–2 of 2]"},
		{"binary", args{"path": "binary"}, agent.Failed + "binary is a binary file of 3 bytes"},
		{"not UTF-8", args{"path": "latin"}, "1\tcaf\uFFFD\n[lines 1–1 of 1]\n[the file is not UTF-8; bytes that could not be shown are \uFFFD]"},
		{"missing", args{"path": "nope/x"}, agent.Failed + "nope/x does not exist"},
		{"too large", args{"path": "huge"}, agent.Failed + "huge has 4.2 MB, the file tools take 4.2 MB; use search, or sed -n in the shell"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(use(t, b, "read_file", c.in), c.want); d != "" {
				t.Error(d)
			}
		})
	}
	has(t, use(t, b, "read_file", args{"path": "long"}), "400\tline 400\n[lines 1–400 of 1000; go on with offset 401]")
	if got := use(t, b, "read_file", args{"path": "heavy"}); len(got) > mostRead+100 || !strings.Contains(got, "of 100; go on with offset 50]") {
		t.Errorf("%d bytes, end %q", len(got), got[len(got)-60:])
	}
}

// What find_files lists is what git would list, whatever .gitignore says.
func TestFindFilesIgnoresWhatGitIgnores(t *testing.T) {
	files := map[string]string{
		".gitignore":     "*.log\n!keep.log\n/build/\ndocs/**/*.tmp\n# note\n\\#hash\nspaced \nout\n",
		"sub/.gitignore": "!x.log\nlocal/*\n!local/kept\n*.[oa]\n",
	}
	for _, name := range []string{
		"a.go", "a.log", "keep.log", "build/x", "sub/build/x", "docs/a/b/c.tmp", "docs/c.tmp", "docs/c.md", "#hash", "#other", "spaced",
		"sub/x.log", "sub/y.log", "sub/local/one", "sub/local/kept", "sub/z.o", "sub/deep/z.a", "sub/deep/z.c", "out/deep/file", "sub/out", ".dot/file",
	} {
		files[name] = "x"
	}
	b := open(t, files)
	git := func(args ...string) string {
		cmd := exec.Command("git", append([]string{"-C", b.o.Dir}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	git("init", "-q")
	want := strings.Split(strings.Trim(git("-c", "core.quotePath=false", "ls-files", "-o", "--exclude-standard", "-z"), "\x00"), "\x00")
	slices.Sort(want)
	if d := cmp.Diff(strings.Split(use(t, b, "find_files", args{"glob": "**"}), "\n"), want); d != "" {
		t.Error(d)
	}
	put(t, b.o.Dir, map[string]string{"node_modules/m/index.js": "x"})
	for _, c := range []struct{ glob, path, want string }{
		{"*.md", "", "docs/c.md"},
		{"**/*.{md,go}", "", "a.go\ndocs/c.md"},
		{"*.js", "", "no file matches *.js below ."},
		{"*.js", "node_modules/m", "node_modules/m/index.js"}, // asked for by name
		{"deep/*", "sub", "sub/deep/z.c"},
		{"*.log", "sub", "sub/x.log"}, // by the rules above and in sub
		{"sub/*", "", "sub/.gitignore\nsub/x.log"},
		{"", "", agent.Failed + "the glob is empty"},
		{"*", "nope", agent.Failed + "nope does not exist"},
		{"{a,{b", "", "no file matches {a,{b below ."},
	} {
		if got := use(t, b, "find_files", args{"glob": c.glob, "path": c.path}); got != c.want {
			t.Errorf("%s in %q: got %q, want %q", c.glob, c.path, got, c.want)
		}
	}
}

func TestFindFilesIsBounded(t *testing.T) {
	files := map[string]string{}
	for i := range mostFiles + 50 {
		files[fmt.Sprintf("d%d/f%03d", i%7, i)] = ""
	}
	b := open(t, files)
	got := strings.Split(use(t, b, "find_files", args{"glob": "**/f*"}), "\n")
	if len(got) != mostFiles+1 || got[mostFiles] != "[50 more: narrow the glob]" || !slices.IsSorted(got[:mostFiles]) {
		t.Errorf("%d lines, the last %q", len(got), got[len(got)-1])
	}
}

func TestSearch(t *testing.T) {
	b := open(t, map[string]string{
		"a.go": "func A() {}\n// call A\nfunc B() { A() }\n", "sub/b.txt": "nothing\nA here\nend\n", "bin": "\x00A\n",
		"wide.txt": strings.Repeat("w", 600) + "A" + "\n", "node_modules/x.js": "A\n", ".git/HEAD": "A\n",
	})
	for _, c := range []struct {
		name string
		in   args
		want string
	}{
		{"lines", args{"pattern": `\bA\b`, "glob": "*.go"}, "a.go:1:func A() {}\na.go:2:// call A\na.go:3:func B() { A() }\n[3 matches in 1 files]"},
		{"anchors", args{"pattern": `^A`, "path": "."}, "sub/b.txt:2:A here\n[1 matches in 1 files]"},
		{"context", args{"pattern": `here`, "context": 1}, "sub/b.txt-1-nothing\nsub/b.txt:2:A here\nsub/b.txt-3-end\n[1 matches in 1 files]"},
		{"context that meets", args{"pattern": `func`, "path": "a.go", "context": 1}, "a.go:1:func A() {}\na.go-2-// call A\na.go:3:func B() { A() }\n[2 matches in 1 files]"},
		{"files", args{"pattern": `A`, "mode": "files"}, "a.go\nsub/b.txt\nwide.txt\n[3 matches in 3 files]"},
		{"count", args{"pattern": `A`, "mode": "count", "glob": "**/*.txt"}, "sub/b.txt:1\nwide.txt:1\n[2 matches in 2 files]"},
		{"long lines are cut", args{"pattern": "wA$"}, "wide.txt:1:" + strings.Repeat("w", 400) + "… [201 more characters]\n[1 matches in 1 files]"},
		{"case", args{"pattern": "(?i)NOTHING"}, "sub/b.txt:1:nothing\n[1 matches in 1 files]"},
		{"none", args{"pattern": "zzz", "path": "sub"}, "no match below sub"},
		{"one file", args{"pattern": "end", "path": "sub/b.txt"}, "sub/b.txt:3:end\n[1 matches in 1 files]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(use(t, b, "search", c.in), c.want); d != "" {
				t.Error(d)
			}
		})
	}
	has(t, use(t, b, "search", args{"pattern": "a("}), agent.Failed, "no Go regular expression")
	put(t, b.o.Dir, map[string]string{"many": strings.Repeat("hit\n", 150)})
	got := use(t, b, "search", args{"pattern": "hit"})
	if strings.Count(got, "many:") != mostMatches {
		t.Errorf("%d matches", strings.Count(got, "many:"))
	}
	has(t, got, "[stopped at 100 matches")
}
