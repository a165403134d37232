package api

import (
	"context"
	"errors"

	"github.com/pamirdb/pamir/pkg/ids"
)

// InternalError is an error of another node that has no type of its own here.
type InternalError struct{ Message string }

func (e *InternalError) Error() string { return e.Message }

// Codes of errors; they are part of the protocol.
const (
	codeInternal = iota + 1
	codeNotLeaseholder
	codeRangeMismatch
	codeRangeNotFound
	codeUnavailable
	codeRetry
	codeAborted
	codeDeadlock
	codeLockUnavailable
	codeConditionFailed
	codeAmbiguous
	codeDeadline
	codeGC
	codeUnknownProgram
	codeCanceled
	codeTimeout
)

// AppendError appends the encoding of err, classified by errors.As; what wraps
// it is lost.
func AppendError(b []byte, err error) []byte {
	b = append(b, CodecVersion)
	if e, ok := appendRedirect(b, err); ok {
		return e
	}
	if e, ok := appendTxnError(b, err); ok {
		return e
	}
	switch {
	case errors.Is(err, ErrUnknownProgram):
		return append(b, codeUnknownProgram)
	case errors.Is(err, context.Canceled):
		return append(b, codeCanceled)
	case errors.Is(err, context.DeadlineExceeded):
		return append(b, codeTimeout)
	}
	return appendText(append(b, codeInternal), err.Error())
}

func appendRedirect(b []byte, err error) ([]byte, bool) {
	var holder *NotLeaseholderError
	var mismatch *RangeMismatchError
	var missing *RangeNotFoundError
	var unavailable *UnavailableError
	switch {
	case errors.As(err, &holder):
		b = appendInt(append(b, codeNotLeaseholder), int64(holder.RangeID))
		b = appendBool(b, holder.Lease != nil)
		if holder.Lease != nil {
			b = appendLease(b, holder.Lease)
		}
	case errors.As(err, &mismatch):
		b = appendList(append(b, codeRangeMismatch), mismatch.Descs, appendDesc)
	case errors.As(err, &missing):
		b = appendInt(append(b, codeRangeNotFound), int64(missing.RangeID))
	case errors.As(err, &unavailable):
		b = appendInt(append(b, codeUnavailable), int64(unavailable.RangeID))
		b = appendText(b, unavailable.Reason)
	default:
		return b, false
	}
	return b, true
}

func appendTxnError(b []byte, err error) ([]byte, bool) {
	var retry *RetryError
	var aborted *AbortedError
	var deadlock *DeadlockError
	var locked *LockUnavailableError
	var condition *ConditionFailedError
	var ambiguous *AmbiguousError
	var deadline *DeadlineError
	var gc *GCError
	switch {
	case errors.As(err, &retry):
		b = appendTS(append(b, codeRetry, byte(retry.Reason)), retry.Timestamp)
	case errors.As(err, &aborted):
		b = appendText(append(b, codeAborted), aborted.Reason)
	case errors.As(err, &deadlock):
		b = appendText(append(b, codeDeadlock), deadlock.Detail)
	case errors.As(err, &locked):
		b = appendBool(appendBytes(append(b, codeLockUnavailable), locked.Key), locked.Timeout)
	case errors.As(err, &condition):
		b = appendInt(append(b, codeConditionFailed), int64(condition.Index))
		b = appendBytes(appendBytes(b, condition.Key), condition.Existing)
		b = appendTS(b, condition.VersionTS)
	case errors.As(err, &ambiguous):
		b = appendText(append(b, codeAmbiguous), ambiguous.Cause)
	case errors.As(err, &deadline):
		b = appendTS(append(b, codeDeadline), deadline.CommitTS)
	case errors.As(err, &gc):
		b = appendTS(append(b, codeGC), gc.Threshold)
	default:
		return b, false
	}
	return b, true
}

// DecodeError reads what AppendError wrote. The second error reports malformed
// bytes.
func DecodeError(b []byte) (decoded, malformed error) {
	d := newDecoder(b)
	decoded = readError(d)
	if malformed = d.finish(); malformed != nil {
		return nil, malformed
	}
	return decoded, nil
}

func readError(d *decoder) error {
	switch code := d.byte(); code {
	case codeInternal:
		return &InternalError{Message: d.text()}
	case codeNotLeaseholder:
		e := &NotLeaseholderError{RangeID: ids.RangeID(d.int())}
		if d.bool() {
			e.Lease = &Lease{}
			readLease(d, e.Lease)
		}
		return e
	case codeRangeMismatch:
		return &RangeMismatchError{Descs: readList(d, readDesc)}
	case codeRangeNotFound:
		return &RangeNotFoundError{RangeID: ids.RangeID(d.int())}
	case codeUnavailable:
		return &UnavailableError{RangeID: ids.RangeID(d.int()), Reason: d.text()}
	case codeUnknownProgram:
		return ErrUnknownProgram
	case codeCanceled:
		return context.Canceled
	case codeTimeout:
		return context.DeadlineExceeded
	default:
		return readTxnError(d, code)
	}
}

func readTxnError(d *decoder, code byte) error {
	switch code {
	case codeRetry:
		return &RetryError{Reason: RetryReason(d.enum(byte(ReasonLeaseMoved))), Timestamp: d.ts()}
	case codeAborted:
		return &AbortedError{Reason: d.text()}
	case codeDeadlock:
		return &DeadlockError{Detail: d.text()}
	case codeLockUnavailable:
		return &LockUnavailableError{Key: d.bytes(), Timeout: d.bool()}
	case codeConditionFailed:
		return &ConditionFailedError{Index: int(d.int32()), Key: d.bytes(), Existing: d.bytes(), VersionTS: d.ts()}
	case codeAmbiguous:
		return &AmbiguousError{Cause: d.text()}
	case codeDeadline:
		return &DeadlineError{CommitTS: d.ts()}
	case codeGC:
		return &GCError{Threshold: d.ts()}
	}
	d.fail()
	return nil
}
