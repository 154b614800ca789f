package repo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/internal/faults"
	"github.com/autonomous-loop/autonomous-loop/runner"
)

// An account is what a test saw of a fault.
type account struct {
	waits []time.Duration
	lines []string
	asked int
}

// patient waits as the program does, by a clock that is not waited for.
func (a *account) patient(o *Options) {
	o.Retry = []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second}
	o.Sleep = func(ctx context.Context, d time.Duration) error {
		a.waits = append(a.waits, d)
		return ctx.Err()
	}
	o.Log = func(s string) { a.lines = append(a.lines, s) }
}

// check holds the account of an operation that ended with err against the
// document.
func (a *account) check(t *testing.T, id string, err error) {
	t.Helper()
	ends := faults.EndOf(err)
	if _, ok := errors.AsType[*runner.RefusedError](err); ok {
		ends = faults.CostsAttempt
	}
	reads := strings.Join(a.lines, "\n")
	if err != nil {
		reads += "\n" + err.Error()
	}
	if strings.Contains(reads, password) {
		t.Errorf("%s: the token is shown: %s", id, reads)
	}
	faults.Check(t, id, faults.Seen{Ends: ends, Waits: a.waits, Requests: a.asked, Reads: reads})
}

// TestPushFaults has git's own server refuse a push in GitHub's words, over HTTP,
// and the connection fail in the middle of one.
func TestPushFaults(t *testing.T) {
	t.Parallel()
	type serving = func(http.ResponseWriter)
	says := func(text string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			hook(t, dir, "pre-receive", "cat >&2 <<'END'\n"+text+"\nEND\nexit 1")
		}
	}
	always := 1 << 20
	for _, c := range []struct {
		id     string
		before func(t *testing.T, dir string)
		times  int // how often fault is played
		fault  func(w http.ResponseWriter, serve serving)
		saved  bool
	}{
		{"T1", func(t *testing.T, dir string) {
			// Another session was faster.
			r, l := resumed(t, dir)
			l.save(t, r, "", "")
		}, 0, nil, false},
		{"T6a", says("error: GH006: Protected branch update failed for refs/heads/autonomous-loop/main."), 0, nil, false},
		{"T6b", says("error: GH013: Repository rule violations found for refs/heads/autonomous-loop/main.\n- Commits must have verified signatures."), 0, nil, false},
		{"T6c", says("error: GH013: Repository rule violations found for refs/heads/autonomous-loop/main.\n- Cannot create ref due to creations being restricted."), 0, nil, false},
		{"T6d", says("error: GH013: Repository rule violations found for refs/heads/autonomous-loop/main.\n- GITHUB PUSH PROTECTION\n- Push cannot contain secrets\n  locations: config.js:3"), 0, nil, false},
		{"T7b", says("refusing to allow a GitHub App to create or update workflow `.github/workflows/x.yml` without `workflows` permission"), 0, nil, false},
		{"T8b", says("error: GH001: Large files detected. You may want to try Git Large File Storage\nerror: File big.bin is 120.00 MB; this exceeds GitHub's file size limit of 100.00 MB"), 0, nil, false},
		{"T8c", says("error: the repository exceeds its size quota"), 0, nil, false},
		{"T15a", nil, always, func(w http.ResponseWriter, _ serving) {
			w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
			http.Error(w, "Bad credentials", http.StatusUnauthorized)
		}, false},
		{"T15b", nil, 1, func(w http.ResponseWriter, serve serving) {
			serve(discard{})
			http.Error(w, "Bad credentials", http.StatusUnauthorized)
		}, true},
		{"T15c", nil, always, func(w http.ResponseWriter, _ serving) {
			http.Error(w, "Permission to octo/loop.git denied to github-actions[bot].", http.StatusForbidden)
		}, false},
		{"T15d", nil, 1, func(w http.ResponseWriter, serve serving) { serve(discard{}); drop(w) }, true},
		{"T15e", nil, 2, func(w http.ResponseWriter, _ serving) { drop(w) }, true},
		{"T15f", nil, always, func(w http.ResponseWriter, _ serving) { http.Error(w, "Unicorn!", http.StatusServiceUnavailable) }, false},
		{"T15g", nil, 1, func(w http.ResponseWriter, serve serving) {
			rec := httptest.NewRecorder()
			serve(rec)
			maps.Copy(w.Header(), rec.Header())
			w.Write(rec.Body.Bytes()[:rec.Body.Len()/2]) // and the length is not told
		}, true},
		{"T15h", nil, always, func(w http.ResponseWriter, _ serving) {
			http.Error(w, "This repository was archived so it is read-only.", http.StatusForbidden)
		}, false},
	} {
		t.Run(c.id, func(t *testing.T) {
			t.Parallel()
			dir := bare(t, map[string]string{"README.md": "hello\n"})
			s := serve(t, dir)
			a := &account{}
			r, l := started(t, s.url, withAuth, a.patient)
			change := work(t, r, git(t, dir, "rev-parse", workRef), "c.js", "2\n")
			tx := l.next(change, change)
			if c.before != nil {
				c.before(t, dir)
			}
			s.on(func(w http.ResponseWriter, req *http.Request, serve func(http.ResponseWriter)) {
				if pushes(req) {
					a.asked++
					if a.asked <= c.times {
						c.fault(w, serve)
						return
					}
				}
				serve(w)
			})
			before := tipsOf(t, dir)
			err := r.Save(t.Context(), tx)
			a.check(t, c.id, err)
			if saved := tipsOf(t, dir) != before; saved != c.saved {
				t.Errorf("moved: %v", saved)
			}
			os.Remove(filepath.Join(dir, "hooks", "pre-receive"))
		})
	}
}

