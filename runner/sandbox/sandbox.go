package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Options say what a sandbox is made of.
type Options struct {
	Isolation string // auto, landlock or none; "" is auto, which never means none
	Dir       string // for the sandbox alone: homes, temporary files and what it needs itself; created
	Path      string // the PATH to choose programs from; "": the system's directories

	// The user and group whose files commands write when this process is root, 0 for
	// 60001; the judge's are one higher, the browser's two. Nothing else may use
	// any of them.
	UID, GID uint32

	Processes uint64           // most processes and threads of a user; 0: 2048
	FileBytes uint64           // most bytes of one file; 0: 4 GiB
	Now       func() time.Time // measures how long a command took; nil: the clock
}

const (
	defaultUser      = 60001
	defaultProcesses = 2048
	defaultFileBytes = 4 << 30
	maxFiles         = 16384
)

// A Sandbox runs commands. Its methods may be called at the same time.
type Sandbox struct {
	rung      rung
	private   string // what no command may read or write
	helper    string // this program, under the helper's name
	user      user
	judge     user   // whose home is where each command is: see [Sandbox.Place]
	places    string // of judged commands that were given none
	cached    store
	browser   user
	tools     toolkit
	processes uint64
	fileBytes uint64
	now       func() time.Time

	tried   chan struct{} // closed: it is known whether this holds, and refusal says why not
	refusal error

	mu       sync.Mutex
	closed   bool
	plain    *launcher
	ports    *launcher // for [Local]; nil until first asked for
	live     map[*Process]bool
	wrappers []mark
}

// Open decides how commands are held, makes what they need, and begins to end
// what an earlier session left and to try whether it holds: [Sandbox.Held] says
// so, and no command is started before it does. It changes this process: other processes of the user can no longer
// look into it (PR_SET_DUMPABLE), and orphans of its children become its own
// (PR_SET_CHILD_SUBREAPER).
func Open(ctx context.Context, o Options) (*Sandbox, error) {
	s, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open the sandbox: %w", err)
	}
	return s, nil
}

func open(ctx context.Context, o Options) (_ *Sandbox, err error) {
	if !filepath.IsAbs(o.Dir) {
		return nil, fmt.Errorf("directory %q is not absolute", o.Dir)
	}
	s := &Sandbox{
		processes: cmp.Or(o.Processes, defaultProcesses), fileBytes: cmp.Or(o.FileBytes, defaultFileBytes),
		now: o.Now, live: map[*Process]bool{}, tried: make(chan struct{}),
	}
	if s.now == nil {
		s.now = time.Now //nolint:forbidigo // only measures; nothing is decided by it
	}
	uid, gid := cmp.Or(o.UID, defaultUser), cmp.Or(o.GID, defaultUser)
	if s.rung, err = climb(o.Isolation, look(), uid); err != nil {
		return nil, err
	}
	if err := errors.Join(
		unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0),
		unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0),
	); err != nil {
		return nil, fmt.Errorf("prepare this process: %w", err)
	}
	s.user = user{uid: os.Geteuid(), gid: os.Getegid()}
	s.judge, s.browser = s.user, s.user
	if s.rung.drop {
		s.user = user{uid: int(uid), gid: int(gid), own: true}
		s.judge = user{uid: int(uid) + 1, gid: int(gid) + 1, own: true}
		s.browser = user{uid: int(uid) + 2, gid: int(gid) + 2, own: true}
	} else if s.processes, err = beside(s.processes, s.user.uid); err != nil {
		return nil, err
	}
	if err := s.furnish(o.Dir); err != nil {
		return nil, err
	}
	s.tools = equip(o.Path, s.user, s.judge, s.browser)
	if s.plain, err = newLauncher(nil); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.tried)
		if s.rung.drop {
			s.refusal = sweep(s.uids())
		}
		if s.rung.confine && s.refusal == nil {
			s.refusal = s.try(ctx)
		}
	}()
	return s, nil
}

