//go:build deep

package main

import "testing"

// TestSecondSpec plays a project in Go, whose first build in a sandbox's empty
// cache takes minutes, and what people do to sessions at work, which takes waiting.
func TestSecondSpec(t *testing.T) { playScripts(t, "testdata/deep") }