// resumed is another session's repository, which knows what the first has saved.
func resumed(t *testing.T, at string, change ...func(*Options)) (*Repo, *loop) {
	t.Helper()
	r := open(t, at, change...)
	return r, begin(load(t, r))
}

// TestReadFaults has the remote and this machine fail while the branches are
// read.
func TestReadFaults(t *testing.T) {
	t.Parallel()
	files := map[string]string{"README.md": "hello\n", "src/a.js": "1\n"}
	counted := func(s *server, a *account, fault func(n int, w http.ResponseWriter, serve func(http.ResponseWriter))) {
		s.on(func(w http.ResponseWriter, req *http.Request, serve func(http.ResponseWriter)) {
			if strings.HasSuffix(req.URL.Path, "/info/refs") {
				a.asked++
			}
			fault(a.asked, w, serve)
		})
	}
	t.Run("T16a", func(t *testing.T) {
		t.Parallel()
		s, a := serve(t, bare(t, files)), &account{}
		counted(s, a, func(n int, w http.ResponseWriter, serve func(http.ResponseWriter)) {
			if n <= 5 {
				http.Error(w, "Unicorn!", http.StatusBadGateway)
				return
			}
			serve(w)
		})
		_, err := open(t, s.url, withAuth, a.patient).Load(t.Context())
		a.check(t, "T16a", err)
	})
	t.Run("T16b", func(t *testing.T) {
		t.Parallel()
		s, a := serve(t, bare(t, files)), &account{}
		counted(s, a, func(_ int, w http.ResponseWriter, _ func(http.ResponseWriter)) { drop(w) })
		_, err := open(t, s.url, withAuth, a.patient).Load(t.Context())
		a.check(t, "T16b", err)
	})
	t.Run("T11a", func(t *testing.T) {
		t.Parallel()
		dir := bare(t, files)
		s, a := serve(t, dir), &account{}
		started(t, s.url, withAuth)
		for name, spoil := range map[string]func(t *testing.T, pack string){
			"bytes":  func(t *testing.T, pack string) { garble(t, pack) },
			"gone":   func(t *testing.T, pack string) { must(t, os.Truncate(pack, 30)) },
			"index":  func(t *testing.T, pack string) { garble(t, strings.TrimSuffix(pack, "pack")+"idx") },
			"header": func(t *testing.T, pack string) { must(t, os.Truncate(strings.TrimSuffix(pack, "pack")+"idx", 3)) },
		} {
			place := t.TempDir()
			here := func(o *Options) { o.Dir = place }
			_, err := open(t, s.url, withAuth, here).Load(t.Context())
			must(t, err)
			packs, _ := filepath.Glob(filepath.Join(place, "git", "objects", "pack", "*.pack"))
			if len(packs) != 1 {
				t.Fatalf("%s: packs %v", name, packs)
			}
			spoil(t, packs[0])
			f, err := open(t, s.url, withAuth, here, a.patient).Load(t.Context())
			if err == nil && (f.Chain != nil || len(f.State) == 0) {
				err = fmt.Errorf("%s: it was not fetched again: %w", name, f.Chain)
			}
			a.check(t, "T11a", err)
		}
	})
	t.Run("T11b", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "remote.git") // one that need not be whole at the end
		git(t, "", "init", "-q", "--bare", "-b", "main", dir)
		push(t, dir, "main", files, "first")
		s, a := serve(t, dir), &account{}
		blob := git(t, dir, "rev-parse", "main:src/a.js")
		must(t, os.RemoveAll(filepath.Join(dir, "objects", blob[:2])))
		counted(s, a, func(_ int, w http.ResponseWriter, serve func(http.ResponseWriter)) { serve(w) })
		_, err := open(t, s.url, withAuth, a.patient).Load(t.Context())
		a.check(t, "T11b", err)
	})
	t.Run("T12", func(t *testing.T) {
		t.Parallel()
		dir := bare(t, files)
		s, a := serve(t, dir), &account{}
		r, l := started(t, s.url, withAuth, a.patient)
		git(t, dir, "branch", "-m", "main", "trunk")
		f, err := r.Load(t.Context())
		if err == nil && f.Base.Branch != "trunk" {
			err = fmt.Errorf("the base is %+v", f.Base)
		}
		a.check(t, "T12", err)
		l.save(t, r, "", "")
		_, err = open(t, s.url, withAuth, a.patient, func(o *Options) { o.Base = "main" }).Load(t.Context())
		a.check(t, "T12b", err)
	})
	t.Run("T12c", func(t *testing.T) {
		t.Parallel()
		dir := bare(t, files)
		s, a := serve(t, dir), &account{}
		old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.asked++
			http.Redirect(w, r, s.url+strings.TrimPrefix(r.URL.Path, "/old/name.git")+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
		}))
		t.Cleanup(old.Close)
		_, err := open(t, old.URL+"/old/name.git", withAuth, a.patient).Load(t.Context())
		a.check(t, "T12c", err)
	})
}

