//go:build deep

package repo

const rounds = 800
