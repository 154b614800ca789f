// Package crash holds no code but tests: that a loop whose processes are killed,
// and whose calls fail, at any moment comes to the same end as one that was left
// in peace.
package crash

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/autonomous-loop/autonomous-loop/runner/model"
)

var modelURL string

func TestMain(m *testing.M) {
	stub() // does not return where this process is to be the program
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "crash")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		buildDir = dir
		script := plan
		for n := range 8 {
			script += strings.ReplaceAll(attempt, "/N/", fmt.Sprintf("/%d/", n+1))
		}
		server, err := model.Script("model.txtar", []byte(script))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer server.Close()
		modelURL = strings.TrimSuffix(server.URL, "/v1")
		return m.Run()
	}())
}

var buildDir string

// released builds the program as it is released.
var released = sync.OnceValues(func() (string, error) { return build("released") })

func build(name string, args ...string) (string, error) {
	binary := filepath.Join(buildDir, name)
	out, err := exec.Command("go", append(append([]string{"build", "-trimpath", "-o", binary}, args...), "../..")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, bytes.TrimSpace(out))
	}
	return binary, nil
}

func need(t testing.TB, binary func() (string, error)) string {
	t.Helper()
	b, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
