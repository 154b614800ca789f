//go:build !amd64

package sandbox

import "errors"

func int80() error { return errors.New("only amd64 has it") }
