package browser

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner/check"
)

// family is the driver of b and all processes below it.
func family(t *testing.T, b *Browser) []int {
	t.Helper()
	b.turn <- struct{}{}
	e := b.engine
	<-b.turn
	data, err := os.ReadFile(e.layout.pid())
	if err != nil {
		t.Fatal(err)
	}
	driver, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	all, parent := []int{driver}, parents()
	for i := 0; i < len(all); i++ {
		for pid, p := range parent {
			if p == all[i] {
				all = append(all, pid)
			}
		}
	}
	return all
}

func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(b, []byte(") Z "))
}

func mustEnd(t *testing.T, pids []int) {
	t.Helper()
	for range 250 {
		pids = slices.DeleteFunc(pids, func(pid int) bool { return !alive(pid) })
		if len(pids) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("processes %v are left", pids)
}

// killWhenLoaded waits until the page has done something and then kills one
// process below the driver, or the driver.
func killWhenLoaded(t *testing.T, b *Browser, app check.App, which string) {
	for range 1000 {
		if exists(filepath.Join(app.Dir, "books.json")) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	for i, pid := range family(t, b) {
		cmd, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		renderer := bytes.Contains(cmd, []byte("--type=renderer"))
		if i == 0 && which == "driver" || i == 1 && which == "browser" || renderer && which == "renderer" {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may be a spare renderer that is gone
		}
	}
}

// A browser that fails on the way is neither a pass nor a failure, and the next
// run gets another one.
func TestBrowserThatIsKilled(t *testing.T) {
	t.Parallel()
	b := open(t, func(o *Options) { o.Limits.Wait = 30 * time.Second })
	for _, which := range []string{"driver", "renderer", "browser"} {
		app := shelf(t)
		go killWhenLoaded(t, b, app, which)
		acc := accept(t, b, app, step("goto", "", "/", ""), step("fill", "label=Title", "x", ""), step("click", "#add", "", ""),
			step("wait_for", "text=never", "", ""))
		how := "the browser ended: "
		if which == "renderer" {
			how = "the page crashed: "
		}
		// The application has its book before the click knows that it is over.
		want, executed := how+"step 4 (wait_for text=never): ", 4
		if strings.HasPrefix(acc.Broken, how+"step 3 (click #add): ") {
			want, executed = how+"step 3 (click #add): ", 3
		}
		if acc.Passed || len(acc.Failures) != 0 || !strings.HasPrefix(acc.Broken, want) {
			t.Errorf("%s killed: passed %t, failures %q, broken %q", which, acc.Passed, acc.Failures, acc.Broken)
		}
		if acc.Executed != executed || acc.Succeeded != executed-1 || !strings.Contains(acc.Server, "POST") {
			t.Errorf("%s killed: %d executed, %d succeeded, %s", which, acc.Executed, acc.Succeeded, acc.Server)
		}
	}
	mustPass(t, accept(t, b, shelf(t), step("goto", "", "/about", "")))
	// What dies while nobody looks costs nobody a verdict.
	if err := syscall.Kill(family(t, b)[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	mustPass(t, accept(t, b, shelf(t), step("goto", "", "/about", "")))
}

func TestBrowserThatCannotStart(t *testing.T) {
	t.Parallel()
	app := shelf(t)
	b := open(t, func(o *Options) { o.Chromium = "/bin/false" })
	acc := accept(t, b, app, step("goto", "", "/", ""))
	if acc.Passed || len(acc.Failures) != 0 || !strings.HasPrefix(acc.Broken, "start browser: ") {
		t.Errorf("got %+v", acc)
	}
	node := filepath.Join(t.TempDir(), "node")
	if err := os.WriteFile(node, []byte("#!/bin/sh\nexec sleep 61.357\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	b = open(t, func(o *Options) { o.Node, o.Limits.Launch = node, 300*time.Millisecond })
	acc = accept(t, b, app, step("goto", "", "/", ""))
	if acc.Passed || len(acc.Failures) != 0 || !strings.HasPrefix(acc.Broken, "start browser: no answer in 300ms") {
		t.Errorf("got %+v", acc)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errors.New("enough"))
	defer cancel()
	if _, err := b.Page(ctx); err == nil || err.Error() != "enough" {
		t.Errorf("got %v", err)
	}
	for pid := range parents() {
		if cmd, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); bytes.Contains(cmd, []byte("61.357")) && alive(pid) {
			t.Errorf("the driver %d is left", pid)
		}
	}
}

// A page that hangs costs its browser, but not the runs that are in it.
func TestRetiredEngineEndsWithItsLastSession(t *testing.T) {
	t.Parallel()
	b := open(t, nil)
	p, err := b.Page(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s, err := p.Do(t.Context(), Action{Action: "open", URL: "http://127.0.0.1:1/"}); err != nil || !strings.HasPrefix(s, "error: ") {
		t.Fatalf("got %q, %v", s, err) // it has a session now, whatever it shows
	}
	old := family(t, b)
	b.engine.fail()
	if _, err := b.Page(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := family(t, b); now[0] == old[0] {
		t.Fatal("no other engine was started")
	}
	if s, err := p.Do(t.Context(), Action{Action: "eval", Script: "1+1"}); err != nil || s != "2" {
		t.Errorf("got %q, %v", s, err)
	}
	p.Close()
	mustEnd(t, old)
}

// A browser that is stopped and does not react is ended all the same.
func TestCloseEndsWhatHangs(t *testing.T) {
	t.Parallel()
	o, err := plain()
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Page(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := family(t, b)
	for _, pid := range all {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	b.Close()
	mustEnd(t, all)
}

// Neither the driver nor anything below it sees this process's environment, and
// when the browser is closed nothing of it is left.
func TestDriverInheritsNothingAndLeavesNothing(t *testing.T) {
	t.Setenv("GITHUB_TOKEN", "ghs_planted")
	b := open(t, nil)
	if _, err := b.Page(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, dir := family(t, b), b.engine.layout.dir
	if len(all) < 3 {
		t.Fatalf("processes %v", all)
	}
	for _, pid := range all {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			t.Fatal(err)
		}
		// Chromium writes over its children's.
		if bytes.Contains(env, []byte("ghs_planted")) || pid == all[0] && !bytes.Contains(env, []byte("PATH=")) {
			t.Errorf("process %d has %q", pid, bytes.ReplaceAll(env, []byte{0}, []byte(" ")))
		}
	}
	for range 2 {
		b.Close()
	}
	mustEnd(t, all)
	if exists(dir) {
		t.Errorf("%s is left", dir)
	}
	if _, err := b.Page(t.Context()); err == nil {
		t.Error("a closed browser opens pages")
	}
}

// Node may be a script of the sandbox, which runs it as somebody else.
func TestNodeOfAnotherUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	home, err := os.MkdirTemp("", "") //nolint:usetesting // nobody else gets into t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	if err := os.Chown(home, 60002, 60002); err != nil {
		t.Fatal(err)
	}
	b := open(t, func(o *Options) {
		script := fmt.Sprintf("#!/bin/sh\nexec setpriv --reuid=60002 --regid=60002 --clear-groups --no-new-privs --inh-caps=-all "+
			"env -i PATH=/usr/bin:/bin HOME=%s TMPDIR=%[1]s %s \"$@\"\n", quote(home), quote(o.Node))
		o.Node = filepath.Join(t.TempDir(), "node")
		if err := os.WriteFile(o.Node, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	})
	mustPass(t, accept(t, b, shelf(t), step("goto", "", "/", ""), step("assert_text", "testid=count", "", "0 books")))
	for _, pid := range family(t, b) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue // a process that was no longer needed
		}
		if !bytes.Contains(status, []byte("\nUid:\t60002\t60002\t60002\t60002\n")) {
			t.Errorf("process %d: %s", pid, status)
		}
	}
}

// The library would follow this variable past the sandbox.
func TestNodeOfTheEnvironmentIsRefused(t *testing.T) {
	t.Setenv("PLAYWRIGHT_NODEJS_PATH", "/usr/bin/node")
	b := open(t, nil)
	if _, err := b.Page(t.Context()); err == nil || !strings.Contains(err.Error(), "unset PLAYWRIGHT_NODEJS_PATH") {
		t.Errorf("got %v", err)
	}
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	o, err := plain()
	if err != nil {
		t.Fatal(err)
	}
	o.Driver = t.TempDir()
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "has no package/cli.js: run tools/setup.sh") {
		t.Errorf("got %v", err)
	}
}

func TestAwaitDropsWhatComesTooLate(t *testing.T) {
	t.Parallel()
	release, dropped := make(chan struct{}), make(chan int)
	_, err := awaitOr(t.Context(), time.Millisecond, func() (int, error) { <-release; return 7, nil }, func(v int) { dropped <- v })
	if !errors.Is(err, errNoAnswer) {
		t.Errorf("got %v", err)
	}
	close(release)
	if v := <-dropped; v != 7 {
		t.Errorf("dropped %d", v)
	}
}
