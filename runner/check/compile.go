package check

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/autonomous-loop/autonomous-loop/runner/sandbox"
	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// compile has compiled, once for all runs to come, what the tests of a prepared
// tree need besides the project. Each of them begins with an empty cache
// otherwise. That it fails costs them time, and nothing else: a tree that does
// not compile is judged by its runs.
func (g *Gates) compile(ctx context.Context, p *prepared) error {
	if g.o.Compile == nil {
		return nil
	}
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	suites, err := suite.Find(root, g.o.Test)
	if err != nil {
		return nil // whoever runs them says so
	}
	c, err := suite.Compile(root, suites)
	if err != nil || c.Script == "" || g.compiled[c.Key] {
		return err
	}
	command := sandbox.Command{Argv: []string{"sh", "-c", c.Script}, Dir: p.dir, Env: g.o.Env, Read: slices.Concat(g.o.Read, g.shelfDirs()), Timeout: g.o.Timeout}
	if home := p.home(); home != "" {
		env, read := lentBy(home)
		command.Env, command.Read = append(env, command.Env...), append(command.Read, read...)
	}
	if _, err := g.o.Compile(ctx, command); err != nil {
		return fmt.Errorf("compile what the tests need: %w", err)
	}
	g.compiled[c.Key] = true // whether or not all of it could be
	return nil
}
