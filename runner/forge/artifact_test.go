package forge

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
	"github.com/autonomous-loop/autonomous-loop/runner"
)

const twirpPath = "POST /twirp/github.actions.results.api.v1.ArtifactService/"

var handoff = []runner.File{
	{Name: "handoff.json", Data: []byte(`{"schema":1}`)},
	{Name: "evidence/add-001/red.txt", Data: []byte("not ok 1\n")},
	{Name: "empty", Data: []byte{}},
}

// sorted is handoff as it comes back.
var sorted = []runner.File{handoff[2], handoff[1], handoff[0]}

func TestUploadAndDownload(t *testing.T) {
	for name, camel := range map[string]bool{"snake_case": false, "camelCase": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *fakegithub.Options) { o.Camel = camel })
			receipt := got(w.hub().Upload(t.Context(), "main-4-1-1", handoff))(t)
			all := w.Artifacts()
			if want := fmt.Sprintf("%s/octo/loop/actions/runs/%d/artifacts/%d", w.url, w.run.ID, all[0].ID); receipt != want {
				t.Errorf("receipt %s, want %s", receipt, want)
			}
			// Another run reads it, by the API.
			files := got(w.hub(func(o *Options) { o.Run, o.RuntimeToken = Run{}, "" }).Download(t.Context(), w.run.ID, "main-4-1-1"))(t)
			if d := cmp.Diff(files, sorted); d != "" {
				t.Errorf("files (-got +want):\n%s", d)
			}
			again := got(w.hub().Upload(t.Context(), "main-4-1-1", handoff))(t)
			if again != receipt || len(w.Artifacts()) != 1 {
				t.Errorf("again: %s, %d artifacts", again, len(w.Artifacts()))
			}
		})
	}
}

func TestUploadInBlocks(t *testing.T) {
	w := newWorld(t)
	big := make([]byte, 2*blockSize+12345) // three blocks, because noise does not shrink
	rand.Read(big)
	got(w.hub().Upload(t.Context(), "big", []runner.File{{Name: "noise", Data: big}}))(t)
	if n := w.count("PUT /blob/"); n != 4 {
		t.Errorf("%d requests for three blocks and their list", n)
	}
	files := got(w.hub().Download(t.Context(), w.run.ID, "big"))(t)
	if len(files) != 1 || !bytes.Equal(files[0].Data, big) {
		t.Error("what came back differs")
	}
}

func TestUploadLosesAnAnswer(t *testing.T) {
	for _, at := range []string{twirpPath + "CreateArtifact", "PUT /blob/*", twirpPath + "FinalizeArtifact"} {
		for name, f := range map[string]fakegithub.Fault{
			"drop": {Drop: true}, "lose": {Lose: true}, "cut": {Cut: true}, "503": {Status: 503}, "html": {Status: 200, Body: "<html>"},
			"429": {Status: 429, Header: map[string]string{"Retry-After": "40"}},
		} {
			if strings.HasPrefix(at, "PUT") && name == "html" {
				continue // a 200 is final there, see TestBlobStoreMustSay201
			}
			t.Run(strings.ReplaceAll(at, "/", "_")+" "+name, func(t *testing.T) {
				w := newWorld(t)
				f.Match = at
				w.Fail(f)
				receipt := got(w.hub().Upload(t.Context(), "main-4", handoff))(t)
				all := w.Artifacts()
				if len(all) != 1 || !strings.HasSuffix(receipt, fmt.Sprint("/", all[0].ID)) {
					t.Fatalf("receipt %s, artifacts %d", receipt, len(all))
				}
				if d := cmp.Diff(got(unpack(all[0].Data))(t), sorted); d != "" {
					t.Errorf("files (-got +want):\n%s", d)
				}
				wait := 3 * time.Second
				if name == "429" {
					wait = 40 * time.Second
				}
				if strings.HasPrefix(at, "PUT") && name == "cut" {
					return // an answer without a body cannot be cut
				}
				if d := cmp.Diff(w.clock.slept, []time.Duration{wait}); d != "" {
					t.Errorf("slept (-got +want):\n%s", d)
				}
			})
		}
	}
}

func TestUploadIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		before func(*world)
		name   string
		want   string
	}{
		"another artifact of the name": {
			func(w *world) { got(w.hub().Upload(w.t.Context(), "main-4", handoff[:1]))(w.t) },
			"main-4", "upload the artifact main-4: the run has another artifact of this name, with other content (sha256:",
		},
		"a name that is none": {func(*world) {}, "a/b", `upload the artifact a/b: "a/b" cannot be an artifact's name`},
		"GitHub Enterprise Server": {
			func(w *world) { w.opts.ServerURL = "https://git.example.com" },
			"x", "git.example.com is a GitHub Enterprise Server, which has no artifact service of this kind",
		},
		"not in an action":      {func(w *world) { w.opts.RuntimeToken = "" }, "x", "there is no artifact service here"},
		"a token without scope": {func(w *world) { w.opts.RuntimeToken = "a.e30.b" }, "x", "the runtime token names no run and job"},
		"a token of nobody": {
			func(w *world) {
				w.opts.RuntimeToken = "a." + base64.RawURLEncoding.EncodeToString([]byte(`{"scp":"Actions.Results:1:2"}`)) + ".b"
			},
			"x", "the artifact service says 401 unauthenticated to CreateArtifact",
		},
		"no storage left": {
			func(w *world) {
				w.Fail(fakegithub.Fault{Match: twirpPath + "CreateArtifact", Status: 403, Body: `{"code":"resource_exhausted","msg":"insufficient usage"}`})
			},
			"x", "storage for artifacts is full",
		},
		"never an answer": {
			func(w *world) { w.Fail(fakegithub.Fault{Match: twirpPath + "*", Status: 500, Times: -1}) },
			"x", "upload the artifact x: CreateArtifact: no answer but 500",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.before(w)
			before := len(w.Artifacts())
			_, err := w.hub().Upload(t.Context(), c.name, handoff)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
			if n := len(w.Artifacts()); n != before {
				t.Errorf("%d artifacts", n)
			}
		})
	}
}

func TestUploadDoesNotWaitForHours(t *testing.T) {
	w := newWorld(t)
	w.Fail(fakegithub.Fault{Match: twirpPath + "*", Status: 429, Header: map[string]string{"Retry-After": "3600"}, Times: -1})
	if _, err := w.hub().Upload(t.Context(), "x", handoff); err == nil || len(w.clock.slept) > 0 {
		t.Errorf("error %v, slept %v", err, w.clock.slept)
	}
}

// Some servers answer 200 and keep nothing.
func TestBlobStoreMustSay201(t *testing.T) {
	w := newWorld(t)
	w.Fail(fakegithub.Fault{Match: "PUT /blob/*", Status: 200, Body: "ok"})
	if _, err := w.hub().Upload(t.Context(), "x", handoff); err == nil || !strings.Contains(err.Error(), "says 200 where it should say 201") {
		t.Errorf("error %v", err)
	}
}

// A signed URL is as good as a key, and errors are shown to everybody.
func TestErrorsKeepSignedURLs(t *testing.T) {
	w := newWorld(t)
	w.Fail(fakegithub.Fault{Match: "PUT /blob/*", Drop: true, Times: -1})
	_, err := w.hub().Upload(t.Context(), "x", handoff)
	if err == nil || strings.Contains(err.Error(), "sig=") || strings.Contains(err.Error(), "http") {
		t.Errorf("error %v", err)
	}
	if err := w.hub().results.put(t.Context(), "http://x/%zz?sig=secret", "text/plain", nil); err == nil || strings.Contains(err.Error(), "sig=") {
		t.Errorf("error %v", err)
	}
	w.Heal()
	got(w.hub().Upload(t.Context(), "y", handoff))(t)
	w.Fail(fakegithub.Fault{Match: "GET /blob/*", Drop: true, Times: -1})
	if _, err = w.hub().Download(t.Context(), w.run.ID, "y"); err == nil || strings.Contains(err.Error(), "sig=") {
		t.Errorf("error %v", err)
	}
}

func TestRetention(t *testing.T) {
	w := newWorld(t)
	got(w.hub().Upload(t.Context(), "x", handoff))(t)
	req := got(http.NewRequest(http.MethodGet, fmt.Sprintf("%s/repos/octo/loop/actions/runs/%d/artifacts", w.url, w.run.ID), nil))(t)
	req.Header.Set("Authorization", "Bearer "+token)
	resp := got(http.DefaultClient.Do(req))(t)
	defer resp.Body.Close()
	var body bytes.Buffer
	got(body.ReadFrom(resp.Body))(t)
	if !strings.Contains(body.String(), `"expires_at":"2026-11-28T12:00:00Z"`) {
		t.Errorf("not 5 days: %s", body.String())
	}
}

