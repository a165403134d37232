package pgfacts

import (
	"sync"

	"github.com/pamirdb/pamir/sql/types"
)

// BtreeOps are the operators that order and equate a type: its default btree
// operator class. Types without an order have zero oids.
type BtreeOps struct {
	OpClass types.OID
	Family  types.OID
	// Input is the type whose operators these are: varchar uses text's.
	Input                               types.OID
	Less, LessEq, Equal, GreatEq, Great types.OID
	Compare                             types.OID // support function 1
}

type btreeFacts struct {
	once    sync.Once
	classes map[types.OID]*BtreeOps // by input type
	strat   map[types.OID][]Strategy
	hash    map[types.OID]bool
}

// Strategy is a place of an operator in a btree family: 1 <, 2 <=, 3 =, 4 >=,
// 5 >.
type Strategy struct {
	Family      types.OID
	Number      int
	Left, Right types.OID
}

var btree btreeFacts

const (
	btreeAM = 403
	hashAM  = 405
)

func (b *btreeFacts) load() {
	b.classes = make(map[types.OID]*BtreeOps)
	b.strat = make(map[types.OID][]Strategy)
	b.hash = make(map[types.OID]bool)
	byFamily := make(map[[2]types.OID]*BtreeOps)
	for _, l := range lines("pg_opclass").lines {
		r := rowReader{l}
		oid, am := r.oid(), r.oid()
		r.skip(3)
		family, in, def := r.oid(), r.oid(), r.bool()
		if am == hashAM && def {
			b.hash[in] = true
		}
		if am != btreeAM || !def {
			continue
		}
		c := &BtreeOps{OpClass: oid, Family: family, Input: in}
		b.classes[in] = c
		byFamily[[2]types.OID{family, in}] = c
	}
	for _, l := range lines("pg_amop").lines {
		r := rowReader{l}
		r.skip(1)
		family, left, right, n := r.oid(), r.oid(), r.oid(), r.int()
		purpose, op, am := r.char(), r.oid(), r.oid()
		if am != btreeAM || purpose != 's' {
			continue
		}
		b.strat[op] = append(b.strat[op], Strategy{family, n, left, right})
		if c := byFamily[[2]types.OID{family, left}]; c != nil && left == right {
			*[]*types.OID{&c.Less, &c.LessEq, &c.Equal, &c.GreatEq, &c.Great}[n-1] = op
		}
	}
	for _, l := range lines("pg_amproc").lines {
		r := rowReader{l}
		r.skip(1)
		family, left, right, n, fn := r.oid(), r.oid(), r.oid(), r.int(), r.oid()
		if c := byFamily[[2]types.OID{family, left}]; c != nil && left == right && n == 1 {
			c.Compare = fn
		}
	}
}

// DefaultBtree returns the ordering operators of a type, following binary
// coercions (varchar to text, arrays to anyarray) as PostgreSQL does.
func DefaultBtree(oid types.OID) (*BtreeOps, bool) {
	btree.once.Do(btree.load)
	if c, ok := btree.classes[oid]; ok {
		return c, true
	}
	switch {
	case oid == types.VarCharOID:
		oid = types.TextOID
	case oid == types.UnknownOID:
		oid = types.TextOID
	case types.ElemOf(oid) != 0:
		oid = types.AnyArrayOID
	default:
		if i, ok := types.Lookup(oid); ok {
			switch i.Kind {
			case 'r':
				oid = types.AnyRangeOID
			case 'm':
				oid = types.AnyMultirangeOID
			}
		} else if types.IsEnum(oid) {
			oid = types.AnyEnumOID
		}
		if regLike(oid) {
			oid = types.OIDOID
		}
	}
	c, ok := btree.classes[oid]
	return c, ok
}

func regLike(oid types.OID) bool {
	c, ok := LookupCast(oid, types.OIDOID)
	return ok && c.Method == 'b' && c.Context == 'i'
}

// IsHashable reports whether a type has a default hash operator class.
func IsHashable(oid types.OID) bool {
	btree.once.Do(btree.load)
	if btree.hash[oid] {
		return true
	}
	c, ok := DefaultBtree(oid)
	return ok && btree.hash[c.Input]
}

// Strategies returns the places of an operator in the btree families.
func Strategies(op types.OID) []Strategy {
	btree.once.Do(btree.load)
	return btree.strat[op]
}

// StrategyOf returns the btree strategy number (1 < … 5 >) of an operator, or 0.
func StrategyOf(op types.OID) int {
	if s := Strategies(op); len(s) > 0 {
		return s[0].Number
	}
	return 0
}
