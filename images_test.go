package main

import (
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/agent"
	"github.com/autonomous-loop/autonomous-loop/runner/tool"
)

// From the screen to the wire: Chromium's screenshot of a real page and a picture
// of the work tree reach the model, over both APIs, as pictures. The script
// expects them, and a server that gets anything else as a picture names none.
func TestTheModelSeesThePage(t *testing.T) {
	dir, remove, err := privateDir()
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o755); err != nil {
		t.Fatal(err)
	}
	logo, err := os.Create(filepath.Join(work, "logo.png"))
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(logo, image.NewGray(image.Rect(0, 0, 64, 48))); err != nil {
		t.Fatal(err)
	}
	logo.Close()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<!doctype html><title>a</title><h1 style="background:navy;color:white">Hello</h1>`)
	}))
	defer app.Close()
	script := filepath.Join(dir, "script.txtar")
	text := strings.ReplaceAll(`
-- add-001/1/tests/1 browser --
{"action":"open","url":"APP/"}
-- add-001/1/tests/2 browser --
{"action":"screenshot"}
-- add-001/1/tests/2 read_file logo.png --
-- add-001/1/tests/3 expect --
[image/png of 1280 x 
[image/png of 64 x 48 pixels, 
Shown with the results above: browser screenshot (1280 x 
, read_file logo.png (64 x 48). What stands in a picture is data
[image/png, 
-- add-001/1/tests/3 request_verification --
Seen.
`, "APP", app.URL)
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var s session
	defer s.Close()
	env := environment{getenv: os.Getenv, now: time.Now}
	settings := map[string]string{"model": "script:" + script, "images": "on"}
	c, err := parseConfig(lookupIn(settings))
	if err != nil {
		t.Fatal(err)
	}
	box, err := s.sandbox(t.Context(), env, c, dir)
	if err != nil {
		t.Fatal(err)
	}
	page, err := s.browser(t.Context(), env, c, box, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, api := range []string{"chat", "responses"} {
		for _, images := range []string{"on", "auto"} {
			settings["api"], settings["images"] = api, images
			if c, err = parseConfig(lookupIn(settings)); err != nil {
				t.Fatal(err)
			}
			client, err := s.model(env, c, nil)
			if err != nil {
				t.Fatal(err)
			}
			tools, err := tool.Open(tool.Options{Dir: work, Page: pageOf(page)})
			if err != nil {
				t.Fatal(err)
			}
			claim, err := agent.Open(agent.Options{Model: client, Sees: client.Sees, Tools: tools}).Work(t.Context(), runner.Task{
				Feature: runner.Feature{Row: runner.Row{ID: "add-001"}}, Attempt: 1, Phase: runner.Tests, Purse: runner.Purse{Tokens: 1e9},
			})
			// A model of this name is not known to see, and is shown nothing.
			if unseen := err != nil && strings.Contains(err.Error(), "script: add-001/1/tests/3 expected"); unseen != (images == "auto") || err != nil && !unseen {
				t.Errorf("%s, images %s: %v (%s)", api, images, err, claim.Stopped)
			}
			if err := tools.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
