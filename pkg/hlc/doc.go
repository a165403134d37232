// Package hlc is the hybrid logical clock: timestamps that follow physical time
// yet never go back and order causally related events (Kulkarni et al.,
// "Logical Physical Clocks", 2014).
//
// Invariants:
//  1. Now is strictly monotonic within a process.
//  2. After Update(t), every later Now is above t.
package hlc
