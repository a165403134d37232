package opt

import (
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/stats"
)

// tableRows is the number of rows that a table is taken to have.
func (c *optimizer) tableRows(t *catalog.Table) float64 {
	if s := c.stats(t); s != nil {
		return max(s.Rows, 1)
	}
	return stats.DefaultRows
}
