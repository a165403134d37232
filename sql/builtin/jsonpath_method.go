package builtin

import (
	"math"

	"github.com/pamirdb/pamir/sql/types"
)

// method runs a method of an item.
func (r *pathRun) method(i *types.PathItem, v *pathValue, found *pathFound) (pathStatus, error) {
	switch i.Kind {
	case types.PathType:
		return r.next(i, &pathValue{j: stringJSONB(v.typeName())}, found)
	case types.PathSize:
		size := 1
		if v.isArray() {
			size = v.j.Len()
		} else if !r.lax {
			return r.missing(types.CodeJSONArrayNotFound, "jsonpath item method .size() can only be applied to an array")
		}
		return r.next(i, numberValue(types.NumericFromInt(int64(size))), found)
	case types.PathDouble:
		return r.double(i, v, found)
	case types.PathDatetime:
		return r.datetime(i, v, found)
	case types.PathKeyValue:
		return r.keyValue(i, v, found)
	}
	if v.kind() != types.JSONNumber {
		return r.fail(types.CodeNonNumericJSONItem, "jsonpath item method .%s() can only be applied to a numeric value", i.Kind)
	}
	n := v.j.Num()
	switch i.Kind {
	case types.PathAbs:
		n = n.Abs()
	case types.PathFloor:
		n = n.Floor()
	default:
		n = n.Ceil()
	}
	return r.next(i, numberValue(n), found)
}

func (v *pathValue) typeName() string {
	switch v.kind() {
	case types.JSONNull:
		return "null"
	case types.JSONBool:
		return "boolean"
	case types.JSONNumber:
		return "number"
	case types.JSONString:
		return "string"
	case types.JSONArray:
		return "array"
	case types.JSONObject:
		return "object"
	}
	return types.Format(v.when.oid, -1)
}

// double runs .double().
func (r *pathRun) double(i *types.PathItem, v *pathValue, found *pathFound) (pathStatus, error) {
	switch v.kind() {
	case types.JSONNumber:
		if f := v.j.Num().Float64(); math.IsInf(f, 0) || math.IsNaN(f) {
			return r.fail(types.CodeNonNumericJSONItem, "numeric argument of jsonpath item method .double() is out of range for type double precision")
		}
		return r.next(i, v, found)
	case types.JSONString:
		d, err := types.ParseText(types.Float8Type, string(v.j.Str()), nil)
		if err != nil {
			return r.fail(types.CodeNonNumericJSONItem,
				"string argument of jsonpath item method .double() is not a valid representation of a double precision number")
		}
		n, err := types.NumericFromFloat(d.Float(), 64)
		if err != nil || math.IsInf(d.Float(), 0) || math.IsNaN(d.Float()) {
			return r.fail(types.CodeNonNumericJSONItem,
				"string argument of jsonpath item method .double() is not a valid representation of a double precision number")
		}
		return r.next(i, numberValue(n), found)
	}
	return r.fail(types.CodeNonNumericJSONItem, "jsonpath item method .double() can only be applied to a string or numeric value")
}

// idScale keeps the numbers of objects apart from the places within one.
const idScale = 10000000000

// keyValue runs .keyvalue(): an object for each pair, with a number that tells from
// which object it is.
func (r *pathRun) keyValue(i *types.PathItem, v *pathValue, found *pathFound) (pathStatus, error) {
	if !v.isObject() {
		return r.fail(types.CodeJSONObjectNotFound, "jsonpath item method .keyvalue() can only be applied to an object")
	}
	root, at := v.place()
	id := types.NumericFromInt(root.id*idScale + int64(at))
	st := pathNone
	for k := 0; k < v.j.Len(); k++ {
		pair := treeValue(&types.JSONValue{Kind: types.JSONObject, Keys: []string{"id", "key", "value"}, Elems: []*types.JSONValue{
			{Kind: types.JSONNumber, Num: id}, {Kind: types.JSONString, Str: string(v.j.Key(k))}, v.j.Elem(k).Tree()}})
		pair.id = r.nextID
		r.nextID++
		var err error
		if st, err = r.next(i, pair, found); err != nil || st == pathFailed || st == pathOK && found == nil {
			return st, err
		}
	}
	return st, nil
}

// place finds the value that v lies in, and how many bytes behind its start v begins
// in PostgreSQL's layout, by which PostgreSQL numbers objects.
func (v *pathValue) place() (root *pathValue, at int) {
	if v.parent == nil {
		return v, 0
	}
	root, at = v.parent.place()
	return root, pgElemStart(v.parent.j, v.index, at)
}

// pgElemStart is where element i of a container begins that begins at start.
func pgElemStart(j types.JSONB, i, start int) int { return pgAlign(pgElemsEnd(j, i, start)) }

// pgElemsEnd is where the first n values of a container end that begins at start:
// behind a header and an entry for each key and value come the keys, then the values;
// numbers and containers begin at multiples of four.
func pgElemsEnd(j types.JSONB, n, start int) int {
	pos := start + 4 + 4*j.Len()
	if j.Kind() == types.JSONObject {
		pos += 4 * j.Len()
		for k := 0; k < j.Len(); k++ {
			pos += len(j.Key(k))
		}
	}
	for k := 0; k < n; k++ {
		pos = pgEnd(j.Elem(k), pos)
	}
	return pos
}

func pgAlign(pos int) int { return (pos + 3) &^ 3 }

// pgEnd is where a value ends that follows what ends at pos.
func pgEnd(j types.JSONB, pos int) int {
	switch j.Kind() {
	case types.JSONString:
		return pos + len(j.Str())
	case types.JSONNumber:
		return pgAlign(pos) + 4 + pgNumericSize(j.Num())
	case types.JSONArray, types.JSONObject:
		return pgElemsEnd(j, j.Len(), pgAlign(pos))
	}
	return pos
}

// pgNumericSize is how many bytes PostgreSQL keeps a number in, without the length:
// a header of two bytes, or of four if the scale or the weight is large, and two
// bytes for each four decimal digits from the first to the last that is not zero.
func pgNumericSize(n types.Numeric) int {
	image := types.AppendBinary(nil, types.NumericOID, types.NewNumeric(n), nil)
	if len(image) < 8 {
		return 2
	}
	digits := int(image[0])<<8 | int(image[1])
	weight := int(int16(uint16(image[2])<<8 | uint16(image[3])))
	scale := int(image[6])<<8 | int(image[7])
	header := 2
	if scale > 63 || weight > 63 || weight < -64 {
		header = 4
	}
	return header + 2*digits
}
