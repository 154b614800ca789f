package forge

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The artifact service of nektos/act was written by others, from the protocol
// and not from our client. It runs as a program of its own, out of a module of
// its own.
func TestForeignServerTakesOurArtifacts(t *testing.T) {
	program := filepath.Join(t.TempDir(), "actserver")
	build := exec.Command("go", "build", "-C", filepath.Join("..", "..", "tools", "peers"), "-o", program, "./cmd/actserver")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build act's server: %v\n%s", err, out)
	}
	server := exec.Command(program)
	server.Stderr = os.Stderr
	stdin := got(server.StdinPipe())(t)
	stdout := got(server.StdoutPipe())(t)
	must(t, server.Start())
	t.Cleanup(func() {
		stdin.Close()
		if err := server.Wait(); err != nil {
			t.Errorf("act's server: %v", err)
		}
	})
	var at struct{ URL, Token string }
	must(t, json.NewDecoder(stdout).Decode(&at))

	w := newWorld(t)
	h := w.hub(func(o *Options) { o.ResultsURL, o.RuntimeToken = at.URL, at.Token })
	got(h.Upload(t.Context(), "main-4", handoff))(t)

	a := got(h.results.find(t.Context(), "main-4"))(t)
	if a == nil {
		t.Fatal("act lists no artifact")
	}
	var signed struct {
		URL string `json:"signedurl"`
	}
	must(t, h.results.call(t.Context(), "GetSignedArtifactURL", message{"name": "main-4"}, &signed))
	resp := got(http.Get(signed.URL))(t)
	defer resp.Body.Close()
	var zipped bytes.Buffer
	got(zipped.ReadFrom(resp.Body))(t)
	if d := cmp.Diff(got(unpack(zipped.Bytes()))(t), sorted); d != "" {
		t.Errorf("files (-got +want):\n%s", d)
	}
}
