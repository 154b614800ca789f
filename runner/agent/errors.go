package agent

import (
	"fmt"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// A Class is what kind of trouble an error is, as far as that decides what to do.
type Class string

// The classes of errors.
const (
	Transient     Class = "transient"     // it may pass by itself
	Resource      Class = "resource"      // a file, a port, a right that is not there
	Syntax        Class = "syntax"        // something cannot be read at all
	Logic         Class = "logic"         // the code does what it should not
	Environment   Class = "environment"   // a program, a package, a version, the network
	Unrecoverable Class = "unrecoverable" // nothing that is done in the work tree helps
)

// An errorRule tells an error by its look. Its hint says what is likely, as far
// as that is more than the error says itself.
type errorRule struct {
	name  string
	class Class
	re    *pattern.Regexp
	hint  string
}

const noNetwork = "Commands here have no network, but for this machine: use what is installed and in the repository."

// errorRules are asked in this order, the most telling first; testdata/errors
// has an example of each, most of them real.
var errorRules = []errorRule{
	{"disk-full", Unrecoverable, re(`(?i)no space left on device|ENOSPC\b|disk quota exceeded`), "The disk is full."},
	{"memory", Unrecoverable, re(`heap out of memory|(?m:^MemoryError\b)|runtime: out of memory|(?i)cannot allocate memory|\bOOM\b|Killed\s+process`), "The memory is used up. Most likely something of the project grows without end; a smaller input shows it."},

	{"browser-missing", Environment, re(`Executable doesn't exist at|playwright install`), "Do not install browsers: the browser tool has one."},
	{"strict-mode", Logic, re(`strict mode violation: .*`), "The target names several elements: make it more telling."},
	{"locator", Logic, re(`TimeoutError: (?:locator|page)\.\w+: Timeout \d+ms exceeded`), "The page does not have, or does not show, what was waited for. Look at a snapshot of the page first."},
	{"expectation", Logic, re(`expect\(.*\)\.(?:not\.)?to\w+\(.*\) failed`), ""},
	{"browser-gone", Transient, re(`(?:Target page, context or browser|Target|Browser) (?:has been )?closed`), "The page or the browser is gone: open it again."},
	{"page-refused", Transient, re(`net::ERR_CONNECTION_REFUSED\S* at \S+`), "The application does not run, or not there: start it in the background, wait until it answers, and look at its log."},

	{"dns", Environment, re(`getaddrinfo (?:ENOTFOUND|EAI_AGAIN).*|Could not resolve host.*|Temporary failure in name resolution|Name or service not known|no such host|net::ERR_NAME_NOT_RESOLVED`), noNetwork},
	{"network", Environment, re(`(?i)network is unreachable|ENETUNREACH|module lookup disabled by GOPROXY|npm (?:ERR!|error) network`), noNetwork},
	{"rate-limit", Transient, re(`(?m)^(?:< )?HTTP/[\d.]+ 429.*|returned error: 429|(?i)too many requests`), "Wait as long as the answer says."},
	{"http-busy", Transient, re(`(?m)^(?:< )?HTTP/[\d.]+ (?:408|425|502|503|504)\b.*|returned error: (?:408|502|503|504)|\b(?:502 Bad Gateway|503 Service Unavailable|504 Gateway Time-?out)`), "What stands behind it does not answer yet."},
	{"http-denied", Resource, re(`(?m)^(?:< )?HTTP/[\d.]+ (?:401|403|407)\b.*|returned error: (?:401|403|407)`), "The request lacks a right: a login, a header, a user. Look for no credentials."},
	{"http-missing", Resource, re(`(?m)^(?:< )?HTTP/[\d.]+ (?:404|405|410)\b.*|returned error: (?:404|405|410)`), "No such route, or not for this method: compare it with what the application registers."},
	{"http-refused", Logic, re(`(?m)^(?:< )?HTTP/[\d.]+ 4\d\d\b.*|returned error: 4\d\d`), "The application does not take what was sent: compare it with what the handler reads."},
	{"http-broken", Logic, re(`(?m)^(?:< )?HTTP/[\d.]+ 5\d\d\b.*|returned error: 5\d\d`), "The application itself broke: its own log says where."},
	{"port", Resource, re(`EADDRINUSE.*|(?i)address already in use`), "Another process has the port, most likely one that you started: stop that job, or take the port from PORT."},
	{"refused", Transient, re(`ECONNREFUSED.*|(?i)connection refused|Failed to connect to .*|Couldn't connect to server`), "Nothing listens there. Start it in the background, wait until it answers, and look at its log."},
	{"reset", Transient, re(`ECONNRESET.*|EPIPE\b.*|socket hang up|(?i)connection reset by peer`), "The other side ended the connection: its log says why."},
	{"test-timeout", Logic, re(`panic: test timed out after.*|(?i)exceeded timeout of \d+ ?m?s for a (?:test|hook)|test timed out in \d+ms`), "Something waits for ever: look at what the last lines were waiting for."},
	{"timeout", Transient, re(`ETIMEDOUT.*|(?m:^TimeoutError: timed out)|(?i)operation timed out|i/o timeout|deadline exceeded|timed out after \d+ s and was killed`), "It took too long: a smaller part first, or in the background."},

	{"toolchain", Environment, re(`go\.mod requires go >= .*|(?i)unsupported engine|requires (?:a different )?python|EBADENGINE.*`), "The project asks for another version than is installed: do not change what it asks for; write for what is there."},
	{"command", Environment, re(`(?m)^.*: command not found$|(?m)^(?:/bin/)?sh: \d+: .*: not found$|exec: "[^"]+": executable file not found.*`), "The program is not installed: use the project's own scripts, or another program."},
	{"npm-script", Environment, re(`Missing script: .*`), "Look into package.json for the scripts that there are."},
	{"module-format", Environment, re(`require is not defined in ES module scope.*|Cannot use import statement outside a module.*|ERR_REQUIRE_ESM.*`), "The file is of the other kind of module: look at the neighbours and at type in package.json."},
	{"local-module", Resource, re(`Cannot find module '(?:\.|/|file:)[^']*'.*|Failed to resolve import "\.[^"]*".*`), "A file of the project's own that is not there: compare path and spelling."},
	{"package", Environment, re(`Cannot find (?:module|package) '[^']+'.*|ModuleNotFoundError: No module named .*|(?m)^.*no required module provides package.*|(?m)^.*cannot find module providing package.*|No matching distribution found.*|(?m)^.*package \S+ is not in std.*|could not find gem .*`), "The package is not installed. " + noNetwork},
	{"git-owned", Environment, re(`does not appear to be a git repository|Could not read from remote repository|not a git repository.*|No configured push destination`), "The harness owns git: there is no remote here, and none is needed."},

	{"git-lock", Resource, re(`Unable to create '.*\.lock': File exists`), "Another git is at work: wait for it. Do not remove what you did not make."},
	{"git-name", Resource, re(`pathspec '.*' did not match any file.*|unknown revision or path.*`), ""},
	{"git-conflict", Logic, re(`CONFLICT \(.*|Automatic merge failed.*`), ""},
	{"git-patch", Syntax, re(`No valid patches in input|corrupt patch at line \d+|patch does not apply`), "Use the tool that edits files instead of git's patches."},

	{"json", Syntax, re(`SyntaxError: .* JSON.*|JSONDecodeError: .*|EJSONPARSE.*|invalid character .* looking for .*|JSONParseError: .*`), "Look at the text that was read as JSON: it may be an error page, or empty."},
	{"parse", Syntax, re(`(?m)SyntaxError: .*|IndentationError: .*|TabError: .*|^.*:\d+:\d+: syntax error.*|^.*syntax error near unexpected token.*|^.*expected '?[;:{}()\w]+'?, found .*|error TS1\d{3}: .*|^.*unexpected EOF.*`), "Read the lines around it; the cause often stands just before."},

	{"permission", Resource, re(`EACCES.*|EPERM.*|PermissionError: .*|(?i)permission denied`), "Only the work tree and the temporary directory may be written; a script may want to be run as `bash script` or made executable."},
	{"no-file", Resource, re(`ENOENT.*|FileNotFoundError: .*|(?i)no such file or directory`), "Compare path and spelling with find_files; commands start at the root of the project."},

	{"compile", Logic, re(`(?m)^.*\.go:\d+:\d+: .*|error TS\d+: .*|error\[E\d+\]: .*`), ""},
	{"assertion", Logic, re(`AssertionError.*|(?m)^\s*--- FAIL: .*|(?m)^FAILED .*|✖ .*|(?m)^not ok .*`), ""},
	{"thrown", Logic, re(`(?m)^panic: .*|(?:Type|Reference|Range|Attribute|Key|Index|Value|Name|ZeroDivision|Unhandled)Error: .*`), ""},
}

func re(s string) *pattern.Regexp { return pattern.MustCompile(s) }

// A trouble is an error that was recognised.
type trouble struct {
	class Class
	rule  string
	hint  string
	line  string // that it was told by
}

// classify recognises the error that a failed command ended in, by its first
// telling line.
func classify(text string) (trouble, bool) {
	text = clip(text, 8<<10)
	for _, r := range errorRules {
		if m := r.re.FindString(text); m != "" {
			return trouble{r.class, r.name, r.hint, oneLine(m, 200)}, true
		}
	}
	return trouble{}, false
}

// places are what two errors of one kind differ in: directories, numbers.
var places = pattern.MustCompile(`(?:file://)?(?:/[\w.@+~-]+)+/|\b\d+\b|:::?\d+`)

// print is the trouble's fingerprint: the same for the same error elsewhere.
func (t trouble) print() string {
	return t.rule + ": " + strings.ToLower(places.ReplaceAllString(normal(t.line), "#"))
}

func (t trouble) String() string { return fmt.Sprintf("%s (%s): %s", t.class, t.rule, t.line) }
