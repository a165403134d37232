package types

import (
	"errors"
	"fmt"
)

// Error is an error with a SQLSTATE: what the client is told. Whole SQL layer.
type Error struct {
	Code       string
	Severity   string // empty means ERROR
	Message    string
	Detail     string
	Hint       string
	Position   int // 1-based character of the statement, 0 when unknown
	Where      string
	Schema     string
	Table      string
	Column     string
	DataType   string
	Constraint string
}

// Error returns the message with its SQLSTATE.
func (e *Error) Error() string { return e.Message + " (SQLSTATE " + e.Code + ")" }

// Errorf returns an Error with a SQLSTATE and a formatted message.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// WithDetail sets the detail and returns e.
func (e *Error) WithDetail(format string, args ...any) *Error {
	e.Detail = fmt.Sprintf(format, args...)
	return e
}

// WithHint sets the hint and returns e.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// At sets the position, unless one is known already, and returns e.
func (e *Error) At(position int) *Error {
	if e.Position == 0 {
		e.Position = position
	}
	return e
}

// On names the table, column or constraint concerned and returns e; empty
// strings leave the field as it is.
func (e *Error) On(schema, table, column, constraint string) *Error {
	for _, f := range []struct {
		dst *string
		v   string
	}{{&e.Schema, schema}, {&e.Table, table}, {&e.Column, column}, {&e.Constraint, constraint}} {
		if f.v != "" {
			*f.dst = f.v
		}
	}
	return e
}

