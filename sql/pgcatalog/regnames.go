package pgcatalog

import (
	"strings"

	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// RegName implements types.NameResolver.
func (n Names) RegName(kind, oid types.OID) (string, bool) {
	switch kind {
	case types.RegClassOID:
		return QualifiedRelation(n.Resolver, oid)
	case types.RegTypeOID:
		if _, ok := types.Lookup(oid); ok {
			return types.Format(oid, -1), true
		}
		if v := TypeName(n.Resolver, types.Of(oid)); v != "" && v != "???" {
			return v, true
		}
	case types.RegRoleOID, types.RegNamespaceOID:
		if d, ok := n.Resolver.ByOID(oid); ok {
			return QuoteIdent(d.Head().Name), true
		}
	case types.RegProcOID, types.RegProcedureOID:
		return procName(kind, oid)
	case types.RegOperOID, types.RegOperatorOID:
		return operatorText(kind, oid)
	}
	return "", false
}

// procName prints a function: with its arguments, or with its schema where the
// bare name could mean others.
func procName(kind, oid types.OID) (string, bool) {
	p, ok := pgfacts.ProcByOID(oid)
	switch {
	case !ok:
		return "", false
	case kind == types.RegProcedureOID:
		return QuoteIdent(p.Name) + "(" + argTypes(p.Args) + ")", true
	case len(pgfacts.ProcsByName(p.Name)) > 1:
		return "pg_catalog." + QuoteIdent(p.Name), true
	}
	return QuoteIdent(p.Name), true
}

func operatorText(kind, oid types.OID) (string, bool) {
	o, ok := pgfacts.OperatorByOID(oid)
	switch {
	case !ok:
		return "", false
	case kind == types.RegOperatorOID:
		return o.Name + "(" + argTypes([]types.OID{o.Left, o.Right}) + ")", true
	case len(pgfacts.OperatorsByName(o.Name)) > 1:
		return "pg_catalog." + o.Name, true
	}
	return o.Name, true
}

// argTypes lists types; no type is NONE.
func argTypes(args []types.OID) string {
	names := make([]string, len(args))
	for i, a := range args {
		if names[i] = types.Format(a, -1); a == 0 {
			names[i] = "NONE"
		}
	}
	return strings.Join(names, ",")
}
