package repo

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// TestBrokenChains damages the state branch in the ways in which people and
// their tools could, and expects the harm to be told and its commit named.
func TestBrokenChains(t *testing.T) {
	t.Parallel()
	ours := []string{"GIT_COMMITTER_NAME=loop[bot]", "GIT_COMMITTER_EMAIL=loop@example.invalid"}
	for _, test := range []struct {
		name string
		// damage makes a commit from the tip, with git, and returns its id.
		damage func(t *testing.T, dir, tip string) string
		want   []string
	}{
		{"a person's commit", func(t *testing.T, dir, tip string) string {
			return push(t, dir, stateRef, map[string]string{"feature_list.json": "[{}]"}, "I help")
		}, []string{"TIP", "Jane", "spec"}},
		{"a person's commit below", func(t *testing.T, dir, tip string) string {
			push(t, dir, stateRef, map[string]string{"x": "y"}, "I help")
			return raw(t, dir, ours, stateRef+"^{tree}", "-p", stateRef, "-p", "main")
		}, []string{"the code"}},
		{"an edited state", func(t *testing.T, dir, tip string) string {
			// The last but one is edited, the last keeps what it said of it.
			edited := raw(t, dir, ours, edit(t, dir, tip+"^", func(s string) string { return strings.Replace(s, `"serial":1`, `"serial":1,"x":1`, 1) }))
			return raw(t, dir, ours, tip+"^{tree}", "-p", edited, "-p", tip+"^2")
		}, []string{"TIP", "another state"}},
		{"no state.json", func(t *testing.T, dir, tip string) string {
			return raw(t, dir, ours, "main^{tree}", "-p", tip, "-p", tip+"^2")
		}, []string{"TIP", "no state.json"}},
		{"a damaged state.json", func(t *testing.T, dir, tip string) string {
			return raw(t, dir, ours, edit(t, dir, tip, func(s string) string { return s[:len(s)/2] }), "-p", tip, "-p", tip+"^2")
		}, []string{"TIP", "state.json is damaged"}},
		{"a state out of order", func(t *testing.T, dir, tip string) string {
			return raw(t, dir, ours, tip+"^{tree}", "-p", tip, "-p", tip+"^2")
		}, []string{"TIP", "it is transaction 2, the one before it is 2"}},
		{"another loop", func(t *testing.T, dir, tip string) string {
			return raw(t, dir, ours, edit(t, dir, tip, func(s string) string { return strings.Replace(s, `"L1"`, `"L2"`, 1) }), "-p", tip, "-p", tip+"^2")
		}, []string{"TIP", `"L2"`}},
		{"other code", func(t *testing.T, dir, tip string) string {
			return raw(t, dir, ours, tip+"^{tree}", "-p", tip+"^", "-p", "main")
		}, []string{"TIP", "speaks of the code"}},
		{"three parents", func(t *testing.T, dir, tip string) string {
			return raw(t, dir, ours, tip+"^{tree}", "-p", tip+"^", "-p", tip+"^2", "-p", "main")
		}, []string{"TIP", "3 parents"}},
		{"cut off below", func(t *testing.T, dir, tip string) string {
			return raw(t, dir, ours, tip+"^{tree}")
		}, []string{"TIP", "transaction 2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := bare(t, map[string]string{"README.md": "hello\n"})
			started(t, dir)
			tip := test.damage(t, dir, git(t, dir, "rev-parse", stateRef))
			git(t, dir, "update-ref", stateRef, tip)
			f := load(t, open(t, dir))
			if f.Chain == nil {
				t.Fatal("nothing is wrong with it")
			}
			for _, want := range test.want {
				if want == "TIP" {
					want = tip
				}
				if !strings.Contains(f.Chain.Error(), want) {
					t.Errorf("%q does not say %q", f.Chain, want)
				}
			}
			if f.State == nil {
				t.Error("a damaged state passes for none")
			}
		})
	}
}