// Held waits until nothing of an earlier session runs any more and it was tried
// whether the sandbox holds. If it does not, the
// error says what a command could do, and none will ever be started.
func (s *Sandbox) Held() error {
	<-s.tried
	if s.refusal != nil {
		return fmt.Errorf("open the sandbox: %w", s.refusal)
	}
	return nil
}

// furnish makes the directories. The ones at the top stay ours, so that nothing
// a command does can turn a path below them into another one.
func (s *Sandbox) furnish(dir string) error {
	s.private = filepath.Join(dir, "private")
	s.helper = filepath.Join(s.private, helperName)
	s.user.home, s.user.tmp = filepath.Join(dir, "user", "home"), filepath.Join(dir, "user", "tmp")
	s.places = filepath.Join(dir, "judge")
	s.cached.dir = filepath.Join(s.private, "go-build")
	s.browser.home, s.browser.tmp = filepath.Join(dir, "browser", "home"), filepath.Join(dir, "browser", "tmp")
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // commands must pass
		return err
	}
	for _, u := range []user{s.user, s.browser} {
		for _, d := range []string{u.home, u.tmp} {
			if err := os.MkdirAll(d, 0o755); err != nil { //nolint:gosec // the user's own are closed below
				return err
			}
			if err := errors.Join(os.Chmod(d, 0o700), os.Lchown(d, u.uid, u.gid)); err != nil { //nolint:gosec // a directory
				return err
			}
		}
	}
	if err := errors.Join(os.MkdirAll(s.places, 0o755), os.MkdirAll(s.private, 0o700)); err != nil { //nolint:gosec // commands must pass
		return err
	}
	if s.rung.drop {
		for _, d := range []string{dir, filepath.Dir(s.user.home), s.places, filepath.Dir(s.browser.home)} {
			if err := os.Chmod(d, 0o755); err != nil { //nolint:gosec // commands must pass
				return err
			}
		}
		if d, mode := s.user.barrier(dir); d != "" {
			return fmt.Errorf("commands run as uid %d, which cannot pass through %s (%s) to %s: use a directory that others can reach, "+
				"for example below /var/lib or /var/tmp, or let others pass (chmod o+x %s), or run without root", s.user.uid, d, mode, dir, d)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if err := os.Remove(s.helper); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(self, s.helper)
}

// Rung is one line for people: how commands are held.
func (s *Sandbox) Rung() string { return s.rung.line }

// User is as whom commands run.
func (s *Sandbox) User() (uid, gid int) { return s.user.uid, s.user.gid }

// as is the user of a command.
func (s *Sandbox) as(c Command) user {
	switch {
	case c.Browser:
		return s.browser
	case c.Judge:
		return s.judge.at(c.Place)
	}
	return s.user
}

func (s *Sandbox) uids() []int {
	if !s.rung.drop {
		return []int{s.user.uid}
	}
	return []int{s.user.uid, s.judge.uid, s.browser.uid}
}

// Close ends everything that was ever started and is not over. Commands cannot
// be started any more. Closing twice is harmless.
func (s *Sandbox) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	live, wrappers := slices.Collect(maps.Keys(s.live)), s.wrappers
	s.mu.Unlock()

	for _, p := range live {
		p.end(atOnce)
	}
	var errs []error
	for _, p := range live {
		<-p.done
		errs = append(errs, p.err)
	}
	<-s.tried
	for _, m := range wrappers {
		_, err := s.kin(m, 0).end()
		errs = append(errs, err)
		m.sweep()
		m.release()
	}
	// Only now: the end of its thread kills what a launcher started.
	s.plain.close()
	if s.ports != nil {
		s.ports.close()
	}
	return errors.Join(errs...)
}

// kin is the processes with a mark.
func (s *Sandbox) kin(m mark, main int) kin {
	return kin{mark: m, uids: s.uids(), main: main, confined: s.rung.confine}
}
