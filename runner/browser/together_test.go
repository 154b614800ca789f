package browser

import (
	"strings"
	"testing"
)

// What cannot be so at once does not pass one after the other, whatever stands
// between that leaves the page alone.
func TestAssertionsInARowHoldTogether(t *testing.T) {
	t.Parallel()
	acc := accept(t, common(t), shelf(t), step("goto", "", "/flicker", ""),
		step("assert_text", "h1", "", "Open"), step("screenshot", "", "", ""), step("assert_text", "h1", "", "Closed"), step("assert_text", "h1", "", "Open"))
	// Which of them is the one depends on the moment.
	if got := strings.Join(acc.Failures, "; "); acc.Passed || !strings.Contains(got, "held, and does not hold any more after step 5 (assert_text h1)") {
		t.Errorf("passed %t, failures %q", acc.Passed, got)
	}
}

// What comes true late is waited for as ever, and what changes because something
// was done is no contradiction.
func TestAssertionsMayComeTrueOneAfterTheOther(t *testing.T) {
	t.Parallel()
	mustPass(t, accept(t, common(t), shelf(t), step("goto", "", "/late", ""),
		step("assert_visible", "h1", "", ""), step("assert_text", "role=listitem", "", "one"), step("assert_text", "role=status", "", "loaded"),
		step("goto", "", "/about", ""), step("assert_hidden", "role=status", "", "")))
}

// A page that asks while the application is restarted is not at fault, and one
// that asks where nobody ever answers is.
func TestWhatARestartCostsIsNoMishap(t *testing.T) {
	t.Parallel()
	b := common(t)
	mustPass(t, accept(t, b, shelf(t), step("goto", "", "/polling", ""), step("assert_text", "#p", "", "heard"),
		step("restart", "", "", ""), step("assert_text", "h1", "", "Polling")))
	if got := (&journal{problems: []string{"Failed to load resource: net::ERR_CONNECTION_REFUSED (/a.css:1)"}}).mishaps(nil, false); len(got) != 1 {
		t.Errorf("without a restart: %q", got)
	}
	if got := (&journal{problems: []string{"uncaught TypeError: x is null"}}).mishaps(nil, true); len(got) != 1 {
		t.Errorf("an error of the page's own, with a restart: %q", got)
	}
}
