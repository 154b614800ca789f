package sandbox

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

func TestClimb(t *testing.T) {
	good := machine{root: true, abi: 7, seccomp: true, arch: "amd64"}
	for _, c := range []struct {
		name      string
		isolation string
		change    func(*machine)
		want      string // of the rung's line or of the error
		rung      rung
	}{
		{
			"root", "auto", func(*machine) {}, "landlock: commands run as uid 60001 under Landlock (ABI 7) and seccomp, without this process's environment",
			rung{confine: true, drop: true, abi: 7, local: true, unix: true},
		},
		{"by name", "landlock", func(m *machine) { m.arch = "arm64" }, "landlock: commands run as uid 60001", rung{confine: true, drop: true, abi: 7, local: true, unix: true}},
		{"by default", "", func(*machine) {}, "landlock: ", rung{confine: true, drop: true, abi: 7, local: true, unix: true}},
		{
			"laptop", "auto", func(m *machine) { m.root, m.uid = false, 1000 }, "as you (uid 1000) under Landlock (ABI 7) and seccomp, without this process's environment; no unix sockets",
			rung{confine: true, abi: 7, local: true},
		},
		{"laptop of tomorrow", "auto", func(m *machine) { m.root, m.abi = false, 9 }, "ABI 9", rung{confine: true, abi: 9, local: true, unix: true}},
		{"before TCP rules", "auto", func(m *machine) { m.abi = 3 }, "network none or full, as local takes ABI 4", rung{confine: true, drop: true, abi: 3, unix: true}},
		{"none by name", "none", func(m *machine) { m.abi = 0; m.seccomp = false }, "none: commands run with all rights of this process", rung{local: true, unix: true}},
		{"no Landlock", "auto", func(m *machine) { m.abi = 0 }, "Landlock ABI 0, and it takes 2", rung{}},
		{"first Landlock", "auto", func(m *machine) { m.abi = 1 }, "Landlock ABI 1, and it takes 2", rung{}},
		{"no Landlock, by name", "landlock", func(m *machine) { m.abi = 0 }, "say isolation: none to run commands with no protection at all", rung{}},
		{"no seccomp", "auto", func(m *machine) { m.seccomp = false }, "refuses seccomp filters", rung{}},
		{"laptop without scopes", "auto", func(m *machine) { m.root, m.abi = false, 5 }, "without root it takes 6 (Linux 6.12)", rung{}},
		{"other machine", "auto", func(m *machine) { m.arch = "riscv64" }, "not known to hold on riscv64", rung{}},
		{"other word", "strong", func(*machine) {}, `isolation "strong": want auto, landlock or none`, rung{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := good
			c.change(&m)
			got, err := climb(c.isolation, m, 60001)
			line := got.line
			if err != nil {
				line = err.Error()
			}
			if !strings.Contains(line, c.want) {
				t.Errorf("says %q, want %q", line, c.want)
			}
			if got.line = ""; got != c.rung {
				t.Errorf("got %+v, want %+v", got, c.rung)
			}
		})
	}
}

// A sandbox that does not hold is found out by its own attack.
func TestAttackFindsOpenDoors(t *testing.T) {
	s, _ := box(t, Options{Isolation: "none"})
	if !strings.HasPrefix(s.Rung(), "none: ") {
		t.Errorf("rung is %s", s.Rung())
	}
	err := s.try(context.Background())
	if err == nil {
		t.Fatal("nothing was found where nothing is shut")
	}
	for _, want := range []string{"/closed", "/open", "write to", "signal the process", "internet socket", "for datagrams", "does not hold here"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q was not found: %v", want, err)
		}
	}
	for _, c := range []struct {
		change func(*rung)
		want   string
	}{
		{func(r *rung) { r.abi = 99 }, "invalid argument"}, // the kernel cannot do what was counted on
	} {
		held, _ := box(t, Options{})
		c.change(&held.rung)
		if err := held.try(context.Background()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v", err)
		}
	}
}

// Open returns before it is known whether the sandbox holds. Nothing is started until
// then, and nothing at all where it does not.
func TestNothingStartsUntilItHolds(t *testing.T) {
	s, work := box(t, Options{})
	s.tried, s.refusal = make(chan struct{}), errors.New("a command could do something")
	c := sh(work, "touch ran")
	said := make(chan error)
	for _, start := range []func() error{
		func() error { _, err := s.Run(t.Context(), c); return err },
		func() error { _, err := s.Start(t.Context(), c); return err },
		func() error { return s.Wrapper(filepath.Join(work, "wrapped"), c) },
	} {
		go func() { said <- start() }()
	}
	close(s.tried)
	for range 3 {
		if err := <-said; !errors.Is(err, s.refusal) {
			t.Errorf("got %v, want %v", err, s.refusal)
		}
	}
	if names, err := filepath.Glob(filepath.Join(work, "*")); err != nil || len(names) > 0 {
		t.Errorf("it has left %v (%v)", names, err)
	}
}

