package forge

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Self names this process: its id and when it began, which together no other
// process of this machine has while it is up.
func Self() (string, error) {
	pid := os.Getpid()
	start, err := began(pid)
	if err != nil {
		return "", fmt.Errorf("name this process: %w", err)
	}
	return fmt.Sprintf("%d-%s", pid, start), nil
}

// Alive says whether the process with pid that began at start still runs. One
// that has ended and waits for its parent to notice does not.
func Alive(pid int, start string) bool {
	now, err := began(pid)
	return err == nil && now == start
}

// parse takes the name of a process apart.
func parse(run string) (pid int, start string, ok bool) {
	id, start, _ := strings.Cut(run, "-")
	pid, err := strconv.Atoi(id)
	_, bad := strconv.ParseUint(start, 10, 64)
	return pid, start, err == nil && bad == nil && pid > 0
}

// began is when a running process began, in ticks since the machine did: field
// 22 of /proc/<pid>/stat. The second field is the program's name in brackets,
// which may hold anything, brackets and blanks included.
func began(pid int) (string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	text := string(data)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	const state, start = 0, 19 // what follows the name begins with field 3
	if len(fields) <= start {
		return "", fmt.Errorf("/proc/%d/stat is not as it should be", pid)
	}
	if fields[state] == "Z" || fields[state] == "X" {
		return "", fmt.Errorf("process %d has ended", pid)
	}
	return fields[start], nil
}
