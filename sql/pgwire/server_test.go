package pgwire

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pamirdb/pamir/pkg/security"
	"github.com/pamirdb/pamir/sql/session"
	"github.com/pamirdb/pamir/sql/types"
	"github.com/pamirdb/pamir/sql/vec"
)

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// listen serves on a local port and returns its address.
func listen(t testing.TB, s *Server) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), <-done); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func connect(t testing.TB, config string, change func(*pgx.ConnConfig)) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(cfg)
	}
	c, err := pgx.ConnectConfig(within(t), cfg)
	if err == nil {
		t.Cleanup(func() { _ = c.Close(context.Background()) }) // the server may be gone by then
	}
	return c, err
}

func mustConnect(t testing.TB, config string) *pgx.Conn {
	c, err := connect(t, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func url(addr string) string { return "postgres://root@" + addr + "/d?sslmode=disable" }

// TestClient runs the reference client through both protocols.
func TestClient(t *testing.T) {
	s, f := testServer(t, Config{Insecure: true})
	c := mustConnect(t, url(listen(t, s))+"&application_name=app&options=-c%20x%3D1")
	want := map[string]string{"x": "1"}
	if o := f.last.opts; o.User != "root" || o.Database != "d" || o.ApplicationName != "app" || !reflect.DeepEqual(o.Settings, want) {
		t.Errorf("options %+v", o)
	}
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheStatement, pgx.QueryExecModeDescribeExec} {
		rows, err := c.Query(within(t), "rows 2500", mode)
		if err != nil {
			t.Fatal(mode, err)
		}
		var id int32
		var name string
		var none *bool
		n := int32(0)
		tag, err := pgx.ForEachRow(rows, []any{&id, &name, &none}, func() error {
			if id != n || none != nil {
				t.Errorf("row %d: %d %q", n, id, name)
			}
			n++
			return nil
		})
		if err != nil || n != 2500 || tag.String() != "SELECT 2500" {
			t.Fatal(mode, n, tag, err)
		}
	}
	var got string
	if err := c.QueryRow(within(t), "param $1 $2", "a", nil).Scan(&got); err != nil || got != "a,NULL" {
		t.Fatal(got, err)
	}
	b := &pgx.Batch{}
	for range 50 {
		b.Queue("rows 3")
	}
	if err := c.SendBatch(within(t), b).Close(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := c.PgConn().CopyTo(within(t), &out, "copyout"); err != nil || out.String() != "line 0\nline 1\nline 2\n" {
		t.Fatal(out.String(), err)
	}
	tag, err := c.PgConn().CopyFrom(within(t), bytes.NewReader(make([]byte, 3<<20)), "copyin")
	if err != nil || tag.RowsAffected() != 3<<20 {
		t.Fatal(tag, err)
	}
	var pe *pgconn.PgError
	if _, err := c.Exec(within(t), "error 23505 twice"); !errors.As(err, &pe) || pe.Code != "23505" || pe.ConstraintName != "k" {
		t.Fatal(err)
	}
}

// secure returns a server with certificates and one password user, and the
// directory of the certificates.
func secure(t *testing.T) (addr, dir string) {
	dir = t.TempDir()
	for _, err := range []error{security.CreateCA(dir), security.CreateNode(dir, []string{"127.0.0.1", "localhost"}), security.CreateClient(dir, "root")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	_, _, sqlTLS, err := security.NodeTLS(dir)
	if err != nil {
		t.Fatal(err)
	}
	v, err := security.NewVerifier("s3cret")
	if err != nil {
		t.Fatal(err)
	}
	s, _ := testServer(t, Config{TLS: sqlTLS, Sessions: &fakeSessions{verifiers: map[string]security.Verifier{"bob": v}}})
	return listen(t, s), dir
}

// TestAuthentication tries certificates, passwords and the lack of both.
func TestAuthentication(t *testing.T) {
	addr, dir := secure(t)
	with := func(user string) func(*pgx.ConnConfig) {
		return func(cfg *pgx.ConnConfig) {
			tc, err := security.ClientTLS(dir, user)
			if err != nil {
				t.Fatal(err)
			}
			tc.ServerName = "127.0.0.1"
			cfg.TLSConfig = tc
		}
	}
	for _, c := range []struct{ name, config, code string }{
		{"root", "postgres://root@" + addr + "/d?sslmode=require", ""},
		{"nocert", "postgres://bob:s3cret@" + addr + "/d?sslmode=require", ""},
		{"nocert", "postgres://bob:s3cret@" + addr + "/d?sslmode=require&channel_binding=require", ""},
		{"nocert", "postgres://bob:s3cret@" + addr + "/d?sslmode=require&channel_binding=disable", ""},
		{"nocert", "postgres://bob:wrong@" + addr + "/d?sslmode=require&channel_binding=require", "28P01"},
		{"nocert", "postgres://bob:wrong@" + addr + "/d?sslmode=require&channel_binding=disable", "28P01"},
		{"nocert", "postgres://eve:s3cret@" + addr + "/d?sslmode=require", "28P01"},
		{"root", "postgres://bob:s3cret@" + addr + "/d?sslmode=require", "28000"},
	} {
		conn, err := connect(t, c.config, with(c.name))
		var pe *pgconn.PgError
		switch {
		case c.code == "" && err != nil, c.code != "" && (!errors.As(err, &pe) || pe.Code != c.code):
			t.Errorf("%s as %s: %v", c.config, c.name, err)
		case err == nil:
			if _, err := conn.Exec(within(t), "rows 1"); err != nil {
				t.Error(err)
			}
		}
	}
	var pe *pgconn.PgError
	if _, err := connect(t, "postgres://bob:s3cret@"+addr+"/d?sslmode=disable", nil); !errors.As(err, &pe) || pe.Code != "28000" {
		t.Errorf("without encryption: %v", err)
	}
}

// TestBytesBeforeEncryption: what came before the handshake must not count as
// encrypted.
func TestBytesBeforeEncryption(t *testing.T) {
	addr, _ := secure(t)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte{0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f, 'X'}); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil || len(answer) == 0 || answer[0] != 'E' {
		t.Fatalf("%q %v", answer, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestCancel interrupts a statement from another connection, and only with the
// right secret.
func TestCancel(t *testing.T) {
	s, f := testServer(t, Config{Insecure: true})
	addr := listen(t, s)
	c := mustConnect(t, url(addr))
	f.last.waiting = make(chan struct{})
	result := make(chan error, 1)
	go func() {
		_, err := c.Exec(context.Background(), "wait")
		result <- err
	}()
	<-f.last.waiting
	s.cancel(int32(c.PgConn().PID()), make([]byte, 4))
	s.cancel(12345, nil)
	if err := c.PgConn().CancelRequest(within(t)); err != nil {
		t.Fatal(err)
	}
	var pe *pgconn.PgError
	if err := <-result; !errors.As(err, &pe) || pe.Code != "57014" {
		t.Fatal(err)
	}
	f.last.waiting = nil
	if _, err := c.Exec(within(t), "rows 1"); err != nil {
		t.Fatal(err)
	}
}

// TestDrain: idle clients go at once, those in a transaction may end it.
func TestDrain(t *testing.T) {
	s, f := testServer(t, Config{Insecure: true})
	addr := listen(t, s)
	idle, busy := mustConnect(t, url(addr)), mustConnect(t, url(addr))
	if _, err := busy.Exec(within(t), "tx"); err != nil {
		t.Fatal(err)
	}
	mute, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := mute.Close(); err != nil {
			t.Error(err)
		}
	}()
	drained := make(chan struct{})
	go func() {
		s.Drain(within(t))
		close(drained)
	}()
	var pe *pgconn.PgError
	if _, err := idle.WaitForNotification(within(t)); !errors.As(err, &pe) || pe.Code != "57P01" {
		t.Errorf("idle: %v", err)
	}
	if _, err := connect(t, url(addr), nil); err == nil {
		t.Error("a draining server took another client")
	}
	select {
	case <-drained:
		t.Error("drained with a transaction open")
	default:
	}
	if _, err := busy.Exec(within(t), "end"); err != nil {
		t.Error(err)
	}
	<-drained
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed != 2 {
		t.Errorf("%d sessions closed", f.closed)
	}
}

// TestClose ends even a connection whose statement waits.
func TestClose(t *testing.T) {
	s, f := testServer(t, Config{Insecure: true})
	c := mustConnect(t, url(listen(t, s)))
	f.last.waiting = make(chan struct{})
	result := make(chan error, 1)
	go func() {
		_, err := c.Exec(context.Background(), "wait")
		result <- err
	}()
	<-f.last.waiting
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err == nil {
		t.Error("no error")
	}
	a, b := net.Pipe()
	if err := s.ServeConn(b); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestTooManyClients(t *testing.T) {
	s, _ := testServer(t, Config{Insecure: true, MaxConns: 1})
	addr := listen(t, s)
	mustConnect(t, url(addr))
	var pe *pgconn.PgError
	if _, err := connect(t, url(addr), nil); !errors.As(err, &pe) || pe.Code != "53300" {
		t.Fatal(err)
	}
}

// TestNotify: notifications reach idle clients at once, others after their
// transaction, and none is lost between.
func TestNotify(t *testing.T) {
	s, _ := testServer(t, Config{Insecure: true})
	c := mustConnect(t, url(listen(t, s)))
	pid := int32(c.PgConn().PID())
	for i := range 200 {
		if i%10 == 0 {
			if _, err := c.Exec(within(t), "tx"); err != nil {
				t.Fatal(err)
			}
		}
		if !s.Notify(pid, 7, "ch", "payload") {
			t.Fatal("no such client")
		}
		if i%10 == 0 {
			if _, err := c.Exec(within(t), "end"); err != nil {
				t.Fatal(err)
			}
		}
		n, err := c.WaitForNotification(within(t))
		if err != nil || n.Channel != "ch" || n.PID != 7 {
			t.Fatal(n, err)
		}
	}
	if s.Notify(999, 7, "ch", "") {
		t.Error("notified nobody")
	}
}

func TestIdleTimeout(t *testing.T) {
	s, _ := testServer(t, Config{Insecure: true})
	c := mustConnect(t, url(listen(t, s)))
	if _, err := c.Exec(within(t), "idle 20"); err != nil {
		t.Fatal(err)
	}
	var pe *pgconn.PgError
	if _, err := c.WaitForNotification(within(t)); !errors.As(err, &pe) || pe.Code != "57P05" {
		t.Fatal(err)
	}
}

// TestTrusted: a connection from inside of the process needs no proof.
func TestTrusted(t *testing.T) {
	s, _ := testServer(t, Config{TLS: &tls.Config{}})
	c, err := connect(t, "host=embedded port=1 user=root sslmode=disable", func(cfg *pgx.ConnConfig) {
		cfg.LookupFunc = func(_ context.Context, h string) ([]string, error) { return []string{h}, nil }
		cfg.DialFunc = func(context.Context, string, string) (net.Conn, error) {
			client, srv := net.Pipe()
			return client, s.ServeTrusted(srv)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(within(t), "rows 1"); err != nil {
		t.Fatal(err)
	}
}

func TestOptionWords(t *testing.T) {
	got, err := parseOptions(`-c a=b  --search-path=x\ y -cd=e`)
	want := map[string]string{"a": "b", "search_path": "x y", "d": "e"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"-x f=g", "-c", "-c a", "--a", "--", "a=b"} {
		var e *types.Error
		if _, err := parseOptions(bad); !errors.As(err, &e) || e.Code != types.CodeSyntaxError {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// pieces delivers its bytes a few at a time.
type pieces struct {
	b    []byte
	size int
}

func (p *pieces) Read(out []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(out[:min(len(out), p.size)], p.b)
	p.b = p.b[n:]
	return n, nil
}

// FuzzReader: however the bytes arrive, the messages are the same, memory stays
// within what arrived, and decoding survives anything.
func FuzzReader(f *testing.F) {
	f.Add([]byte("Q\x00\x00\x00\x0bselect\x00"), 3)
	f.Add([]byte("P\x00\x00\x00\x08\x00\x00\x00\x00S\x00\x00\x00\x04"), 1)
	f.Add([]byte("B\x00\x00\x00\x10\x00\x00\x00\x01\x00\x00\x00\x01\xff\xff\xff\xff\x00\x00"), 5)
	f.Add([]byte("Q\x7f\xff\xff\xff"), 2)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		size = 1 + int(uint(size)%16)
		whole, parts := newReader(bytes.NewReader(data)), newReader(&pieces{data, size})
		c := &conn{sess: &fakeSession{statements: map[string]string{}, portals: map[string]*fakePortal{}, batch: &vec.Batch{}}, w: writer{dst: io.Discard}}
		for {
			k1, m1, err1 := whole.message()
			k2, m2, err2 := parts.message()
			if k1 != k2 || !bytes.Equal(m1, m2) || (err1 == nil) != (err2 == nil) {
				t.Fatalf("%q %q %v; %q %q %v", k1, m1, err1, k2, m2, err2)
			}
			if len(whole.buf) > max(2*len(data), readBufferBytes) {
				t.Fatalf("%d bytes of buffer for %d", len(whole.buf), len(data))
			}
			if err1 != nil {
				return
			}
			switch k1 {
			case 'P', 'B', 'D', 'C':
				if err := c.extended(context.Background(), k1, m1); err == nil && len(c.w.out) == 0 {
					t.Fatalf("no answer to %q %q", k1, m1)
				}
				c.w.out = c.w.out[:0]
			}
		}
	})
}

// BenchmarkSimpleQuery measures one round trip of the simple protocol without a
// socket: reading, dispatch, encoding one row and the write.
func BenchmarkSimpleQuery(b *testing.B) {
	s, f := testServer(b, Config{Insecure: true})
	sess, err := f.Open(context.Background(), 1, session.Options{User: "root"})
	if err != nil {
		b.Fatal(err)
	}
	msg := []byte("Q\x00\x00\x00\x0brows 1\x00")
	in := &pieces{}
	a, srv := net.Pipe()
	c := newConn(s, srv)
	c.sess, c.r.src, c.w.dst = sess, in, io.Discard
	c.notes.writer.Lock()
	b.ReportAllocs()
	for b.Loop() {
		in.b, in.size = msg, len(msg)
		kind, body, err := c.next()
		if err != nil {
			b.Fatal(err)
		}
		if err := c.handle(context.Background(), kind, body); err != nil {
			b.Fatal(err)
		}
	}
	if err := errors.Join(a.Close(), srv.Close()); err != nil {
		b.Fatal(err)
	}
}

// TestIdleMemory: what an idle client costs does not grow with what it said and
// heard before.
func TestIdleMemory(t *testing.T) {
	s, _ := testServer(t, Config{Insecure: true})
	c := mustConnect(t, url(listen(t, s)))
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(what, err)
		}
		s.mu.Lock()
		inner := s.mu.conns[int32(c.PgConn().PID())]
		s.mu.Unlock()
		for inner.state.Load() != stateWaiting {
			runtime.Gosched()
		}
		if out, in := cap(inner.w.out), len(inner.r.buf); out > idleBufferBytes || in > idleBufferBytes {
			t.Errorf("%s: keeps %d and %d bytes", what, out, in)
		}
	}
	_, err := c.Exec(within(t), "rows 20000")
	check("rows", err)
	_, err = c.Exec(within(t), "param $1", strings.Repeat("x", 1<<20))
	check("param", err)
	_, err = c.PgConn().CopyFrom(within(t), bytes.NewReader(make([]byte, 1<<20)), "copyin")
	check("copyin", err)
	_, err = c.Exec(within(t), "rows 1 "+strings.Repeat(" ", 1<<20), pgx.QueryExecModeSimpleProtocol)
	check("query", err)
}
