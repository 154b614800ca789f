package repo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sizes are the trees that the benchmarks look at: all of them with BENCH=full,
// which takes hours on a busy machine, else what a few minutes are enough for.
func sizes() []size {
	if os.Getenv("BENCH") == "full" {
		changes := []int{0, 1, 10, 1000}
		return []size{
			{1000, 0, changes},
			{1000, 50_000, changes},
			{50_000, 0, changes},
			{50_000, 50_000, changes},
			{200_000, 0, changes},
			{200_000, 50_000, changes},
		}
	}
	return []size{{1000, 0, []int{0, 10, 1000}}, {10_000, 10_000, []int{0, 10, 1000}}}
}

type size struct {
	files, ignored int
	changes        []int // how many files change from one checkpoint to the next
}

func (s size) String() string {
	if s.ignored > 0 {
		return fmt.Sprintf("%d files and %d ignored", s.files, s.ignored)
	}
	return fmt.Sprintf("%d files", s.files)
}

// A race is a benchmark in which we and the git command line do the same work
// in turns, on files of their own, so that a busy machine slows down both. It
// reports ours/git, in time and in processor time, of the medians: below 1 we
// are faster.
type race struct {
	prepare, us, them func(round int)
}

// What one side took, round by round.
type took struct{ wall, cpu []time.Duration }

func (k *took) add(b *testing.B, do func()) {
	b.Helper()
	start, cpu := time.Now(), used(b)
	do()
	k.wall = append(k.wall, time.Since(start))
	k.cpu = append(k.cpu, used(b)-cpu)
}

func (r race) run(b *testing.B) {
	b.Helper()
	var ours, git took
	for b.Loop() {
		b.StopTimer()
		round := len(git.wall)
		r.prepare(round)
		git.add(b, func() { r.them(round) })
		b.StartTimer()
		ours.add(b, func() { r.us(round) })
	}
	b.ReportMetric(float64(median(ours.wall))/float64(median(git.wall)), "ours/git")
	b.ReportMetric(float64(median(ours.cpu))/float64(median(git.cpu)), "ours/git-cpu")
	b.ReportMetric(median(ours.cpu).Seconds()*1000, "cpu-ms/op")
}

func median[T cmp.Ordered](of []T) T {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}

// used is the processor time of this process and of those that it started.
func used(b *testing.B) time.Duration {
	b.Helper()
	var sum time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

// large is a repository of many files in directories of about ten, laid out,
// and a clone of it by git.
type large struct {
	size

	r           *Repo
	base, clone string
	round       int // of changes
}

func newLarge(b *testing.B, s size) *large {
	b.Helper()
	remote := bare(b, nil)
	fill(b, remote, s.files)
	r := open(b, remote)
	l := &large{size: s, r: r, base: load(b, r).Base.Commit, clone: b.TempDir()}
	if err := r.Restore(b.Context(), l.base); err != nil {
		b.Fatal(err)
	}
	git(b, l.clone, "clone", "-q", remote, ".")
	git(b, l.clone, "config", "gc.auto", "0") // it would run into somebody's round
	for _, dir := range []string{r.Work(), l.clone} {
		for i := range s.ignored {
			write(b, dir, map[string]string{"node_modules/" + name(i): "ignored\n"})
		}
	}
	return l
}

// fill commits files to a bare repository.
func fill(b *testing.B, remote string, files int) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), "git", "fast-import", "--quiet")
	cmd.Dir, cmd.Stderr = remote, os.Stderr
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	fmt.Fprintf(in, "commit refs/heads/main\ncommitter Jane <jane@example.invalid> 1780000000 +0000\ndata 1\nx\n")
	fmt.Fprintf(in, "M 100644 inline .gitignore\ndata 14\nnode_modules/\n\n")
	for i := range files {
		var text []byte
		for line := range 20 + i%60 {
			text = fmt.Appendf(text, "line %d of it\n", i*31+line)
		}
		fmt.Fprintf(in, "M 100644 inline %s\ndata %d\n%s\n", name(i), len(text), text)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
}

func name(i int) string { return fmt.Sprintf("d%d/e%d/f%d.txt", i/100, i/10, i) }

