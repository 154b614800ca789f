package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
)

// The test binary is also the program, for the scripts, and the sandbox's
// helper, for the program.
func TestMain(m *testing.M) {
	sandbox.Main()
	testscript.Main(m, map[string]func(){"autonomous-loop": main, postName: main, "first-orphans": asFirstOrphans, "first-unburied": unburied})
}
