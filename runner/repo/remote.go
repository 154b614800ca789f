package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
	gitfile "github.com/go-git/go-git/v5/plumbing/transport/file"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// A remote is where the branches are. It speaks git's pack protocol through
// go-git: over HTTP by itself, to a path through git's own upload-pack and
// receive-pack.
type remote struct {
	name  string // for people: without credentials
	token string // to be kept out of every error
	ep    transport.Endpoint
	cl    transport.Transport
	auth  transport.AuthMethod
}

func newRemote(at string, a Auth) (*remote, error) {
	m := &remote{name: at, token: a.Token}
	if !strings.Contains(at, "://") {
		return m.local(at)
	}
	u, err := url.Parse(at)
	switch {
	case err != nil:
		return nil, errors.New("open repository: the remote is not a URL") // whose text may hold a password
	case u.User != nil:
		return nil, fmt.Errorf("open repository: the URL of %s holds credentials; give them as user and token", u.Host)
	case u.Scheme == "file":
		return m.local(u.Path)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("open repository: remote %s: only a path, file, http and https can be used, not %s", m.name, u.Scheme)
	}
	ep, err := transport.NewEndpoint(at)
	if err != nil {
		return nil, fmt.Errorf("open repository: remote %s: %w", m.name, err)
	}
	m.ep = *ep
	m.cl = githttp.NewClient(&http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()})
	if a.Token != "" {
		m.auth = &githttp.BasicAuth{Username: a.User, Password: a.Token}
	}
	return m, nil
}

func (m *remote) local(path string) (*remote, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open repository: remote %s: %w", m.name, err)
	}
	if _, err := os.Stat(abs); err != nil {
		return nil, fmt.Errorf("open repository: remote %s: %w", m.name, err)
	}
	m.ep = transport.Endpoint{Protocol: "file", Path: abs}
	m.cl = gitfile.NewClient(transport.UploadPackServiceName, transport.ReceivePackServiceName)
	return m, nil
}

// Refs are what a remote says it has.
type refs struct {
	ids  map[string]oid
	head string // the branch that HEAD stands for, "" if it stands for none
	at   oid    // the commit of HEAD
	cuts []oid  // commits whose parents it does not have: it is a shallow clone
}

func refsOf(ar *packp.AdvRefs) refs {
	r := refs{ids: map[string]oid{}}
	if ar == nil {
		return r
	}
	maps.Copy(r.ids, ar.References)
	r.cuts = ar.Shallows
	if ar.Head != nil {
		r.at = *ar.Head
	}
	for _, s := range ar.Capabilities.Get("symref") {
		if to, ok := strings.CutPrefix(s, "HEAD:refs/heads/"); ok {
			r.head = to
		}
	}
	return r
}

// A visit is one conversation with the remote: it has said what it has, and may be
// asked for some of it.
type visit struct {
	transport.UploadPackSession
	refs refs
	can  *capability.List
}

// visit asks the remote for its refs.
func (m *remote) visit(ctx context.Context) (*visit, error) {
	s, err := m.upload()
	if err != nil {
		return nil, m.wrap(err)
	}
	ar, err := s.AdvertisedReferencesContext(ctx)
	switch {
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return &visit{UploadPackSession: s}, nil
	case err != nil:
		_ = s.Close() // what went wrong is known
		return nil, m.wrap(err)
	}
	return &visit{s, refsOf(ar), ar.Capabilities}, nil
}

// list is the remote's refs.
func (m *remote) list(ctx context.Context) (refs, error) {
	v, err := m.visit(ctx)
	if err != nil {
		return refs{}, err
	}
	_ = v.Close() // nothing is lost with an answer that was read
	return v.refs, nil
}

// A session changes its endpoint when it is redirected; each gets its own.
func (m *remote) upload() (transport.UploadPackSession, error) {
	ep := m.ep
	return m.cl.NewUploadPackSession(&ep, m.auth)
}

func (m *remote) receive() (transport.ReceivePackSession, error) {
	ep := m.ep
	return m.cl.NewReceivePackSession(&ep, m.auth)
}

// A remoteError says what went wrong between us and the remote.
type remoteError struct {
	err       error
	text      string
	transient bool // it may work when tried again
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.err }

// wrap puts what the transport says into words, without secrets, and with what
// a person can do.
func (m *remote) wrap(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	cause := err
	if u, ok := errors.AsType[*plumbing.UnexpectedError](err); ok {
		cause = u.Err // it does not unwrap by itself
	}
	if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	e := &remoteError{err: cause, text: m.clean(cause.Error())}
	status, isStatus := errors.AsType[*githttp.Err](cause)
	_, isNet := errors.AsType[net.Error](cause)
	switch {
	case errors.Is(err, transport.ErrAuthenticationRequired):
		e.text = "the remote does not accept the token (401): is it valid, and may it read and write contents?"
	case errors.Is(err, transport.ErrAuthorizationFailed) && strings.Contains(err.Error(), "archived"):
		e.text = "the repository is archived and takes no changes: unarchive it under Settings, then start the loop again"
	case errors.Is(err, transport.ErrAuthorizationFailed):
		e.text = "the remote refuses access (403), which usually means that the token may not write contents: " + m.clean(strings.TrimPrefix(err.Error(), transport.ErrAuthorizationFailed.Error()+": "))
	case errors.Is(err, transport.ErrRepositoryNotFound):
		e.text = m.name + " is not a git repository, or the token may not see it"
	case isStatus:
		code := status.StatusCode()
		e.transient = code >= 500 || code == http.StatusTooManyRequests
		e.text = fmt.Sprintf("the remote answered %d %s: %s", code, http.StatusText(code), m.clean(status.Reason))
	case isNet, errors.Is(cause, io.EOF), errors.Is(cause, io.ErrUnexpectedEOF):
		e.transient = true
	}
	return e
}

// clean makes what a remote wrote fit for a message: one line, not too long,
// nothing unprintable, no token.
func (m *remote) clean(s string) string {
	if m.token != "" {
		s = strings.ReplaceAll(s, m.token, "***")
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	const most = 500
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + " ..."
	}
	return s
}

// again calls try until it works, fails for good, or the pauses are used up.
func (r *Repo) again(ctx context.Context, try func() error) error {
	for _, d := range r.o.Retry {
		err := try()
		if e, ok := errors.AsType[*remoteError](err); !ok || !e.transient {
			return err
		}
		if r.o.Log != nil {
			r.o.Log(fmt.Sprintf("git: %s; asking again in %s", err, d))
		}
		if stopped := r.o.Sleep(ctx, d); stopped != nil {
			return errors.Join(err, stopped)
		}
	}
	return try()
}

// sleep waits, unless ctx ends sooner.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
