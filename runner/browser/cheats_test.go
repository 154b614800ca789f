package browser

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner/check"
)

// What a page can do to look as if it kept something, and the least that finds
// it out.
func TestPageThatOnlyLooksAsIfItKept(t *testing.T) {
	t.Parallel()
	b := common(t)
	holds := map[string][3]bool{ // after reload, for a newcomer, after a restart
		"nowhere": {},
		"name":    {true},
		"storage": {true},
		"cookie":  {true},
		"hash":    {true},
		"query":   {true},
		"memory":  {true, true},
		"server":  {true, true, true},
	}
	var wg sync.WaitGroup
	places := make(chan struct{}, 3)
	for name, want := range holds {
		for i, life := range lives {
			if i == 2 && !want[1] {
				continue // a restart takes nothing from a newcomer who has nothing
			}
			wg.Go(func() {
				places <- struct{}{}
				defer func() { <-places }()
				app := shelf(t)
				app.Start = strings.Replace(app.Start, "exec ", "", 1) // two shells deep, as npm is
				acc, err := b.Accept(t.Context(), app, check.Scenario{Steps: scenario(
					step("goto", "", "/note/"+name, ""),
					step("fill", "label=Note", "zorgu bem", ""),
					step("click", "role=button[name=Keep]", "", ""),
					step("assert_text", "#out", "", "zorgu bem"),
					step("assert_persisted", "#out", life, "zorgu bem"),
				).Steps})
				if err != nil || acc.Passed != want[i] || acc.Broken != "" || !want[i] && !strings.HasPrefix(acc.Failures[0], "step 5 (assert_persisted") {
					t.Errorf("%s, %s: passed %t, want %t: %v %q %s", name, life, acc.Passed, want[i], err, acc.Failures, acc.Broken)
				}
			})
		}
	}
	wg.Wait()
}

// An address that the scenario itself names may hold what is looked for.
func TestNewcomerComesToWhatTheScenarioNames(t *testing.T) {
	t.Parallel()
	mustPass(t, accept(t, common(t), shelf(t), step("goto", "", "/note/query?n=dune", ""), step("fill", "label=Note", "dune", ""),
		step("assert_persisted", "#out", "new_context", "dune")))
}

func TestServiceWorkerDoesNotAnswer(t *testing.T) {
	t.Parallel()
	mustPass(t, accept(t, common(t), shelf(t), step("goto", "", "/note/worker", ""), step("wait_for", "text=tried", "", ""),
		step("goto", "", "/about", ""), step("assert_text", "", "", "About"), step("goto", "", "/note/storage", ""), step("assert_text", "", "", "Notes")))
}

// Errors speak against a page also when nobody asked, unless the scenario
// allows them.
func TestConsoleErrorsFailWhatDoesNotAllowThem(t *testing.T) {
	t.Parallel()
	b, app := common(t), shelf(t)
	boom := []check.Step{step("goto", "", "/", ""), step("click", "#boom", "", ""), step("wait_for", "text=late: here", "", "")}
	mustFail(t, accept(t, b, app, boom...), "the page went wrong on the way; the console holds 2 errors that no allow_console_errors step allows: boom at / (/:")
	mustPass(t, accept(t, b, app, append(boom, step("allow_console_errors", "", "", ""))...))
	mustFail(t, accept(t, b, app, append([]check.Step{step("allow_console_errors", "", "", "boom at /")}, boom...)...),
		"the page went wrong on the way; the console holds 1 errors that no allow_console_errors step allows: uncaught TypeError: late boom")
	// What is not there may be what the scenario is about; only who asks for it is told.
	mustPass(t, accept(t, b, app, step("goto", "", "/missing", "")))
	mustPass(t, accept(t, b, app, step("goto", "", "/nothing", "404"), step("goto", "", "/broken", "500")))
	mustFail(t, accept(t, b, app, step("goto", "", "/missing", ""), step("assert_no_console_errors", "", "", "")),
		"step 2 (assert_no_console_errors): expected no errors in the console, there are 1: Failed to load resource: the server responded with a status of 404")
}

// A page that keeps its errors out of the console has them all the same.
func TestHushedErrorsAreHeard(t *testing.T) {
	t.Parallel()
	b, app := common(t), shelf(t)
	acc := accept(t, b, app, step("goto", "", "/hushed", ""), step("assert_text", "", "", "Hushed"), step("assert_no_console_errors", "", "", ""))
	mustFail(t, acc, "step 3 (assert_no_console_errors): expected no errors in the console, there are 2: hushed up")
	if !strings.Contains(acc.Failures[0], "hidden by the page: TypeError: thrown in vain") {
		t.Errorf("got %q", acc.Failures)
	}
	acc = accept(t, b, app, step("goto", "", "/reject", ""), step("assert_no_console_errors", "", "", ""))
	mustFail(t, acc, "step 2 (assert_no_console_errors): expected no errors in the console, there are 1: unhandled rejection, hidden by the page: Error: never mind")
}

// A page that answers its own question has asked nobody.
func TestDialogThatThePageAnswers(t *testing.T) {
	t.Parallel()
	mustFail(t, accept(t, common(t), shelf(t), step("goto", "", "/confirm", ""), step("dialog", "", "accept", "Sure?"),
		step("click", "role=button", "", ""), step("assert_text", "#p", "", "gone")),
		"step 2 (dialog accept): expected a dialog, none appeared")
}

func TestDownloadsAreOff(t *testing.T) {
	t.Parallel()
	app := shelf(t)
	mustPass(t, accept(t, common(t), app, step("goto", "", "/files", ""), step("click", "#a", "", ""), step("assert_url", "", "", "/files"),
		step("assert_response", "", "GET /export", "200\nContent-Disposition: attachment\n\na,b")))
}

// Nothing differs from machine to machine, and nothing says that a judge looks.
func TestPageSeesAnOrdinaryBrowser(t *testing.T) {
	t.Parallel()
	steps := []check.Step{step("goto", "", "/judge", "")}
	for _, s := range []string{"UTC", "en-US", "1280x800", "reduced true", "light true", "driven false", "an ordinary browser"} {
		steps = append(steps, step("assert_visible", fmt.Sprintf(`text="%s"`, s), "", ""))
	}
	acc := accept(t, common(t), shelf(t), append(steps, step("goto", "", "/headers", ""), step("assert_text", "", "", "Chromium"))...)
	mustPass(t, acc)
	if strings.Contains(acc.Server, "eadless") {
		t.Error(acc.Server)
	}
}

// Neither names nor packets leave by the ways that are no requests.
func TestOutsideIsNotReachedByOtherMeans(t *testing.T) {
	t.Parallel()
	var arrived atomic.Int64
	udp, err := net.ListenPacket("udp", "127.0.0.3:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = udp.Close() })
	go func() {
		for {
			if _, _, err := udp.ReadFrom(make([]byte, 2000)); err != nil {
				return
			}
			arrived.Add(1)
		}
	}()
	outside := listen(t, "127.0.0.3:0", func(net.Conn) { arrived.Add(1) })
	acc := accept(t, common(t), shelf(t),
		step("goto", "", "/means?to=http://"+outside+"&udp="+udp.LocalAddr().String(), ""),
		step("wait_for", "text=tried", "", ""))
	mustPass(t, acc)
	if n := arrived.Load(); n != 0 {
		t.Errorf("%d arrived", n)
	}
}