// raw makes a commit with git.
func raw(t *testing.T, dir string, env []string, tree string, parents ...string) string {
	t.Helper()
	out, err := gitErr(dir, env, append([]string{"commit-tree", "-m", "x", git(t, dir, "rev-parse", tree)}, parents...)...)
	if err != nil {
		t.Fatal(out)
	}
	return strings.TrimSpace(out)
}

// edit returns the tree of a commit with state.json changed.
func edit(t *testing.T, dir, commit string, change func(string) string) string {
	t.Helper()
	env := []string{"GIT_INDEX_FILE=" + filepath.Join(t.TempDir(), "index")}
	file := filepath.Join(t.TempDir(), "state.json")
	write(t, filepath.Dir(file), map[string]string{"state.json": change(git(t, dir, "show", commit+":state.json"))})
	blob := git(t, dir, "hash-object", "-w", file)
	for _, args := range [][]string{{"read-tree", commit}, {"update-index", "--add", "--cacheinfo", "100644," + blob + ",state.json"}} {
		if out, err := gitErr(dir, env, args...); err != nil {
			t.Fatal(out)
		}
	}
	out, err := gitErr(dir, env, "write-tree")
	if err != nil {
		t.Fatal(out)
	}
	return strings.TrimSpace(out)
}

func TestRewoundStateBranch(t *testing.T) {
	t.Parallel()
	dir := bare(t, map[string]string{"README.md": "hello\n"})
	r, l := started(t, dir)
	l.save(t, r, "", "")
	tip := git(t, dir, "rev-parse", stateRef)
	git(t, dir, "update-ref", stateRef, tip+"^")
	check := func(r *Repo) {
		t.Helper()
		f := load(t, r)
		if f.Chain == nil || !strings.Contains(f.Chain.Error(), "rewound") || !strings.Contains(f.Chain.Error(), tip) {
			t.Errorf("chain: %v", f.Chain)
		}
	}
	check(r)
	check(r) // it is not forgotten by having been told
	check(open(t, dir, func(o *Options) { o.Dir = r.o.Dir }))
	git(t, dir, "update-ref", stateRef, tip)
	if f := load(t, r); f.Chain != nil {
		t.Errorf("put back: %v", f.Chain)
	}
	// On another machine the work branch gives a rewound state away.
	git(t, dir, "update-ref", stateRef, tip+"~2")
	if f := load(t, open(t, dir)); f.Chain != nil || !f.Foreign {
		t.Errorf("chain %v, foreign %v", f.Chain, f.Foreign)
	}
}

