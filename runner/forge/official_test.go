//go:build deep

package forge

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// official is GitHub's own artifact client, as an action has it.
type official struct {
	t   *testing.T
	dir string
	env []string
}

// newOfficial installs the client into a fresh directory, by its lock file.
func newOfficial(t *testing.T) *official {
	t.Helper()
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "official"))))
	install := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return &official{t: t, dir: dir}
}

// in has the client run in w's run. It refuses every server that is not
// github.com, but finds its services by their own variables.
func (o *official) in(w *world) {
	o.env = append(os.Environ(), "GITHUB_SERVER_URL=https://github.com", "GITHUB_API_URL="+w.url, "GITHUB_REPOSITORY="+where,
		"ACTIONS_RESULTS_URL="+w.url+"/", "ACTIONS_RUNTIME_TOKEN="+w.opts.RuntimeToken, "RUNNER_TEMP="+o.t.TempDir(), "GITHUB_WORKSPACE="+o.t.TempDir())
}

func (o *official) do(args ...string) map[string]any {
	o.t.Helper()
	result := filepath.Join(o.t.TempDir(), "result.json")
	cmd := exec.Command("node", append([]string{"client.mjs"}, args...)...)
	cmd.Dir = o.dir
	cmd.Env = append(o.env, "RESULT="+result)
	if out, err := cmd.CombinedOutput(); err != nil {
		o.t.Fatalf("node client.mjs %s: %v\n%s", args[0], err, out)
	}
	var v map[string]any
	must(o.t, json.Unmarshal(got(os.ReadFile(result))(o.t), &v))
	return v
}

// today is a world whose clock says what the official client's says.
func today(t *testing.T) *world {
	w := newWorld(t)
	w.clock.at = time.Now().UTC()
	w.opts.RuntimeToken = w.RuntimeToken(w.run.ID)
	return w
}

// TestOfficialClient proves the fake by the client that GitHub itself was built
// for, and our client by what that one reads.
func TestOfficialClient(t *testing.T) {
	o := newOfficial(t)
	root := t.TempDir()
	for _, f := range handoff {
		at := filepath.Join(root, f.Name)
		must(t, os.MkdirAll(filepath.Dir(at), 0o755))
		must(t, os.WriteFile(at, f.Data, 0o644))
	}
	var files []string
	for _, f := range handoff {
		files = append(files, filepath.Join(root, f.Name))
	}

	t.Run("it uploads, we download", func(t *testing.T) {
		w := today(t)
		o.in(w)
		out := o.do(append([]string{"upload", "theirs", root}, files...)...)
		if out["error"] != nil || len(w.Artifacts()) != 1 || out["id"] != float64(w.Artifacts()[0].ID) {
			t.Fatalf("%v, artifacts %v", out, w.Artifacts())
		}
		if d := cmp.Diff(got(w.hub().Download(t.Context(), w.run.ID, "theirs"))(t), sorted); d != "" {
			t.Errorf("files (-got +want):\n%s", d)
		}
		if out := o.do(append([]string{"upload", "theirs", root}, files...)...); !strings.Contains(fmt.Sprint(out["error"]), "already exists") {
			t.Errorf("the same name again: %v", out)
		}
	})

	t.Run("we upload, it downloads", func(t *testing.T) {
		w := today(t)
		o.in(w)
		got(w.hub().Upload(t.Context(), "ours", handoff))(t)
		want := map[string]string{}
		for _, f := range handoff {
			want[f.Name] = string(f.Data)
		}
		for _, args := range [][]string{
			{"download", "ours", t.TempDir()},
			{"fetch", "ours", t.TempDir(), fmt.Sprint(w.run.ID), "octo", "loop", token},
		} {
			out := o.do(args...)
			if out["error"] != nil || out["digestMismatch"] == true {
				t.Errorf("%s: %v", args[0], out)
			}
			if d := cmp.Diff(tree(t, args[2]), want); d != "" {
				t.Errorf("%s (-got +want):\n%s", args[0], d)
			}
		}
		list, _ := o.do("list")["artifacts"].([]any)
		if len(list) != 1 || list[0].(map[string]any)["name"] != "ours" {
			t.Errorf("it lists %v", list)
		}
		if out := o.do("delete", "ours"); out["error"] != nil || len(w.Artifacts()) != 0 {
			t.Errorf("it deletes: %v", out)
		}
	})

	t.Run("it is refused in a run that is not its own", func(t *testing.T) {
		w := today(t)
		o.in(w)
		other := today(t)
		srv := httptest.NewServer(other.Server)
		defer srv.Close()
		o.env = append(o.env, "ACTIONS_RESULTS_URL="+srv.URL)
		if out := o.do(append([]string{"upload", "theirs", root}, files...)...); out["error"] == nil {
			t.Errorf("a token of another server is taken: %v", out)
		}
	})
}
