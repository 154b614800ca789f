package crash

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// hooked builds the program with a standard library in which the local effects
// are counted, and one of them can be met by a kill or an error. The program's own
// source is as it is, but for its pauses, as in swift.
var hooked = sync.OnceValues(func() (string, error) {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	src := filepath.Join(strings.TrimSpace(string(goroot)), "src")
	var edits []edit
	wrap := func(file, head, fail, what, name, guard string) {
		edits = append(edits, edit{file, head + " {\n", fmt.Sprintf("%s {\n\tif %s {\n\t\thookDone, hookErr := %sEffect(%q, %s)\n\t\tif hookErr != nil {\n\t\t\treturn %s\n\t\t}\n\t\tdefer hookDone()\n\t}\n", head, guard, map[bool]string{true: "syscall."}[strings.HasSuffix(file, "at.go")], what, name, fail)})
	}
	z := filepath.Join(src, "syscall", "zsyscall_linux_"+runtime.GOARCH+".go")
	const creates = "flags&(O_CREAT|O_TRUNC) != 0"
	wrap(z, "func openat(dirfd int, path string, flags int, mode uint32) (fd int, err error)", "-1, hookErr", "create", "path", creates)
	wrap(z, "func write(fd int, p []byte) (n int, err error)", "0, hookErr", "write", `""`, "effectFile(fd)")
	wrap(z, "func pwrite(fd int, p []byte, offset int64) (n int, err error)", "0, hookErr", "write", `""`, "effectFile(fd)")
	wrap(z, "func Mkdirat(dirfd int, path string, mode uint32) (err error)", "hookErr", "mkdir", "path", "true")
	wrap(z, "func Renameat(olddirfd int, oldpath string, newdirfd int, newpath string) (err error)", "hookErr", "rename", "newpath", "true")
	wrap(z, "func unlinkat(dirfd int, path string, flags int) (err error)", "hookErr", "unlink", "path", "true")
	wrap(z, "func linkat(olddirfd int, oldpath string, newdirfd int, newpath string, flags int) (err error)", "hookErr", "link", "newpath", "true")
	wrap(z, "func symlinkat(oldpath string, newdirfd int, newpath string) (err error)", "hookErr", "symlink", "newpath", "true")
	wrap(z, "func Fsync(fd int) (err error)", "hookErr", "sync", `""`, "true")
	wrap(z, "func Ftruncate(fd int, length int64) (err error)", "hookErr", "truncate", `""`, "true")
	wrap(filepath.Join(src, "syscall", "exec_unix.go"), "func forkExec(argv0 string, argv []string, attr *ProcAttr) (pid int, err error)", "0, hookErr", "spawn", "argv0", "true")
	at := filepath.Join(src, "internal", "syscall", "unix", "at.go")
	wrap(at, "func Openat(dirfd int, path string, flags int, perm uint32) (int, error)", "0, hookErr", "create", "path", "flags&(syscall.O_CREAT|syscall.O_TRUNC) != 0")
	wrap(at, "func Unlinkat(dirfd int, path string, flags int) error", "hookErr", "unlink", "path", "true")
	wrap(at, "func Mkdirat(dirfd int, path string, mode uint32) error", "hookErr", "mkdir", "path", "true")
	hook, err := os.ReadFile("testdata/hook.go.txt")
	if err != nil {
		return "", err
	}
	return planted("hooked", append(edits, swiftly...), map[string]string{filepath.Join(src, "syscall", "autonomous_loop_effects.go"): string(hook)})
})

// swift builds the program with pauses a thousandth as long: nobody waits for a
// retry here.
var swift = sync.OnceValues(func() (string, error) { return planted("swift", swiftly, nil) })

var swiftly = []edit{
	{"wire.go", "time.NewTimer(d)", "time.NewTimer(d / 1000)"},
	{"runner/repo/remote.go", "time.NewTimer(d)", "time.NewTimer(d / 1000)"},
}

// An edit replaces a text that occurs once in a file: one of the program's, by its
// name, or another by its path.
type edit struct{ file, old, new string }

// planted builds the program with edits and with new files, which stand nowhere
// but beside the build.
func planted(name string, edits []edit, files map[string]string) (string, error) {
	dir := filepath.Join(buildDir, "overlay-"+name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	texts := maps.Clone(files)
	if texts == nil {
		texts = map[string]string{}
	}
	for _, e := range edits {
		path := e.file
		if !filepath.IsAbs(path) {
			var err error
			if path, err = filepath.Abs(filepath.Join("../..", path)); err != nil {
				return "", err
			}
		}
		if _, ok := texts[path]; !ok {
			data, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			texts[path] = string(data)
		}
		if n := strings.Count(texts[path], e.old); n != 1 {
			return "", fmt.Errorf("%q occurs %d times in %s", e.old, n, e.file)
		}
		texts[path] = strings.Replace(texts[path], e.old, e.new, 1)
	}
	replace := map[string]string{}
	for path, text := range texts {
		replace[path] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		return "", err
	}
	return build(name, "-overlay", file)
}
