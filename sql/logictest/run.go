package logictest

import (
	"fmt"
)

// Engine is what statements are run on.
type Engine interface {
	// Run runs a string of statements on a named session, which it opens at
	// first use; in is what a COPY FROM STDIN reads.
	Run(session, sql, in string) *Answer
}

// mainSession is the session that a file starts with.
const mainSession = "main"

// Runner runs the records of a file.
type Runner struct {
	Engine Engine
	// Variant is the name that "only" is about.
	Variant string
	// Step is called with each record and its answer.
	Step func(r *Record, a *Answer)
	// Skip leaves a record out.
	Skip func(r *Record) bool

	session string
	pending map[string]chan *Answer
}

// Run runs a file's records in order.
func (x *Runner) Run(records []*Record) error {
	x.session, x.pending = mainSession, map[string]chan *Answer{}
	for _, r := range records {
		if r.Kind == UseSession {
			x.session = r.Session
			continue
		}
		if r.Kind == Raw && r.SQL == "" || !r.ForVariant(x.Variant) || x.Skip != nil && x.Skip(r) {
			continue
		}
		if err := x.step(r); err != nil {
			return err
		}
	}
	for name := range x.pending {
		return fmt.Errorf("session %s: an async statement is never awaited", name)
	}
	return nil
}

func (x *Runner) step(r *Record) error {
	switch r.Kind {
	case Async:
		if x.pending[x.session] != nil {
			return fmt.Errorf("line %d: session %s is busy already", r.Line, x.session)
		}
		done := make(chan *Answer, 1)
		x.pending[x.session] = done
		name := x.session
		go func() { done <- x.Engine.Run(name, r.SQL, r.Copy) }()
		return nil
	case Await:
		name := r.Session
		if name == "" {
			name = x.session
		}
		done := x.pending[name]
		if done == nil {
			return fmt.Errorf("line %d: session %s runs nothing", r.Line, name)
		}
		delete(x.pending, name)
		x.Step(r, <-done)
	default:
		if x.pending[x.session] != nil {
			return fmt.Errorf("line %d: session %s is busy", r.Line, x.session)
		}
		x.Step(r, x.Engine.Run(x.session, r.SQL, r.Copy))
	}
	return nil
}
