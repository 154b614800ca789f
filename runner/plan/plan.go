// Package plan turns a spec into the feature list.
//
// It promises rows that are valid ([Validate]): unique ids, known dependencies
// without a cycle, acceptance steps that can be performed and that assert
// something. A list that the user owns is taken as it is and costs nothing; else
// a model is asked, told all its mistakes at once, and asked again, at most
// twice. A list that is still wrong then is an error and never used in part.
// Where there is a list already the model says what changes in it, and cannot
// lose any of it. Whether a spec says enough to be built from is told by rules
// that anybody can read ([Ready]); no model is asked, and nothing is guessed.
//
// It does not know where files are, keep state or decide in what order features
// are built. The fake of its port is in fake_test.go.
package plan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// An Asker puts one question to a model and returns the text of the answer. It
// waits out what passes by itself; usage counts also where the error is not
// nil. Package model has the real one.
type Asker interface {
	Ask(ctx context.Context, system, prompt string) (string, runner.Usage, error)
}

// Options say what to plan from.
type Options struct {
	Spec   []byte
	Source string // where the spec came from, for people
	// Features is the user's own list: our rows, or Anthropic's bare form. If
	// it is there, nobody is asked.
	Features     []byte
	FeaturesName string // where Features came from, for people
	Ask          Asker  // not needed with Features

	// Price is the most that a question of so many tokens in and out can cost;
	// nil: not known.
	Price    func(in, out int) runner.Money
	Min, Max int    // how many features; 0: from 1 to what a spec of that length may need
	RepoMap  string // what is in the repository already, if anything
	// Acceptance says that every row must bring acceptance steps, because
	// nothing will count as complete without a browser (e2e: required).
	Acceptance bool
	// Mistakes says what is wrong with steps beyond what [Validate] sees, a
	// line for each; nil: nothing is. Whoever performs them knows best.
	Mistakes func([]runner.Step) []string
}

// A Planner draws up the feature list.
type Planner struct {
	o    Options
	list []runner.Row // the user's own, as it was written
}

// repairs is how often a list with mistakes goes back to the model.
const repairs = 2

const mostRows = 500

// needs is how many features a spec may need at most: 60, and where it is long
// one for 50 words, up to 200.
func needs(spec []byte) int {
	return min(max(60, len(bytes.Fields(spec))/50), 200)
}

var _ runner.Planner = (*Planner)(nil)

// Open checks what the plan is to be made from. It asks nobody.
func Open(o Options) (*Planner, error) {
	if o.Min == 0 {
		o.Min = 1
	}
	if o.Max == 0 {
		o.Max = max(needs(o.Spec), o.Min)
	}
	var errs []error
	if o.Features == nil {
		errs = append(errs, CheckSpec(o.Source, o.Spec))
	}
	if o.Min < 1 || o.Max < o.Min || o.Max > mostRows {
		errs = append(errs, fmt.Errorf("plan: from %d to %d features is not a range within 1 to %d", o.Min, o.Max, mostRows))
	}
	p := &Planner{o: o}
	switch {
	case o.Features != nil:
		if err := p.read(); err != nil {
			errs = append(errs, err)
		}
	case o.Ask == nil:
		errs = append(errs, errors.New("plan: neither a feature list nor a model to ask for one"))
	}
	return p, errors.Join(errs...)
}

// read reads the user's list.
func (p *Planner) read() error {
	err := checkList(p.o.Features)
	if err != nil {
		return fmt.Errorf("feature list %s: %w", p.listName(), err)
	}
	rows, gone, wrong := parse(string(p.o.Features), false)
	if len(gone) > 0 {
		wrong = append(wrong, fmt.Sprintf("deprecated is not for a list of your own (%s): what you take out of it is deprecated", strings.Join(gone, ", ")))
	}
	if len(wrong) > 0 {
		return p.wrong(wrong)
	}
	p.list = rows
	_, err = p.own(nil)
	return err
}

// own is the user's list, with the ids that old has where it has none.
func (p *Planner) own(old []runner.Feature) ([]runner.Row, error) {
	rows := complete(p.list, old)
	if wrong := p.mistakes(rows); len(wrong) > 0 {
		return nil, p.wrong(wrong)
	}
	return rows, nil
}

