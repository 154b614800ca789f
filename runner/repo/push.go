package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// An update moves a ref from one commit to another. The old id is part of the
// request: the remote compares it under its lock, so that of two who want to
// move a ref one fails.
type update struct {
	ref      string
	old, new oid
}

// A pushing is a conversation with the remote's receive-pack: it has said what
// refs it has, and takes one request.
type pushing struct {
	m    *remote
	s    transport.ReceivePackSession
	caps *capability.List
	refs refs
}

func (m *remote) push(ctx context.Context) (*pushing, error) {
	s, err := m.receive()
	if err != nil {
		return nil, m.wrap(err)
	}
	ar, err := s.AdvertisedReferencesContext(ctx)
	if err != nil {
		s.Close()
		return nil, m.wrap(err)
	}
	return &pushing{m: m, s: s, caps: ar.Capabilities, refs: refsOf(ar)}, nil
}

// atomic says whether the remote can make several updates one.
func (p *pushing) atomic() bool { return p.caps.Supports(capability.Atomic) }

// A refusal is the remote's no to a push, in its own words and with what a
// person can do about it.
type refusal struct {
	text string
	said string // the same, as the remote wrote it
	kind advice
}

func (e *refusal) Error() string { return e.text }

// Refused says that the remote said no, and changed nothing.
func (e *refusal) Refused() bool { return true }

// An advice says what to do about a refusal that is known by its words.
type advice struct {
	words []string // one of them, in small letters
	text  string
	work  bool   // it is about what was to be pushed, so that another attempt may do better
	left  string // why a path that it names is left out from now on; "": it is about no path
}

var advices = []advice{
	{[]string{"push protection", "cannot contain secrets"}, "a secret was in what was to be pushed, and is not in the repository; the model's provider may have seen it: take it back where it was issued", true, notSecrets},
	{[]string{"gh001", "file size limit", "large files detected"}, "a file is too large, and is not in the repository", true, notLarge},
	{[]string{"file path", "restricted path", "path length", "file extension"}, "a rule of the repository forbids a path, and it is not in the repository", true, notAllowed},
	{[]string{"verified signature", "must be signed"}, "a rule asks for signed commits, which those of the loop are not: " + exempt + "it", false, ""},
	{[]string{"create or update workflow"}, "the job's token may not change workflows: merge that change by hand", false, notWorkflows},
	{[]string{"gh006", "protected branch"}, "the branch is protected: " + exempt + "the protection", false, ""},
	{[]string{"gh013", "repository rule violations"}, "a rule of the repository forbids it: " + exempt + "the ruleset", false, notAllowed},
	{[]string{"quota"}, "the repository is full: take out of it what is large, or ask for more room", false, ""},
}

// unknown is what a repository's own hook says, for instance.
var unknown = advice{left: notAccepted}

const exempt = "exempt autonomous-loop/** and autonomous-loop-state/** from "

// advised is a refusal with what can be done about it.
func advised(text, said string) *refusal {
	small := strings.ToLower(said)
	for _, a := range advices {
		if slices.ContainsFunc(a.words, func(w string) bool { return strings.Contains(small, w) }) {
			return &refusal{text + "; " + a.text, said, a}
		}
	}
	return &refusal{text, said, unknown}
}

// errUnknown says that the answer was lost: the push may have been done.
var errUnknown = errors.New("no answer")

// send sends exactly these objects with these updates. The error is a
// [*refusal] if the remote said no; after any other error the updates may have
// been made or not.
func (p *pushing) send(ctx context.Context, updates []update, objs []packed) error {
	req := packp.NewReferenceUpdateRequestFromCapabilities(p.caps)
	var said capped
	for c, on := range map[capability.Capability]bool{capability.Sideband64k: true, capability.Atomic: len(updates) > 1} {
		if on && p.caps.Supports(c) {
			if err := req.Capabilities.Set(c); err != nil {
				return err
			}
		}
	}
	for _, u := range updates {
		req.Commands = append(req.Commands, &packp.Command{Name: plumbing.ReferenceName(u.ref), Old: u.old, New: u.new})
	}
	req.Packfile = io.NopCloser(bytes.NewReader(encodePack(objs)))
	req.Progress = &said
	report, err := p.s.ReceivePack(ctx, req)
	switch {
	case report != nil && report.Error() != nil:
		return advised(p.m.refused(report, said.String()))
	case report != nil:
		return nil // and whatever went wrong afterwards changes nothing
	case err == nil:
		return errUnknown
	}
	return p.m.wrap(err)
}

func (p *pushing) close() {
	p.s.Close() // nothing is lost with it: the answer was read or is looked up
}

// refused puts a refusal into words: what became of each ref, then what the
// remote said besides. The second result is the same as the remote wrote it.
func (m *remote) refused(report *packp.ReportStatus, said string) (text, raw string) {
	var why []string
	if report.UnpackStatus != "ok" {
		why = append(why, report.UnpackStatus)
	}
	// In an atomic push the refs that were not to blame say only that.
	blameless := func(s *packp.CommandStatus) bool { return strings.Contains(s.Status, "transaction") }
	bad := slices.DeleteFunc(slices.Clone(report.CommandStatuses), func(s *packp.CommandStatus) bool { return s.Status == "ok" })
	if !slices.ContainsFunc(bad, func(s *packp.CommandStatus) bool { return !blameless(s) }) {
		blameless = func(*packp.CommandStatus) bool { return false }
	}
	for _, s := range bad {
		if !blameless(s) {
			why = append(why, fmt.Sprintf("%s: %s", s.ReferenceName, s.Status))
		}
	}
	raw = strings.Join(append(slices.Clone(why), said), "\n")
	text = "the remote refused it: " + m.clean(strings.Join(why, "; "))
	if said = m.clean(said); said != "" {
		text += " (" + said + ")"
	}
	return text, raw
}

// look asks where a ref is, also after ctx has ended: whether a push was done
// must be known before anything else is.
func (m *remote) look(ctx context.Context, ref string) (oid, error) {
	const patience = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	refs, err := m.list(ctx)
	return refs.ids[ref], err
}

// A capped keeps the first of what is written to it.
type capped struct{ bytes.Buffer }

func (c *capped) Write(b []byte) (int, error) {
	const most = 16 << 10
	c.Buffer.Write(b[:min(len(b), max(0, most-c.Len()))])
	return len(b), nil
}