// Each user is tried, and the first door that is open is an error, whoever finds it.
func TestEachUserIsTried(t *testing.T) {
	s, _ := box(t, Options{})
	for name, home := range map[string]*string{"commands": &s.user.home, "the judge": &s.places, "the browser": &s.browser.home} {
		was := *home
		*home = filepath.Join(s.private, "missing") // so that its command cannot start
		if err := s.try(t.Context()); err == nil {
			t.Errorf("%s was not tried", name)
		}
		*home = was
	}
	if err := s.try(t.Context()); err != nil {
		t.Error(err)
	}
}

// Asked for by name, none still gives a clean environment, ends and limits on output.
func TestNone(t *testing.T) {
	t.Setenv("LOOP_SECRET", canary)
	s, work := box(t, Options{Isolation: "none"})
	out := ran(t, s, sh(work, "id -u; env | grep -c "+canary+"; cat /etc/fstab >/dev/null && echo reads; echo $$ > pid-main; setsid sleep 60 & echo $! > pid-stray"))
	if want := itoa(os.Geteuid()) + "\n0\nreads\n"; out.Text != want || out.Leftover != 1 {
		t.Errorf("%+v, want %q", out, want)
	}
	gone(t, filepath.Join(work, "pid-*"), 2)
	c := Command{Argv: []string{actor, "act", "httptest"}, Net: Local}
	if out := ran(t, s, c); out.Code != 0 {
		t.Errorf("%+v", out)
	}
}

