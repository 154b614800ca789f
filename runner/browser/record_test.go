package browser

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/runner/check"
)

// What an agent does with a page becomes an acceptance that passes, and whose
// data is drawn anew.
func TestRecording(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, func(o *Options) { o.Artifacts = dir })
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
	file := filepath.Join(dir, "recording-001.json")
	do(Action{Action: "open", URL: u.String()})
	tree := do(Action{Action: "snapshot"})
	ref := func(what string) string {
		t.Helper()
		m := regexp.MustCompile(regexp.QuoteMeta(what) + `.*?\[ref=(e\d+)\]`).FindStringSubmatch(tree)
		if m == nil {
			t.Fatalf("%s is not in %s", what, tree)
		}
		return m[1]
	}
	do(Action{Action: "type", Ref: ref(`textbox "Title"`), Text: "The Left Hand"})
	do(Action{Action: "eval", Script: "document.title"})
	do(Action{Action: "click", Ref: ref(`button "Add"`)})
	do(Action{Action: "click", Ref: "e9999"}) // fails, and is no part of it
	if exists(file) {
		t.Error("a recording without an expectation is kept")
	}
	do(Action{Action: "wait", Text: "The Left Hand"})
	do(Action{Action: "press", Key: "Tab"})
	do(Action{Action: "wait", WaitMS: 1})
	do(Action{Action: "click", Ref: ref(`link "About"`)})
	do(Action{Action: "wait", Text: "About"})
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got proposal
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	want := proposal{"recorded-001", map[string]check.Datum{"title": {Kind: "sentence"}}, scenario(
		step("goto", "", "/", ""),
		step("fill", `role=textbox[name="Title"]`, "{{title}}", ""),
		step("click", `role=button[name="Add"]`, "", ""),
		step("wait_for", "text={{title}}", "", ""),
		step("press", "", "Tab", ""),
		step("click", `role=link[name="About"]`, "", ""),
		step("wait_for", "text=About", "", ""),
	).Steps}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for i, st := range got.Acceptance {
		if st.Value == "{{title}}" {
			got.Acceptance[i].Value = "Fedur nola bim"
		} else if st.Target == "text={{title}}" {
			got.Acceptance[i].Target = "text=Fedur nola bim"
		}
	}
	mustPass(t, accept(t, b, shelf(t), got.Acceptance...))
}

func TestElementsAreCalledByWhatTellsThemApart(t *testing.T) {
	t.Parallel()
	b, app := common(t), shelf(t)
	u, release, err := b.place(t.Context(), app)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	e, err := b.up(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := e.open(t.Context(), scope{port: port(u)}, u, b.o.Limits)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	err = s.page.SetContent(`<button id=a>Save</button><button id=b data-testid=second>Save</button><button id=c>Say "hi"</button><input id=f aria-label="It's"><button>none</button><button class=x>none</button>`)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := s.look(b.o.Limits)
	if err != nil {
		t.Fatal(err)
	}
	refs := regexp.MustCompile(`\[ref=(e\d+)\]`)
	for css, want := range map[string]string{
		"#a": "css=#a", "#b": "testid=second", "#c": `role=button[name="Say \"hi\""]`, "#f": `role=textbox[name="It's"]`, ".x": "",
	} {
		got := "nothing"
		for _, m := range refs.FindAllStringSubmatch(tree, -1) {
			l := s.page.Locator("aria-ref=" + m[1])
			if n, err := l.And(s.page.Locator(css)).Count(); err == nil && n == 1 {
				got = s.called(m[1], l)
			}
		}
		if got != want {
			t.Errorf("%s is called %s, want %s in\n%s", css, got, want, tree)
		}
	}
}

func TestGeneral(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"Dune": "word", "The Left Hand": "sentence", "ada@example.com": "email", "2024-02-29": "date", "2024-02-30": "", "17:05": "time", "120": "integer",
		"3.50": "decimal", "http://a.example/b": "url", "#!?": "", "ab": "", "{{x}}": "",
	} {
		steps := scenario(step("goto", "", "/"+value, ""), step("fill", "label=First Name", value, ""), step("fill", "label=First Name", "Other", ""),
			step("assert_text", "", "", "is "+value+"!")).Steps
		data, got := general(steps)
		kind := data["first_name"].Kind
		if want == "" {
			if kind != "word" || got[3].Expected != steps[3].Expected {
				t.Errorf("%s is drawn as %s: %+v", value, kind, got)
			}
			continue
		}
		if kind != want || got[0].Value != "/"+value || got[1].Value != "{{first_name}}" || got[2].Value != "{{first_name2}}" || got[3].Expected != "is {{first_name}}!" {
			t.Errorf("%s: kind %s, %+v", value, kind, got)
		}
	}
}
