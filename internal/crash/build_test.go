package crash

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// swift builds the program with pauses a thousandth as long: nobody waits for a
// retry here.
var swift = sync.OnceValues(func() (string, error) { return planted("swift", swiftly, nil) })

var swiftly = []edit{
	{"wire.go", "time.NewTimer(d)", "time.NewTimer(d / 1000)"},
	{"runner/repo/remote.go", "time.NewTimer(d)", "time.NewTimer(d / 1000)"},
}

// An edit replaces a text that occurs once in a file: one of the program's, by its
// name, or another by its path.
type edit struct{ file, old, new string }

// planted builds the program with edits and with new files, which stand nowhere
// but beside the build.
func planted(name string, edits []edit, files map[string]string) (string, error) {
	file, err := overlay(filepath.Join(buildDir, "overlay-"+name), edits, files)
	if err != nil {
		return "", err
	}
	return build(name, "-overlay", file)
}

// overlay writes what go's option of that name takes, into a new directory.
func overlay(dir string, edits []edit, files map[string]string) (string, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	texts := map[string]string{}
	maps.Copy(texts, files)
	for _, e := range edits {
		path := e.file
		if !filepath.IsAbs(path) {
			var err error
			if path, err = filepath.Abs(filepath.Join("../..", path)); err != nil {
				return "", err
			}
		}
		if _, ok := texts[path]; !ok {
			data, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			texts[path] = string(data)
		}
		if n := strings.Count(texts[path], e.old); n != 1 {
			return "", fmt.Errorf("%q occurs %d times in %s", e.old, n, e.file)
		}
		texts[path] = strings.Replace(texts[path], e.old, e.new, 1)
	}
	replace := map[string]string{}
	for path, text := range texts {
		replace[path] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	data, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, data, 0o600)
}
