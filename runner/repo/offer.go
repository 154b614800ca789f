package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// Why a change is left out that is the owner's to make. It is offered as a
// patch: it may be what the feature needs.
const (
	notWorkflows = "the job's token cannot push workflows"
	notModules   = "submodules are the owner's to change"
	notAllowed   = "the remote refused it, by a rule of the repository"
	notAccepted  = "the remote refused it"
)

// mostOffered is the size of a file, in bytes, over which it is not offered.
const mostOffered = 1 << 20

// tell says what people are to know of a snapshot besides what is in it.
func (r *Repo) tell(ctx context.Context, tree oid, left []string) (patch []byte, notes []string, err error) {
	if patch, err = r.offer(ctx, tree, left); err != nil {
		return nil, nil, err
	}
	notes = r.index.root.heavier(nil)
	slices.Sort(notes)
	return patch, notes, nil
}

// offer makes a patch on tree, for git apply, of the changes that were left out
// and are a person's to make. There is none for what must not be anywhere, such
// as a secret, nor for what is only too big.
func (r *Repo) offer(ctx context.Context, tree oid, left []string) ([]byte, error) {
	wish := map[string]entry{}
	for _, l := range left {
		path, why := leftOut(l)
		deleted := strings.HasPrefix(why, "deleted; ")
		switch strings.TrimPrefix(why, "deleted; ") {
		case notWorkflows, notModules, notAllowed, notAccepted:
		default:
			continue
		}
		if deleted {
			wish[path] = entry{}
			continue
		}
		e, ok, err := r.wished(path)
		if err != nil {
			return nil, err
		}
		if ok {
			wish[path] = e
		}
	}
	if len(wish) == 0 {
		return nil, nil
	}
	b := &batch{s: r.store}
	to, err := b.overlay(tree, wish)
	if err = errors.Join(err, b.done()); err != nil {
		return nil, err
	}
	patch, err := r.store.git(ctx, nil, "diff-tree", "-p", "--binary", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", tree.String(), to.String())
	if errors.Is(err, errNoGit) {
		return nil, nil
	}
	return patch, err
}

// told is what was left out as it may be told to people and pushed: a path may
// hold a secret as well.
func (r *Repo) told(left []string) []string {
	for i, l := range left {
		if _, why := leftOut(l); strings.HasPrefix(why, "it holds ") {
			left[i] = r.Scrub(l)
		}
	}
	return left
}

// leftOut takes apart what was left out and why. No reason holds a colon.
func leftOut(l string) (path, why string) {
	i := strings.LastIndex(l, ": ")
	return l[:i], l[i+2:]
}

// wished stores the file at path as it is in the work tree; not one that holds a
// secret, is too big, or is no file by now.
func (r *Repo) wished(path string) (entry, bool, error) {
	root, err := os.OpenRoot(r.Work())
	if err != nil {
		return entry{}, false, err
	}
	defer root.Close()
	fi, err := root.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (!fi.Mode().IsRegular() || fi.Size() > mostOffered) {
		return entry{}, false, nil
	}
	if err != nil {
		return entry{}, false, err
	}
	b, err := root.ReadFile(filepath.FromSlash(path))
	if err != nil || len(b) > mostOffered || r.secrets.find(b, nil) != "" || r.secrets.find([]byte(path), nil) != "" {
		return entry{}, false, nil // gone, or not to be read: then it is only named
	}
	id, err := r.store.put(plumbing.BlobObject, b)
	return entry{mode: stampOf(fi).git(), id: id}, err == nil, err
}

// heavy is the size from which GitHub warns of a file that is pushed.
const heavy = 50 << 20

// heavier names the files in d that are to be recorded in another way than the
// commit has them, and are so big that GitHub warns of them.
func (d *dir) heavier(notes []string) []string {
	if d.now == d.base {
		return notes
	}
	for i := range d.files {
		if f := &d.files[i]; f.state == here && f.seen != f.base && f.size > heavy {
			notes = append(notes, fmt.Sprintf("%s: %d MB; GitHub warns of files over %d MB, and refuses those over %d MB", d.join(f.name), f.size>>20, heavy>>20, largest>>20))
		}
	}
	for _, sub := range d.dirs {
		notes = sub.heavier(notes)
	}
	return notes
}
