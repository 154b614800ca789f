package browser

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestPage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, func(o *Options) { o.Artifacts, o.Limits.Action = dir, time.Second })
	app := shelf(t)
	u, release, err := b.place(t.Context(), app)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	srv := newServer(t.Context(), app, u, b.o)
	if err := srv.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer srv.stop(t.Context())
	p, err := b.Page(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	do := func(a Action) string {
		t.Helper()
		s, err := p.Do(t.Context(), a)
		if err != nil {
			t.Fatalf("%s: %v", a.Action, err)
		}
		return s
	}
	want := func(a Action, text string) string {
		t.Helper()
		s := do(a)
		if ok, err := regexp.MatchString(`^(?s)`+text, s); err != nil || !ok {
			t.Errorf("%+v: got %q, want %s", a, s, text)
		}
		return s
	}
	want(Action{Action: "snapshot"}, `error: no page is open`)
	want(Action{Action: "open", URL: "http://example.com/"}, `error: only addresses on this machine`)
	want(Action{Action: "open", URL: "file:///etc/passwd"}, `error: only addresses on this machine`)
	want(Action{Action: "open", URL: "data:text/html,x"}, `error: only addresses on this machine`)
	want(Action{Action: "open", URL: u.String()}, `200 http://127\.0\.0\.1:\d+/ "Shelf"$`)
	want(Action{Action: "wait", Text: "late: here", WaitMS: 5000}, `http://\S+ "Shelf"$`)
	tree := want(Action{Action: "snapshot"}, `http://\S+ "Shelf"\n- `)
	ref := func(what string) string {
		t.Helper()
		m := regexp.MustCompile(regexp.QuoteMeta(what) + `.*?\[ref=(e\d+)\]`).FindStringSubmatch(tree)
		if m == nil {
			t.Fatalf("%s is not in %s", what, tree)
		}
		return m[1]
	}
	title, add := ref(`textbox "Title"`), ref(`button "Add"`)
	want(Action{Action: "type", Ref: title, Text: "Dune"}, `done; now at http://\S+ "Shelf"$`)
	want(Action{Action: "press", Ref: title, Key: "End"}, `done; `)
	want(Action{Action: "press", Key: "Shift"}, `done; `)
	want(Action{Action: "click", Ref: "[ref=" + add + "]"}, `done; `)
	want(Action{Action: "wait", Text: "1 book"}, `http`)
	want(Action{Action: "eval", Script: `document.querySelector('#key').textContent`}, `"key: Shift"$`)
	want(Action{Action: "eval", Script: `() => fetch('/api/books').then(r => r.json())`}, `\["Dune"\]$`)
	want(Action{Action: "eval", Script: `nope()`}, `error: ReferenceError: nope is not defined`)
	if s := do(Action{Action: "eval", Script: `'x'.repeat(100000)`}); len(s) > 5000 || !strings.HasSuffix(s, "x\n[95906 bytes more]") {
		t.Errorf("got %d bytes, ending in %s", len(s), s[len(s)-30:])
	}
	want(Action{Action: "console"}, `nothing$`)
	want(Action{Action: "click", Ref: ref(`button "Boom"`)}, `done; `)
	want(Action{Action: "wait", WaitMS: 200}, `http`)
	want(Action{Action: "console"}, `error: boom at / .*\nuncaught TypeError: late boom$`)
	want(Action{Action: "click", Ref: ref(`button "Rename"`)}, `done; now at \S+ "Shelf"\n1 new console entries, the last: dialog dismissed: prompt "New name\?"$`)
	want(Action{Action: "click", Ref: ref(`button "Save"`)}, `error: Timeout 1000ms exceeded\. element is not enabled`)
	want(Action{Action: "click", Ref: "e9999"}, `error: ref e9999 is not on the page any more: take a new snapshot`)
	want(Action{Action: "click", Ref: "e1 >> body"}, `error: ref "e1 >> body" is not one of a snapshot`)
	want(Action{Action: "dance"}, `error: there is no action "dance"`)
	shot := want(Action{Action: "screenshot"}, regexp.QuoteMeta(filepath.Join(dir, "page-1.png"))+`, \d+ bytes$`)
	png, err := os.ReadFile(strings.Split(shot, ",")[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, colours := picture(t, png); colours < 10 {
		t.Errorf("screenshot has %d colours", colours)
	}

	var arrived atomic.Int64
	outside := listen(t, "127.0.0.3:0", func(net.Conn) { arrived.Add(1) })
	want(Action{Action: "eval", Script: `fetch('http://` + outside + `/').catch(e => 'refused')`}, `"refused"\n.*refused GET`)
	want(Action{Action: "eval", Script: `fetch('/away?to=http://` + outside + `').catch(e => 'refused')`}, `"refused"`)
	if arrived.Load() != 0 {
		t.Error("it arrived outside")
	}

	// A page that does not answer costs its actions and nothing else.
	b.o.Limits.Load, b.o.Limits.Wait = time.Second, time.Second
	want(Action{Action: "eval", Script: `(() => { for (;;); })()`}, `error: the page gives no answer in 2s and was closed$`)
	want(Action{Action: "snapshot"}, `error: no page is open`)
	want(Action{Action: "open", URL: u.String() + "/about"}, `200 \S+/about "Shelf"$`)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("enough"))
	defer cancel()
	if _, err := p.Do(ctx, Action{Action: "wait", WaitMS: 30000}); err == nil || err.Error() != "enough" {
		t.Errorf("got %v", err)
	}
	want(Action{Action: "open", URL: u.String() + "/about"}, `200 `)
	want(Action{Action: "close"}, `closed$`)

	b.o.Limits.Load = 5 * time.Second
	want(Action{Action: "open", URL: u.String() + "/about"}, `200 `)
	if err := syscall.Kill(family(t, b)[1], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if s, err := p.Do(t.Context(), Action{Action: "snapshot"}); err == nil {
		t.Errorf("a killed browser answers %s", s)
	}
	want(Action{Action: "open", URL: u.String() + "/about"}, `200 `)
}
