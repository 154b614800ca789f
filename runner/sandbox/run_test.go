package sandbox

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

func TestRunSaysWhatBecameOfIt(t *testing.T) {
	s, work := box(t, Options{})
	log := filepath.Join(place(t), "log")
	for _, c := range []struct {
		name string
		cmd  func(*Command)
		want Output
	}{
		{"both streams in order", func(c *Command) { c.Argv[2] = "echo one; echo two >&2; echo three >/dev/stdout; exit 3"; c.Log = log }, Output{Code: 3, Text: "one\ntwo\nthree\n", Bytes: 14, Lines: 3, Log: log}},
		{"killed", func(c *Command) { c.Argv[2] = "kill -9 $$" }, Output{Code: 137, Signal: "killed"}},
		{"stdin", func(c *Command) { c.Argv[2] = "cat; cat /dev/stdin"; c.Stdin = []byte("given\n") }, Output{Text: "given\ngiven\n", Bytes: 12, Lines: 2}},
		{"no stdin", func(c *Command) { c.Argv[2] = "wc -c" }, Output{Text: "0\n", Bytes: 2, Lines: 1}},
		{"directory", func(c *Command) { c.Argv[2] = "pwd" }, Output{Text: work + "\n", Bytes: int64(len(work) + 1), Lines: 1}},
		{"no program", func(c *Command) { c.Argv = []string{"no-such"}; c.Env = []string{"PATH=/bin"} }, Output{Code: 127, Text: "no-such: no such program in /bin: file does not exist\n", Bytes: 54, Lines: 1}},
		{"not a program", func(c *Command) { c.Argv = []string{"/etc/group"} }, Output{Code: 126, Text: "/etc/group: permission denied\n", Bytes: 30, Lines: 1}},
		{"arguments", func(c *Command) { c.Argv = []string{"printf", "%s|", "a b", "", "$x"} }, Output{Text: "a b||$x|", Bytes: 8}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := sh(work, "")
			c.cmd(&cmd)
			got := ran(t, s, cmd)
			if got.Wall <= 0 || got.CPU <= 0 {
				t.Errorf("took %v, %v of the processor", got.Wall, got.CPU)
			}
			if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(Output{}, "Wall", "CPU", "Env")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	if b, err := os.ReadFile(log); err != nil || string(b) != "one\ntwo\nthree\n" {
		t.Errorf("log is %q, %v", b, err)
	}
}

func TestEnvironmentIsBuiltFromNothing(t *testing.T) {
	t.Setenv("LOOP_SECRET", canary)
	s, work := box(t, Options{Path: "relative:/nowhere:/usr/bin:/bin:/usr/bin"})
	c := Command{Argv: []string{"env"}, Dir: work, Env: []string{"TERM=vt100", "PORT=8080", "PORT=8081"}}
	out := ran(t, s, c)
	got, told := strings.Fields(out.Text), slices.Clone(out.Env)
	slices.Sort(got)
	slices.Sort(told)
	home := filepath.Join(filepath.Dir(work), "box", "user", "home")
	want := []string{
		"PATH=/usr/bin:/bin", "HOME=" + home, "TMPDIR=" + filepath.Join(filepath.Dir(home), "tmp"), "USER=sandbox", "LOGNAME=sandbox", "PWD=" + work,
		"LANG=C.UTF-8", "GOPATH=" + home + "/go", "GOCACHE=" + home + "/.cache/go-build", "CI=true", "TERM=vt100", "NO_COLOR=1", "PAGER=cat",
		"GIT_PAGER=cat", "GIT_TERMINAL_PROMPT=0", "DEBIAN_FRONTEND=noninteractive", "PYTHONUNBUFFERED=1", "GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*", "PORT=8081",
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("it is told (-want +got)\n%s", diff)
	}
}

func TestFilesAreAsGranted(t *testing.T) {
	s, work := box(t, Options{})
	dir := filepath.Dir(work)
	read, file := filepath.Join(dir, "read"), filepath.Join(dir, "file")
	if err := errors.Join(os.Mkdir(read, 0o777), os.Chmod(read, 0o777), os.WriteFile(filepath.Join(read, "f"), []byte("r"), 0o666), os.Chmod(filepath.Join(read, "f"), 0o666),
		os.WriteFile(file, nil, 0o666), os.Chmod(file, 0o666)); err != nil {
		t.Fatal(err)
	}
	script := `
		try() { if eval "$2" >/dev/null 2>&1; then echo "$1"; fi; }
		try dir-read   "ls ."
		try dir-write  "echo > x"
		try mv-between "mkdir -p a b && echo > a/x && mv a/x b/x"
		try home       "echo > $HOME/x"
		try tmp        "mktemp"
		try shm        "echo > /dev/shm/sandbox-test-$$ && rm /dev/shm/sandbox-test-$$"
		try read       "cat ` + read + `/f"
		try read-write "echo > ` + read + `/f"
		try read-new   "echo > ` + read + `/g"
		try file       "echo > ` + file + `"
		try system     "cat /etc/hosts /usr/bin/env"
		try tmp-others "ls /tmp"
		try shadow     "cat /etc/ssh/sshd_config || cat /etc/fstab"
		try fifo       "mkfifo p && rm p"
	`
	for _, c := range []struct {
		name   string
		change func(*Command)
		want   string
	}{
		{"nothing", func(c *Command) { c.Write = nil }, "dir-read home tmp shm system"},
		{"its directory", func(*Command) {}, "dir-read dir-write mv-between home tmp shm system fifo"},
		{"to read", func(c *Command) { c.Read = []string{read} }, "dir-read dir-write mv-between home tmp shm read system fifo"},
		{"a file to write", func(c *Command) { c.Write = []string{file} }, "dir-read home tmp shm file system"},
		{"all", func(c *Command) { c.Write = []string{work, read, file} }, "dir-read dir-write mv-between home tmp shm read read-write read-new file system fifo"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := sh(work, script)
			c.change(&cmd)
			if got := strings.Join(strings.Fields(ran(t, s, cmd).Text), " "); got != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
		})
	}
}

// Each process below writes its id into work, so that its end can be seen.
const hide = `
	note() { sh -c 'echo $PPID' > pid-$1; }
	( note child; sleep 60 ) &
	setsid bash -c 'echo $$ > pid-session; sleep 60' &
	( ( setsid bash -c "trap '' TERM HUP INT; echo \$\$ > pid-daemon; while :; do sleep 60; done" & ) & )
	while [ $(cat pid-child pid-session pid-daemon 2>/dev/null | wc -w) -lt 3 ]; do sleep 0.01; done
`

func TestStraysDieWithTheirCommand(t *testing.T) {
	s, work := box(t, Options{})
	out := ran(t, s, sh(work, hide+"echo over; exit 5"))
	if out.Code != 5 || out.Text != "over\n" {
		t.Errorf("%+v", out)
	}
	if out.Leftover < 3 || out.Leftover > 6 { // the shells and the sleeps below them
		t.Errorf("killed %d leftovers", out.Leftover)
	}
	if out.Wall > 10*time.Second {
		t.Errorf("took %v", out.Wall)
	}
	gone(t, filepath.Join(work, "pid-*"), 3)
}

func TestTimeoutKillsEverythingAndKeepsWhatWasSaid(t *testing.T) {
	t.Parallel()
	s, work := box(t, Options{})
	c := sh(work, "echo $$ > pid-main; trap 'echo asked to stop; exit 7' TERM; echo partial;"+hide+"echo ready; while :; do sleep 0.05; done")
	c.Timeout = 1500 * time.Millisecond
	out := ran(t, s, c)
	if !out.TimedOut || out.Code != 7 || !strings.HasPrefix(out.Text, "partial\nready\n") || !strings.HasSuffix(out.Text, "asked to stop\n") {
		t.Errorf("%+v", out)
	}
	gone(t, filepath.Join(work, "pid-*"), 4)
}

func TestDeafCommandIsKilled(t *testing.T) {
	t.Parallel()
	s, work := box(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(300*time.Millisecond, cancel)
	out, err := s.Run(ctx, sh(work, "trap '' TERM; echo $$ > pid; while :; do sleep 60; done"))
	if err != nil || !out.Cancelled || out.TimedOut || out.Code != 137 || out.Wall < grace {
		t.Errorf("%+v, %v", out, err)
	}
	gone(t, filepath.Join(work, "pid"), 1)
	if _, err := s.Run(ctx, sh(work, "echo")); !errors.Is(err, context.Canceled) {
		t.Errorf("a command ran although its context was over: %v", err)
	}
}

func TestForkBombIsBounded(t *testing.T) {
	const most = 120
	s, work := box(t, Options{Processes: most})
	// Bounded by itself too, should the guard be broken.
	c := sh(work, `echo $$ > pid; bomb() { echo >> count; if [ $1 -gt 0 ]; then bomb $(($1-1)) & bomb $(($1-1)) & fi; sleep 60; }; bomb 9`)
	c.Timeout = time.Second
	out := ran(t, s, c)
	if !out.TimedOut || !strings.Contains(out.Text, "Resource temporarily unavailable") {
		t.Errorf("%+v", out)
	}
	if out.Leftover > most {
		t.Errorf("killed %d processes, more than there could be", out.Leftover)
	}
	if asRoot {
		session := pidIn(t, filepath.Join(work, "pid"))       // other tests have processes of the same user
		until(t, "nothing of the bomb is left", func() bool { // who has died has still to be buried
			ps, err := processes()
			if err != nil {
				t.Fatal(err)
			}
			return !slices.ContainsFunc(ps, func(p proc) bool { return p.sid == session })
		})
	}
	if out := ran(t, s, sh(work, "echo fine")); out.Text != "fine\n" {
		t.Errorf("and then: %+v", out)
	}
}

func TestLimits(t *testing.T) {
	s, work := box(t, Options{FileBytes: 1 << 20})
	out := ran(t, s, Command{Argv: []string{"head", "-c", "2000000", "/dev/zero"}, Dir: work})
	if out.Code != 0 || out.Text != "[binary output, 2000000 bytes]" {
		t.Errorf("%+v", out)
	}
	out = ran(t, s, sh(work, "exec head -c 2000000 /dev/zero > big"))
	if out.Signal != unix.SIGXFSZ.String() || out.Code != 128+int(unix.SIGXFSZ) {
		t.Errorf("%+v", out)
	}
	if info, err := os.Stat(filepath.Join(work, "big")); err != nil || info.Size() != 1<<20 {
		t.Errorf("%v, %v", info, err)
	}
	out = ran(t, s, sh(work, "ulimit -c; ulimit -n; cat /proc/self/oom_score_adj; umask"))
	most := maxFiles
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	if l.Max < maxFiles {
		most = int(l.Max)
	}
	if want := "0\n" + strconv.Itoa(most) + "\n500\n0022\n"; asRoot && out.Text != want {
		t.Errorf("got %q, want %q", out.Text, want)
	}
}

func TestMistakesAreErrorsThatSayWhat(t *testing.T) {
	s, work := box(t, Options{})
	for _, c := range []struct {
		change func(*Command)
		want   string
	}{
		{func(c *Command) { c.Argv = nil }, "no program named"},
		{func(c *Command) { c.Net = "wifi" }, `network "wifi": want none, local or full`},
		{func(c *Command) { c.Env = []string{"=x"} }, `environment "=x"`},
		{func(c *Command) { c.Write = []string{"work"} }, `path "work" is not absolute`},
		{func(c *Command) { c.Dir = work + "/nowhere" }, "no such file or directory"},
		{func(c *Command) { c.Read = []string{"/"} }, "path / holds the sandbox's own files"},
		{func(c *Command) { c.Dir = filepath.Dir(work) }, "holds the sandbox's own files"},
		{func(c *Command) { c.Log = work }, "open the log"},
	} {
		cmd := sh(work, "echo ran")
		c.change(&cmd)
		out, err := s.Run(t.Context(), cmd)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %+v, %v; want an error with %q", out, err, c.want)
		}
	}
}
