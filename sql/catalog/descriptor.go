package catalog

import (
	"strings"

	"github.com/pamirdb/pamir/sql/types"
)

// FirstUserOID is the smallest oid of an object that is not built in.
const FirstUserOID types.OID = 16384

// Oids of built-in objects that PostgreSQL numbers as well.
const (
	PgCatalogOID         types.OID = 11
	InformationSchemaOID types.OID = 13000
	PamirInternalOID     types.OID = 13999
	PublicOID            types.OID = 2200
	RootRoleOID          types.OID = 10
	PgDatabaseClassOID   types.OID = 1262
	PgClassClassOID      types.OID = 1259
	DefaultCollationOID  types.OID = 100
	CCollationOID        types.OID = 950
)

// Kind says what a descriptor describes.
type Kind uint8

// The kinds, in the order of their stored numbers: never renumber.
const (
	KindInvalid Kind = iota
	KindDatabase
	KindSchema
	KindTable
	KindView
	KindSequence
	KindType
	KindRole
	KindIndex // only as an answer of a name lookup: indexes live in their table
)

// String names the kind as messages do.
func (k Kind) String() string {
	switch k {
	case KindDatabase:
		return "database"
	case KindSchema:
		return "schema"
	case KindTable:
		return "table"
	case KindView:
		return "view"
	case KindSequence:
		return "sequence"
	case KindType:
		return "type"
	case KindRole:
		return "role"
	case KindIndex:
		return "index"
	}
	return "object"
}

// Header is what all descriptors share.
type Header struct {
	ID       types.OID `json:"id"`
	Name     string    `json:"name"`
	Database types.OID `json:"db,omitempty"`     // 0: visible in every database
	Schema   types.OID `json:"schema,omitempty"` // 0 for what is in no schema
	Owner    types.OID `json:"owner,omitempty"`
	// Version grows by one with every change of the descriptor.
	Version uint64  `json:"version,omitempty"`
	ACL     []Grant `json:"acl,omitempty"`
	Comment string  `json:"comment,omitempty"`
}

// Grant is one entry of an access control list. Grantee 0 is PUBLIC.
type Grant struct {
	Grantee    types.OID `json:"grantee"`
	Grantor    types.OID `json:"grantor"`
	Privileges string    `json:"privs"` // PostgreSQL's letters, e.g. "arwd"
	WithOption string    `json:"opts,omitempty"`
	Column     ColumnID  `json:"col,omitempty"`
}

// Descriptor is a database, schema, table, view, sequence, type or role.
type Descriptor interface {
	// Head returns the shared part.
	Head() *Header
	// Kind says which of the descriptor types it is.
	Kind() Kind
}

// ColumnsOf returns a relation's columns; one of another kind has none.
func ColumnsOf(d Descriptor) []Column {
	switch x := d.(type) {
	case *Table:
		return x.Columns
	case *View:
		return x.Columns
	}
	return nil
}

// Head returns h itself.
func (h *Header) Head() *Header { return h }

// Database is a descriptor of a database.
type Database struct {
	Header
	Encoding  string            `json:"encoding,omitempty"`
	IsTempl   bool              `json:"template,omitempty"`
	NoConnect bool              `json:"noconnect,omitempty"`
	ConnLimit int               `json:"connlimit,omitempty"`
	Settings  map[string]string `json:"settings,omitempty"`
	// Public is the oid of the database's own schema public.
	Public types.OID `json:"public,omitempty"`
}

// Kind returns KindDatabase.
func (*Database) Kind() Kind { return KindDatabase }

// Schema is a descriptor of a schema.
type Schema struct{ Header }

// Kind returns KindSchema.
func (*Schema) Kind() Kind { return KindSchema }

// Sequence is a descriptor of a sequence. Its counter is in kv, outside of
// transactions.
type Sequence struct {
	Header
	Type      types.OID `json:"type"`
	Start     int64     `json:"start"`
	Increment int64     `json:"increment"`
	Min       int64     `json:"min"`
	Max       int64     `json:"max"`
	Cache     int64     `json:"cache"`
	Cycle     bool      `json:"cycle,omitempty"`
	// OwnerTable and OwnerColumn are the column that owns the sequence, if any.
	OwnerTable  types.OID `json:"ownertable,omitempty"`
	OwnerColumn ColumnID  `json:"ownercolumn,omitempty"`
	// Internal marks an identity column's sequence.
	Internal bool `json:"internal,omitempty"`
	// StorageID changes when the counter is replaced (ALTER SEQUENCE RESTART in
	// a transaction, TRUNCATE RESTART IDENTITY).
	StorageID StorageID `json:"storage,omitempty"`
}

