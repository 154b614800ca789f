package choose

import (
	"fmt"
	"slices"
	"testing"
)

func TestAllYieldsEverySequenceOnce(t *testing.T) {
	var got []string
	for c := range All() {
		x := c.Int(3)
		y := c.Int(x + 1)
		got = append(got, fmt.Sprint(x, y))
	}
	want := []string{"0 0", "1 0", "1 1", "2 0", "2 1", "2 2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReplayGivesTheSameAnswers(t *testing.T) {
	var last string
	for c := range All() {
		if c.Bool() {
			c.Int(12)
		}
		c.Bool()
		last = c.String()
	}
	c, err := Replay(last)
	if err != nil {
		t.Fatal(err)
	}
	if a, b, d := c.Bool(), c.Int(12), c.Bool(); !a || b != 11 || !d {
		t.Errorf("replayed %v %v %v from %q", a, b, d, last)
	}
	if c.Bool() {
		t.Error("what comes after the replay is not 0")
	}
	if _, err := Replay("0-1"); err == nil {
		t.Error("a replay string with a dash was taken")
	}
}

func TestAChoiceThatChangesItsRadixIsABug(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	n := 2
	for c := range All() {
		c.Int(n)
		n++
	}
}
