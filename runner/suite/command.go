package suite

import (
	"path"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/pattern"
)

// What may stand before a runner's own name: variables, and programs that only
// start another.
const before = `^((?:\w+=\S*\s+)*(?:(?:npx|bunx|pnpx)(?:\s+(?:--no-install|--yes|--no|-y))*\s+|npm\s+exec\s+(?:--\s+)?|(?:yarn|pnpm)\s+(?:exec\s+|run\s+)?|` +
	`cross-env\s+(?:\w+=\S*\s+)*|c8\s+|nyc\s+|bundle\s+exec\s+|(?:poetry|uv|pipenv|pdm|hatch)\s+run\s+|coverage\s+run\s+-m\s+|xvfb-run\s+(?:-a\s+)?|env\s+(?:\w+=\S*\s+)*)*)`

// caller finds calls of a program: what stands before it, it, and its arguments.
func caller(program string) *pattern.Regexp {
	return pattern.MustCompile(before + `((?:` + program + `))(?:\s+(.*))?$`)
}

// claimer is the usual claim of an adapter.
func claimer(tool string, re *pattern.Regexp) func(string) (Suite, bool) {
	return func(command string) (Suite, bool) {
		m := re.FindStringSubmatch(command)
		if m == nil {
			return Suite{}, false
		}
		return Suite{tool: tool, Command: command, head: m[1], call: m[2], args: strings.TrimSpace(m[3])}, true
	}
}

var (
	npmRun   = pattern.MustCompile(`^(?:npm|yarn|pnpm|bun)\s+(?:run(?:-script)?\s+)?(?:(?:-s|--silent)\s+)?([\w:.-]+)$`)
	npmIn    = pattern.MustCompile(`^(npm|yarn|pnpm)\s+(?:--prefix|--cwd|-C|--dir)[\s=]+(\S+)\s+(.*)$`)
	composer = pattern.MustCompile(`^composer\s+(?:run(?:-script)?\s+)?([\w:.-]+)$`)
	makeRun  = pattern.MustCompile(`^make\s+(?:-s\s+|--silent\s+)?([\w.-]+)$`)
	changeTo = pattern.MustCompile(`^cd\s+([\w@./-]+)$`)
	goIn     = pattern.MustCompile(`^((?:\w+=\S*\s+)*)go\s+-C\s+([\w@./-]+)\s+(test\b.*)$`)
	bracket  = pattern.MustCompile(`^\(([^()]*)\)$`)
	shellish = pattern.MustCompile("[|;&<>`\n]|\\$\\(")
	note     = pattern.MustCompile(`\s#\s*(junit|trx|tap)\b:?\s*(.*)$`)
)

// deepest bounds how often one script may lead to another.
const deepest = 5

// split reads what a person wrote as the test command: one chain of commands a
// line.
func split(p place, text string) ([]Suite, error) {
	var all []Suite
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		all = append(all, p.chain(line, "", 0)...)
	}
	return all, nil
}

