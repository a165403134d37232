package plan

import (
	"github.com/pamirdb/pamir/sql/types"
)

// Tag says what kind of statement a plan is, for the command tag and for what
// the session may do with it.
type Tag uint8

// The statement tags.
const (
	TagSelect Tag = iota
	TagInsert
	TagUpdate
	TagDelete
	TagMerge
	TagExplain
	TagUtility
)

// Flags are facts about a plan that the session acts on.
type Flags struct {
	// ReadOnly plans neither write nor lock.
	ReadOnly bool
	// Generic plans are as good for any parameters as for the ones at hand: no
	// custom plan is worth making.
	Generic bool
	// Point plans are a PointGet, with nothing but a Project above it: one key.
	Point bool
	// PointWrite plans are a Mutation over a PointGet or over a Values of one
	// row: single row, known key.
	PointWrite bool
	// NoSnapshot plans touch no table.
	NoSnapshot bool
	// Volatile plans call a volatile function.
	Volatile bool
	// Locking plans take row locks.
	Locking bool
	// SettingsBound plans hold literals that were read under session settings
	// (DateStyle, TimeZone, IntervalStyle): good for sessions with the same.
	SettingsBound bool
	// Uncacheable plans depend on uncommitted catalog changes or hold constants
	// that are only good for this run.
	Uncacheable bool
}

// Dependency is a catalog object that a plan was made from.
type Dependency struct {
	OID     types.OID
	Version uint64
}

// Literal is a value lifted out of the statement's template: the text of lifted
// literal Index, read as a value of Type. One literal may be read as two types.
type Literal struct {
	Index int
	Type  types.Type
}

// Plan is a planned statement. It is immutable and may be shared.
type Plan struct {
	Root Node
	Tag  Tag
	// Params are the types of $1, $2, ...
	Params []types.Type
	// Literals say what the parameters of kind ParamLiteral are, by number.
	Literals []Literal
	// ExecParams is how many parameters of kind ParamExec the plan uses.
	ExecParams int
	// Result describes the rows for the client; nil for a statement without.
	Result []ResultColumn
	// Notices go to the client whenever the plan is used.
	Notices []*types.Error
	// Nodes is the number of plan nodes; their ids run from 1.
	Nodes        int
	Flags        Flags
	Generation   uint64
	Dependencies []Dependency
}
