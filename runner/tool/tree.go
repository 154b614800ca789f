package tool

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/autonomous-loop/autonomous-loop/runner/agent"
)

// mostText is how large a file may be for the file tools.
const mostText = 4 << 20

// A spot is a path as a tool uses it: clean, and below one of the two roots.
type spot struct {
	root *os.Root
	name string // "." is the root itself
	log  bool   // below the logs: read only
}

// spot makes sense of a path as the model writes it: relative to the work tree,
// or absolute below it or below the logs.
func (b *Box) spot(p string) (spot, error) {
	if strings.ContainsAny(p, "\x00\r\n") {
		return spot{}, errors.New("the path holds a control character")
	}
	if filepath.IsAbs(p) {
		if rel, ok := below(b.o.LogDir, p); ok && b.logs != nil {
			return spot{b.logs, rel, true}, nil
		}
		rel, ok := below(b.o.Dir, p)
		if !ok {
			return spot{}, fmt.Errorf("%s is outside of the project; paths are relative to its root", p)
		}
		p = rel
	}
	p = path.Clean(p)
	if p == ".." || strings.HasPrefix(p, "../") {
		return spot{}, fmt.Errorf("%s leads out of the project", p)
	}
	for part := range strings.SplitSeq(p, "/") {
		if strings.EqualFold(part, ".git") {
			return spot{}, errors.New(".git belongs to the harness")
		}
	}
	return spot{b.tree, p, false}, nil
}

func below(dir, p string) (string, bool) {
	if dir == "" {
		return "", false
	}
	rel, err := filepath.Rel(dir, p)
	return rel, err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// open opens a regular file for reading. What it says of the file it says of
// the open one, so nothing can be swapped in between. Opening does not wait for
// a FIFO's writer.
func (b *Box) open(s spot) (*os.File, fs.FileInfo, error) {
	f, err := s.root.OpenFile(s.name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, b.why(s, err)
	}
	st, err := f.Stat()
	if err == nil {
		err = plain(s.name, st)
	}
	if err != nil {
		_ = f.Close() // was only read
		return nil, nil, err
	}
	return f, st, nil
}

// plain says why a file is not one that a file tool touches. A hard link may
// lead to a file outside, which the harness could read and the sandbox cannot.
func plain(name string, st fs.FileInfo) error {
	switch {
	case st.IsDir():
		return fmt.Errorf("%s is a directory; list it with find_files", name)
	case !st.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file but %s", name, kind(st.Mode()))
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && sys.Nlink > 1 {
		return fmt.Errorf("%s has %d hard links, which may lead out of the project; the file tools leave it alone, use the shell", name, sys.Nlink)
	}
	return nil
}

func kind(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "a symbolic link"
	case m&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "something special"
}

// why says what is wrong with a path that could not be opened.
func (b *Box) why(s spot, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s does not exist", s.name)
	case errors.Is(err, syscall.ELOOP):
		return fmt.Errorf("%s goes through a symbolic link that leads nowhere but to itself", s.name)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s: a part of the path is no directory", s.name)
	}
	if link, to, ok := b.link(s); ok { // the only other way to leave the root
		if rel, inside := below(b.o.Dir, to); filepath.IsAbs(to) && inside {
			return fmt.Errorf("%s is an absolute symbolic link, which is not followed; use %s", link, path.Join(rel, strings.TrimPrefix(s.name, link)))
		}
		return fmt.Errorf("%s is a symbolic link to %s, which leads out of the project and is not followed", link, to)
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return fmt.Errorf("%s: %w", s.name, err)
}

// link is the first symbolic link on the way to s, and where it leads.
func (b *Box) link(s spot) (link, to string, ok bool) {
	for p := range prefixes(s.name) {
		st, err := s.root.Lstat(p)
		if err != nil {
			return "", "", false
		}
		if st.Mode()&fs.ModeSymlink != 0 {
			to, err := s.root.Readlink(p)
			return p, to, err == nil
		}
	}
	return "", "", false
}

// prefixes yields a, a/b, a/b/c for a/b/c.
func prefixes(name string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for i, c := range name {
			if c == '/' && !yield(name[:i]) {
				return
			}
		}
		yield(name)
	}
}

// read is the whole of a text file.
func (b *Box) read(s spot) (string, fs.FileMode, error) {
	data, mode, err := b.load(s, mostText, "use search, or sed -n in the shell")
	if err == nil && bytes.IndexByte(data, 0) >= 0 {
		err = fmt.Errorf("%s is a binary file of %s", s.name, bytesOf(int64(len(data))))
	}
	return string(data), mode, err
}

// load is the whole of a file, if it is not larger than most; else the error says
// what to do instead.
func (b *Box) load(s spot, most int64, instead string) ([]byte, fs.FileMode, error) {
	f, st, err := b.open(s)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }() // was only read
	if st.Size() > most {
		return nil, 0, fmt.Errorf("%s has %s, the file tools take %s; %s", s.name, bytesOf(st.Size()), bytesOf(most), instead)
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("read %s: %w", s.name, err)
	case int64(len(data)) > most:
		return nil, 0, fmt.Errorf("%s is growing, use the shell", s.name)
	}
	return data, st.Mode().Perm(), nil
}

