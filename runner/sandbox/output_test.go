package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext\n":                            "plain\ttext\n",
		"\x1b[1;31mred\x1b[0m":                     "red",
		"\x1b]0;title\x07after":                    "after",
		"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\": "link",
		"\x1bPq#0\x1b\\sixel":                      "sixel",
		"\x1b(Bset\x1b=":                           "set",
		"10%\r50%\r100%\ndone\r\n":                 "100%\ndone\n",
		"10%\r50%":                                 "50%",
		"line\r":                                   "line",
		"bell\x07 back\x08 del\x7f":                "bell back del",
		"bad \xff\xfe utf8":                        "bad \uFFFD utf8",
		"\x1b[31":                                  "[31",
		"::set-output name=x::y\n##[error]z\n日本語 \u202e\n": "::set-output name=x::y\n##[error]z\n日本語 \u202e\n", // escaping for where it goes is the printer's matter
	} {
		if got := Clean([]byte(in)); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestOutputKeepsHeadAndTail(t *testing.T) {
	dir := t.TempDir()
	lines := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "line %03d\n", i) // nine bytes
		}
		return b.String()
	}
	for _, c := range []struct {
		name, in, want string
		head, tail     int
		log            bool
	}{
		{name: "all of it", in: lines(10), head: 45, tail: 45, want: lines(10)},
		{name: "one byte less", in: lines(10), head: 45, tail: 44, want: lines(5) + "[... 9 bytes cut of 90 (10 lines) ...]\n" + lines(10)[54:]},
		{name: "cut at lines", in: lines(100), head: 20, tail: 40, want: lines(2) + "[... 846 bytes cut of 900 (100 lines) ...]\n" + lines(100)[864:]},
		{name: "with a log", in: lines(100), head: 20, tail: 40, log: true, want: lines(2) + "[... 846 bytes cut of 900 (100 lines); full log: LOG ...]\n" + lines(100)[864:]},
		{name: "one long line", in: strings.Repeat("x", 100), head: 5, tail: 5, want: "xxxxx\n[... 90 bytes cut of 100 (0 lines) ...]\nxxxxx"},
		{name: "runes are whole", in: strings.Repeat("é", 50), head: 5, tail: 5, want: "éé\n[... 92 bytes cut of 100 (0 lines) ...]\néé"},
		{name: "binary", in: "ELF\x00" + lines(10), head: 20, tail: 20, log: true, want: "[binary output, 94 bytes; saved to LOG]"},
		{name: "nothing", want: ""},
	} {
		for _, step := range []int{1, 7, 1 << 20} { // however it arrives
			log := ""
			if c.log {
				log = filepath.Join(dir, "log")
			}
			out, err := newCapture(c.head, c.tail, log)
			if err != nil {
				t.Fatal(err)
			}
			for in := c.in; in != ""; {
				n := min(step, len(in))
				out.Write([]byte(in[:n]))
				in = in[n:]
			}
			out.close()
			if want := strings.ReplaceAll(c.want, "LOG", log); out.text() != want {
				t.Errorf("%s, %d bytes at a time:\n%q, want\n%q", c.name, step, out.text(), want)
			}
			if c.log {
				if b, err := os.ReadFile(log); err != nil || string(b) != c.in {
					t.Errorf("%s: the log has %q, %v", c.name, b, err)
				}
			}
		}
	}
}

func TestSinceGivesEverythingOnce(t *testing.T) {
	in := "\x1b[1mbold\x1b[0m and é日\n10%\r20%\r\nlast\x1b]0;t\x07\n"
	for step := 1; step < len(in); step++ {
		c, err := newCapture(8, 16, "")
		if err != nil {
			t.Fatal(err)
		}
		var heard strings.Builder
		var at int64
		for rest := in; rest != ""; {
			n := min(step, len(rest), 16)
			c.Write([]byte(rest[:n]))
			rest = rest[n:]
			var text string
			text, at = c.since(at, rest == "")
			heard.WriteString(text)
		}
		if strings.Contains(heard.String(), "cut of") {
			t.Errorf("step %d: cut though it fits: %q", step, heard.String())
		}
		if want := "bold and é日\n"; !strings.HasPrefix(heard.String(), want) || !strings.HasSuffix(heard.String(), "20%\nlast\n") {
			t.Errorf("step %d: heard %q", step, heard.String())
		}
		if at != int64(len(in)) {
			t.Errorf("step %d: at %d of %d", step, at, len(in))
		}
	}

	c, err := newCapture(4, 4, "")
	if err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("abcdefgh"))
	for at, want := range []string{"abcdefgh", "bcdefgh", "cdefgh", "defgh", "efgh", "fgh", "gh", "h", "", ""} {
		if text, next := c.since(int64(at), true); text != want || next != 8 {
			t.Errorf("since %d: %q, %d", at, text, next)
		}
	}
	c.Write([]byte("ijkl"))
	if text, next := c.since(6, false); text != "[... 2 bytes cut of 12 (0 lines) ...]\nijkl" || next != 12 {
		t.Errorf("%q, %d", text, next)
	}
	if text, _ := c.since(-5, false); !strings.HasPrefix(text, "[... 8 bytes cut") {
		t.Errorf("%q", text)
	}
}
