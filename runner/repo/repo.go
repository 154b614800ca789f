// Package repo is the loop's memory: the work tree and two branches of a git
// remote. It implements [runner.Repo], and the gates' checkouts (Export and
// Changed).
//
// The state branch is the database: each commit is one transaction and moves
// the branch by compare-and-swap, together with the work branch. Both updates
// are one push, with the ids that the branches are expected to have; it is
// never forced, it never recreates a branch, and it touches no other ref.
//
// All objects live in a git directory of the package's own. The work tree has
// no .git, no remote and no state, and of what stands in it nothing decides
// anything but the files .gitignore and .gitattributes, and names that tools
// generate: no hook, filter or other program of a repository is ever run, no
// configuration read. What is laid out is exactly what was recorded: contents
// that Git LFS keeps elsewhere stay pointers.
//
// Where we and go-git cannot, or not as well, the git command line does it, in
// the private directory (see git.go, the one place); besides that it is, for a
// remote that is a path, that one's upload-pack and receive-pack, which are the
// remote's and not ours.
//
// # What is believed of the work tree
//
// A look at the work tree reads the files that may have changed since the last
// one, and those only. Whether a file may have is told by its stamp: size, mode,
// inode, device, and both of its times. An agent can set back the time of
// modification but not that of change, for which it would have to set the
// machine's clock. A file that was stamped less than a tick of the file system's
// clock before the look began is read again next time, by that clock and not by
// the machine's, which may be ahead of it. The names in a directory are told by
// the directory's own stamp in the same way, where the file system is one that is
// known to keep it; what is ignored is judged anew when a rule file changes.
//
// The next process finds this in a file (cache.go), of which it believes only
// what it can check: which files are as the commit has them, while their stamps
// stay the same. What differs from the commit it reads and judges for itself.
//
// Draft and Tree, which are called again and again, look only into directories
// of which the kernel says that something has happened in them (inotify). The
// watch is set before a directory is listed, on the open directory and not on a
// path; a directory of which the watch is gone, or that is another one than
// before, is looked into with all below it; words that were lost, watches that
// could not be set and rules that changed make it a look at everything; and so is
// the first one. Files with a second name, and directories in which something was
// left out, are looked at each time. What the kernel does not tell is a file that
// is given a second name outside the watched directories, or is mapped into
// memory, and is written to by that. Snapshot, by which what is judged and
// committed is recorded, therefore looks at everything whatever the kernel says.
//
// What remains is what git does not see either: a process that has a file mapped
// may go on writing to a page of it without a new stamp until the kernel writes
// the page back. It wins nothing by that. What is judged is what was recorded,
// laid out anew elsewhere (Export), and what is committed is that same tree: a
// change that was hidden from the look is in neither.
//
// The fake is the world of the loop's enumeration test, in package runner.
package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// An Owner is the user and group that files of the work tree belong to.
type Owner struct{ UID, GID int }

// Options say which repository this is, and who writes to it.
type Options struct {
	Remote string // a path, a file:// URL, or an http(s):// one
	Auth   Auth

	// Dir is a private directory: Dir/git is the harness's own git directory,
	// Dir/work the work tree that the agent sees.
	Dir string

	StateBranch string // full names of the refs
	WorkBranch  string
	Base        string // name of the base branch; "": the remote's default
	Author      string // name <mail> of every commit

	Now     func() time.Time                           `json:"-"`
	Retry   []time.Duration                            // pauses before asking a remote again that failed; nil: never
	Sleep   func(context.Context, time.Duration) error `json:"-"` // waits for them; nil: by the clock
	Log     func(string)                               `json:"-"` // says that it waits; nil: nobody listens
	Owner   *Owner                                     // who works in the work tree; nil: whoever we are
	Secrets []string                                   `json:"-"` // values that must never be recorded
	Ignore  []string                                   // texts in the form of .gitignore that a person has on their machine, the last the most important
}

// Auth is how the remote knows us. It is sent in a header of the requests to
// the remote and stands nowhere else: not in a URL, a configuration, an
// argument or an error.
type Auth struct{ User, Token string }

// Neither what is printed nor what is logged or encoded holds a secret.

// Format writes stars.
func (Auth) Format(f fmt.State, _ rune) { fmt.Fprint(f, "***") }