// Kind returns KindSequence.
func (*Sequence) Kind() Kind { return KindSequence }

// ViewRef is a relation that a view's query names, with the columns that it had
// when the view was made, in their order and with their names of then. The oid
// is 0 for a name that is WITH's.
type ViewRef struct {
	OID     types.OID    `json:"oid"`
	Columns []ViewColumn `json:"columns,omitempty"`
}

// ViewColumn is a column of a ViewRef; Used says that the query reads it.
type ViewColumn struct {
	ID   ColumnID `json:"id"`
	Name string   `json:"name"`
	Used bool     `json:"used,omitempty"`
}

// View is a descriptor of a view.
type View struct {
	Header
	Columns []Column `json:"columns"`
	// Query is the defining SELECT in SQL, bound under SearchPath.
	Query      string   `json:"query"`
	SearchPath []string `json:"searchpath,omitempty"`
	// Refs are what the relation names in Query stand for, in the order of its
	// tree: an object keeps its place in a view under any new name.
	Refs      []ViewRef   `json:"refs,omitempty"`
	DependsOn []types.OID `json:"dependson,omitempty"`
	// Options are those of WITH (...), as name=value in the order they were given.
	Options   []string  `json:"options,omitempty"`
	Materials types.OID `json:"materialized,omitempty"` // the table of a materialized view
}

// ByInvoker reports whether a view is read with the privileges of who uses it, rather
// than with its owner's.
func (v *View) ByInvoker() bool {
	for _, o := range v.Options {
		if value, ok := strings.CutPrefix(o, "security_invoker="); ok {
			d, err := types.ParseText(types.BoolType, value, nil)
			return err == nil && d.Bool()
		}
	}
	return false
}

// Kind returns KindView.
func (*View) Kind() Kind { return KindView }

// TypeClass tells user-defined types apart, by pg_type's typtype.
type TypeClass byte

// The classes of user-defined types.
const (
	EnumType      TypeClass = 'e'
	DomainType    TypeClass = 'd'
	CompositeType TypeClass = 'c'
	RangeType     TypeClass = 'r'
)

// EnumLabel is one value of an enum; Sort orders the labels.
type EnumLabel struct {
	OID   types.OID `json:"id"`
	Label string    `json:"label"`
	Sort  float64   `json:"sort"`
}

// Type is a descriptor of a user-defined type.
type Type struct {
	Header
	Class  TypeClass    `json:"class"`
	Array  types.OID    `json:"array,omitempty"`
	Labels []EnumLabel  `json:"labels,omitempty"` // enum
	Base   types.Type   `json:"base,omitzero"`    // domain
	NotNul bool         `json:"notnull,omitempty"`
	Deflt  *Expr        `json:"default,omitempty"`
	Checks []Constraint `json:"checks,omitempty"`
	Attrs  []Column     `json:"attrs,omitempty"` // composite
}

// Kind returns KindType.
func (*Type) Kind() Kind { return KindType }

// Role is a descriptor of a user or group.
type Role struct {
	Header
	Super       bool              `json:"super,omitempty"`
	Inherit     bool              `json:"inherit,omitempty"`
	CreateRole  bool              `json:"createrole,omitempty"`
	CreateDB    bool              `json:"createdb,omitempty"`
	Login       bool              `json:"login,omitempty"`
	Replication bool              `json:"replication,omitempty"`
	BypassRLS   bool              `json:"bypassrls,omitempty"`
	ConnLimit   int               `json:"connlimit,omitempty"`
	Password    string            `json:"password,omitempty"` // a SCRAM verifier, never the password
	ValidUntil  string            `json:"validuntil,omitempty"`
	MemberOf    []types.OID       `json:"memberof,omitempty"`
	Settings    map[string]string `json:"settings,omitempty"`
}

// Kind returns KindRole.
func (*Role) Kind() Kind { return KindRole }
