package catalog

import (
	"slices"

	"github.com/pamirdb/pamir/sql/types"
)

// ColumnID identifies a column within its table for ever; it is also the
// attribute number that clients see. Ids of user columns start at 1.
type ColumnID int32

// RowIDColumn is the id of the hidden ordered rowid of a table without a
// primary key: far above what ADD COLUMN can reach.
const RowIDColumn ColumnID = 32000

// LayoutID numbers the layouts of a table from 1.
type LayoutID uint16

// StorageID is the index part of a key; within a table it is never reused.
type StorageID uint32

// State is how far an online schema change has come with a column, index or
// constraint. Two adjacent states may be in use by different nodes at once.
type State uint8

// The states. Public is the zero value, so that what no change touches says
// nothing.
const (
	Public     State = iota
	DeleteOnly       // deletes and updates remove old entries; nothing is written, nothing read
	WriteOnly        // writes maintain it, nobody reads it
	Backfill         // write-only, and the backfill is running
	Validating       // complete, being checked; not to be relied on by the planner
	Absent           // dropped: kept until its data is gone
)

// String names the state.
func (s State) String() string {
	switch s {
	case Public:
		return "public"
	case DeleteOnly:
		return "delete-only"
	case WriteOnly:
		return "write-only"
	case Backfill:
		return "backfill"
	case Validating:
		return "validating"
	}
	return "absent"
}

// Readable reports whether queries may use the object.
func (s State) Readable() bool { return s == Public }

// Writable reports whether inserts must maintain the object.
func (s State) Writable() bool {
	return s == Public || s == WriteOnly || s == Backfill || s == Validating
}

// Deletable reports whether deletes must remove the object's old entries.
func (s State) Deletable() bool { return s != Absent }

// Identity says how an identity column treats explicit values, as attidentity.
type Identity byte

// The kinds of identity columns.
const (
	NoIdentity        Identity = 0
	IdentityAlways    Identity = 'a'
	IdentityByDefault Identity = 'd'
)

// Column is a column of a table, view or composite type.
type Column struct {
	ID        ColumnID   `json:"id"`
	Name      string     `json:"name"`
	Type      types.Type `json:"type"`
	NotNull   bool       `json:"notnull,omitempty"`
	Default   *Expr      `json:"default,omitempty"`
	Generated *Expr      `json:"generated,omitempty"` // STORED
	Identity  Identity   `json:"identity,omitempty"`
	// Sequence is the sequence that the column owns (serial or identity).
	Sequence  types.OID `json:"sequence,omitempty"`
	Collation types.OID `json:"collation,omitempty"`
	Hidden    bool      `json:"hidden,omitempty"` // the rowid: never in *, INSERT or \d
	State     State     `json:"state,omitempty"`
	Comment   string    `json:"comment,omitempty"`
}

// Layout is an immutable list of the columns that a stored row has, in order.
type Layout struct {
	ID      LayoutID   `json:"id"`
	Columns []ColumnID `json:"columns"`
	// Missing are the values of columns that rows written under this layout do
	// not have and that are not NULL there.
	Missing []MissingValue `json:"missing,omitempty"`
}

// MissingValue is the value of a column in rows older than the column.
type MissingValue struct {
	Column ColumnID
	Value  types.Datum
}

// IndexColumn is one key part of an index: a column or an expression.
type IndexColumn struct {
	Column     ColumnID  `json:"column,omitempty"` // 0: Expr
	Expr       *Expr     `json:"expr,omitempty"`
	Desc       bool      `json:"desc,omitempty"`
	NullsFirst bool      `json:"nullsfirst,omitempty"`
	Collation  types.OID `json:"collation,omitempty"`
}

// Index is an index of a table. The primary index holds the rows; the others
// hold entries that end in the primary key.
type Index struct {
	OID     types.OID     `json:"oid"`
	Storage StorageID     `json:"storage"`
	Name    string        `json:"name"`
	Columns []IndexColumn `json:"columns"`
	// Include are the columns stored in entries without being part of the key.
	Include          []ColumnID `json:"include,omitempty"`
	Unique           bool       `json:"unique,omitempty"`
	NullsNotDistinct bool       `json:"nullsnotdistinct,omitempty"`
	Predicate        *Expr      `json:"predicate,omitempty"`
	Method           string     `json:"method,omitempty"` // as given; "" is btree
	State            State      `json:"state,omitempty"`
	Comment          string     `json:"comment,omitempty"`
	// Job is the schema-change job that brings the index to State, if any.
	Job uint64 `json:"job,omitempty"`
}

// ConstraintKind is pg_constraint's contype.
type ConstraintKind byte

// The kinds of constraints.
const (
	CheckConstraint   ConstraintKind = 'c'
	ForeignKey        ConstraintKind = 'f'
	PrimaryKey        ConstraintKind = 'p'
	UniqueConstraint  ConstraintKind = 'u'
	ExcludeConstraint ConstraintKind = 'x'
)

// FKAction is what a foreign key does on update or delete, as confupdtype.
type FKAction byte

// The foreign-key actions; zero means NO ACTION as well.
const (
	FKNoAction   FKAction = 'a'
	FKRestrict   FKAction = 'r'
	FKCascade    FKAction = 'c'
	FKSetNull    FKAction = 'n'
	FKSetDefault FKAction = 'd'
)

