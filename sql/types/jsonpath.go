package types

import (
	"math"
	"strconv"
	"strings"
)

// PathKind is the kind of an item of a jsonpath.
type PathKind byte

// The kinds of items. Items from PathRoot on can start a path or go one step on;
// those before combine the paths in Left and Right.
const (
	PathOr PathKind = iota
	PathAnd
	PathNot
	PathIsUnknown
	PathExists
	PathEqual
	PathNotEqual
	PathLess
	PathGreater
	PathLessOrEqual
	PathGreaterOrEqual
	PathStartsWith
	PathLikeRegex
	PathAdd
	PathSub
	PathMul
	PathDiv
	PathMod
	PathPlus
	PathMinus
	PathRoot
	PathCurrent
	PathLast
	PathNull
	PathBool
	PathNumber
	PathString
	PathVariable
	PathKey
	PathAnyKey
	PathAnyArray
	PathIndex
	PathAny
	PathFilter
	PathType
	PathSize
	PathAbs
	PathFloor
	PathCeiling
	PathDouble
	PathDatetime
	PathKeyValue
)

// pathWords are the operators and methods as they are written.
var pathWords = map[PathKind]string{
	PathOr: "||", PathAnd: "&&", PathEqual: "==", PathNotEqual: "!=", PathLess: "<", PathGreater: ">",
	PathLessOrEqual: "<=", PathGreaterOrEqual: ">=", PathStartsWith: "starts with",
	PathAdd: "+", PathSub: "-", PathMul: "*", PathDiv: "/", PathMod: "%", PathPlus: "+", PathMinus: "-",
	PathType: "type", PathSize: "size", PathAbs: "abs", PathFloor: "floor", PathCeiling: "ceiling",
	PathDouble: "double", PathDatetime: "datetime", PathKeyValue: "keyvalue",
}

// String returns the operator or the method's name.
func (k PathKind) String() string { return pathWords[k] }

// PathLevelLast is the level of ** that means the leaves.
const PathLevelLast = math.MaxUint32

// PathItem is an item of a jsonpath; Next is what is applied to its results.
type PathItem struct {
	Kind        PathKind
	Left, Right *PathItem // operands; Left is also a filter's, or a method's argument
	Str         string    // a string, key, variable's name or regular expression
	Flags       string    // of like_regex, each of ismxq once
	Num         Numeric
	Bool        bool
	Subs        []PathSubscript
	First, Last uint32 // levels of **
	Next        *PathItem
}

// PathSubscript is one subscript of an array, or a range of them; To may be nil.
type PathSubscript struct{ From, To *PathItem }

// JSONPath is a parsed jsonpath.
type JSONPath struct {
	Strict bool
	Root   *PathItem
}

func (i *PathItem) isPredicate() bool { return i.Kind <= PathLikeRegex && i.Next == nil }

// end is the last item of a path.
func (i *PathItem) end() *PathItem {
	for i.Next != nil {
		i = i.Next
	}
	return i
}

// priority orders operators; those that bind tighter have a higher one.
func (k PathKind) priority() int {
	switch {
	case k == PathOr:
		return 0
	case k == PathAnd:
		return 1
	case k >= PathEqual && k <= PathStartsWith:
		return 2
	case k == PathAdd || k == PathSub:
		return 3
	case k == PathMul || k == PathDiv || k == PathMod:
		return 4
	case k == PathPlus || k == PathMinus:
		return 5
	}
	return 6
}

// String prints the path as jsonpath's output function does.
func (p *JSONPath) String() string {
	var b strings.Builder
	if p.Strict {
		b.WriteString("strict ")
	}
	printPath(&b, p.Root, false, true)
	return b.String()
}

func quotePath(b *strings.Builder, s string) { b.Write(AppendJSONString(nil, s)) }

// printPath prints an item and those behind it; inKey puts the dot before a key,
// brackets encloses an operator's expression.
func printPath(b *strings.Builder, i *PathItem, inKey, brackets bool) {
	switch i.Kind {
	case PathNull:
		b.WriteString("null")
	case PathBool:
		b.WriteString(strconv.FormatBool(i.Bool))
	case PathString:
		quotePath(b, i.Str)
	case PathVariable:
		b.WriteByte('$')
		quotePath(b, i.Str)
	case PathNumber:
		if i.Next != nil {
			b.WriteString("(" + i.Num.String() + ")")
		} else {
			b.WriteString(i.Num.String())
		}
	case PathRoot:
		b.WriteByte('$')
	case PathCurrent:
		b.WriteByte('@')
	case PathLast:
		b.WriteString("last")
	case PathKey, PathAnyKey:
		if inKey {
			b.WriteByte('.')
		}
		if i.Kind == PathAnyKey {
			b.WriteByte('*')
		} else {
			quotePath(b, i.Str)
		}
	case PathAnyArray:
		b.WriteString("[*]")
	case PathIndex:
		printSubscripts(b, i.Subs)
	case PathAny:
		if inKey {
			b.WriteByte('.')
		}
		printLevels(b, i.First, i.Last)
	case PathType, PathSize, PathAbs, PathFloor, PathCeiling, PathDouble, PathDatetime, PathKeyValue:
		b.WriteString("." + i.Kind.String() + "(")
		if i.Left != nil {
			printPath(b, i.Left, false, false)
		}
		b.WriteByte(')')
	default:
		printOperator(b, i, brackets)
	}
	if i.Next != nil {
		printPath(b, i.Next, true, true)
	}
}

func printOperator(b *strings.Builder, i *PathItem, brackets bool) {
	operand := func(x *PathItem) { printPath(b, x, false, x.Kind.priority() <= i.Kind.priority()) }
	wrap := func(open string, x *PathItem, end string) {
		b.WriteString(open)
		printPath(b, x, false, false)
		b.WriteString(end)
	}
	switch i.Kind {
	case PathFilter:
		wrap("?(", i.Left, ")")
		return
	case PathNot:
		wrap("!(", i.Left, ")")
		return
	case PathIsUnknown:
		wrap("(", i.Left, ") is unknown")
		return
	case PathExists:
		wrap("exists (", i.Left, ")")
		return
	}
	if brackets {
		b.WriteByte('(')
	}
	switch i.Kind {
	case PathPlus, PathMinus:
		b.WriteString(i.Kind.String())
		operand(i.Left)
	case PathLikeRegex:
		operand(i.Left)
		b.WriteString(" like_regex ")
		quotePath(b, i.Str)
		if i.Flags != "" {
			b.WriteString(` flag "` + i.Flags + `"`)
		}
	default:
		operand(i.Left)
		b.WriteString(" " + i.Kind.String() + " ")
		operand(i.Right)
	}
	if brackets {
		b.WriteByte(')')
	}
}

func printSubscripts(b *strings.Builder, subs []PathSubscript) {
	b.WriteByte('[')
	for k, s := range subs {
		if k > 0 {
			b.WriteByte(',')
		}
		printPath(b, s.From, false, false)
		if s.To != nil {
			b.WriteString(" to ")
			printPath(b, s.To, false, false)
		}
	}
	b.WriteByte(']')
}

func printLevels(b *strings.Builder, first, last uint32) {
	level := func(l uint32) string {
		if l == PathLevelLast {
			return "last"
		}
		return strconv.FormatUint(uint64(l), 10)
	}
	b.WriteString("**")
	switch {
	case first == 0 && last == PathLevelLast:
	case first == last:
		b.WriteString("{" + level(first) + "}")
	default:
		b.WriteString("{" + level(first) + " to " + level(last) + "}")
	}
}
