package crash

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/repo"
)

// A driver is one of several sessions that start on the same transaction: the
// real session and the real repository, over HTTP to a real git. What stands
// between it and the model and the forge only counts.
type driver struct {
	runner.Forge // what it is not asked
	race         *race
	number       int
	asked        int // of the model
	res          runner.LoopResult
	err          error
	over         chan struct{} // closed when it is over
	claimed      chan struct{} // closed when it asks the model for the first time: it takes itself for the owner
	at           chan gate     // it waits before a request
	gates        int           // requests that it still waits before
}

// A gate is a request that waits for its turn.
type gate struct{ open, served chan struct{} }

// gated are how many requests of a claim have turns: what is there, what is there
// now, and the push.
const gated = 3

// A race is an execution: which driver's request is served next, and next.
type race struct {
	*fakegithub.Server
	name    string // of its runs
	t       *testing.T
	url     string
	drivers []*driver
	owners  atomic.Int32
	spoilt  chan struct{} // closed when a second driver takes itself for the owner: nobody waits for anybody then
	free    chan struct{} // closed when all turns were taken: a driver that asked too early has not had all of its own
}

func newRace(t *testing.T, name, template string, n int) *race {
	dir := t.TempDir()
	if out, err := exec.Command("cp", "-r", template+"/.", dir).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	r := &race{Server: fakegithub.New(fakegithub.Options{Root: dir, Token: jobToken}), name: name, t: t, spoilt: make(chan struct{}), free: make(chan struct{})}
	if err := r.AddRepo(repoName); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL
	for i := range n {
		r.AddToken(fmt.Sprint("driver", i), fakegithub.Actor{Login: fakegithub.Bot, ID: fakegithub.BotID, App: true, Perms: fakegithub.DefaultPermissions()})
		r.drivers = append(r.drivers, &driver{race: r, number: i, over: make(chan struct{}), claimed: make(chan struct{}), at: make(chan gate), gates: gated})
	}
	return r
}

// ServeHTTP serves a driver's request when it is its turn.
func (r *race) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	_, token, _ := req.BasicAuth()
	var d *driver
	for _, o := range r.drivers {
		if token == fmt.Sprint("driver", o.number) {
			d = o
		}
	}
	first := req.URL.Query().Get("service") == "git-upload-pack" && d != nil && d.gates == gated
	push := req.URL.Query().Get("service") == "git-receive-pack" || strings.HasSuffix(req.URL.Path, "/git-receive-pack")
	if d == nil || d.gates == 0 || !first && !push {
		r.Server.ServeHTTP(w, req)
		return
	}
	d.gates--
	g := gate{make(chan struct{}), make(chan struct{})}
	select {
	case d.at <- g:
		<-g.open
	case <-r.spoilt:
	case <-r.free:
	}
	r.Server.ServeHTTP(w, req)
	_ = http.NewResponseController(w).Flush()
	close(g.served)
}

// drive serves the requests in the order of turns, and then all that come.
func (r *race) drive(turns []int) {
	for _, d := range r.drivers {
		go d.run()
	}
	for _, n := range turns {
		d := r.drivers[n]
		select {
		case g := <-d.at:
			close(g.open)
			<-g.served
		case <-d.over: // it has left already
		case <-d.claimed: // without all of its turns
		case <-r.spoilt:
		}
	}
	close(r.free)
	for _, d := range r.drivers {
		<-d.over
	}
}

func (d *driver) run() {
	defer close(d.over)
	dir := d.race.t.TempDir()
	r, err := repo.Open(context.Background(), repo.Options{
		Remote: d.race.url + "/" + repoName + ".git", Auth: repo.Auth{User: "x-access-token", Token: fmt.Sprint("driver", d.number)}, Dir: dir,
		StateBranch: stateRef, WorkBranch: workRef, Author: "loop <loop@example.com>", Now: time.Now,
	})
	if err != nil {
		d.err = err
		return
	}
	s := runner.Session{
		Repo: r, Planner: d, Agent: d, Gates: d, Forge: d,
		Config: runner.LoopConfig{
			MaxSessions: 9, TokenBudget: 1e6, AutoCheckpoint: true, FeaturesPerSession: 1, AttemptsPerFeature: 3, TestFirst: true,
			Continuation: runner.Auto, Mode: runner.SessionMode, Trigger: runner.ByChain, Grace: time.Minute,
		},
		Loop: "main", Fresh: fmt.Sprint("l", d.number), Owner: runner.Owner{Run: fmt.Sprint(d.race.name, d.number), Attempt: 1, Claimed: time.Unix(1e9, 0).UTC()},
		Now: time.Now, Notify: func(runner.Event) {}, Papers: func(runner.State, runner.LoopResult) runner.Papers { return runner.Papers{} },
	}
	d.res, d.err = s.Run(context.Background())
}

// Plan is asked of the one that has claimed: it waits until all others have left.
func (d *driver) Plan(context.Context, []runner.Feature, runner.Purse) ([]runner.Row, runner.Usage, error) {
	d.asked++
	d.alone()
	return []runner.Row{{ID: "f0", Description: "It works", Priority: 1}}, runner.Usage{Calls: 1, Tokens: 1}, nil
}

func (d *driver) Work(context.Context, runner.Task) (runner.Claim, error) {
	d.asked++
	d.alone()
	return runner.Claim{Usage: runner.Usage{Calls: 1, Tokens: 1}}, &runner.StopError{Reason: runner.ContextLimit}
}

