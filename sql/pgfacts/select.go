package pgfacts

import "github.com/pamirdb/pamir/sql/types"

// candidate is an overload with the argument types it would be called with.
type candidate struct {
	args []types.OID
	proc *Proc
	op   *Operator
	// variadic says that trailing arguments were spread over a variadic one;
	// defaults counts the arguments left out.
	variadic bool
	defaults int
	// order maps call arguments to declared positions for named notation.
	order []int
}

func anyMatches(args []types.OID, cands []candidate) []candidate {
	var out []candidate
	for _, c := range cands {
		ok := true
		for i, a := range args {
			if !CanCoerce(a, c.args[i], Implicit) {
				ok = false
				break
			}
		}
		if ok && Consistent(args, c.args) {
			out = append(out, c)
		}
	}
	return out
}

// choose picks the best of several candidates that all accept the arguments,
// by the rules of PostgreSQL's chapter on type conversion; ok is false if none
// is clearly the best.
func choose(args []types.OID, cands []candidate) (best candidate, ok bool) {
	unknowns := 0
	for _, a := range args {
		if a == types.UnknownOID {
			unknowns++
		}
	}
	cands = keepMost(cands, func(c candidate) int { return exactMatches(args, c) })
	if len(cands) == 1 {
		return cands[0], true
	}
	cands = keepMost(cands, func(c candidate) int { return preferredMatches(args, c) })
	if len(cands) == 1 {
		return cands[0], true
	}
	if unknowns == 0 {
		return candidate{}, false
	}
	if cands = resolveUnknowns(args, cands); len(cands) == 1 {
		return cands[0], true
	}
	if unknowns == len(args) {
		return candidate{}, false
	}
	return assumeKnownType(args, cands)
}

func keepMost(cands []candidate, score func(candidate) int) []candidate {
	var out []candidate
	best := -1
	for _, c := range cands {
		switch s := score(c); {
		case s > best:
			best, out = s, append(out[:0:0], c)
		case s == best:
			out = append(out, c)
		}
	}
	return out
}

func exactMatches(args []types.OID, c candidate) int {
	n := 0
	for i, a := range args {
		if a != types.UnknownOID && c.args[i] == a {
			n++
		}
	}
	return n
}

func preferredMatches(args []types.OID, c candidate) int {
	n := 0
	for i, a := range args {
		if a == types.UnknownOID {
			continue
		}
		if c.args[i] == a || Category(c.args[i]) == Category(a) && IsPreferred(c.args[i]) {
			n++
		}
	}
	return n
}

// slotCategory is what the candidates agree on for one unknown argument.
type slotCategory struct {
	category  byte
	preferred bool
	conflict  bool
}

func agree(cands []candidate, i int) slotCategory {
	s := slotCategory{}
	for _, c := range cands {
		cat, pref := Category(c.args[i]), IsPreferred(c.args[i])
		switch {
		case s.category == 0:
			s.category, s.preferred = cat, pref
		case s.category == cat:
			s.preferred = s.preferred || pref
		case cat == 'S':
			// A string is what an unknown literal looks like.
			s.category, s.preferred = cat, pref
		case s.category != 'S':
			s.conflict = true
		}
	}
	if s.category == 'S' {
		s.conflict = false
	}
	return s
}

// resolveUnknowns drops the candidates that do not fit the category which the
// unknown arguments must have; if that leaves none, all stay.
func resolveUnknowns(args []types.OID, cands []candidate) []candidate {
	slots := make([]slotCategory, len(args))
	for i, a := range args {
		if a != types.UnknownOID {
			continue
		}
		if slots[i] = agree(cands, i); slots[i].conflict {
			return cands
		}
	}
	var out []candidate
	for _, c := range cands {
		keep := true
		for i, a := range args {
			if a != types.UnknownOID {
				continue
			}
			if Category(c.args[i]) != slots[i].category || slots[i].preferred && !IsPreferred(c.args[i]) {
				keep = false
			}
		}
		if keep {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return cands
	}
	return out
}

// assumeKnownType is the last resort: if all known arguments have one type, the
// unknown ones are taken for the same.
func assumeKnownType(args []types.OID, cands []candidate) (candidate, bool) {
	known := types.UnknownOID
	for _, a := range args {
		if a == types.UnknownOID {
			continue
		}
		if known != types.UnknownOID && known != a {
			return candidate{}, false
		}
		known = a
	}
	var found []candidate
	for _, c := range cands {
		ok := true
		same := make([]types.OID, len(args))
		for i, t := range c.args[:len(args)] {
			same[i] = known
			ok = ok && CanCoerce(known, t, Implicit)
		}
		if ok && Consistent(same, c.args) {
			found = append(found, c)
		}
	}
	if len(found) == 1 {
		return found[0], true
	}
	return candidate{}, false
}
