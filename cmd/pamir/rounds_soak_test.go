//go:build soak

package main

// killRounds is how often a node is killed in the long run (make sim).
const killRounds = 60
