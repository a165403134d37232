//go:build invariants

package main

// buildTags makes the processes under test assert what the tests assert.
const buildTags = "invariants"
