package expr

import "github.com/pamirdb/pamir/sql/types"

// Expr is a node of the bound tree. Nodes are pointers to the structs of this
// file, and immutable.
type Expr interface {
	// Type is the type of the value.
	Type() types.Type
	kind() nodeKind
}

// ColID identifies a column of a query: the planner numbers columns as it
// likes; before compilation they are mapped to ordinals of the input row.
type ColID int32

// Const is a literal value.
type Const struct {
	Value types.Datum
	Typ   types.Type
	// Location is the position in the statement (0 unknown); it is not stored.
	Location int
}

// ColumnRef is a column of the input row, or of an enclosing query's row when
// Outer is above zero.
type ColumnRef struct {
	ID        ColID
	Outer     int
	Typ       types.Type
	Collation types.OID
	Name      string // for printing
	Location  int
}

// ParamKind tells whose numbering a parameter belongs to.
type ParamKind uint8

// The kinds: $n of the statement, a literal lifted out by the plan cache, or a
// value an operator such as Apply sets for its inner side.
const (
	ParamExternal ParamKind = iota
	ParamLiteral
	ParamExec
)

// Param is a value that is known only at execution. Num counts from zero.
type Param struct {
	Num      int
	Kind     ParamKind
	Typ      types.Type
	Location int
}

// CoerceForm says how a function call is printed.
type CoerceForm uint8

// The forms: f(x), x::type, nothing at all, or the SQL syntax of its own.
const (
	CallForm CoerceForm = iota
	ExplicitCast
	ImplicitCast
	SQLSyntax
)

// FuncExpr calls the function with oid Func of pg_proc.
type FuncExpr struct {
	Func      types.OID
	Args      []Expr
	Typ       types.Type
	ReturnSet bool
	Variadic  bool // the last argument was given with VARIADIC
	Form      CoerceForm
	Collation types.OID // input collation
	Name      string    // for printing, schema-qualified where necessary
	Location  int
}

// OpExpr applies an operator: one argument for a prefix operator, else two.
type OpExpr struct {
	Op        types.OID // of pg_operator
	Func      types.OID // of pg_proc: its code
	Name      string    // for printing
	Args      []Expr
	Typ       types.Type
	Collation types.OID
	Location  int
}

// ScalarArrayOp is `Left op ANY (Right)`, or ALL; Right is an array.
type ScalarArrayOp struct {
	Op        types.OID
	Func      types.OID
	Name      string
	All       bool
	Left      Expr
	Right     Expr
	Collation types.OID
	Location  int
}

// BoolOp is one of AND, OR, NOT.
type BoolOp uint8

// The boolean connectives.
const (
	And BoolOp = iota
	Or
	Not
)

// BoolExpr connects conditions; AND and OR take two or more, NOT one.
type BoolExpr struct {
	Op       BoolOp
	Args     []Expr
	Location int
}

// When is one arm of a CASE.
type When struct{ Cond, Result Expr }

// CaseExpr is CASE. With an Arg, every Cond compares CaseTest with something,
// and Arg is evaluated once.
type CaseExpr struct {
	Arg      Expr // nil for the searched form
	Whens    []When
	Else     Expr // nil means NULL
	Typ      types.Type
	Location int
}

// CaseTest stands for the value of the enclosing CASE's Arg, or for the element
// inside an ArrayCoerce.
type CaseTest struct{ Typ types.Type }

// Coalesce is COALESCE.
type Coalesce struct {
	Args     []Expr
	Typ      types.Type
	Location int
}

// NullIf is NULLIF(Left, Right) under the equality operator Op.
type NullIf struct {
	Op          types.OID
	Func        types.OID
	Left, Right Expr
	Typ         types.Type
	Collation   types.OID
	Location    int
}

// MinMax is GREATEST or LEAST.
type MinMax struct {
	Least    bool
	Args     []Expr
	Typ      types.Type
	Location int
}

// NullTest is IS [NOT] NULL. Row says that the argument is a row expression,
// which is (not) null if all its fields are.
type NullTest struct {
	Arg      Expr
	Not      bool
	Row      bool
	Location int
}

// BoolTestKind is what a BooleanTest asks.
type BoolTestKind uint8

// The boolean tests.
const (
	IsTrue BoolTestKind = iota
	IsNotTrue
	IsFalse
	IsNotFalse
	IsUnknown
	IsNotUnknown
)

// BooleanTest is IS [NOT] TRUE, FALSE or UNKNOWN.
type BooleanTest struct {
	Arg      Expr
	Test     BoolTestKind
	Location int
}

// DistinctExpr is IS DISTINCT FROM under the equality operator Op; its negation
// is a NOT above it.
type DistinctExpr struct {
	Op          types.OID
	Func        types.OID
	Name        string
	Left, Right Expr
	Collation   types.OID
	Location    int
}

// Relabel changes only the type's name: both have the same image.
type Relabel struct {
	Arg      Expr
	Typ      types.Type
	Form     CoerceForm
	Location int
}

// CoerceViaIO converts by printing and reading again.
type CoerceViaIO struct {
	Arg      Expr
	Typ      types.Type
	Form     CoerceForm
	Location int
}

// ArrayCoerce converts every element: Elem is an expression over CaseTest.
type ArrayCoerce struct {
	Arg      Expr
	Elem     Expr
	Typ      types.Type
	Form     CoerceForm
	Location int
}

// ArrayExpr is ARRAY[...]. With Nested, the elements are arrays themselves.
type ArrayExpr struct {
	Elems    []Expr
	Nested   bool
	Typ      types.Type // the array type
	Location int
}

// RowExpr is ROW(...).
type RowExpr struct {
	Fields   []Expr
	Names    []string
	Typ      types.Type
	Location int
	// Table is the FROM entry that it is a whole row of, for errors while binding.
	Table string
}

