package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/verify"
)

// Proofs shows what verify finds, a line each, as soon as it is known.
type proofs struct {
	w     io.Writer
	quiet bool
	noRun bool
	about string // the feature that was told of last
	state runner.State
}

func (p *proofs) line(format string, args ...any) {
	if !p.quiet {
		fmt.Fprintln(p.w, logLine(fmt.Sprintf(format, args...)))
	}
}

func (p *proofs) loop(c config, at place, found runner.Found) {
	p.line("loop %s of %s", c.Loop, at.remote)
	st, err := runner.Decode(found.State, found.List)
	if err != nil {
		return // which will be said
	}
	p.state = st
	r := st.Result("")
	p.line("lineage %s, transaction %d, state %.12s: %d of %d features are said to be complete", st.Lineage, st.Serial, runner.Hash(found.State), r.FeaturesCompleted, r.FeaturesTotal)
}

func (p *proofs) show(proof verify.Proof) {
	if proof.Feature != p.about {
		p.line("")
		if f, ok := p.state.Feature(proof.Feature); ok {
			p.line("%s: %s", f.ID, f.Description)
		} else {
			p.line("all of them, on the tip")
		}
		p.about = proof.Feature
	}
	says := proof.Says
	if proof.Result == verify.Holds {
		says = shorten(says)
	}
	p.line("  %s %-14s %s", signs[proof.Result], proof.Name, says)
}

// shorten keeps what holds to a line; the JSON has all of it.
func shorten(s string) string {
	const most = 110
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// signs are as long as each other.
var signs = map[verify.Standing]string{
	verify.Holds:        "holds        ",
	verify.Broken:       "DOES NOT HOLD",
	verify.Inconclusive: "inconclusive ",
	verify.NotRun:       "not run      ",
}

// conclude says what it comes to. The error decides the exit code.
func (p *proofs) conclude(res verify.Result) error {
	broken, open := res.Broken(), res.Inconclusive()
	held, left := 0, 0
	for _, f := range res.Features {
		if f.Holds {
			held++
		}
		if slices.ContainsFunc(f.Proofs, func(p verify.Proof) bool { return p.Name == "gates" && p.Result == verify.NotRun }) {
			left++
		}
	}
	hold := "hold"
	if p.noRun {
		hold = "fit as far as they are recorded; nothing was run"
	}
	p.line("")
	switch {
	case len(broken) > 0:
		p.line("%d of %d complete features %s. These proofs do not hold:", held, len(res.Features), hold)
		for _, b := range broken {
			p.line("  %s", title(b))
		}
		return fmt.Errorf("%w: %s", errBroken, join(broken))
	case len(open) > 0:
		p.line("%d of %d complete features hold. Of these proofs it could not be told:", held, len(res.Features))
		for _, b := range open {
			p.line("  %s", title(b))
		}
		return fmt.Errorf("%w: %s", errInconclusive, join(open))
	case len(res.Features) == 0:
		p.line("No feature is said to be complete, so there is nothing to prove again.")
	case p.noRun:
		p.line("All %d complete features fit as far as they are recorded. Nothing was run, so nothing is proved.", held)
	case left > 0:
		p.line("All %d complete features hold; %d of them were not judged again.", held, left)
	default:
		p.line("All %d complete features hold.", held)
	}
	return nil
}

func title(p verify.Proof) string {
	if p.Feature == "" {
		return p.Name
	}
	return p.Feature + ": " + p.Name
}

func join(proofs []verify.Proof) string {
	var names []string
	for _, p := range proofs {
		names = append(names, title(p))
	}
	return strings.Join(names, ", ")
}
