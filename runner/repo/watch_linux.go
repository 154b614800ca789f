package repo

import (
	"encoding/binary"
	"errors"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// A watch is the kernel's word on which directories of a work tree something
// has happened in. It makes a look at the tree cost what has changed; the
// package's documentation says when it is believed, and what it cannot see.
type watch struct {
	fd    int
	queue *os.File // the same, which is closed with the last reference: a Repo is never closed

	mu    sync.Mutex
	dirs  map[int32]*dir
	whole bool // all directories are watched, and no word was lost
	over  bool // it cannot be used
}

// What happens to the names in a directory and to the files under them. What
// happens to a directory itself its parent is told.
const events = unix.IN_MODIFY | unix.IN_ATTRIB | unix.IN_CLOSE_WRITE | unix.IN_CREATE | unix.IN_DELETE |
	unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_ONLYDIR | unix.IN_EXCL_UNLINK

func newWatch() *watch {
	w := &watch{dirs: map[int32]*dir{}}
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		w.over = true
		return w
	}
	w.fd, w.queue = fd, os.NewFile(uintptr(fd), "inotify")
	return w
}

// set watches a directory that is open. It is called before the directory is
// listed, so that nothing is missed in between, and by the open directory, so
// that it is that one whatever its path leads to now.
func (w *watch) set(d *dir, h handle, st stamp) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || d.watched != 0 && d.stamp.ino == st.ino && d.stamp.dev == st.dev {
		return
	}
	id, err := unix.InotifyAddWatch(w.fd, "/proc/self/fd/"+strconv.Itoa(int(h)), events)
	if err != nil { // most likely there are too many
		w.end()
		return
	}
	if d.watched != 0 {
		delete(w.dirs, d.watched)
	}
	at := int32(id)                    //nolint:gosec // the kernel counts them as an int32
	if old := w.dirs[at]; old != nil { // it has come from there
		old.watched = 0
	}
	d.watched = at
	w.dirs[d.watched] = d
}

func (w *watch) end() {
	w.over = true
	for _, d := range w.dirs {
		d.watched = 0
	}
	w.dirs = nil
	w.queue.Close()
}

// heard returns the directories that something was said of since the last time.
// They are all in which something has happened if ok.
func (w *watch) heard() (dirs []*dir, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	hot := map[*dir]bool{}
	ok = w.whole
	w.whole = false // until all was looked at
	buf := make([]byte, 64<<10)
	for !w.over {
		n, err := unix.Read(w.fd, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if err != nil || n <= 0 {
			w.end()
			break
		}
		for b := buf[:n]; len(b) > 0; {
			id, mask := int32(binary.NativeEndian.Uint32(b)), binary.NativeEndian.Uint32(b[4:]) //nolint:gosec // ids are 32 bits wide
			b = b[unix.SizeofInotifyEvent+binary.NativeEndian.Uint32(b[12:]):]
			d := w.dirs[id]
			switch {
			case mask&(unix.IN_Q_OVERFLOW|unix.IN_UNMOUNT) != 0:
				ok = false
			case d == nil:
			case mask&unix.IN_IGNORED != 0: // it is gone, and with it the watch
				delete(w.dirs, id)
				d.watched = 0
				ok = ok && d.parent != nil
			default:
				hot[d] = true
			}
		}
	}
	for d := range hot {
		dirs = append(dirs, d)
	}
	return dirs, ok && !w.over
}

// ready says that everything was looked at since heard was called.
func (w *watch) ready() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.whole = !w.over
}

// close stops watching.
func (w *watch) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.end()
	}
}
