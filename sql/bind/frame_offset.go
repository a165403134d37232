package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/expr"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// rangeOffset binds the offset of a RANGE frame, whose type follows from that of
// the column that the window is ordered by.
func (q *query) rangeOffset(n ast.Node, w *expr.WindowRef) (expr.Expr, error) {
	e, err := q.expr(n)
	if err != nil || len(w.OrderBy) != 1 {
		return e, err
	}
	col := w.OrderBy[0].Arg.Type()
	var want types.Type
	switch col.OID {
	case types.Int2OID, types.Int4OID, types.Int8OID:
		if want = types.Of(col.OID); types.IsIntegerLike(e.Type().OID) {
			want = types.Int8Type
		}
	case types.Float4OID, types.Float8OID:
		want = types.Of(types.Float8OID)
	case types.NumericOID:
		want = types.NumericType
	case types.DateOID, types.TimestampOID, types.TimestampTZOID, types.TimeOID, types.IntervalOID:
		want = types.Of(types.IntervalOID)
	default:
		return nil, types.Errorf(types.CodeFeatureNotSupported, "RANGE with offset PRECEDING/FOLLOWING is not supported for column type %s",
			types.Format(col.OID, -1)).At(expr.LocationOf(e))
	}
	from := e.Type().OID
	if from != types.UnknownOID && !pgfacts.CanCoerce(from, want.OID, pgfacts.Implicit) {
		return nil, types.Errorf(types.CodeFeatureNotSupported, "RANGE with offset PRECEDING/FOLLOWING is not supported for column type %s and offset type %s",
			types.Format(col.OID, -1), types.Format(from, -1)).WithHint("Cast the offset value to an appropriate type.").At(expr.LocationOf(e))
	}
	return q.b.coerce(e, want, pgfacts.Implicit, "", expr.LocationOf(e)-1)
}
