package bind

import (
	"github.com/pamirdb/pamir/sql/ast"
	"github.com/pamirdb/pamir/sql/plan"
	"github.com/pamirdb/pamir/sql/types"
)

func lockName(n ast.Node) string {
	l, ok := n.(*ast.LockingClause)
	if !ok {
		return "FOR UPDATE"
	}
	switch l.Strength {
	case ast.LCS_FORKEYSHARE:
		return "FOR KEY SHARE"
	case ast.LCS_FORSHARE:
		return "FOR SHARE"
	case ast.LCS_FORNOKEYUPDATE:
		return "FOR NO KEY UPDATE"
	}
	return "FOR UPDATE"
}

func lockOf(l *ast.LockingClause) plan.Locking {
	var k plan.Locking
	switch l.Strength {
	case ast.LCS_FORKEYSHARE:
		k.Strength = plan.LockKeyShare
	case ast.LCS_FORSHARE:
		k.Strength = plan.LockShare
	case ast.LCS_FORNOKEYUPDATE:
		k.Strength = plan.LockNoKeyUpdate
	default:
		k.Strength = plan.LockUpdate
	}
	switch l.WaitPolicy {
	case ast.LockWaitSkip:
		k.Wait = plan.LockSkip
	case ast.LockWaitError:
		k.Wait = plan.LockError
	}
	return k
}

// locking binds FOR UPDATE and its kin: the keys of locked tables become junk
// columns of the select list.
func (s *selecting) locking(ns []ast.Node) error {
	for _, n := range ns {
		l, ok := n.(*ast.LockingClause)
		if !ok {
			return unsupported(n, -1)
		}
		if err := s.lockable(n); err != nil {
			return err
		}
		if err := s.lockItems(l); err != nil {
			return err
		}
	}
	return nil
}

func (s *selecting) lockable(n ast.Node) error {
	bad := func(what string) error {
		return types.Errorf(types.CodeFeatureNotSupported, "%s is not allowed with %s", lockName(n), what)
	}
	switch {
	case s.distinct:
		return bad("DISTINCT clause")
	case len(s.stmt.GroupClause) > 0:
		return bad("GROUP BY clause")
	case s.having != nil:
		return bad("HAVING clause")
	case s.hasAgg:
		return bad("aggregate functions")
	case s.hasWindow:
		return bad("window functions")
	case s.hasSRF:
		return bad("set-returning functions in the target list")
	}
	return nil
}

func (s *selecting) lockItems(l *ast.LockingClause) error {
	if len(l.LockedRels) == 0 {
		for _, it := range s.items {
			if err := s.lockItem(it, lockOf(l)); err != nil {
				return err
			}
		}
		return nil
	}
	for _, n := range l.LockedRels {
		rv, ok := n.(*ast.RangeVar)
		if !ok {
			return unsupported(n, -1)
		}
		found := false
		for _, it := range s.items {
			if it.relVisible && it.alias == rv.Relname {
				found = true
				if err := s.lockItem(it, lockOf(l)); err != nil {
					return err
				}
			}
		}
		if !found {
			return types.Errorf(types.CodeUndefinedTable, "relation \"%s\" in %s clause not found in FROM clause", rv.Relname, lockName(l)).At(position(rv.Location))
		}
	}
	return nil
}

func (s *selecting) lockItem(it *item, lock plan.Locking) error {
	if it.scan == nil || it.table == nil || it.table.PrimaryIndex() == nil {
		return nil
	}
	if err := s.b.allowed(it.table, 'w'); err != nil {
		return err
	}
	t := plan.LockTarget{Table: it.table, Lock: lock}
	for _, c := range it.table.PrimaryIndex().Columns {
		id, ok := it.scanCol(c.Column)
		if !ok {
			return nil
		}
		t.Key = append(t.Key, id)
		shown := false
		for _, x := range s.targets {
			shown = shown || equal(x.e, s.b.ref(id, s.b.meta[id].typ))
		}
		if !shown {
			s.targets = append(s.targets, target{name: s.b.meta[id].name, e: s.b.ref(id, s.b.meta[id].typ), loc: -1, junk: true})
		}
	}
	s.locks = append(s.locks, t)
	return nil
}