// garble changes a file in its middle.
func garble(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	for i := len(b) / 3; i < 2*len(b)/3; i++ {
		b[i] ^= 0x55
	}
	must(t, os.Chmod(path, 0o600))
	must(t, os.WriteFile(path, b, 0o600))
}

// TestRepositoryWasRenamed has a server send requests by the old name to the new
// one, as GitHub does, and saves over that way.
func TestRepositoryWasRenamed(t *testing.T) {
	t.Parallel()
	dir := bare(t, map[string]string{"README.md": "hello\n"})
	s, a := serve(t, dir), &account{}
	inner := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest, ok := strings.CutPrefix(r.URL.Path, "/old.git"); ok {
			a.asked++
			http.Redirect(w, r, s.url+rest+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
			return
		}
		inner.ServeHTTP(w, r)
	})
	r := open(t, s.URL+"/old.git", withAuth, a.patient)
	f, err := r.Load(t.Context())
	must(t, err)
	a.asked = 0
	err = r.Save(t.Context(), begin(f).next("", ""))
	a.check(t, "T12d", err)
	git(t, dir, "rev-parse", "--verify", stateRef)
}

// TestStaleLocks has the locks and temporary files of a process that died.
func TestStaleLocks(t *testing.T) {
	t.Parallel()
	dir := bare(t, map[string]string{"README.md": "hello\n"})
	place, a := t.TempDir(), &account{}
	here := func(o *Options) { o.Dir = place }
	started(t, dir, here)
	for _, name := range []string{"index.lock", "HEAD.lock", "config.lock", "shallow.lock", "packed-refs.lock", "refs/seen/state.lock", "objects/pack/tmp_pack_x", "objects/tmp_obj_x", "state.seen"} {
		must(t, os.WriteFile(filepath.Join(place, "git", name), []byte("half"), 0o600))
	}
	r := open(t, dir, here, a.patient)
	f, err := r.Load(t.Context())
	if err == nil {
		tx := begin(f).next("", "")
		err = r.Save(t.Context(), tx)
	}
	a.check(t, "T10", err)
}

