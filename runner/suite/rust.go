package suite

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

const cargo = "cargo test"

var (
	cargoForm  = pattern.MustCompile(`^((?:\w+=\S*\s+)*(?:env\s+(?:\w+=\S*\s+)*)?)(cargo\s+(?:\+\S+\s+)?(?:test|t))\b\s*(.*)$`)
	cargoTaken = pattern.MustCompile(`(?:^|\s)(?:--(?:nocapture|show-output|quiet|verbose|color[=\s]+\S+|format[=\s]+\S+|message-format[=\s]+\S+|no-fail-fast)|-[qv]+)(?:\s|$)`)
)

// libtest's own report is text; what stands between its lines is what tests
// printed, so every block is held against the count that it begins and ends with.
var cargoAdapter = adapter{
	name: cargo,
	claim: func(command string) (Suite, bool) {
		m := cargoForm.FindStringSubmatch(command)
		if m == nil {
			return Suite{}, false
		}
		return Suite{tool: cargo, Command: command, head: m[1], call: m[2], args: strings.TrimSpace(cargoTaken.ReplaceAllString(m[3], " "))}, true
	},
	detect: func(p place) []string {
		switch {
		case !p.has("Cargo.toml"):
			return nil
		case strings.Contains(p.text("Cargo.toml"), "[workspace]"):
			return []string{"cargo test --workspace"}
		}
		return []string{"cargo test"}
	},
	plan: func(s Suite, _ Kit) Plan {
		// One binary after the other, each to its end, and the whole of it on one
		// stream in order.
		args := "--no-fail-fast --color never " + s.args
		return Plan{Script: strings.TrimSpace(s.head+s.call+" "+args) + " 2>&1"}
	},
	read: func(s Suite, run Run) (Report, error) {
		r := parseCargo(run.Log, run.Dir)
		for i, c := range r.Cases {
			if c.File != "" && s.Dir != "" {
				r.Cases[i].File = path.Join(s.Dir, c.File)
			}
		}
		return r, nil
	},
	only: func(s Suite, scope string, isPath bool) Suite {
		if isPath {
			if name, ok := strings.CutSuffix(path.Base(scope), ".rs"); ok && strings.Contains("/"+scope, "/tests/") {
				s.args += " --test " + quote(name)
			}
			return s
		}
		s.args += " " + quote(scope)
		return s
	},
}

var (
	cargoRunning = pattern.MustCompile(`^\s+(?:Running (?:unittests )?(\S+) \((\S+)\)|(Doc-tests) (\S+))\s*$`)
	cargoBlock   = pattern.MustCompile(`^running (\d+) tests?\s*$`)
	cargoCase    = pattern.MustCompile(`^test (.+?)(?: - should panic)? \.\.\. (?:(ok|FAILED|ignored(?:, .*)?)|)(?: <[\d.]+s>)?\s*$`)
	cargoSaid    = pattern.MustCompile(`^---- (.+) stdout ----\s*$`)
	cargoResult  = pattern.MustCompile(`^test result: (ok|FAILED)\. (\d+) passed; (\d+) failed; (\d+) ignored; (\d+) measured; (\d+) filtered out`)
	cargoNotDone = pattern.MustCompile("^error: could not compile `([^`]+)`(?: \\(([^)]*)\\))?")
	cargoDied    = pattern.MustCompile(`process didn't exit successfully: .*\((exit status: (\d+)|signal: .*)\)`)
)

