package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// judged is a command of the judge's with nothing but work to write.
func judged(work, script string) Command {
	c := sh(work, script)
	c.Judge = true
	return c
}

// What a judged command leaves wherever it can write, and where tools look for
// their settings, is met by none after it, of the judge or the agent; and it is
// gone from the disk.
func TestNothingIsLeftForTheNextRun(t *testing.T) {
	s, _ := box(t, Options{})
	first, second := ground(t, s), ground(t, s)
	// Another run of this test, without root, leaves some of its own until it ends.
	memory := fmt.Sprintf("/dev/shm/left-by-test-%d-", os.Getpid())
	t.Cleanup(func() {
		left, _ := filepath.Glob(memory + "*") // a pattern that is one
		for _, file := range left {
			_ = os.RemoveAll(file) // as far as it is ours
		}
	})
	const python = `import pathlib, site
p = pathlib.Path(site.getusersitepackages())
p.mkdir(parents=True, exist_ok=True)
(p / "met.pth").write_text("import sys; print(\"python met it\")")`
	writes := map[string]string{
		"npm":    `echo 'node-options=--eval=console.log("node met it")' >~/.npmrc && npm config get node-options`,
		"go":     `go env -w GOFLAGS=-toolexec=/met/it && go env GOFLAGS`,
		"python": "python3 - <<'END'\n" + python + "\nEND\npython3 -c 'print(1)'",
		"files":  `echo met it >"$TMPDIR/x" && echo met it >~/x && echo met it >` + memory + `file && mkdir -m 3777 ` + memory + `dir && cat "$TMPDIR/x" ~/x ` + memory + `file`,
	}
	reads := map[string]string{
		"npm":    `npm config get node-options; node -e 'console.log(1)'`,
		"go":     `go env GOFLAGS`,
		"python": `python3 -c 'print(1)'`,
		"files":  `cat "$TMPDIR/x" ~/x ` + memory + `file; ls -d ` + memory + `*`,
	}
	for name, script := range writes {
		t.Run(name, func(t *testing.T) {
			if program := map[string]string{"npm": "npm", "go": "go", "python": "python3"}[name]; program != "" {
				if _, err := exec.LookPath(program); err != nil {
					t.Fatalf("this test takes %s: %v", program, err)
				}
			}
			if out := ran(t, s, judged(first, script)); !strings.Contains(out.Text, "met") {
				t.Fatalf("nothing was left, so nothing is tested: %d %s", out.Code, out.Text)
			}
			if out := ran(t, s, judged(second, reads[name])); strings.Contains(out.Text, "met") || strings.Contains(out.Text, "left-by-test-") && !strings.Contains(out.Text, "No such file") {
				if name != "files" || asRoot {
					t.Errorf("the next judged command met it: %s", out.Text)
				}
			}
		})
	}
	if left, err := os.ReadDir(s.places); err != nil || len(left) > 0 {
		t.Errorf("places are left: %v, %v", left, err)
	}
}

// ground is a directory that judged commands of s may write.
func ground(t *testing.T, s *Sandbox) string {
	t.Helper()
	dir := filepath.Join(place(t), "work")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := s.OwnJudge(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// In a place that it names itself, a caller's commands meet what the ones before
// left, and no other's do: not by its path, either.
func TestPlaceIsItsCommandsOnly(t *testing.T) {
	s, _ := box(t, Options{})
	work, mine, other := ground(t, s), filepath.Join(place(t), "mine"), filepath.Join(place(t), "other")
	for _, dir := range []string{mine, other} {
		if err := s.Place(dir); err != nil {
			t.Fatal(err)
		}
	}
	in := func(place, script string) Output {
		t.Helper()
		c := judged(work, script)
		c.Place = place
		return ran(t, s, c)
	}
	if out := in(mine, `echo kept >~/x; echo kept >"$TMPDIR/x"; pwd`); out.Code != 0 {
		t.Fatal(out.Text)
	}
	if out := in(mine, `cat ~/x "$TMPDIR/x"`); out.Text != "kept\nkept\n" {
		t.Errorf("its own: %s", out.Text)
	}
	reach := "cat " + mine + "/home/x; echo reached >" + mine + "/home/y; ls " + mine + "/home; mkdir " + mine + "/z; mv " + mine + "/home " + mine + "/moved"
	for who, out := range map[string]Output{
		"another place": in(other, reach), "no place": ran(t, s, judged(work, reach)), "the agent": ran(t, s, sh(work, reach)),
	} {
		if n := strings.Count(strings.ToLower(out.Text), "permission denied"); n < 5 {
			t.Errorf("%s was refused %d times of 5: %s", who, n, out.Text)
		}
	}
	// A place is ours; the judge may not turn its path into another.
	if out := in(mine, "mv ~ "+mine+"/moved; mkdir "+mine+"/z; mv "+mine+" "+mine+"2; ls "+mine); strings.Count(strings.ToLower(out.Text), "denied") < 3 {
		t.Errorf("its own place: %s", out.Text)
	}
	for _, c := range []Command{{Argv: []string{"true"}, Place: mine}, {Argv: []string{"true"}, Place: mine, Judge: true, Browser: true}} {
		if _, err := s.Run(t.Context(), c); err == nil {
			t.Errorf("%+v was given a judge's place", c)
		}
	}
}

// What is compiled for all is compiled once, and whoever is given it cannot
// change it for others.
func TestCompiledOnce(t *testing.T) {
	s, _ := box(t, Options{})
	work := ground(t, s)
	for name, text := range map[string]string{
		"go.mod": "module m\n\ngo 1.21\n",
		"m.go":   "package m\n\nimport _ \"unicode/utf8\"\n",
	} {
		if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	compiles := func() string {
		t.Helper()
		return strings.TrimSpace(ran(t, s, judged(work, `go build -n . 2>&1 | grep -c '/compile .* -p unicode/utf8 '`)).Text)
	}
	if got := compiles(); got != "1" {
		t.Fatalf("before, it is compiled %s times", got)
	}
	if out, err := s.Compile(t.Context(), judged(work, "go build ./...")); err != nil || out.Code != 0 {
		t.Fatal(err, out.Text)
	}
	if got := compiles(); got != "0" {
		t.Errorf("after, it is compiled %s times", got)
	}
	// Whoever has it makes zeros of it, as go looks at no more than the size.
	spoil := `cd "$GOCACHE" && for f in $(find . -type f -name '*-d'); do n=$(stat -c %s $f); { head -c $n /dev/zero >$f || { rm -f $f && head -c $n /dev/zero >$f; }; } 2>/dev/null; done; cd - && go build . `
	if out := ran(t, s, judged(work, spoil)); out.Code == 0 {
		t.Errorf("the poison is none: %s", out.Text)
	}
	if out := ran(t, s, judged(work, "go build .")); out.Code != 0 || compiles() != "0" {
		t.Errorf("the next one meets it: %s", out.Text)
	}
}
