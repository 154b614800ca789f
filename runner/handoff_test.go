package runner

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// left is a state as a session left it, with its handoff and list.
func left(t *testing.T) (st State, handoff, list []byte) {
	t.Helper()
	st = State{
		Schema: Schema, Loop: "main", Lineage: "l1", Serial: 6, Status: AwaitingSuccessor, Code: "c1", Spent: Spent{Sessions: 2},
		Sessions: []SessionRecord{{Number: 1, Run: "7", Attempt: 1, Serial: 3}, {Number: 2, Run: "8", Attempt: 2, Serial: 6}},
	}
	_, list, err := Encode(st)
	if err != nil {
		t.Fatal(err)
	}
	h, err := Handoff{
		SchemaVersion: HandoffSchema, ID: "handoff-1", Type: SessionHandoff, FeatureListSHA256: Hash(list),
		Context: HandoffContext{GitHash: "c1", SessionNumber: 2}, Integrity: HandoffTag{Lineage: "l1", Serial: 6},
	}.Sealed()
	if err != nil {
		t.Fatal(err)
	}
	if handoff, err = json.Marshal(h); err != nil {
		t.Fatal(err)
	}
	st.Handoff = Hash(handoff)
	return st, handoff, list
}

// resealed is a handoff that somebody changed, and whose hash is right again.
func resealed(t *testing.T, data []byte, change func(*Handoff)) []byte {
	t.Helper()
	var h Handoff
	if err := json.Unmarshal(data, &h); err != nil {
		t.Fatal(err)
	}
	change(&h)
	h, err := h.Sealed()
	if err == nil {
		data, err = json.Marshal(h)
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestHandedOver: every way in which a handoff does not fit is seen, and named.
func TestHandedOver(t *testing.T) {
	st, good, list := left(t)
	if _, err := st.handedOver(good, list); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		change func(*Handoff) // with the hash and the state set right
		data   []byte
		state  func(*State)
		list   []byte
		says   string
	}{
		"missing":               {data: []byte{}, says: "there is no handoff"},
		"no JSON":               {data: good[:len(good)-3], says: "cannot be read"},
		"unknown field":         {data: append([]byte(`{"passes":true,`), good[1:]...), says: "cannot be read"},
		"changed":               {data: []byte(strings.Replace(string(good), `"summary":""`, `"summary":"all is done"`, 1)), says: "changed after it was written"},
		"by another":            {data: resealed(t, good, func(h *Handoff) { h.Summary = "all is done" }), says: "not the one that the state names"},
		"foreign":               {change: func(h *Handoff) { h.Integrity.Lineage = "l2" }, says: "belongs to loop l2"},
		"of a new schema":       {change: func(h *Handoff) { h.SchemaVersion = 2 }, says: "has schema 2"},
		"of the future":         {change: func(h *Handoff) { h.Integrity.Serial = 7 }, says: "still to come"},
		"of the session before": {change: func(h *Handoff) { h.Context.SessionNumber = 1 }, says: "of session 1, the last one was 2"},
		"another commit":        {change: func(h *Handoff) { h.Context.GitHash = "c2" }, says: "another commit"},
		"another list":          {list: []byte("[]"), says: "another feature list"},
		"the state moved":       {state: func(st *State) { st.Code = "c9" }, says: "another commit"},
	} {
		t.Run(name, func(t *testing.T) {
			st, data, l := st, good, list
			if tt.data != nil {
				data = tt.data
			}
			if tt.list != nil {
				l = tt.list
			}
			if tt.change != nil {
				data = resealed(t, good, tt.change)
				st.Handoff = Hash(data)
			}
			if tt.state != nil {
				tt.state(&st)
			}
			if _, err := st.handedOver(data, l); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %q", err, tt.says)
			}
		})
	}
}