func (d *driver) alone() {
	if d.asked == 1 {
		close(d.claimed)
		if d.race.owners.Add(1) == 2 {
			close(d.race.spoilt)
		}
	}
	for _, o := range d.race.drivers {
		if o == d {
			continue
		}
		select {
		case <-o.over: // its turns come all the same
		case <-d.race.spoilt:
		}
	}
}

func (d *driver) Judge(context.Context, runner.Candidate) (runner.Verdict, error) {
	return runner.Verdict{}, errors.New("nothing is judged")
}

func (d *driver) Holds(context.Context, string, []runner.Feature) (runner.Verdict, error) {
	return runner.Verdict{}, errors.New("nobody else commits here")
}

func (d *driver) Resolved(context.Context, runner.Resolution) (runner.Verdict, error) {
	return runner.Verdict{}, errors.New("nobody else commits here")
}

// Over: the one that claimed is at work.
func (d *driver) Over(_ context.Context, o runner.Owner) (bool, error) {
	for _, other := range d.race.drivers {
		if o.Run == fmt.Sprint(d.race.name, other.number) {
			select {
			case <-other.over:
				return true, nil
			default:
				return false, nil
			}
		}
	}
	return true, nil
}

func (d *driver) Stopped(context.Context, runner.State) (runner.Halt, error) {
	return runner.Halt{}, nil
}

func (d *driver) Ask(context.Context, runner.Questions) (string, error) { return "", nil }

func (d *driver) Upload(context.Context, string, []runner.File) (string, error) { return "", nil }

func (d *driver) Report(context.Context, runner.Report) (runner.Receipts, error) {
	return runner.Receipts{}, nil
}

// orders yields every order in which n drivers can have their turns. Drivers are
// alike, so that the one which begins is always the first of those that have not
// begun.
func orders(n int) [][]int {
	var all [][]int
	left := slices.Repeat([]int{gated}, n)
	var turn func(done []int, begun int)
	turn = func(done []int, begun int) {
		if len(done) == n*gated {
			all = append(all, slices.Clone(done))
			return
		}
		for d := range min(n, begun+1) {
			if left[d] == 0 {
				continue
			}
			left[d]--
			turn(append(done, d), max(begun, d+1))
			left[d]++
		}
	}
	turn(nil, 0)
	return all
}

// TestEveryOrderOfDrivers starts two and three sessions on the same transaction,
// and before there is any, and serves their requests in every order that there is
// up to their claim. Exactly one claims; the others leave, and have asked no
// model. Each order is played by name again: -run 'TestEveryOrder.*/two.../0-1-0-1-0-1'.
func TestEveryOrderOfDrivers(t *testing.T) {
	first := newRace(t, "first", t.TempDir(), 1)
	if _, err := first.Seed(repoName, "main", "", map[string]string{"SPEC.md": "# A spec\n"}); err != nil {
		t.Fatal(err)
	}
	going := filepath.Dir(filepath.Dir(first.Dir(repoName)))
	fresh := t.TempDir()
	if err := os.CopyFS(fresh, os.DirFS(going)); err != nil {
		t.Fatal(err)
	}
	first.drive(make([]int, gated))
	if d := first.drivers[0]; d.err != nil || d.asked != 2 || d.res.Status != runner.AwaitingSuccessor {
		t.Fatalf("one driver alone: %+v, %v, asked %d times", d.res, d.err, d.asked)
	}
	for _, start := range []struct {
		name, template string
		epoch          int // after one claim
	}{{"at the beginning", fresh, 1}, {"in the middle", going, 2}} {
		for n := 2; n <= 3; n++ {
			began := time.Now()
			all := orders(n)
			played := 0
			t.Run(fmt.Sprintf("%d drivers %s", n, start.name), func(t *testing.T) {
				for i, turns := range all {
					if !deep && i%(n*n*n*n-12) != 0 {
						continue // a sample
					}
					played++
					t.Run(strings.Trim(strings.ReplaceAll(fmt.Sprint(turns), " ", "-"), "[]"), func(t *testing.T) {
						t.Parallel()
						r := newRace(t, "run", start.template, n)
						r.drive(turns)
						r.check(start.epoch)
					})
				}
			})
			t.Logf("%d drivers %s: %d of %d orders, %.0f s", n, start.name, played, len(all), time.Since(began).Seconds())
		}
	}
}

// check: exactly one has claimed, and only it has asked a model.
func (r *race) check(epoch int) {
	r.t.Helper()
	claimed := 0
	for _, d := range r.drivers {
		if d.err != nil {
			r.t.Errorf("driver %d: %v", d.number, d.err)
		}
		if d.asked > 0 {
			claimed++
			continue
		}
		if d.res.HandoffReason == nil || *d.res.HandoffReason != runner.Superseded {
			r.t.Errorf("driver %d has not claimed, and ends so: %+v", d.number, d.res)
		}
	}
	if claimed != 1 {
		r.t.Errorf("%d drivers claimed", claimed)
	}
	w := &world{Server: r.Server, t: r.t}
	all := w.history()
	for _, flaw := range w.flaws(all) {
		r.t.Error(flaw)
	}
	if len(all) == 0 || all[0].Epoch != epoch {
		r.t.Errorf("the epoch is not %d: %+v", epoch, all)
	}
}
