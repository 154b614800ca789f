package forge

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	blockSize = 8 << 20
	inBlock   = 5 * time.Minute // for one block
)

// store puts data into the blob behind a signed URL: blocks, then their list.
// There is a shorter way for little data, but some servers take it, say yes and
// keep nothing; and some of them put blocks together in the order in which they
// come, so they are sent in order.
func (r *results) store(ctx context.Context, signed string, data []byte) error {
	var list struct {
		XMLName xml.Name `xml:"BlockList"`
		Latest  []string `xml:"Latest"`
	}
	for chunk := range slices.Chunk(data, blockSize) {
		id := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "block-%08d", len(list.Latest)))
		if err := r.put(ctx, signed+"&comp=block&blockid="+url.QueryEscape(id), "application/octet-stream", chunk); err != nil {
			return fmt.Errorf("store block %d: %w", len(list.Latest), err)
		}
		list.Latest = append(list.Latest, id)
	}
	text, err := xml.Marshal(list)
	if err != nil {
		return err
	}
	if err := r.put(ctx, signed+"&comp=blocklist", "application/xml", append([]byte(xml.Header), text...)); err != nil {
		return fmt.Errorf("store the list of blocks: %w", err)
	}
	return nil
}

func (r *results) put(ctx context.Context, signed, kind string, data []byte) error {
	status, body, err := r.send(ctx, inBlock, func(ctx context.Context) (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, signed, bytes.NewReader(data))
		if err == nil {
			req.Header.Set("Content-Type", kind)
			req.Header.Set("X-Ms-Version", "2021-12-02")
			if kind == "application/xml" {
				req.Header.Set("X-Ms-Blob-Content-Type", "application/zip")
			}
		}
		return req, err
	}, func([]byte) bool { return true })
	if err == nil && status != http.StatusCreated {
		err = fmt.Errorf("the blob store says %d where it should say 201: %.200s", status, strings.Join(strings.Fields(string(body)), " "))
	}
	return err
}
