package fakegithub

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The artifact service of Actions: Twirp calls in JSON, authorized by the
// runtime token, and a blob store that stands for Azure's.

// A request is any call's message, in the names of the protocol.
type request struct {
	Run      string `json:"workflow_run_backend_id"`
	Job      string `json:"workflow_job_run_backend_id"`
	Name     string `json:"name"`
	Expires  string `json:"expires_at"`
	Version  int    `json:"version"`
	Mime     string `json:"mime_type"`
	Size     string `json:"size"`
	Hash     string `json:"hash"`
	NameLike string `json:"name_filter"`
	IDLike   string `json:"id_filter"`
}

var fields = map[string][]string{
	"CreateArtifact":       {"name", "expires_at", "version", "mime_type"},
	"FinalizeArtifact":     {"name", "size", "hash"},
	"ListArtifacts":        {"name_filter", "id_filter"},
	"GetSignedArtifactURL": {"name"},
	"DeleteArtifact":       {"name"},
}

func (s *Server) twirp(w http.ResponseWriter, r *http.Request) {
	method := r.PathValue("method")
	known, ok := fields[method]
	if !ok {
		twirpError(w, http.StatusNotFound, "bad_route", "no method "+method)
		return
	}
	run := s.bearer(r)
	if run == nil {
		twirpError(w, http.StatusUnauthorized, "unauthenticated", "the runtime token is not one of ours, or has no scope Actions.Results:<run>:<job>")
		return
	}
	body, _ := io.ReadAll(r.Body)
	var names map[string]json.RawMessage
	var q request
	if json.Unmarshal(body, &names) != nil || json.Unmarshal(body, &q) != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		twirpError(w, http.StatusBadRequest, "malformed", "the json request could not be decoded")
		return
	}
	for name := range names {
		if !slices.Contains(known, name) && !strings.HasPrefix(name, "workflow_") {
			twirpError(w, http.StatusBadRequest, "malformed", "unknown field "+name)
			return
		}
	}
	runID, jobID := run.backends()
	mine := q.Run == runID && q.Job == jobID
	if method == "GetSignedArtifactURL" || method == "DeleteArtifact" {
		mine = q.Run == runID // of whichever job created it
	}
	if !mine {
		twirpError(w, http.StatusForbidden, "permission_denied", "the token belongs to another run or job")
		return
	}
	s.method(w, r, method, run, q)
}