// TestTakeOver: what does not fit costs a line; an artifact is asked for only
// where that of the branch is damaged, and believed only if the state names it.
func TestTakeOver(t *testing.T) {
	st, good, list := left(t)
	bad := []byte("{}")
	for name, tt := range map[string]struct {
		found  []byte
		upload []byte
		lost   error
		state  func(*State)
		asked  bool
		says   string
	}{
		"it fits":                     {good, nil, nil, nil, false, "session: session 2 handed over with handoff-1"},
		"damaged, and the artifact's": {bad, good, nil, nil, true, "session: session 2 handed over with handoff-1, by the artifact, because that on the branch was damaged"},
		"both damaged":                {bad, bad, nil, nil, true, "recovery: "},
		"the artifact has expired":    {nil, nil, errors.New("it has expired"), nil, true, "recovery: there is no handoff; nor is there one in the artifact: it has expired; going on from transaction 6"},
		"the artifact is a bomb":      {bad, nil, errors.New("unzip: more than 9 bytes"), nil, true, "more than 9 bytes; going on"},
		"the state has moved on":      {good, nil, nil, func(st *State) { st.Code = "c9" }, false, "recovery: the handoff speaks of another commit than the state; going on"},
		"the session died":            {good, nil, nil, func(st *State) { st.Status = Running }, false, "recovery: session 2 left no handoff; going on from transaction 6"},
		"an older version":            {nil, nil, nil, func(st *State) { st.Handoff = "" }, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			st := st
			if tt.state != nil {
				tt.state(&st)
			}
			var says, asked string
			s := &Session{
				Now: time.Now, Notify: func(e Event) { says += e.Text },
				Artifact: func(_ context.Context, run, name string) ([]File, error) {
					asked = run + " " + name
					return []File{{Name: HandoffFile, Data: tt.upload}}, tt.lost
				},
			}
			s.takeOver(t.Context(), Found{Handoff: tt.found, List: list}, st)
			if !strings.HasPrefix(says, tt.says) && !strings.Contains(says, tt.says) || tt.says == "" && says != "" {
				t.Errorf("it says %q, want %q", says, tt.says)
			}
			if want := "8 main-6-8-2"; (asked == want) != tt.asked {
				t.Errorf("the artifact asked for is %q, want %v", asked, tt.asked)
			}
		})
	}
}

// A desk is a repository in which somebody works by the clock.
type desk struct {
	Repo
	tree  func() string
	saved []Transaction
	fails func(n int) error
	looks int
}

func (d *desk) Draft(context.Context, string, string) (Snapshot, error) {
	d.looks++
	return Snapshot{Commit: "commit of " + d.tree(), Tree: d.tree()}, nil
}

func (d *desk) Save(_ context.Context, tx Transaction) error {
	if d.fails != nil {
		if err := d.fails(len(d.saved)); err != nil {
			return err
		}
	}
	d.saved = append(d.saved, tx)
	return nil
}

// pulsing is an attempt in the middle of a phase, whose work tree is named by tree.
func pulsing(tree *string) (*desk, *pulse, State) {
	d := &desk{tree: func() string { return *tree }}
	s := &Session{Repo: d, Now: time.Now, Config: LoopConfig{AutoCheckpoint: true, Beat: time.Minute}}
	st := State{Schema: Schema, Loop: "main", Lineage: "l1", Serial: 3, Status: Running, Owner: &Owner{Run: "8"}, Code: "w0", Work: "w0", Wip: &Wip{Feature: "f", Attempt: 1, Phase: Implement, Commit: "w0"}, Features: []Feature{{Row{ID: "f"}, Progress{Status: Todo, Attempts: 1, Frozen: Row{ID: "f"}.AcceptanceHash()}}}}
	return d, &pulse{s: s}, st
}

