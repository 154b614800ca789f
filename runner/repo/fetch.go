package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
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

// fetch brings the whole history of the wanted commits into the store.
func (r *Repo) fetch(ctx context.Context, v *visit, wants []oid) error {
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
		if id := r.store.seen(name); id != none {
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
		return err
	}
	for _, id := range missing {
		if !r.store.has(id) {
			return fmt.Errorf("the remote did not send commit %s", id)
		}
	}
	return nil
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

// unpack stores the pack that is read from r. This is the one place where the
// git command line is used: it indexes a pack in a fifth of the memory and of
// the time that go-git needs, which does it where there is no git. The command
// reads no configuration but the private directory's, runs no hook, and speaks
// to no remote, so that it needs no token.
func (s *store) unpack(ctx context.Context, r io.Reader) error {
	git, err := exec.LookPath("git")
	if err != nil {
		to := filesystem.NewStorage(osfs.New(s.dir), cache.NewObjectLRUDefault())
		if err := packfile.UpdateObjectStorage(to, r); err != nil && !errors.Is(err, packfile.ErrEmptyPackfile) {
			return fmt.Errorf("store what was fetched: %w", err)
		}
		return s.packs.refresh()
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, git, "index-pack", "--stdin")
	cmd.Env = []string{
		"GIT_DIR=" + s.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "HOME=/nonexistent", "LC_ALL=C",
		"GIT_CONFIG_COUNT=3", "GIT_CONFIG_KEY_0=core.hooksPath", "GIT_CONFIG_VALUE_0=/dev/null",
		"GIT_CONFIG_KEY_1=core.fsmonitor", "GIT_CONFIG_VALUE_1=false",
		"GIT_CONFIG_KEY_2=protocol.ext.allow", "GIT_CONFIG_VALUE_2=never",
	}
	cmd.Stdin, cmd.Stderr = r, &said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("store what was fetched: %w: %s", err, strings.TrimSpace(said.String()))
	}
	return s.packs.refresh()
}

// notOurs says that the remote no longer has what it said it had: a branch
// moved between two questions.
func notOurs(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "not our ref") || errors.Is(err, transport.ErrEmptyUploadPackRequest))
}
