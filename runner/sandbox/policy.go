package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// A policy is what the helper is told: all there is to know about one command.
type policy struct {
	Argv []string
	Dir  string
	Env  []string

	Drop     bool // to UID, with Mark as the only group
	UID, GID int
	Mark     uint32
	Slot     int // for oom_score_adj

	Confine bool // Landlock of at least ABI, and seccomp
	ABI     int
	Net     Net
	Ports   bool // the helper itself takes on the rules for ports; else it was started under them
	Unix    bool // unix sockets may be opened
	Read    []string
	Write   []string

	Processes uint64 // of the user, on the whole machine
	Files     uint64 // open, of one process
	FileBytes uint64 // of one file

	Parent int // the process with whose end this one ends; 0: none
	Keep   int // descriptors from this on are closed
	Probe  *probe
}

// check says everything that c asks for and cannot have.
func (s *Sandbox) check(c Command) error {
	var errs []error
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		errs = append(errs, errors.New("no program named"))
	}
	switch c.Net {
	case "", None, Full:
	case Local:
		if !s.rung.local {
			errs = append(errs, fmt.Errorf("network local takes Landlock ABI %d (Linux 6.7), and this is ABI %d; none and full can be had", abiTCP, s.rung.abi))
		}
	default:
		errs = append(errs, fmt.Errorf("network %q: want none, local or full", c.Net))
	}
	for _, e := range c.Env {
		if i := strings.IndexByte(e, '='); i <= 0 || strings.IndexByte(e, 0) >= 0 {
			errs = append(errs, fmt.Errorf("environment %q: want NAME=value", e))
		}
	}
	paths := slices.Concat(c.Read, c.Write)
	if c.Dir != "" {
		paths = append(paths, c.Dir)
	}
	if c.Place != "" {
		if !c.Judge || c.Browser {
			errs = append(errs, errors.New("a place is for judged commands only"))
		}
		paths = append(paths, c.Place)
	}
	for _, path := range paths {
		if !filepath.IsAbs(path) {
			errs = append(errs, fmt.Errorf("path %q is not absolute", path))
			continue
		}
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			errs = append(errs, err)
		} else if within(s.private, real) {
			errs = append(errs, fmt.Errorf("path %s holds the sandbox's own files", path))
		}
	}
	return errors.Join(errs...)
}

// policy says how c is to be held.
func (s *Sandbox) policy(c Command, m mark) policy {
	u, t := s.as(c), s.tools
	p := policy{
		Argv: c.Argv, Dir: cmp.Or(c.Dir, u.home),
		Drop: u.own, UID: u.uid, GID: u.gid, Mark: m.gid, Slot: m.slot,
		Confine: s.rung.confine, ABI: s.rung.abi, Net: cmp.Or(c.Net, None), Unix: s.rung.unix,
		Write: append(slices.Clone(c.Write), u.home, u.tmp),
		Files: maxFiles, Keep: 3,
	}
	if s.rung.confine {
		p.Processes, p.FileBytes = s.processes, s.fileBytes
	}
	p.Read = slices.Concat(c.Read, t.read, []string{p.Dir})
	path := slices.DeleteFunc(slices.Clone(t.path), func(dir string) bool {
		return slices.ContainsFunc(p.Write, func(w string) bool { return within(dir, w) })
	})
	p.Env = environ(u, path, append(slices.Clone(t.env), c.Env...), p.Dir)
	return p
}

// environ is the environment of a command, built from nothing: what this process
// has in its own is for it alone. The later of two with one name wins.
func environ(u user, path, more []string, dir string) []string {
	env := []string{
		"PATH=" + strings.Join(path, ":"),
		"HOME=" + u.home,
		"TMPDIR=" + u.tmp,
		"USER=sandbox", "LOGNAME=sandbox", // the user has no entry in /etc/passwd, and some programs must call him something
		"PWD=" + dir,
		"LANG=C.UTF-8",
		"GOPATH=" + filepath.Join(u.home, "go"),
		"GOCACHE=" + u.cache(),
		// No colours, pagers, prompts and progress bars; output as it comes, so
		// that a timeout keeps it.
		"CI=true", "TERM=dumb", "NO_COLOR=1", "PAGER=cat", "GIT_PAGER=cat", "GIT_TERMINAL_PROMPT=0", "DEBIAN_FRONTEND=noninteractive", "PYTHONUNBUFFERED=1",
		// Work trees may be the harness's; git calls that dubious.
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}
	for _, e := range more {
		name, _, _ := strings.Cut(e, "=")
		env = slices.DeleteFunc(env, func(old string) bool { return strings.HasPrefix(old, name+"=") })
		env = append(env, e)
	}
	return env
}
