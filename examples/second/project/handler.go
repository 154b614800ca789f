package main

import (
	"io"
	"net/http"
)

// newHandler serves the whole application.
func newHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "<!doctype html><title>Gauge</title><p>It works.</p>\n")
	})
	return mux
}
