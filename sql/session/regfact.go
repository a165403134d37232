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

// splitNames takes a.b."C" apart, as the reg* types read names.
func splitNames(text string) ([]string, error) {
	bad := types.Errorf(types.CodeInvalidName, "invalid name syntax")
	var names []string
	for s := strings.Trim(text, " \t\r\n"); ; {
		var name string
		if strings.HasPrefix(s, `"`) {
			var b strings.Builder
			i := 1
			for ; i < len(s); i++ {
				if s[i] == '"' {
					if i+1 >= len(s) || s[i+1] != '"' {
						break
					}
					i++
				}
				b.WriteByte(s[i])
			}
			if i >= len(s) {
				return nil, bad
			}
			name, s = b.String(), s[i+1:]
		} else {
			end := strings.IndexAny(s, ". \t\r\n\"")
			if end < 0 {
				end = len(s)
			}
			name, s = strings.ToLower(s[:end]), s[end:]
		}
		if name == "" {
			return nil, bad
		}
		names = append(names, name)
		if s = strings.TrimLeft(s, " \t\r\n"); s == "" {
			return names, nil
		}
		if s[0] != '.' {
			return nil, bad
		}
		s = strings.TrimLeft(s[1:], " \t\r\n")
	}
}

// regRelation finds the relation that the text of a regclass names.
func (s *Session) regRelation(text string) (types.OID, error) {
	names, err := splitNames(text)
	if err != nil {
		return 0, err
	}
	n := catalog.Name{Name: names[len(names)-1]}
	switch {
	case len(names) > 3:
		return 0, types.Errorf(types.CodeSyntaxError, "improper relation name (too many dotted names): %s", strings.Join(names, "."))
	case len(names) == 3 && names[0] != s.opts.Database:
		return 0, types.Errorf(types.CodeFeatureNotSupported, "cross-database references are not implemented: \"%s\"", strings.Join(names, "."))
	case len(names) > 1:
		n.Schema = names[len(names)-2]
		if _, ok := s.resolve().Schema(n.Schema); !ok {
			return 0, types.Errorf(types.CodeInvalidSchemaName, "schema \"%s\" does not exist", n.Schema)
		}
	}
	if oid, _, ok := s.resolve().RelationOID(n); ok {
		return oid, nil
	}
	return 0, types.Errorf(types.CodeUndefinedTable, "relation \"%s\" does not exist", n)
}

// factName returns the bare name of a built-in function or operator; ok is false
// if it names another schema.
func (s *Session) factName(text string) (name string, ok bool, err error) {
	names, err := splitNames(text)
	if err != nil {
		return "", false, err
	}
	if len(names) > 3 {
		return "", false, types.Errorf(types.CodeSyntaxError, "improper qualified name (too many dotted names): %s", strings.Join(names, "."))
	}
	name = names[len(names)-1]
	if len(names) == 1 {
		return name, true, nil
	}
	schema := names[len(names)-2]
	if _, found := s.resolve().Schema(schema); !found {
		return "", false, types.Errorf(types.CodeInvalidSchemaName, "schema \"%s\" does not exist", schema)
	}
	return name, schema == "pg_catalog", nil
}

// regFact finds a built-in function or operator by name.
func (s *Session) regFact(kind types.OID, text string) (types.OID, error) {
	switch kind {
	case types.RegProcOID:
		name, ours, err := s.factName(text)
		if err != nil {
			return 0, err
		}
		list := pgfacts.ProcsByName(name)
		switch {
		case len(list) == 0 || !ours:
			return 0, types.Errorf(types.CodeUndefinedFunction, "function \"%s\" does not exist", text)
		case len(list) > 1:
			return 0, types.Errorf(types.CodeAmbiguousFunction, "more than one function named \"%s\"", text)
		}
		return list[0].OID, nil
	case types.RegOperOID:
		name, ours := operatorName(text)
		list := pgfacts.OperatorsByName(name)
		switch {
		case len(list) == 0 || !ours:
			return 0, types.Errorf(types.CodeUndefinedFunction, "operator does not exist: %s", text)
		case len(list) > 1:
			return 0, types.Errorf(types.CodeAmbiguousFunction, "more than one operator named %s", text)
		}
		return list[0].OID, nil
	case types.RegProcedureOID:
		return s.regProcedure(text)
	case types.RegOperatorOID:
		return s.regOperator(text)
	}
	return 0, types.Errorf(types.CodeUndefinedObject, "\"%s\" does not exist", text)
}

