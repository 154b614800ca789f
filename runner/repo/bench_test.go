package repo

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A race is a benchmark in which we and the git command line do the same work
// in turns, on files of their own, so that a busy machine slows down both. It
// reports git/ours, in time and in processor time: above 1 we are faster.
type race struct {
	ours, git         time.Duration
	oursCPU, gitCPU   time.Duration
	rounds            int
	prepare, us, them func(round int)
}

func (r *race) run(b *testing.B) {
	b.Helper()
	for b.Loop() {
		b.StopTimer()
		r.prepare(r.rounds)
		start, cpu := time.Now(), used(b, syscall.RUSAGE_CHILDREN)
		r.them(r.rounds)
		r.git += time.Since(start)
		r.gitCPU += used(b, syscall.RUSAGE_CHILDREN) - cpu
		start, cpu = time.Now(), used(b, syscall.RUSAGE_SELF)+used(b, syscall.RUSAGE_CHILDREN)
		b.StartTimer()
		r.us(r.rounds)
		r.ours += time.Since(start)
		r.oursCPU += used(b, syscall.RUSAGE_SELF) + used(b, syscall.RUSAGE_CHILDREN) - cpu
		r.rounds++
	}
	b.ReportMetric(float64(r.git)/float64(r.ours), "git/ours")
	b.ReportMetric(float64(r.gitCPU)/float64(r.oursCPU), "git/ours-cpu")
	b.ReportMetric(float64(r.oursCPU.Microseconds())/1000/float64(r.rounds), "cpu-ms/op")
}

func used(b *testing.B, who int) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// large is a repository of n files in directories of about ten, laid out, and a
// clone of it by git.
func large(b *testing.B, n int) (r *Repo, base, clone string) {
	b.Helper()
	files := map[string]string{}
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		var text []byte
		for range 20 + rnd.IntN(60) {
			text = fmt.Appendf(text, "line %d of it\n", rnd.IntN(1000))
		}
		files[name(i)] = string(text)
	}
	r = open(b, bare(b, files))
	base = load(b, r).Base.Commit
	if err := r.Restore(b.Context(), base); err != nil {
		b.Fatal(err)
	}
	clone = b.TempDir()
	git(b, clone, "clone", "-q", r.o.Remote, ".")
	return r, base, clone
}

func name(i int) string { return fmt.Sprintf("d%d/e%d/f%d.txt", i/100, i/10, i) }

// change writes n of the files anew, other ones in each round.
func change(b *testing.B, dir string, files, round, n int) {
	b.Helper()
	for k := range n {
		text := fmt.Appendf(nil, "changed in round %d of %s, file %d\n", round, dir, k)
		if err := os.WriteFile(filepath.Join(dir, name((round*n+k)%files)), text, 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSnapshot(b *testing.B) {
	for _, size := range []struct{ files, changed int }{{1000, 10}, {1000, 1000}, {20000, 10}} {
		b.Run(fmt.Sprintf("%d of %d", size.changed, size.files), func(b *testing.B) {
			r, base, clone := large(b, size.files)
			(&race{
				prepare: func(round int) {
					change(b, r.Work(), size.files, round, size.changed)
					change(b, clone, size.files, round, size.changed)
				},
				us: func(int) {
					if _, err := r.Snapshot(b.Context(), base, "x"); err != nil {
						b.Fatal(err)
					}
				},
				them: func(int) {
					git(b, clone, "add", "-A")
					git(b, clone, "write-tree")
				},
			}).run(b)
		})
	}
}

func BenchmarkRestore(b *testing.B) {
	for _, changed := range []int{10, 1000} {
		b.Run(fmt.Sprintf("%d of 1000", changed), func(b *testing.B) {
			r, base, clone := large(b, 1000)
			change(b, r.Work(), 1000, 0, changed)
			s, err := r.Snapshot(b.Context(), base, "x")
			if err != nil {
				b.Fatal(err)
			}
			change(b, clone, 1000, 0, changed)
			git(b, clone, "commit", "-qam", "x")
			ids, theirs := []string{base, s.Commit}, []string{base, git(b, clone, "rev-parse", "HEAD")}
			(&race{
				prepare: func(int) {},
				us: func(round int) {
					if err := r.Restore(b.Context(), ids[round%2]); err != nil {
						b.Fatal(err)
					}
				},
				them: func(round int) {
					git(b, clone, "reset", "-q", "--hard", theirs[round%2])
					git(b, clone, "clean", "-q", "-fd")
				},
			}).run(b)
		})
	}
}

func BenchmarkPush(b *testing.B) {
	for _, kind := range []string{"path", "http"} {
		b.Run(kind, func(b *testing.B) {
			r, base, clone := large(b, 1000)
			at := r.o.Remote
			if kind == "http" {
				at = serve(b, at).url
				m, err := newRemote(at, Auth{"x-access-token", password})
				if err != nil {
					b.Fatal(err)
				}
				r.remote = m
			}
			l := begin(load(b, r))
			l.save(b, r, "", "")
			var code string
			(&race{
				prepare: func(round int) {
					change(b, r.Work(), 1000, round, 10)
					s, err := r.Snapshot(b.Context(), base, "x")
					if err != nil {
						b.Fatal(err)
					}
					code = s.Commit
					change(b, clone, 1000, round, 10)
					git(b, clone, "commit", "-qam", "x")
				},
				us: func(int) { l.save(b, r, code, "") },
				them: func(int) {
					git(b, clone, "-c", "http.extraHeader=Authorization: "+basic(), "push", "-q", at, "HEAD:refs/heads/theirs")
				},
			}).run(b)
		})
	}
}

func BenchmarkLoadLongChain(b *testing.B) {
	r := open(b, bare(b, map[string]string{"README.md": "hello\n"}))
	l := begin(load(b, r))
	pad := make([]byte, 30<<10)
	for i := range pad {
		pad[i] = "0123456789abcdef"[i%16]
	}
	l.state["pad"] = string(pad)
	const transactions = 100
	for range transactions {
		l.save(b, r, "", "")
	}
	for b.Loop() {
		if f := load(b, r); f.Chain != nil {
			b.Fatal(f.Chain)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/transactions, "us/transaction")
}
