// Command said reads the events of go test -json and prints what the compiler
// said, and what the tests and packages said that failed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	type event struct{ Action, Package, Test, Output string }
	said := map[[2]string]string{}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue // a line of the build, which was printed already
		}
		key := [2]string{e.Package, e.Test}
		switch e.Action {
		case "build-output":
			fmt.Print(e.Output) //nolint:forbidigo // this is a main
		case "output":
			said[key] += e.Output
		case "fail":
			fmt.Print(said[key]) //nolint:forbidigo // this is a main
		}
	}
}
