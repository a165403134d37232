package bind

import (
	"github.com/pamirdb/pamir/sql/types"
)

// fuzzyLimit is how far a name may be from one that exists to be taken for a
// misspelling of it, in single-character edits.
const fuzzyLimit = 3

// missingColumn explains that no column of that name may be used here. table is
// the qualifier, if there was one.
func (q *query) missingColumn(table, name string, loc int) error {
	shown := "\"" + name + "\""
	if table != "" {
		shown = table + "." + name
	}
	err := types.Errorf(types.CodeUndefinedColumn, "column %s does not exist", shown).At(position(loc))
	s := similar{table: table, name: name, distance: fuzzyLimit + 1}
	for level := q; level != nil; level = level.parent {
		for _, it := range level.items {
			s.look(it)
		}
	}
	switch {
	case s.exact != nil:
		return err.WithHint("There is a column named \"%s\" in table \"%s\", but it cannot be referenced from this part of the query.", name, s.exact.alias)
	case len(s.near) == 1:
		return err.WithHint("Perhaps you meant to reference the column \"%s\".", s.near[0])
	case len(s.near) == 2:
		return err.WithHint("Perhaps you meant to reference the column \"%s\" or the column \"%s\".", s.near[0], s.near[1])
	}
	return err
}

// similar collects the columns nearest to a name.
type similar struct {
	table, name string
	exact       *item // the first that has the very name
	near        []string
	distance    int
}

func (s *similar) look(it *item) {
	if s.exact != nil || it.alias == "" {
		return
	}
	penalty := 0
	if s.table != "" {
		penalty = editDistance(it.alias, s.table, fuzzyLimit+1)
	}
	for i := range it.cols {
		c := &it.cols[i]
		if c.hidden || c.merged != nil {
			continue
		}
		if c.name == s.name && penalty == 0 {
			s.exact = it
			return
		}
		if penalty > s.distance {
			continue
		}
		d := editDistance(c.name, s.name, s.distance+1-penalty)
		if d > len(s.name)/2 {
			continue
		}
		d += penalty
		full := it.alias + "." + c.name
		switch {
		case d < s.distance:
			s.distance, s.near = d, []string{full}
		case d == s.distance && len(s.near) == 2:
			// Too many equally near: none of them is worth a hint.
			s.distance, s.near = d-1, nil
		case d == s.distance && len(s.near) == 1:
			s.near = append(s.near, full)
		}
	}
}

// editDistance counts the insertions, deletions and replacements that make b of
// a; any number above limit stands for more than that.
func editDistance(a, b string, limit int) int {
	x, y := []rune(a), []rune(b)
	if len(x)-len(y) > limit || len(y)-len(x) > limit {
		return limit + 1
	}
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j := range y {
			cost := diagonal
			if x[i] != y[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(y)], limit+1)
}