// The filter, asked call by call. The virtual machine reads big-endian words, so
// a call is written down in these; that the lower words of arguments are the
// ones looked at on real machines is for TestAttacks to show.
func TestFilter(t *testing.T) {
	const ok, eperm, enosys, dead = unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM), unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS), unix.SECCOMP_RET_KILL_PROCESS
	const x86, arm = unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_AARCH64
	ask := func(arch string, audit uint32, n Net, unixSockets bool, nr uint32, args ...uint32) uint32 {
		vm, err := bpf.NewVM(filter(arch, n, unixSockets))
		if err != nil {
			t.Fatal(err)
		}
		call := make([]byte, 64)
		binary.BigEndian.PutUint32(call[0:], nr)
		binary.BigEndian.PutUint32(call[4:], audit)
		for i, arg := range args {
			binary.BigEndian.PutUint32(call[16+8*i:], arg)
		}
		verdict, err := vm.Run(call)
		if err != nil {
			t.Fatal(err)
		}
		return uint32(verdict)
	}
	const stream, dgram, raw, flags = unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_RAW, unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	for _, c := range []struct {
		name              string
		net               Net
		nr                uint32
		args              []uint32
		none, local, full uint32
	}{
		{name: "read", nr: unix.SYS_READ, none: ok, local: ok, full: ok},
		{name: "ptrace", nr: unix.SYS_PTRACE, none: eperm, local: eperm, full: eperm},
		{name: "keyctl", nr: unix.SYS_KEYCTL, none: eperm, local: eperm, full: eperm},
		{name: "fork", nr: unix.SYS_CLONE, args: []uint32{uint32(unix.SIGCHLD)}, none: ok, local: ok, full: ok},
		{name: "thread", nr: unix.SYS_CLONE, args: []uint32{unix.CLONE_VM | unix.CLONE_THREAD | unix.CLONE_SIGHAND}, none: ok, local: ok, full: ok},
		{name: "fork into a namespace", nr: unix.SYS_CLONE, args: []uint32{unix.CLONE_NEWNET | uint32(unix.SIGCHLD)}, none: eperm, local: eperm, full: eperm},
		{name: "clone3", nr: unix.SYS_CLONE3, none: enosys, local: enosys, full: enosys},
		{name: "terminal size", nr: unix.SYS_IOCTL, args: []uint32{0, unix.TIOCGWINSZ}, none: ok, local: ok, full: ok},
		{name: "typing", nr: unix.SYS_IOCTL, args: []uint32{0, unix.TIOCSTI}, none: eperm, local: eperm, full: eperm},
		{name: "pasting", nr: unix.SYS_IOCTL, args: []uint32{0, tioclinux}, none: eperm, local: eperm, full: eperm},
		{name: "own limits", nr: unix.SYS_PRLIMIT64, args: []uint32{0}, none: ok, local: ok, full: ok},
		{name: "others' limits", nr: unix.SYS_PRLIMIT64, args: []uint32{1}, none: eperm, local: eperm, full: eperm},
		{name: "personality?", nr: unix.SYS_PERSONALITY, args: []uint32{personality}, none: ok, local: ok, full: ok},
		{name: "personality", nr: unix.SYS_PERSONALITY, args: []uint32{0x0400000}, none: eperm, local: eperm, full: eperm},
		{name: "race detector", nr: unix.SYS_PERSONALITY, args: []uint32{addrNoRand}, none: ok, local: ok, full: ok},
		{name: "tcp", nr: unix.SYS_SOCKET, args: []uint32{unix.AF_INET, stream | flags, 0}, none: eperm, local: ok, full: ok},
		{name: "tcp6 by name", nr: unix.SYS_SOCKET, args: []uint32{unix.AF_INET6, stream, unix.IPPROTO_TCP}, none: eperm, local: ok, full: ok},
		{name: "mptcp", nr: unix.SYS_SOCKET, args: []uint32{unix.AF_INET, stream, unix.IPPROTO_MPTCP}, none: eperm, local: eperm, full: ok},
		{name: "sctp", nr: unix.SYS_SOCKET, args: []uint32{unix.AF_INET, stream, unix.IPPROTO_SCTP}, none: eperm, local: eperm, full: ok},
		{name: "smc", nr: unix.SYS_SOCKET, args: []uint32{unix.AF_INET, stream, 256}, none: eperm, local: eperm, full: ok},
		{name: "udp", nr: unix.SYS_SOCKET, args: []uint32{unix.AF_INET6, dgram | flags, 0}, none: eperm, local: eperm, full: ok},
		{name: "raw", nr: unix.SYS_SOCKET, args: []uint32{unix.AF_INET, raw, 0}, none: eperm, local: eperm, full: ok},
		{name: "vsock", nr: unix.SYS_SOCKET, args: []uint32{unix.AF_VSOCK, stream, 0}, none: eperm, local: eperm, full: eperm},
		{name: "packet", nr: unix.SYS_SOCKET, args: []uint32{unix.AF_PACKET, raw, 0}, none: eperm, local: eperm, full: eperm},
		{name: "alg", nr: unix.SYS_SOCKET, args: []uint32{unix.AF_ALG, stream, 0}, none: eperm, local: eperm, full: eperm},
		{name: "routes", nr: unix.SYS_SOCKET, args: []uint32{unix.AF_NETLINK, raw | flags, unix.NETLINK_ROUTE}, none: ok, local: ok, full: ok},
		{name: "audit", nr: unix.SYS_SOCKET, args: []uint32{unix.AF_NETLINK, raw, unix.NETLINK_AUDIT}, none: eperm, local: eperm, full: eperm},
		{name: "unix", nr: unix.SYS_SOCKET, args: []uint32{unix.AF_UNIX, stream, 0}, none: ok, local: ok, full: ok},
	} {
		for n, want := range map[Net]uint32{None: c.none, Local: c.local, Full: c.full} {
			if got := ask("amd64", x86, n, true, c.nr, c.args...); got != want {
				t.Errorf("%s, network %s: got %#x, want %#x", c.name, n, got, want)
			}
		}
	}
	if got := ask("amd64", x86, Full, false, unix.SYS_SOCKET, unix.AF_UNIX, stream); got != eperm {
		t.Errorf("unix sockets, where they are not to be had: %#x", got)
	}
	for _, nr := range denied {
		if got := ask("amd64", x86, Full, true, nr); got != eperm {
			t.Errorf("call %d: %#x", nr, got)
		}
	}
	for name, got := range map[string]uint32{
		"i386":         ask("amd64", unix.AUDIT_ARCH_I386, Full, true, unix.SYS_READ),
		"x32":          ask("amd64", x86, Full, true, x32Bit|unix.SYS_READ),
		"arm on arm64": ask("arm64", unix.AUDIT_ARCH_ARM, Full, true, unix.SYS_READ),
		"amd64 there":  ask("arm64", x86, Full, true, unix.SYS_READ),
	} {
		if got != dead {
			t.Errorf("%s: %#x", name, got)
		}
	}
	if got := ask("arm64", arm, None, true, 0xffff); got != ok {
		t.Errorf("arm64: %#x", got)
	}
}

