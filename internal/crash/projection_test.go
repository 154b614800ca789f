package crash

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A projection is what a loop came to, without what may differ between one that
// was killed and one that was left in peace: times, ids, and how often it tried.
type projection struct {
	Status   runner.LoopStatus
	Verdicts map[string]string
	Tree     string // of the work branch
	Refs     []string
	Pulls    int // open
	Comments int // with the loop's marker, on all pull requests
	Leftover []string
	Flaws    []string // of the history
}

const (
	stateRef = "refs/heads/autonomous-loop-state/main"
	workRef  = "refs/heads/autonomous-loop/main"
)

func (w *world) git(args ...string) string {
	w.t.Helper()
	out, err := w.tryGit(nil, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func (w *world) tryGit(stdin []byte, args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"-C", w.Dir(repoName)}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}

// A step is one transaction of the state branch, as it is read from git alone.
type step struct {
	commit string
	object string // the commit itself
	state  []byte
	runner.State
}

// history reads the state branch, the last transaction first.
func (w *world) history() []step {
	w.t.Helper()
	list, err := w.tryGit(nil, "rev-list", "--first-parent", stateRef)
	if err != nil {
		return nil // there is none yet
	}
	commits := strings.Fields(list)
	var ask strings.Builder
	for _, c := range commits {
		fmt.Fprintf(&ask, "%s\n%s:state.json\n", c, c)
	}
	out, err := w.tryGit([]byte(ask.String()), "cat-file", "--batch")
	if err != nil {
		w.t.Fatal(err)
	}
	next := func() string {
		head, rest, _ := strings.Cut(out, "\n")
		var id, kind string
		var size int
		if _, err := fmt.Sscan(head, &id, &kind, &size); err != nil {
			w.t.Fatalf("git cat-file says %q", head)
		}
		out = rest[size+1:]
		return rest[:size]
	}
	var all []step
	for _, c := range commits {
		s := step{commit: c, object: next()}
		s.state = []byte(next())
		if err := json.Unmarshal(s.state, &s.State); err != nil {
			w.t.Fatalf("%s: state.json: %v", c, err)
		}
		all = append(all, s)
	}
	return all
}

// flaws says what is wrong with a history: the chain of transactions, the owners
// that claimed it, and what stands on the work branch. It holds at any moment,
// also when a process has just been killed.
func (w *world) flaws(all []step) []string {
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	owners := map[string]int{}
	for i, s := range all {
		sum := sha256.Sum256(s.state)
		if !strings.Contains(s.object, "\nLoop-State: "+hex.EncodeToString(sum[:])+"\n") || !strings.Contains(s.object, fmt.Sprintf("\nLoop-Serial: %d\n", s.Serial)) {
			say("transaction %d: its trailers do not name it", s.Serial)
		}
		if s.Serial != len(all)-i {
			say("transaction %d is number %d", s.Serial, len(all)-i)
		}
		parents := regexp.MustCompile(`(?m)^parent (\S+)$`).FindAllStringSubmatch(s.object, -1)
		if i == len(all)-1 {
			if s.Prev != "" || len(parents) != 0 {
				say("transaction %d is the first and follows another", s.Serial)
			}
			owners[fmt.Sprint(*s.Owner)]++
			continue
		}
		before := all[i+1]
		sum = sha256.Sum256(before.state)
		if s.Prev != hex.EncodeToString(sum[:]) || s.Lineage != before.Lineage {
			say("transaction %d does not follow from the one before", s.Serial)
		}
		if len(parents) != 2 || parents[0][1] != before.commit || parents[1][1] != s.Code {
			say("transaction %d has the parents %v", s.Serial, parents)
		}
		if s.Epoch != before.Epoch {
			owners[fmt.Sprint(*s.Owner)]++
			if s.Epoch != before.Epoch+1 || s.Spent.Sessions != before.Spent.Sessions+1 {
				say("transaction %d claims epoch %d after %d", s.Serial, s.Epoch, before.Epoch)
			}
		}
	}
	for owner, n := range owners {
		if n != 1 {
			say("%s claimed %d times", owner, n)
		}
	}
	// A serial has one successor that was asked for, at most.
	asked := map[string]int{}
	for _, r := range w.Runs(repoName) {
		if r.Event == "workflow_dispatch" && r.Inputs["serial"] != "" {
			asked[r.Inputs["serial"]]++
		}
	}
	for serial, n := range asked {
		if n != 1 {
			say("%d successors were asked for after %s", n, serial)
		}
	}
	// I1: the work branch holds what was verified as a whole, and nothing else.
	if len(all) > 0 {
		tip := all[0].State
		at, err := w.tryGit(nil, "rev-parse", "-q", "--verify", workRef)
		if at = strings.TrimSpace(at); err == nil && at != tip.Work {
			ok := false
			for _, s := range all {
				ok = ok || at == s.Work
			}
			if !ok {
				say("the work branch is at %s, which was never verified", at)
			}
		}
	}
	return wrong
}

var pullMark = regexp.MustCompile(`^<!-- autonomous-loop:`)

func (w *world) project() projection {
	w.t.Helper()
	all := w.history()
	if len(all) == 0 {
		return projection{Flaws: []string{"there is no state branch"}}
	}
	p := projection{Verdicts: map[string]string{}, Flaws: w.flaws(all)}
	list := w.git("show", stateRef+":feature_list.json")
	st, err := runner.Decode(all[0].state, []byte(list+"\n"))
	if err != nil {
		p.Flaws = append(p.Flaws, err.Error())
		return p
	}
	p.Status = st.Status
	if st.Owner != nil {
		p.Flaws = append(p.Flaws, fmt.Sprintf("%v still owns the loop", *st.Owner))
	}
	for _, f := range st.Features {
		p.Verdicts[f.ID] = fmt.Sprintf("%s, %s", f.Status, f.Outcome)
	}
	p.Tree = w.git("rev-parse", workRef+"^{tree}")
	p.Refs = strings.Fields(w.git("for-each-ref", "--format=%(refname)"))
	for _, pull := range w.Pulls(repoName) {
		if pull.State == "open" {
			p.Pulls++
		}
		for _, c := range w.Comments(repoName, pull.Number) {
			if pullMark.MatchString(c.Body) {
				p.Comments++
			}
		}
	}
	p.Leftover, _ = filepath.Glob(filepath.Join(w.dir, "tmp", "autonomous-loop-*"))
	// The program's own word on the branches.
	cmd := exec.Command(w.binary, "verify", "--no-run", "--repo", w.Dir(repoName))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "TMPDIR=" + w.dir}
	if out, err := cmd.CombinedOutput(); err != nil {
		p.Flaws = append(p.Flaws, fmt.Sprintf("verify: %v: %s", err, out))
	}
	slices.Sort(p.Refs)
	return p
}

// done says whether the loop has come to its end.
func (w *world) done() bool {
	all := w.history()
	return len(all) > 0 && (all[0].Status == runner.Done || all[0].Status == runner.DoneWithExcept)
}
