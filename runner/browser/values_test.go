package browser

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner/check"
)

func TestScope(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		url       string
		own, here bool // in the scope of port 4000; of this machine
	}{
		{"http://127.0.0.1:4000/x", true, true},
		{"http://localhost:4000", true, true},
		{"http://app.localhost:4000", true, true},
		{"ws://[::1]:4000/socket", true, true},
		{"https://localhost:4000", true, true},
		{"data:text/html,x", true, true},
		{"blob:http://127.0.0.1:4000/1", true, true},
		{"about:blank", true, true},
		{"http://127.0.0.1:4001/", false, true},
		{"http://127.0.0.1/", false, true},
		{"http://127.0.0.3:4000/", false, false},
		{"http://0.0.0.0:4000/", false, false},
		{"http://example.com:4000/", false, false},
		{"http://localhost.example.com:4000/", false, false},
		{"http://evil@example.com:4000/", false, false},
		{"http://localhost:4000@example.com/", false, false},
		{"file:///etc/passwd", false, false},
		{"file://localhost:4000/etc/passwd", false, false},
		{"chrome://version", false, false},
		{"view-source:http://127.0.0.1:4000/", false, false},
		{"ftp://localhost:4000/", false, false},
		{"http://[::1", false, false},
	} {
		if got := (scope{port: "4000"}).holds(tt.url); got != tt.own {
			t.Errorf("port 4000 holds %s: %t", tt.url, got)
		}
		if got := (scope{}).holds(tt.url); got != tt.here {
			t.Errorf("this machine holds %s: %t", tt.url, got)
		}
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	base := &url.URL{Scheme: "http", Host: "127.0.0.1:4000", Path: "/app/"}
	for ref, want := range map[string]string{
		"/books?q=1#x":               "http://127.0.0.1:4000/books?q=1#x",
		"books":                      "http://127.0.0.1:4000/app/books",
		"http://localhost:4000/":     "http://localhost:4000/",
		"//example.com/":             "",
		"//127.0.0.3:4000/":          "",
		"http://127.0.0.1:4001/":     "",
		"javascript:alert(1)":        "",
		"data:text/html,x":           "",
		"file:///etc/passwd":         "",
		`\\example.com/`:             "http://127.0.0.1:4000/app/%5C%5Cexample.com/",
		"http://a@127.0.0.1:4000/":   "http://a@127.0.0.1:4000/",
		"http://127.0.0.1:4000@x.y/": "",
	} {
		if got, ok := (scope{port: "4000"}).resolve(base, ref); got != want || ok != (want != "") {
			t.Errorf("%s: got %q, %t, want %q", ref, got, ok, want)
		}
	}
}