func TestNothingToBuildOn(t *testing.T) {
	t.Parallel()
	full := map[string]string{"README.md": "hello\n"}
	notGit := t.TempDir()
	unborn := bare(t, full)
	git(t, unborn, "symbolic-ref", "HEAD", "refs/heads/nowhere")
	detached := bare(t, full)
	git(t, detached, "update-ref", "--no-deref", "HEAD", "main")
	for _, test := range []struct {
		name, remote, base, want string
	}{
		{"empty", bare(t, nil), "", "empty"},
		{"base", bare(t, full), "trunk", `no branch "trunk" to build on; there are: main`},
		{"unborn", unborn, "", "there are: main"},
		{"not git", notGit, "", "not a git repository"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := open(t, test.remote, func(o *Options) { o.Base = test.base })
			if _, err := r.Load(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
			if test.name == "not git" {
				return
			}
			r = open(t, serve(t, test.remote).url, withAuth, func(o *Options) { o.Base = test.base })
			if _, err := r.Load(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("over HTTP got %v", err)
			}
		})
	}
	if f := load(t, open(t, detached)); f.Base.Branch != "HEAD" || f.Base.Commit != git(t, detached, "rev-parse", "main") {
		t.Errorf("detached: %+v", f.Base)
	}
	named := bare(t, full)
	tip := push(t, named, "dev", map[string]string{"x": "y"}, "dev")
	if f := load(t, open(t, named, func(o *Options) { o.Base = "dev" })); f.Base != (runner.Base{Branch: "dev", Commit: tip}) {
		t.Errorf("named: %+v", f.Base)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := bare(t, nil)
	for name, change := range map[string]func(*Options){
		"credentials": func(o *Options) { o.Remote = "https://x:" + password + "@example.invalid/r.git" },
		"ssh":         func(o *Options) { o.Remote = "ssh://git@example.invalid/r.git" },
		"ext":         func(o *Options) { o.Remote = "ext::sh -c id" },
		"missing":     func(o *Options) { o.Remote = filepath.Join(dir, "nothing") },
		"not a URL":   func(o *Options) { o.Remote = "https://x:" + password + "@%zz" },
		"author":      func(o *Options) { o.Author = "loop" },
		"injection":   func(o *Options) { o.Author = "loop <x>\nparent <y>" },
		"branch":      func(o *Options) { o.StateBranch = "main" },
		"one branch":  func(o *Options) { o.StateBranch = o.WorkBranch },
		"nowhere":     func(o *Options) { o.Dir = "" },
	} {
		o := Options{Remote: dir, Dir: t.TempDir(), StateBranch: stateRef, WorkBranch: workRef, Author: author, Now: time.Now}
		change(&o)
		_, err := Open(t.Context(), o)
		if err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTokenStaysSecret makes the remote fail and repeat the token, and looks
// for it wherever it could have got to.
func TestTokenStaysSecret(t *testing.T) {
	t.Parallel()
	dir := bare(t, map[string]string{"README.md": "hello\n"})
	s := serve(t, dir)
	r, l := started(t, s.url, withAuth, func(o *Options) { o.Retry = []time.Duration{0} })
	for name, fault := range map[string]func(http.ResponseWriter, *http.Request, func(http.ResponseWriter)){
		"401": status(401, "bad credentials "+password), "403": status(403, "denied for "+password), "404": status(404, "nothing for "+password),
		"500": status(500, "trace: "+password+"\x1b[31m"), "429": status(429, "slow down, "+password),
		"no git": func(w http.ResponseWriter, _ *http.Request, _ func(http.ResponseWriter)) {
			w.Write([]byte("<html>" + password + "</html>"))
		},
	} {
		s.on(fault)
		_, err := r.Load(t.Context())
		err2 := r.Save(t.Context(), l.next("", ""))
		for _, err := range []error{err, err2} {
			if err == nil || strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("%s: %v", name, err)
			}
			if name[0] != 'n' && name != "404" && !strings.Contains(err.Error(), name) {
				t.Errorf("%s is not told: %v", name, err)
			}
		}
	}
	s.on(nil)
	wrong := open(t, s.url, func(o *Options) { o.Auth = Auth{"x-access-token", "not-the-token"} })
	if _, err := wrong.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "not-the-token") {
		t.Errorf("got %v", err)
	}
	err := filepath.WalkDir(r.o.Dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			b, rerr := os.ReadFile(p)
			if err = rerr; strings.Contains(string(b), password) {
				t.Errorf("the token is in %s", p)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for _, asked := range s.asked {
		if strings.Contains(asked, password) {
			t.Errorf("the token is in %s", asked)
		}
	}
}

func TestOptionsDoNotPrintSecrets(t *testing.T) {
	t.Parallel()
	o := Options{Dir: "/d", Auth: Auth{"u", password}, Secrets: []string{password}}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("x", "options", o, "pointer", &o, "auth", o.Auth, "in", struct{ A Auth }{o.Auth})
	}
	j, err := json.Marshal(o)
	must(t, err)
	for _, text := range []string{fmt.Sprint(o), fmt.Sprintf("%v %+v %#v %s %q %x", o, &o, o, o, o, o), fmt.Sprintf("%+v %#v %x", o.Auth, o.Auth, o.Auth), string(j), log.String()} {
		if strings.Contains(text, password) || strings.Contains(text, hex.EncodeToString([]byte(password))) {
			t.Errorf("the token is in %s", text)
		}
	}
}

// TestWithoutGit loads and saves over HTTP where there is no git.
func TestWithoutGit(t *testing.T) {
	dir := bare(t, map[string]string{"README.md": "hello\n", "a/b": "c\n"})
	s := serve(t, dir)
	path := os.Getenv("PATH")
	t.Setenv("PATH", "/nonexistent")
	s.on(func(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter)) { serve(w) })
	r := open(t, s.url, withAuth)
	l := begin(load(t, r))
	l.save(t, r, "", "")
	if err := r.Restore(t.Context(), l.state["code"].(string)); err != nil {
		t.Fatal(err)
	}
	again := open(t, s.url, withAuth)
	if f := load(t, again); f.State == nil || f.Chain != nil {
		t.Errorf("found %+v", f)
	}
	t.Setenv("PATH", path)
}

func TestReadSaysWhatIsNotThere(t *testing.T) {
	t.Parallel()
	dir := bare(t, map[string]string{"a/b": "c\n", "l": "-> a/b"})
	r := open(t, dir)
	if _, err := r.Read(t.Context(), "a/b"); err == nil {
		t.Error("read before load")
	}
	load(t, r)
	for _, p := range []string{"x", "a/x", "a/b/c", ""} {
		if _, err := r.Read(t.Context(), p); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", p, err)
		}
	}
	for _, p := range []string{"a", "l"} {
		if _, err := r.Read(t.Context(), p); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", p, err)
		}
	}
	if files, err := r.StateFiles(t.Context(), ""); err != nil || len(files) != 0 {
		t.Errorf("%v, %v", files, err)
	}
}

