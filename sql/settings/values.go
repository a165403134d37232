package settings

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pamirdb/pamir/sql/types"
)

// Values are one session's values. One goroutine uses them.
type Values struct {
	set     map[string]string // by lower-case name, what differs from the default
	initial map[string]string // what RESET goes back to
	local   map[string]string // what SET LOCAL has covered; nil without one
	// A shared map belongs to snapshots as well: it is copied before a change.
	sharedSet, sharedLocal bool
	types                  *types.Settings

	path      []string
	stmt      time.Duration
	lock      time.Duration
	isolation string
	readOnly  bool
	dialect   string
	idle      time.Duration
	idleTxn   time.Duration
	version   uint64
}

// customName is what the name of a parameter that nobody knows must look like.
var customName = regexp.MustCompile(`^[A-Za-z_[:^ascii:]][A-Za-z0-9_$[:^ascii:]]*(\.[A-Za-z_[:^ascii:]][A-Za-z0-9_$[:^ascii:]]*)+$`)

// Snapshot is a state to go back to.
type Snapshot struct{ set, local map[string]string }

// New returns the defaults.
func New() *Values {
	v := &Values{set: map[string]string{}, initial: map[string]string{}, types: types.DefaultSettings()}
	v.derive()
	return v
}

// Set changes a parameter; local lasts until the transaction ends.
func (v *Values) Set(name, value string, local bool) error {
	key := strings.ToLower(name)
	d, ok := Lookup(key)
	if !ok {
		if !strings.Contains(key, ".") {
			return types.Errorf(types.CodeUndefinedObject, "unrecognized configuration parameter \"%s\"", name)
		}
		if !customName.MatchString(name) {
			return types.Errorf(types.CodeInvalidName, "invalid configuration parameter name \"%s\"", name).
				WithDetail("Custom parameter names must be two or more simple identifiers separated by dots.")
		}
		v.put(key, value, local)
		return nil
	}
	if err := d.changeable(name); err != nil {
		return err
	}
	asked := *d
	asked.Name = name // errors show the name as it was given
	canonical, err := asked.canonical(value)
	if key == "datestyle" {
		old, _ := v.Get(key)
		canonical, err = dateStyle(value, old)
	}
	if err != nil {
		return err
	}
	v.put(key, canonical, local)
	v.derive()
	return nil
}

// Derive sets an internal parameter, whose value follows from others.
func (v *Values) Derive(name, value string) {
	if old, _ := v.Get(name); old == value {
		return
	}
	v.own()
	v.set[name] = value
	if v.local != nil {
		v.local[name] = value
	}
}

func (v *Values) put(key, value string, local bool) {
	for _, m := range v.changing(local) {
		m[key] = value
	}
	v.version++
}

// changing returns the maps that a change is entered into.
func (v *Values) changing(local bool) []map[string]string {
	if local && v.local == nil {
		v.local, v.sharedLocal, v.sharedSet = v.set, true, true
	}
	v.own()
	if local || v.local == nil {
		return []map[string]string{v.set}
	}
	return []map[string]string{v.set, v.local}
}

// own makes sure that the maps may be changed.
func (v *Values) own() {
	if v.sharedSet {
		v.set, v.sharedSet = maps.Clone(v.set), false
	}
	if v.sharedLocal {
		v.local, v.sharedLocal = maps.Clone(v.local), false
	}
}

// Get returns a parameter's value.
func (v *Values) Get(name string) (string, bool) {
	if x, ok := v.set[name]; ok {
		return x, true
	}
	key := strings.ToLower(name)
	if x, ok := v.set[key]; ok {
		return x, true
	}
	if d, ok := Lookup(key); ok {
		return d.Default, true
	}
	return "", false
}

// Bool returns a boolean parameter.
func (v *Values) Bool(name string) bool {
	if name == "default_transaction_read_only" {
		return v.readOnly
	}
	x, _ := v.Get(name)
	return x == "on"
}

// messageLevels are the values of client_min_messages, from the most talkative.
var messageLevels = []string{"debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"}

// Wants reports whether the client is to be told messages of a severity. What
// has asked to be told (INFO), and errors, always get through.
func (v *Values) Wants(severity string) bool {
	level := slices.Index(messageLevels, strings.ToLower(severity))
	if level < 0 {
		return true
	}
	least, _ := v.Get("client_min_messages")
	return level >= slices.Index(messageLevels, least)
}

// Seal makes the values as they are now what RESET goes back to.
func (v *Values) Seal() { v.initial, v.sharedSet = v.set, true }

// Reset sets a parameter back; local lasts until the transaction ends.
func (v *Values) Reset(name string, local bool) error {
	key := strings.ToLower(name)
	d, ok := Lookup(key)
	if !ok && !strings.Contains(key, ".") {
		return types.Errorf(types.CodeUndefinedObject, "unrecognized configuration parameter \"%s\"", name)
	}
	if ok {
		if err := d.changeable(name); err != nil {
			return err
		}
	}
	for _, m := range v.changing(local) {
		if x, ok := v.initial[key]; ok {
			m[key] = x
		} else if _, isSet := m[key]; isSet && d == nil {
			m[key] = "" // once named, a custom parameter stays known
		} else {
			delete(m, key)
		}
	}
	v.derive()
	return nil
}

