package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// fetch brings the whole history of the wanted commits into the store, as far as
// the remote has it.
func (r *Repo) fetch(ctx context.Context, v *visit, wants []oid) error {
	if err := r.store.cut(v.refs.cuts); err != nil {
		return err
	}
	var missing, haves []oid
	for _, id := range wants {
		if id != none && !r.store.has(id) {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	for _, name := range []string{"base", "state", "work"} {
		if id := r.store.seen(name); id != none && r.store.has(id) {
			haves = append(haves, id)
		}
	}
	req := packp.NewUploadPackRequestFromCapabilities(v.can)
	req.Wants, req.Haves = missing, haves
	res, err := v.UploadPack(ctx, req)
	if err != nil {
		return r.remote.wrap(err)
	}
	defer res.Close()
	if err := r.store.unpack(ctx, demux(req.Capabilities, res)); err != nil {
		// A remote that is a path is a process, which waits until all it has to
		// say is read, and closing waits for it.
		_, _ = io.Copy(io.Discard, res)
		return err
	}
	for _, id := range missing {
		if !r.store.has(id) {
			return fmt.Errorf("the remote did not send commit %s", id)
		}
	}
	return nil
}

// cut notes where the history of a shallow remote ends, for us and for git.
func (s *store) cut(at []oid) error {
	var text strings.Builder
	cuts := map[oid]bool{}
	for _, id := range at {
		cuts[id] = true
		fmt.Fprintln(&text, id)
	}
	s.cuts.Store(&cuts)
	name := filepath.Join(s.dir, "shallow")
	if len(at) == 0 {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	return os.WriteFile(name, []byte(text.String()), 0o600)
}

func demux(c *capability.List, r io.Reader) io.Reader {
	switch {
	case c.Supports(capability.Sideband64k):
		return sideband.NewDemuxer(sideband.Sideband64k, r)
	case c.Supports(capability.Sideband):
		return sideband.NewDemuxer(sideband.Sideband, r)
	}
	return r
}

// unpack stores the pack that is read from r.
func (s *store) unpack(ctx context.Context, r io.Reader) error {
	_, err := s.git(ctx, r, "index-pack", "--stdin")
	if errors.Is(err, errNoGit) {
		to := filesystem.NewStorage(osfs.New(s.dir), cache.NewObjectLRUDefault())
		if err = packfile.UpdateObjectStorage(to, r); errors.Is(err, packfile.ErrEmptyPackfile) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("store what was fetched: %w", err)
	}
	return s.packs.refresh()
}

// notOurs says that the remote no longer has what it said it had: a branch
// moved between two questions.
func notOurs(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "not our ref") || errors.Is(err, transport.ErrEmptyUploadPackRequest))
}
