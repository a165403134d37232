package exec

import "github.com/pamirdb/pamir/sql/plan"

// BuildWithSource makes an instance of a plan in which src stands in the place
// of the Values below a Mutation: how COPY feeds an INSERT.
func BuildWithSource(p *plan.Plan, src Operator) (*Instance, error) {
	in := &Instance{Plan: p}
	b := &builder{run: &in.run, top: p.Root, source: src}
	root, err := b.build(p.Root)
	if err != nil {
		return nil, err
	}
	in.root = root
	return in, nil
}
