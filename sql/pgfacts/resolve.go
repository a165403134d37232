package pgfacts

import (
	"strings"

	"github.com/pamirdb/pamir/sql/types"
)

// FuncCall describes a call to be resolved.
type FuncCall struct {
	Name string
	Args []types.OID
	// ArgNames holds the names of arguments in named notation, parallel to
	// Args ("" for positional ones); nil if there are none.
	ArgNames []string
	Star     bool // f(*)
	Variadic bool // the last argument was written with VARIADIC
}

// FuncMatch is a resolved function call.
type FuncMatch struct {
	Proc *Proc
	// ArgTypes are the types the given arguments are coerced to, polymorphic
	// ones made concrete; for a spread variadic function there is one for each
	// given argument.
	ArgTypes []types.OID
	Ret      types.OID
	// Spread says that the arguments from SpreadFrom on are collected into an
	// array (for VARIADIC "any" they are passed as they are, and Spread is off).
	Spread     bool
	SpreadFrom int
	// Order, for named notation, gives the declared position of each argument.
	Order []int
	// Defaults counts the trailing arguments left out: the binder fills them
	// from Proc.Defaults.
	Defaults int
	// Cast, if its Kind is set, says that the call is a cast in disguise, such
	// as text(x); Ret is the target type and Proc is nil.
	Cast Coercion
}

// ResolveFunc finds the built-in function that a call means.
func ResolveFunc(call FuncCall) (*FuncMatch, error) {
	cands := candidates(call)
	if m, ok, err := resolveAmong(call, cands); ok || err != nil {
		return m, err
	}
	if m := asCast(call); m != nil {
		return m, nil
	}
	return nil, undefinedFunction(call)
}

func resolveAmong(call FuncCall, cands []candidate) (*FuncMatch, bool, error) {
	for _, c := range cands {
		if equalOIDs(c.args, call.Args) {
			m, err := finish(call, c)
			return m, true, err
		}
	}
	// A name of a type with one argument is a cast if nothing matches exactly
	// and the conversion is a mere relabelling or goes by I/O.
	if m := asCast(call); m != nil {
		return m, true, nil
	}
	cands = anyMatches(call.Args, cands)
	switch len(cands) {
	case 0:
		return nil, false, nil
	case 1:
		m, err := finish(call, cands[0])
		return m, true, err
	}
	if c, ok := choose(call.Args, cands); ok {
		m, err := finish(call, c)
		return m, true, err
	}
	return nil, false, types.Errorf(types.CodeAmbiguousFunction, "function %s is not unique", Signature(call)).
		WithHint("Could not choose a best candidate function. You might need to add explicit type casts.")
}

func equalOIDs(a, b []types.OID) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// asCast recognizes type(x) written as a function call.
func asCast(call FuncCall) *FuncMatch {
	if len(call.Args) != 1 || call.Variadic || call.ArgNames != nil || call.Star {
		return nil
	}
	info, ok := types.LookupName(call.Name)
	if !ok || info.Kind == 'p' {
		return nil
	}
	from := call.Args[0]
	var c Coercion
	if from == types.UnknownOID {
		c = Coercion{Kind: FromUnknown}
	} else {
		c = FindCoercion(from, info.OID, Explicit)
		switch c.Kind {
		case Relabel:
		case ViaIO:
			// Strings convert only by explicit syntax, lest text(record) and
			// the like be taken for casts.
			if isComposite(from) && Category(info.OID) == 'S' {
				return nil
			}
		case Same:
		default:
			return nil
		}
	}
	return &FuncMatch{ArgTypes: []types.OID{from}, Ret: info.OID, Cast: c}
}

// candidates lists the overloads that fit a call by the number and names of its
// arguments, variadic ones spread.
func candidates(call FuncCall) []candidate {
	var out []candidate
	for _, p := range ProcsByName(call.Name) {
		if c, ok := shape(p, call); ok {
			out = addCandidate(out, c)
		}
	}
	return out
}

func shape(p *Proc, call FuncCall) (candidate, bool) {
	n := len(call.Args)
	if call.ArgNames != nil {
		return named(p, call)
	}
	if p.Variadic != 0 && !call.Variadic && n >= p.NArgs {
		args := make([]types.OID, n)
		copy(args, p.Args[:p.NArgs-1])
		for i := p.NArgs - 1; i < n; i++ {
			args[i] = p.Variadic
		}
		return candidate{args: args, proc: p, variadic: true}, true
	}
	if call.Variadic && p.Variadic == 0 {
		return candidate{}, false
	}
	if n > p.NArgs || n < p.NArgs-p.NDefaults {
		return candidate{}, false
	}
	return candidate{args: p.Args[:n], proc: p, defaults: p.NArgs - n}, true
}

func named(p *Proc, call FuncCall) (candidate, bool) {
	if len(p.ArgNames) == 0 || len(call.Args) > p.NArgs {
		return candidate{}, false
	}
	used := make([]bool, p.NArgs)
	c := candidate{proc: p, args: make([]types.OID, len(call.Args)), order: make([]int, len(call.Args))}
	for i, name := range call.ArgNames {
		at := -1
		if name == "" {
			at = i
		} else if at = inputIndex(p, name); at < 0 {
			return candidate{}, false
		}
		if used[at] {
			return candidate{}, false
		}
		used[at] = true
		c.args[i], c.order[i] = p.Args[at], at
	}
	for i, u := range used {
		if !u {
			if i < p.NArgs-p.NDefaults {
				return candidate{}, false
			}
			c.defaults++
		}
	}
	return c, true
}