// LogValue gives stars.
func (Auth) LogValue() slog.Value { return slog.StringValue("***") }

// MarshalText gives stars.
func (Auth) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Format writes which repository it is.
func (o Options) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "repository at %s", o.Dir) }

// LogValue gives which repository it is.
func (o Options) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(o)) }

// A Repo is the work tree and the two branches. Its methods may be called from
// several goroutines; those of one kind wait for each other.
type Repo struct {
	o       Options
	house   *rules
	store   *store
	remote  *remote
	secrets *scanner

	mu    sync.Mutex // guards the work tree and its index
	index *index     // nil: not known
	watch *watch     // nil: none yet; it belongs to the index
	laid  string     // the commit that the work tree was laid at

	barred map[change]string // what the remote has refused, and why it is left out

	branches sync.Mutex // guards what follows
	last     tips
	loaded   bool
	pushed   oid  // where the work branch was last to be moved; whether it was may not be known
	lost     oid  // a transaction that was not saved
	late     bool // it still fits on the branches as they were last seen; else somebody else moved the state branch
}

// Tips are the branches where they were last seen, or put by this Repo.
type tips struct {
	state, work, base oid
	transaction       transaction // at state
	branch            string      // name of the base branch
}

var person = regexp.MustCompile(`^[^<>\x00-\x1f]+ <[^<>\x00-\x20]+>$`)

// Open prepares the private directory. It does not speak to the remote.
func Open(ctx context.Context, o Options) (*Repo, error) {
	switch {
	case !person.MatchString(o.Author):
		return nil, fmt.Errorf("open repository: author %q is not of the form: name <mail>", o.Author)
	case !strings.HasPrefix(o.StateBranch, "refs/") || !strings.HasPrefix(o.WorkBranch, "refs/") || o.StateBranch == o.WorkBranch:
		return nil, fmt.Errorf("open repository: %q and %q must be two full names of refs", o.StateBranch, o.WorkBranch)
	case o.Dir == "":
		return nil, errors.New("open repository: no directory")
	}
	m, err := newRemote(o.Remote, o.Auth)
	if err != nil {
		return nil, err
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	s, err := openStore(filepath.Join(o.Dir, "git"))
	if err != nil && !full(err) { // a damaged pack
		s, err = openAnew(filepath.Join(o.Dir, "git"))
	}
	if err == nil {
		err = s.tidy(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("open repository: prepare the private git directory: %w", err)
	}
	r := &Repo{
		o: o, house: houseRules(o.Ignore), store: s, remote: m,
		secrets: newScanner(append([]string{o.Auth.Token}, o.Secrets...)),
	}
	err = os.Mkdir(r.Work(), 0o755) //nolint:gosec // a work tree, as git makes it
	if err == nil && o.Owner != nil {
		err = os.Lchown(r.Work(), o.Owner.UID, o.Owner.GID)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("open repository: prepare the work tree: %w", err)
	}
	return r, nil
}

// Work is the path of the work tree.
func (r *Repo) Work() string { return filepath.Join(r.o.Dir, "work") }

// Read returns a file of the base commit that was loaded. One that is not there
// is an [fs.ErrNotExist].
func (r *Repo) Read(ctx context.Context, path string) ([]byte, error) {
	last, err := r.tips()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return r.store.file(last.base, path)
}

// StateFiles returns the files of the last transaction whose names begin with
// prefix, sorted by name.
func (r *Repo) StateFiles(ctx context.Context, prefix string) ([]runner.File, error) {
	last, err := r.tips()
	if err != nil || last.state == none {
		return nil, err
	}
	tree, err := r.store.treeOf(last.state.String())
	if err != nil {
		return nil, fmt.Errorf("read the state branch: %w", err)
	}
	var files []runner.File
	err = r.store.files(tree, "", func(e entry, path string) error {
		if !strings.HasPrefix(path, prefix) {
			return nil
		}
		b, err := r.store.blob(e.id)
		files = append(files, runner.File{Name: path, Data: b})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the state branch: %w", err)
	}
	return files, nil
}

func (r *Repo) tips() (tips, error) {
	r.branches.Lock()
	defer r.branches.Unlock()
	if !r.loaded {
		return tips{}, errors.New("the repository has not been loaded")
	}
	return r.last, nil
}
