package api

import (
	"errors"
	"fmt"

	"github.com/pamirdb/pamir/pkg/hlc"
	"github.com/pamirdb/pamir/pkg/ids"
)

// ErrUnknownProgram is an evaluator's answer to a program that it cannot run.
var ErrUnknownProgram = errors.New("api: unknown scan program")

// Redirects are absorbed by kv/route and never seen above it.
type (
	// NotLeaseholderError names the holder if the replica knows it.
	NotLeaseholderError struct {
		RangeID ids.RangeID
		Lease   *Lease
	}
	// RangeMismatchError corrects a stale sender: the batch's keys are not (all)
	// in the range. Descs holds what the replica knows of the ranges there.
	RangeMismatchError struct {
		Descs []RangeDescriptor
	}
	// RangeNotFoundError reports a node without a replica of the range.
	RangeNotFoundError struct{ RangeID ids.RangeID }
	// UnavailableError reports that a request certainly was not executed, since
	// the replica could not get a lease or a quorum in time; another try may help.
	UnavailableError struct {
		RangeID ids.RangeID
		Reason  string
	}
)

// Transaction errors.
type (
	// RetryError asks the transaction to move its timestamps to at least
	// Timestamp and, if its reads cannot be refreshed, to start over (40001).
	RetryError struct {
		Reason    RetryReason
		Timestamp hlc.Timestamp
	}
	// AbortedError: the transaction was aborted by another; it must start over
	// with a new id (40001).
	AbortedError struct{ Reason string }
	// DeadlockError: the transaction was chosen to break a cycle (40P01).
	DeadlockError struct{ Detail string }
	// LockUnavailableError answers NOWAIT and lock_timeout (55P03).
	LockUnavailableError struct {
		Key     Key
		Timeout bool
	}
	// ConditionFailedError is a violated ExpectAbsent, with the row that is
	// there; SQL makes 23505 of it.
	ConditionFailedError struct {
		Index     int // request's place in its batch
		Key       Key
		Existing  []byte
		VersionTS hlc.Timestamp
	}
	// AmbiguousError: the commit may or may not have happened (40003). It is
	// never retried blindly.
	AmbiguousError struct{ Cause string }
	// DeadlineError: the commit timestamp would pass the deadline (the schema
	// leases used have expired); start over with fresh descriptors.
	DeadlineError struct{ CommitTS hlc.Timestamp }
	// GCError: the read timestamp is below the GC threshold.
	GCError struct{ Threshold hlc.Timestamp }
)

// RetryReason says why a transaction must move.
type RetryReason uint8

// Reasons.
const (
	// ReasonUncertain: a value above the read timestamp may be older than the
	// transaction.
	ReasonUncertain RetryReason = iota + 1
	// ReasonNewerVersion: a lock or write met a version above the snapshot.
	ReasonNewerVersion
	// ReasonPushed: the write timestamp was pushed (a later read, or a pusher).
	ReasonPushed
	// ReasonRefreshFailed: a span that was read has changed.
	ReasonRefreshFailed
	// ReasonStaleBase: a buffered write's base version is no longer the newest.
	ReasonStaleBase
	// ReasonLeaseMoved: an absent record under a younger lease.
	ReasonLeaseMoved
)

func (r RetryReason) String() string {
	return [...]string{"", "value in the uncertainty interval", "newer version", "write timestamp pushed",
		"read refresh failed", "stale base version", "lease moved"}[r]
}

func (e *NotLeaseholderError) Error() string {
	return fmt.Sprintf("%s: not the leaseholder", e.RangeID)
}
func (e *RangeMismatchError) Error() string { return "key is not in the range" }
func (e *RangeNotFoundError) Error() string { return fmt.Sprintf("%s: no replica here", e.RangeID) }
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("%s is unavailable: %s", e.RangeID, e.Reason)
}
func (e *RetryError) Error() string    { return "restart transaction: " + e.Reason.String() }
func (e *AbortedError) Error() string  { return "transaction aborted: " + e.Reason }
func (e *DeadlockError) Error() string { return "deadlock detected" }
func (e *LockUnavailableError) Error() string {
	if e.Timeout {
		return "canceling statement due to lock timeout"
	}
	return "could not obtain lock on row"
}
func (e *ConditionFailedError) Error() string { return "a row with this key exists" }
func (e *AmbiguousError) Error() string       { return "result is ambiguous: " + e.Cause }
func (e *DeadlineError) Error() string        { return "transaction passed its commit deadline" }
func (e *GCError) Error() string {
	return fmt.Sprintf("read timestamp is below the garbage collection threshold %s", e.Threshold)
}