// inputIndex finds an input argument by name.
func inputIndex(p *Proc, name string) int {
	in := 0
	for i, n := range p.ArgNames {
		mode := byte('i')
		if i < len(p.ArgModes) {
			mode = p.ArgModes[i]
		}
		if mode == 'o' || mode == 't' {
			continue
		}
		if n == name {
			return in
		}
		in++
	}
	return -1
}

// addCandidate keeps, among overloads with equal argument lists, the one that
// needs no spreading and the fewest defaults.
func addCandidate(cs []candidate, c candidate) []candidate {
	for i, o := range cs {
		if !equalOIDs(o.args, c.args) {
			continue
		}
		if o.variadic && !c.variadic || o.variadic == c.variadic && c.defaults < o.defaults {
			cs[i] = c
		}
		return cs
	}
	return append(cs, c)
}

func finish(call FuncCall, c candidate) (*FuncMatch, error) {
	p := c.proc
	argTypes, ret, err := Polymorphic(call.Args, c.args, p.Ret)
	if err != nil {
		return nil, err
	}
	m := &FuncMatch{Proc: p, ArgTypes: argTypes, Ret: ret, Order: c.order, Defaults: c.defaults}
	if c.variadic && p.Variadic != types.AnyOID {
		m.Spread, m.SpreadFrom = true, p.NArgs-1
	}
	return m, nil
}

// Signature prints a call with the types of its arguments, as errors show it.
func Signature(call FuncCall) string {
	var b strings.Builder
	b.WriteString(call.Name + "(")
	for i, a := range call.Args {
		if i > 0 {
			b.WriteString(", ")
		}
		if call.ArgNames != nil && call.ArgNames[i] != "" {
			b.WriteString(call.ArgNames[i] + " => ")
		}
		if call.Variadic && i == len(call.Args)-1 {
			b.WriteString("VARIADIC ")
		}
		b.WriteString(types.Format(a, -1))
	}
	return b.String() + ")"
}

func undefinedFunction(call FuncCall) error {
	return types.Errorf(types.CodeUndefinedFunction, "function %s does not exist", Signature(call)).
		WithHint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

// OpMatch is a resolved operator.
type OpMatch struct {
	Op          *Operator
	Left, Right types.OID // the types the operands are coerced to
	Result      types.OID
}

// ResolveOperator finds the operator that a name and its operand types mean;
// left is 0 for a prefix operator.
func ResolveOperator(name string, left, right types.OID) (*OpMatch, error) {
	op, ok := exactOperator(name, left, right)
	args := []types.OID{left, right}
	if left == 0 {
		args = args[1:]
	}
	if !ok {
		var err error
		if op, err = inexactOperator(name, args); err != nil {
			return nil, err
		}
	}
	declared := []types.OID{op.Left, op.Right}
	if left == 0 {
		declared = declared[1:]
	}
	actual, ret, err := Polymorphic(args, declared, op.Result)
	if err != nil {
		return nil, err
	}
	m := &OpMatch{Op: op, Right: actual[len(actual)-1], Result: ret}
	if left != 0 {
		m.Left = actual[0]
	}
	return m, nil
}

func exactOperator(name string, left, right types.OID) (*Operator, bool) {
	l, r := left, right
	// An unknown literal is first taken for the other operand's type.
	if l == types.UnknownOID && r != types.UnknownOID {
		l = r
	} else if r == types.UnknownOID && l != 0 && l != types.UnknownOID {
		r = l
	}
	return LookupOperator(name, l, r)
}

func inexactOperator(name string, args []types.OID) (*Operator, error) {
	var cands []candidate
	for _, o := range OperatorsByName(name) {
		if o.Prefix != (len(args) == 1) {
			continue
		}
		c := candidate{op: o, args: []types.OID{o.Right}}
		if !o.Prefix {
			c.args = []types.OID{o.Left, o.Right}
		}
		cands = append(cands, c)
	}
	cands = anyMatches(args, cands)
	if len(cands) == 1 {
		return cands[0].op, nil
	}
	if len(cands) > 1 {
		if c, ok := choose(args, cands); ok {
			return c.op, nil
		}
		return nil, types.Errorf(types.CodeAmbiguousFunction, "operator is not unique: %s", opSignature(name, args)).
			WithHint("Could not choose a best candidate operator. You might need to add explicit type casts.")
	}
	hint := "No operator matches the given name and argument types. You might need to add explicit type casts."
	if len(args) == 1 {
		hint = "No operator matches the given name and argument type. You might need to add an explicit type cast."
	}
	return nil, types.Errorf(types.CodeUndefinedFunction, "operator does not exist: %s", opSignature(name, args)).WithHint("%s", hint)
}

func opSignature(name string, args []types.OID) string {
	if len(args) == 1 {
		return name + " " + types.Format(args[0], -1)
	}
	return types.Format(args[0], -1) + " " + name + " " + types.Format(args[1], -1)
}