// change writes n of the files anew, other ones in each round and spread over
// the tree.
func (l *large) change(b *testing.B, n int) {
	b.Helper()
	l.round++
	for k := range n {
		for _, dir := range []string{l.r.Work(), l.clone} {
			text := fmt.Appendf(nil, "changed in round %d of %s, file %d\n", l.round, dir, k)
			at := name((k*max(1, l.files/max(n, 1)) + l.round) % l.files)
			if err := os.WriteFile(filepath.Join(dir, at), text, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// commit records the clone's files with git as a person does.
func (l *large) commit(b *testing.B) {
	b.Helper()
	git(b, l.clone, "add", "-A")
	git(b, l.clone, "commit", "-qm", "x")
}

// snapshot records the work tree as the loop does: again and again on the same
// commit.
func (l *large) snapshot(b *testing.B) string {
	b.Helper()
	s, err := l.r.Snapshot(b.Context(), l.base, "x")
	if err != nil {
		b.Fatal(err)
	}
	return s.Commit
}

// BenchmarkCheckpoint is a checkpoint in the running process beside git add -A
// && git commit; of an unchanged tree, its name beside git status.
func BenchmarkCheckpoint(b *testing.B) {
	for _, s := range sizes() {
		b.Run(s.String(), func(b *testing.B) {
			l := newLarge(b, s)
			l.snapshot(b)
			git(b, l.clone, "status")
			for _, n := range s.changes {
				b.Run(fmt.Sprintf("%d changed", n), func(b *testing.B) {
					r := race{prepare: func(int) { l.change(b, n) }, us: func(int) { l.snapshot(b) }, them: func(int) { l.commit(b) }}
					if n == 0 {
						r.them = func(int) { git(b, l.clone, "status", "--porcelain") }
					}
					r.run(b)
				})
			}
			for _, n := range s.changes {
				b.Run(fmt.Sprintf("watched, %d changed", n), func(b *testing.B) {
					draft := func() {
						if _, err := l.r.Draft(b.Context(), l.base, "x"); err != nil {
							b.Fatal(err)
						}
					}
					draft() // which sets the watches
					r := race{prepare: func(int) { l.change(b, n) }, us: func(int) { draft() }, them: func(int) { l.commit(b) }}
					if n == 0 {
						r.them = func(int) { git(b, l.clone, "status", "--porcelain") }
					}
					r.run(b)
				})
			}
			b.Run("fresh process, 10 changed", func(b *testing.B) { l.fresh(b) })
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			runtime.KeepAlive(l.r)
			b.Logf("%d MB of memory in use after it", m.HeapAlloc>>20)
		})
	}
}

// fresh is a checkpoint in a process that starts for it and finds the private
// directory as another one left it.
func (l *large) fresh(b *testing.B) {
	var peaks []int
	tip := l.snapshot(b)
	snapshot := func() {
		kb, out := l.child(b, childOptions{What: "snapshot", Base: tip})
		peaks, tip = append(peaks, kb), out
	}
	snapshot()
	peaks = nil
	race{
		prepare: func(int) { l.change(b, 10) },
		them:    func(int) { l.commit(b) },
		us:      func(int) { snapshot() },
	}.run(b)
	b.ReportMetric(float64(median(peaks)>>10), "peak-MB")
}

// BenchmarkResume is the begin of a session: both branches read and checked,
// the work tree laid, and the names that the first message needs, in a fresh
// process. If it finds a private directory git fetch and git reset --hard stand
// beside it, else git clone.
func BenchmarkResume(b *testing.B) {
	for _, s := range sizes() {
		b.Run(s.String(), func(b *testing.B) {
			l := newLarge(b, s)
			chain := begin(load(b, l.r))
			chain.save(b, l.r, "", "")
			chain.save(b, l.r, l.snapshot(b), "")
			l.child(b, childOptions{What: "resume"})
			b.Run("of a directory", func(b *testing.B) {
				race{
					prepare: func(int) {},
					them: func(int) {
						git(b, l.clone, "fetch", "-q")
						git(b, l.clone, "reset", "-q", "--hard")
					},
					us: func(int) { l.child(b, childOptions{What: "resume"}) },
				}.run(b)
			})
			b.Run("of nothing", func(b *testing.B) {
				var ours, theirs string
				race{
					prepare: func(int) {
						for _, dir := range []string{ours, theirs} {
							if err := os.RemoveAll(dir); dir != "" && err != nil {
								b.Fatal(err)
							}
						}
						ours, theirs = b.TempDir(), b.TempDir()
					},
					them: func(int) { git(b, theirs, "clone", "-q", l.r.o.Remote, ".") },
					us:   func(int) { l.child(b, childOptions{What: "resume", Dir: ours}) },
				}.run(b)
			})
		})
	}
}

// child runs this program once more, to do one thing to the repository, and
// says how many kilobytes of memory it took at most, and what it wrote.
func (l *large) child(b *testing.B, c childOptions) (kb int, said string) {
	b.Helper()
	c.Remote, c.Dir = l.r.o.Remote, cmp.Or(c.Dir, l.r.o.Dir)
	cmd := childCommand(b, b.Context(), c)
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	if _, err := fmt.Sscan(string(out), &kb, &said); err != nil && !errors.Is(err, io.EOF) {
		b.Fatalf("%v: %q", err, out)
	}
	return kb, said
}

// peak is how many kilobytes of memory this process took at most. What wait
// says of a child counts what its parent had when it was forked.
func peak() (kb int) {
	status, _ := os.ReadFile("/proc/self/status")
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	_, _ = fmt.Sscan(after, &kb) // 0 where there is no such file
	return kb
}

const childEnv = "REPO_BENCH_CHILD"

type childOptions struct{ What, Remote, Dir, Base string }

func (c childOptions) encode(tb testing.TB) string {
	tb.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// TestMain lets this program be its own child.
func TestMain(m *testing.M) {
	text, ok := os.LookupEnv(childEnv)
	if !ok {
		os.Exit(m.Run())
	}
	if err := child([]byte(text)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func child(text []byte) error {
	var c childOptions
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	ctx := context.Background()
	r, err := Open(ctx, Options{Remote: c.Remote, Dir: c.Dir, StateBranch: stateRef, WorkBranch: workRef, Author: author, Now: time.Now})
	if err != nil {
		return err
	}
	if c.What == "snapshot" {
		s, err := r.Snapshot(ctx, c.Base, "x")
		fmt.Println(peak(), s.Commit)
		return err
	}
	for n := 0; c.What == "remember"; n++ {
		if err := os.WriteFile(filepath.Join(r.Work(), name(n%800)), fmt.Appendf(nil, "%d\n", n), 0o600); err != nil {
			return err
		}
		if _, err := r.Snapshot(ctx, c.Base, "x"); err != nil {
			return err
		}
		r.index.fresh = 1 << 20
	}
	found, err := r.Load(ctx)
	if err != nil {
		return err
	}
	var said struct{ Code string }
	if err := json.Unmarshal(found.State, &said); err != nil {
		return err
	}
	if err := r.Restore(ctx, said.Code); err != nil {
		return err
	}
	_, err = r.List(ctx)
	fmt.Println(peak())
	return err
}

// BenchmarkRollback lays the work tree at one commit after the other, beside
// git reset --hard && git clean -fd.
func BenchmarkRollback(b *testing.B) {
	for _, s := range sizes() {
		b.Run(s.String(), func(b *testing.B) {
			l := newLarge(b, s)
			for _, n := range s.changes {
				if n == 0 {
					continue
				}
				b.Run(fmt.Sprintf("%d changed", n), func(b *testing.B) {
					race{
						prepare: func(int) {
							l.change(b, n)
							for _, dir := range []string{l.r.Work(), l.clone} {
								write(b, dir, map[string]string{"new/file": "x\n"})
							}
						},
						us: func(int) {
							if err := l.r.Restore(b.Context(), l.base); err != nil {
								b.Fatal(err)
							}
						},
						them: func(int) {
							git(b, l.clone, "reset", "-q", "--hard")
							git(b, l.clone, "clean", "-q", "-fd")
						},
					}.run(b)
				})
			}
		})
	}
}

// BenchmarkPush pushes a checkpoint of ten files, with the transaction that
// speaks of it, beside a git push of a commit of ten files.
func BenchmarkPush(b *testing.B) {
	for _, s := range sizes() {
		for _, kind := range []string{"path", "http"} {
			b.Run(s.String()+", "+kind, func(b *testing.B) {
				l := newLarge(b, s)
				r := l.r
				at := r.o.Remote
				if kind == "http" {
					at = serve(b, at).url
					m, err := newRemote(at, Auth{"x-access-token", password})
					if err != nil {
						b.Fatal(err)
					}
					r.remote = m
				}
				chain := begin(load(b, r))
				chain.save(b, r, "", "")
				var code string
				race{
					prepare: func(int) {
						l.change(b, 10)
						code = l.snapshot(b)
						l.commit(b)
					},
					us: func(int) { chain.save(b, r, code, "") },
					them: func(int) {
						git(b, l.clone, "-c", "http.extraHeader=Authorization: "+basic(), "push", "-q", at, "HEAD:refs/heads/theirs")
					},
				}.run(b)
			})
		}
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