// Constraint is a table constraint.
type Constraint struct {
	OID               types.OID      `json:"oid"`
	Name              string         `json:"name"`
	Kind              ConstraintKind `json:"kind"`
	Columns           []ColumnID     `json:"columns,omitempty"`
	Index             types.OID      `json:"index,omitempty"` // pk, unique; fk: the referenced index
	Check             *Expr          `json:"check,omitempty"`
	NoInherit         bool           `json:"noinherit,omitempty"`
	RefTable          types.OID      `json:"reftable,omitempty"`
	RefColumns        []ColumnID     `json:"refcolumns,omitempty"`
	OnUpdate          FKAction       `json:"onupdate,omitempty"`
	OnDelete          FKAction       `json:"ondelete,omitempty"`
	OnDeleteSet       []ColumnID     `json:"ondeleteset,omitempty"`
	Match             byte           `json:"match,omitempty"` // 's' simple (or 0), 'f' full
	Deferrable        bool           `json:"deferrable,omitempty"`
	InitiallyDeferred bool           `json:"deferred,omitempty"`
	NotValid          bool           `json:"notvalid,omitempty"`
	State             State          `json:"state,omitempty"`
	Comment           string         `json:"comment,omitempty"`
}

// InboundFK names a foreign key of another table that references this one.
type InboundFK struct {
	Table      types.OID `json:"table"`
	Constraint types.OID `json:"constraint"`
}

// WriteLock keeps writers out of a table while a schema change fills or checks
// it. Every node has seen it before the change begins; a change that dies leaves
// it behind until it expires.
type WriteLock struct {
	Owner string `json:"owner"`
	// UntilNanos is when it expires, in Unix nanoseconds.
	UntilNanos int64 `json:"until"`
}

// Table is a descriptor of a table.
type Table struct {
	Header
	// Virtual tables have no keys: the executor makes their rows.
	Virtual     bool         `json:"virtual,omitempty"`
	Temporary   bool         `json:"temp,omitempty"`
	Columns     []Column     `json:"columns"`
	Layouts     []Layout     `json:"layouts,omitempty"`
	Layout      LayoutID     `json:"layout,omitempty"` // the one new rows are written in
	Indexes     []Index      `json:"indexes,omitempty"`
	Primary     types.OID    `json:"primary,omitempty"` // the oid of the primary index
	Constraints []Constraint `json:"constraints,omitempty"`
	InboundFKs  []InboundFK  `json:"inbound,omitempty"`
	NextColumn  ColumnID     `json:"nextcolumn,omitempty"`
	NextStorage StorageID    `json:"nextstorage,omitempty"`
	RowType     types.OID    `json:"rowtype,omitempty"`
	State       State        `json:"state,omitempty"`
	WriteLock   *WriteLock   `json:"writelock,omitempty"`
	// DroppedStorage are storage ids whose data is still to be deleted.
	DroppedStorage []StorageID       `json:"dropped,omitempty"`
	Options        map[string]string `json:"options,omitempty"`
}

// Kind returns KindTable.
func (*Table) Kind() Kind { return KindTable }

// Column returns the column with that id.
func (t *Table) Column(id ColumnID) (*Column, bool) {
	if i := t.Ordinal(id); i >= 0 {
		return &t.Columns[i], true
	}
	return nil, false
}

// Ordinal returns the place of a column in Columns, or -1.
func (t *Table) Ordinal(id ColumnID) int {
	// Without dropped columns the id is the place.
	if i := int(id) - 1; i >= 0 && i < len(t.Columns) && t.Columns[i].ID == id {
		return i
	}
	return slices.IndexFunc(t.Columns, func(c Column) bool { return c.ID == id })
}

// ColumnByName returns the readable column of that name.
func (t *Table) ColumnByName(name string) (*Column, bool) {
	for i := range t.Columns {
		if c := &t.Columns[i]; c.Name == name && c.State.Readable() && !c.Hidden {
			return c, true
		}
	}
	return nil, false
}

// PrimaryIndex returns the index that holds the rows; nil for virtual tables.
func (t *Table) PrimaryIndex() *Index {
	x, _ := t.Index(t.Primary)
	return x
}

// Index returns the index with that oid.
func (t *Table) Index(oid types.OID) (*Index, bool) {
	for i := range t.Indexes {
		if t.Indexes[i].OID == oid {
			return &t.Indexes[i], true
		}
	}
	return nil, false
}

// Constraint returns the constraint with that oid.
func (t *Table) Constraint(oid types.OID) (*Constraint, bool) {
	for i := range t.Constraints {
		if t.Constraints[i].OID == oid {
			return &t.Constraints[i], true
		}
	}
	return nil, false
}

// HasRowID reports whether the table's key is the hidden rowid.
func (t *Table) HasRowID() bool {
	x := t.PrimaryIndex()
	return x != nil && len(x.Columns) == 1 && x.Columns[0].Column == RowIDColumn
}

// LayoutByID returns a layout.
func (t *Table) LayoutByID(id LayoutID) (*Layout, bool) {
	if i := int(id) - 1; i >= 0 && i < len(t.Layouts) && t.Layouts[i].ID == id {
		return &t.Layouts[i], true
	}
	for i := range t.Layouts {
		if t.Layouts[i].ID == id {
			return &t.Layouts[i], true
		}
	}
	return nil, false
}
