package pgwire_test

import (
	"context"
	"fmt"
	"net"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// BenchmarkSelect measures a point query as pgbench -S sends it, from the socket
// to the engine and back, in each of its three modes.
func BenchmarkSelect(b *testing.B) {
	to := startNode(b)
	c, err := pgx.Connect(context.Background(), fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", to.user, to.addr, to.database))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close(context.Background()) }() // the node goes as well
	for _, sql := range []string{
		"create table accounts (aid int primary key, bid int, abalance int, filler char(84))",
		"insert into accounts select g, 1, g, 'filler' from generate_series(1, 20000) g",
	} {
		if _, err := c.Exec(context.Background(), sql); err != nil {
			b.Fatal(err)
		}
	}
	key := func(i int) []byte { return fmt.Appendf(nil, "%d", 1+i*7919%20000) }
	run := func(name string, prepare []pgproto3.FrontendMessage, messages func(i int) []pgproto3.FrontendMessage) {
		requests := make([][]byte, 1000)
		for i := range requests {
			requests[i] = encode(b, append(messages(i), &pgproto3.Sync{}))
		}
		b.Run(name, func(b *testing.B) {
			r := dialRaw(b, to)
			r.exchange(b, encode(b, append(prepare, &pgproto3.Sync{})))
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				r.exchange(b, requests[i%len(requests)])
				i++
			}
		})
	}
	const query = "SELECT abalance FROM accounts WHERE aid = $1;"
	run("prepared", []pgproto3.FrontendMessage{&pgproto3.Parse{Name: "P0_1", Query: query}}, func(i int) []pgproto3.FrontendMessage {
		return bound("P0_1", key(i))
	})
	run("extended", nil, func(i int) []pgproto3.FrontendMessage {
		return append([]pgproto3.FrontendMessage{&pgproto3.Parse{Query: query}}, bound("", key(i))...)
	})
	b.Run("simple", func(b *testing.B) {
		requests := make([][]byte, 1000)
		for i := range requests {
			requests[i] = encode(b, []pgproto3.FrontendMessage{&pgproto3.Query{String: "SELECT abalance FROM accounts WHERE aid = " + string(key(i)) + ";"}})
		}
		r := dialRaw(b, to)
		i := 0
		b.ReportAllocs()
		for b.Loop() {
			r.exchange(b, requests[i%len(requests)])
			i++
		}
	})
}

// bound is what libpq sends to run a prepared statement.
func bound(statement string, key []byte) []pgproto3.FrontendMessage {
	return []pgproto3.FrontendMessage{
		&pgproto3.Bind{PreparedStatement: statement, Parameters: [][]byte{key}, ResultFormatCodes: []int16{0}},
		&pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{},
	}
}

func encode(t testing.TB, messages []pgproto3.FrontendMessage) (out []byte) {
	for _, m := range messages {
		var err error
		if out, err = m.Encode(out); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// rawClient exchanges bytes without work or memory of its own.
type rawClient struct {
	conn net.Conn
	buf  []byte
}

func dialRaw(t testing.TB, to target) *rawClient {
	conn, err := net.Dial("tcp", to.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the node goes as well
	c := &rawClient{conn: conn, buf: make([]byte, 64<<10)}
	c.exchange(t, encode(t, []pgproto3.FrontendMessage{&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30,
		Parameters: map[string]string{"user": to.user, "database": to.database}}}))
	return c
}

// exchange sends a request and waits for ReadyForQuery.
func (c *rawClient) exchange(t testing.TB, request []byte) {
	if _, err := c.conn.Write(request); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; {
		m, err := c.conn.Read(c.buf[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += m
		if n >= 6 && c.buf[n-6] == 'Z' && c.buf[n-2] == 5 {
			if c.buf[0] == 'E' {
				t.Fatalf("%q", c.buf[:n])
			}
			return
		}
	}
}
