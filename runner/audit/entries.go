package audit

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

var (
	lfs            = pattern.MustCompile(`\bfilter=lfs\b`)
	altering       = pattern.MustCompile(`\b(filter|diff|merge)=|\bexport-(ignore|subst)\b`)
	builtinDriver  = pattern.MustCompile(`\b(diff|merge)=(union|binary|astextplain|lfs|golang|python|html|css|ruby|rust|java|markdown|ours|text)\b`)
	npmLead        = pattern.MustCompile(`^(node-options|script-shell|shell|node_options|onload-script|preload|nodeOptions|yarnPath|plugins|globalconfig|userconfig|prefix)\b`)
	judgingPackage = pattern.MustCompile(`node_modules/(assert|jest|vitest|mocha|chai|expect|@jest|@vitest|tap|ava|\.bin)\b`)
	vendoredJudge  = pattern.MustCompile(`testify|go-cmp|/phpunit|/bin/`)
	between        = pattern.MustCompile("[\"'`>]([^\"'`<>]{3,})[\"'`<]")
)

var binaries = []struct{ magic, what string }{
	{"\x7fELF", "a program for Linux"},
	{"MZ", "a program for Windows"},
	{"\xcf\xfa\xed\xfe", "a program for macOS"},
	{"\xca\xfe\xba\xbe", "a compiled class or program"},
	{"!<arch>\n", "a compiled library"},
	{"\x00asm", "WebAssembly"},
}

var compiled = pattern.MustCompile(`(?i)\.(pyc|pyo|class|jar|so|dylib|dll|exe|node|o|a|wasm|phar|war|nupkg|whl|egg)$`)

// entry looks at what a path is, whatever its content means.
func (a *auditor) entry(c *change) {
	base := path.Base(c.Path)
	switch f := c.After; f.Mode {
	case Absent:
	case Link:
		to := string(f.Data)
		if strings.HasPrefix(to, "/") || escapes(path.Dir(c.Path), to) {
			a.add(Finding{Rule: "link", Severity: Invalid, Path: c.Path, Text: shorten(to), Reason: "This link leads out of the project, to what belongs to the machine that judges."})
		}
	case Other:
		a.find("link", Failed, c, 0, "This is a repository within the repository; what is in it is not part of the tree that is judged. Put the files themselves here.")
	case Regular, Executable:
		if base == ".gitmodules" {
			a.find("link", Failed, c, 0, "A submodule's files are not part of the tree that is judged. Put the files themselves there.")
		}
		if base == ".gitattributes" {
			a.attributes(c)
		}
		if c.Before.Mode != Absent && bytes.Equal(c.Before.Data, f.Data) {
			return
		}
		for _, b := range binaries {
			if !bytes.HasPrefix(f.Data, []byte(b.magic)) || b.magic == "MZ" && (langOf(c.Path, nil) != "" || !bytes.Contains(f.Data[:min(len(f.Data), 400)], []byte{0})) {
				continue
			}
			sev := Failed
			if b.magic == "\x00asm" {
				sev = Note
			}
			a.add(Finding{Rule: "binary", Severity: sev, Path: c.Path, Reason: "This is " + b.what + ", which nobody can read. Keep the source, and let the setup build it."})
			return
		}
		if compiled.MatchString(base) && bytes.IndexByte(f.Data[:min(len(f.Data), 8000)], 0) >= 0 {
			a.add(Finding{Rule: "binary", Severity: Failed, Path: c.Path, Reason: "This is compiled code, which nobody can read. Keep the source, and let the setup build it."})
		}
	}
	if strings.HasPrefix(c.Path, ".husky/") || strings.HasPrefix(c.Path, ".githooks/") || strings.Contains("/"+c.Path, "/.git/") {
		sev := Note
		if strings.Contains("/"+c.Path, "/.git/") {
			sev = Invalid
		}
		if c.After.Mode != Absent {
			a.find("harness", sev, c, 0, "This runs when somebody uses git.")
		}
	}
}

// escapes says whether to, seen from dir, is outside the project.
func escapes(dir, to string) bool {
	p := path.Join(dir, to)
	return p == ".." || strings.HasPrefix(p, "../")
}

func (a *auditor) attributes(c *change) {
	n := 0
	for l := range bytes.Lines(c.After.Data) {
		n++
		text := string(l)
		if !c.fresh[n] || strings.HasPrefix(text, "#") {
			continue
		}
		switch {
		case lfs.MatchString(text):
			a.find("link", Note, c, n, "These files are kept elsewhere.")
		case altering.MatchString(text) && !builtinDriver.MatchString(text):
			a.find("link", Failed, c, n, "With this a checkout differs from the tree that was judged. Take it out.")
		}
	}
}

var (
	envFile = pattern.MustCompile(`^\.(env(\..+)?|envrc)$`)
	envLead = pattern.MustCompile(`\b(NODE_OPTIONS\s*=.*(--require|-r\s|--import|--loader|--experimental-loader|--test-)|NODE_PATH\s*=|PYTHONSTARTUP\s*=|PYTHONPATH\s*=|PYTHONOPTIMIZE\s*=|PYTEST_(ADDOPTS|PLUGINS)\s*=|GOFLAGS\s*=|RUBYOPT\s*=|LD_PRELOAD\s*=|JAVA_TOOL_OPTIONS\s*=|JEST_\w+\s*=|NODE_ENV\s*=\s*["']?test)`)
)

