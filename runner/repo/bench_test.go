package repo

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The benchmarks report what the same work costs with the git command line, on
// the same files, as the ratio git/ours.

// large is a repository of n files in directories of about ten.
func large(b *testing.B, n int) (dir string, r *Repo, base string) {
	b.Helper()
	files := map[string]string{}
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		var text []byte
		for range 20 + rnd.IntN(60) {
			text = fmt.Appendf(text, "line %d of it\n", rnd.IntN(1000))
		}
		files[fmt.Sprintf("d%d/e%d/f%d.txt", i/100, i/10, i)] = string(text)
	}
	dir = bare(b, files)
	r = open(b, dir)
	base = load(b, r).Base.Commit
	if err := r.Restore(b.Context(), base); err != nil {
		b.Fatal(err)
	}
	return dir, r, base
}

func change(b *testing.B, dir string, files, round, n int) {
	b.Helper()
	for k := range n {
		i := (round*n + k) % files
		p := filepath.Join(dir, fmt.Sprintf("d%d/e%d/f%d.txt", i/100, i/10, i))
		if err := os.WriteFile(p, fmt.Appendf(nil, "changed in round %d, file %d\n", round, k), 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

func ratio(b *testing.B, theirs time.Duration, n int) {
	ours := b.Elapsed() / time.Duration(b.N)
	b.ReportMetric(float64(theirs/time.Duration(n))/float64(ours), "git/ours")
}

func BenchmarkSnapshot(b *testing.B) {
	for _, size := range []struct{ files, changed int }{{1000, 10}, {1000, 1000}, {20000, 10}} {
		b.Run(fmt.Sprintf("%d of %d", size.changed, size.files), func(b *testing.B) {
			_, r, base := large(b, size.files)
			time.Sleep(50 * time.Millisecond) // else every file is too young to be trusted
			round := 0
			for b.Loop() {
				b.StopTimer()
				change(b, r.Work(), size.files, round, size.changed)
				round++
				b.StartTimer()
				if _, err := r.Snapshot(b.Context(), base, "x"); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			clone := b.TempDir()
			git(b, clone, "clone", "-q", r.o.Remote, ".")
			var theirs time.Duration
			const n = 5
			for k := range n {
				change(b, clone, size.files, round+k, size.changed)
				start := time.Now()
				git(b, clone, "add", "-A")
				git(b, clone, "write-tree")
				theirs += time.Since(start)
			}
			ratio(b, theirs, n)
		})
	}
}

func BenchmarkRestore(b *testing.B) {
	_, r, base := large(b, 1000)
	change(b, r.Work(), 1000, 0, 1000)
	s, err := r.Snapshot(b.Context(), base, "x")
	if err != nil {
		b.Fatal(err)
	}
	ids := []string{base, s.Commit}
	for n := 0; b.Loop(); n++ {
		if err := r.Restore(b.Context(), ids[n%2]); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	gitDir := filepath.Join(r.o.Dir, "git")
	dir := b.TempDir()
	env := []string{"GIT_DIR=" + gitDir, "GIT_WORK_TREE=" + dir, "GIT_INDEX_FILE=" + filepath.Join(b.TempDir(), "i")}
	var theirs time.Duration
	const n = 6
	for k := range n {
		start := time.Now()
		if out, err := gitErr(dir, env, "-c", "core.bare=false", "read-tree", "--reset", "-u", ids[k%2]); err != nil {
			b.Fatal(out)
		}
		if k > 0 { // the first writes an index
			theirs += time.Since(start)
		}
	}
	ratio(b, theirs, n-1)
}

func BenchmarkPush(b *testing.B) {
	for _, kind := range []string{"path", "http"} {
		b.Run(kind, func(b *testing.B) {
			dir, r, base := large(b, 1000)
			at := dir
			if kind == "http" {
				at = serve(b, dir).url
				m, err := newRemote(at, Auth{"x-access-token", password})
				if err != nil {
					b.Fatal(err)
				}
				r.remote = m
			}
			l := begin(load(b, r))
			l.save(b, r, "", "")
			round := 0
			for b.Loop() {
				b.StopTimer()
				change(b, r.Work(), 1000, round, 10)
				round++
				s, err := r.Snapshot(b.Context(), base, "x")
				if err != nil {
					b.Fatal(err)
				}
				tx := l.next(s.Commit, "")
				b.StartTimer()
				save(b, r, tx)
				b.StopTimer()
				l.saved(tx)
				b.StartTimer()
			}
			b.StopTimer()
			clone := b.TempDir()
			git(b, clone, "clone", "-q", dir, ".")
			var theirs time.Duration
			const n = 8
			for k := range n {
				change(b, clone, 1000, 5000+k, 10)
				git(b, clone, "add", "-A")
				git(b, clone, "commit", "-qm", "x")
				start := time.Now()
				git(b, clone, "-c", "http.extraHeader=Authorization: "+basic(), "push", "-q", at, "HEAD:refs/heads/theirs")
				theirs += time.Since(start)
			}
			ratio(b, theirs, n)
		})
	}
}

func BenchmarkLoadLongChain(b *testing.B) {
	dir := bare(b, map[string]string{"README.md": "hello\n"})
	r := open(b, dir)
	l := begin(load(b, r))
	pad := make([]byte, 30<<10)
	for i := range pad {
		pad[i] = "0123456789abcdef"[i%16]
	}
	l.state["pad"] = string(pad)
	for range 100 {
		l.save(b, r, "", "")
	}
	for b.Loop() {
		if f := load(b, r); f.Chain != nil {
			b.Fatal(f.Chain)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/101, "us/transaction")
}
