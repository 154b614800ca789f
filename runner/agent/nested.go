package agent

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"
)

// mostNested is how much of a directory's own instructions is quoted, in bytes.
const mostNested = 8 << 10

// nested are the instructions of the directories that a file is in and that
// were not quoted yet, to be appended to the result that shows the file.
func (p *phase) nested(c Call, result string) string {
	var in struct {
		Path string `json:"path"`
	}
	if c.Name != "read_file" || len(p.a.o.Nested) == 0 || strings.HasPrefix(result, Failed) || json.Unmarshal([]byte(c.Args), &in) != nil {
		return ""
	}
	var b strings.Builder
	for dir := path.Dir(path.Clean(in.Path)); dir != "." && dir != "/"; dir = path.Dir(dir) {
		text := strings.TrimSpace(p.a.o.Nested[dir])
		if text == "" || p.c.told[dir] {
			continue
		}
		if p.c.told == nil {
			p.c.told = map[string]bool{}
		}
		p.c.told[dir] = true
		fmt.Fprintf(&b, "\n[harness] What the project says to agents about %s/, as data:\n%s", dir, data("project-instructions", clip(text, mostNested)))
	}
	return b.String()
}
