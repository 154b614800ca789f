package browser

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner/check"
)

// A run that fails is traced when it is repeated, whoever the visitor is by then;
// one that passes is not.
func TestRepeatedFailureIsTraced(t *testing.T) {
	t.Parallel()
	kept, exchange := t.TempDir(), t.TempDir()
	b := open(t, func(o *Options) { o.Artifacts, o.Exchange = filepath.Join(kept, "pages"), exchange })
	app := shelf(t)
	failing := []check.Step{step("goto", "", "/", ""), step("new_context", "", "/about", ""), step("assert_response", "", "GET /api/books", "201")}
	if acc := accept(t, b, app, failing...); acc.Passed || acc.Trace != "" {
		t.Errorf("passed %t, traced %q", acc.Passed, acc.Trace)
	}
	acc := accept(t, b, app, failing...)
	if acc.Passed || acc.Trace != "trace-shelf-1.zip" {
		t.Fatalf("passed %t, traced %q", acc.Passed, acc.Trace)
	}
	data, err := os.ReadFile(filepath.Join(kept, "pages", acc.Trace))
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, ".trace") || strings.HasSuffix(f.Name, ".network") {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			all += string(b)
		}
	}
	for _, want := range []string{"/about", "/api/books", "About", `"method":"goto"`} {
		if !strings.Contains(all, want) {
			t.Errorf("the trace has no %s", want)
		}
	}
	if left, err := os.ReadDir(exchange); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	mustPass(t, accept(t, b, app, step("goto", "", "/about", "")))
	if b.suspect("shelf-1") {
		t.Error("it passes and is traced")
	}
}

// What the driver's user may have put in a trace's place is not followed.
func TestWhatIsHandedOverIsAFile(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	write := func(name string, n int) {
		if err := os.WriteFile(name, make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(outside, 3)
	write(filepath.Join(dir, "good"), 100)
	write(filepath.Join(dir, "big"), 101)
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("good", filepath.Join(dir, "near")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, ok := range map[string]bool{"good": true, "big": false, "link": false, "near": false, "pipe": false, "none": false, "../secret": false, ".": false} {
		if data, err := receive(dir, name, 100); (err == nil) != ok || ok && len(data) != 100 {
			t.Errorf("%s: %d bytes, %v", name, len(data), err)
		}
	}
}
