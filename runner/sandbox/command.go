// Package sandbox runs commands without letting them hurt anyone.
package sandbox

import "time"

// A Command is one program to run. The zero value of every optional field is
// the safe choice.
type Command struct {
	Argv    []string
	Dir     string
	Env     []string      // added to the clean environment, NAME=value
	Net     Net           // "" is None
	Timeout time.Duration // 0: only the context ends it
	Write   []string      // directories it may write; Dir and its own TMPDIR are not among them unless named
	Read    []string      // directories it may read besides the system's and those it may write
	Stdin   []byte
	Head    int    // bytes of output kept from its start; 0: 8 KiB
	Tail    int    // and from its end; 0: 24 KiB
	Log     string // file for the whole output; "": none
}

// Net is how much network a command gets.
type Net string

// The networks, from the least to the most.
const (
	None  Net = "none"  // no internet sockets at all
	Local Net = "local" // TCP to ports from 1024 on, by port and not by host: enough for a server and its tests
	Full  Net = "full"
)

// An Output is what became of a command. A command that fails is an output,
// not an error.
type Output struct {
	Code      int // exit code; 128+n for signal n
	Signal    string
	TimedOut  bool
	Cancelled bool
	Text      string // head and tail, cleaned of terminal escapes, with a line between that says what was cut
	Bytes     int64
	Lines     int64
	Log       string
	Leftover  int // processes that outlived the command and were killed
	Wall      time.Duration
	CPU       time.Duration
}