func TestKin(t *testing.T) {
	// 1 is init, 10 this process with session 5; 20 was started for slot 600, 30
	// for 601, 40 by a wrapper for 602, 50 by other code, which has a sandbox too.
	p := func(pid, ppid, slot, filters int) proc {
		return proc{pid: pid, ppid: ppid, sid: pid, uid: 1000, slot: slot, filters: filters}
	}
	table := []proc{
		p(1, 0, 0, 0), p(5, 1, 0, 0), p(10, 5, 0, 0),
		p(20, 10, 600, 1), p(21, 20, 600, 1), p(22, 10, 600, 2), p(23, 22, 600, 1),
		{pid: 24, ppid: 10, uid: 1000, slot: 600, zombie: true},
		p(30, 10, 601, 1), p(31, 30, 601, 1),
		p(40, 10, 602, 1), p(41, 40, 602, 1),
		p(50, 10, 0, 0), p(51, 50, 600, 1), p(52, 10, 600, 0), // the last is not confined
		p(60, 1, 600, 1), // somebody else's
		{pid: 61, ppid: 10, uid: 1001, slot: 600, filters: 1},
	}
	pids := func(k kin, ps []proc) []int {
		var pids []int
		for _, p := range k.of(ps, world{self: 10, sid: 5}) {
			pids = append(pids, p.pid)
		}
		return pids
	}
	us := []int{1000}
	for name, c := range map[string]struct {
		kin  kin
		want []int
	}{
		"a command":    {kin{mark: mark{slot: 600}, uids: us, confined: true}, []int{20, 21, 22, 23, 24}},
		"another":      {kin{mark: mark{slot: 601}, uids: us, confined: true}, []int{30, 31}},
		"the wrapped":  {kin{mark: mark{slot: 602}, uids: us, confined: true}, []int{40, 41}},
		"one that was": {kin{mark: mark{slot: 603}, uids: us, confined: true}, nil},
		"not confined": {kin{mark: mark{slot: 600}, uids: us}, []int{20, 21, 22, 23, 24, 51, 52}},
	} {
		if diff := cmp.Diff(c.want, pids(c.kin, table)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
	// As root: the group and the user, and nothing else.
	marked := []proc{
		{pid: 1, uid: 60001, groups: []uint32{60001, 60600}},
		{pid: 2, uid: 60002, groups: []uint32{60600}},
		{pid: 3, uid: 1000, groups: []uint32{60600}},
		{pid: 4, uid: 60001, groups: []uint32{60601}},
		{pid: 5, uid: 60001, groups: []uint32{60600}, zombie: true},
	}
	if got := pids(kin{mark: mark{gid: 60600}, uids: []int{60001, 60002}}, marked); !slices.Equal(got, []int{1, 2, 5}) {
		t.Errorf("marked are %v", got)
	}
}

func TestParseStatus(t *testing.T) {
	got := parseStatus(7, []byte("Name:\tx: Y\nState:\tZ (zombie)\nPPid:\t3\nUid:\t60001\t60001\t60001\t60001\nGroups:\t60001 60600 \nNSsid:\t9\t1\nThreads:\t4\nSeccomp_filters:\t2\n"))
	want := proc{pid: 7, ppid: 3, sid: 9, uid: 60001, groups: []uint32{60001, 60600}, zombie: true, threads: 4, filters: 2}
	if none := parseStatus(8, []byte("State:\tS (sleeping)\nGroups:\t \nPPid:")); !cmp.Equal(none, proc{pid: 8}, cmp.AllowUnexported(proc{})) {
		t.Errorf("of a process without groups: %+v", none)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(proc{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestEquip(t *testing.T) {
	root := place(t)
	home := filepath.Join(root, "person")
	for _, dir := range []string{
		"person/.ssh", "person/bin", "person/.local/bin", "person/.local/lib", "person/.nvm/versions/node/v22/bin", "person/.nvm/versions/node/v22/lib",
		"person/.pyenv/shims", "person/.cargo/bin", "person/.rustup", "person/go/bin", "person/go/pkg", "person/work/bin", "person/work/lib", "person/project/infra/bin",
		"person/project/infra/lib", "person/project/infra/.git", "tools/jdk/bin", "tools/jdk/lib", "tools/keys/bin", "tools/keys/lib", "tools/keys/.aws", "open/bin", "private/bin",
		"person/.config/x/bin", "person/.config/x/lib",
	} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("jdk", filepath.Join(root, "tools/current")); err != nil {
		t.Fatal(err)
	}
	for dir, mode := range map[string]os.FileMode{"open/bin": 0o777, "private": 0o700} {
		if err := os.Chmod(filepath.Join(root, dir), mode); err != nil {
			t.Fatal(err)
		}
	}
	// Where everybody may move things about above them, no directories are to be
	// trusted, and strangers get none of these.
	trusted := user{uid: 60001, gid: 60001, own: true}.mayUse(root)
	strangers := []user{{uid: 60001, gid: 60001, own: true}, {uid: 60002, gid: 60002, own: true}}
	me := []user{{uid: os.Geteuid(), gid: os.Getegid()}}
	for _, c := range []struct {
		path string
		us   []user
		want []string // readable; nil: not on the path at all
	}{
		{"/usr/bin", me, []string{}},
		{"person/bin", me, []string{"person/bin"}},
		{"person/.local/bin", me, []string{"person/.local/bin"}},
		{"person/.nvm/versions/node/v22/bin", me, []string{"person/.nvm/versions/node/v22"}},
		{"person/.pyenv/shims", me, []string{"person/.pyenv"}},
		{"person/.cargo/bin", me, []string{"person/.cargo/bin", "person/.rustup"}},
		{"person/go/bin", me, []string{"person/go/bin"}},
		{"person/work/bin", me, []string{"person/work/bin"}},
		{"person/project/infra/bin", me, []string{"person/project/infra/bin"}},
		{"person/.config/x/bin", me, []string{"person/.config/x/bin"}},
		{"tools/jdk/bin", me, []string{"tools/jdk"}},
		{"tools/current/bin", me, []string{"tools/jdk"}},
		{"tools/keys/bin", me, []string{"tools/keys/bin"}},
		{"/usr/bin", strangers, []string{}},
		{"tools/current/bin", strangers, []string{"tools/jdk"}},
		{"open/bin", strangers, nil},
		{"open/bin", me, []string{"open/bin"}},
		{"private/bin", strangers, nil},
		{"private/bin", me, []string{"private/bin"}},
		{"nowhere/bin", me, nil},
		{"/tmp", strangers, nil},
	} {
		path := c.path
		if !strings.HasPrefix(path, "/") {
			path = filepath.Join(root, path)
		}
		got := equip("."+":"+path+":"+path, c.us...)
		if !trusted && path != c.path && c.us[0].own {
			t.Logf("%s is open to all: nothing in it may be on a PATH", os.TempDir())
			c.want = nil
		}
		var want toolkit
		if c.want != nil {
			want.path = []string{path}
		}
		for _, dir := range c.want {
			want.read = append(want.read, filepath.Join(root, dir))
			if strings.HasSuffix(dir, ".rustup") {
				want.env = []string{"RUSTUP_HOME=" + filepath.Join(home, ".rustup")}
			}
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(toolkit{})); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.path, diff)
		}
	}
	if asRoot { // what one user owns is not on the path of the other
		mine := filepath.Join(root, "mine")
		if err := os.Mkdir(mine, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(mine, 60001, 60001); err != nil {
			t.Fatal(err)
		}
		if got := equip(mine, strangers...); got.path != nil {
			t.Errorf("a user's own directory is on the path: %v", got.path)
		}
	}
	// Nor is what a command may write.
	s, work := box(t, Options{Path: filepath.Join(root, "tools/jdk/bin") + ":/usr/bin"})
	c := sh(work, "")
	c.Write = append(c.Write, filepath.Join(root, "tools"))
	if got := s.policy(c, mark{}).Env[0]; got != "PATH=/usr/bin" {
		t.Errorf("%s", got)
	}
	if got := s.policy(sh(work, ""), mark{}).Env[0]; trusted && got != "PATH="+filepath.Join(root, "tools/jdk/bin")+":/usr/bin" {
		t.Errorf("%s", got)
	}
}

func TestOpenShutsThisProcess(t *testing.T) {
	for option, want := range map[int]int{unix.PR_SET_DUMPABLE: 1, unix.PR_SET_CHILD_SUBREAPER: 0} {
		if err := unix.Prctl(option, uintptr(want), 0, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	box(t, Options{})
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || dumpable != 0 {
		t.Errorf("others may look into it: %d, %v", dumpable, err)
	}
	var reaper int32
	if err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&reaper)), 0, 0, 0); err != nil || reaper != 1 {
		t.Errorf("orphans go elsewhere: %d, %v", reaper, err)
	}
}