// ResetAll sets everything back but for whom the session acts for.
func (v *Values) ResetAll() {
	v.set, v.sharedSet = v.resetAll(v.set), false
	if v.local != nil {
		v.local, v.sharedLocal = v.resetAll(v.local), false
	}
	v.derive()
}

func (v *Values) resetAll(old map[string]string) map[string]string {
	out := maps.Clone(v.initial)
	for name := range old {
		if _, has := out[name]; !has && strings.Contains(name, ".") {
			out[name] = "" // once named, a custom parameter stays known
		}
	}
	for _, name := range []string{"role", "session_authorization"} {
		if x, ok := old[name]; ok {
			out[name] = x
		} else {
			delete(out, name)
		}
	}
	return out
}

// Snapshot returns the state. It copies nothing.
func (v *Values) Snapshot() *Snapshot {
	v.sharedSet, v.sharedLocal = true, v.local != nil
	return &Snapshot{set: v.set, local: v.local}
}

// Restore goes back to a state.
func (v *Values) Restore(s *Snapshot) {
	v.set, v.local = s.set, s.local
	v.sharedSet, v.sharedLocal = true, s.local != nil
	v.derive()
}

// EndLocal ends the effect of SET LOCAL, if there was any.
func (v *Values) EndLocal() {
	if v.local == nil {
		return
	}
	v.Restore(&Snapshot{set: v.local})
}

// Types returns the settings that values are read and printed under. It stays
// the same for the session's life.
func (v *Values) Types() *types.Settings { return v.types }

// StatementTimeout is statement_timeout, 0 for none.
func (v *Values) StatementTimeout() time.Duration { return v.stmt }

// LockTimeout is lock_timeout, 0 for none.
func (v *Values) LockTimeout() time.Duration { return v.lock }

// IdleTimeout is how long a client may stay idle, in a transaction or outside of
// one; 0 is forever.
func (v *Values) IdleTimeout(inTxn bool) time.Duration {
	if inTxn {
		return v.idleTxn
	}
	return v.idle
}

// Version changes whenever a value may have changed.
func (v *Values) Version() uint64 { return v.version }

// SearchPath lists the names of search_path.
func (v *Values) SearchPath() []string { return v.path }

// Dialect is sql_dialect.
func (v *Values) Dialect() string { return v.dialect }

// Isolation is default_transaction_isolation.
func (v *Values) Isolation() string { return v.isolation }

// derive computes what is asked for on every statement.
func (v *Values) derive() {
	v.version++
	get := func(name string) string { x, _ := v.Get(name); return x }
	v.path = splitList(get("search_path"))
	v.stmt, v.lock = millis(get("statement_timeout")), millis(get("lock_timeout"))
	v.idle, v.idleTxn = millis(get("idle_session_timeout")), millis(get("idle_in_transaction_session_timeout"))
	v.dialect = get("sql_dialect")
	v.isolation = get("default_transaction_isolation")
	v.readOnly = get("default_transaction_read_only") == "on"
	t := v.types
	style, order, _ := strings.Cut(get("DateStyle"), ", ")
	t.DateStyle = map[string]types.DateStyle{"ISO": types.DateISO, "SQL": types.DateSQL, "Postgres": types.DatePostgres, "German": types.DateGerman}[style]
	t.DateOrder = map[string]types.DateOrder{"MDY": types.OrderMDY, "DMY": types.OrderDMY, "YMD": types.OrderYMD}[order]
	t.IntervalStyle = map[string]types.IntervalStyle{"postgres": types.IntervalPostgres, "postgres_verbose": types.IntervalPostgresVerbose,
		"sql_standard": types.IntervalSQLStandard, "iso_8601": types.IntervalISO8601}[get("IntervalStyle")]
	t.ByteaEscape = get("bytea_output") == "escape"
	t.ExtraFloatDigits, _ = strconv.Atoi(get("extra_float_digits"))
	t.TimeZoneName = get("TimeZone")
	if loc, _, err := zone(t.TimeZoneName); err == nil {
		t.Location = loc
	}
}

func millis(s string) time.Duration {
	d, ok := parseUnits(s, "ms")
	if !ok {
		return 0
	}
	return time.Duration(d * float64(time.Millisecond))
}

// splitList splits a list of names; quoted ones keep their case.
func splitList(s string) []string {
	var out []string
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == ',' || c == '\t':
			i++
		case c == '"':
			var b strings.Builder
			for i++; i < len(s); i++ {
				if s[i] == '"' {
					if i+1 < len(s) && s[i+1] == '"' {
						i++
					} else {
						break
					}
				}
				b.WriteByte(s[i])
			}
			i++
			out = append(out, b.String())
		default:
			end := i
			for end < len(s) && s[end] != ',' {
				end++
			}
			out = append(out, strings.ToLower(strings.TrimSpace(s[i:end])))
			i = end
		}
	}
	return out
}
