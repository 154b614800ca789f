package sim

import (
	"context"
	"errors"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Nobody else commits in this world: that is the business of the enumeration in
// package runner. What would bring commits of others in must never be asked.

var errNobody = errors.New("nobody else commits here")

func (p *proc) Merge(context.Context, string, string, string, time.Time) (runner.Merge, error) {
	p.w.fail("%s merges, and %v", p.name, errNobody)
	return runner.Merge{}, errNobody
}

func (p *proc) Join(context.Context, string, string, string, string, time.Time) (string, error) {
	p.w.fail("%s joins, and %v", p.name, errNobody)
	return "", errNobody
}

func (p *proc) Holds(context.Context, string, []runner.Feature) (runner.Verdict, error) {
	p.w.fail("%s proves again, and %v", p.name, errNobody)
	return runner.Verdict{}, errNobody
}

func (p *proc) Resolved(context.Context, runner.Resolution) (runner.Verdict, error) {
	p.w.fail("%s resolves, and %v", p.name, errNobody)
	return runner.Verdict{}, errNobody
}

func (p *proc) Rescue(context.Context) ([]runner.File, error) { return nil, nil }
