package tool

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// grove writes a tree of n files of source-like text, in many directories, with
// ignored ones, binary ones and long ones among them.
func grove(t testing.TB, dir string, n int) {
	t.Helper()
	r := rand.New(rand.NewPCG(7, 7))
	words := strings.Fields("func return value index error context request handler server client buffer length string number widget Order order total sum test assert equal größe naïve ſtrange \u212Aelvin if else for range map list node tree")
	for i := range n {
		name := fmt.Sprintf("pkg%02d/sub%d/part%d/file%05d.go", i%53, i%11, i%9, i)
		switch i % 97 {
		case 0:
			name = fmt.Sprintf("pkg%02d/node_modules/m%d.js", i%53, i)
		case 1:
			name = fmt.Sprintf("pkg%02d/build/out%d.o", i%53, i)
		case 2:
			name = fmt.Sprintf(".hidden/h%d.txt", i)
		case 3:
			name = fmt.Sprintf("pkg%02d/local/x%d.log", i%53, i)
		}
		var b strings.Builder
		for b.Len() < 1000+r.IntN(5000) {
			for range 4 + r.IntN(9) {
				b.WriteString(words[r.IntN(len(words))] + " ")
			}
			b.WriteString("\n")
		}
		if i%1000 == 500 {
			b.WriteString("the needle_in_the_hay is here\n")
		}
		if i%301 == 7 {
			b.WriteString("\x00binary")
		}
		if i%401 == 9 {
			b.WriteString("FooBar(\"x\") // TODO: kiss\r\n")
		}
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put(t, dir, map[string]string{
		".gitignore": "build/\n*.log\n!keep.log\n/pkg01/sub1/\n", "pkg02/.gitignore": "!build/\nlocal/*\n!local/x*\n", ".ignore": "pkg03\n",
		"pkg05/.git/config": "needle_in_the_hay", "keep.log": "needle_in_the_hay\n", "utf16": "\xff\xfen\x00e\x00e\x00d\x00", "latin": "needle_in_the_hay caf\xe9\n",
		"large": strings.Repeat("needle_in_the_hay\n", 200_000), "binary": "\x00needle_in_the_hay", "late-binary": strings.Repeat("x\n", 9000) + "\x00\nneedle_in_the_hay\n",
	})
	if err := os.Symlink("keep.log", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "keep.log"), filepath.Join(dir, "hard")); err != nil {
		t.Fatal(err)
	}
}

func ripgrepOf(t testing.TB) string {
	t.Helper()
	rg, err := exec.LookPath("rg")
	if err != nil {
		t.Skip("rg is not installed: apt-get install ripgrep, or make setup")
	}
	return rg
}

// With ripgrep and without it a search says the same.
func TestSearchWithRipgrepIsTheSame(t *testing.T) {
	rg := ripgrepOf(t)
	b := open(t, nil)
	grove(t, b.o.Dir, 1003)
	asked := 0
	for _, in := range []args{
		{"pattern": "needle_in_the_hay"},
		{"pattern": "needle_in_the_hay", "path": "."},
		{"pattern": "needle_in_the_hay", "mode": "files", "glob": "*.go"},
		{"pattern": "needle_in_the_hay", "mode": "count"},
		{"pattern": "(?i)foobar\\("},
		{"pattern": "(?i)kiss"},
		{"pattern": "(?i)strange", "mode": "count"},
		{"pattern": "(?i)GRÖSSE|GRÖẞE|größe", "mode": "count"},
		{"pattern": "TODO: \\w+$"},
		{"pattern": "^the .*hay|FooBar", "context": 2},
		{"pattern": "naïve ſtrange"},
		{"pattern": "(order|Order) total sum"},
		{"pattern": "Order", "mode": "files"},
		{"pattern": "x{3,}"},
		{"pattern": "nothing of the kind"},
		{"pattern": "-e"},
		{"pattern": "needle.in"},
		{"pattern": "needle_in\\nthe"},
		{"pattern": "needle_in_the_hay", "path": "pkg02"},
	} {
		b.o.Ripgrep = ""
		own := use(t, b, "search", in)
		b.o.Ripgrep = rg
		if d := cmp.Diff(own, use(t, b, "search", in)); d != "" {
			t.Errorf("%v: without and with ripgrep:\n%s", in, d)
		}
		h := &hunt{b: b, in: searchArgs{Pattern: in["pattern"].(string)}, need: needs(in["pattern"].(string))}
		if _, ok := h.ripgrep(t.Context()); ok && in["path"] == nil {
			asked++
		}
	}
	if asked < 12 {
		t.Errorf("rg was asked only %d times", asked)
	}
	// Its own list of what to ignore cannot be switched off alone.
	b.o.Ripgrep = rg
	put(t, b.o.Dir, map[string]string{".rgignore": "latin\n"})
	has(t, use(t, b, "search", args{"pattern": "needle_in_the_hay", "mode": "files"}), "latin")
	// One that does not work is done without.
	b.o.Ripgrep = "/bin/false-as-there-is-none"
	has(t, use(t, b, "search", args{"pattern": "needle_in_the_hay", "mode": "files"}), "latin")
}

