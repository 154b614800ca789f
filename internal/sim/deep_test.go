//go:build deep

package sim

const (
	seeds = 10_000
	deep  = true
)
