package expr

// nodeKind numbers the nodes in the serialized form: append only.
type nodeKind uint8

const (
	kindNil nodeKind = iota
	kindConst
	kindColumnRef
	kindParam
	kindFunc
	kindOp
	kindScalarArrayOp
	kindBool
	kindCase
	kindCaseTest
	kindCoalesce
	kindNullIf
	kindMinMax
	kindNullTest
	kindBooleanTest
	kindDistinct
	kindRelabel
	kindCoerceViaIO
	kindArrayCoerce
	kindArray
	kindRow
	kindRowCompare
	kindFieldSelect
	kindSubscript
	kindSQLValue
	kindAgg
	kindWindow
	kindSubquery
	kindSetToDefault
)

func (*Const) kind() nodeKind            { return kindConst }
func (*ColumnRef) kind() nodeKind        { return kindColumnRef }
func (*Param) kind() nodeKind            { return kindParam }
func (*FuncExpr) kind() nodeKind         { return kindFunc }
func (*OpExpr) kind() nodeKind           { return kindOp }
func (*ScalarArrayOp) kind() nodeKind    { return kindScalarArrayOp }
func (*BoolExpr) kind() nodeKind         { return kindBool }
func (*CaseExpr) kind() nodeKind         { return kindCase }
func (*CaseTest) kind() nodeKind         { return kindCaseTest }
func (*Coalesce) kind() nodeKind         { return kindCoalesce }
func (*NullIf) kind() nodeKind           { return kindNullIf }
func (*MinMax) kind() nodeKind           { return kindMinMax }
func (*NullTest) kind() nodeKind         { return kindNullTest }
func (*BooleanTest) kind() nodeKind      { return kindBooleanTest }
func (*DistinctExpr) kind() nodeKind     { return kindDistinct }
func (*Relabel) kind() nodeKind          { return kindRelabel }
func (*CoerceViaIO) kind() nodeKind      { return kindCoerceViaIO }
func (*ArrayCoerce) kind() nodeKind      { return kindArrayCoerce }
func (*ArrayExpr) kind() nodeKind        { return kindArray }
func (*RowExpr) kind() nodeKind          { return kindRow }
func (*RowCompare) kind() nodeKind       { return kindRowCompare }
func (*FieldSelect) kind() nodeKind      { return kindFieldSelect }
func (*Subscript) kind() nodeKind        { return kindSubscript }
func (*SQLValueFunction) kind() nodeKind { return kindSQLValue }
func (*AggRef) kind() nodeKind           { return kindAgg }
func (*WindowRef) kind() nodeKind        { return kindWindow }
func (*SubqueryRef) kind() nodeKind      { return kindSubquery }
func (*SetToDefault) kind() nodeKind     { return kindSetToDefault }
