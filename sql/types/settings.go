package types

import "time"

// DateStyle is the output format of dates and timestamps.
type DateStyle uint8

// The date styles.
const (
	DateISO DateStyle = iota
	DateSQL
	DatePostgres
	DateGerman
)

// DateOrder says how an ambiguous input such as 1/2/2003 is read.
type DateOrder uint8

// The date orders.
const (
	OrderMDY DateOrder = iota
	OrderDMY
	OrderYMD
)

// IntervalStyle is the output format of intervals.
type IntervalStyle uint8

// The interval styles.
const (
	IntervalPostgres IntervalStyle = iota
	IntervalPostgresVerbose
	IntervalSQLStandard
	IntervalISO8601
)

// Settings are the session settings that change how values are read and
// printed. They are read-only while a statement runs.
type Settings struct {
	DateStyle        DateStyle
	DateOrder        DateOrder
	IntervalStyle    IntervalStyle
	Location         *time.Location // nil means UTC
	TimeZoneName     string
	ByteaEscape      bool // bytea_output = escape
	ExtraFloatDigits int
	// Now is the transaction timestamp in microseconds since 2000, for the
	// inputs 'now', 'today', 'tomorrow' and 'yesterday'.
	Now int64
	// Names resolves reg* input and output; nil prints and reads numbers only.
	Names NameResolver
}

// NameResolver turns names into oids and back for the reg* types. kind is the
// reg type's oid (RegClassOID, RegTypeOID, ...).
type NameResolver interface {
	RegName(kind, oid OID) (name string, ok bool)
	RegOID(kind OID, name string) (OID, error)
	// EnumLabels returns an enum's name and its labels in their order.
	EnumLabels(oid OID) (name string, labels []Label, ok bool)
}

// DefaultSettings are the settings of a new session.
func DefaultSettings() *Settings {
	return &Settings{TimeZoneName: "UTC", Location: time.UTC, ExtraFloatDigits: 1}
}

// Loc returns the session's time zone.
func (s *Settings) Loc() *time.Location {
	if s == nil || s.Location == nil {
		return time.UTC
	}
	return s.Location
}
