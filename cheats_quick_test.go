//go:build !deep

package main

const deepTests = false
