package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A laptop is a world without GitHub: the program runs against a repository on
// disk, with its forge in a directory there.

// plainly are the options of a run without a browser and without isolation.
var plainly = []string{"--test", "sh t/all.sh # tap", "--e2e", "off", "--isolation", "none"}

// command is the program as a person calls it, who waits for what it says.
func (w *world) command(ctx context.Context, said *os.File, options []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, w.binary, append([]string{"run", "--repo", w.Dir(repoName), "--spec", "SPEC.md", "--model", "script", "--api", "chat", "--base-url", w.url + "/v1"}, options...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = w.dir, said, said, time.Second
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "TMPDIR=" + filepath.Join(w.dir, "tmp"), "AUTONOMOUS_LOOP_CACHE=" + filepath.Join(w.dir, "cache"),
		"AUTONOMOUS_LOOP_API_KEY=sk-test-key-of-the-loop", "GIT_CONFIG_GLOBAL=/dev/null",
	}, w.env...)
	return cmd
}

// laptop runs the loop as a person does, who starts it again until it has come to
// its end: a parent, and one child for each session. The first time is run's, if
// there is one, which returns the exit code.
func (w *world) laptop(options []string, run func(cmd *exec.Cmd) int) {
	w.t.Helper()
	const most, long = 6, 10 * time.Minute
	for n := range most {
		said, err := os.Create(filepath.Join(w.dir, fmt.Sprintf("said-%d", n)))
		if err != nil {
			w.t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(w.t.Context(), long)
		cmd := w.command(ctx, said, options)
		code := -1
		if n == 0 && run != nil {
			code = run(cmd)
		} else if err := cmd.Run(); err == nil || cmd.ProcessState != nil {
			code = cmd.ProcessState.ExitCode()
		}
		late := ctx.Err()
		cancel()
		text, err := os.ReadFile(said.Name())
		if err := errors.Join(err, said.Close(), os.Remove(said.Name())); err != nil {
			w.t.Fatal(err)
		}
		w.runs = append(w.runs, fmt.Sprintf("exit status %d\n%s", code, text))
		if code == 0 && w.done() {
			return
		}
		if late != nil {
			break
		}
	}
	w.fail("the loop is not done after %d runs", len(w.runs))
}

// watched runs a command under a tracer.
func (w *world) watched(meet func(c call) death) func(cmd *exec.Cmd) int {
	return func(cmd *exec.Cmd) int {
		tr := &traced{roots: map[string]string{"repo": w.Dir(repoName), "tmp": filepath.Join(w.dir, "tmp"), "cache": filepath.Join(w.dir, "cache")}, meet: meet}
		status, err := tr.run(cmd)
		if err != nil {
			w.t.Fatal(err)
		}
		if !status.Exited() {
			return -1
		}
		return status.ExitStatus()
	}
}

// folder is what the forge of a laptop shows.
func (w *world) folder() []string {
	w.t.Helper()
	dir := filepath.Join(w.Dir(repoName), "autonomous-loop", "main")
	var names []string
	for _, name := range []string{"pull-request.md", "comment.md", "result.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			names = append(names, name)
		}
	}
	queue, err := os.ReadDir(filepath.Join(dir, "queue"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	for _, e := range queue {
		names = append(names, "queue: "+e.Name())
	}
	return names
}

var local = form{name: "laptop", binary: released}

// A moment is one at which the program is killed: at a call, the nth of its kind.
type moment struct {
	call
	nth int
	death
}

func (m moment) String() string {
	who := "all"
	if m.alone {
		who = "it alone"
	}
	return fmt.Sprintf("%s %s, the %d., %s", m.at, m.call, m.nth, who)
}

// coarse is the kind of a call: of what lies in a directory that does not outlive
// its session, only the directory.
func coarse(c call) call {
	const deepest = 4
	parts := strings.Split(c.path, "/")
	if parts[0] == "tmp" && len(parts) > deepest {
		c.path = strings.Join(parts[:deepest], "/") + "/..."
	}
	return c
}

// A meter counts calls by their kind, for several processes.
type meter struct {
	sync.Mutex
	seen map[call]int
	all  int
}

func (m *meter) count(c call) int {
	m.Lock()
	defer m.Unlock()
	m.seen[c]++
	m.all++
	return m.seen[c]
}

// moments are those of a loop that did these calls in peace: of each kind one
// early and one late. What is in the repository, where it stays, is tried before
// and after the call; of what is in a session's directory, which nobody looks at
// again, every fourth kind in turns. After what the program itself renames its
// process ends alone as well: the session's or its parent's.
func (m *meter) moments() []moment {
	var kinds []call
	for c := range m.seen {
		kinds = append(kinds, c)
	}
	slices.SortFunc(kinds, func(a, b call) int { return strings.Compare(a.String(), b.String()) })
	var all []moment
	for i, c := range kinds {
		early, late := moment{c, 1, death{at: after}}, moment{c, m.seen[c], death{at: before}}
		switch {
		case !strings.HasPrefix(c.path, "tmp/"):
			all = append(all, early, late)
			if c.by == programName && c.what == "rename" {
				alone := early
				alone.alone = true
				all = append(all, alone)
			}
		case i%8 == 0:
			all = append(all, early)
		case i%8 == 4:
			late.alone = i%16 == 4 && c.by == programName
			all = append(all, late)
		}
	}
	return all
}

const programName = "released"

// sampled are the moments that make test tries: those after which most is left
// lying about.
func sampled(m moment) bool {
	return slices.Contains([]string{
		"after git-receive-pac open repo/refs/heads/autonomous-loop-state/main.lock, the 1., all",
		"before git-receive-pac rename repo/refs/heads/autonomous-loop/main, the 2., all",
		"after released rename repo/autonomous-loop/main/queue/N.json, the 1., it alone",
	}, m.String())
}

// TestKillAtEveryChangeOnDisk kills the program on a laptop before and after the
// system calls by which it, and git for it, change something on the disk: at an
// early and at a late one of each kind. Started again, the loop comes to the same
// end, and nothing is left in the temporary directory.
func TestKillAtEveryChangeOnDisk(t *testing.T) {
	in := local.world(t)
	m := &meter{seen: map[call]int{}}
	begun := time.Now()
	in.laptop(plainly, in.watched(func(c call) death { m.count(coarse(c)); return death{} }))
	g := golden{projection: in.project(), asked: in.asked, took: time.Since(begun)}
	folder := in.folder()
	if len(g.Flaws) > 0 || len(g.Leftover) > 0 || g.Status != runner.Done || !slices.Equal(folder, []string{"pull-request.md", "comment.md", "result.json"}) {
		in.fail("in peace it comes to %+v, %q", g.projection, folder)
	}
	if t.Failed() {
		return
	}
	all := m.moments()
	t.Logf("in peace %d changes on the disk, of %d kinds, %d questions, %.1f s", m.all, len(m.seen), g.asked, g.took.Seconds())
	c := count{begun: time.Now()}
	t.Run("moments", func(t *testing.T) {
		for _, at := range all {
			if !deep && !sampled(at) {
				continue
			}
			t.Run(strings.ReplaceAll(at.String(), "/", "|"), func(t *testing.T) {
				t.Parallel()
				w := local.world(t)
				m := &meter{seen: map[call]int{}}
				w.laptop(plainly, w.watched(func(c call) death {
					if c = coarse(c); c == at.call && m.count(c) == at.nth {
						w.met++
						return at.death
					}
					return death{}
				}))
				w.same(g, 1)
				if d := cmp.Diff(folder, w.folder()); d != "" {
					w.fail("the folder of the forge (-peace +this):\n%s", d)
				}
				c.add(w)
			})
		}
	})
	c.tell(t, "kills")
	// Not each run makes as many calls of each kind as the one in peace.
	if c.met*10 < c.executions*9 || c.executions < 3 {
		t.Errorf("%d of %d were killed", c.met, c.executions)
	}
}
