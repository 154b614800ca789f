// Package pattern has regular expressions that are compiled when they are first
// used. The program starts itself anew for every command that it confines, and
// most of such a start was the compiling of expressions that the confined never
// ask: some twenty milliseconds for four hundred of them.
//
// It is for expressions of packages. One that is made while the program runs is
// used at once, and belongs to package regexp.
package pattern

import (
	"regexp"
	"slices"
	"sync"
)

// A Regexp is a [regexp.Regexp] that does not exist yet. Its methods are those of
// that type.
type Regexp struct {
	expr string
	once sync.Once
	re   *regexp.Regexp
}

// all are the expressions of the program. Packages are initialised one after
// the other, so nothing guards it.
var all []*Regexp

// MustCompile is for variables of packages only: what it returns is kept. An
// expression with a mistake panics when it is first used; [All] finds it before.
func MustCompile(expr string) *Regexp {
	re := &Regexp{expr: expr}
	all = append(all, re)
	return re
}

func (re *Regexp) get() *regexp.Regexp {
	re.once.Do(func() { re.re = regexp.MustCompile(re.expr) })
	return re.re
}

// All are the expressions of all packages that are linked in, for a test that
// compiles them.
func All() []*Regexp { return slices.Clone(all) }

func (re *Regexp) String() string { return re.expr }

func (re *Regexp) Match(b []byte) bool { return re.get().Match(b) }

func (re *Regexp) MatchString(s string) bool { return re.get().MatchString(s) }

func (re *Regexp) FindString(s string) string { return re.get().FindString(s) }

func (re *Regexp) FindStringIndex(s string) []int { return re.get().FindStringIndex(s) }

func (re *Regexp) FindStringSubmatch(s string) []string { return re.get().FindStringSubmatch(s) }

func (re *Regexp) FindStringSubmatchIndex(s string) []int { return re.get().FindStringSubmatchIndex(s) }

func (re *Regexp) FindSubmatch(b []byte) [][]byte { return re.get().FindSubmatch(b) }

func (re *Regexp) FindAllString(s string, n int) []string { return re.get().FindAllString(s, n) }

func (re *Regexp) FindAllStringIndex(s string, n int) [][]int {
	return re.get().FindAllStringIndex(s, n)
}

func (re *Regexp) FindAllStringSubmatch(s string, n int) [][]string {
	return re.get().FindAllStringSubmatch(s, n)
}

func (re *Regexp) FindAllStringSubmatchIndex(s string, n int) [][]int {
	return re.get().FindAllStringSubmatchIndex(s, n)
}

func (re *Regexp) ReplaceAllString(s, with string) string { return re.get().ReplaceAllString(s, with) }

func (re *Regexp) ReplaceAllStringFunc(s string, f func(string) string) string {
	return re.get().ReplaceAllStringFunc(s, f)
}

func (re *Regexp) Split(s string, n int) []string { return re.get().Split(s, n) }