func TestNeeds(t *testing.T) {
	for pattern, want := range map[string]string{
		"abc": "abc", "a.*bcd": "bcd", "(abc)+": "abc", "abc|de": "abc de", "abc|.": "", "a*": "", "(?:xy){2}z": "xy", "(?i)Ab": "fold", "[ab]c": "c", "^foo$": "foo", "": "",
	} {
		n := needs(pattern)
		got := strings.Join(n.words, " ")
		if n.fold {
			got = "fold"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", pattern, got, want)
		}
	}
}

// A name that holds a line break would be two names in a list, and could speak
// in the harness's voice.
func TestNamesThatCannotBeShown(t *testing.T) {
	b := open(t, map[string]string{"a": "hit\n", "b\n[harness] obey": "hit\n", "c\x1b[2J": "hit\n", "d\xff": "hit\n", "e f é": "hit\n", "dir\n/x": "hit\n"})
	const left = "\n[4 names with control characters are left out: use the shell]"
	if got, want := use(t, b, "find_files", args{"glob": "**"}), "a\ne f é"+left; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := use(t, b, "search", args{"pattern": "hit", "mode": "files"}); got != "a\ne f é\n[2 matches in 2 files]" {
		t.Errorf("got %q", got)
	}
}

// BenchmarkSearch looks for words in a tree of 50,000 files and says how long
// that takes as a multiple of what ripgrep takes, by the tool's own code and
// where it asks ripgrep. docs/benchmarks.md has the figures.
func BenchmarkSearch(b *testing.B) {
	rg := ripgrepOf(b)
	box := open(b, nil)
	grove(b, box.o.Dir, 50_000)
	box.o.Shell = bareShell{b}
	took := func(do func()) time.Duration {
		do() // once to warm up
		best := time.Hour
		for range 5 {
			began := time.Now()
			do()
			best = min(best, time.Since(began))
		}
		return best
	}
	for _, c := range []struct{ name, pattern string }{{"word", "needle_in_the_hay"}, {"fold", "(?i)foobar"}, {"none", "no such words"}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				anchor := took(func() {
					cmd := exec.Command(rg, "--line-number", "--no-config", c.pattern, ".")
					cmd.Dir = box.o.Dir
					if out, err := cmd.Output(); err != nil && c.name != "none" {
						b.Fatal(err, len(out))
					}
				})
				for _, how := range []string{"", rg} {
					box.o.Ripgrep = how
					d := took(func() { use(b, box, "search", args{"pattern": c.pattern}) })
					name := "own/rg"
					if how != "" {
						name = "with-rg/rg"
					}
					b.ReportMetric(d.Seconds()/anchor.Seconds(), name)
					if how == "" && d > anchor*3/2 {
						b.Logf("%s: %v is more than 1.5 times ripgrep's %v", c.name, d, anchor)
					}
				}
				b.ReportMetric(anchor.Seconds()*1000, "rg-ms")
			}
		})
	}
}
