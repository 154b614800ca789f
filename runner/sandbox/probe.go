package sandbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// A probe is what the helper tries instead of a command, once it has given up
// everything.
type probe struct {
	Parent  int    // the process that holds the secrets
	Dir     string // open to all by its permissions, with these two in it
	Closed  string // a file of the parent's, mode 0600
	Open    string // mode 0644
	Dropped bool   // there was a user to become
}

// run prints what succeeded; nothing should.
func (p *probe) run() error {
	held := []string{}
	try := func(what string, err error) {
		if err == nil {
			held = append(held, what)
		}
	}
	read := func(path string) { try("read "+path, readable(path)) }
	read(fmt.Sprintf("/proc/%d/environ", p.Parent))
	read(fmt.Sprintf("/proc/%d/mem", p.Parent))
	read("/proc/1/environ")
	read(p.Closed)
	read(p.Open)
	try("write to "+p.Dir, os.WriteFile(filepath.Join(p.Dir, "planted"), nil, 0o600))
	try("signal the process that started it", unix.Kill(p.Parent, 0))
	try("open an internet socket", socket(unix.AF_INET, unix.SOCK_STREAM))
	try("open an internet socket for datagrams", socket(unix.AF_INET6, unix.SOCK_DGRAM))
	try("make a user namespace", unix.Unshare(unix.CLONE_NEWUSER))
	for _, engine := range []string{"/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock"} {
		try("speak to "+engine, connect(engine))
	}
	if p.Dropped {
		try("become root again", unix.Setuid(0))
	}
	return json.NewEncoder(os.Stdout).Encode(held)
}

func readable(path string) error {
	f, err := os.Open(path)
	if err == nil {
		f.Close()
	}
	return err
}

func connect(path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: path})
}

func socket(family, kind int) error {
	fd, err := unix.Socket(family, kind, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// try lets a child of each user try what must fail, all at once.
func (s *Sandbox) try(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp(filepath.Dir(s.private), "probe-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p := probe{
		Parent: os.Getpid(), Dir: dir, Closed: filepath.Join(dir, "closed"), Open: filepath.Join(dir, "open"),
		Dropped: s.rung.drop,
	}
	if err := errors.Join(
		os.Chmod(dir, 0o777), //nolint:gosec // so that only Landlock stands in the way
		os.WriteFile(p.Closed, []byte("secret"), 0o600),
		os.WriteFile(p.Open, []byte("secret"), 0o644), //nolint:gosec // likewise
	); err != nil {
		return err
	}
	users := []Command{{}, {Judge: true}, {Browser: true}}
	errs := make([]error, len(users))
	var tries sync.WaitGroup
	for i, c := range users {
		tries.Go(func() { errs[i] = s.tryAs(ctx, c, p) })
	}
	tries.Wait()
	return cmp.Or(errs...) // the others most likely say the same
}

// tryAs lets one user's child try.
func (s *Sandbox) tryAs(ctx context.Context, c Command, p probe) error {
	c.Argv = []string{helperName}
	out, err := s.run(ctx, c, &p)
	if err != nil {
		return err
	}
	var held []string
	if err := json.Unmarshal([]byte(out.Text), &held); err != nil || out.Code != 0 {
		return fmt.Errorf("try the sandbox: exit code %d: %s", out.Code, out.Text)
	}
	if len(held) > 0 {
		return fmt.Errorf("the sandbox does not hold here; a command as uid %d could %s", s.as(c).uid, strings.Join(held, ", "))
	}
	return nil
}
