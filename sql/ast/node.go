package ast

// Node is any node of a raw tree: always a pointer to one of this package's
// structs.
type Node interface {
	// Tag tells the node's type.
	Tag() NodeTag

	node()
}

// NodeTag numbers the types of nodes.
type NodeTag uint16

// TagLiftedConst is the tag of the one node that PostgreSQL does not have.
const TagLiftedConst = firstHandTag

// String returns the node type's name, as PostgreSQL has it.
func (t NodeTag) String() string {
	switch {
	case t == TagLiftedConst:
		return "LiftedConst"
	case int(t) < len(tagNames) && tagNames[t] != "":
		return tagNames[t]
	}
	return "unknown node"
}

// LiteralClass says how PostgreSQL would type a literal, from its text alone.
type LiteralClass uint8

// Classes of literals.
const (
	ClassInt4    LiteralClass = iota + 1 // an integer that fits in 32 bits
	ClassInt8                            // an integer that fits in 64 bits only
	ClassNumeric                         // a decimal, or an integer beyond 64 bits
	ClassUnknown                         // a string: type unknown
)

// String names the type that PostgreSQL gives a literal of the class.
func (c LiteralClass) String() string {
	switch c {
	case ClassInt4:
		return "int4"
	case ClassInt8:
		return "int8"
	case ClassNumeric:
		return "numeric"
	case ClassUnknown:
		return "unknown"
	}
	return "no class"
}

// LiftedConst stands in a statement template where the statement had a literal.
// The binder treats it as the literal's type with the value left open: a
// parameter of type int4, int8 or numeric, or a literal of type unknown whose
// text comes later.
type LiftedConst struct {
	Index    int // which of the statement's lifted literals, from 0
	Class    LiteralClass
	Location int
}

func (*LiftedConst) node() {}

// Tag tells the node's type.
func (*LiftedConst) Tag() NodeTag { return TagLiftedConst }

// Walk visits n and everything below it, parents first; it does not descend
// below a node for which visit answers false.
func Walk(n Node, visit func(Node) bool) {
	if n == nil || !visit(n) {
		return
	}
	Children(n, func(c Node) { Walk(c, visit) })
}
