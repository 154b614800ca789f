package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner/suite"
)

// diff is the change from one tree to another, for reading: at most most bytes
// of it, and tests first, because they say what the rest is for.
func (g *Gates) diff(ctx context.Context, from, to string, most int) (string, error) {
	paths, err := g.o.Trees.Changed(ctx, from, to)
	if err != nil {
		return "", fmt.Errorf("compare %s with %s: %w", from, to, err)
	}
	paths = append(only(paths, suite.IsTest), only(paths, func(p string) bool { return !suite.IsTest(p) })...)
	var b strings.Builder
	err = g.compared(ctx, from, to, func(old, now *os.Root) error {
		for _, p := range paths {
			fmt.Fprintf(&b, "--- %s\n+++ %s\n%s", p, p, hunks(lines(old, p), lines(now, p)))
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return limit(b.String(), most), nil
}

// lines are those of a file, none if it is not there or nothing to be read.
func lines(root *os.Root, p string) []string {
	text, err := suite.ReadFile(root, p, 1<<20)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil || bytes.IndexByte(text, 0) >= 0:
		return []string{"(not text, or too large to be shown)\n"}
	}
	var all []string
	for l := range strings.Lines(string(text)) {
		all = append(all, strings.TrimSuffix(l, "\n")+"\n")
	}
	return all
}

// hunks are the lines that a and b do not have in common, in order, with some of
// those around them.
func hunks(a, b []string) string {
	const around, mostCells = 3, 4 << 20
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	x, y := a[head:len(a)-tail], b[head:len(b)-tail]
	var marked []string // every line of both, with its mark
	for _, l := range a[:head] {
		marked = append(marked, " "+l)
	}
	if len(x)*len(y) > mostCells {
		marked = append(append(marked, mark("-", x)...), mark("+", y)...)
	} else {
		marked = append(marked, align(x, y)...)
	}
	for _, l := range a[len(a)-tail:] {
		marked = append(marked, " "+l)
	}
	near := make([]bool, len(marked))
	for i, l := range marked {
		if l[0] != ' ' {
			for k := max(0, i-around); k <= min(len(marked)-1, i+around); k++ {
				near[k] = true
			}
		}
	}
	var out strings.Builder
	for i, l := range marked {
		switch {
		case near[i] && (i == 0 || !near[i-1]):
			out.WriteString("@@\n" + l)
		case near[i]:
			out.WriteString(l)
		}
	}
	return out.String()
}

func mark(sign string, lines []string) []string {
	var out []string
	for _, l := range lines {
		out = append(out, sign+l)
	}
	return out
}

// align marks the lines of x and y along a longest common subsequence.
func align(x, y []string) []string {
	long := make([][]int, len(x)+1) // of x[i:] and y[k:]
	for i := range long {
		long[i] = make([]int, len(y)+1)
	}
	for i, a := range slices.Backward(x) {
		for k, b := range slices.Backward(y) {
			if a == b {
				long[i][k] = long[i+1][k+1] + 1
			} else {
				long[i][k] = max(long[i+1][k], long[i][k+1])
			}
		}
	}
	var out []string
	i, k := 0, 0
	for i < len(x) && k < len(y) {
		switch {
		case x[i] == y[k]:
			out = append(out, " "+x[i])
			i, k = i+1, k+1
		case long[i+1][k] >= long[i][k+1]:
			out = append(out, "-"+x[i])
			i++
		default:
			out = append(out, "+"+y[k])
			k++
		}
	}
	return append(append(out, mark("-", x[i:])...), mark("+", y[k:])...)
}