// target checks that a file tool may write s: that the phase allows it, that no
// link on the way makes the path mean another one, and that what is there is a
// plain file. exists says whether something is there.
func (b *Box) target(s spot, p agent.Permit) (exists bool, err error) {
	switch {
	case s.log:
		return false, errors.New("logs are only read")
	case s.name == ".":
		return false, errors.New("the path is the project itself, not a file")
	}
	if b.o.MayWrite != nil {
		if err := b.o.MayWrite(p.Phase, s.name); err != nil {
			return false, fmt.Errorf("%s must not be written now: %w", s.name, err)
		}
	}
	for part := range prefixes(s.name) {
		st, err := b.tree.Lstat(part)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return false, nil
		case err != nil:
			return false, b.why(s, err)
		case st.Mode()&fs.ModeSymlink != 0:
			to, _ := b.tree.Readlink(part) // only for the message
			return false, fmt.Errorf("%s is a symbolic link to %s, which is not written through; write the file under its own path", part, to)
		case part != s.name && !st.IsDir():
			return false, fmt.Errorf("%s is no directory", part)
		case part == s.name:
			return true, plain(part, st)
		}
	}
	return false, nil // unreachable: the last prefix is the name itself
}

// put makes content the whole of the file s, in one step: a new file takes the
// place of the old, so that a link to the old one is broken and not written
// through, and nobody sees half of it.
func (b *Box) put(s spot, content string, mode fs.FileMode) error {
	tmp, err := b.stage(s, content, mode)
	if err != nil {
		return err
	}
	if err := b.tree.Rename(tmp, s.name); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", s.name, err), b.tree.Remove(tmp))
	}
	b.know(s.name, content)
	return nil
}

// stage writes content to a new file beside s.
func (b *Box) stage(s spot, content string, mode fs.FileMode) (tmp string, err error) {
	if err := b.mkdirs(path.Dir(s.name)); err != nil {
		return "", err
	}
	f, tmp, err := b.temp(s.name)
	if err != nil {
		return "", fmt.Errorf("write %s: %w", s.name, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", s.name, err), b.tree.Remove(tmp))
		}
	}()
	_, err = f.WriteString(content)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = b.inherit(f, path.Dir(s.name))
	}
	return tmp, errors.Join(err, f.Close())
}

// temp creates a new file beside name. The number is only to find a free name:
// O_EXCL takes nothing that is there, not even a link.
func (b *Box) temp(name string) (*os.File, string, error) {
	for i := 0; ; i++ {
		tmp := path.Join(path.Dir(name), fmt.Sprintf(".loop-write-%d~", i))
		f, err := b.tree.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil || !errors.Is(err, fs.ErrExist) || i == 100 {
			return f, tmp, err
		}
	}
}

func (b *Box) mkdirs(dir string) error {
	if dir == "." {
		return nil
	}
	for part := range prefixes(dir) {
		err := b.tree.Mkdir(part, 0o755)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			err = b.inheritDir(part)
		}
		if err != nil {
			return fmt.Errorf("make directory %s: %w", part, err)
		}
	}
	return nil
}

func (b *Box) inheritDir(name string) error {
	d, err := b.tree.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	return errors.Join(b.inherit(d, path.Dir(name)), d.Close())
}

// inherit gives what was made the owner of the directory it is in: who owns
// the work tree is whom commands run as, and they must be able to change what
// the file tools made. It goes by the open file, because a job may have put
// another in its place meanwhile.
func (b *Box) inherit(f *os.File, dir string) error {
	st, err := b.tree.Stat(dir)
	if err != nil {
		return err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	err = f.Chown(int(sys.Uid), int(sys.Gid))
	if errors.Is(err, fs.ErrPermission) {
		return nil // not root: who may write here may write there
	}
	return err
}

// know remembers what the model has seen of a file.
func (b *Box) know(name, content string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen[name] = sha256.Sum256([]byte(content))
	delete(b.miss, name)
}

// forget says that the model knows no file of this name any more.
func (b *Box) forget(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.seen, name)
}

// fresh says why the model does not know the file as it is now.
func (b *Box) fresh(name, content string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	was, ok := b.seen[name]
	switch {
	case !ok:
		return fmt.Errorf("%s exists and you have not read it: read_file first", name)
	case was != sha256.Sum256([]byte(content)):
		return fmt.Errorf("%s has changed since you read it: read_file again", name)
	}
	return nil
}

// utf8Only says why a text cannot be edited without harm.
func utf8Only(name, content string) error {
	if !utf8.ValidString(content) {
		return fmt.Errorf("%s is not UTF-8: you do not see it as it is, so change it with the shell", name)
	}
	return nil
}

func bytesOf(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 1000_000:
		return fmt.Sprintf("%.1f KB", float64(n)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1000_000)
}