// parseCargo reads the log of cargo test.
func parseCargo(log, dir string) Report {
	var r Report
	type block struct {
		file           string
		want           int
		first          int // of its cases in r.Cases
		open           bool
		passed, failed int
		ignored        int
		body           bool // the list of failures has begun
		seen           bool // a result was read
		began          bool
	}
	var b block
	said := map[string]*strings.Builder{}
	var about string // the failure whose output is being read
	var compile strings.Builder
	blocks, unfinished := 0, 0
	close := func() {
		if b.open {
			r.Early = append(r.Early, b.file)
			unfinished++
		}
		for name, text := range said {
			for i := b.first; i < len(r.Cases); i++ {
				if c := &r.Cases[i]; c.Name == name && c.State == Fail {
					c.Message = trimPaths(strings.TrimSpace(text.String()), dir)
					c.Kind = rustKind(c.Message)
				}
			}
		}
		said, about = map[string]*strings.Builder{}, ""
		b = block{}
	}
	var dead []string // targets that did not compile
	for l := range strings.Lines(log) {
		line := strings.TrimRight(l, "\r\n")
		if m := cargoRunning.FindStringSubmatch(line); m != nil {
			close()
			blocks++
			b = block{file: strings.TrimPrefix(m[1], "./"), first: len(r.Cases), open: true}
			if m[3] != "" {
				b.file = "doc-tests of " + m[4]
			}
			continue
		}
		if m := cargoNotDone.FindStringSubmatch(line); m != nil {
			what := m[1]
			if m[2] != "" {
				what += " (" + m[2] + ")"
			}
			dead = append(dead, what)
			continue
		}
		if blocks == 0 || !b.open && about == "" {
			if strings.HasPrefix(line, "warning: build failed") {
				continue
			}
			compile.WriteString(l)
		}
		switch m := cargoBlock.FindStringSubmatch(line); {
		case m != nil && b.open && !b.began:
			b.want, _ = strconv.Atoi(m[1])
			b.began = true
			continue
		case !b.began:
			continue
		}
		if m := cargoResult.FindStringSubmatch(line); m != nil && about == "" {
			if b.seen {
				r.Broken = b.file + " has two results: something wrote one of them"
				continue
			}
			n := make([]int, 7)
			for i := 2; i <= 6; i++ {
				n[i], _ = strconv.Atoi(m[i])
			}
			switch {
			case n[2]+n[3]+n[4]+n[5] != b.want:
				r.Broken = fmt.Sprintf("%s began with %d tests and ended with %d", b.file, b.want, n[2]+n[3]+n[4]+n[5])
			case n[2] != b.passed || n[3] != b.failed || n[4] != b.ignored:
				r.Broken = fmt.Sprintf("the result of %s (%d passed, %d failed, %d ignored) is not what its lines say (%d, %d, %d)", b.file, n[2], n[3], n[4], b.passed, b.failed, b.ignored)
			}
			b.open, b.seen, about = false, true, ""
			continue
		}
		if !b.open {
			continue
		}
		if m := cargoSaid.FindStringSubmatch(line); m != nil && b.body {
			about = m[1]
			if said[about] == nil {
				said[about] = &strings.Builder{}
			}
			continue
		}
		if line == "failures:" {
			b.body, about = !b.body || about == "", ""
			continue
		}
		if about != "" {
			if said[about].Len() < mostMessage {
				said[about].WriteString(l)
			}
			continue
		}
		if b.body {
			continue
		}
		if m := cargoCase.FindStringSubmatch(line); m != nil && m[2] != "" {
			c := Case{File: b.file, Name: m[1], State: Pass}
			switch {
			case m[2] == "FAILED":
				c.State, c.Kind = Fail, Crash
				b.failed++
			case strings.HasPrefix(m[2], "ignored"):
				c.State = Skip
				b.ignored++
			default:
				b.passed++
			}
			r.Cases = append(r.Cases, c)
		}
	}
	close()
	r.Partial = len(dead) > 0
	for _, d := range slices.Compact(dead) {
		text := trimPaths(Clean(compile.String()), dir)
		r.Cases = append(r.Cases, Case{File: rustTarget(d), Name: "crate " + d, State: Fail, Load: true, Kind: rustcKind(text), Message: text})
	}
	text := compile.String()
	switch {
	case r.Broken != "" || len(dead) > 0:
	case unfinished > 0 && cargoDied.MatchString(log):
		r.Broken = "a test binary died in the middle of " + r.Early[0] + ": " + cargoDied.FindStringSubmatch(log)[1]
	case blocks == 0 && (rustcError.MatchString(text) && rustcPlace.MatchString(text) || cargoNetwork.MatchString(text)):
		r.Cases = append(r.Cases, Case{Name: "the build", State: Fail, Load: true, Kind: rustcKind(text), Message: trimPaths(Clean(text), dir)})
	case blocks == 0:
		r.Broken = "cargo test reported nothing: " + head(trimPaths(Clean(log[:min(len(log), 64<<10)]), dir), 4<<10)
	case len(r.Cases) == 0:
		r.None = true
	}
	r.Tail = Tail(trimPaths(Clean(Tail(log, 64<<10)), dir), 4<<10)
	return r
}

