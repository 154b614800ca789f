package forge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-github/v62/github"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// StopLabel on the loop's pull request, or on the issue that its spec came from,
// stops the loop.
const StopLabel = "autonomous-loop: stop"

// A Command is what a person may write as the first line of a comment.
type Command string

// The commands.
const (
	StopCommand   Command = "stop"   // /loop stop
	ResumeCommand Command = "resume" // /loop resume
)

// ParseCommand reads the command that a comment begins with, "" if it begins
// with none. Whether whoever wrote it may give one is not for the text to say.
func ParseCommand(comment string) Command {
	line, _, _ := strings.Cut(strings.TrimSpace(comment), "\n")
	words := strings.Fields(line)
	if len(words) < 2 || words[0] != "/loop" {
		return ""
	}
	switch c := Command(words[1]); c {
	case StopCommand, ResumeCommand:
		return c
	}
	return ""
}

// Stops are what is known of the places where a person may stop the loop. It is
// asked again each minute, so that answers are kept: GitHub counts no request
// whose answer is that nothing has changed.
type stops struct {
	sought bool
	pull   *pull
	kept   map[string]answer // by path
	since  string            // when comments were first read, by GitHub's clock
	first  map[int][]*github.IssueComment
	may    map[int64]bool // by account, as GitHub said in this session
}

// An answer is one that GitHub gave before, with its tag.
type answer struct {
	tag  string
	body json.RawMessage
	next string // the page after it
}

// Stopped looks at the loop's pull request and at the issue that the spec came
// from: a pull request that was closed without merging it, a label, or a command
// by somebody who may write to the repository.
func (h *Hub) Stopped(ctx context.Context, st runner.State) (runner.Halt, error) {
	s := &h.stops
	if s.kept == nil {
		s.kept, s.first, s.may = map[string]answer{}, map[int][]*github.IssueComment{}, map[int64]bool{}
	}
	var errs []error
	if !s.sought && h.opts.PullRequest != None && st.Published != "" {
		p, err := h.findPull(ctx, st.Lineage, st.Effects[KeyPull])
		if err != nil {
			errs = append(errs, fmt.Errorf("look for the loop's pull request: %w", explain(err)))
		}
		s.pull, s.sought = p, err == nil
	}
	var places []int
	switch {
	case s.pull != nil && s.pull.gone:
		return runner.Halt{Why: fmt.Sprintf("the pull request %s was deleted; delete the loop's branches as well to start anew", s.pull.url)}, nil
	case s.pull != nil:
		places = append(places, s.pull.number)
	}
	if h.opts.SpecIssue != 0 {
		places = append(places, h.opts.SpecIssue)
	}
	after, _ := strconv.ParseInt(st.Effects["command"], 10, 64)
	for _, number := range places {
		halt, err := h.stoppedAt(ctx, number, after)
		if err != nil {
			errs = append(errs, fmt.Errorf("look at #%d: %w", number, explain(err)))
		}
		if halt.Why != "" {
			return halt, nil
		}
	}
	return runner.Halt{}, errors.Join(errs...)
}

// stoppedAt looks at one issue or pull request.
func (h *Hub) stoppedAt(ctx context.Context, number int, after int64) (runner.Halt, error) {
	var i github.Issue
	if err := h.unchanged(ctx, fmt.Sprintf("repos/%s/issues/%d", h.opts.Repository, number), &i); err != nil {
		return runner.Halt{}, err
	}
	if l := i.PullRequestLinks; l != nil && i.GetState() == "closed" && l.MergedAt == nil {
		by := "somebody"
		if who := i.GetClosedBy().GetLogin(); who != "" {
			by = who
		}
		return runner.Halt{Why: fmt.Sprintf("%s closed the pull request %s; reopen it to let the loop go on", by, i.GetHTMLURL())}, nil
	}
	if slices.ContainsFunc(i.Labels, func(l *github.Label) bool { return strings.EqualFold(l.GetName(), StopLabel) }) {
		return runner.Halt{Why: fmt.Sprintf("%s has the label %q; take it off to let the loop go on", i.GetHTMLURL(), StopLabel)}, nil
	}
	return h.commanded(ctx, number, after)
}

// commanded finds the last command among the comments after one: a stop by
// somebody who may write here, and no resume of such a person since.
func (h *Hub) commanded(ctx context.Context, number int, after int64) (runner.Halt, error) {
	comments, err := h.newest(ctx, number)
	if err != nil {
		return runner.Halt{}, err
	}
	for _, c := range slices.Backward(comments) {
		command := ParseCommand(c.GetBody())
		if command == "" || c.GetID() <= after || c.GetUser().GetType() != "User" {
			continue
		}
		who := c.GetUser()
		may, known := h.stops.may[who.GetID()]
		if !known {
			if may, err = h.MayWrite(ctx, who.GetLogin(), who.GetID()); err != nil {
				return runner.Halt{}, err
			}
			h.stops.may[who.GetID()] = may
		}
		switch {
		case !may:
		case command == ResumeCommand:
			return runner.Halt{}, nil
		default:
			return runner.Halt{
				Why:     fmt.Sprintf("%s wrote /loop stop in %s", who.GetLogin(), c.GetHTMLURL()),
				Command: strconv.FormatInt(c.GetID(), 10),
			}, nil
		}
	}
	return runner.Halt{}, nil
}

