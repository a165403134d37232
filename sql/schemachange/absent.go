package schemachange

import (
	"errors"
	"slices"
	"strings"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/bind"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// Functions, operators, casts and other kinds of objects exist here only as far as
// they are built in, since none can be created. Statements about them still get
// PostgreSQL's answer: that the object is not there, or that it cannot be dropped.

// builtinOnly are these kinds, as messages name them.
var builtinOnly = map[ast.ObjectType]string{
	ast.OBJECT_FUNCTION: "function", ast.OBJECT_PROCEDURE: "procedure", ast.OBJECT_ROUTINE: "function", ast.OBJECT_AGGREGATE: "aggregate",
	ast.OBJECT_OPERATOR: "operator", ast.OBJECT_OPCLASS: "operator class", ast.OBJECT_OPFAMILY: "operator family",
	ast.OBJECT_CAST: "cast", ast.OBJECT_TRANSFORM: "transform",
	ast.OBJECT_TRIGGER: "trigger", ast.OBJECT_RULE: "rule", ast.OBJECT_POLICY: "policy",
	ast.OBJECT_ACCESS_METHOD: "access method", ast.OBJECT_LANGUAGE: "language", ast.OBJECT_COLLATION: "collation",
	ast.OBJECT_CONVERSION: "conversion", ast.OBJECT_TSPARSER: "text search parser", ast.OBJECT_TSDICTIONARY: "text search dictionary",
	ast.OBJECT_TSTEMPLATE: "text search template", ast.OBJECT_TSCONFIGURATION: "text search configuration",
	ast.OBJECT_FOREIGN_SERVER: "server", ast.OBJECT_FDW: "foreign-data wrapper", ast.OBJECT_PUBLICATION: "publication",
	ast.OBJECT_SUBSCRIPTION: "subscription", ast.OBJECT_STATISTIC_EXT: "statistics object", ast.OBJECT_EVENT_TRIGGER: "event trigger",
	ast.OBJECT_EXTENSION: "extension", ast.OBJECT_TABLESPACE: "tablespace",
}

// objectTags are the command tags' words of these kinds where they are not the
// messages' words in capitals.
var objectTags = map[ast.ObjectType]string{ast.OBJECT_ROUTINE: "ROUTINE", ast.OBJECT_FDW: "FOREIGN DATA WRAPPER",
	ast.OBJECT_STATISTIC_EXT: "STATISTICS", ast.OBJECT_FOREIGN_TABLE: "FOREIGN TABLE"}

// builtin looks up an object of such a kind. Without one, absent says so; err is for
// names that mean nothing, such as those of types of arguments.
func (e *Env) builtin(kind ast.ObjectType, n ast.Node) (shown string, absent, err error) {
	switch x := n.(type) {
	case *ast.ObjectWithArgs:
		if kind == ast.OBJECT_OPERATOR {
			return e.builtinOperator(x)
		}
		return e.builtinFunction(kind, x)
	case *ast.String:
		return e.builtinNamed(kind, catalog.Name{Name: x.Sval})
	case *ast.List:
		switch kind {
		case ast.OBJECT_CAST:
			return e.builtinCast(x.Items)
		case ast.OBJECT_TRANSFORM:
			return e.builtinTransform(x.Items)
		case ast.OBJECT_OPCLASS, ast.OBJECT_OPFAMILY:
			parts := stringList(x.Items)
			return e.builtinOpclass(kind, parts[0], splitName(parts[1:]))
		case ast.OBJECT_TRIGGER, ast.OBJECT_RULE, ast.OBJECT_POLICY:
			parts := stringList(x.Items)
			last := len(parts) - 1
			return e.partOfRelation(kind, splitName(parts[:last]), parts[last])
		}
		return e.builtinNamed(kind, splitName(stringList(x.Items)))
	}
	return "", types.Errorf(types.CodeFeatureNotSupported, "%s is not supported", objectName(kind)), nil
}

// needSchema returns an error if a name's schema does not exist.
func (e *Env) needSchema(n catalog.Name) error {
	if n.Schema == "" {
		return nil
	}
	if _, ok := e.resolver().Schema(n.Schema); !ok {
		return types.Errorf(types.CodeInvalidSchemaName, "schema \"%s\" does not exist", n.Schema)
	}
	return nil
}

// builtinNamed looks up an object that has a name and no more.
func (e *Env) builtinNamed(kind ast.ObjectType, n catalog.Name) (shown string, absent, err error) {
	if err := e.needSchema(n); err != nil {
		return "", nil, err
	}
	table := map[ast.ObjectType]string{ast.OBJECT_ACCESS_METHOD: "pg_am", ast.OBJECT_LANGUAGE: "pg_language",
		ast.OBJECT_COLLATION: "pg_collation"}[kind]
	isOwn := n.Schema == "" || n.Schema == "pg_catalog"
	if row := findRow(table, map[string]string{nameColumn(table): n.Name}); row != nil && isOwn {
		return builtinOnly[kind] + " " + quoteIdent(n.Name), nil, nil
	}
	if kind == ast.OBJECT_COLLATION {
		return "", types.Errorf(types.CodeUndefinedObject, "collation \"%s\" for encoding \"UTF8\" does not exist", n), nil
	}
	return "", types.Errorf(types.CodeUndefinedObject, "%s \"%s\" does not exist", builtinOnly[kind], n), nil
}

// nameColumn is the column of a catalog table that has the objects' names.
func nameColumn(table string) string {
	return map[string]string{"pg_am": "amname", "pg_language": "lanname", "pg_collation": "collname", "pg_opclass": "opcname",
		"pg_opfamily": "opfname"}[table]
}

// findRow returns the first row of the facts with these values, by columns; nil if
// there is none.
func findRow(table string, values map[string]string) map[string]string {
	t, ok := pgfacts.Rows(table)
	if !ok {
		return nil
	}
	for _, r := range t.Rows {
		row := make(map[string]string, len(r))
		for i, f := range r {
			row[t.Columns[i].Name] = f.Text
		}
		same := true
		for c, v := range values {
			same = same && row[c] == v
		}
		if same {
			return row
		}
	}
	return nil
}

// typesOf resolves the types of arguments; nil stands for NONE.
func (e *Env) typesOf(ns []ast.Node) ([]types.OID, error) {
	out := make([]types.OID, 0, len(ns))
	for _, n := range ns {
		tn, ok := n.(*ast.TypeName)
		if !ok || tn == nil {
			out = append(out, 0)
			continue
		}
		unplaced := *tn
		unplaced.Location = -1 // PostgreSQL does not say where
		t, err := bind.TypeOf(e.resolver(), &unplaced)
		if err != nil {
			return nil, err
		}
		out = append(out, t.OID)
	}
	return out, nil
}

func typeNames(oids []types.OID, sep string) string {
	var names []string
	for _, o := range oids {
		names = append(names, types.Format(o, -1))
	}
	return strings.Join(names, sep)
}

func (e *Env) builtinFunction(kind ast.ObjectType, x *ast.ObjectWithArgs) (shown string, absent, err error) {
	n := splitName(stringList(x.Objname))
	args, err := e.typesOf(x.Objargs)
	if err != nil {
		return "", nil, err
	}
	if err := e.needSchema(n); err != nil {
		return "", nil, err
	}
	var found []*pgfacts.Proc
	if n.Schema == "" || n.Schema == "pg_catalog" {
		for _, p := range pgfacts.ProcsByName(n.Name) {
			if x.ArgsUnspecified || slices.Equal(p.Args, args) {
				found = append(found, p)
			}
		}
	}
	word := builtinOnly[kind]
	signature := n.String() + "(" + typeNames(args, ", ") + ")"
	switch {
	case len(found) > 1:
		return "", nil, types.Errorf(types.CodeAmbiguousFunction, "%s name \"%s\" is not unique", word, n).
			WithHint("Specify the argument list to select the %s unambiguously.", word)
	case len(found) == 0 && x.ArgsUnspecified:
		return "", types.Errorf(types.CodeUndefinedFunction, "could not find %s %s named \"%s\"", article(word), word, n), nil
	case len(found) == 0:
		if kind == ast.OBJECT_AGGREGATE && len(args) == 0 {
			signature = n.String() + "(*)"
		}
		return "", types.Errorf(types.CodeUndefinedFunction, "%s %s does not exist", word, signature), nil
	}
	p := found[0]
	signature = n.String() + "(" + typeNames(p.Args, ", ") + ")"
	switch isAggregate := p.Kind == 'a'; {
	case kind == ast.OBJECT_AGGREGATE && !isAggregate: // DROP says it so
		err = types.Errorf(types.CodeWrongObjectType, "function %s is not an aggregate", signature)
	case kind == ast.OBJECT_FUNCTION && isAggregate:
		err = types.Errorf(types.CodeWrongObjectType, "\"%s\" is an aggregate function", n).
			WithHint("Use DROP AGGREGATE to drop aggregate functions.")
	case kind == ast.OBJECT_PROCEDURE:
		err = types.Errorf(types.CodeWrongObjectType, "%s is not a procedure", signature)
	}
	return "function " + n.Name + "(" + typeNames(p.Args, ",") + ")", nil, err
}

func article(word string) string {
	if strings.HasPrefix(word, "a") {
		return "an"
	}
	return "a"
}

func (e *Env) builtinOperator(x *ast.ObjectWithArgs) (shown string, absent, err error) {
	n := splitName(stringList(x.Objname))
	args, err := e.typesOf(x.Objargs)
	if err != nil {
		return "", nil, err
	}
	if err := e.needSchema(n); err != nil {
		return "", nil, err
	}
	for len(args) < 2 {
		args = append(args, 0)
	}
	if args[1] == 0 {
		return "", nil, types.Errorf(types.CodeSyntaxError, "postfix operators are not supported")
	}
	if _, ok := pgfacts.LookupOperator(n.Name, args[0], args[1]); ok {
		return "operator " + n.Name + "(" + typeNames(args, ",") + ")", nil, nil
	}
	left := ""
	if args[0] != 0 {
		left = types.Format(args[0], -1) + " "
	}
	return "", types.Errorf(types.CodeUndefinedFunction, "operator does not exist: %s%s %s", left, n, types.Format(args[1], -1)), nil
}

func (e *Env) builtinCast(items []ast.Node) (shown string, absent, err error) {
	t, err := e.typesOf(items)
	if err != nil {
		return "", nil, err
	}
	from, to := types.Format(t[0], -1), types.Format(t[1], -1)
	if _, ok := pgfacts.LookupCast(t[0], t[1]); ok {
		return "cast from " + from + " to " + to, nil, nil
	}
	return "", types.Errorf(types.CodeUndefinedObject, "cast from type %s to type %s does not exist", from, to), nil
}

func (e *Env) builtinTransform(items []ast.Node) (shown string, absent, err error) {
	t, err := e.typesOf(items[:1])
	if err != nil {
		return "", nil, err
	}
	lang := items[1].(*ast.String)
	if _, absent, err = e.builtin(ast.OBJECT_LANGUAGE, lang); absent != nil || err != nil {
		return "", absent, err
	}
	return "", types.Errorf(types.CodeUndefinedObject, "transform for type %s language \"%s\" does not exist", types.Format(t[0], -1), lang.Sval), nil
}

func (e *Env) builtinOpclass(kind ast.ObjectType, method string, n catalog.Name) (shown string, absent, err error) {
	am := findRow("pg_am", map[string]string{"amname": method})
	if am == nil {
		return "", nil, types.Errorf(types.CodeUndefinedObject, "access method \"%s\" does not exist", method)
	}
	if err := e.needSchema(n); err != nil {
		return "", nil, err
	}
	table, methodColumn := "pg_opclass", "opcmethod"
	if kind == ast.OBJECT_OPFAMILY {
		table, methodColumn = "pg_opfamily", "opfmethod"
	}
	if findRow(table, map[string]string{nameColumn(table): n.Name, methodColumn: am["oid"]}) != nil {
		return builtinOnly[kind] + " " + n.Name + " for access method " + method, nil, nil
	}
	return "", types.Errorf(types.CodeUndefinedObject, "%s \"%s\" does not exist for access method \"%s\"", builtinOnly[kind], n, method), nil
}

// partOfRelation is for what belongs to a table: the table may be there, such a
// part never is.
func (e *Env) partOfRelation(kind ast.ObjectType, rel catalog.Name, part string) (shown string, absent, err error) {
	if err := e.needSchema(rel); err != nil {
		return "", nil, err
	}
	if _, _, ok := e.resolver().RelationOID(rel); !ok {
		return "", nil, types.Errorf(types.CodeUndefinedTable, "relation \"%s\" does not exist", rel)
	}
	of := "table"
	if kind == ast.OBJECT_RULE {
		of = "relation"
	}
	return "", types.Errorf(types.CodeUndefinedObject, "%s \"%s\" for %s \"%s\" does not exist", builtinOnly[kind], part, of, rel.Name), nil
}

// dropBuiltin carries out DROP of an object of such a kind, which never succeeds.
func (e *Env) dropBuiltin(kind ast.ObjectType, n ast.Node, missingOk bool) error {
	shown, absent, err := e.builtin(kind, n)
	switch {
	case absent != nil:
		if text := skipText(kind, n); text != "" && missingOk && types.CodeOf(absent) != types.CodeUndefinedTable {
			e.notice("00000", "%s does not exist, skipping", text)
			return nil
		}
		return e.skipMissing(absent, missingOk)
	case err != nil:
		// Even with IF EXISTS an operator class's access method must be there.
		return e.skipMissing(err, missingOk && kind != ast.OBJECT_OPCLASS && kind != ast.OBJECT_OPFAMILY)
	}
	return types.Errorf(types.CodeDependentObjectsStillExist, "cannot drop %s because it is required by the database system", shown)
}

// skipText is how the notice names what a DROP ... IF EXISTS does not find, where it
// is not as errors do: by the words of the statement. "" if it is.
func skipText(kind ast.ObjectType, n ast.Node) string {
	switch x := n.(type) {
	case *ast.ObjectWithArgs:
		name := splitName(stringList(x.Objname)).String()
		if kind == ast.OBJECT_OPERATOR {
			return "operator " + name
		}
		word := builtinOnly[kind]
		if kind == ast.OBJECT_ROUTINE {
			word = "routine"
		}
		var args []string
		for _, a := range x.Objargs {
			args = append(args, typeText(a))
		}
		return word + " " + name + "(" + strings.Join(args, ",") + ")"
	case *ast.List:
		switch last := len(x.Items) - 1; kind {
		case ast.OBJECT_CAST:
			return "cast from type " + typeText(x.Items[0]) + " to type " + typeText(x.Items[1])
		case ast.OBJECT_TRANSFORM:
			return "transform for type " + typeText(x.Items[0]) + " language \"" + stringList(x.Items[1:])[0] + "\""
		case ast.OBJECT_TRIGGER, ast.OBJECT_RULE, ast.OBJECT_POLICY:
			parts := stringList(x.Items)
			return builtinOnly[kind] + " \"" + parts[last] + "\" for relation \"" + splitName(parts[:last]).String() + "\""
		case ast.OBJECT_COLLATION:
			return "collation \"" + splitName(stringList(x.Items)).String() + "\""
		}
	}
	return ""
}

// typeText is a type's name as the grammar has it.
func typeText(n ast.Node) string {
	t, ok := n.(*ast.TypeName)
	if !ok || t == nil {
		return "none"
	}
	return strings.Join(stringList(t.Names), ".") + strings.Repeat("[]", len(t.ArrayBounds))
}

// skipMissing turns the error of something that does not exist into a notice, if
// that is fine.
func (e *Env) skipMissing(err error, isFine bool) error {
	var t *types.Error
	if !isFine || !errors.As(err, &t) {
		return err
	}
	switch t.Code {
	case types.CodeUndefinedObject, types.CodeUndefinedFunction, types.CodeUndefinedTable, types.CodeInvalidSchemaName:
		e.notice("00000", "%s, skipping", t.Message)
		return nil
	}
	return err
}

// notYet is the error of a change to an object of such a kind: that it does not exist,
// or else that no change of it is supported.
func (e *Env) notYet(what string, kind ast.ObjectType, n ast.Node, missingOk bool) error {
	_, absent, err := e.builtin(kind, n)
	switch {
	case err != nil:
		return err
	case absent != nil:
		return e.skipMissing(absent, missingOk)
	}
	return types.Errorf(types.CodeFeatureNotSupported, "%s is not supported", what)
}

// absentRunner is runner for statements of their own about such objects.
func absentRunner(stmt ast.Node) (tag string, f func(*Env) error) {
	about := func(tag string, kind ast.ObjectType, n ast.Node, missingOk bool) (string, func(*Env) error) {
		return tag, func(e *Env) error { return e.notYet(tag, kind, n, missingOk) }
	}
	named := func(s string) ast.Node { return &ast.String{Sval: s} }
	switch s := stmt.(type) {
	case *ast.AlterFunctionStmt:
		return about(alterTag(s.Objtype), s.Objtype, s.Func, false)
	case *ast.AlterOpFamilyStmt:
		return about("ALTER OPERATOR FAMILY", ast.OBJECT_OPFAMILY, &ast.List{Items: append([]ast.Node{named(s.Amname)}, s.Opfamilyname...)}, false)
	case *ast.AlterFdwStmt:
		return about("ALTER FOREIGN DATA WRAPPER", ast.OBJECT_FDW, named(s.Fdwname), false)
	case *ast.AlterForeignServerStmt:
		return about("ALTER SERVER", ast.OBJECT_FOREIGN_SERVER, named(s.Servername), false)
	case *ast.AlterPublicationStmt:
		return about("ALTER PUBLICATION", ast.OBJECT_PUBLICATION, named(s.Pubname), false)
	case *ast.AlterSubscriptionStmt:
		return about("ALTER SUBSCRIPTION", ast.OBJECT_SUBSCRIPTION, named(s.Subname), false)
	case *ast.AlterEventTrigStmt:
		return about("ALTER EVENT TRIGGER", ast.OBJECT_EVENT_TRIGGER, named(s.Trigname), false)
	case *ast.AlterExtensionStmt:
		return about("ALTER EXTENSION", ast.OBJECT_EXTENSION, named(s.Extname), false)
	case *ast.AlterCollationStmt:
		return about("ALTER COLLATION", ast.OBJECT_COLLATION, &ast.List{Items: s.Collname}, false)
	case *ast.AlterStatsStmt:
		return about("ALTER STATISTICS", ast.OBJECT_STATISTIC_EXT, &ast.List{Items: s.Defnames}, s.MissingOk)
	case *ast.AlterUserMappingStmt:
		return about("ALTER USER MAPPING", ast.OBJECT_FOREIGN_SERVER, named(s.Servername), false)
	case *ast.DropSubscriptionStmt:
		return "DROP SUBSCRIPTION", func(e *Env) error { return e.dropBuiltin(ast.OBJECT_SUBSCRIPTION, named(s.Subname), s.MissingOk) }
	case *ast.DropTableSpaceStmt:
		return "DROP TABLESPACE", func(e *Env) error { return e.dropBuiltin(ast.OBJECT_TABLESPACE, named(s.Tablespacename), s.MissingOk) }
	case *ast.DropUserMappingStmt:
		return "DROP USER MAPPING", func(e *Env) error { return e.dropUserMapping(s) }
	case *ast.AlterDomainStmt:
		return "ALTER DOMAIN", func(e *Env) error { return e.noDomain(splitName(stringList(s.TypeName)), s.MissingOk) }
	case *ast.RefreshMatViewStmt:
		return "REFRESH MATERIALIZED VIEW", func(e *Env) error { return e.noMatview(rangeName(s.Relation)) }
	}
	return "", nil
}

func (e *Env) dropUserMapping(s *ast.DropUserMappingStmt) error {
	if r := s.User; r != nil && r.Roletype == ast.ROLESPEC_CSTRING {
		if _, ok := e.Change.Snapshot().Role(r.Rolename); !ok {
			return e.skipMissing(types.Errorf(types.CodeUndefinedObject, "role \"%s\" does not exist", r.Rolename), s.MissingOk)
		}
	}
	return e.dropBuiltin(ast.OBJECT_FOREIGN_SERVER, &ast.String{Sval: s.Servername}, s.MissingOk)
}

// noDomain is the answer to a statement about a domain: what has the name, if
// anything, is none.
func (e *Env) noDomain(n catalog.Name, missingOk bool) error {
	if err := e.needSchema(n); err != nil {
		return e.skipMissing(err, missingOk)
	}
	names := []ast.Node{&ast.String{Sval: n.Name}}
	if n.Schema != "" {
		names = append([]ast.Node{&ast.String{Sval: n.Schema}}, names...)
	}
	if _, err := bind.TypeOf(e.resolver(), &ast.TypeName{Names: names, Typemod: -1}); err != nil {
		return e.skipMissing(types.Errorf(types.CodeUndefinedObject, "type \"%s\" does not exist", n), missingOk)
	}
	return types.Errorf(types.CodeWrongObjectType, "\"%s\" is not a domain", n)
}

// noMatview is the answer to REFRESH: what has the name, if anything, is no
// materialized view.
func (e *Env) noMatview(n catalog.Name) error {
	if _, err := e.relation(n, -1); err != nil {
		return err
	}
	return types.Errorf(types.CodeFeatureNotSupported, "\"%s\" is not a materialized view", n.Name)
}

// renameAbsent is the answer to a rename of what only exists as far as it is built in.
func (e *Env) renameAbsent(s *ast.RenameStmt) error {
	what := "this form of RENAME"
	switch s.RenameType {
	case ast.OBJECT_DOMAIN, ast.OBJECT_DOMCONSTRAINT:
		if l, ok := s.Object.(*ast.List); ok {
			return e.noDomain(splitName(stringList(l.Items)), s.MissingOk)
		}
	case ast.OBJECT_TRIGGER, ast.OBJECT_RULE, ast.OBJECT_POLICY:
		_, absent, err := e.partOfRelation(s.RenameType, rangeName(s.Relation), s.Subname)
		if err == nil {
			err = absent
		}
		return e.skipMissing(err, s.MissingOk)
	}
	if _, ok := builtinOnly[s.RenameType]; ok {
		n := s.Object
		if n == nil {
			n = &ast.String{Sval: s.Subname}
		}
		return e.notYet(what, s.RenameType, n, s.MissingOk)
	}
	return types.Errorf(types.CodeFeatureNotSupported, "%s is not supported", what)
}
