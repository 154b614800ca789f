package audit

import (
	"strings"
)

// read reads the files of the change, within bounds.
func (a *auditor) read() {
	left := mostBytes
	before := map[string]int{} // line -> how often the parent has it, in all the change
	for _, in := range a.in.Changes {
		c := &change{Change: in, kind: a.in.Kind(in.Path), fresh: map[int]bool{}}
		a.changes = append(a.changes, c)
		c.old, c.now = trimmed(in.Before), trimmed(in.After)
		c.before = a.source(c, in.Before, &left, false)
		c.after = a.source(c, in.After, &left, true)
		for _, l := range c.old {
			before[l]++
		}
	}
	for _, c := range a.changes {
		// A line that moved here from elsewhere in the change is no news.
		n := map[string]int{}
		for _, l := range c.now {
			n[l]++
		}
		for i, l := range c.now {
			c.fresh[i+1] = l != "" && n[l] > before[l]
		}
	}
}

func trimmed(f File) []string {
	if f.Mode != Regular && f.Mode != Executable {
		return nil
	}
	var ls []string
	for l := range strings.Lines(string(f.Data)) {
		ls = append(ls, strings.TrimSpace(l))
	}
	return ls
}

func (a *auditor) source(c *change, f File, left *int, now bool) *source {
	if f.Mode != Regular && f.Mode != Executable {
		return nil
	}
	l := langOf(c.Path, f.Data)
	if l == "" {
		return nil
	}
	if f.Size > int64(len(f.Data)) || len(f.Data) > *left {
		if now {
			a.find("unaudited", Failed, c, 0, "This source file is too large to be audited. Keep sources below %d MB, and generated data out of them.", MostFile>>20)
		}
		return nil
	}
	*left -= len(f.Data)
	s := read(l, string(f.Data))
	if now && s.fuel <= 0 {
		a.find("unaudited", Failed, c, 0, "This file is too tangled to be audited. Split it, or write it plainer.")
	}
	if now && !s.whole {
		a.find("unaudited", Note, c, 0, "This file cannot be read whole: a string or a comment is not closed, or is hard to tell.")
	}
	return s
}

// code looks at what the candidate added to a program.
func (a *auditor) code(c *change) {
	s := c.after
	if s == nil {
		a.hiddenText(c)
		if langOf(c.Path, nil) == "" && (strings.HasSuffix(c.Path, ".html") || strings.HasSuffix(c.Path, ".htm") || strings.HasSuffix(c.Path, ".tmpl") || strings.HasSuffix(c.Path, ".ejs") || strings.HasSuffix(c.Path, ".svg")) {
			a.page(c)
		}
		return
	}
	a.hiddenText(c)
	was := map[string]int{} // names in use before, for lines that are too long to compare
	if c.before != nil {
		for _, r := range c.before.refs {
			was[r.name]++
		}
	}
	now := map[string]int{}
	for _, r := range s.refs {
		now[r.name]++
		if !c.fresh[r.line] && !c.fresh[int(s.at(r.tok).line)] || r.line <= len(c.now) && len(c.now[r.line-1]) > 110 && now[r.name] <= was[r.name] {
			continue
		}
		a.exits(c, s, r)
		a.patches(c, s, r)
		a.sniffs(c, s, r)
		a.retries(c, s, r)
		a.reaches(c, s, r)
	}
	for i := range s.toks {
		if s.toks[i].kind == str && c.fresh[int(s.toks[i].line)] {
			a.words(c, s, int32(i))      // #nosec G115 -- a file has at most 4 MB
			a.readsTests(c, s, int32(i)) // #nosec G115 -- as above
		} else if c.fresh[int(s.toks[i].line)] {
			a.importsTests(c, s, int32(i)) // #nosec G115 -- as above
		}
	}
	a.blocks(c, s)
	a.again(c, s)
	a.ownTee(c, s)
	a.goSigns(c)
}
