package bind

import (
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// TypeOf resolves a type name with its modifiers.
func TypeOf(r catalog.Resolver, n *ast.TypeName) (types.Type, error) {
	t, err := typeOf(r, n)
	return t, at(err, n.Location)
}

// typeName is TypeOf for a statement's own types: it says where a precision is
// more than there is.
func (b *binder) typeName(n *ast.TypeName) (types.Type, error) {
	t, err := TypeOf(b.resolver, n)
	if err != nil || len(n.Typmods) != 1 {
		return t, err
	}
	word, zone := "", ""
	switch t.OID {
	case types.TimeOID:
		word = "TIME"
	case types.TimeTZOID:
		word, zone = "TIME", " WITH TIME ZONE"
	case types.TimestampOID:
		word = "TIMESTAMP"
	case types.TimestampTZOID:
		word, zone = "TIMESTAMP", " WITH TIME ZONE"
	default:
		return t, nil
	}
	if c, ok := n.Typmods[0].(*ast.A_Const); ok {
		if v, ok := c.Val.(*ast.Integer); ok && v.Ival > maxTimePrecision {
			e := types.Errorf(types.CodeInvalidParameterValue, "%s(%d)%s precision reduced to maximum allowed, %d", word, v.Ival, zone, maxTimePrecision)
			e.Severity = "WARNING"
			b.notices = append(b.notices, e)
		}
	}
	return t, nil
}

// maxTimePrecision is how many digits of a second there are.
const maxTimePrecision = 6

func typeOf(r catalog.Resolver, n *ast.TypeName) (types.Type, error) {
	names := stringsOf(n.Names)
	if len(names) == 0 {
		return types.Of(types.OID(n.TypeOid)), nil
	}
	if n.PctType {
		return types.Type{}, types.Errorf(types.CodeFeatureNotSupported, "%%TYPE is not supported")
	}
	oid, err := typeOID(r, names)
	if err != nil {
		return types.Type{}, err
	}
	t := types.Of(oid)
	if len(n.Typmods) > 0 {
		if t.Mod, err = typmod(oid, n.Typmods); err != nil {
			return types.Type{}, err
		}
	} else if n.Typemod >= 0 && n.TypeOid != 0 {
		t.Mod = n.Typemod
	}
	if len(n.ArrayBounds) > 0 {
		a := types.ArrayOf(oid)
		if a == 0 {
			return types.Type{}, types.Errorf(types.CodeUndefinedObject, "could not find array type for data type %s", types.Format(oid, -1))
		}
		t.OID = a
	}
	return t, nil
}

// aliasTypes are names that the grammar passes on when quoted or written as
// plain identifiers.
var aliasTypes = map[string]types.OID{
	"string": types.TextOID, "bytes": types.ByteaOID,
}

func typeOID(r catalog.Resolver, names []string) (types.OID, error) {
	name := names[len(names)-1]
	if len(names) == 1 || names[len(names)-2] == "pg_catalog" {
		if i, ok := types.LookupName(name); ok {
			return i.OID, nil
		}
	}
	if r != nil {
		cn := catalog.Name{Name: name}
		if len(names) > 1 {
			cn.Schema = names[len(names)-2]
			if _, ok := r.Schema(cn.Schema); !ok {
				return 0, types.Errorf(types.CodeInvalidSchemaName, "schema \"%s\" does not exist", cn.Schema)
			}
		}
		if t, ok := r.Type(cn); ok {
			if t.Class == catalog.DomainType {
				return t.Base.OID, nil
			}
			return t.ID, nil
		}
	}
	if r != nil {
		cn := catalog.Name{Name: name}
		if len(names) > 1 {
			cn.Schema = names[len(names)-2]
		}
		if _, ok := r.Relation(cn); ok {
			return 0, types.Errorf(types.CodeFeatureNotSupported, "row types such as \"%s\" are not supported", strings.Join(names, "."))
		}
	}
	if oid, ok := aliasTypes[name]; ok && len(names) == 1 {
		return oid, nil
	}
	return 0, types.Errorf(types.CodeUndefinedObject, "type \"%s\" does not exist", strings.Join(names, "."))
}

func typmod(oid types.OID, mods []ast.Node) (int32, error) {
	vals := make([]int32, len(mods))
	for i, m := range mods {
		c, ok := m.(*ast.A_Const)
		if !ok {
			return 0, types.Errorf(types.CodeSyntaxError, "type modifiers must be simple constants or identifiers")
		}
		v, ok := c.Val.(*ast.Integer)
		if !ok {
			return 0, types.Errorf(types.CodeInvalidParameterValue, "type modifiers must be simple constants or identifiers")
		}
		vals[i] = v.Ival
	}
	switch oid {
	case types.VarCharOID, types.BPCharOID:
		return lengthMod(oid, vals)
	case types.NumericOID:
		return numericMod(vals)
	case types.TimeOID, types.TimeTZOID, types.TimestampOID, types.TimestampTZOID:
		if len(vals) != 1 {
			return 0, types.Errorf(types.CodeInvalidParameterValue, "invalid type modifier")
		}
		if vals[0] < 0 {
			return 0, types.Errorf(types.CodeInvalidParameterValue, "%s(%d) precision must not be negative", strings.ToUpper(types.Format(oid, -1)), vals[0])
		}
		return min(vals[0], maxTimePrecision), nil
	case types.IntervalOID:
		return intervalMod(vals)
	case types.BitOID, types.VarBitOID:
		if len(vals) != 1 || vals[0] < 1 {
			return 0, types.Errorf(types.CodeInvalidParameterValue, "length for type bit must be at least 1")
		}
		return vals[0], nil
	}
	return 0, types.Errorf(types.CodeSyntaxError, "type modifier is not allowed for type \"%s\"", types.Format(oid, -1))
}

func lengthMod(oid types.OID, vals []int32) (int32, error) {
	name := "varchar"
	if oid == types.BPCharOID {
		name = "char"
	}
	const maxLength = 10 * 1024 * 1024
	switch {
	case len(vals) != 1:
		return 0, types.Errorf(types.CodeInvalidParameterValue, "invalid type modifier")
	case vals[0] < 1:
		return 0, types.Errorf(types.CodeInvalidParameterValue, "length for type %s must be at least 1", name)
	case vals[0] > maxLength:
		return 0, types.Errorf(types.CodeInvalidParameterValue, "length for type %s cannot exceed %d", name, maxLength)
	}
	return vals[0] + 4, nil
}

func numericMod(vals []int32) (int32, error) {
	if len(vals) < 1 || len(vals) > 2 {
		return 0, types.Errorf(types.CodeInvalidParameterValue, "invalid NUMERIC type modifier")
	}
	if vals[0] < 1 || vals[0] > 1000 {
		return 0, types.Errorf(types.CodeInvalidParameterValue, "NUMERIC precision %d must be between 1 and 1000", vals[0])
	}
	scale := int32(0)
	if len(vals) == 2 {
		scale = vals[1]
	}
	if scale < -1000 || scale > 1000 {
		return 0, types.Errorf(types.CodeInvalidParameterValue, "NUMERIC scale %d must be between -1000 and 1000", scale)
	}
	return types.MakeNumericMod(int(vals[0]), int(scale)), nil
}

func intervalMod(vals []int32) (int32, error) {
	const fullRange, fullPrecision = 0x7fff, 0xffff
	switch len(vals) {
	case 1:
		return vals[0]<<16 | fullPrecision, nil
	case 2:
		if vals[1] < 0 {
			return 0, types.Errorf(types.CodeInvalidParameterValue, "INTERVAL(%d) precision must not be negative", vals[1])
		}
		return (vals[0]&fullRange)<<16 | min(vals[1], 6), nil
	}
	return 0, types.Errorf(types.CodeInvalidParameterValue, "invalid INTERVAL type modifier")
}
