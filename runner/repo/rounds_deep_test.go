//go:build deep

package repo

const (
	rounds        = 500
	leastCompared = 4000
)
