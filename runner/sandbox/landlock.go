package sandbox

import (
	"errors"
	"fmt"
	"io/fs"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// What every command may read and write of the system. Nothing of /etc but what
// programs need to start, find names and check certificates; no /dev but what
// gives or takes bytes; not /tmp and not /run, where others leave sockets.
var (
	system = append(systemDirs,
		"/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/hosts", "/etc/host.conf", "/etc/hostname", "/etc/resolv.conf", "/etc/gai.conf",
		"/etc/services", "/etc/protocols", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/localtime", "/etc/timezone", "/etc/os-release",
		"/etc/debian_version", "/etc/machine-id", "/etc/mime.types", "/etc/gitconfig", "/etc/profile", "/etc/bash.bashrc", "/etc/inputrc",
		"/etc/shells", "/dev/random", "/dev/urandom")
	systemDirs = []string{
		"/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/opt", "/nix/store",
		"/etc/alternatives", "/etc/ssl", "/etc/ca-certificates", "/etc/pki", "/etc/fonts", "/etc/ld.so.conf.d", "/etc/perl", "/etc/terminfo",
		"/proc", "/sys/devices/system/cpu", "/sys/fs/cgroup", "/dev/fd",
	}
	devices = []string{"/dev/null", "/dev/zero", "/dev/full"}
)

// shared is for sem_open: Python's multiprocessing and some browsers.
const shared = "/dev/shm"

// Rights are granted as far as the kernel knows them: each ABI brought some.
const (
	read     = ll.AccessFSExecute | ll.AccessFSReadFile | ll.AccessFSReadDir
	write    = ll.AccessFSWriteFile | ll.AccessFSTruncate
	arrange  = ll.AccessFSRemoveDir | ll.AccessFSRemoveFile | ll.AccessFSMakeDir | ll.AccessFSMakeReg | ll.AccessFSMakeSock | ll.AccessFSMakeFifo | ll.AccessFSMakeSym | ll.AccessFSRefer
	onlyDirs = ll.AccessFSReadDir | arrange | ll.AccessFSMakeChar | ll.AccessFSMakeBlock | ll.AccessFSResolveUnix
)

// handled are the rights that a ruleset of this ABI can take away.
func handled(abi int) uint64 {
	all := uint64(ll.AccessFSRefer - 1) // those of ABI 1
	for since, right := range map[int]uint64{
		2: ll.AccessFSRefer, 3: ll.AccessFSTruncate, 5: ll.AccessFSIoctlDev, abiUnix: ll.AccessFSResolveUnix,
	} {
		if abi >= since {
			all |= right
		}
	}
	return all
}

// confineFiles leaves the calling thread what p names of the file system, and
// neither signals nor abstract sockets to anyone outside. Where there is to be
// no network, it says so once more here.
//
// The rulesets are made here, and not by go-landlock's Restrict: that restricts
// every thread of the process, which none but this one survives. Under the rules
// for ports each of them cost 20 ms.
func confineFiles(p policy) error {
	attr := ll.RulesetAttr{HandledAccessFS: handled(p.ABI)}
	if p.ABI >= abiScope {
		attr.Scoped = ll.ScopeAbstractUnixSocket | ll.ScopeSignal
	}
	if p.ABI >= abiTCP && p.Net == None {
		attr.HandledAccessNet = ll.AccessNetBindTCP | ll.AccessNetConnectTCP
	}
	fd, err := ll.LandlockCreateRuleset(&attr, 0)
	if err != nil {
		return fmt.Errorf("landlock: make rules for files: %w", err)
	}
	defer unix.Close(fd)
	grant := func(rights uint64, missing error, paths ...string) error {
		for _, path := range paths {
			if err := grantPath(fd, path, rights&attr.HandledAccessFS); err != nil && (missing == nil || !errors.Is(err, missing)) {
				return err
			}
		}
		return nil
	}
	if err := errors.Join(
		grant(read, fs.ErrNotExist, system...),
		grant(read|write|ll.AccessFSIoctlDev, fs.ErrNotExist, devices...),
		grant(read|write|arrange, fs.ErrNotExist, shared),
		grant(read, nil, p.Read...),
		grant(read|write|arrange|ll.AccessFSResolveUnix, nil, p.Write...),
	); err != nil {
		return err
	}
	if err := ll.LandlockRestrictSelf(fd, 0); err != nil {
		return fmt.Errorf("landlock: restrict files: %w", err)
	}
	return nil
}

// grantPath lets what is at path, and below it, be used.
func grantPath(ruleset int, path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EACCES) {
		return fmt.Errorf("the command's user cannot reach %s; a directory above it must let others pass (chmod o+x), or it must lie elsewhere: %w", path, err)
	}
	if err != nil {
		return fmt.Errorf("landlock: open %s: %w", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("landlock: stat %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &^= onlyDirs
	}
	if err := ll.LandlockAddPathBeneathRule(ruleset, &ll.PathBeneathAttr{ParentFd: fd, AllowedAccess: rights}, 0); err != nil {
		return fmt.Errorf("landlock: allow %s: %w", path, err)
	}
	return nil
}

// Local ports are those that any program may listen on. Port 0 asks for a free one.
const (
	firstLocal = 1024
	lastLocal  = 65535
)

// confinePorts leaves the calling thread, and what it starts, TCP between local
// ports only. The 64,512 rules take the kernel some 50 ms to build and 20 ms to
// copy into every process that takes them on, so a thread takes them on once
// and starts all such commands, which inherit them: see [launcher].
func confinePorts() error {
	fd, err := ll.LandlockCreateRuleset(&ll.RulesetAttr{HandledAccessNet: ll.AccessNetBindTCP | ll.AccessNetConnectTCP}, 0)
	if err != nil {
		return fmt.Errorf("landlock: make rules for ports: %w", err)
	}
	defer unix.Close(fd)
	free := ll.NetPortAttr{AllowedAccess: ll.AccessNetBindTCP}
	if err := ll.LandlockAddNetPortRule(fd, &free, 0); err != nil {
		return fmt.Errorf("landlock: allow a free port: %w", err)
	}
	for port := uint64(firstLocal); port <= lastLocal; port++ {
		rule := ll.NetPortAttr{AllowedAccess: ll.AccessNetBindTCP | ll.AccessNetConnectTCP, Port: port}
		if err := ll.LandlockAddNetPortRule(fd, &rule, 0); err != nil {
			return fmt.Errorf("landlock: allow port %d: %w", port, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	if err := ll.LandlockRestrictSelf(fd, 0); err != nil {
		return fmt.Errorf("landlock: restrict ports: %w", err)
	}
	return nil
}
