package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner/check"
)

// note is an acceptance of the small application in testdata/notes.js, as a
// feature of it would have.
func note(text string) []check.Step {
	return scenario(
		step("goto", "", "/", ""),
		step("assert_title", "", "", "Notes"),
		step("fill", "label=Text", text, ""),
		step("click", `role=button[name="Add"]`, "", ""),
		step("assert_text", "role=listitem", "", text),
		step("assert_text", "role=status", "", "1 notes"),
		step("assert_persisted", "text="+text, "", ""),
		step("assert_response", "", "GET /api/notes", `200 ["`+text+`"]`),
		step("goto", "", "/nowhere", "404"),
		step("assert_no_console_errors", "", "", ""),
	).Steps[:9]
}

func notesApp(tb testing.TB) check.App {
	tb.Helper()
	dir := tb.TempDir()
	b, err := os.ReadFile("testdata/notes.js")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "server.js"), b, 0o600)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return check.App{Dir: dir, Start: "exec node server.js"}
}

// processor is the time that this process and all that it has waited for took of
// a processor. On a busy machine it says more than the clock.
func processor(b *testing.B) time.Duration {
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

// BenchmarkAcceptances performs fifty acceptances (or FILES), each with an application, a
// data directory and a browser context of its own. SIDE_BY_SIDE says how many at
// a time; without it, one, two and four are tried.
func BenchmarkAcceptances(b *testing.B) {
	files := 50
	if n, err := strconv.Atoi(os.Getenv("FILES")); err == nil {
		files = n
	}
	o, err := plain()
	if err != nil {
		b.Fatal(err)
	}
	for _, places := range []int{1, 2, 3, 4} {
		if only, err := strconv.Atoi(os.Getenv("SIDE_BY_SIDE")); err == nil && only != places {
			continue
		}
		b.Run(fmt.Sprintf("files=%d/side-by-side=%d", files, places), func(b *testing.B) {
			for b.Loop() {
				br, err := Open(context.Background(), o)
				if err != nil {
					b.Fatal(err)
				}
				began, before := time.Now(), processor(b)
				var wg sync.WaitGroup
				next := make(chan int)
				for range places {
					wg.Go(func() {
						for i := range next {
							acc, err := br.Accept(b.Context(), notesApp(b), check.Scenario{Feature: "note-001", Steps: note(fmt.Sprintf("note %d", i))})
							if err != nil || !acc.Passed {
								b.Errorf("%v %q %s", err, acc.Failures, acc.Broken)
							}
						}
					})
				}
				for i := range files {
					next <- i
				}
				close(next)
				wg.Wait()
				b.ReportMetric(time.Since(began).Seconds(), "s/files")
				br.Close()
				b.ReportMetric((processor(b) - before).Seconds(), "cpu-s/files")
			}
		})
	}
}
