package builtin

import (
	"sync/atomic"
	"time"

	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

// Ctx is what expressions may see of their surroundings while a statement runs.
// One Ctx belongs to one goroutine.
type Ctx struct {
	Settings *types.Settings
	// Params are $1…, Literals those lifted out by the plan cache, ExecParams
	// those that operators such as Apply set.
	Params     []types.Datum
	Literals   []types.Datum
	ExecParams []types.Datum
	// TxnTime and StmtTime are microseconds since 2000-01-01 UTC.
	TxnTime  int64
	StmtTime int64
	// User, SessionUser, Database and Schema answer current_user and its kin;
	// Schema is the first schema of the path, "" if there is none.
	User        string
	SessionUser string
	Database    string
	Schema      string
	// Sequences and Host may be nil where a statement cannot need them.
	Sequences Sequences
	Host      Host
	// Cancel is polled by long-running bodies.
	Cancel *atomic.Bool
	// Clock is the wall clock; nil means time.Now.
	Clock func() time.Time
}

// Sequences are what nextval and its kin need.
type Sequences interface {
	// Nextval asks for no privilege on the sequence of an identity column that a
	// row is given a value of.
	Nextval(seq types.OID, identity bool) (int64, error)
	Currval(seq types.OID) (int64, error)
	Lastval() (int64, error)
	Setval(seq types.OID, value int64, isCalled bool) error
}

// Host answers the functions that look into the catalog or the session
// (pg_get_indexdef, pg_table_is_visible, set_config, …), named by their
// pg_proc name; arguments and result have the types of that function. ok is
// false if the host does not implement the function.
type Host interface {
	CallHost(ctx *Ctx, proc string, args []types.Datum) (result types.Datum, ok bool, err error)
}

// epoch2000 is 2000-01-01 in Unix microseconds.
const epoch2000 = 946684800 * 1000000

// ClockTime returns the wall clock in microseconds since 2000.
func (c *Ctx) ClockTime() int64 {
	if c.Clock != nil {
		return c.Clock().UnixMicro() - epoch2000
	}
	return time.Now().UnixMicro() - epoch2000
}

// MicrosOf turns a time into microseconds since 2000.
func MicrosOf(t time.Time) int64 { return t.UnixMicro() - epoch2000 }

// Canceled returns the error of a canceled statement, or nil.
func (c *Ctx) Canceled() error {
	if c.Cancel != nil && c.Cancel.Load() {
		return types.Errorf(types.CodeQueryCanceled, "canceling statement due to user request")
	}
	return nil
}

var defaultSettings = types.DefaultSettings()

// Set returns the settings, never nil.
func (c *Ctx) Set() *types.Settings {
	if c == nil || c.Settings == nil {
		return defaultSettings
	}
	return c.Settings
}

// Info is what a body may want to know of the call site.
type Info struct {
	Proc      types.OID
	Name      string // pg_proc name
	Src       string // internal name
	ArgTypes  []types.Type
	Ret       types.Type
	Collation types.OID
	Variadic  bool // the last argument is an array given with VARIADIC
	// Order tells how an ordered-set aggregate's values were sorted.
	Order []Order
}

// Order is the direction of one sort key.
type Order struct{ Desc, NullsFirst bool }

// Call is one evaluation of a function over vectors.
type Call struct {
	Ctx  *Ctx
	Info *Info
	Args []*vec.Vector
	Out  *vec.Vector
	// Sel lists the positions to compute; nil means all of the first N.
	Sel []int32
	N   int
	// Row is the current position of a RowFunc, and the failing one of a kernel.
	Row int
	// Cache is the body's own, kept between calls at one call site.
	Cache any
}

// Kernel computes a function for all selected positions. The output vector has
// been resized to N.
type Kernel func(c *Call) error

// RowFunc computes a function for position c.Row.
type RowFunc func(c *Call) error

// Int returns Int64 argument k of the current row.
func (c *Call) Int(k int) int64 { return c.Args[k].Int(c.Row) }

// Bool returns boolean argument k of the current row.
func (c *Call) Bool(k int) bool { return c.Args[k].Int(c.Row) != 0 }

// Float returns Float64 argument k of the current row.
func (c *Call) Float(k int) float64 { return c.Args[k].Float(c.Row) }

// Bytes returns Bytes argument k of the current row; it must not be changed.
func (c *Call) Bytes(k int) []byte { return c.Args[k].Bytes(c.Row) }

// Str returns Bytes argument k of the current row as a string that must not be
// kept.
func (c *Call) Str(k int) string { return c.Args[k].Str(c.Row) }

// Num returns numeric argument k of the current row.
func (c *Call) Num(k int) types.Numeric { return c.Args[k].Numeric(c.Row) }

// Datum returns argument k of the current row without copying bytes.
func (c *Call) Datum(k int) types.Datum { return c.Args[k].View(c.Row) }

// IsNull reports whether argument k of the current row is NULL.
func (c *Call) IsNull(k int) bool { return c.Args[k].IsNull(c.Row) }

// RetInt sets the result of the current row.
func (c *Call) RetInt(v int64) error { c.Out.Ints[c.Row] = v; return nil }

// RetBool sets the result of the current row.
func (c *Call) RetBool(v bool) error { c.Out.SetBool(c.Row, v); return nil }

// RetFloat sets the result of the current row.
func (c *Call) RetFloat(v float64) error { c.Out.Floats[c.Row] = v; return nil }

// RetStr sets the result of the current row to a copy of s.
func (c *Call) RetStr(s string) error { c.Out.SetStr(c.Row, s); return nil }

// RetBytes sets the result of the current row to a copy of b.
func (c *Call) RetBytes(b []byte) error { c.Out.SetBytes(c.Row, b); return nil }

// RetNum sets the result of the current row.
func (c *Call) RetNum(n types.Numeric) error { c.Out.SetNumeric(c.Row, n); return nil }

// RetNull sets the result of the current row to NULL.
func (c *Call) RetNull() error { c.Out.SetDatum(c.Row, types.Null); return nil }

// Ret sets the result of the current row.
func (c *Call) Ret(d types.Datum) error { c.Out.SetDatum(c.Row, d); return nil }
