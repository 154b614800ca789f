// Package sandbox runs commands without letting them hurt anyone.
//
// A command is the model's, the repository's or a page's: nobody has read it.
// It gets an environment built from nothing, the files it was given and no
// others, no network or only local ports, and an end: when it is over, all
// that it started is over too, however it forked. The process that holds the
// secrets stays out of its reach.
//
// Three layers do this together, because each alone was walked through: another
// user (where this process is root), Landlock, and seccomp. [Open] takes the
// best that the machine offers, attacks it, and refuses when that falls short;
// it runs commands unprotected only when that is asked for by name.
//
// What it does not promise: that a command uses little memory, time on the
// processor or disk; that a command which may use [Local] ports cannot talk to
// another machine on such a port; that one command of a user cannot disturb
// another of the same user by filling a shared home, disk or process table.
// Paths in a [Command] are the caller's: the model must not choose them.
//
// Linux only. The program that uses it calls [Main] first of all.
package sandbox

import "time"

// A Command is one program to run. The zero value of every optional field is
// the safe choice.
type Command struct {
	Argv    []string
	Dir     string        // where it starts, which it may read; "": its private home
	Env     []string      // added to the clean environment, NAME=value; the later of two wins
	Net     Net           // "" is None
	Timeout time.Duration // 0: only the context ends it
	Write   []string      // directories and files it may write; Dir is not among them unless named, its HOME and TMPDIR always are
	Read    []string      // directories and files it may read besides the system's, Dir and those it may write
	Judge   bool          // run as the second user, whom the first cannot touch
	Place   string        // with Judge: what [Sandbox.Place] made, with the home and the temporary directory; "": one of its own, gone when it is over
	Browser bool          // run as the third, who looks at what the second runs; neither of these can touch the other
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
// not an error; so is one that cannot be found (127) or executed (126).
type Output struct {
	Code      int // exit code; 128+n for signal n; -1 while it runs
	Signal    string
	TimedOut  bool
	Cancelled bool
	Text      string // head and tail, cleaned of terminal escapes, with a line between that says what was cut
	Bytes     int64
	Lines     int64
	Log       string
	Env       []string // that the command had: built from nothing, so that no secret is in it
	Leftover  int      // processes that outlived the command and were killed
	Wall      time.Duration
	CPU       time.Duration
}
