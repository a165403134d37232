package session

import (
	"context"
	"errors"
	"strings"

	"github.com/pamirdb/pamir/kv/api"
	"github.com/pamirdb/pamir/pkg/keys"
	"github.com/pamirdb/pamir/sql/catalog"
	"github.com/pamirdb/pamir/sql/parse"
	"github.com/pamirdb/pamir/sql/pgcatalog"
	"github.com/pamirdb/pamir/sql/rowenc"
	"github.com/pamirdb/pamir/sql/types"
)

// translate makes what a client is told of any error.
func (s *Session) translate(err error) *types.Error {
	if err == nil {
		return nil
	}
	var e *types.Error
	if errors.As(err, &e) {
		if e.Code == types.CodeQueryCanceled && s.timedOut.Load() {
			return s.canceledError()
		}
		return s.nameTypes(e)
	}
	var (
		retry     *api.RetryError
		aborted   *api.AbortedError
		deadlock  *api.DeadlockError
		locked    *api.LockUnavailableError
		condition *api.ConditionFailedError
		ambiguous *api.AmbiguousError
		deadline  *api.DeadlineError
		gone      *api.UnavailableError
		old       *api.GCError
	)
	switch {
	case errors.As(err, &retry):
		return types.Errorf(types.CodeSerializationFailure, "could not serialize access due to concurrent update").
			WithDetail("Reason: %s.", retry.Reason).WithHint("The transaction might succeed if retried.")
	case errors.As(err, &aborted):
		return types.Errorf(types.CodeSerializationFailure, "could not serialize access: transaction was aborted").
			WithDetail("Reason: %s.", aborted.Reason).WithHint("The transaction might succeed if retried.")
	case errors.As(err, &deadlock):
		return types.Errorf(types.CodeDeadlockDetected, "deadlock detected").WithDetail("%s", deadlock.Detail)
	case errors.As(err, &locked):
		return s.lockError(locked)
	case errors.As(err, &condition):
		return types.Errorf(types.CodeUniqueViolation, "duplicate key value violates unique constraint").
			WithDetail("Key %s already exists.", keys.Pretty(condition.Key))
	case errors.As(err, &ambiguous):
		return types.Errorf(types.CodeStatementCompletionUnknown, "result is ambiguous: %s", ambiguous.Cause)
	case errors.As(err, &deadline):
		return types.Errorf(types.CodeSerializationFailure, "could not serialize access due to a schema change").
			WithHint("The transaction might succeed if retried.")
	case errors.As(err, &old):
		return types.Errorf("72000", "snapshot too old").WithDetail("%s", old.Error())
	case errors.As(err, &gone):
		return types.Errorf(types.CodeCannotConnectNow, "%s", gone.Error())
	case errors.Is(err, rowenc.ErrUnknownLayout):
		return types.Errorf(types.CodeSerializationFailure, "could not serialize access due to a schema change")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return s.canceledError()
	}
	return types.Errorf(types.CodeInternal, "%s", err.Error())
}

func (s *Session) canceledError() *types.Error {
	if s.timedOut.Load() {
		return types.Errorf(types.CodeQueryCanceled, "canceling statement due to statement timeout")
	}
	return types.Errorf(types.CodeQueryCanceled, "canceling statement due to user request")
}

// lockError names the table that a lock could not be had in.
func (s *Session) lockError(e *api.LockUnavailableError) *types.Error {
	if e.Timeout {
		return types.Errorf(types.CodeLockNotAvailable, "canceling statement due to lock timeout")
	}
	name := ""
	if table, _, _, err := keys.DecodeTableIndex(e.Key); err == nil {
		if d, ok := s.srv.store.Snapshot().ByOID(types.OID(table)); ok {
			if t, ok := d.(*catalog.Table); ok {
				name = t.Name
			}
		}
	}
	if name == "" {
		return types.Errorf(types.CodeLockNotAvailable, "could not obtain lock on row")
	}
	return types.Errorf(types.CodeLockNotAvailable, "could not obtain lock on row in relation \"%s\"", name)
}

// rerunnable reports whether a statement that failed so may succeed when it is
// run again on a new snapshot.
func rerunnable(err error) bool {
	var (
		retry    *api.RetryError
		aborted  *api.AbortedError
		deadline *api.DeadlineError
	)
	return errors.As(err, &retry) || errors.As(err, &aborted) || errors.As(err, &deadline) || errors.Is(err, rowenc.ErrUnknownLayout)
}

func isDeadlock(err error) bool {
	var d *api.DeadlockError
	return errors.As(err, &d)
}

// nameTypes names the users' types in an error.
func (s *Session) nameTypes(e *types.Error) *types.Error {
	if !strings.Contains(e.Message+e.Detail+e.Hint, "???") {
		return e
	}
	name := func(oid types.OID) string { return pgcatalog.TypeName(s.resolve(), types.Of(oid)) }
	c := *e
	c.Message, c.Detail, c.Hint = types.NameTypes(e.Message, name), types.NameTypes(e.Detail, name), types.NameTypes(e.Hint, name)
	return &c
}

// inText turns an error's place in a statement from bytes, as trees have it, to
// characters, as clients count.
func inText(err error, sql string) error {
	var e *types.Error
	if !errors.As(err, &e) || e.Position <= 1 {
		return err
	}
	at := parse.CharPosition(sql, e.Position-1)
	if at == 0 || at == e.Position {
		return err
	}
	c := *e
	c.Position = at
	return &c
}
