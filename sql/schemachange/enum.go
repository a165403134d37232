package schemachange

import (
	"slices"

	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/types"
)

// alterEnum carries out ALTER TYPE ... ADD VALUE and RENAME VALUE. A label keeps
// its place for ever, since values carry it; a new one gets a place between its
// neighbours.
func (e *Env) alterEnum(s *ast.AlterEnumStmt) error {
	n := splitName(stringList(s.TypeName))
	old, ok := e.resolver().Type(n)
	if !ok {
		return types.Errorf(types.CodeUndefinedObject, "type \"%s\" does not exist", n)
	}
	if err := e.mustOwn(&old.Header, "type"); err != nil {
		return err
	}
	if old.Class != catalog.EnumType {
		return types.Errorf(types.CodeWrongObjectType, "%s is not an enum", n)
	}
	t, err := clone(old)
	if err != nil {
		return err
	}
	find := func(label string) int {
		return slices.IndexFunc(t.Labels, func(l catalog.EnumLabel) bool { return l.Label == label })
	}
	if s.OldVal != "" {
		return e.renameLabel(t, s, find)
	}
	if len(s.NewVal) > maxIdentifier {
		return types.Errorf(types.CodeInvalidName, "invalid enum label \"%s\"", s.NewVal).WithDetail("Labels must be %d bytes or less.", maxIdentifier)
	}
	if find(s.NewVal) >= 0 {
		if s.SkipIfNewValExists {
			e.notice(types.CodeDuplicateObject, "enum label \"%s\" already exists, skipping", s.NewVal)
			return nil
		}
		return types.Errorf(types.CodeDuplicateObject, "enum label \"%s\" already exists", s.NewVal)
	}
	at := len(t.Labels)
	if s.NewValNeighbor != "" {
		if at = find(s.NewValNeighbor); at < 0 {
			return types.Errorf(types.CodeInvalidParameterValue, "\"%s\" is not an existing enum label", s.NewValNeighbor)
		}
		if s.NewValIsAfter {
			at++
		}
	}
	place, err := placeBetween(t.Labels, at)
	if err != nil {
		return err
	}
	oid, err := e.oid()
	if err != nil {
		return err
	}
	t.Labels = slices.Insert(t.Labels, at, catalog.EnumLabel{OID: oid, Label: s.NewVal, Sort: place})
	e.Change.Put(t)
	return nil
}

// placeBetween returns a place for a label before the one at position at.
func placeBetween(labels []catalog.EnumLabel, at int) (float64, error) {
	switch {
	case len(labels) == 0:
		return 1, nil
	case at == 0:
		return labels[0].Sort - 1, nil
	case at == len(labels):
		return labels[at-1].Sort + 1, nil
	}
	lo, hi := labels[at-1].Sort, labels[at].Sort
	mid := lo + (hi-lo)/2
	if mid <= lo || mid >= hi {
		return 0, types.Errorf(types.CodeProgramLimitExceeded, "no place is left between enum labels \"%s\" and \"%s\"", labels[at-1].Label, labels[at].Label)
	}
	return mid, nil
}

// renameLabel renames a label of a type that no table uses: values carry it.
func (e *Env) renameLabel(t *catalog.Type, s *ast.AlterEnumStmt, find func(string) int) error {
	at := find(s.OldVal)
	if at < 0 {
		return types.Errorf(types.CodeInvalidParameterValue, "\"%s\" is not an existing enum label", s.OldVal)
	}
	if find(s.NewVal) >= 0 {
		return types.Errorf(types.CodeDuplicateObject, "enum label \"%s\" already exists", s.NewVal)
	}
	used := ""
	e.Change.Snapshot().Each(func(d catalog.Descriptor) bool {
		x, ok := d.(*catalog.Table)
		if !ok {
			return true
		}
		for i := range x.Columns {
			if oid := x.Columns[i].Type.OID; oid == t.ID || oid == t.Array {
				used = x.Name
			}
		}
		return used == ""
	})
	if used != "" {
		return types.Errorf(types.CodeFeatureNotSupported, "cannot rename a label of an enum that table \"%s\" uses", used)
	}
	t.Labels[at].Label = s.NewVal
	e.Change.Put(t)
	return nil
}
