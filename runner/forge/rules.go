package forge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// A rule of a branch, of a ruleset of the repository or the organization.
type rule struct {
	Type    string `json:"type"`
	Ruleset int64  `json:"ruleset_id"`
	Source  string `json:"ruleset_source"`
}

// Rules that refuse what the loop pushes, whatever that holds: what each asks for,
// and which branch it hits. The others are about what is in a commit, or about
// what the loop never does.
var against = map[string]struct {
	asks        string
	work, state bool
}{
	"creation":                {"that nobody creates it", true, true},
	"update":                  {"that nobody pushes to it", true, true},
	"required_signatures":     {"for signed commits, which those of the loop are not", true, true},
	"required_linear_history": {"for a history without merges, which transactions are", false, true},
	"pull_request":            {"for a pull request before each push", true, true},
	"required_status_checks":  {"for checks that have passed before each push", true, true},
	"required_deployments":    {"for a deployment before each push", true, true},
	"merge_queue":             {"for a merge queue", true, true},
}

// Barred says why the repository's rules would refuse what the loop pushes, as a
// [*runner.StopError]; nil if they would not, as far as rulesets go: those of branch
// protection, as it was before, only an administrator may read. there names the
// branches that are there already. It spares a loop the money that a feature costs
// whose commit is then refused.
func (h *Hub) Barred(ctx context.Context, state, work string, there []string) error {
	var why []string
	sets := map[int64]ruleset{}
	for _, branch := range []string{work, state} {
		var rules []rule
		if err := h.ask(ctx, fmt.Sprintf("repos/%s/%s/rules/branches/%s?per_page=100", h.owner, h.repo, url.PathEscape(branch)), &rules); status(err) == http.StatusNotFound || status(err) == http.StatusForbidden {
			return nil // this server, or this account's plan, knows no rulesets
		} else if err != nil {
			return fmt.Errorf("ask which rules %s is under: %w", branch, explain(err))
		}
		for _, r := range rules {
			a, known := against[r.Type]
			if !known || branch == work && !a.work || branch == state && !a.state || r.Type == "creation" && slices.Contains(there, branch) {
				continue
			}
			set, asked := sets[r.Ruleset]
			if !asked {
				if err := h.ask(ctx, fmt.Sprintf("repos/%s/%s/rulesets/%d", h.owner, h.repo, r.Ruleset), &set); err != nil {
					set = ruleset{} // it may be another one's, which is not ours to read
				}
				sets[r.Ruleset] = set
			}
			if set.Bypass == "always" || set.Bypass == "exempt" {
				continue
			}
			name := fmt.Sprintf("a ruleset of %s", r.Source)
			if set.Name != "" {
				name = fmt.Sprintf("the ruleset %q of %s", set.Name, r.Source)
			}
			why = append(why, fmt.Sprintf("%s asks %s (branch %s)", name, a.asks, branch))
		}
	}
	if len(why) == 0 {
		return nil
	}
	return &runner.StopError{Reason: runner.Paused, Err: fmt.Errorf(
		"the repository's rules would refuse what the loop pushes: %s. Under Settings, Rules, Rulesets exclude %s and %s from the ruleset's target branches, or put the app whose token the loop uses on its bypass list; "+
			"the pull request of the loop stays under all rules of its base. Then start the loop again; nothing was begun, and no token spent",
		strings.Join(why, "; "), work, state)}
}

type ruleset struct {
	Name   string `json:"name"`
	Bypass string `json:"current_user_can_bypass"`
}

func (h *Hub) ask(ctx context.Context, path string, to any) error {
	req, err := h.client.NewRequest(http.MethodGet, path, nil)
	if err == nil {
		_, err = h.client.Do(ctx, req, to)
	}
	return err
}
