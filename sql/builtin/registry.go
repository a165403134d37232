package builtin

import (
	"fmt"
	"sort"

	"github.com/pamirdb/pamir/sql/pgfacts"
	"github.com/pamirdb/pamir/sql/types"
)

// Impl is the body of a scalar function.
type Impl struct {
	Kernel Kernel
	// Total says that the kernel neither fails nor minds NULL positions.
	Total bool
	// Narrow, if set, appends to dst the selected positions for which a boolean
	// function is true; it is called only when no argument is NULL.
	Narrow func(c *Call, dst []int32) []int32
}

var impls = make(map[string]*Impl, 2000)

// register adds a body under an internal name; registering a name twice is a
// mistake of this package.
func register(src string, i *Impl) {
	if _, dup := impls[src]; dup {
		panic("builtin: " + src + " is registered twice")
	}
	impls[src] = i
}

func kernel(src string, k Kernel) { register(src, &Impl{Kernel: k}) }
func total(src string, k Kernel)  { register(src, &Impl{Kernel: k, Total: true}) }
func row(src string, f RowFunc)   { register(src, &Impl{Kernel: perRow(f)}) }

func rows(fs map[string]RowFunc) {
	for src, f := range fs {
		row(src, f)
	}
}

// perRow lifts a RowFunc to a kernel.
func perRow(f RowFunc) Kernel {
	return func(c *Call) error {
		if c.Sel != nil {
			for _, i := range c.Sel {
				c.Row = int(i)
				if err := f(c); err != nil {
					return err
				}
			}
			return nil
		}
		for i := 0; i < c.N; i++ {
			c.Row = i
			if err := f(c); err != nil {
				return err
			}
		}
		return nil
	}
}

// Key returns the name under which the body of a function is registered: its
// prosrc, or its name and argument types for functions written in SQL.
func Key(p *pgfacts.Proc) string {
	if p.Lang != sqlLanguage {
		return p.Src
	}
	k := "sql:" + p.Name + "("
	for i, a := range p.Args {
		if i > 0 {
			k += ","
		}
		info, _ := types.Lookup(a)
		if info != nil {
			k += info.Name
		}
	}
	return k + ")"
}

const sqlLanguage types.OID = 14

// Lookup returns the body of a scalar function.
func Lookup(p *pgfacts.Proc) (*Impl, error) {
	if i, ok := impls[Key(p)]; ok {
		return i, nil
	}
	if isHostFunc(p) {
		return hostImpl(p), nil
	}
	return nil, NotImplemented(p)
}

// NotImplemented is the error for a function that exists but has no body here.
func NotImplemented(p *pgfacts.Proc) error {
	return types.Errorf(types.CodeFeatureNotSupported, "function %s is not supported", procSignature(p))
}

func procSignature(p *pgfacts.Proc) string {
	s := p.Name + "("
	for i, a := range p.Args {
		if i > 0 {
			s += ", "
		}
		s += types.Format(a, -1)
	}
	return s + ")"
}

// Missing returns the signatures of the built-in functions that have no body,
// sorted, with their internal names.
func Missing() []string {
	var out []string
	pgfacts.Procs(func(p *pgfacts.Proc) {
		ok := false
		switch {
		case p.Kind == 'a':
			_, ok = aggregates[p.Name]
		case p.Kind == 'w':
			_, ok = windowFuncs[p.Src]
		case p.RetSet:
			_, ok = setFuncs[Key(p)]
		default:
			_, ok = impls[Key(p)]
			ok = ok || isHostFunc(p)
		}
		if !ok {
			out = append(out, fmt.Sprintf("%s -> %s", procSignature(p), types.Format(p.Ret, -1)))
		}
	})
	sort.Strings(out)
	return out
}

// HasBody reports whether a function or plain aggregate is implemented here,
// rather than by the host or not at all.
func HasBody(p *pgfacts.Proc) bool {
	if p.Kind == 'a' {
		_, ok := aggregates[p.Name]
		return ok
	}
	_, ok := impls[Key(p)]
	return ok
}
