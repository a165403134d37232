package builtin

import (
	"github.com/pamirdb/pamir/sql/types"
)

// pathValue is a value that a jsonpath works on.
type pathValue struct {
	j types.JSONB
	// when is set for what .datetime() gives; j is then empty.
	when *pathTime
	// parent is the container that the value lies in as element index; nil for one
	// that is there on its own, as number id of those that .keyvalue() tells apart.
	parent *pathValue
	index  int
	id     int64
}

func (v *pathValue) kind() types.JSONKind {
	if v.when != nil {
		return 0
	}
	return v.j.Kind()
}

func (v *pathValue) isArray() bool     { return v.kind() == types.JSONArray }
func (v *pathValue) isObject() bool    { return v.kind() == types.JSONObject }
func (v *pathValue) isContainer() bool { return v.isArray() || v.isObject() }
func (v *pathValue) child(i int) *pathValue {
	return &pathValue{j: v.j.Elem(i), parent: v, index: i}
}

// json is the value as it is given out.
func (v *pathValue) json() types.JSONB {
	if v.when != nil {
		return stringJSONB(v.when.String())
	}
	return v.j
}

func treeValue(v *types.JSONValue) *pathValue { return &pathValue{j: types.AppendJSONB(nil, v)} }

func stringJSONB(s string) types.JSONB {
	return types.AppendJSONB(nil, &types.JSONValue{Kind: types.JSONString, Str: s})
}

func numberValue(n types.Numeric) *pathValue {
	return treeValue(&types.JSONValue{Kind: types.JSONNumber, Num: n})
}

// pathFound collects results; a nil one only wants to know whether there are any.
type pathFound struct{ items []*pathValue }

func (f *pathFound) add(v *pathValue) { f.items = append(f.items, v) }

// pathStatus is how far running an item has come.
type pathStatus int

const (
	pathNone   pathStatus = iota // no result
	pathOK                       // there are results
	pathFailed                   // an error that is kept quiet
)

// pathTruth is the value of a predicate.
type pathTruth int

const (
	pathFalse pathTruth = iota
	pathTrue
	pathUnknown
)

// pathRun runs one jsonpath over one document.
type pathRun struct {
	c       *Ctx
	root    *pathValue
	current *pathValue // @
	vars    types.JSONB
	nextID  int64 // of the next object that .keyvalue() makes
	size    int   // of the array that a subscript is of; -1 outside of one
	lax     bool  // unwraps and wraps arrays
	lenient bool  // what is missing is no error
	throws  bool  // errors are raised
	useTZ   bool  // comparisons may depend on the time zone
	cache   map[*types.PathItem]any
}

// fail raises an error, or keeps it quiet.
func (r *pathRun) fail(code, format string, args ...any) (pathStatus, error) {
	if !r.throws {
		return pathFailed, nil
	}
	return pathFailed, types.Errorf(code, format, args...)
}

// missing is fail for what does not fit the path's structure, which lax mode minds
// not.
func (r *pathRun) missing(code, format string, args ...any) (pathStatus, error) {
	if r.lenient {
		return pathNone, nil
	}
	return r.fail(code, format, args...)
}

// jsonPath is a path made ready at a call site.
type jsonPath struct {
	source string
	path   *types.JSONPath
	cache  map[*types.PathItem]any
}

func pathOf(cached any, source string) (*jsonPath, error) {
	if p, ok := cached.(*jsonPath); ok && p.source == source {
		return p, nil
	}
	p, err := types.ParseJSONPath(source)
	if err != nil {
		return nil, err
	}
	return &jsonPath{source: string([]byte(source)), path: p, cache: map[*types.PathItem]any{}}, nil
}

// runPath runs a path; found may be nil. Without throws an error is pathFailed.
func runPath(ctx *Ctx, p *jsonPath, doc, vars types.JSONB, found *pathFound, throws, useTZ bool) (pathStatus, error) {
	if vars != nil && vars.Kind() != types.JSONObject {
		return pathFailed, types.Errorf(types.CodeInvalidParameterValue, "\"vars\" argument is not an object").
			WithDetail("Jsonpath parameters should be encoded as key-value pairs of \"vars\" object.")
	}
	r := &pathRun{c: ctx, root: &pathValue{j: doc}, vars: vars, nextID: 1, size: -1, lax: !p.path.Strict, lenient: !p.path.Strict,
		throws: throws, useTZ: useTZ, cache: p.cache}
	if vars != nil {
		r.nextID = 2
	}
	r.current = r.root
	if p.path.Strict && found == nil {
		// An error behind the first result counts, too.
		all := &pathFound{}
		st, err := r.item(p.path.Root, r.root, all)
		if st == pathFailed || err != nil {
			return st, err
		}
		if len(all.items) == 0 {
			return pathNone, nil
		}
		return pathOK, nil
	}
	return r.item(p.path.Root, r.root, found)
}

