package forge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// results speaks to the artifact service of Actions. The protocol is that of
// actions/toolkit, packages/artifact: Twirp in JSON to name and to finalize an
// artifact, and between the two its bytes to a blob store, by a signed URL that
// must not get our token.
type results struct {
	origin    string
	run, job  string // backend ids
	authorize func(*http.Request)
	next      http.RoundTripper
	sleep     func(context.Context, time.Duration) error
	now       func() time.Time
	retention int
	unusable  error // why artifacts cannot be uploaded here
}

// newResults never fails: whoever needs no artifacts needs no service.
func newResults(o Options, server *url.URL) *results {
	r := &results{next: o.HTTP, sleep: o.Sleep, now: o.Now, retention: o.Retention, authorize: bearer(o.RuntimeToken)}
	host := server.Hostname()
	ip := net.ParseIP(host)
	switch u, err := url.Parse(o.ResultsURL); {
	case host != "github.com" && !strings.HasSuffix(host, ".ghe.com") && host != "localhost" && !strings.HasSuffix(host, ".localhost") && (ip == nil || !ip.IsLoopback()):
		r.unusable = fmt.Errorf("%s is a GitHub Enterprise Server, which has no artifact service of this kind; the state branch has all that matters", host)
	case err != nil || u.Host == "" || o.RuntimeToken == "":
		r.unusable = errors.New("there is no artifact service here: GitHub tells only actions of it, by ACTIONS_RESULTS_URL and ACTIONS_RUNTIME_TOKEN")
	default:
		r.origin = u.Scheme + "://" + u.Host
		r.run, r.job, r.unusable = backends(o.RuntimeToken)
	}
	return r
}

// backends finds the ids of the run and the job in the runtime token, a JWT
// whose scope has them in Actions.Results:<run>:<job>. The service checks the
// signature, we need not.
func backends(token string) (run, job string, err error) {
	_, claims, _ := strings.Cut(token, ".")
	claims, _, _ = strings.Cut(claims, ".")
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(claims, "="))
	var jwt struct {
		Scope string `json:"scp"`
	}
	if err == nil {
		err = json.Unmarshal(data, &jwt)
	}
	if err != nil {
		return "", "", fmt.Errorf("read the runtime token, which should be a JWT: %w", err)
	}
	for part := range strings.FieldsSeq(jwt.Scope) {
		if ids := strings.Split(part, ":"); len(ids) == 3 && ids[0] == "Actions.Results" {
			return ids[1], ids[2], nil
		}
	}
	return "", "", errors.New("the runtime token names no run and job of the artifact service")
}

// Upload keeps files as an artifact of this run and returns its URL, whose last
// element is its id. If the name is taken by the same bytes that is as good; if
// it is taken by an upload that was never finished, the name gets a number.
func (h *Hub) Upload(ctx context.Context, name string, files []runner.File) (string, error) {
	zipped, err := pack(files)
	if err == nil {
		err = checkName(name)
	}
	if err == nil {
		err = h.results.unusable
	}
	for n := 1; err == nil; n++ {
		as := name
		if n > 1 {
			as = fmt.Sprintf("%s-%d", name, n)
		}
		var id string
		id, err = h.results.upload(ctx, as, zipped)
		if err == nil {
			return h.link("actions/runs/%d/artifacts/%s", h.opts.Run.ID, id), nil
		}
		if errors.Is(err, errUnfinished) && n < 3 {
			err = nil
		}
	}
	return "", fmt.Errorf("upload the artifact %s: %w", name, err)
}

var errUnfinished = errors.New("the name is taken by an upload that was never finished")

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// upload names an artifact, stores its bytes and finalizes it.
func (r *results) upload(ctx context.Context, name string, zipped []byte) (id string, err error) {
	sum := digest(zipped)
	create := message{"name": name, "version": 7, "mime_type": "application/zip"}
	if r.retention > 0 {
		create["expires_at"] = r.now().UTC().AddDate(0, 0, r.retention).Format(time.RFC3339)
	}
	var open struct {
		OK  bool   `json:"ok"`
		URL string `json:"signeduploadurl"`
	}
	err = r.call(ctx, "CreateArtifact", create, &open)
	if e, ok := errors.AsType[*twirpError](err); ok && e.status == http.StatusConflict {
		a, err := r.find(ctx, name)
		switch {
		case err != nil:
			return "", err
		case a == nil:
			return "", errUnfinished
		case a.Digest != sum:
			return "", fmt.Errorf("the run has another artifact of this name, with other content (%s)", a.Digest)
		}
		return a.ID.String(), nil
	}
	if err != nil {
		return "", err
	}
	if !open.OK || open.URL == "" {
		return "", errors.New("the artifact service gives no place to upload to")
	}
	if err := r.store(ctx, open.URL, zipped); err != nil {
		return "", err
	}
	var final struct {
		OK bool        `json:"ok"`
		ID json.Number `json:"artifactid"`
	}
	err = r.call(ctx, "FinalizeArtifact", message{"name": name, "size": strconv.Itoa(len(zipped)), "hash": sum}, &final)
	if err == nil && final.OK {
		return final.ID.String(), nil
	}
	// The first answer may have been lost, and the second try refused for it.
	if a, again := r.find(ctx, name); again == nil && a != nil && a.Digest == sum {
		return a.ID.String(), nil
	}
	if err == nil {
		err = errors.New("the artifact service does not finalize it")
	}
	return "", err
}

