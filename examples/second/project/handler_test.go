package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// get asks the handler for a page and returns its status and text.
func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestUnknownAddress(t *testing.T) {
	if status, _ := get(t, newHandler(), "/nowhere"); status != http.StatusNotFound {
		t.Errorf("status %d, want 404", status)
	}
}