func TestCommitIsDeterministic(t *testing.T) {
	t.Parallel()
	dir := bare(t, map[string]string{"a": "b\n"})
	r, r2 := open(t, dir), open(t, dir)
	parent := load(t, r).Base.Commit
	load(t, r2)
	tree := git(t, dir, "rev-parse", "main^{tree}")
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("X", 3600))
	a, err := r.Commit(t.Context(), tree, parent, "feat: x\x00\n\n\n", at)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := r2.Commit(t.Context(), tree, parent, "feat: x", at.UTC()); err != nil || a != b {
		t.Errorf("%s and %s, %v", a, b, err)
	}
	want := "tree " + tree + "\nparent " + parent + "\nauthor " + author + " 1767319445 +0000\ncommitter " + author + " 1767319445 +0000\n\nfeat: x"
	if got := git(t, filepath.Join(r.o.Dir, "git"), "cat-file", "-p", a); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, args := range [][2]string{{parent, parent}, {tree, tree}, {tree[:7], parent}, {tree, ""}, {strings.Repeat("1", 40), parent}} {
		if id, err := r.Commit(t.Context(), args[0], args[1], "x", at); err == nil {
			t.Errorf("commit of tree %q on %q: %s", args[0], args[1], id)
		}
	}
}

// The base branch is listed, not what the work tree holds.
func TestListIsOfTheBase(t *testing.T) {
	r := open(t, bare(t, map[string]string{"a.go": "package a\n", "lib/b.go": "package b\n", "AGENTS.md": "Use tabs.\n"}))
	if _, err := r.List(t.Context()); err == nil {
		t.Error("listed before anything was loaded")
	}
	found, err := r.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Restore(t.Context(), found.Base.Commit); err != nil {
		t.Fatal(err)
	}
	write(t, r.Work(), map[string]string{"lib/AGENTS.md": "obey\n"})
	names, err := r.List(t.Context())
	if err != nil || strings.Join(names, " ") != "AGENTS.md a.go lib/b.go" {
		t.Errorf("%q, %v", names, err)
	}
}
