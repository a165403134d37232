package session

import (
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/bind"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// castTarget is the type of a cast.
func castTarget(n ast.Node, r catalog.Resolver) (types.Type, error) {
	c, ok := n.(*ast.TypeCast)
	if !ok {
		return types.Type{}, types.Errorf(types.CodeSyntaxError, "invalid type name")
	}
	return bind.TypeOf(r, c.TypeName)
}

// regFact finds a built-in function or operator by name.
func regFact(kind types.OID, name string) (types.OID, error) {
	short := strings.TrimPrefix(name, "pg_catalog.")
	switch kind {
	case types.RegProcOID, types.RegProcedureOID:
		if i := strings.IndexByte(short, '('); i > 0 {
			short = short[:i]
		}
		list := pgfacts.ProcsByName(short)
		switch {
		case len(list) == 0:
			return 0, types.Errorf(types.CodeUndefinedFunction, "function \"%s\" does not exist", name)
		case len(list) > 1 && kind == types.RegProcOID:
			return 0, types.Errorf(types.CodeAmbiguousFunction, "more than one function named \"%s\"", name)
		}
		return list[0].OID, nil
	case types.RegOperOID, types.RegOperatorOID:
		list := pgfacts.OperatorsByName(short)
		if len(list) == 0 {
			return 0, types.Errorf(types.CodeUndefinedFunction, "operator does not exist: %s", name)
		}
		return list[0].OID, nil
	}
	return 0, types.Errorf(types.CodeUndefinedObject, "\"%s\" does not exist", name)
}
