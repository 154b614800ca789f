package sandbox

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What projects do must go on working.
func TestProgramsWork(t *testing.T) {
	s, work := box(t, Options{})
	for _, c := range []struct {
		name, script, want string
		net                Net
	}{
		{name: "bash", script: `diff <(printf 'a\nb\n') <(printf 'a\nb\n') && cat <<< here && echo out > >(cat) && wait`, want: "here\nout\n"},
		{name: "git", script: `git init -q r && cd r && echo x > f && git add f && git -c user.name=n -c user.email=e@x commit -qm first && git log --format=%s && git status -s`, want: "first\n"},
		{name: "git by another owner", script: `git -C ` + foreign(t) + ` log --format=%s`, want: "theirs\n"},
		{name: "node", script: `node -e 'const os=require("os"),c=require("child_process");console.log(c.execFileSync("echo",["child"]).toString().trim(), Object.keys(os.networkInterfaces()).length>0)'`, want: "child true\n"},
		{name: "node server", net: Local, want: "hi\n", script: `node -e 'const s=require("http").createServer((q,r)=>r.end("hi")).listen(0,()=>fetch("http://localhost:"+s.address().port).then(r=>r.text()).then(t=>{console.log(t);s.close();process.exit()}))'`},
		{name: "go's server", net: Local, script: actor + ` act httptest && echo served`, want: "served\n"},
		{name: "python", script: `python3 -c 'import multiprocessing as m; print(m.Pool(2).map(abs, [-1, -2]), m.Lock())' | cut -c-6`, want: "[1, 2]\n"},
		{name: "npm", script: `echo '{"name":"x","scripts":{"test":"node --test"}}' > package.json && echo 'require("node:test")("adds", () => require("assert").equal(1+1, 2))' > a.test.js && npm test 2>&1 | grep '^# pass'`, want: "# pass 1\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := sh(work, c.script)
			cmd.Net = c.net
			cmd.Read = append(cmd.Read, filepath.Dir(foreignDir))
			if c.name == "python" && !onPath(s, "python3") {
				t.Skip("no python3 among the system's programs")
			}
			if out := ran(t, s, cmd); out.Code != 0 || out.Text != c.want {
				t.Errorf("%+v, want %q", out, c.want)
			}
		})
	}
}

func onPath(s *Sandbox, name string) bool {
	for _, dir := range s.tools.path {
		if exists(filepath.Join(dir, name)) {
			return true
		}
	}
	return false
}

var foreignDir string

// foreign makes a repository that belongs to us.
func foreign(t *testing.T) string {
	t.Helper()
	foreignDir = filepath.Join(place(t), "repository")
	script := `git init -q "$0" && cd "$0" && echo x > f && git add f && git -c user.name=n -c user.email=e@x commit -qm theirs`
	if out, err := exec.Command("sh", "-c", script, foreignDir).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	return foreignDir
}

func TestGoTestWorks(t *testing.T) {
	needRoot(t) // links our build cache, which another user may not
	s, work := box(t, Options{})
	if err := errors.Join(
		os.WriteFile(filepath.Join(work, "go.mod"), []byte("module x\n\ngo 1.26\n"), 0o644),
		os.WriteFile(filepath.Join(work, "x_test.go"), []byte("package x\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) { t.Log(t.TempDir()) }\n"), 0o644),
		s.Own(work),
	); err != nil {
		t.Fatal(err)
	}
	// What is built already need not be built again: minutes on a busy machine.
	cache := filepath.Join(filepath.Dir(work), "cache")
	if err := linkCache(cache, s); err != nil {
		t.Logf("the standard library is built anew: %v", err)
	}
	c := sh(work, "go test -v . && go vet .")
	c.Env = []string{"GOCACHE=" + cache}
	c.Write = append(c.Write, cache)
	c.Timeout = 5 * time.Minute
	if out := ran(t, s, c); out.Code != 0 || !strings.Contains(out.Text, "--- PASS: TestX") || !strings.Contains(out.Text, "/box/user/tmp/TestX") {
		t.Errorf("%+v", out)
	}
}

// linkCache makes a copy of our Go build cache in which the sandbox's user may
// add files, by links.
func linkCache(to string, s *Sandbox) error {
	uid, gid := s.User()
	if err := errors.Join(os.Mkdir(to, 0o755), os.Chown(to, uid, gid)); err != nil {
		return err
	}
	b, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		return err
	}
	from := strings.TrimSpace(string(b))
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil || rel == "." || strings.HasPrefix(rel, "fuzz") {
			return err
		}
		if d.IsDir() {
			dir := filepath.Join(to, rel)
			return errors.Join(os.Mkdir(dir, 0o755), os.Chown(dir, uid, gid))
		}
		if err := os.Link(path, filepath.Join(to, rel)); !errors.Is(err, fs.ErrNotExist) { // trimmed meanwhile
			return err
		}
		return nil
	})
}

// BenchmarkTrue runs true in the sandbox and, in the same loop, without.
func BenchmarkTrue(b *testing.B) {
	s, work := box(b, Options{})
	for _, n := range []Net{None, Local, Full} {
		b.Run(string(n), func(b *testing.B) {
			c := Command{Argv: []string{"true"}, Dir: work, Write: []string{work}, Net: n}
			ran(b, s, c)                        // the rules for ports are made once
			held, plain := time.Hour, time.Hour // the least: what it takes when the machine has nothing else to do
			for b.Loop() {
				begun := time.Now()
				if out, err := s.Run(b.Context(), c); err != nil || out.Code != 0 {
					b.Fatalf("%+v, %v", out, err)
				}
				held = min(held, time.Since(begun))
				begun = time.Now()
				if err := exec.Command("true").Run(); err != nil {
					b.Fatal(err)
				}
				plain = min(plain, time.Since(begun))
			}
			b.ReportMetric(float64(held)/float64(plain), "times-plain")
			b.ReportMetric(float64(held.Microseconds())/1000, "ms-held")
			b.ReportMetric(float64(plain.Microseconds())/1000, "ms-plain")
		})
	}
}
