//go:build !deep

package sim

const (
	seeds = 100
	deep  = false
)
