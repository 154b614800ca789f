package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// What every command may read and write of the system. Nothing of /etc but what
// programs need to start, find names and check certificates; no /dev but what
// gives or takes bytes; not /tmp and not /run, where others leave sockets.
var (
	systemDirs = []string{
		"/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/opt", "/nix/store",
		"/etc/alternatives", "/etc/ssl", "/etc/ca-certificates", "/etc/pki", "/etc/fonts", "/etc/ld.so.conf.d", "/etc/perl", "/etc/terminfo",
		"/proc", "/sys/devices/system/cpu", "/sys/fs/cgroup", "/dev/fd",
	}
	systemFiles = []string{
		"/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/hosts", "/etc/host.conf", "/etc/hostname", "/etc/resolv.conf", "/etc/gai.conf",
		"/etc/services", "/etc/protocols", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/localtime", "/etc/timezone", "/etc/os-release",
		"/etc/debian_version", "/etc/machine-id", "/etc/mime.types", "/etc/gitconfig", "/etc/profile", "/etc/bash.bashrc", "/etc/inputrc",
		"/etc/shells", "/dev/random", "/dev/urandom",
	}
	sharedDirs  = []string{"/dev/shm"} // sem_open: Python's multiprocessing, some browsers
	sharedFiles = []string{"/dev/null", "/dev/zero", "/dev/full"}
)

// confineFiles leaves the calling process what p names of the file system, and
// neither signals nor abstract sockets to anyone outside. Where there is to be
// no network, it says so once more here.
func confineFiles(p policy) error {
	abi, err := ll.LandlockGetABIVersion()
	if err != nil || abi < p.ABI {
		return fmt.Errorf("landlock ABI is %d and was %d when the sandbox was opened: %w", abi, p.ABI, errors.Join(err, fs.ErrInvalid))
	}
	cfg := landlock.MustConfig(landlock.V9.HandledAccessFS, landlock.V9.Scoped)
	if p.Net == None {
		cfg.HandledAccessNet = landlock.V9.HandledAccessNet
	}
	rules := []landlock.Rule{
		landlock.RODirs(systemDirs...).IgnoreIfMissing(),
		landlock.ROFiles(systemFiles...).IgnoreIfMissing(),
		landlock.RWDirs(sharedDirs...).IgnoreIfMissing(),
		landlock.RWFiles(sharedFiles...).IgnoreIfMissing(),
	}
	for _, path := range p.Read {
		dir, err := isDir(path)
		if err != nil {
			return err
		}
		if dir {
			rules = append(rules, landlock.RODirs(path))
		} else {
			rules = append(rules, landlock.ROFiles(path))
		}
	}
	for _, path := range p.Write {
		dir, err := isDir(path)
		if err != nil {
			return err
		}
		if dir {
			// Refer is what mv and ln need between two directories.
			rules = append(rules, landlock.RWDirs(path).WithRefer().WithResolveUnix())
		} else {
			rules = append(rules, landlock.RWFiles(path))
		}
	}
	return cfg.BestEffort().Restrict(rules...)
}

func isDir(path string) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrPermission) {
		return false, fmt.Errorf("the command's user cannot reach %s; a directory above it must let others pass (chmod o+x), or the files must lie elsewhere: %w", path, err)
	}
	if err != nil {
		return false, err
	}
	return info.IsDir(), nil
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