// zipped is an archive of one file, whose header change makes what it is to be.
func zipped(t *testing.T, change func(*zip.FileHeader)) []byte {
	t.Helper()
	var b bytes.Buffer
	zw := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: "f", Method: zip.Deflate}
	change(h)
	fmt.Fprint(got(zw.CreateHeader(h))(t), "x")
	must(t, zw.Close())
	return b.Bytes()
}

func TestDownloadTrustsNothing(t *testing.T) {
	for name, data := range map[string][]byte{
		`"../f" cannot be`:         zipped(t, func(h *zip.FileHeader) { h.Name = "../f" }),
		`"/etc/f" cannot be`:       zipped(t, func(h *zip.FileHeader) { h.Name = "/etc/f" }),
		`"a/../../f" cannot be`:    zipped(t, func(h *zip.FileHeader) { h.Name = "a/../../f" }),
		`cannot be a file's name`:  zipped(t, func(h *zip.FileHeader) { h.Name = `a\..\f` }),
		`"f" is not a plain file`:  zipped(t, func(h *zip.FileHeader) { h.SetMode(fs.ModeSymlink | 0o777) }),
		`unzip: zip: not a valid`:  []byte("PK no zip"),
		`two files are called "f"`: twice(t),
	} {
		if files, err := unpack(data); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, files %v", name, err, files)
		}
	}
	bomb := got(pack([]runner.File{{Name: "zeros", Data: make([]byte, mostBytes+1)}}))(t)
	if _, err := unpack(bomb); err == nil || !strings.Contains(err.Error(), "more than 268435456 bytes") {
		t.Errorf("a bomb of %d bytes: %v", len(bomb), err)
	}
	many := make([]runner.File, mostFiles+1)
	for i := range many {
		many[i].Name = fmt.Sprint(i)
	}
	if _, err := unpack(got(pack(many))(t)); err == nil || !strings.Contains(err.Error(), "more than 10000 files") {
		t.Errorf("too many files: %v", err)
	}
}

func twice(t *testing.T) []byte {
	var b bytes.Buffer
	zw := zip.NewWriter(&b)
	for range 2 {
		got(zw.Create("f"))(t)
	}
	must(t, zw.Close())
	return b.Bytes()
}

func TestDownloadIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		before func(*world, fakegithub.Artifact)
		want   string
	}{
		"damaged": {
			func(w *world, a fakegithub.Artifact) { w.Corrupt(a.ID, append(a.Data, 0)) },
			"it is damaged: it should be sha256:",
		},
		"expired":     {func(w *world, a fakegithub.Artifact) { w.Expire(a.ID) }, "it has expired"},
		"no such run": {func(w *world, _ fakegithub.Artifact) { w.run.ID = 1 }, "GitHub says 404 Not Found"},
		"no permission": {
			func(w *world, _ fakegithub.Artifact) { w.SetPermission("actions", "") },
			"the token lacks the permission actions: read",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			got(w.hub().Upload(t.Context(), "x", handoff))(t)
			c.before(w, w.Artifacts()[0])
			if _, err := w.hub().Download(t.Context(), w.run.ID, "x"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
	w := newWorld(t)
	got(w.hub().Upload(t.Context(), "x", handoff))(t)
	if _, err := w.hub().Download(t.Context(), w.run.ID, "y"); err == nil || !strings.Contains(err.Error(), "the run has none of this name") {
		t.Errorf("error %v", err)
	}
}

func TestSameFilesSameBytes(t *testing.T) {
	a := got(pack(handoff))(t)
	b := got(pack(sorted))(t)
	if !bytes.Equal(a, b) {
		t.Error("the order of the files changes the zip")
	}
	if _, err := pack([]runner.File{{Name: "../x"}}); err == nil {
		t.Error("a name that leaves the directory is packed")
	}
}

// Twirp's numbers are strings, and the download URL gets no Authorization: the
// fake refuses everything else, and so the tests above would fail.
func TestRuntimeTokenScope(t *testing.T) {
	claims := func(scp string) string {
		return "h." + base64.RawURLEncoding.EncodeToString([]byte(`{"scp":"`+scp+`"}`)) + ".s"
	}
	run, job, err := backends(claims("Actions.GenericRead:1 Actions.Results:ru-n:jo-b Actions.UploadArtifacts:1"))
	if run != "ru-n" || job != "jo-b" || err != nil {
		t.Errorf("%s %s %v", run, job, err)
	}
	for _, bad := range []string{"", "x", "a.b.c", claims("Actions.Results:1"), claims("Actions.Results:1:2:3")} {
		if _, _, err := backends(bad); err == nil {
			t.Errorf("%q is taken for a runtime token", bad)
		}
	}
}