type listed struct {
	Name   string      `json:"name"`
	ID     json.Number `json:"databaseid"`
	Digest string      `json:"digest"`
}

// find finds a finished artifact of this run, nil if there is none.
func (r *results) find(ctx context.Context, name string) (*listed, error) {
	var list struct {
		Artifacts []listed `json:"artifacts"`
	}
	if err := r.call(ctx, "ListArtifacts", message{"name_filter": name}, &list); err != nil {
		return nil, err
	}
	for _, a := range list.Artifacts {
		if a.Name == name {
			return &a, nil
		}
	}
	return nil, nil
}

// A message is a call's request, without the ids that every one has.
type message map[string]any

// A twirpError is the service's no.
type twirpError struct {
	method, code, msg string
	status            int
}

func (e *twirpError) Error() string {
	return fmt.Sprintf("the artifact service says %d %s to %s: %s", e.status, e.code, e.method, e.msg)
}

// call makes one call. An answer that is lost, or says nothing, is asked for
// again: a second creation or finalization is refused, which its caller expects.
func (r *results) call(ctx context.Context, method string, in message, out any) error {
	in["workflow_run_backend_id"], in["workflow_job_run_backend_id"] = r.run, r.job
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	status, data, err := r.send(ctx, atOnce, func(ctx context.Context) (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.origin+"/twirp/github.actions.results.api.v1.ArtifactService/"+method, bytes.NewReader(body))
		if err == nil {
			req.Header.Set("Content-Type", "application/json")
			r.authorize(req)
		}
		return req, err
	}, json.Valid)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	if status != http.StatusOK {
		e := &twirpError{method: method, status: status}
		var no struct{ Code, Msg string }
		if json.Unmarshal(data, &no) == nil {
			e.code, e.msg = no.Code, no.Msg
		}
		if strings.Contains(e.msg, "insufficient usage") {
			e.msg += " (the account's storage for artifacts is full; old ones must go, or wait some hours for GitHub to count again)"
		}
		return e
	}
	return folded(data, out)
}

// folded decodes data into out, whose names are without underscores: GitHub
// answers in snake_case, other servers in camelCase, and encoding/json does not
// mind capitals.
func folded(data []byte, out any) error {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	var fold func(any) any
	fold = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			m := map[string]any{}
			for k, e := range v {
				m[strings.ReplaceAll(k, "_", "")] = fold(e)
			}
			return m
		case []any:
			for i := range v {
				v[i] = fold(v[i])
			}
		}
		return v
	}
	again, err := json.Marshal(fold(v))
	if err != nil {
		return err
	}
	return json.Unmarshal(again, out)
}

// sends is how often a request to the artifact service is sent, as GitHub's own
// client does.
const sends = 5

// send sends a request that may be sent again, until there is an answer that
// says something. whole says whether an answer's body is.
func (r *results) send(ctx context.Context, limit time.Duration, make func(context.Context) (*http.Request, error), whole func([]byte) bool) (status int, body []byte, err error) {
	for n := 0; ; n++ {
		wait := 3 * time.Second << n
		var header http.Header
		status, header, body, err = r.once(ctx, limit, make)
		switch {
		case err != nil:
		case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= 500:
			err = fmt.Errorf("no answer but %d", status)
			wait = max(wait, pause(header, false))
		case !whole(body):
			err = fmt.Errorf("an answer that is not whole, with %d", status)
		default:
			return status, body, nil
		}
		if n == sends-1 || ctx.Err() != nil || wait > atOnce { // no artifact is worth more
			return status, body, err
		}
		if err := r.sleep(ctx, wait); err != nil {
			return status, body, err
		}
	}
}

func (r *results) once(ctx context.Context, limit time.Duration, make func(context.Context) (*http.Request, error)) (int, http.Header, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := make(ctx)
	if err != nil {
		return 0, nil, nil, bare(err)
	}
	req.Header.Set("User-Agent", userAgent)
	resp, err := r.next.RoundTrip(req)
	if err != nil {
		return 0, nil, nil, bare(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err == nil && len(body) > most {
		err = fmt.Errorf("an answer of more than %d bytes", most)
	}
	return resp.StatusCode, resp.Header, body, err
}

// bare takes the URL out of an error, because a signed one is a secret.
func bare(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
