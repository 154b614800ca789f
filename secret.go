package main

import (
	"fmt"
	"io"
	"log/slog"
)

// A secret prints as *** whoever prints it. The text is behind a pointer because
// fmt cannot call Format on an unexported field and would print a string there.
// `grep reveal` finds every place by which it can leave.
type secret struct{ text *string }

func newSecret(s string) secret { return secret{&s} }

func (secret) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, "***") }
func (secret) LogValue() slog.Value         { return slog.StringValue("***") }
func (secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

func (s secret) reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}
