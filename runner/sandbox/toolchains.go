package sandbox

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// A toolkit is where a command finds its programs.
type toolkit struct {
	path []string // for PATH
	read []string // what must be readable for that, outside the system's directories
	env  []string
}

// defaultPath serves where the parent has no PATH.
const defaultPath = "/usr/local/bin:/usr/bin:/bin"

// managers keep toolchains in a directory of a person's home, and no secret with them.
var managers = []string{".asdf", ".bun", ".deno", ".fnm", ".goenv", ".jenv", ".nodenv", ".nvm", ".pyenv", ".rbenv", ".sdkman", ".volta"}

// secrets are names that show that a directory is more than a toolchain: a
// person's home, or a place for credentials.
var secrets = []string{
	".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".config", ".netrc", ".npmrc", ".pypirc", ".git-credentials", ".gitconfig", ".env",
	".bash_history", ".bashrc", ".profile", ".zshrc", "credentials", "credentials.toml", "credentials.json", "auth.json", "keyrings",
}

// equip chooses from a PATH the directories whose programs commands of these
// users may run, and what they must be able to read for them: not only the
// directory, but where it is the bin of a toolchain, the toolchain.
//
// Left out is what is relative, missing, out of a user's reach, or a user's to
// write: there one command could leave a program for the next, the judge's too.
// Without a user of their own commands own nothing here; then Landlock keeps them
// from writing, and policies leave out what a command may write.
func equip(path string, users ...user) toolkit {
	if path == "" {
		path = defaultPath
	}
	useless := func(dir string) bool {
		return slices.ContainsFunc(users, func(u user) bool { return !u.mayUse(dir) })
	}
	var t toolkit
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) || slices.Contains(t.path, dir) {
			continue
		}
		real, err := filepath.EvalSymlinks(dir)
		if err != nil || useless(dir) || useless(real) {
			continue
		}
		t.path = append(t.path, dir)
		if slices.ContainsFunc(systemDirs, func(sys string) bool { return within(real, sys) }) {
			continue
		}
		t.read = append(t.read, toolchain(real))
		if filepath.Base(filepath.Dir(real)) == ".cargo" { // cargo and rustc there are rustup, which has the real ones beside
			if up := filepath.Join(filepath.Dir(filepath.Dir(real)), ".rustup"); !useless(up) {
				t.read = append(t.read, up)
				t.env = append(t.env, "RUSTUP_HOME="+up)
			}
		}
	}
	return t
}

// toolchain is the directory that the programs in dir need: the one above, if
// that is a toolchain and nothing else.
func toolchain(dir string) string {
	above := filepath.Dir(dir)
	switch {
	case !slices.Contains([]string{"bin", "sbin", "shims"}, filepath.Base(dir)), above == "/", isHome(above), holds(above, secrets...):
		return dir
	case slices.Contains(managers, filepath.Base(above)):
		return above
	case isHome(filepath.Dir(above)), holds(above, ".git"), !holds(above, "lib", "libexec") && filepath.Base(dir) != "shims":
		return dir // ~/.local, ~/.cargo, ~/go, somebody's project: programs among many other things
	case slices.ContainsFunc(strings.Split(above, "/"), func(part string) bool { return slices.Contains(secrets, part) }):
		return dir
	}
	return above
}

func isHome(dir string) bool {
	return dir == "/root" || dir == "/home" || filepath.Dir(dir) == "/home" || dir == "/github/home" || holds(dir, secrets...)
}

// holds says whether dir has an entry of one of these names.
func holds(dir string, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		_, err := os.Lstat(filepath.Join(dir, name))
		return err == nil
	})
}

// within says whether path is dir or below it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// A user is as whom a command runs.
type user struct {
	uid, gid  int
	own       bool // a user of its own, not ours
	home, tmp string
}

// mayUse says whether programs in dir may be run as u: everything above lets u
// pass, and u can change neither dir nor what leads there.
func (u user) mayUse(dir string) bool {
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() || !u.may(info, 0o5) {
		return false
	}
	for d := dir; ; d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err != nil || !u.may(info, 0o1) {
			return false
		}
		// In a sticky directory u may make entries, but not move this one.
		if u.own && u.may(info, 0o2) && (d == dir || info.Mode()&fs.ModeSticky == 0) {
			return false
		}
		if d == "/" {
			return true
		}
	}
}

// barrier is the first directory on the way to path that does not let u pass, or "".
func (u user) barrier(path string) (string, fs.FileMode) {
	var chain []string
	for d := path; ; d = filepath.Dir(d) {
		chain = append(chain, d)
		if d == "/" {
			break
		}
	}
	for _, d := range slices.Backward(chain) {
		if info, err := os.Stat(d); err == nil && info.IsDir() && !u.may(info, 0o1) {
			return d, info.Mode()
		}
	}
	return "", 0
}

// may says whether the permission bits give u all of want (4 read, 2 write, 1
// execute). Without a user of its own, u is us, and the kernel is asked when the
// time comes.
func (u user) may(info fs.FileInfo, want fs.FileMode) bool {
	if !u.own {
		return true
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	bits := info.Mode().Perm()
	switch {
	case int(st.Uid) == u.uid:
		bits >>= 6
	case int(st.Gid) == u.gid:
		bits >>= 3
	}
	return bits&want == want
}