// TestLockThatAKilledGitLeft has the lock of a branch in a repository on disk: one
// that git has just taken is waited for, and never taken away as long as it is
// young; one that nobody holds any more is.
func TestLockThatAKilledGitLeft(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		id     string
		ref    string
		age    time.Duration
		during func(lock string, waits int) // a pause
		stays  bool
	}{
		{id: "T10b", ref: stateRef, age: time.Minute},
		{id: "T10b", ref: workRef, age: time.Minute},
		{id: "T10c", ref: stateRef, during: func(lock string, waits int) {
			if waits == 2 {
				os.Remove(lock)
			}
		}},
		{id: "T10d", ref: stateRef, stays: true},
	} {
		dir, a := bare(t, map[string]string{"README.md": "hello\n"}), &account{}
		r, l := started(t, dir, a.patient, func(o *Options) {
			wait := o.Sleep
			o.Sleep = func(ctx context.Context, d time.Duration) error {
				err := wait(ctx, d)
				if c.during != nil {
					c.during(filepath.Join(dir, c.ref+".lock"), len(a.waits))
				}
				return err
			}
		})
		commit := work(t, r, l.state["work"].(string), "c.js", "2\n")
		lock := filepath.Join(dir, c.ref+".lock")
		must(t, os.WriteFile(lock, nil, 0o600))
		then := time.Now().Add(-c.age)
		must(t, os.Chtimes(lock, then, then))
		a.check(t, c.id, r.Save(t.Context(), l.next(commit, commit)))
		if _, err := os.Stat(lock); (err == nil) != c.stays {
			t.Errorf("%s: the lock is still there: %v", c.id, err == nil)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(lock), "*.left*")); len(left) > 0 {
			t.Errorf("%s: %q", c.id, left)
		}
		_ = os.Remove(lock)
	}
}

// TestFullDisk fills a real file system: the private directory is on one of its
// own. Where something can be cleared away that is done, once.
func TestFullDisk(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("a file system of its own needs root on Linux")
	}
	remote := bare(t, map[string]string{"README.md": "hello\n", "noise": noise(300 << 10)})
	disk := func(t *testing.T) string {
		t.Helper()
		at := t.TempDir()
		if err := syscall.Mount("tmpfs", at, "tmpfs", 0, "size=2m"); err != nil {
			t.Skipf("a file system cannot be mounted here: %v", err)
		}
		t.Cleanup(func() { must(t, syscall.Unmount(at, syscall.MNT_DETACH)) })
		return at
	}
	fill := func(t *testing.T, at string) {
		t.Helper()
		f, err := os.Create(at)
		must(t, err)
		defer f.Close()
		for block := make([]byte, 4096); ; {
			if _, err := f.Write(block); err != nil {
				return
			}
		}
	}
	for _, c := range []struct {
		id    string
		where string // what fills the disk; what begins with tmp_ is ours to clear away
		do    func(t *testing.T, r *Repo, l *loop, base string) error
	}{
		{"T9a", "elsewhere", func(t *testing.T, r *Repo, l *loop, _ string) error { return r.Save(t.Context(), l.next("", "")) }},
		{"T9b", "repo/git/objects/pack/tmp_pack_dead", func(t *testing.T, r *Repo, l *loop, _ string) error { return r.Save(t.Context(), l.next("", "")) }},
		{"T9c", "elsewhere", func(t *testing.T, r *Repo, _ *loop, base string) error { return r.Restore(t.Context(), base) }},
		{"T9d", "repo/git/objects/pack/tmp_pack_dead", func(t *testing.T, r *Repo, _ *loop, base string) error {
			if err := r.Restore(t.Context(), base); err != nil {
				return err
			}
			_, err := r.Snapshot(t.Context(), base, "all of it")
			return err
		}},
	} {
		t.Run(c.id, func(t *testing.T) {
			at, a := disk(t), &account{}
			r := open(t, remote, a.patient, func(o *Options) {
				o.Dir = filepath.Join(at, "repo")
				must(t, os.Mkdir(o.Dir, 0o755))
			})
			f := load(t, r)
			fill(t, filepath.Join(at, c.where))
			err := c.do(t, r, begin(f), f.Base.Commit)
			a.check(t, c.id, err)
			if err != nil {
				// With room again, the same is done.
				must(t, os.Remove(filepath.Join(at, c.where)))
				must(t, c.do(t, r, begin(f), f.Base.Commit))
			}
		})
	}
	t.Run("T9e", func(t *testing.T) {
		at, a := disk(t), &account{}
		r := open(t, remote, a.patient, func(o *Options) {
			o.Dir = filepath.Join(at, "repo")
			must(t, os.Mkdir(o.Dir, 0o755))
		})
		fill(t, filepath.Join(at, "elsewhere"))
		_, err := r.Load(t.Context())
		a.check(t, "T9e", err)
		must(t, os.Remove(filepath.Join(at, "elsewhere")))
		load(t, r)
	})
}

// noise is text that does not shrink.
func noise(n int) string {
	b := make([]byte, n)
	x := uint64(88172645463325252)
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[x%64]
	}
	return string(b)
}