// pathArgs are the arguments of the functions over jsonpath.
type pathArgs struct {
	doc, vars types.JSONB
	silent    bool
}

func pathFunc(tz bool, f func(c *Call, p *jsonPath, a pathArgs, tz bool) error) RowFunc {
	return func(c *Call) error {
		p, err := pathOf(c.Cache, c.Str(1))
		if err != nil {
			return err
		}
		c.Cache = p
		a := pathArgs{doc: c.JSONB(0), silent: true} // as operators are
		if len(c.Args) > 2 {
			a.vars, a.silent = c.JSONB(2), c.Bool(3)
		}
		return f(c, p, a, tz)
	}
}

func pathExists(c *Call, p *jsonPath, a pathArgs, tz bool) error {
	st, err := runPath(c.Ctx, p, a.doc, a.vars, nil, !a.silent, tz)
	if err != nil {
		return err
	}
	if st == pathFailed {
		return c.RetNull()
	}
	return c.RetBool(st == pathOK)
}

func pathMatch(c *Call, p *jsonPath, a pathArgs, tz bool) error {
	found := &pathFound{}
	if _, err := runPath(c.Ctx, p, a.doc, a.vars, found, !a.silent, tz); err != nil {
		return err
	}
	if len(found.items) == 1 {
		switch v := found.items[0]; v.kind() {
		case types.JSONBool:
			return c.RetBool(v.j.Bool())
		case types.JSONNull:
			return c.RetNull()
		}
	}
	if !a.silent {
		return types.Errorf(types.CodeSingletonJSONItemRequired, "single boolean result is expected")
	}
	return c.RetNull()
}

func pathArray(c *Call, p *jsonPath, a pathArgs, tz bool) error {
	found := &pathFound{}
	if _, err := runPath(c.Ctx, p, a.doc, a.vars, found, !a.silent, tz); err != nil {
		return err
	}
	v := &types.JSONValue{Kind: types.JSONArray}
	for _, x := range found.items {
		v.Elems = append(v.Elems, x.json().Tree())
	}
	return retTree(c, v)
}

func pathFirst(c *Call, p *jsonPath, a pathArgs, tz bool) error {
	found := &pathFound{}
	if _, err := runPath(c.Ctx, p, a.doc, a.vars, found, !a.silent, tz); err != nil {
		return err
	}
	if len(found.items) == 0 {
		return c.RetNull()
	}
	return c.RetBytes(found.items[0].json())
}

func pathQuery(tz bool) SetFunc {
	return func(ctx *Ctx, _ *Info, args []types.Datum) (SetIter, error) {
		p, err := pathOf(nil, args[1].Str())
		if err != nil {
			return nil, err
		}
		found := &pathFound{}
		if _, err := runPath(ctx, p, args[0].Bytes(), args[2].Bytes(), found, !args[3].Bool(), tz); err != nil {
			return nil, err
		}
		k := 0
		return funcIter(func() (types.Datum, bool, error) {
			if k == len(found.items) {
				return types.Null, false, nil
			}
			k++
			return types.NewBytes(found.items[k-1].json()), true, nil
		}), nil
	}
}

func init() {
	for suffix, tz := range map[string]bool{"": false, "_tz": true} {
		row("jsonb_path_exists"+suffix, pathFunc(tz, pathExists))
		row("jsonb_path_match"+suffix, pathFunc(tz, pathMatch))
		row("jsonb_path_query_array"+suffix, pathFunc(tz, pathArray))
		row("jsonb_path_query_first"+suffix, pathFunc(tz, pathFirst))
		setFuncs["jsonb_path_query"+suffix] = pathQuery(tz)
	}
	row("jsonb_path_exists_opr", pathFunc(false, pathExists))
	row("jsonb_path_match_opr", pathFunc(false, pathMatch))
	types.CheckLikeRegex = func(pattern, flags string) error {
		_, err := likeRegex(pattern, flags)
		return err
	}
}

// likeRegex compiles the regular expression of like_regex. By XQuery's rules a dot
// matches no newline unless flag s is there, and flag m lets ^ and $ match at lines.
func likeRegex(source, flags string) (*pattern, error) {
	opts, has := "", map[rune]bool{}
	for _, f := range flags {
		has[f] = true
	}
	if has['i'] {
		opts = "i"
	}
	switch {
	case has['q']:
		opts += "q"
	case has['m'] && has['s']:
		opts += "w"
	case has['m']:
		opts += "n"
	case !has['s']:
		opts += "p"
	}
	return compilePattern(source, opts)
}
