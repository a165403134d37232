package main

import "runtime"

// heapBallast is memory that is reserved and never touched, so that it takes up
// address space only. The garbage collector runs whenever the heap has doubled
// since the last time: with the few megabytes that a small node keeps alive it
// would run many times a second under load, and each time shrink the stacks of
// goroutines that must grow again with their next request. The ballast counts as
// alive, so that the collector lets at least as much garbage gather.
//
// It belongs to the command: how a program that embeds Pamir collects its garbage
// is that program's business.
var heapBallast []byte

const ballastBytes = 64 << 20

// holdBallast reserves the ballast, in a process that serves.
func holdBallast() {
	heapBallast = make([]byte, ballastBytes)
	runtime.KeepAlive(heapBallast)
}
