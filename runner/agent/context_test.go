package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// reads is a phase that reads n files, one a turn, then asks.
func reads(n, bytes int) (map[string]Reply, map[string]func(context.Context, Call) string) {
	replies := map[string]Reply{}
	for i := range n {
		replies[fmt.Sprintf("tests/%d", i+1)] = calls(call("read_file", fmt.Sprintf(`{"path":"f%d"}`, i)))
	}
	replies[fmt.Sprintf("tests/%d", n+1)] = tidy
	return replies, map[string]func(context.Context, Call) string{
		"read_file": func(_ context.Context, c Call) string { return c.Args + strings.Repeat("x", bytes) },
	}
}

func TestAFullWindowIsMaskedInBatches(t *testing.T) {
	replies, use := reads(60, 4000) // 60 x ~1000 tokens
	a, s, _ := open(t, replies, use)
	s.window = 40_000
	claim, err := a.Work(t.Context(), task(runner.Tests, 0))
	if err != nil {
		t.Fatal(err)
	}
	if s.masks < 1 || s.masks > 5 {
		t.Errorf("masked %d times in 61 requests, want a few batches", s.masks)
	}
	for _, r := range s.reqs {
		if n := s.count(r); n > s.window*DefaultBands.HandOff/100 {
			t.Fatalf("a request of %d tokens for a window of %d", n, s.window)
		}
	}
	warned := 0
	for _, r := range s.reqs {
		warned += strings.Count(r.Messages[len(r.Messages)-1].Content, "of its window")
	}
	if warned != 1 {
		t.Errorf("warned %d times", warned)
	}
	if claim.Context <= 0.3 || claim.Context > 0.85 {
		t.Errorf("context %v", claim.Context)
	}
}

// Dropping a few small results would cost the provider's cache for nothing.
func TestAMaskThatFreesLittleWaits(t *testing.T) {
	replies, use := reads(14, 600)
	for i := 15; i > 0; i-- {
		replies[fmt.Sprintf("tests/%d", i+1)] = replies[fmt.Sprintf("tests/%d", i)]
	}
	replies["tests/1"] = calls(call("write_file", `{"path":"a","content":"`+strings.Repeat("x", 112_000)+`"}`))
	use["write_file"] = says("created")
	a, s, _ := open(t, replies, use)
	s.window = 48_000
	claim, err := a.Work(t.Context(), task(runner.Tests, 0))
	if err != nil || s.masks != 0 || s.resets != 0 || claim.Context < 0.6 {
		t.Errorf("%v, masked %d times, context %v", err, s.masks, claim.Context)
	}
}

// Two resets within ten turns help nobody: a fresh session goes on.
func TestAWindowThatFillsAtOnceEndsTheSession(t *testing.T) {
	replies, use := reads(15, 60_000)
	a, s, _ := open(t, replies, use)
	s.window = 50_000
	claim, err := a.Work(t.Context(), task(runner.Tests, 0))
	if stop, ok := errors.AsType[*runner.StopError](err); !ok || stop.Reason != runner.ContextLimit || s.resets != 1 {
		t.Fatalf("%v after %d resets", err, s.resets)
	}
	if claim.Context < 0.75 || claim.Brief == nil {
		t.Errorf("context %v, brief %v", claim.Context, claim.Brief)
	}
}

func TestAProviderThatFindsItTooLongIsObeyedOnce(t *testing.T) {
	tooLong := &runner.StopError{Reason: runner.ContextLimit, Err: errors.New("400")}
	replies, use := reads(8, 4000)
	a, s, _ := open(t, replies, use)
	s.errs = map[string]error{"tests/8": tooLong}
	claim, err := a.Work(t.Context(), task(runner.Tests, 0))
	if err != nil || s.masks != 1 || claim.Usage.Calls != 10 {
		t.Errorf("%v, masked %d times, %d calls charged", err, s.masks, claim.Usage.Calls)
	}
	a, s, _ = open(t, replies, use)
	s.errs = map[string]error{"tests/6": tooLong, "tests/7": tooLong}
	if _, err := a.Work(t.Context(), task(runner.Tests, 0)); !errors.Is(err, tooLong) {
		t.Errorf("the second time: %v", err)
	}
}

func TestMaskKeepsPairsAndWhatMatters(t *testing.T) {
	long := strings.Repeat("l", 5000)
	var msgs []Message
	add := func(name, content string) {
		id := fmt.Sprint(len(msgs))
		msgs = append(msgs, Message{Role: Assistant, Calls: []Call{{ID: id, Name: name, Args: `{"path":"p"}`}}}, Message{Role: Result, CallID: id, Content: content})
	}
	for _, name := range []string{"read_file", "edit_file", "run_tests", "note", "run_tests", "shell"} {
		add(name, long)
	}
	add("read_file", "short")
	add("read_file", long)
	before := fmt.Sprint(msgs)
	got, freed := mask(msgs, 1)
	if before != fmt.Sprint(msgs) {
		t.Error("what was sent was written to")
	}
	var kept []string
	for i := 1; i < len(got); i += 2 {
		if got[i].CallID != got[i-1].Calls[0].ID {
			t.Fatalf("message %d lost its call", i)
		}
		if got[i].Content == msgs[i].Content {
			kept = append(kept, fmt.Sprint(i/2, got[i-1].Calls[0].Name))
		}
	}
	if d := cmp.Diff(kept, []string{"1edit_file", "3note", "4run_tests", "6read_file", "7read_file"}); d != "" {
		t.Error(d)
	}
	if freed < 14000 || size(msgs)-size(got) != freed {
		t.Errorf("freed %d, shrank by %d", freed, size(msgs)-size(got))
	}
	if again, more := mask(got, 1); more != 0 || cmp.Diff(got, again) != "" {
		t.Error("masking twice is not masking once")
	}
}