func (s *Server) method(w http.ResponseWriter, r *http.Request, method string, run *Run, q request) {
	base := "http://" + r.Host
	ids := [2]string{q.Run, q.Job}
	i := slices.IndexFunc(s.rows, func(a *artifact) bool { return a.backends[0] == q.Run && a.name == q.Name })
	switch method {
	case "CreateArtifact":
		switch {
		case q.Name == "" || strings.ContainsAny(q.Name, "\":<>|*?\r\n\\/"):
			twirpError(w, http.StatusBadRequest, "invalid_argument", fmt.Sprintf("the artifact name %q is not valid", q.Name))
			return
		case q.Version < 4 || q.Version > 7:
			twirpError(w, http.StatusBadRequest, "invalid_argument", "version must be from 4 to 7")
			return
		case i >= 0:
			twirpError(w, http.StatusConflict, "already_exists", "an artifact with this name already exists on the workflow run")
			return
		}
		a := &artifact{id: s.id(), run: run, backends: ids, name: q.Name, mime: q.Mime, blocks: map[string][]byte{}, created: s.now(), expires: s.now().AddDate(0, 0, 90)}
		if a.mime == "" {
			a.mime = "application/zip"
		}
		if q.Expires != "" {
			t, err := time.Parse(time.RFC3339, q.Expires)
			if err != nil || t.Before(s.now()) {
				twirpError(w, http.StatusBadRequest, "invalid_argument", "expires_at is not a time to come")
				return
			}
			a.expires = t
		}
		s.rows = append(s.rows, a)
		s.reply(w, object{"ok": true, "signed_upload_url": s.blobURL(base, a, "w", time.Hour)})
	case "FinalizeArtifact":
		if i < 0 || s.rows[i].final {
			twirpError(w, http.StatusNotFound, "not_found", "there is no open artifact of this name")
			return
		}
		a := s.rows[i]
		sum := sha256.Sum256(a.data)
		a.digest = "sha256:" + hex.EncodeToString(sum[:])
		if !a.stored || q.Size != decimal(len(a.data)) || q.Hash != a.digest {
			twirpError(w, http.StatusBadRequest, "invalid_argument", fmt.Sprintf("the blob has %d bytes and %s", len(a.data), a.digest))
			return
		}
		a.final = true
		s.edit("%s: artifact %s on run %d", run.Repo, a.name, run.Number)
		s.reply(w, object{"ok": true, "artifact_id": strconv.FormatInt(a.id, 10)})
	case "ListArtifacts":
		out := []any{}
		for _, a := range s.rows {
			id := strconv.FormatInt(a.id, 10)
			if !a.final || a.backends[0] != q.Run || q.NameLike != "" && a.name != q.NameLike || q.IDLike != "" && id != q.IDLike {
				continue
			}
			out = append(out, s.cased(object{
				"workflow_run_backend_id": a.backends[0], "workflow_job_run_backend_id": a.backends[1], "database_id": id,
				"name": a.name, "size": decimal(len(a.data)), "created_at": stamp(a.created), "digest": a.digest,
			}))
		}
		s.reply(w, object{"artifacts": out})
	case "GetSignedArtifactURL":
		if i < 0 || !s.rows[i].final || s.rows[i].backends != ids {
			twirpError(w, http.StatusNotFound, "not_found", "there is no artifact of this name")
			return
		}
		s.reply(w, object{"signed_url": s.blobURL(base, s.rows[i], "r", time.Minute)})
	case "DeleteArtifact":
		if i < 0 || !s.rows[i].final || s.rows[i].backends != ids {
			twirpError(w, http.StatusNotFound, "not_found", "there is no artifact of this name")
			return
		}
		a := s.rows[i]
		s.rows = slices.Delete(s.rows, i, i+1)
		s.edit("%s: artifact %s on run %d deleted", run.Repo, a.name, run.Number)
		s.reply(w, object{"ok": true, "artifact_id": strconv.FormatInt(a.id, 10)})
	}
}

