//go:build deep

package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestReleasedProgramHasNoHook: what the tests build in is not in what is released.
func TestReleasedProgramHasNoHook(t *testing.T) {
	t.Parallel()
	for binary, want := range map[string]bool{need(t, released): false, need(t, hooked): true} {
		data, err := os.ReadFile(binary)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(data), "AUTONOMOUS_LOOP_EFFECTS"); got != want {
			t.Errorf("%s has the hook: %v", filepath.Base(binary), got)
		}
	}
}

// local makes the next processes of w count their local effects and meet one of
// them, if n is not 0.
func (w *world) local(n int, how string, errno syscall.Errno) (log string) {
	w.t.Helper()
	log, bell := filepath.Join(w.dir, "effects"), filepath.Join(w.dir, "bell")
	if err := syscall.Mkfifo(bell, 0o600); err != nil {
		w.t.Fatal(err)
	}
	ring, err := os.OpenFile(bell, os.O_RDWR, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { ring.Close() })
	go func() {
		if _, err := ring.Read(make([]byte, 1)); err == nil {
			w.healthy()
			w.kill()
			w.mu.Lock()
			w.met++
			w.mu.Unlock()
		}
	}()
	w.env = append(w.env, fmt.Sprintf("AUTONOMOUS_LOOP_EFFECTS=%s;%s;%d;%s;%d", log, bell, n, how, int(errno)))
	return log
}

// healthy lets what comes after be as it always is.
func (w *world) healthy() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.meet = nil
	w.env = w.env[:len(w.env)-1]
}

func TestLocalGolden(t *testing.T) {
	w := oneSession.world(t)
	log := w.local(0, "count", 0)
	w.play()
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if _, err := strconv.Atoi(f[0]); err == nil {
			kinds[f[2]]++
		}
	}
	t.Log(kinds, time.Now())
	os.WriteFile("/tmp/crash-effects.log", data, 0o644)
}
