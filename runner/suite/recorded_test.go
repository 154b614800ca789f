package suite

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// With -record the tests that run the real thing keep what it wrote in
// testdata/recorded, where TestRecorded reads it on machines without it.
var record = flag.Bool("record", false, "keep what the real runners write")

// versions says how each runner names its version.
var versions = map[string]string{
	jest: "jest --version", vitest: "vitest --version", mocha: "mocha --version", rspec: "rspec --version", minitest: "ruby -e 'require %q(minitest); puts %q(minitest )+Minitest::VERSION'",
	cargo: "cargo --version", maven: "mvn --version | head -1; ls /usr/share/maven-repo/org/apache/maven/plugins/maven-surefire-plugin | tail -1", phpunit: "phpunit --version", tap: "bats --version",
	pytest: "/usr/bin/python3 -m pytest --version", unittest: "python3 --version", goTest: "go version", nodeTest: "node --version",
}

// keep writes a run and what was read of it as one file.
func keep(t *testing.T, s Suite, override string, run Run, r Report) {
	t.Helper()
	if s.tool == goTest || s.tool == nodeTest || s.tool == pytest || s.tool == unittest || s.tool == plain {
		return // these are run everywhere
	}
	home, _ := os.UserHomeDir()
	tidy := strings.NewReplacer(run.Dir, "/checkout", run.Kit.Dir, "/kit", run.Kit.Out, "/out", home, "/home/someone")
	cmd := exec.CommandContext(t.Context(), "sh", "-c", versions[s.tool])
	cmd.Dir = run.Dir
	cmd.Env = append(os.Environ(), "PATH=node_modules/.bin:"+os.Getenv("PATH"))
	version, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v %s", versions[s.tool], err, version)
	}
	a := &txtar.Archive{Comment: fmt.Appendf(nil, "Recorded from a real run of %s\n%s\n", s.tool, strings.TrimSpace(string(version)))}
	add := func(name, text string) { a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(text)}) }
	add("run", fmt.Sprintf("%s\n%d\n", override, run.Code))
	add("log", tidy.Replace(run.Log)+"\n")
	for prefix, dir := range map[string]string{"tree/": run.Dir, "out/": run.Kit.Out} {
		err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !d.Type().IsRegular() {
				if d.IsDir() && (d.Name() == "debug" || d.Name() == "classes" || d.Name() == "test-classes" || d.Name() == "maven-status") {
					return fs.SkipDir
				}
				return err
			}
			data, err := os.ReadFile(p)
			if err == nil && !strings.Contains(string(data), "\x00") {
				add(prefix+strings.TrimPrefix(p, dir+"/"), tidy.Replace(string(data)))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	add("want", render(r))
	name := strings.NewReplacer("/", "-", " ", "_", "!", "x").Replace(strings.TrimPrefix(t.Name(), "Test"))
	for n := 1; ; n++ {
		file := filepath.Join("testdata/recorded", fmt.Sprintf("%s-%d.txtar", name, n))
		if _, err := os.Stat(file); err != nil {
			put(t, file, string(txtar.Format(a)))
			return
		}
	}
}

// render is what a report says, to be compared.
func render(r Report) string {
	var b strings.Builder
	for _, c := range summary(r) {
		fmt.Fprintf(&b, "%s | %s | %s", c.State, c.Name, c.Kind)
		if c.Load {
			b.WriteString(" | not loaded")
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "early: %s\nbroken: %s\nnone: %v\npartial: %v\n", strings.Join(r.Early, "; "), oneLine(firstLine(r.Broken)), r.None, r.Partial)
	return b.String()
}

// What runners wrote once is read as it was then.
func TestRecorded(t *testing.T) {
	files, err := filepath.Glob("testdata/recorded/*.txtar")
	if err != nil || len(files) < 70 {
		t.Fatalf("%d recordings, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			run := Run{Kit: Kit{Nonce: "loop-5eed", Dir: "/kit", Out: t.TempDir()}, Dir: "/checkout"}
			dir := t.TempDir()
			var override, want string
			for _, f := range a.Files {
				text := string(f.Data)
				switch name, rest, _ := strings.Cut(f.Name, "/"); name {
				case "run":
					lines := strings.Split(text, "\n")
					override = lines[0]
					if _, err := fmt.Sscan(lines[1], &run.Code); err != nil {
						t.Fatal(err)
					}
				case "log":
					run.Log = text
				case "want":
					want = text
				case "tree":
					put(t, filepath.Join(dir, rest), text)
				case "out":
					put(t, filepath.Join(run.Kit.Out, rest), text)
				}
			}
			if run.Root, err = os.OpenRoot(dir); err != nil {
				t.Fatal(err)
			}
			defer run.Root.Close()
			all, err := Find(run.Root, override)
			if err != nil || len(all) != 1 {
				t.Fatal(all, err)
			}
			r, err := all[0].Read(run)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, render(r)); d != "" {
				t.Error(d)
			}
			// Cut anywhere, no recording of a run says more than the whole, and none that
			// is without its end is believed to be a pass.
			for n := range 20 {
				cut := run
				cut.Log, cut.Code = run.Log[:len(run.Log)*n/20], 0
				short, err := all[0].Read(cut)
				if err != nil {
					t.Fatal(err)
				}
				if len(short.Cases) > len(r.Cases)+1 {
					t.Errorf("cut at %d/20 it has %d cases, whole %d", n, len(short.Cases), len(r.Cases))
				}
				if files := len(a.Files); short.Broken == "" && len(short.Early) == 0 && len(short.Failed()) == 0 && len(short.Leaves()) > 0 && len(r.Failed()) > 0 && files > 0 {
					t.Errorf("cut at %d/20 it is a pass: %v", n, summary(short))
				}
			}
		})
	}
}