// CodeOf returns the SQLSTATE in err's chain: 00000 for nil, XX000 for an error
// that carries none.
func CodeOf(err error) string {
	if err == nil {
		return "00000"
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// SQLSTATEs that this layer raises, by PostgreSQL's condition names.
const (
	CodeWarning                     = "01000"
	CodeNoData                      = "02000"
	CodeConnectionFailure           = "08006"
	CodeProtocolViolation           = "08P01"
	CodeFeatureNotSupported         = "0A000"
	CodeCardinalityViolation        = "21000"
	CodeStringDataRightTruncation   = "22001"
	CodeNumericValueOutOfRange      = "22003"
	CodeNullValueNotAllowed         = "22004"
	CodeInvalidDatetimeFormat       = "22007"
	CodeDatetimeFieldOverflow       = "22008"
	CodeInvalidTimeZoneDisplacement = "22009"
	CodeSubstringError              = "22011"
	CodeDivisionByZero              = "22012"
	CodeInvalidPrecedingOrFollowing = "22013"
	CodeInvalidArgumentForNtile     = "22014"
	CodeIntervalFieldOverflow       = "22015"
	CodeInvalidArgumentForNthValue  = "22016"
	CodeInvalidLogArgument          = "2201E"
	CodeInvalidPowerArgument        = "2201F"
	CodeInvalidWidthBucketArgument  = "2201G"
	CodeInvalidRowCountInLimit      = "2201W"
	CodeInvalidRowCountInOffset     = "2201X"
	CodeInvalidEscapeCharacter      = "22019"
	CodeCharacterNotInRepertoire    = "22021"
	CodeInvalidParameterValue       = "22023"
	CodeInvalidEscapeSequence       = "22025"
	CodeStringDataLengthMismatch    = "22026"
	CodeArraySubscriptError         = "2202E"
	CodeInvalidRegularExpression    = "2201B"
	CodeInvalidTextRepresentation   = "22P02"
	CodeInvalidBinaryRepresentation = "22P03"
	CodeBadCopyFileFormat           = "22P04"
	CodeUntranslatableCharacter     = "22P05"
	CodeNonstandardUseOfEscape      = "22P06"
	CodeDuplicateJSONKey            = "22030"
	CodeInvalidJSONDatetime         = "22031"
	CodeInvalidJSONSubscript        = "22033"
	CodeNonNumericJSONItem          = "22036"
	CodeSingletonJSONItemRequired   = "22038"
	CodeJSONArrayNotFound           = "22039"
	CodeJSONMemberNotFound          = "2203A"
	CodeJSONNumberNotFound          = "2203B"
	CodeJSONObjectNotFound          = "2203C"
	CodeIntegrityConstraint         = "23000"
	CodeNotNullViolation            = "23502"
	CodeForeignKeyViolation         = "23503"
	CodeUniqueViolation             = "23505"
	CodeCheckViolation              = "23514"
	CodeExclusionViolation          = "23P01"
	CodeInvalidCursorState          = "24000"
	CodeInvalidTransactionState     = "25000"
	CodeActiveTransaction           = "25001"
	CodeReadOnlyTransaction         = "25006"
	CodeNoActiveTransaction         = "25P01"
	CodeInFailedTransaction         = "25P02"
	CodeInvalidStatementName        = "26000"
	CodeInvalidAuthorization        = "28000"
	CodeInvalidPassword             = "28P01"
	CodeDependentObjectsStillExist  = "2BP01"
	CodeInvalidTransactionTerm      = "2D000"
	CodeInvalidCursorName           = "34000"
	CodeInvalidSavepoint            = "3B001"
	CodeInvalidCatalogName          = "3D000"
	CodeInvalidSchemaName           = "3F000"
	CodeSerializationFailure        = "40001"
	CodeStatementCompletionUnknown  = "40003"
	CodeDeadlockDetected            = "40P01"
	CodeSyntaxError                 = "42601"
	CodeInsufficientPrivilege       = "42501"
	CodeInvalidGrantOperation       = "0LP01"
	CodeCannotCoerce                = "42846"
	CodeGroupingError               = "42803"
	CodeWindowingError              = "42P20"
	CodeInvalidRecursion            = "42P19"
	CodeInvalidForeignKey           = "42830"
	CodeInvalidName                 = "42602"
	CodeInvalidTablesampleArgument  = "2202H"
	CodeNameTooLong                 = "42622"
	CodeReservedName                = "42939"
	CodeDatatypeMismatch            = "42804"
	CodeIndeterminateDatatype       = "42P18"
	CodeCollationMismatch           = "42P21"
	CodeIndeterminateCollation      = "42P22"
	CodeWrongObjectType             = "42809"
	CodeGeneratedAlways             = "428C9"
	CodeUndefinedColumn             = "42703"
	CodeUndefinedFunction           = "42883"
	CodeUndefinedTable              = "42P01"
	CodeUndefinedParameter          = "42P02"
	CodeUndefinedObject             = "42704"
	CodeDuplicateColumn             = "42701"
	CodeDuplicateCursor             = "42P03"
	CodeDuplicateDatabase           = "42P04"
	CodeDuplicateFunction           = "42723"
	CodeDuplicatePreparedStatement  = "42P05"
	CodeDuplicateSchema             = "42P06"
	CodeDuplicateTable              = "42P07"
	CodeDuplicateAlias              = "42712"
	CodeDuplicateObject             = "42710"
	CodeAmbiguousColumn             = "42702"
	CodeAmbiguousFunction           = "42725"
	CodeAmbiguousParameter          = "42P08"
	CodeAmbiguousAlias              = "42P09"
	CodeInvalidColumnReference      = "42P10"
	CodeInvalidColumnDefinition     = "42611"
	CodeInvalidDatabaseDefinition   = "42P12"
	CodeInvalidFunctionDefinition   = "42P13"
	CodeInvalidObjectDefinition     = "42P17"
	CodeInvalidTableDefinition      = "42P16"
	CodeInvalidSchemaDefinition     = "42P15"
	CodeInsufficientResources       = "53000"
	CodeDiskFull                    = "53100"
	CodeOutOfMemory                 = "53200"
	CodeTooManyConnections          = "53300"
	CodeProgramLimitExceeded        = "54000"
	CodeStatementTooComplex         = "54001"
	CodeTooManyColumns              = "54011"
	CodeTooManyArguments            = "54023"
	CodeObjectNotInPrerequisite     = "55000"
	CodeObjectInUse                 = "55006"
	CodeCantChangeRuntimeParam      = "55P02"
	CodeLockNotAvailable            = "55P03"
	CodeQueryCanceled               = "57014"
	CodeAdminShutdown               = "57P01"
	CodeCannotConnectNow            = "57P03"
	CodeRaiseException              = "P0001"
	CodeIOError                     = "58030"
	CodeUndefinedFile               = "58P01"
	CodeDuplicateFile               = "58P02"
	CodeInternal                    = "XX000"
	CodeDataCorrupted               = "XX001"
)
