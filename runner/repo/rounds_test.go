//go:build !deep

package repo

// Rounds of TestSnapshotEqualsGit, of six trees and more each. The build tag
// deep runs many more.
const (
	rounds        = 34
	leastCompared = 150
)
