package opt

import "github.com/pamirdb/pamir/sql/plan"

func (c *optimizer) inlineCTEs(n plan.Node) plan.Node  { return n }
func (c *optimizer) fold(n plan.Node) plan.Node        { return n }
func (c *optimizer) decorrelate(n plan.Node) plan.Node { return n }
func (c *optimizer) orderJoins(n plan.Node) plan.Node  { return n }
func (c *optimizer) chooseJoins(n plan.Node) plan.Node { return n }
func (c *optimizer) orderings(n plan.Node) plan.Node   { return n }
func (c *optimizer) estimate(plan.Node)                {}
