package pgwire

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pamirdb/pamir/sql/types"
)

// conn is one connection.
type conn struct {
	s       *Server
	raw     net.Conn
	net     net.Conn // the encrypted one, once there is one
	trusted bool     // comes from inside of this process
	r       reader
	w       writer
	res     result

	pid    int32
	secret []byte // of cancel requests
	sess   Session
	// fatal is the error that ends the connection, set where it cannot be
	// returned: inside of a session's call.
	fatal error
	// outOfStep says that the client sent something else than was due; the
	// connection ends when the error is told.
	outOfStep bool
	// skip means that an error in the extended protocol was answered and all
	// messages up to Sync are ignored.
	skip bool
	// state tells draining whether the connection waits for its client.
	state atomic.Int32
	in    received
	bind  bindBuffers
	notes notes

	// told is what the client knows of the settings it follows, as of version
	// settings.
	told     map[string]string
	settings uint64
}

// States of a connection.
const (
	stateStarting int32 = iota // has not said or proved who it is
	stateBusy                  // runs a statement
	stateWaiting               // waits for the client, outside of a transaction
	stateInBlock               // waits for the client, inside of one
)

func newConn(s *Server, c net.Conn) *conn {
	out := &conn{s: s, raw: c, net: c, r: newReader(c), w: writer{dst: c}, told: map[string]string{}}
	out.res.c = out
	return out
}

// errTerminated is a connection's orderly end.
var errTerminated = errors.New("the client said goodbye")

// serve runs the connection to its end.
func (c *conn) serve(ctx context.Context) {
	defer c.close()
	err := c.startSafely(ctx)
	if err == nil {
		c.s.register(c)
		err = c.loop(ctx)
	}
	if err == nil || errors.Is(err, errTerminated) {
		return
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && c.s.draining.Load() {
		err = errShutdown()
	} else if isGone(err) {
		return
	}
	e := asError(err)
	c.s.cfg.Logger.Info("client connection ended", "remote", c.net.RemoteAddr(), "error", e.Message, "code", e.Code)
	// The client may be gone; there is nobody else to tell.
	c.w.error(e, severityFatal)
	_ = c.net.SetWriteDeadline(time.Now().Add(goodbyeTimeout))
	_ = c.w.flush()
}

func (c *conn) startSafely(ctx context.Context) (err error) {
	defer c.survive(&err)
	return c.start(ctx)
}

// goodbyeTimeout bounds the last write to a client that may not read any more.
const goodbyeTimeout = time.Second

// isGone tells whether the client went away, which is no news to anybody.
func isGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, io.ErrClosedPipe) || errors.As(err, new(*net.OpError))
}

func (c *conn) close() {
	c.s.unregister(c)
	c.closeSession()
	_ = c.net.Close() // whatever it says, the connection is over
}

// closeSession survives a session that a panic left in pieces.
func (c *conn) closeSession() {
	if c.sess == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			c.s.cfg.Logger.Error("panic in closing a session", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	c.sess.Close()
}

// lost notes an error that ends the connection from inside of a session's call.
func (c *conn) lost(err error) error {
	if c.fatal == nil {
		c.fatal = err
	}
	return err
}

// loop answers messages until the connection ends.
func (c *conn) loop(ctx context.Context) error {
	c.r.maxBytes = c.s.cfg.MaxMessageBytes
	c.notes.writer.Lock()
	defer c.notes.writer.Unlock()
	c.state.Store(stateBusy)
	for {
		kind, msg, err := c.next()
		if err != nil {
			return err
		}
		if err := c.handle(ctx, kind, msg); err != nil {
			return err
		}
		if c.fatal != nil {
			return c.fatal
		}
		if c.w.err != nil {
			return c.w.err
		}
	}
}

// next waits for a message. Draining and idle timeouts interrupt the wait.
func (c *conn) next() (byte, []byte, error) {
	if c.r.buffered() {
		return c.r.message()
	}
	state := stateWaiting
	if c.sess.TxnStatus() != 'I' || c.skip {
		state = stateInBlock
	}
	timeout := c.sess.IdleTimeout()
	if timeout > 0 {
		if err := c.net.SetReadDeadline(time.Now().Add(timeout)); err != nil {
			return 0, nil, err
		}
	}
	c.r.rest()
	c.w.rest()
	c.state.Store(state)
	// Whoever drains sets the flag first and looks at the state then; here it is
	// the other way round, so one of the two notices.
	if c.s.draining.Load() && state == stateWaiting || c.s.closing.Load() {
		return 0, nil, errShutdown()
	}
	c.yield()
	err := c.r.fill(1)
	c.notes.writer.Lock()
	c.state.Store(stateBusy)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if c.s.draining.Load() {
			return 0, nil, errShutdown()
		}
		return 0, nil, c.idleError()
	}
	if err != nil {
		return 0, nil, err
	}
	if timeout > 0 {
		if err := c.net.SetReadDeadline(time.Time{}); err != nil {
			return 0, nil, err
		}
	}
	return c.r.message()
}

