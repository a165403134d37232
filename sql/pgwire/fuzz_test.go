package pgwire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// scripted is a connection whose client has said everything in advance and only
// listens from then on.
type scripted struct {
	in  pieces
	out bytes.Buffer
}

func (c *scripted) Read(b []byte) (int, error)       { return c.in.Read(b) }
func (c *scripted) Write(b []byte) (int, error)      { return c.out.Write(b) }
func (c *scripted) Close() error                     { return nil }
func (c *scripted) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *scripted) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *scripted) SetDeadline(time.Time) error      { return nil }
func (c *scripted) SetReadDeadline(time.Time) error  { return nil }
func (c *scripted) SetWriteDeadline(time.Time) error { return nil }

// converse serves a client that says data, size bytes at a time, and returns the
// answers.
func converse(t *testing.T, data []byte, size int) []pgproto3.BackendMessage {
	s := NewServer(Config{Insecure: true, MaxMessageBytes: 1 << 20, Sessions: &fakeSessions{tame: true},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	c := &scripted{in: pieces{data, size}}
	inner := newConn(s, c)
	inner.secret = make([]byte, 4)
	inner.serve(context.Background())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	front := pgproto3.NewFrontend(&c.out, io.Discard)
	var out []pgproto3.BackendMessage
	for {
		m, err := front.Receive()
		if errors.Is(err, io.ErrUnexpectedEOF) && c.out.Len() == 0 {
			return out
		}
		if err != nil {
			t.Fatalf("an answer that is none: %v", err)
		}
		b, err := m.Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		copied := copyOf(m)
		if err := copied.Decode(b[5:]); err != nil {
			t.Fatal(err)
		}
		out = append(out, copied)
	}
}

// copyOf returns a message of the kinds that the test looks at.
func copyOf(m pgproto3.BackendMessage) pgproto3.BackendMessage {
	switch m.(type) {
	case *pgproto3.ErrorResponse:
		return &pgproto3.ErrorResponse{}
	case *pgproto3.ReadyForQuery:
		return &pgproto3.ReadyForQuery{}
	}
	return &pgproto3.CopyData{} // takes any body
}

// FuzzConnection: whatever a client says after its startup message, and in what
// pieces, it gets well-formed answers and never more than one ReadyForQuery for
// each message that asks for one, the server does not panic, and it says the same
// again to the same words.
func FuzzConnection(f *testing.F) {
	add := func(messages ...pgproto3.FrontendMessage) {
		var b []byte
		for _, m := range messages {
			var err error
			if b, err = m.Encode(b); err != nil {
				f.Fatal(err)
			}
		}
		f.Add(b, 3)
	}
	add(&pgproto3.Query{String: "rows 3"}, &pgproto3.Query{String: "tx"}, &pgproto3.Query{String: "error 22012 x"}, &pgproto3.Query{String: "end"}, &pgproto3.Terminate{})
	add(&pgproto3.Parse{Name: "s", Query: "param $1", ParameterOIDs: []uint32{25}}, &pgproto3.Describe{ObjectType: 'S', Name: "s"},
		&pgproto3.Bind{DestinationPortal: "p", PreparedStatement: "s", ParameterFormatCodes: []int16{1}, Parameters: [][]byte{{1, 2}}, ResultFormatCodes: []int16{1}},
		&pgproto3.Describe{ObjectType: 'P', Name: "p"}, &pgproto3.Execute{Portal: "p"}, &pgproto3.Close{ObjectType: 'P', Name: "p"}, &pgproto3.Flush{}, &pgproto3.Sync{})
	add(&pgproto3.Parse{Query: "rows 5"}, &pgproto3.Bind{}, &pgproto3.Execute{MaxRows: 2}, &pgproto3.Execute{MaxRows: 2}, &pgproto3.Sync{})
	add(&pgproto3.Query{String: "copyin"}, &pgproto3.CopyData{Data: []byte("abc\n")}, &pgproto3.Flush{}, &pgproto3.CopyDone{}, &pgproto3.Query{String: "copyout"})
	add(&pgproto3.Query{String: "copyin"}, &pgproto3.CopyData{Data: []byte("abc\n")}, &pgproto3.CopyFail{Message: "x"}, &pgproto3.Query{String: "half 2"})
	add(&pgproto3.Query{String: "copyin"}, &pgproto3.Query{String: "retry"})
	add(&pgproto3.FunctionCall{Arguments: [][]byte{{1}}}, &pgproto3.Query{String: "set a b"}, &pgproto3.Query{String: "notice x"})
	f.Add([]byte("Q\x00\x00\x00\x03"), 1)
	f.Add([]byte("S\x00\x00\x00\x05xS\x00\x00\x00\x04"), 2)
	f.Add([]byte("D\x00\x00\x00\x06S\x00E\x00\x00\x00\x09\x00\x00\x00\x00\x01H\x00\x00\x00\x04"), 4)
	f.Add([]byte("Q\x7f\xff\xff\xffselect"), 2)
	startup, err := (&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "u"}}).Encode(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		if len(data) > 4<<10 {
			return
		}
		all := append(bytes.Clone(startup), data...)
		first := converse(t, all, 1+int(uint(size)%64))
		ready := 0
		for _, m := range first {
			switch m := m.(type) {
			case *pgproto3.ReadyForQuery:
				ready++
			case *pgproto3.ErrorResponse:
				if m.Code == "XX000" {
					t.Fatalf("internal error: %s", m.Message)
				}
				if m.Code == "" || m.Message == "" || m.Severity == "" {
					t.Fatalf("an error without a code or text: %+v", m)
				}
			}
		}
		if most := 1 + asking(data); ready > most {
			t.Fatalf("%d times ReadyForQuery for %d messages", ready, most)
		}
		if second := converse(t, all, 1<<20); len(second) != len(first) {
			t.Fatalf("%d answers in pieces, %d in one go", len(first), len(second))
		}
	})
}