// TestPulse: the work in progress is saved once a minute while the agent is at
// work, with what it has told; nothing is where nothing changed; and whoever has
// lost the loop is told at once.
func TestPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree := "t0"
		d, p, st := pulsing(&tree)
		ctx, rest := p.beat(t.Context(), t.Context(), st, *st.Wip)
		time.Sleep(5*time.Minute + time.Second) // it only reads
		synctest.Wait()
		if len(d.saved) != 0 {
			t.Fatalf("%d were saved although nothing changed", len(d.saved))
		}
		tree = "t1"
		p.told(&Brief{Decisions: []string{"one file"}})
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		tree = "t2"
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(d.saved) != 2 || d.saved[0].Code != "commit of t1" || d.saved[1].Code != "commit of t2" {
			t.Fatalf("saved: %+v", d.saved)
		}
		last, err := Decode(d.saved[1].State, d.saved[1].List)
		if err != nil || last.Serial != 5 || last.Wip.Commit != "commit of t2" || last.Wip.Brief == nil || last.Wip.Brief.Decisions[0] != "one file" || last.Wip.Asked {
			t.Errorf("the last is %+v, %v", last.Wip, err)
		}
		now := st.charged("f", Usage{Calls: 1, Tokens: 9})
		now = rest(now)
		if now.Serial != 5 || now.digest != Hash(d.saved[1].State) || now.Spent.Tokens != 9 || now.Wip.Commit != "w0" {
			t.Errorf("the state after it: %+v", now)
		}
		if ctx.Err() == nil {
			t.Error("its context goes on")
		}
		// What died then is told to the next attempt.
		next := last.claimed(Owner{Run: "9", Attempt: 1}, LoopConfig{AttemptsPerFeature: 3})
		f, _ := next.Feature("f")
		if next.Wip != nil || next.Code != "w0" || f.Crashes != 1 || !strings.Contains(f.Note, "died in the implement phase of attempt 1. It had decided: one file") {
			t.Errorf("after the crash: %+v, %q", next.Wip, f.Note)
		}

		// A push that fails is tried again; one that another session has won ends the work.
		d.saved = nil
		d.fails = func(n int) error {
			switch d.looks {
			case 0:
				return nil
			}
			if n == 0 && tree == "t3" {
				tree = "t4"
				return errors.New("no network")
			}
			return nil
		}
		tree = "t2"
		ctx, rest = p.beat(t.Context(), t.Context(), st, *st.Wip)
		tree = "t3"
		time.Sleep(2*time.Minute + time.Second)
		synctest.Wait()
		if len(d.saved) != 1 || d.saved[0].Code != "commit of t4" || ctx.Err() != nil {
			t.Errorf("after a push that failed: %+v, %v", d.saved, ctx.Err())
		}
		d.fails = func(int) error { return &MovedError{"a", "b", ""} }
		tree = "t5"
		time.Sleep(time.Minute)
		synctest.Wait()
		if _, moved := errors.AsType[*MovedError](context.Cause(ctx)); !moved {
			t.Errorf("after the loop was lost the work goes on: %v", context.Cause(ctx))
		}
		rest(st)
	})
}

// TestPulseWhileTheGatesJudge: what a phase came to is saved a minute after the
// last look while the gates judge it, once, as work that wants its verdict; and
// not where they are done before, or where it was saved already.
func TestPulseWhileTheGatesJudge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tree := "t0"
		d, p, st := pulsing(&tree)
		w := *st.Wip
		w.Asked = true
		// Nothing was looked at: the phase was over in the session before.
		ctx, rest := p.hold(t.Context(), t.Context(), st, w, Snapshot{Commit: "c0", Tree: "t0"})
		time.Sleep(3 * time.Minute)
		if rest(st); len(d.saved) != 0 || ctx.Err() != nil {
			t.Fatalf("saved: %+v", d.saved)
		}
		work := func(d time.Duration) {
			_, rest := p.beat(t.Context(), t.Context(), st, *st.Wip)
			time.Sleep(d)
			synctest.Wait()
			st = rest(st)
		}
		work(40 * time.Second)
		snap := Snapshot{Commit: "commit of t1", Tree: "t1"}
		_, rest = p.hold(t.Context(), t.Context(), st, w, snap)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if st = rest(st); len(d.saved) != 0 {
			t.Fatalf("it was saved although the gates were done: %+v", d.saved)
		}
		work(40 * time.Second)
		_, rest = p.hold(t.Context(), t.Context(), st, w, snap)
		time.Sleep(21 * time.Second)
		synctest.Wait()
		if len(d.saved) != 1 {
			t.Fatalf("a minute after the last look %d are saved", len(d.saved))
		}
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		st = rest(st)
		last, err := Decode(d.saved[0].State, d.saved[0].List)
		if err != nil || len(d.saved) != 1 || last.Code != "commit of t1" || !last.Wip.Asked || last.Wip.Phase != Implement || st.Serial != 4 {
			t.Errorf("saved: %d, %+v, %v; the state after it is %d", len(d.saved), last.Wip, err, st.Serial)
		}
		// Whoever loses the loop meanwhile judges no more.
		d.fails = func(int) error { return &MovedError{"a", "b", ""} }
		tree = "t2"
		work(time.Second)
		ctx, rest = p.hold(t.Context(), t.Context(), st, w, Snapshot{Commit: "commit of t3", Tree: "t3"})
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if _, moved := errors.AsType[*MovedError](context.Cause(ctx)); !moved {
			t.Errorf("the gates go on: %v", context.Cause(ctx))
		}
		rest(st)
	})
}
