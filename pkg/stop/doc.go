// Package stop starts, names and awaits goroutines. A Group belongs to a struct
// whose Close calls Stop: it cancels the group's context and waits until every
// goroutine has returned, so that nothing outlives its owner.
package stop
