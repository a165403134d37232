package pgwire

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/pamirdb/pamir/sql/types"
)

const (
	readBufferBytes = 8 << 10
	// keepBufferBytes is the largest buffer that is kept for the next message,
	// idleBufferBytes the largest that a client keeps while it says nothing.
	keepBufferBytes = 256 << 10
	idleBufferBytes = 32 << 10
	// maxStartupBytes bounds what is read of a client that has not said who it is,
	// maxAuthBytes of one that has not proved it.
	maxStartupBytes = 10_000
	maxAuthBytes    = 64 << 10
	// maxSmallBytes bounds messages that name something or say nothing.
	maxSmallBytes = 10_000
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
	most := r.limit(kind)
	switch {
	case most < 0:
		return 0, nil, protocolError("invalid frontend message type %d", kind)
	case n < 4:
		return 0, nil, protocolError("invalid message length")
	case n-4 > most:
		return 0, nil, protocolError("message of %d bytes exceeds the limit of %d bytes", n-4, most)
	}
	body, err = r.take(n - 4)
	return kind, body, unexpected(err)
}

// limit is how long a message of a kind may be: those that carry no more than a
// name need little. It is -1 for what no client sends, which means that the two
// sides lost each other and the length that follows is noise.
func (r *reader) limit(kind byte) int {
	switch kind {
	case 'Q', 'P', 'B', 'd', 'F', 'p':
		return r.maxBytes
	case 'C', 'D', 'E', 'H', 'S', 'X', 'c', 'f':
		return min(r.maxBytes, maxSmallBytes)
	}
	return -1
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

// rest gives a large buffer back once all of it has been taken.
func (r *reader) rest() {
	if len(r.buf) > idleBufferBytes && r.start == r.end {
		r.buf, r.start, r.end = make([]byte, readBufferBytes), 0, 0
	}
}

// buffered tells whether bytes have arrived that nobody took yet.
func (r *reader) buffered() bool { return r.end > r.start }

// nextIs reports whether a message of that kind is known to come next.
func (r *reader) nextIs(kind byte) bool { return r.end > r.start && r.buf[r.start] == kind }
