// Command driver prepares Playwright's driver for playwright-go:
//
//	driver DIRECTORY NODE
//
// DIRECTORY holds npm's playwright-core, unpacked as package/.
package main

import (
	"fmt"
	"os"

	"github.com/autonomous-loop/autonomous-loop/runner/browser"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: driver DIRECTORY NODE")
		os.Exit(2) //nolint:forbidigo // this is a main
	}
	if err := browser.Prepare(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // this is a main
	}
}