// rustTarget is the file of a target: lib, lib test, test "name".
func rustTarget(what string) string {
	if _, rest, ok := strings.Cut(what, `(test "`); ok {
		name, _, _ := strings.Cut(rest, `"`)
		return "tests/" + name + ".rs"
	}
	if strings.Contains(what, "bin") {
		return "src/main.rs"
	}
	return "src/lib.rs"
}

// rustKind tells a failed assertion from any other panic.
func rustKind(text string) Kind {
	switch {
	case strings.Contains(text, "assertion `") || strings.Contains(text, "assertion failed") || strings.Contains(text, "did not panic as expected") ||
		strings.Contains(text, "panicked, but") || strings.Contains(text, "panic did not contain expected string"):
		return Assertion
	case strings.Contains(text, "not yet implemented") || strings.Contains(text, "not implemented"):
		return Missing
	case strings.Contains(text, "error[E") || strings.Contains(text, "Couldn't compile the test"):
		return rustcKind(text)
	case strings.HasPrefix(text, "Error: "):
		return Assertion // a test that returned an error
	}
	return Crash
}

var (
	rustcError   = pattern.MustCompile(`(?m)^error(\[E\d+\])?: `)
	rustcPlace   = pattern.MustCompile(`(?m)^\s*--> \S+:\d+:\d+`)
	rustcMissing = pattern.MustCompile(`error\[E0(405|407|412|422|423|424|425|432|433|437|438|46[34]|531|532|56[0]|574|576|583|599|609|610|061|063|027|026|603|616|624|308|277|107|053|050|046)\]`)
	rustcCrate   = pattern.MustCompile("error\\[E0(?:432|433|463)\\]: .*(?:can't find crate for|unresolved (?:import|module or unlinked crate)|use of unresolved module or unlinked crate|failed to resolve: use of (?:undeclared|unresolved)[^`]*) `([^`]+)`")
	cargoNetwork = pattern.MustCompile("failed to select a version|no matching package named|failed to get `|failed to load source for dependency|Unable to update registry|you may need to .*--offline|failed to download|attempting to make an HTTP request")
)

// rustcKind says why a target did not compile.
func rustcKind(text string) Kind {
	if cargoNetwork.MatchString(text) {
		return Dependency
	}
	missing := false
	for l := range strings.Lines(text) {
		if !rustcError.MatchString(l) || strings.HasPrefix(l, "error: could not compile") || strings.HasPrefix(l, "error: aborting due to") {
			continue
		}
		if m := rustcCrate.FindStringSubmatch(l); m != nil && !strings.Contains(m[1], "::") && !strings.HasPrefix(m[1], "crate") && !strings.HasPrefix(m[1], "super") {
			if strings.Contains(text, "you might be missing a crate") || strings.Contains(text, "if you wanted to use a crate named") || strings.Contains(text, "cargo add") {
				return Dependency
			}
		}
		if !rustcMissing.MatchString(l) {
			return Syntax
		}
		missing = true
	}
	if missing {
		return Missing
	}
	return Syntax
}