// startup looks at files that are obeyed without being asked for.
func (a *auditor) startup(c *change) {
	base := path.Base(c.Path)
	if c.After.Mode == Absent {
		return
	}
	switch {
	case base == "sitecustomize.py" || base == "usercustomize.py" || strings.HasSuffix(base, ".pth"):
		a.find("startup", Invalid, c, 1, "Python runs this before anything else, the tests' runner included.")
	case base == ".npmrc" || base == ".yarnrc" || base == ".yarnrc.yml" || base == "bunfig.toml" || base == ".noderc" || base == ".pnpmrc":
		n := 0
		for l := range bytes.Lines(c.After.Data) {
			n++
			text := strings.TrimSpace(string(l))
			if !c.fresh[n] || strings.HasPrefix(text, "#") || strings.HasPrefix(text, ";") || strings.HasPrefix(text, "//") {
				continue
			}
			switch {
			case npmLead.MatchString(text):
				a.find("startup", Invalid, c, n, "This decides what runs before, or instead of, the project's commands.")
			default:
				a.find("startup", Note, c, n, "This decides how packages are installed.")
			}
		}
	case envFile.MatchString(base) || base == "go.env" || base == ".mise.toml" || base == ".tool-versions" || base == ".pythonrc":
		n := 0
		for l := range bytes.Lines(c.After.Data) {
			n++
			if c.fresh[n] && envLead.Match(l) && !bytes.HasPrefix(bytes.TrimSpace(l), []byte("#")) {
				a.find("startup", Invalid, c, n, "This variable decides what runs before, or around, the tests.")
			}
		}
	}
	a.shadows(c, base)
}

// shadows finds modules that take the place of what tests are judged by.
func (a *auditor) shadows(c *change, base string) {
	if c.Before.Mode != Absent {
		return
	}
	dir := path.Dir(c.Path)
	names := []string{"pytest", "_pytest", "unittest", "assert", "doctest", "hypothesis", "nose", "mock", "pluggy"}
	switch {
	case strings.HasSuffix(base, ".py") && (dir == "." || dir == "src" || dir == "tests" || dir == "test") && slices.Contains(names, strings.TrimSuffix(base, ".py")),
		base == "__init__.py" && slices.Contains(names, path.Base(dir)) && (path.Dir(dir) == "." || path.Dir(dir) == "src"):
		a.find("startup", Invalid, c, 1, "Python loads this in the place of the module by which tests are judged.")
	case strings.HasPrefix(c.Path, "node_modules/") || strings.Contains(c.Path, "/node_modules/"):
		sev := Note
		if judgingPackage.MatchString(c.Path) {
			sev = Invalid
		}
		a.find("startup", sev, c, 0, "Packages are installed by the setup, from the lock file; what is written here takes their place.")
	case strings.HasPrefix(c.Path, "vendor/") && vendoredJudge.MatchString(c.Path):
		a.find("startup", Note, c, 0, "Packages by which tests are judged are part of the project here.")
	case strings.HasPrefix(c.Path, "__mocks__/") && slices.Contains([]string{"assert.js", "fs.js", "node:assert.js"}, base):
		a.find("startup", Failed, c, 1, "This takes the place of a module in all tests.")
	}
}

var golden = pattern.MustCompile(`\.(snap|golden|approved\.\w+|snapshot|ambr|expected|expect)$|(^|/)(__snapshots__|goldens?|snapshots)/|(^|/)testdata/.*\.(golden|out|want|txt|json|html|xml|svg)$`)

// goldens compares what tests expect and keep in files.
func (a *auditor) goldens() {
	for _, c := range a.changes {
		if !golden.MatchString(c.Path) || c.Before.Mode == Absent {
			continue
		}
		if c.After.Mode == Absent {
			a.lost("snapshot", Failed, c, 0, "What tests expect is gone with this file, or will be written anew. Put it back.")
			continue
		}
		old, now := linesIn(c.Before.Data), linesIn(c.After.Data)
		i := 0
		for _, l := range now {
			if i < len(old) && old[i] == l {
				i++
			}
		}
		if i == len(old) {
			a.find("snapshot", Note, c, 0, "More is expected by this file than before; nothing that was is gone.")
			continue
		}
		fresh := missing(now, old)
		said := len(fresh) > 0
		for _, f := range fresh {
			said = said && a.asked(f)
		}
		line := lineWith(c.Before.Data, old[i])
		if said || a.seen && len(now) >= len(old) && !slices.ContainsFunc(missing(old, now), a.asked) {
			a.lost("snapshot", Note, c, line, "This file expects something else than before, as the feature says.")
			continue
		}
		a.lost("snapshot", Failed, c, line, "This line of what tests expect is gone or changed. Put it back, and mend the program instead; if the feature contradicts it, use cannot_complete with kind conflict.")
	}
}

// asked says whether a line holds something that the feature names.
func (a *auditor) asked(line string) bool {
	wanted := a.wanted()
	for _, w := range between.FindAllStringSubmatch(line, 8) {
		if strings.Contains(wanted, strings.TrimSpace(w[1])) {
			return true
		}
	}
	return len(line) > 3 && strings.Contains(wanted, line)
}

func linesIn(data []byte) []string {
	var ls []string
	for l := range bytes.Lines(data) {
		if t := strings.TrimSpace(string(l)); t != "" {
			ls = append(ls, t)
		}
	}
	return ls
}