func TestSameURL(t *testing.T) {
	t.Parallel()
	have := "http://127.0.0.1:4000/books/7?sort=title&page=2#top"
	for want, ok := range map[string]bool{
		"/books/7":                            true,
		"/books/7/":                           true,
		"/books/7?sort=title&page=2":          true,
		"/books/7#top":                        true,
		"/books/*":                            true,
		"*/7":                                 true,
		"/books/7?sort=*":                     true,
		"http://localhost:4000/books/7":       true,
		"http://127.0.0.1:4000/books/7?*#top": true,
		"/books":                              false,
		"/books/77":                           false,
		"/books/7?sort=title":                 false,
		"/books/7#bottom":                     false,
		"/":                                   false,
		"books/7":                             false,
		"http://localhost:4001/books/7":       false,
		"http://example.com/books/7":          false,
		"https://127.0.0.1:4000/books/7":      false,
		"/books/.":                            false,
		"http://127.0.0.1:4000/books/7?sort=x#to": false,
	} {
		if got := sameURL(want, have); got != ok {
			t.Errorf("%s: got %t", want, got)
		}
	}
	if !sameURL("/", "http://127.0.0.1:4000") || !sameURL("/", "http://127.0.0.1:4000/?a=b") {
		t.Error("/ is not the root")
	}
}

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]target{
		`role=button[name="Add \"it\""]`:        {kind: "role", role: "button", text: `Add "it"`},
		`role=button[name='Add']`:               {kind: "role", role: "button", text: "Add"},
		`role=button[name=Add book]`:            {kind: "role", role: "button", text: "Add book"},
		`role=heading[level=2][name="A [b] c"]`: {kind: "role", role: "heading", text: "A [b] c", attrs: []attr{{"level", "2"}}},
		`role=checkbox[checked]`:                {kind: "role", role: "checkbox", attrs: []attr{{"checked", "true"}}},
		`role=tab[selected=false]`:              {kind: "role", role: "tab", attrs: []attr{{"selected", "false"}}},
		`role=list`:                             {kind: "role", role: "list"},
		`label=Title`:                           {kind: "label", text: "Title"},
		`label="Title"`:                         {kind: "label", text: "Title", exact: true},
		`text=a=b`:                              {kind: "text", text: "a=b"},
		`placeholder=Search`:                    {kind: "placeholder", text: "Search"},
		`testid=count`:                          {kind: "testid", text: "count"},
		`#a > .b[c="d"]`:                        {kind: "css", text: `#a > .b[c="d"]`},
		`input[name=q]`:                         {kind: "css", text: `input[name=q]`},
		`css=text`:                              {kind: "css", text: "text"},
	} {
		got, err := parseTarget(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(target{}, attr{})); d != "" {
			t.Errorf("%s (-want +got):\n%s", s, d)
		}
	}
	for s, want := range map[string]string{
		"":                             "target is empty",
		"css= ":                        "target is empty",
		"label=":                       "names no text",
		`text=""`:                      "names no text",
		"role=":                        "names no role",
		"role=button[name":             "cannot read [name",
		"role=button[nome=x]":          "nome is not one of name, checked",
		"role=heading[level=two]":      "level wants a number",
		"role=checkbox[checked=maybe]": "checked wants true or false",
		"role=button name=x":           "cannot read  name=x",
	} {
		if _, err := parseTarget(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", s, err, want)
		}
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for want, st := range map[string]check.Step{
		"step 0 (clack x): there is no such action; there are goto, fill,":                         step("clack", "x", "", ""),
		"step 0 (goto): it needs target or value":                                                  step("goto", "", "", ""),
		"step 0 (goto /): expected \"ok\" is not an HTTP status":                                   step("goto", "/", "", "ok"),
		"step 0 (click x): it needs target":                                                        step("click", "", "x", ""),
		"step 0 (assert_text #x): it needs expected":                                               step("assert_text", "#x", "", ""),
		"step 0 (assert_url #x): it needs value or expected":                                       step("assert_url", "#x", "", ""),
		"step 0 (assert_count li): expected \"two\" is not a number":                               step("assert_count", "li", "", "two"),
		"step 0 (assert_count li): expected \"-1\" is not a number":                                step("assert_count", "li", "", "-1"),
		"step 0 (assert_attr li): value \"a b\" is not the name":                                   step("assert_attr", "li", "a b", ""),
		"step 0 (assert_response FETCH /x): value \"FETCH /x\" is not a request":                   step("assert_response", "", "FETCH /x", "200"),
		"step 0 (assert_response GET /x): expected \"fine\" is not an answer":                      step("assert_response", "", "GET /x", "fine"),
		"step 0 (assert_persisted #x): value \"sleep\" is not one of reload, new_context, restart": step("assert_persisted", "#x", "sleep", ""),
		"step 0 (dialog maybe): value \"maybe\" is neither accept nor dismiss":                     step("dialog", "", "maybe", ""),
		"step 0 (click role=button[x): target role=button[x: cannot read [x: want [name=\"text\"":  step("click", "role=button[x", "", ""),
	} {
		got := Mistakes([]check.Step{st})
		if len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := Mistakes(nil); len(got) != 1 {
		t.Errorf("no steps: %q", got)
	}
	if got := Mistakes([]check.Step{
		step("goto", "/", "", ""), step("assert_value", "#x", "", ""),
		step("assert_response", "", "GET /x", `200 {"n": {{n}}}`), step("allow_console_errors", "", "", ""),
	}); got != nil {
		t.Errorf("got %q", got)
	}
}

// The driver's errors come with a long log; the line of it that says why is
// kept, and nothing else.
func TestBrief(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		`Timeout 500ms exceeded. <div id="cover-up"></div> intercepts pointer events`: errors.New("playwright: timeout: Timeout 500ms exceeded.\n" +
			"Call log:\n  - waiting for locator('#under')\n    - locator resolved to <button>\n    - <div id=\"cover-up\"></div> intercepts pointer events\n  - retrying"),
		"Timeout 500ms exceeded. element is not enabled": errors.New("playwright: timeout: Timeout 500ms exceeded.\nCall log:\n    - element is not enabled\n"),
		"ReferenceError: nope is not defined":            errors.New("playwright: ReferenceError: nope is not defined\n    at eval (eval at evaluate (:302:30))"),
		"Unknown key: \"x\"":                             errors.New("playwright: Keyboard.press: Unknown key: \"x\""),
		"step 2 (click x): no element":                   &stepError{"step 2 (click x)", &fault{"no element"}},
		"step 2 (restart): it ended\nline 1\nline 2":     fmt.Errorf("again: %w", &stepError{"step 2 (restart)", &fault{"it ended\nline 1\nline 2"}}),
	} {
		if got := brief(err); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		" a\n\tb\x1b[31mc\x00 ": "a b [31mc",
		"::error::x\r\n::y":     "::error::x ::y",
		"äöü äöü äöü xxx":       "äöü äöü ä…",
		"\xff":                  "\uFFFD",
	} {
		if got := oneLine(in, 17); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	v, err := Version()
	if err != nil {
		t.Fatal(err)
	}
	find := func(env map[string]string, files ...string) (Paths, error) {
		there := make(map[string]bool)
		for _, f := range files {
			there[f] = true
		}
		return Find(func(k string) string { return env[k] }, func(p string) bool { return there[p] })
	}
	driver := func(dir string) []string { return []string{dir, dir + "/package/cli.js", dir + "/prepared"} }
	home := map[string]string{"HOME": "/home/ada", "PATH": "bin:/usr/local/bin:/usr/bin"}

	got, err := find(home, append(driver("/opt/autonomous-loop/driver-"+v), "/usr/bin/node", "/usr/bin/chromium", "/usr/lib/chromium/chromium")...)
	want := Paths{"/opt/autonomous-loop/driver-" + v, "/usr/bin/node", "/usr/lib/chromium/chromium"}
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	own := "/home/ada/.cache/autonomous-loop"
	got, err = find(home, append(driver(own+"/driver-"+v), "/usr/bin/node", "/usr/local/bin/node", "/usr/bin/chromium", own+"/chromium")...)
	if want = (Paths{own + "/driver-" + v, "/usr/local/bin/node", own + "/chromium"}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	named := map[string]string{EnvChromium: "/c", EnvDriver: "/d", EnvNode: "/n"}
	got, err = find(named, append(driver("/d"), "/c", "/n", "/usr/bin/node")...)
	if want = (Paths{"/d", "/n", "/c"}); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for want, f := range map[string]func() (Paths, error){
		"Chromium is missing: run tools/setup.sh, or name it in AUTONOMOUS_LOOP_CHROMIUM\n" +
			"Node.js is missing: run tools/setup.sh, or name it in AUTONOMOUS_LOOP_NODE\n" +
			"Playwright's driver is missing: run tools/setup.sh, or name it in AUTONOMOUS_LOOP_DRIVER": func() (Paths, error) { return find(home) },
		// What is named is taken, not something else in its place.
		"Chromium is not at /c: run tools/setup.sh, or name it in AUTONOMOUS_LOOP_CHROMIUM": func() (Paths, error) {
			return find(named, append(driver("/d"), "/n", "/usr/bin/chromium")...)
		},
		"Playwright's driver at /d has no package/cli.js: run tools/setup.sh, or name it in AUTONOMOUS_LOOP_DRIVER": func() (Paths, error) {
			return find(named, "/c", "/n", "/d")
		},
		"Playwright's driver at /d is not prepared: run tools/setup.sh, or go run ./tools/driver /d /n": func() (Paths, error) {
			return find(named, "/c", "/n", "/d", "/d/package/cli.js")
		},
	} {
		if _, err := f(); err == nil || err.Error() != "find browser: "+want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}
