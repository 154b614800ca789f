package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// errNoGit says that there is no git command line on this machine.
var errNoGit = errors.New("there is no git")

// git runs the git command line in the private git directory. This is the one
// place where it is run, for what it does better than we or go-git:
//
//   - index-pack, for what was fetched: in a fifth of the memory and of the time
//     that go-git needs, which does it where there is no git (unpack);
//   - diff-tree, for a patch that git apply takes (offer); without git there is
//     none, and what was left out is only named;
//   - repack, for a private directory that has become old (tidy);
//   - merge-tree, for a merge of three trees with renames, which is not to be had
//     from go-git (mergeTree).
//
// The command has no work tree. It reads no configuration but the private
// directory's, no attributes of anybody, runs no hook, filter or other program,
// and speaks to no remote, so that it needs no token.
func (s *store) git(ctx context.Context, in io.Reader, args ...string) ([]byte, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, errNoGit
	}
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, git, args...)
	cmd.Env = []string{
		"GIT_DIR=" + s.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1", "HOME=/nonexistent", "LC_ALL=C",
		"GIT_CONFIG_COUNT=4", "GIT_CONFIG_KEY_0=core.hooksPath", "GIT_CONFIG_VALUE_0=/dev/null",
		"GIT_CONFIG_KEY_1=core.fsmonitor", "GIT_CONFIG_VALUE_1=false",
		"GIT_CONFIG_KEY_2=protocol.ext.allow", "GIT_CONFIG_VALUE_2=never",
		"GIT_CONFIG_KEY_3=core.attributesFile", "GIT_CONFIG_VALUE_3=/dev/null",
	}
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = s.dir, in, &out, &said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return out.Bytes(), fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(said.String()))
	}
	return out.Bytes(), nil
}
