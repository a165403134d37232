package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// kind classifies a field by how it is held and serialized.
type kind int

const (
	kindScalar  kind = iota // string, bool, integers; raw nodes hold no floats
	kindEnum                // a named enum
	kindNode                // any node
	kindMessage             // a node of one known type
	kindConst               // the value of a constant: one of five messages
)

type field struct {
	name     string
	num      int
	kind     kind
	goType   string // element type, as the tree has it
	wireType string // element type, as the bindings have it
	repeated bool
	alts     []alternative // of kindConst
}

type alternative struct {
	num    int
	goType string
}

type message struct {
	name    string
	fields  []field
	nodeNum int // its number among the alternatives of a node, 0 if it is none
}

type enum struct {
	name   string
	values []enumValue
}

type enumValue struct {
	name string
	num  string
}

type schema struct {
	messages []*message // by name
	byName   map[string]*message
	enums    []*enum
}

// analyzed lists nodes that only parse analysis or planning makes: they never
// occur in a raw tree.
var analyzed = set(`Var Param Aggref WindowFunc WindowFuncRunCondition SubscriptingRef FuncExpr OpExpr
	DistinctExpr NullIfExpr ScalarArrayOpExpr SubPlan AlternativeSubPlan FieldSelect FieldStore RelabelType
	CoerceViaIO ArrayCoerceExpr ConvertRowtypeExpr CollateExpr CaseTestExpr ArrayExpr RowCompareExpr
	JsonConstructorExpr JsonExpr JsonTablePath JsonTablePathScan JsonTableSiblingJoin CoerceToDomain
	CoerceToDomainValue NextValueExpr InferenceElem TargetEntry RangeTblRef FromExpr OnConflictExpr Query
	RangeTblEntry RTEPermissionInfo RangeTblFunction WithCheckOption SortGroupClause WindowClause
	RowMarkClause SetOperationStmt CallContext InlineCodeBlock TableFunc MergeAction`)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

type loader struct {
	structs map[string]*ast.StructType
	enums   map[string]*enum
}

func load(path string) (*schema, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		return nil, err
	}
	l := &loader{structs: map[string]*ast.StructType{}, enums: map[string]*enum{}}
	for _, d := range file.Decls {
		if g, ok := d.(*ast.GenDecl); ok {
			l.collect(g)
		}
	}
	s := &schema{byName: map[string]*message{}}
	if err := l.addNodes(s); err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, m := range s.messages {
		if err := l.addFields(s, m, used); err != nil {
			return nil, err
		}
	}
	for name := range used {
		s.enums = append(s.enums, l.enums[name])
	}
	sort.Slice(s.enums, func(i, j int) bool { return s.enums[i].name < s.enums[j].name })
	return s, nil
}

func (l *loader) collect(g *ast.GenDecl) {
	for _, spec := range g.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if st, ok := spec.Type.(*ast.StructType); ok {
				l.structs[spec.Name.Name] = st
			} else if id, ok := spec.Type.(*ast.Ident); ok && id.Name == "int32" {
				l.enums[spec.Name.Name] = &enum{name: spec.Name.Name}
			}
		case *ast.ValueSpec:
			id, ok := spec.Type.(*ast.Ident)
			if g.Tok != token.CONST || !ok || l.enums[id.Name] == nil {
				continue
			}
			e := l.enums[id.Name]
			name := strings.TrimPrefix(spec.Names[0].Name, e.name+"_")
			e.values = append(e.values, enumValue{name, spec.Values[0].(*ast.BasicLit).Value})
		}
	}
}

// addNodes finds the alternatives of the bindings' Node and keeps those that a
// raw tree may hold.
func (l *loader) addNodes(s *schema) error {
	for name, st := range l.structs {
		if !strings.HasPrefix(name, "Node_") {
			continue
		}
		f := st.Fields.List[0]
		num, err := number(f)
		if err != nil {
			return err
		}
		target := f.Type.(*ast.StarExpr).X.(*ast.Ident).Name
		if analyzed[target] {
			continue
		}
		s.byName[target] = &message{name: target, nodeNum: num}
		s.messages = append(s.messages, s.byName[target])
	}
	sort.Slice(s.messages, func(i, j int) bool { return s.messages[i].name < s.messages[j].name })
	return nil
}

var numberInTag = regexp.MustCompile(`^(varint|bytes|fixed64),(\d+),`)

func number(f *ast.Field) (int, error) {
	tag, err := strconv.Unquote(f.Tag.Value)
	if err != nil {
		return 0, err
	}
	m := numberInTag.FindStringSubmatch(reflect.StructTag(tag).Get("protobuf"))
	if m == nil {
		return 0, fmt.Errorf("no field number in %s", tag)
	}
	return strconv.Atoi(m[2])
}

func (l *loader) addFields(s *schema, m *message, usedEnums map[string]bool) error {
	for _, f := range l.structs[m.name].Fields.List {
		name := f.Names[0].Name
		if !ast.IsExported(name) || name == "Xpr" {
			continue
		}
		out := field{name: name}
		if m.name == "A_Const" && name == "Val" {
			out.kind, out.goType = kindConst, "Node"
			for _, alt := range []string{"Ival", "Fval", "Boolval", "Sval", "Bsval"} {
				af := l.structs["A_Const_"+alt].Fields.List[0]
				num, err := number(af)
				if err != nil {
					return err
				}
				out.alts = append(out.alts, alternative{num, af.Type.(*ast.StarExpr).X.(*ast.Ident).Name})
			}
			m.fields = append(m.fields, out)
			continue
		}
		num, err := number(f)
		if err != nil {
			return err
		}
		out.num = num
		t := f.Type
		if arr, ok := t.(*ast.ArrayType); ok {
			out.repeated, t = true, arr.Elt
		}
		keep := l.classify(&out, t, s, usedEnums)
		if keep {
			m.fields = append(m.fields, out)
		}
	}
	return nil
}

// classify fills in kind and types; it answers false for a field that only
// analysis fills.
func (l *loader) classify(out *field, t ast.Expr, s *schema, usedEnums map[string]bool) bool {
	if star, ok := t.(*ast.StarExpr); ok {
		target := star.X.(*ast.Ident).Name
		if target == "Node" {
			out.kind, out.goType = kindNode, "Node"
			return true
		}
		out.kind, out.goType = kindMessage, target
		return s.byName[target] != nil
	}
	out.goType = t.(*ast.Ident).Name
	out.wireType = out.goType
	if l.enums[out.goType] != nil {
		out.kind = kindEnum
		usedEnums[out.goType] = true
		return true
	}
	isOffset := strings.HasSuffix(out.name, "Location") || out.name == "StmtLen"
	if out.goType == "int32" && isOffset {
		out.goType = "int"
	}
	return true
}
