package browser

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Paths are the parts that a browser is made of.
type Paths struct {
	Driver   string // directory with package/, prepared
	Node     string
	Chromium string
}

// The variables that name the parts, and the place where tools/setup.sh keeps
// what it fetched.
const (
	EnvDriver   = "AUTONOMOUS_LOOP_DRIVER"
	EnvNode     = "AUTONOMOUS_LOOP_NODE"
	EnvChromium = "AUTONOMOUS_LOOP_CHROMIUM"
	EnvCache    = "AUTONOMOUS_LOOP_CACHE"
)

// rootCache is the cache of a machine on which tools/setup.sh was run by root.
const rootCache = "/opt/autonomous-loop"

// chromiums are tried in this order: the headless shell starts and draws more
// than twice as fast as the whole browser. What lies in /usr/bin is often a
// script that adds flags; what it starts is tried before it.
var chromiums = []string{
	"/usr/lib/chromium/chromium-headless-shell",
	"/usr/lib/chromium/chromium",
	"/opt/google/chrome/chrome",
	"/usr/bin/chromium-headless-shell",
	"/usr/bin/chromium",
	"/usr/bin/google-chrome-stable",
	"/usr/bin/google-chrome",
}

const hint = "run tools/setup.sh, or name it in %s"

// Find looks up the parts of the browser: where the environment says, else in
// the places where tools/setup.sh and the system's packages put them. The error
// names everything that is missing and how to get it.
func Find(getenv func(string) string, exists func(string) bool) (Paths, error) {
	version, err := Version()
	if err != nil {
		return Paths{}, fmt.Errorf("find browser: %w", err)
	}
	caches := []string{rootCache}
	if home := getenv("HOME"); home != "" {
		caches = append([]string{filepath.Join(home, ".cache", "autonomous-loop")}, caches...)
	}
	if dir := getenv(EnvCache); dir != "" {
		caches = []string{dir}
	}
	var drivers, browsers, nodes []string
	for _, c := range caches {
		drivers = append(drivers, filepath.Join(c, "driver-"+version))
		browsers = append(browsers, filepath.Join(c, "chromium"))
	}
	for _, dir := range filepath.SplitList(getenv("PATH")) {
		if filepath.IsAbs(dir) {
			nodes = append(nodes, filepath.Join(dir, "node"))
		}
	}
	first := func(name string, in []string) string {
		if p := getenv(name); p != "" {
			return p
		}
		for _, p := range in {
			if exists(p) {
				return p
			}
		}
		return ""
	}
	p := Paths{
		Driver:   first(EnvDriver, drivers),
		Node:     first(EnvNode, append(nodes, "/usr/bin/node", "/usr/local/bin/node")),
		Chromium: first(EnvChromium, append(browsers, chromiums...)),
	}
	if err := p.check(exists); err != nil {
		return Paths{}, fmt.Errorf("find browser: %w", err)
	}
	return p, nil
}

// check says what is missing, all of it at once.
func (p Paths) check(exists func(string) bool) error {
	var errs []error
	for _, part := range []struct{ what, env, path string }{
		{"Chromium", EnvChromium, p.Chromium},
		{"Node.js", EnvNode, p.Node},
		{"Playwright's driver", EnvDriver, p.Driver},
	} {
		switch {
		case part.path == "":
			errs = append(errs, fmt.Errorf("%s is missing: "+hint, part.what, part.env))
		case !exists(part.path):
			errs = append(errs, fmt.Errorf("%s is not at %s: "+hint, part.what, part.path, part.env))
		case part.env == EnvDriver && !exists(filepath.Join(part.path, "package", "cli.js")):
			errs = append(errs, fmt.Errorf("%s at %s has no package/cli.js: "+hint, part.what, part.path, part.env))
		case part.env == EnvDriver && !exists(filepath.Join(part.path, prepared)):
			errs = append(errs, fmt.Errorf("%s at %s is not prepared: run tools/setup.sh, or go run ./tools/driver %s %s",
				part.what, part.path, part.path, strings.TrimSpace(p.Node)))
		}
	}
	return errors.Join(errs...)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