func (p *Planner) wrong(mistakes []string) error {
	return fmt.Errorf("feature list %s: %d mistakes:\n%s", p.listName(), len(mistakes), bullets(mistakes))
}

func (p *Planner) listName() string {
	if p.o.FeaturesName == "" {
		return "features"
	}
	return p.o.FeaturesName
}

// Plan returns the user's rows, or asks for some; see [runner.Planner].
func (p *Planner) Plan(ctx context.Context, old []runner.Feature, purse runner.Purse) ([]runner.Row, runner.Usage, error) {
	if p.o.Features != nil {
		rows, err := p.own(old)
		return rows, runner.Usage{}, err
	}
	var (
		spent  runner.Usage
		answer string
		wrong  []string
	)
	for round := range repairs + 1 {
		prompt := p.prompt(old, round, answer, wrong)
		if err := p.afford(purse, spent, len(instructions)+len(prompt)); err != nil {
			return nil, spent, err
		}
		text, used, err := p.o.Ask.Ask(ctx, instructions, prompt)
		spent = spent.Plus(used)
		if err != nil {
			return nil, spent, fmt.Errorf("plan %s: %w", p.o.Source, err)
		}
		var rows []runner.Row
		if rows, wrong = p.understand(text, old); len(wrong) == 0 {
			return rows, spent, nil
		}
		answer = text
	}
	return nil, spent, fmt.Errorf("plan %s: the model's feature list still has %d mistakes after %d repairs; make the spec clearer, or give a list of your own in the input features:\n%s",
		p.o.Source, len(wrong), repairs, bullets(wrong))
}

// understand reads an answer: a list, or what changes in old, which is then the
// whole list.
func (p *Planner) understand(text string, old []runner.Feature) (rows []runner.Row, wrong []string) {
	rows, gone, wrong := parse(text, true)
	switch {
	case len(wrong) > 0:
		return nil, wrong
	case len(old) > 0:
		rows, wrong = merge(old, rows, gone)
	case len(gone) > 0:
		wrong = append(wrong, "deprecated is not for a list that is drawn up: leave those rows out")
	}
	return rows, append(wrong, p.mistakes(rows, old...)...)
}

// mistakes are all that is wrong with rows for this plan.
func (p *Planner) mistakes(rows []runner.Row, old ...runner.Feature) []string {
	var wrong []string
	if n := len(rows); p.o.Features == nil && len(old) == 0 && (n < p.o.Min || n > p.o.Max) {
		wrong = append(wrong, fmt.Sprintf("the list has %d rows, not %d to %d", n, p.o.Min, p.o.Max))
	} else if n > mostRows {
		wrong = append(wrong, fmt.Sprintf("the list has %d rows, more than %d", n, mostRows))
	}
	wrong = append(wrong, validate(rows)...)
	for i, r := range rows {
		switch {
		case p.o.Acceptance && len(r.Acceptance) == 0:
			wrong = append(wrong, label(i, r)+": it has no acceptance steps, and nothing would be proved")
		case p.o.Mistakes != nil && len(r.Acceptance) > 0 && len(steps(r)) == 0:
			for _, m := range p.o.Mistakes(r.Acceptance) {
				wrong = append(wrong, label(i, r)+": acceptance "+m)
			}
		}
	}
	return wrong
}

// reserved is how many tokens of an answer a question reserves. How long it may
// be is not limited; longer ones are rare.
const reserved = 8192

// afford reserves a question of so many bytes before it is put.
func (p *Planner) afford(purse runner.Purse, spent runner.Usage, bytes int) error {
	in := bytes / 3
	var price runner.Money
	if p.o.Price != nil {
		price = p.o.Price(in, reserved)
	}
	return purse.After(spent).Holds(int64(in+reserved), price)
}

// bullets lists lines, but not so many that nobody reads them.
func bullets(lines []string) string {
	const most = 40
	var b strings.Builder
	for i, l := range lines {
		if i == most {
			fmt.Fprintf(&b, "- and %d more\n", len(lines)-most)
			break
		}
		b.WriteString("- " + l + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}
