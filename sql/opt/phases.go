package opt

import "github.com/pamirdb/pamir/sql/plan"

func (c *optimizer) inlineCTEs(n plan.Node) plan.Node  { return n }
func (c *optimizer) orderJoins(n plan.Node) plan.Node  { return n }
func (c *optimizer) orderings(n plan.Node) plan.Node   { return n }
