package repo

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"
)

// dot is d's path for those who open it.
func dot(d *dir) string {
	if d.path == "" {
		return "."
	}
	return d.path
}

// errBusy says that a file never stood still while it was read.
var errBusy = errors.New("it was written all the while; is a process still at work on it?")

// readStable reads a regular file, or the target of a link, whose stamp is the
// same before and after. It waits for nothing: a pipe in the place of a file
// is one that does not stand still. What somebody is at work on is tried again,
// and is [errBusy] in the end.
func readStable(path string, once func(path string) ([]byte, stamp, error)) ([]byte, stamp, error) {
	const tries = 5
	for range tries {
		b, st, err := once(path)
		if err == nil || !restless(err) {
			return b, st, err
		}
	}
	return nil, stamp{}, fmt.Errorf("%s: %w", path, errBusy)
}

// restless says whether an error may come of somebody who is at work on the
// path. Only what a machine says that is in trouble cannot.
func restless(err error) bool {
	return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) &&
		!slices.ContainsFunc([]error{syscall.EIO, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE}, func(e error) bool { return errors.Is(err, e) })
}

// readBelow reads once, for links and where a ground knows no better.
func readBelow(r *os.Root, name string) ([]byte, stamp, error) {
	fi, err := r.Lstat(name)
	if err != nil {
		if errors.Is(err, syscall.ENOTDIR) {
			err = fs.ErrNotExist
		}
		return nil, stamp{}, err
	}
	var b []byte
	if fi.Mode()&os.ModeSymlink != 0 {
		var target string
		target, err = r.Readlink(name)
		b = []byte(target)
	} else {
		b, err = readFile(r, name, fi)
	}
	if err != nil {
		return nil, stamp{}, err
	}
	after, err := r.Lstat(name)
	if err != nil {
		return nil, stamp{}, err
	}
	if st := stampOf(after); st == stampOf(fi) && int64(len(b)) == st.size {
		return b, st, nil
	}
	return nil, stamp{}, errBusy
}

func readFile(r *os.Root, name string, want os.FileInfo) ([]byte, error) {
	f, err := r.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || !os.SameFile(fi, want) {
		return nil, errBusy
	}
	// One byte more than it should be: whether it has grown is seen then.
	b := make([]byte, fi.Size()+1)
	n, err := io.ReadFull(f, b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return b[:n], nil
}
