package fakegithub

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A repo is a repository: its bare git repository on disk, and what GitHub
// keeps around it.
type repo struct {
	id       int64
	name     string // owner/repo
	branch   string // default
	dir      string
	created  time.Time
	issues   []*issue // pull requests among them; number is the place, from 1
	disabled map[string]bool
	flows    map[string]int64 // workflow path -> id
	labels   []label
	archived bool
	rules    []Rule
	git      func(args ...string) (string, error)
}

// hook refuses what GitHub refuses to the token of a job: any new commit that
// changes a workflow against its first parent, a merge of the base among them.
// A transaction of the state branch has a code commit as its second parent and
// holds no workflow at all, so that this is not a change. It runs for the bot
// only.
const hook = `#!/bin/sh
[ "$REMOTE_USER" = "github-actions[bot]" ] || exit 0
while read old new ref; do
	case $new in *[!0]*) ;; *) continue ;; esac
	file=$(git log --format= --name-only --diff-merges=first-parent "$new" --not --all -- .github/workflows | head -n 1)
	if [ -n "$file" ]; then
		printf 'refusing to allow a GitHub App to create or update workflow \140%s\140 without \140workflows\140 permission\n' "$file"
		exit 1
	fi
done
`

// AddRepo makes name (owner/repo) known, with main as its default branch. Its
// bare repository is created unless it is there.
func (s *Server) AddRepo(name string) error {
	dir := filepath.Join(s.opts.Root, filepath.FromSlash(name)+".git")
	if s.opts.Git != nil {
		s.know(name, dir)
		return nil
	}
	if _, err := os.Stat(dir); err != nil {
		if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
			return err
		}
		if _, err := git("", nil, "init", "-q", "--bare", "-b", "main", dir); err != nil {
			return err
		}
	}
	// Every move of a ref stays on record, with who made it.
	if _, err := git(dir, nil, "config", "core.logAllRefUpdates", "always"); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "hooks"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "hooks", "pre-receive"), []byte(hook), 0o755); err != nil {
		return err
	}
	s.know(name, dir)
	return nil
}

func (s *Server) know(name, dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &repo{
		id: s.id(), name: name, branch: "main", dir: dir, created: s.now(),
		disabled: map[string]bool{}, flows: map[string]int64{}, git: s.opts.Git,
	}
	if r.git == nil {
		r.git = func(args ...string) (string, error) { return git(r.dir, nil, args...) } // wherever it has moved
	}
	s.repos[name] = r
}

// Dir is the bare repository of name.
func (s *Server) Dir(name string) string {
	return filepath.Join(s.opts.Root, filepath.FromSlash(name)+".git")
}

// Seed commits files to branch of the repository name, as a person with a clone
// would, and returns the commit. A branch that is not there begins at from, or
// with no parent if from is "".
func (s *Server) Seed(name, branch, from string, files map[string]string) (string, error) {
	dir := s.Dir(name)
	ref := "refs/heads/" + branch
	if tip, err := git(dir, nil, "rev-parse", "-q", "--verify", ref); err == nil {
		from = tip
	}
	var in bytes.Buffer
	data := func(text string) { fmt.Fprintf(&in, "data %d\n%s\n", len(text), text) }
	fmt.Fprintf(&in, "commit %s\ncommitter A Person <person@example.com> 1764000000 +0000\n", ref)
	data("Change " + strings.Join(slices.Sorted(maps.Keys(files)), ", "))
	if from != "" {
		fmt.Fprintf(&in, "from %s\n", from)
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&in, "M 100644 inline %s\n", path)
		data(files[path])
	}
	if _, err := git(dir, in.Bytes(), "fast-import", "--quiet"); err != nil {
		return "", err
	}
	return git(dir, nil, "rev-parse", ref)
}

// git runs the git command in dir and returns its output, trimmed.
func git(dir string, stdin []byte, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), gitConfig...)
	cmd.Stdin = bytes.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimRight(out.String(), "\n"), nil
}

// gitConfig keeps the machine's configuration away and lets git serve
// directories of any owner.
var gitConfig = []string{
	"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
	"GIT_CONFIG_COUNT=2",
	"GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	"GIT_CONFIG_KEY_1=http.receivepack", "GIT_CONFIG_VALUE_1=true",
}

// tip is the commit that branch stands at, "" if there is no such branch.
func (r *repo) tip(branch string) string {
	oid, err := r.git("rev-parse", "-q", "--verify", "refs/heads/"+branch)
	if err != nil {
		return ""
	}
	return oid
}

func (s *Server) whoami(c *call) {
	if c.actor.App {
		refuse(c.w, http.StatusForbidden, "Resource not accessible by integration")
		return
	}
	c.answer(http.StatusOK, c.privateUser(c.actor))
}

func (s *Server) getRepo(c *call) {
	if c.may("metadata=read", "contents=read") {
		c.answer(http.StatusOK, c.fullRepo(c.repo))
	}
}

func (s *Server) getPermission(c *call) {
	if !c.may("metadata=read") {
		return
	}
	people := s.people
	for _, a := range s.actors {
		people = append(people, person{*a, "write", "write"})
	}
	for _, p := range people {
		if p.Login == c.r.PathValue("user") {
			who := c.user(&p.Actor)
			who["role_name"] = p.role
			c.answer(http.StatusOK, object{"permission": p.permission, "role_name": p.role, "user": who})
			return
		}
	}
	c.missing()
}

// Point moves a ref of the repository name to where another revision is.
func (s *Server) Point(name, ref, at string) error {
	_, err := git(s.Dir(name), nil, "update-ref", ref, at)
	return err
}