// operatorName takes the schema off an operator's name.
func operatorName(text string) (name string, ours bool) {
	text = strings.Trim(text, " \t\r\n")
	if i := strings.LastIndexByte(text, '.'); i >= 0 {
		return text[i+1:], strings.Trim(text[:i], ` "`) == "pg_catalog"
	}
	return text, true
}

func (s *Session) regProcedure(text string) (types.OID, error) {
	head, args, err := s.nameAndTypes(text, false)
	if err != nil {
		return 0, err
	}
	name, ours, err := s.factName(head)
	if err != nil {
		return 0, err
	}
	for _, p := range pgfacts.ProcsByName(name) {
		if ours && sameOIDs(p.Args, args) {
			return p.OID, nil
		}
	}
	return 0, types.Errorf(types.CodeUndefinedFunction, "function \"%s\" does not exist", text)
}

func (s *Session) regOperator(text string) (types.OID, error) {
	head, args, err := s.nameAndTypes(text, true)
	if err != nil {
		return 0, err
	}
	switch {
	case len(args) == 1:
		return 0, types.Errorf(types.CodeUndefinedParameter, "missing argument").
			WithHint("Use NONE to denote the missing argument of a unary operator.")
	case len(args) != 2:
		return 0, types.Errorf(types.CodeTooManyArguments, "too many arguments").WithHint("Provide two argument types for operator.")
	}
	name, ours := operatorName(head)
	for _, o := range pgfacts.OperatorsByName(name) {
		if ours && o.Left == args[0] && o.Right == args[1] {
			return o.OID, nil
		}
	}
	return 0, types.Errorf(types.CodeUndefinedFunction, "operator does not exist: %s", text)
}

// nameAndTypes takes name(type, type) apart. none allows NONE for a type.
func (s *Session) nameAndTypes(text string, none bool) (name string, args []types.OID, err error) {
	open := strings.IndexByte(text, '(')
	if open < 0 {
		return "", nil, types.Errorf(types.CodeInvalidTextRepresentation, "expected a left parenthesis")
	}
	rest := strings.TrimRight(text[open+1:], " \t\r\n")
	if !strings.HasSuffix(rest, ")") {
		return "", nil, types.Errorf(types.CodeInvalidTextRepresentation, "expected a right parenthesis")
	}
	rest = strings.TrimSuffix(rest, ")")
	if strings.TrimSpace(rest) == "" {
		return text[:open], nil, nil
	}
	for _, a := range splitTypes(rest) {
		if none && strings.EqualFold(a, "none") {
			args = append(args, 0)
			continue
		}
		t, err := s.regType(a)
		if err != nil {
			return "", nil, err
		}
		args = append(args, t)
	}
	return text[:open], args, nil
}

// splitTypes cuts a list of types at the commas outside of parentheses and quotes.
func splitTypes(s string) []string {
	var out []string
	depth, quoted, from := 0, false, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(' || c == '[':
			depth++
		case c == ')' || c == ']':
			depth--
		case c == ',' && depth == 0:
			out = append(out, strings.TrimSpace(s[from:i]))
			from = i + 1
		}
	}
	return append(out, strings.TrimSpace(s[from:]))
}

// regType finds the type that the text of a regtype names.
func (s *Session) regType(text string) (types.OID, error) {
	t, err := s.parseType(text)
	if err == nil {
		return t.OID, nil
	}
	if types.CodeOf(err) == types.CodeInvalidSchemaName {
		return 0, withoutPlace(err)
	}
	return 0, types.Errorf(types.CodeUndefinedObject, "type \"%s\" does not exist", text)
}

// withoutPlace takes the position off an error about text that is not the
// statement's.
func withoutPlace(err error) error {
	if e, ok := err.(*types.Error); ok && e.Position != 0 {
		c := *e
		c.Position = 0
		return &c
	}
	return err
}

func sameOIDs(a, b []types.OID) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
