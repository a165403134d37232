package settings

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
)

// advice.tsv lists parameters of PostgreSQL 15 that give its planner, its vacuum or
// its log advice. They are checked, kept and shown as PostgreSQL does, so that
// scripts which set them run; nothing here asks for them. A parameter that changes
// what a statement answers does not belong there. Its columns are the name, the
// context, the type, the default in the parameter's unit, the unit, the bounds, the
// values of an enum, the category and the description.
//
//go:embed advice.tsv
var adviceFile string

// withAdvice adds the parameters of advice.tsv to those that do something.
func withAdvice(own []*Var) []*Var {
	all := slices.Clone(own)
	for line := range strings.Lines(adviceFile) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		v := &Var{Name: f[0], Context: f[1], Type: f[2], Default: f[3], Unit: f[4], Category: f[8], Description: f[9]}
		v.Min, _ = strconv.ParseFloat(f[5], 64)
		v.Max, _ = strconv.ParseFloat(f[6], 64)
		v.Default = v.shown(v.Default)
		if v.Type == "enum" {
			v.Enum = strings.Split(f[7], ",")
		}
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b *Var) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return all
}
