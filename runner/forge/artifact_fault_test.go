package forge

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/internal/fakegithub"
	"github.com/autonomous-loop/autonomous-loop/internal/faults"
	"github.com/autonomous-loop/autonomous-loop/runner"
)

// TestArtifactFaults has artifacts that nobody should trust, put there by the
// same service that everybody uses, and a service that fails.
func TestArtifactFaults(t *testing.T) {
	downloading := func(name string) part {
		return func(t *testing.T, w *world, h *Hub) (ends, reads string) {
			t.Helper()
			files, err := h.Download(t.Context(), w.run.ID, name)
			if err != nil && len(files) > 0 {
				t.Errorf("files came with the error: %v", files)
			}
			return faults.EndOfExtra(err, nil), fmt.Sprint(err)
		}
	}
	holding := func(data func() []byte) func(*world) {
		return func(w *world) { got(w.hub().results.upload(w.t.Context(), "x", data()))(w.t) }
	}
	whole := holding(func() []byte { return got(pack(handoff))(t) })
	const zips = "GET /blob/*"
	for _, c := range []struct {
		id     string
		at     string // the requests that are counted
		before func(*world)
		fault  fakegithub.Fault
		part   part
	}{
		{"A1a", zips, func(w *world) { whole(w); w.Expire(w.Artifacts()[0].ID) }, fakegithub.Fault{}, downloading("x")},
		{"A1b", zips, whole, fakegithub.Fault{}, downloading("y")},
		{"A1c", zips, func(w *world) {
			whole(w)
			next := w.opts.HTTP
			w.opts.HTTP = roundTrip(func(r *http.Request) (*http.Response, error) {
				resp, err := next.RoundTrip(r)
				if err == nil && strings.HasSuffix(r.URL.Path, "/artifacts") {
					body := got(io.ReadAll(resp.Body))(w.t)
					resp.Body.Close()
					body = regexp.MustCompile(`"head_repository_id":\d+`).ReplaceAll(body, []byte(`"head_repository_id":4711`))
					resp.Body = io.NopCloser(bytes.NewReader(body))
				}
				return resp, err
			})
		}, fakegithub.Fault{}, downloading("x")},
		{"A1d", zips, func(w *world) { whole(w); a := w.Artifacts()[0]; w.Corrupt(a.ID, append(a.Data, 0)) }, fakegithub.Fault{}, downloading("x")},
		{"A1e", zips, holding(func() []byte {
			return got(pack([]runner.File{{Name: "zeros", Data: make([]byte, mostBytes+1)}}))(t)
		}), fakegithub.Fault{}, downloading("x")},
		{"A1f", zips, holding(func() []byte { return zipped(t, func(h *zip.FileHeader) { h.Name = "../../f" }) }), fakegithub.Fault{}, downloading("x")},
		{"A1g", zips, holding(func() []byte { return zipped(t, func(h *zip.FileHeader) { h.SetMode(fs.ModeSymlink | 0o777) }) }), fakegithub.Fault{}, downloading("x")},
		{"A1h", twirpPath + "CreateArtifact", nil, fakegithub.Fault{Status: 403, Body: `{"code":"resource_exhausted","msg":"insufficient usage"}`, Times: -1}, uploading},
		{"A1i", twirpPath + "CreateArtifact", nil, fakegithub.Fault{Status: 503, Times: -1}, uploading},
		{"A1j", "PUT /blob/*", nil, fakegithub.Fault{Status: 503, Times: 2}, uploading},
	} {
		t.Run(c.id, func(t *testing.T) {
			w := newWorld(t)
			if c.before != nil {
				c.before(w)
			}
			if c.fault.Status != 0 {
				c.fault.Match = c.at
				w.Fail(c.fault)
			}
			asked := w.matching(c.at)
			ends, reads := c.part(t, w, w.hub())
			faults.Check(t, c.id, faults.Seen{Ends: ends, Waits: w.clock.slept, Requests: w.matching(c.at) - asked, Reads: reads})
		})
	}
}
