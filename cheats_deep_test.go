//go:build deep

package main

const deepTests = true