func errShutdown() *types.Error {
	e := types.Errorf(types.CodeAdminShutdown, "terminating connection due to administrator command")
	e.Severity = severityFatal
	return e
}

func (c *conn) idleError() *types.Error {
	e := types.Errorf("57P05", "terminating connection due to idle-session timeout")
	if c.sess.TxnStatus() != 'I' {
		e = types.Errorf("25P03", "terminating connection due to idle-in-transaction timeout")
	}
	e.Severity = severityFatal
	return e
}

// handle answers one message. Its error ends the connection; the errors of
// statements are answers.
func (c *conn) handle(ctx context.Context, kind byte, msg []byte) (err error) {
	defer c.survive(&err)
	if c.skip && kind != 'S' && kind != 'X' {
		return nil
	}
	switch kind {
	case 'Q':
		return c.query(ctx, msg)
	case 'P', 'B', 'D', 'E', 'C':
		if err := c.extended(ctx, kind, msg); err != nil {
			return c.fail(ctx, err)
		}
		return c.w.relieve()
	case 'S':
		return c.sync(ctx, msg)
	case 'H':
		if err := decode(&c.in.flush, msg); err != nil {
			return c.fail(ctx, err)
		}
		return c.w.flush()
	case 'X':
		return errTerminated
	case 'd', 'c', 'f':
		// What a client still sends of a copy that failed.
		return nil
	case 'F':
		if err := decode(&pgproto3.FunctionCall{}, msg); err != nil {
			return c.answer(ctx, err)
		}
		return c.answer(ctx, types.Errorf(types.CodeFeatureNotSupported, "function calls by message are not supported"))
	}
	return protocolError("invalid frontend message type %d", kind)
}

// survive makes an error of a panic: it ends one connection, not the node.
func (c *conn) survive(err *error) {
	if p := recover(); p != nil {
		c.s.cfg.Logger.Error("panic in a session", "panic", p, "stack", string(debug.Stack()))
		*err = fatal(types.CodeInternal, "internal error: %v", p)
	}
}

// query runs a string in the simple protocol.
func (c *conn) query(ctx context.Context, msg []byte) error {
	m := &c.in.query
	if err := decode(m, msg); err != nil {
		return c.answer(ctx, err)
	}
	sql := m.String
	m.String = "" // the session decides how long it lives
	c.res.extended = false
	c.w.begin()
	if err := c.sess.Exec(ctx, sql, &c.res); err != nil {
		if err := c.report(err); err != nil {
			return err
		}
	}
	return c.ready()
}

// report answers with an error. One that ends the connection is returned.
func (c *conn) report(err error) error {
	if c.fatal != nil {
		return c.fatal
	}
	e := asError(err)
	if e.Severity == severityFatal {
		return e
	}
	c.w.error(e, severityError)
	c.w.begin()
	if c.outOfStep {
		return protocolError("terminating connection because protocol synchronization was lost")
	}
	return nil
}

// answer answers a message of its own, which no Sync follows, with an error that
// the session has not seen.
func (c *conn) answer(ctx context.Context, err error) error {
	c.sess.Fail(ctx)
	if err := c.report(err); err != nil {
		return err
	}
	return c.ready()
}

// parameter tells the client of a setting unless it knows.
func (c *conn) parameter(name, value string) {
	if old, ok := c.told[name]; !ok || old != value {
		c.told[name] = value
		c.w.send(&pgproto3.ParameterStatus{Name: name, Value: value})
	}
}

// ready ends the answer to a message: changed settings, notifications, and the
// state of the transaction.
func (c *conn) ready() error {
	c.w.begin()
	if v := c.sess.SettingsVersion(); v != c.settings {
		c.settings = v
		c.sess.Parameters(c.parameter)
	}
	status := c.sess.TxnStatus()
	if status == 'I' && c.notes.pending.Load() {
		c.writeNotes()
	}
	c.w.readyForQuery(status)
	return c.w.flush()
}

// fail answers an error in the extended protocol: the transaction has failed,
// also where the session has not seen the message, and everything up to Sync is
// skipped.
func (c *conn) fail(ctx context.Context, err error) error {
	c.sess.Fail(ctx)
	if err := c.report(err); err != nil {
		return err
	}
	c.skip = true
	return c.w.flush()
}

// sync ends an implicit transaction and the skipping after an error.
func (c *conn) sync(ctx context.Context, msg []byte) error {
	c.skip = false
	c.w.begin()
	if err := decode(&c.in.sync, msg); err != nil {
		return c.answer(ctx, err)
	}
	if err := c.sess.Sync(ctx); err != nil {
		if err := c.report(err); err != nil {
			return err
		}
	}
	return c.ready()
}
