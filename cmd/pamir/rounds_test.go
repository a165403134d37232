//go:build !soak

package main

// killRounds is how often a node is killed in the ordinary test run.
const killRounds = 3
