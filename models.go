package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
	"github.com/autonomous-loop/autonomous-loop/runner/check"
	"github.com/autonomous-loop/autonomous-loop/runner/model"
)

// The models of a session: those that write the code, and those that look at it.
type models struct {
	build, review *model.Chain // review may be nil
}

// models opens the models that c names, with those that take over from them, and
// sees that one of them answers; unless the state says that none may be asked yet,
// which the session will find as well. down is why none can be asked, if so: that
// is for the session to tell.
func (s *session) models(ctx context.Context, env environment, c config, trigger runner.Trigger, found runner.Found, notify func(runner.Event)) (all models, down, err error) {
	var known runner.State
	if found.State != nil {
		known, _ = runner.Decode(found.State, found.List) // what is wrong with it the session says
	}
	s.endpoints = known.Endpoints
	now := env.now()
	if trigger == runner.ByPerson { // who may have mended what was broken
		for i := range known.Models {
			known.Models[i].Until = now
		}
		known.Until = now
	}
	log := func(text string) { notify(runner.Event{Time: env.now(), Step: "model", Text: text}) }
	if all.build, err = s.chain(env, c, known.Models, log, c.Fallback); err != nil {
		return all, nil, err
	}
	if c.ReviewModel != "" {
		second := c
		second.Model, second.Script = c.ReviewModel, c.ReviewScript
		if all.review, err = s.chain(env, second, known.Models, log, reviewers(c)); err != nil {
			return all, nil, fmt.Errorf("input review-model: %w", err)
		}
	}
	if names := all.build.Unpriced(); len(names) > 0 && c.Script == "" {
		log(fmt.Sprintf("the price of %s is not known, so that a high guess is charged to the budget; the input prices gives it", strings.Join(names, ", ")))
	}
	if s.barred != nil || now.Before(known.Until) {
		return all, s.barred, nil
	}
	if err := all.build.Probe(ctx); err != nil {
		if _, limit := errors.AsType[*runner.StopError](err); limit {
			return all, err, nil
		}
		return all, nil, err
	}
	if all.review != nil {
		// One that is down for now is asked again at each review, and has no
		// opinion until it is up; one that can never be asked is a mistake.
		err := all.review.Probe(ctx)
		if stop, limit := errors.AsType[*runner.StopError](err); err != nil && (!limit || stop.Until.IsZero()) {
			return all, nil, fmt.Errorf("input review-model: %w", err)
		}
	}
	return all, nil, nil
}

// chain opens a model and those that take over from it.
func (s *session) chain(env environment, c config, health []runner.Breaker, log func(string), fallback []string) (*model.Chain, error) {
	var clients []*model.Client
	for _, name := range append([]string{c.Model}, fallback...) {
		one := c
		one.Model = name
		client, err := s.model(env, one, log)
		if err != nil {
			return nil, err
		}
		clients = append(clients, client)
	}
	return model.NewChain(health, clients[0], clients[1:]...), nil
}

// reviewers are the models that take over from the review model: those of
// fallback-model, the last first, because the first is the one that may be
// building. `model` is not among them, which would be asked for its opinion of
// itself.
func reviewers(c config) []string {
	if c.ReviewScript != "" {
		return nil
	}
	names := slices.DeleteFunc(slices.Clone(c.Fallback), func(n string) bool { return n == c.ReviewModel })
	slices.Reverse(names)
	return names
}

// reviewer is who is asked for an opinion, nil if nobody is.
func (m models) reviewer() check.Reviewer {
	if m.review == nil {
		return nil
	}
	return m.review
}

// health is what is known of all models that are down. Of one that both chains
// know the later word counts.
func (m models) health() []runner.Breaker {
	all := m.build.Health()
	if m.review != nil {
		all = append(all, m.review.Health()...)
	}
	slices.SortFunc(all, func(a, b runner.Breaker) int {
		return cmp.Or(cmp.Compare(a.Model, b.Model), b.Until.Compare(a.Until))
	})
	return slices.CompactFunc(all, func(a, b runner.Breaker) bool { return a.Model == b.Model })
}

// known is what was found out about the endpoints of all models.
func (m models) known() []runner.Endpoint {
	all := m.build.Known()
	if m.review != nil {
		all = append(all, m.review.Known()...)
	}
	slices.SortStableFunc(all, func(a, b runner.Endpoint) int {
		return cmp.Or(cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Model, b.Model))
	})
	return slices.CompactFunc(all, func(a, b runner.Endpoint) bool { return a.Endpoint == b.Endpoint && a.Model == b.Model })
}