// chain reads a shell command as a chain of suites. Scripts of package.json and
// composer.json and recipes of a Makefile are followed to what they run. p is
// where the shell stands; a cd moves it for what follows.
func (p place) chain(command, local string, depth int) []Suite {
	command = strings.TrimSpace(command)
	if m := note.FindStringSubmatchIndex(command); m != nil {
		s := Suite{tool: command[m[2]:m[3]] + " report", Command: strings.TrimSpace(command[:m[0]]), Dir: p.sub(), local: local}
		s.call = s.Command
		s.results = strings.Fields(command[m[4]:m[5]])
		return []Suite{s}
	}
	if !strings.ContainsAny(command, `'"`) && strings.Contains(command, "&&") && !strings.ContainsAny(command, "|;") {
		if m := bracket.FindStringSubmatch(command); m != nil {
			command = m[1]
		}
		var all []Suite
		at := p
		for _, part := range chainParts(command) {
			if m := changeTo.FindStringSubmatch(part); m != nil {
				at.dir = path.Join(at.dir, m[1])
				continue
			}
			all = append(all, at.chain(part, local, depth)...)
		}
		return all
	}
	if m := npmIn.FindStringSubmatch(command); m != nil {
		p.dir = path.Join(p.dir, m[2])
		return p.chain(m[1]+" "+m[3], local, depth)
	}
	if m := goIn.FindStringSubmatch(command); m != nil {
		p.dir = path.Join(p.dir, m[2])
		return p.chain(m[1]+"go "+m[3], local, depth)
	}
	if depth < deepest {
		if m := npmRun.FindStringSubmatch(command); m != nil {
			if all := p.npm(m[1], depth); all != nil {
				return all
			}
		}
		if m := composer.FindStringSubmatch(command); m != nil {
			if found, err := scripts(p.root, p.join("composer.json")); err == nil && found[m[1]] != "" {
				script := strings.NewReplacer("@php ", "php ", "@", "composer ").Replace(found[m[1]])
				return p.chain(script, "vendor/bin", depth+1)
			}
		}
		if m := makeRun.FindStringSubmatch(command); m != nil {
			if all := p.recipe(m[1], depth); all != nil {
				return all
			}
		}
	}
	s := Suite{tool: plain, Command: command, Dir: p.sub(), local: local}
	if shellish.MatchString(command) {
		return []Suite{s}
	}
	for _, a := range adapters() {
		if a.claim == nil {
			continue
		}
		if got, ok := a.claim(command); ok {
			got.Dir, got.local = s.Dir, s.local
			return []Suite{got}
		}
	}
	return []Suite{s}
}

// chainParts splits at && outside of brackets.
func chainParts(command string) []string {
	var parts []string
	open, from := 0, 0
	for i := 0; i < len(command); i++ {
		switch {
		case command[i] == '(':
			open++
		case command[i] == ')':
			open--
		case open == 0 && strings.HasPrefix(command[i:], "&&"):
			parts = append(parts, strings.TrimSpace(command[from:i]))
			i++
			from = i + 1
		}
	}
	return append(parts, strings.TrimSpace(command[from:]))
}

// npm follows a script of package.json, with its pre and post scripts.
func (p place) npm(name string, depth int) []Suite {
	found, err := scripts(p.root, p.join("package.json"))
	if err != nil || found[name] == "" {
		return nil
	}
	var all []Suite
	for _, n := range []string{"pre" + name, name, "post" + name} {
		if script := found[n]; script != "" {
			all = append(all, p.chain(script, "node_modules/.bin", depth+1)...)
		}
	}
	return all
}

var makeTarget = pattern.MustCompile(`(?m)^([\w.-]+)\s*:([^=\n]*)\n((?:\t.*(?:\n|$))*)`)

// recipe follows a target of a Makefile, as long as the recipe is nothing but
// plain commands: a variable, or a failure that is ignored, and make itself runs
// it, of which only the exit code is known.
func (p place) recipe(name string, depth int) []Suite {
	text, err := ReadFile(p.root, p.join("Makefile"), 1<<20)
	if err != nil {
		return nil
	}
	for _, m := range makeTarget.FindAllStringSubmatch(string(text), -1) {
		if m[1] != name {
			continue
		}
		var all []Suite
		for need := range strings.FieldsSeq(m[2]) {
			all = append(all, Suite{tool: plain, Command: "make " + need, Dir: p.sub()})
		}
		lines := 0
		for l := range strings.Lines(m[3]) {
			l = strings.TrimLeft(strings.TrimSpace(l), "@")
			if l == "" {
				continue
			}
			if strings.ContainsAny(l, "$") || strings.HasPrefix(l, "-") || strings.HasSuffix(l, `\`) {
				return nil
			}
			all = append(all, p.chain(l, "", depth+1)...)
			lines++
		}
		if lines == 0 {
			return nil
		}
		return all
	}
	return nil
}