// RowCompareOp is how two rows are compared.
type RowCompareOp uint8

// The row comparisons that are not conjunctions of comparisons already.
const (
	RowLess RowCompareOp = iota
	RowLessEqual
	RowGreaterEqual
	RowGreater
)

// RowCompare is (a, b) < (c, d) and its kin; = and <> are bound as AND and OR.
// Ops and Funcs are the less-than (or greater-than) operators by column.
type RowCompare struct {
	Cmp         RowCompareOp
	Ops, Funcs  []types.OID
	Left, Right []Expr
	Location    int
}

// FieldSelect takes field number Field (from zero) of a composite value.
type FieldSelect struct {
	Arg      Expr
	Field    int
	Name     string
	Typ      types.Type
	Location int
}

// Subscript is a[i] or a[i:j]; for a slice, Lower and Upper may hold nils for
// bounds left out. Assign is nil for a fetch, or the value of an assignment.
type Subscript struct {
	Arg      Expr
	Upper    []Expr
	Lower    []Expr // nil unless a slice
	Assign   Expr
	Typ      types.Type // result
	Location int
}

// ValueFunc is a parameterless function with a syntax of its own.
type ValueFunc uint8

// The SQL value functions.
const (
	CurrentDate ValueFunc = iota
	CurrentTime
	CurrentTimestamp
	LocalTime
	LocalTimestamp
	CurrentRole
	CurrentUser
	SessionUser
	CurrentCatalog
	CurrentSchema
)

// SQLValueFunction is CURRENT_TIMESTAMP and its kin; Typ carries a precision.
type SQLValueFunction struct {
	Func     ValueFunc
	Typ      types.Type
	Location int
}

// SortKey is an ORDER BY element inside an aggregate or window.
type SortKey struct {
	Arg        Expr
	Desc       bool
	NullsFirst bool
	Collation  types.OID
}

// AggRef is an aggregate call; the planner moves it into an operator and puts
// a ColumnRef in its place.
type AggRef struct {
	Func     types.OID
	Name     string
	Args     []Expr // empty for count(*)
	Direct   []Expr // direct arguments of an ordered-set aggregate
	Star     bool
	Distinct bool
	OrderBy  []SortKey
	Filter   Expr
	Typ      types.Type
	// Collation is the input collation.
	Collation types.OID
	// Level counts the enclosing queries up to the one it belongs to.
	Level    int
	Location int
}

// FrameMode is ROWS, RANGE or GROUPS.
type FrameMode uint8

// The frame modes.
const (
	FrameRange FrameMode = iota
	FrameRows
	FrameGroups
)

// FrameBound is one end of a window frame.
type FrameBound uint8

// The frame bounds.
const (
	UnboundedPreceding FrameBound = iota
	OffsetPreceding
	CurrentRow
	OffsetFollowing
	UnboundedFollowing
)

// FrameExclude is what a frame leaves out.
type FrameExclude uint8

// The exclusions.
const (
	ExcludeNone FrameExclude = iota
	ExcludeCurrentRow
	ExcludeGroup
	ExcludeTies
)

// Frame is a window frame.
type Frame struct {
	Mode                   FrameMode
	Start, End             FrameBound
	StartOffset, EndOffset Expr
	Exclude                FrameExclude
}

// WindowRef is a window function call, placed by the planner as AggRef is.
type WindowRef struct {
	Func        types.OID
	Name        string
	Args        []Expr
	Star        bool
	Filter      Expr
	PartitionBy []Expr
	OrderBy     []SortKey
	Frame       Frame
	Typ         types.Type
	Collation   types.OID
	Location    int
}

// SubqueryKind is how a subquery's result is used.
type SubqueryKind uint8

// The subquery kinds.
const (
	SubExists SubqueryKind = iota
	SubScalar
	SubAny
	SubAll
	SubArray
	SubRowCompare
)

// SubqueryRef is a subquery in an expression; the planner turns it into Apply.
// Plan is the planner's own bound query and is opaque here; it serializes
// itself if it implements SubqueryCodec.
type SubqueryRef struct {
	Kind SubqueryKind
	Plan any
	// For ANY and ALL: Test compares Left's expressions with the subquery's
	// columns, which appear in it as parameters of kind ParamExec.
	Left     []Expr
	Test     Expr
	Params   []int
	Typ      types.Type
	Location int
}

// SetToDefault is DEFAULT in INSERT or UPDATE, replaced before execution.
type SetToDefault struct {
	Typ      types.Type
	Location int
}

// Type methods.

// Type implements Expr.
func (e *Const) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *ColumnRef) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *Param) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *FuncExpr) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *OpExpr) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *ScalarArrayOp) Type() types.Type { return types.BoolType }

// Type implements Expr.
func (e *BoolExpr) Type() types.Type { return types.BoolType }

// Type implements Expr.
func (e *CaseExpr) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *CaseTest) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *Coalesce) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *NullIf) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *MinMax) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *NullTest) Type() types.Type { return types.BoolType }

// Type implements Expr.
func (e *BooleanTest) Type() types.Type { return types.BoolType }

// Type implements Expr.
func (e *DistinctExpr) Type() types.Type { return types.BoolType }

// Type implements Expr.
func (e *Relabel) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *CoerceViaIO) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *ArrayCoerce) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *ArrayExpr) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *RowExpr) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *RowCompare) Type() types.Type { return types.BoolType }

// Type implements Expr.
func (e *FieldSelect) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *Subscript) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *SQLValueFunction) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *AggRef) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *WindowRef) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *SubqueryRef) Type() types.Type { return e.Typ }

// Type implements Expr.
func (e *SetToDefault) Type() types.Type { return e.Typ }