// asking counts the messages that ReadyForQuery answers.
func asking(data []byte) (n int) {
	for len(data) >= 5 {
		if bytes.IndexByte([]byte("QSF"), data[0]) >= 0 {
			n++
		}
		size := int64(binary.BigEndian.Uint32(data[1:])) + 1
		if size < 5 || size > int64(len(data)) {
			return n
		}
		data = data[size:]
	}
	return n
}

// FuzzStartup: whatever comes first, the server answers with one byte, with
// messages or not at all, and does not panic.
func FuzzStartup(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x08\x04\xd2\x16\x2f\x00\x00\x00\x11\x00\x03\x00\x00user\x00u\x00\x00"), 1)
	f.Add([]byte("\x00\x00\x00\x08\x04\xd2\x16\x30"), 3)
	f.Add([]byte("\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x00\x01\x00\x00\x00\x02"), 3)
	f.Add([]byte("\x00\x00\x00\x2a\x00\x03\x00\x63user\x00u\x00options\x00-c a=b\\ \x00_pq_.x\x001\x00\x00"), 5)
	f.Add([]byte("\x00\x00\x00\x09\x00\x03\x00\x00\x00"), 2)
	f.Add([]byte("GET / HTTP/1.1\r\n"), 2)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		s := NewServer(Config{Insecure: true, Sessions: &fakeSessions{tame: true}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
		c := &scripted{in: pieces{data, 1 + int(uint(size)%64)}}
		inner := newConn(s, c)
		inner.secret = make([]byte, 4)
		err := inner.start(context.Background())
		if inner.sess != nil {
			inner.sess.Close()
		}
		if err != nil && !isGone(err) && !errors.Is(err, errTerminated) {
			if e := asError(err); e.Code == "XX000" || e.Severity != severityFatal {
				t.Fatalf("%+v", e)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
