package pgwire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/pamirdb/pamir/sql/types"
)

const (
	readBufferBytes = 8 << 10
	// keepBufferBytes is the largest buffer that is kept for the next message.
	keepBufferBytes = 256 << 10
	// maxStartupBytes bounds what is read of a client that has not said who it is,
	// maxAuthBytes of one that has not proved it.
	maxStartupBytes = 10_000
	maxAuthBytes    = 64 << 10
)

// reader takes messages off a connection. A message is valid until the next is
// read.
type reader struct {
	src        io.Reader
	buf        []byte
	start, end int
	maxBytes   int
}

func newReader(src io.Reader) reader {
	return reader{src: src, buf: make([]byte, readBufferBytes), maxBytes: maxAuthBytes}
}

// protocolError is a violation that ends the connection.
func protocolError(format string, args ...any) *types.Error {
	e := types.Errorf(types.CodeProtocolViolation, format, args...)
	e.Severity = severityFatal
	return e
}

// message reads one message: its type and its body.
func (r *reader) message() (kind byte, body []byte, err error) {
	head, err := r.take(5)
	if err != nil {
		return 0, nil, err
	}
	kind = head[0]
	n := int(int32(binary.BigEndian.Uint32(head[1:])))
	if n < 4 || !isMessageKind(kind) {
		if !isMessageKind(kind) {
			return 0, nil, protocolError("invalid frontend message type %d", kind)
		}
		return 0, nil, protocolError("invalid message length")
	}
	if n-4 > r.maxBytes {
		return 0, nil, protocolError("message of %d bytes exceeds the limit of %d bytes", n-4, r.maxBytes)
	}
	body, err = r.take(n - 4)
	return kind, body, unexpected(err)
}

// isMessageKind lists the messages that a client may send; anything else means
// that the two sides lost each other, and the length that follows is noise.
func isMessageKind(k byte) bool {
	switch k {
	case 'B', 'C', 'D', 'E', 'F', 'H', 'P', 'Q', 'S', 'X', 'c', 'd', 'f', 'p':
		return true
	}
	return false
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// startup reads one message of the start, which has no type.
func (r *reader) startup() ([]byte, error) {
	head, err := r.take(4)
	if err != nil {
		return nil, err
	}
	n := int(int32(binary.BigEndian.Uint32(head)))
	if n < 8 || n > maxStartupBytes {
		return nil, protocolError("invalid length of startup packet")
	}
	body, err := r.take(n - 4)
	return body, unexpected(err)
}

// take returns the next n bytes, reading more if they are not all there.
func (r *reader) take(n int) ([]byte, error) {
	if r.end-r.start >= n {
		b := r.buf[r.start : r.start+n : r.start+n]
		r.start += n
		return b, nil
	}
	if err := r.fill(n); err != nil {
		return nil, err
	}
	b := r.buf[r.start : r.start+n : r.start+n]
	r.start += n
	return b, nil
}

// fill reads until n bytes are there. The buffer grows with what arrived, not
// with what a client claims to send.
func (r *reader) fill(n int) error {
	if r.start > 0 {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
		if len(r.buf) > keepBufferBytes && n <= readBufferBytes && r.end <= readBufferBytes {
			r.buf = append(make([]byte, 0, readBufferBytes), r.buf[:r.end]...)[:readBufferBytes]
		}
	}
	for r.end < n {
		if r.end == len(r.buf) {
			grown := make([]byte, min(2*len(r.buf), max(n, readBufferBytes)))
			copy(grown, r.buf[:r.end])
			r.buf = grown
		}
		m, err := r.src.Read(r.buf[r.end:])
		r.end += m
		if err != nil && r.end < n {
			if r.end > 0 {
				return unexpected(err)
			}
			return err
		}
	}
	return nil
}

// buffered tells whether bytes have arrived that nobody took yet.
func (r *reader) buffered() bool { return r.end > r.start }

// body reads the fields of one message; the first failure sticks.
type body struct {
	b   []byte
	bad bool
}

func (m *body) bytes(n int) []byte {
	if n < 0 || n > len(m.b) {
		m.bad, m.b = true, nil
		return nil
	}
	out := m.b[:n:n]
	m.b = m.b[n:]
	return out
}

func (m *body) byte() byte {
	if b := m.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (m *body) int16() int {
	if b := m.bytes(2); b != nil {
		return int(int16(binary.BigEndian.Uint16(b)))
	}
	return 0
}

func (m *body) int32() int {
	if b := m.bytes(4); b != nil {
		return int(int32(binary.BigEndian.Uint32(b)))
	}
	return 0
}

// count reads a number of elements of at least size bytes each.
func (m *body) count(size int) int {
	n := m.int16() & 0xffff
	if n*size > len(m.b) {
		m.bad, m.b = true, nil
		return 0
	}
	return n
}

func (m *body) text() string {
	if i := bytes.IndexByte(m.b, 0); i >= 0 {
		s := string(m.b[:i])
		m.b = m.b[i+1:]
		return s
	}
	m.bad, m.b = true, nil
	return ""
}

// done reports a message with too few or too many bytes.
func (m *body) done(kind byte) error {
	if m.bad || len(m.b) > 0 {
		return protocolError("invalid message format of message %q", kind)
	}
	return nil
}

// nextIs reports whether a message of that kind is known to come next.
func (r *reader) nextIs(kind byte) bool { return r.end > r.start && r.buf[r.start] == kind }