// newest lists the comments of an issue in the order of their ids. All of them
// are read once, and from then on those that were written or changed since.
func (h *Hub) newest(ctx context.Context, number int) ([]*github.IssueComment, error) {
	base := fmt.Sprintf("repos/%s/issues/%d/comments?per_page=100", h.opts.Repository, number)
	list := func(path string) (all []*github.IssueComment, err error) {
		for path != "" {
			var page []*github.IssueComment
			if err := h.unchanged(ctx, path, &page); err != nil {
				return nil, err
			}
			all = append(all, page...)
			path = h.stops.kept[path].next
		}
		return all, nil
	}
	old, read := h.stops.first[number]
	if !read {
		all, err := list(base)
		if err != nil {
			return nil, err
		}
		h.stops.first[number] = all
		return all, nil
	}
	fresh, err := list(base + "&since=" + h.stops.since)
	if err != nil {
		return nil, err
	}
	known := map[int64]*github.IssueComment{}
	for _, c := range append(slices.Clone(old), fresh...) {
		known[c.GetID()] = c
	}
	var all []*github.IssueComment
	for _, c := range known {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *github.IssueComment) int { return int(a.GetID() - b.GetID()) })
	return all, nil
}

// unchanged reads a path of the API, from what is kept of it where GitHub says
// that it did not change.
func (h *Hub) unchanged(ctx context.Context, path string, to any) error {
	req, err := h.client.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	kept, have := h.stops.kept[path]
	if have && kept.tag != "" {
		req.Header.Set("If-None-Match", kept.tag)
	}
	var body json.RawMessage
	resp, err := h.client.Do(ctx, req, &body)
	switch {
	case status(err) == http.StatusNotModified && have:
		return json.Unmarshal(kept.body, to)
	case err != nil:
		return err
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil && h.stops.since == "" {
		// A second or more is read twice, which costs nothing.
		h.stops.since = date.Add(-time.Minute).UTC().Format(time.RFC3339)
	}
	next := ""
	if resp.NextPage != 0 {
		next = fmt.Sprintf("%s&page=%d", strings.TrimSuffix(path, fmt.Sprintf("&page=%d", resp.NextPage-1)), resp.NextPage)
	}
	h.stops.kept[path] = answer{resp.Header.Get("ETag"), body, next}
	return json.Unmarshal(body, to)
}

// Pulled is the branch whose pull request has number, "" if it is no pull
// request of a branch of this repository.
func (h *Hub) Pulled(ctx context.Context, number int) (string, error) {
	p, _, err := h.client.PullRequests.Get(ctx, h.owner, h.repo, number)
	switch {
	case status(err) == http.StatusNotFound:
		return "", nil
	case err != nil:
		return "", fmt.Errorf("look at #%d: %w", number, explain(err))
	case !strings.EqualFold(p.GetHead().GetRepo().GetFullName(), h.opts.Repository):
		return "", nil
	}
	return p.GetHead().GetRef(), nil
}

// stopFile in a [Folder] stops the loop; what it says is who did it.
const stopFile = "stop"

// Stopped looks for the file by which a person stops the loop.
func (f *Folder) Stopped(context.Context, runner.State) (runner.Halt, error) {
	data, err := os.ReadFile(f.path(stopFile))
	if errors.Is(err, fs.ErrNotExist) {
		return runner.Halt{}, nil
	}
	if err != nil {
		return runner.Halt{}, fmt.Errorf("look whether the loop is stopped: %w", err)
	}
	why := strings.TrimSpace(string(data))
	if why == "" {
		why = "the file " + f.path(stopFile) + " is there"
	}
	return runner.Halt{Why: why}, nil
}

// Stop stops the loop, also while a session is at work, and says why.
func (f *Folder) Stop(why string) error {
	if err := write(f.path(stopFile), []byte(why+"\n")); err != nil {
		return fmt.Errorf("stop the loop: %w", err)
	}
	return nil
}

// Resume takes back a stop, and says which; "" if there was none.
func (f *Folder) Resume(ctx context.Context) (string, error) {
	h, err := f.Stopped(ctx, runner.State{})
	if err != nil || h.Why == "" {
		return "", err
	}
	if err := os.Remove(f.path(stopFile)); err != nil {
		return "", fmt.Errorf("let the loop go on: %w", err)
	}
	return h.Why, nil
}