// bearer is the run that the runtime token of r belongs to, nil if it is none
// of ours.
func (s *Server) bearer(r *http.Request) *Run {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	text, sig, _ := cutLast(token, ".")
	got, err := base64.RawURLEncoding.DecodeString(sig)
	if !ok || err != nil || !hmac.Equal(got, s.sign(text)) {
		return nil
	}
	_, claims, _ := strings.Cut(text, ".")
	data, err := base64.RawURLEncoding.DecodeString(claims)
	var jwt struct {
		Scope   string `json:"scp"`
		Expires int64  `json:"exp"`
	}
	if err != nil || json.Unmarshal(data, &jwt) != nil || jwt.Expires < s.now().Unix() {
		return nil
	}
	for part := range strings.FieldsSeq(jwt.Scope) {
		ids, ok := strings.CutPrefix(part, "Actions.Results:")
		if !ok {
			continue
		}
		for _, run := range s.runs {
			if a, b := run.backends(); ids == a+":"+b {
				return run
			}
		}
	}
	return nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func (s *Server) reply(w http.ResponseWriter, o object) { answer(w, http.StatusOK, s.cased(o)) }

// cased writes an answer's names as this server is to write them.
func (s *Server) cased(o object) object {
	if !s.opts.Camel {
		return o
	}
	out := object{}
	for k, v := range o {
		words := strings.Split(k, "_")
		for i, word := range words[1:] {
			words[i+1] = strings.ToUpper(word[:1]) + word[1:]
		}
		out[strings.Join(words, "")] = v
	}
	return out
}

func twirpError(w http.ResponseWriter, status int, code, msg string) {
	answer(w, status, object{"code": code, "msg": msg})
}

// blobURL is a URL that allows whoever has it to read (r) or write (w) the blob
// of an artifact for a while.
func (s *Server) blobURL(base string, a *artifact, may string, during time.Duration) string {
	q := url.Values{"sv": {"2026-04-06"}, "sp": {may}, "se": {s.now().Add(during).Format(time.RFC3339)}}
	path := "/blob/" + strconv.FormatInt(a.id, 10)
	q.Set("sig", base64.StdEncoding.EncodeToString(s.sign(path+q.Get("sp")+q.Get("se"))))
	return base + path + "?" + q.Encode()
}

func (s *Server) blob(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	no := func(status int, why string) { http.Error(w, why, status) }
	sig, err := base64.StdEncoding.DecodeString(q.Get("sig"))
	until, bad := time.Parse(time.RFC3339, q.Get("se"))
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	a := s.artifact(id)
	write := r.Method == http.MethodPut
	switch {
	case r.Header.Get("Authorization") != "":
		no(http.StatusBadRequest, "AuthenticationInfo: a signed URL needs no Authorization")
	case err != nil || !hmac.Equal(sig, s.sign(r.URL.Path+q.Get("sp")+q.Get("se"))):
		no(http.StatusForbidden, "AuthenticationFailed: the signature does not match")
	case bad != nil || s.now().After(until):
		no(http.StatusForbidden, "AuthenticationFailed: the signature has expired")
	case a == nil:
		no(http.StatusNotFound, "BlobNotFound")
	case write != (q.Get("sp") == "w"):
		no(http.StatusForbidden, "AuthorizationPermissionMismatch")
	case write && a.final:
		no(http.StatusConflict, "BlobImmutableDueToPolicy")
	case write:
		s.put(w, r, a)
	case r.Method == http.MethodGet:
		w.Header().Set("Content-Type", a.mime)
		w.Header().Set("Content-Length", decimal(len(a.data)))
		w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", a.name+".zip"))
		w.Write(a.data)
	default:
		no(http.StatusMethodNotAllowed, "UnsupportedHttpVerb")
	}
}

func (s *Server) put(w http.ResponseWriter, r *http.Request, a *artifact) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.ContentLength < 0 {
		http.Error(w, "MissingContentLengthHeader", http.StatusLengthRequired)
		return
	}
	switch r.URL.Query().Get("comp") {
	case "block":
		id := r.URL.Query().Get("blockid")
		raw, err := base64.StdEncoding.DecodeString(id)
		if err != nil || len(raw) == 0 || len(raw) > 64 {
			http.Error(w, "InvalidQueryParameterValue: blockid", http.StatusBadRequest)
			return
		}
		for other := range a.blocks {
			if len(other) != len(id) {
				http.Error(w, "InvalidBlobOrBlock: the ids differ in length", http.StatusBadRequest)
				return
			}
		}
		a.blocks[id] = body
	case "blocklist":
		var list struct {
			Latest []string `xml:"Latest"`
		}
		if err := xml.NewDecoder(bytes.NewReader(body)).Decode(&list); err != nil {
			http.Error(w, "InvalidXmlDocument", http.StatusBadRequest)
			return
		}
		var data []byte
		for _, id := range list.Latest {
			block, ok := a.blocks[id]
			if !ok {
				http.Error(w, "InvalidBlockList", http.StatusBadRequest)
				return
			}
			data = append(data, block...)
		}
		a.data, a.stored = data, true
	case "":
		if r.Header.Get("X-Ms-Blob-Type") != "BlockBlob" {
			http.Error(w, "MissingRequiredHeader: x-ms-blob-type", http.StatusBadRequest)
			return
		}
		a.data, a.stored = body, true
	default:
		http.Error(w, "InvalidQueryParameterValue: comp", http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusCreated)
}
