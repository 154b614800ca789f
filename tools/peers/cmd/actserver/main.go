// Actserver serves the artifact service of nektos/act, a foreign
// implementation that the product's client is tested against.
//
// It listens on a free port of the loopback interface, prints one line of JSON,
// {"url": …, "token": …}, and ends when its standard input does. The program
// stands in a module of its own so that act and all that it needs stay out of
// the product's.
package main

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"
	"github.com/nektos/act/pkg/artifacts"
	"github.com/nektos/act/pkg/common"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("actserver: ")
	if err := run(os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(stdin io.Reader, stdout io.Writer) error {
	dir, err := os.MkdirTemp("", "actserver-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	router := httprouter.New()
	artifacts.RoutesV4(router, dir, files{dir}, files{dir})
	token, err := common.CreateAuthorizationToken(1, 21, 49)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: mend(router), ReadHeaderTimeout: 10 * time.Second}
	defer srv.Close()
	go srv.Serve(l) // ends with Close
	if err := json.NewEncoder(stdout).Encode(map[string]string{"url": "http://" + l.Addr().String(), "token": token}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, stdin)
	return err
}

// files gives act a directory to write to.
type files struct{ dir string }

func (f files) path(name string) string {
	if rel, err := filepath.Rel(f.dir, name); err == nil && filepath.IsLocal(rel) {
		return name
	}
	return filepath.Join(f.dir, name)
}

func (f files) Open(name string) (fs.File, error) { return os.Open(f.path(name)) }

func (f files) OpenWritable(name string) (artifacts.WritableFile, error) {
	return f.create(name, os.O_TRUNC)
}

func (f files) OpenAppendable(name string) (artifacts.WritableFile, error) {
	return f.create(name, os.O_APPEND)
}

func (f files) create(name string, flag int) (artifacts.WritableFile, error) {
	if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(f.path(name), os.O_CREATE|os.O_WRONLY|flag, 0o644)
}

// padding is the end of a signature that some clients drop.
var padding = regexp.MustCompile(`(sig=[A-Za-z0-9_-]+)=`)

// mend puts right in front of act 0.2.89 what it gets wrong and current clients
// cannot live with (nektos/act issues 6022, 6114 and 6173): it does not know
// mime_type, it signs URLs with padding that is not escaped, and it does not
// say what a download is.
func mend(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/CreateArtifact") {
			var message map[string]any
			if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			delete(message, "mime_type")
			body, _ := json.Marshal(message) // unreachable error: it was just decoded
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		body := rec.Body.Bytes()
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/DownloadArtifact") {
			w.Header().Set("Content-Type", "application/zip")
		} else {
			body = padding.ReplaceAll(body, []byte("${1}%3D"))
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(rec.Code)
		w.Write(body)
	})
}
