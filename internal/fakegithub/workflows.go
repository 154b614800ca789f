package fakegithub

import (
	"fmt"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// A flow is a workflow: a file below .github/workflows of the default branch.
type flow struct {
	id      int64
	path    string
	name    string
	state   string
	runName string
	manual  bool             // it has workflow_dispatch
	inputs  map[string]input // of workflow_dispatch
}

type input struct {
	Required bool `yaml:"required"`
	Default  any  `yaml:"default"`
}

// DisableWorkflow disables the workflow in file, as GitHub does to schedules of
// idle repositories.
func (s *Server) DisableWorkflow(repo, file string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repos[repo].disabled[".github/workflows/"+file] = true
}

// workflows reads the registered workflows from the default branch.
func (s *Server) workflows(r *repo) []*flow {
	list, err := r.git("ls-tree", "--name-only", "refs/heads/"+r.branch, ".github/workflows/")
	if err != nil || list == "" {
		return nil
	}
	var out []*flow
	for p := range strings.Lines(list) {
		p = strings.TrimSpace(p)
		if ext := path.Ext(p); ext != ".yml" && ext != ".yaml" {
			continue
		}
		if f := s.workflow(r, r.branch, p); f != nil {
			out = append(out, f)
		}
	}
	return out
}

// workflow reads the file at p on branch, nil if it is none.
func (s *Server) workflow(r *repo, branch, p string) *flow {
	text, err := r.git("show", "refs/heads/"+branch+":"+p)
	if err != nil {
		return nil
	}
	var file struct {
		Name    string    `yaml:"name"`
		RunName string    `yaml:"run-name"`
		On      yaml.Node `yaml:"on"`
	}
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		return nil
	}
	if r.flows[p] == 0 {
		r.flows[p] = s.id()
	}
	f := &flow{id: r.flows[p], path: p, name: file.Name, runName: file.RunName, state: "active"}
	if f.name == "" {
		f.name = p
	}
	if r.disabled[p] {
		f.state = "disabled_inactivity"
	}
	switch file.On.Kind {
	case yaml.ScalarNode:
		f.manual = file.On.Value == "workflow_dispatch"
	case yaml.SequenceNode:
		var events []string
		f.manual = file.On.Decode(&events) == nil && slices.Contains(events, "workflow_dispatch")
	case yaml.MappingNode:
		var events map[string]yaml.Node
		if file.On.Decode(&events) != nil {
			return nil
		}
		event, ok := events["workflow_dispatch"]
		f.manual = ok
		var manual struct {
			Inputs map[string]input `yaml:"inputs"`
		}
		if ok && event.Kind == yaml.MappingNode && event.Decode(&manual) != nil {
			return nil
		}
		f.inputs = manual.Inputs
	}
	return f
}

// named finds a workflow by its id or the name of its file.
func (s *Server) named(c *call) *flow {
	want := c.r.PathValue("workflow")
	for _, f := range s.workflows(c.repo) {
		if want == path.Base(f.path) || want == strconv.FormatInt(f.id, 10) {
			return f
		}
	}
	return nil
}

func (s *Server) listWorkflows(c *call) {
	if !c.may("actions=read") {
		return
	}
	all := s.workflows(c.repo)
	out := []any{}
	for _, f := range page(c, all) {
		out = append(out, c.workflowObject(f))
	}
	c.answer(http.StatusOK, object{"total_count": len(all), "workflows": out})
}

func (s *Server) getWorkflow(c *call) {
	if !c.may("actions=read") {
		return
	}
	if f := s.named(c); f != nil {
		c.answer(http.StatusOK, c.workflowObject(f))
		return
	}
	c.missing()
}

func (s *Server) dispatch(c *call) {
	if !c.may("actions=write") {
		return
	}
	f := s.named(c)
	if f == nil {
		c.missing()
		return
	}
	ref, _ := c.text("ref")
	ref = strings.TrimPrefix(ref, "refs/heads/")
	no := func(format string, args ...any) {
		refuse(c.w, http.StatusUnprocessableEntity, fmt.Sprintf(format, args...))
	}
	if f.state != "active" {
		no("Cannot trigger a 'workflow_dispatch' on a disabled workflow")
		return
	}
	if c.repo.tip(ref) == "" {
		no("No ref found for: %s", ref)
		return
	}
	// The run uses the file as it is at ref.
	if f = s.workflow(c.repo, ref, f.path); f == nil || !f.manual {
		no("Workflow does not have 'workflow_dispatch' trigger")
		return
	}
	given, _ := c.body["inputs"].(map[string]any)
	inputs := map[string]string{}
	for name, in := range f.inputs {
		if in.Default != nil {
			inputs[name] = fmt.Sprint(in.Default)
		}
		if in.Required && given[name] == nil && in.Default == nil {
			no("Required input '%s' not provided", name)
			return
		}
	}
	var unexpected []string
	for name, v := range given {
		text, ok := v.(string)
		if !ok {
			no("inputs are strings, and %s is none", name)
			return
		}
		if _, ok := f.inputs[name]; !ok {
			unexpected = append(unexpected, name)
		}
		inputs[name] = text
	}
	if len(unexpected) > 0 {
		slices.Sort(unexpected)
		no(`Unexpected inputs provided: ["%s"]`, strings.Join(unexpected, `", "`))
		return
	}
	r := s.start(c.repo, f, "workflow_dispatch", ref, c.actor, inputs)
	s.edit("%s: run %d dispatched on %s by %s: %s", c.repo.name, r.Number, ref, c.actor.Login, r.Title)
	if details, _ := c.body["return_run_details"].(bool); details {
		c.answer(http.StatusOK, object{"workflow_run_id": r.ID, "run_url": c.runURL(r), "html_url": c.runLink(r)})
		return
	}
	c.answer(http.StatusNoContent, nil)
}

var expression = regexp.MustCompile(`\$\{\{(.*?)\}\}`)

// title evaluates run-name: inputs and text in quotes, joined by ||. That is
// all that the product's own workflows use; anything else stands there as it
// is, for a test to stumble over.
func (f *flow) title(event string, inputs map[string]string) string {
	if f.runName == "" {
		return f.name
	}
	return expression.ReplaceAllStringFunc(f.runName, func(e string) string {
		for term := range strings.SplitSeq(strings.TrimSpace(e[3:len(e)-2]), "||") {
			term = strings.TrimSpace(term)
			value := ""
			switch name := strings.TrimPrefix(term, "github.event."); {
			case strings.HasPrefix(name, "inputs."):
				value = inputs[strings.TrimPrefix(name, "inputs.")]
			case len(term) > 1 && term[0] == '\'' && term[len(term)-1] == '\'':
				value = term[1 : len(term)-1]
			case term == "github.event_name":
				value = event
			default:
				value = e
			}
			if value != "" {
				return value
			}
		}
		return ""
	})
}
