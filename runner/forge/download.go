package forge

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

// Download returns the files of the newest artifact called name of a run of
// this repository. The artifact service itself shows a run only its own, so
// this asks the API, which needs actions: read. Whatever is in it, is data of
// unknown origin: it is checked against GitHub's digest and unpacked with care,
// but it says nothing about who wrote it.
func (h *Hub) Download(ctx context.Context, runID int64, name string) ([]runner.File, error) {
	files, err := h.download(ctx, runID, name)
	if err != nil {
		return nil, fmt.Errorf("download the artifact %s of run %d: %w", name, runID, explain(err))
	}
	return files, nil
}

func (h *Hub) download(ctx context.Context, runID int64, name string) ([]runner.File, error) {
	a, err := h.artifact(ctx, runID, name)
	if err != nil {
		return nil, err
	}
	if a.Run.Repository != a.Run.Head {
		return nil, fmt.Errorf("it was made by a run of a fork's code")
	}
	if a.Expired {
		return nil, fmt.Errorf("it has expired")
	}
	at, _, err := h.client.Actions.DownloadArtifact(ctx, h.owner, h.repo, a.ID, 0)
	if err != nil {
		return nil, err
	}
	status, zipped, err := h.results.send(ctx, inBlock, func(ctx context.Context) (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil) // the URL is the authorization
	}, func([]byte) bool { return true })
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("the blob store says %d", status)
	}
	if sum := digest(zipped); a.Digest != "" && a.Digest != sum {
		return nil, fmt.Errorf("it is damaged: it should be %s and is %s", a.Digest, sum)
	}
	return unpack(zipped)
}

// stored is an artifact as the API lists it; go-github knows no digest.
type stored struct {
	ID      int64  `json:"id"`
	Name    string `json:"name"`
	Expired bool   `json:"expired"`
	Digest  string `json:"digest"`
	Run     struct {
		ID         int64 `json:"id"`
		Repository int64 `json:"repository_id"`
		Head       int64 `json:"head_repository_id"`
	} `json:"workflow_run"`
}

// artifact finds the newest artifact of a name.
func (h *Hub) artifact(ctx context.Context, runID int64, name string) (*stored, error) {
	var newest *stored
	for page := 1; page != 0; {
		req, err := h.client.NewRequest(http.MethodGet, fmt.Sprintf("repos/%s/%s/actions/runs/%d/artifacts?per_page=100&page=%s", h.owner, h.repo, runID, strconv.Itoa(page)), nil)
		if err != nil {
			return nil, err
		}
		var list struct {
			Artifacts []*stored `json:"artifacts"`
		}
		resp, err := h.client.Do(ctx, req, &list)
		if err != nil {
			return nil, err
		}
		for _, a := range list.Artifacts {
			if a.Name == name && a.Run.ID == runID && (newest == nil || a.ID > newest.ID) {
				newest = a
			}
		}
		page = resp.NextPage
	}
	if newest == nil {
		return nil, fmt.Errorf("the run has none of this name")
	}
	return newest, nil
}
