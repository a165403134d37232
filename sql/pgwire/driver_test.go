package pgwire_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

func (to target) url() string {
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", to.user, to.addr, to.database)
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func connect(t testing.TB, to target, mode pgx.QueryExecMode) *pgx.Conn {
	t.Helper()
	cfg, err := pgx.ParseConfig(to.url())
	if err != nil {
		t.Fatal(err)
	}
	cfg.DefaultQueryExecMode = mode
	c, err := pgx.ConnectConfig(within(t, 10*time.Second), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) }) // some tests end it
	return c
}

func mustExec(t testing.TB, c *pgx.Conn, sql string, args ...any) pgconn.CommandTag {
	t.Helper()
	tag, err := c.Exec(within(t, 10*time.Second), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return tag
}

func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

var modes = []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheStatement,
	pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec}

// TestDriver runs pgx against a node over TCP in each of its modes.
func TestDriver(t *testing.T) {
	to := startNode(t)
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			c := connect(t, to, mode)
			mustExec(t, c, "drop table if exists d")
			mustExec(t, c, "create table d (id int8 primary key, name text not null, price numeric(12,2), at timestamptz, ok bool, raw bytea, day date, tags text[], doc jsonb, u uuid, f float8, span interval)")
			t.Run("values", func(t *testing.T) { driverValues(t, c) })
			t.Run("transactions", func(t *testing.T) { driverTransactions(t, c) })
			t.Run("errors", func(t *testing.T) { driverErrors(t, c) })
			if mode != pgx.QueryExecModeSimpleProtocol {
				t.Run("batch", func(t *testing.T) { driverBatch(t, c) })
			}
		})
	}
}

type driverRow struct {
	id    int64
	name  string
	price pgtype.Numeric
	at    *time.Time
	ok    *bool
	raw   []byte
	day   pgtype.Date
	tags  []string
	doc   map[string]any
	u     pgtype.UUID
	f     *float64
	span  pgtype.Interval
}

func (r *driverRow) fields() []any {
	return []any{&r.id, &r.name, &r.price, &r.at, &r.ok, &r.raw, &r.day, &r.tags, &r.doc, &r.u, &r.f, &r.span}
}

func driverValues(t *testing.T, c *pgx.Conn) {
	at := time.Date(2024, 2, 29, 12, 34, 56, 789_000_000, time.UTC)
	var price pgtype.Numeric
	if err := price.Scan("12345.67"); err != nil {
		t.Fatal(err)
	}
	u := pgtype.UUID{Bytes: [16]byte{1, 2, 3, 15: 16}, Valid: true}
	const insert = "insert into d values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
	var doc any = map[string]any{"k": []any{1.5, nil}}
	if m := c.Config().DefaultQueryExecMode; m == pgx.QueryExecModeSimpleProtocol || m == pgx.QueryExecModeExec {
		doc = `{"k": [1.5, null]}` // the driver does not ask what it is for
	}
	mustExec(t, c, insert, int64(1), "ä'\\\"", price, at, true, []byte{0, 1, 255}, at, []string{"a", "b c", `"`}, doc,
		u, 2.5, pgtype.Interval{Months: 1, Days: 2, Microseconds: 3, Valid: true})
	mustExec(t, c, insert, int64(2), "", nil, nil, nil, nil, nil, nil, nil, nil, nil, nil)
	rows, err := c.Query(within(t, 10*time.Second), "select * from d where id = any($1) order by id", []int64{1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r driverRow, err error) { return r, row.Scan(r.fields()...) })
	if err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
	a := got[0]
	p, err := a.price.Float64Value()
	if err != nil || p.Float64 != 12345.67 || a.name != "ä'\\\"" || !a.at.Equal(at) || !*a.ok || string(a.raw) != "\x00\x01\xff" ||
		!a.day.Time.Equal(at.Truncate(24*time.Hour)) || strings.Join(a.tags, "|") != `a|b c|"` || fmt.Sprint(a.doc) != "map[k:[1.5 <nil>]]" ||
		a.u != u || *a.f != 2.5 || a.span.Months != 1 || a.span.Days != 2 || a.span.Microseconds != 3 {
		t.Errorf("%+v %v", a, err)
	}
	b := got[1]
	if b.price.Valid || b.at != nil || b.ok != nil || b.raw != nil || b.day.Valid || b.tags != nil || b.doc != nil || b.u.Valid || b.f != nil || b.span.Valid {
		t.Errorf("%+v", b)
	}
	if tag := mustExec(t, c, "update d set name = $1 where id = $2", "x", 2); tag.RowsAffected() != 1 {
		t.Error(tag)
	}
	// A column more: plans and descriptions that the driver has cached are stale.
	mustExec(t, c, "alter table d add column more int default 7")
	for range 2 {
		rows, err := c.Query(within(t, 10*time.Second), "select * from d where id = any($1) order by id", []int64{1})
		if err == nil {
			_, err = pgx.CollectRows(rows, pgx.RowToMap)
		}
		// PostgreSQL says the same two things.
		if err != nil && code(err) != "0A000" && code(err) != "08P01" {
			t.Fatal(err)
		}
		if _, err := c.Exec(within(t, 10*time.Second), "select 1"); err != nil {
			t.Fatal(err)
		}
	}
	mustExec(t, c, "alter table d drop column more")
	mustExec(t, c, "delete from d")
}

func driverTransactions(t *testing.T, c *pgx.Conn) {
	ctx := within(t, 10*time.Second)
	fail := errors.New("on purpose")
	for _, level := range []pgx.TxIsoLevel{pgx.Serializable, pgx.RepeatableRead, pgx.ReadCommitted} {
		err := pgx.BeginTxFunc(ctx, c, pgx.TxOptions{IsoLevel: level}, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "insert into d (id, name) values ($1, $2)", 10, "outer"); err != nil {
				return err
			}
			err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, "insert into d (id, name) values ($1, $2)", 11, "inner"); err != nil {
					return err
				}
				return fail
			})
			if !errors.Is(err, fail) {
				return err
			}
			var n int
			if err := tx.QueryRow(ctx, "select count(*) from d where id in ($1, $2)", 10, 11).Scan(&n); err != nil || n != 1 {
				t.Errorf("%s: %d rows, %v", level, n, err)
			}
			return fail
		})
		if !errors.Is(err, fail) {
			t.Fatal(level, err)
		}
	}
	var n int
	if err := c.QueryRow(ctx, "select count(*) from d").Scan(&n); err != nil || n != 0 {
		t.Fatal(n, err)
	}
}

func driverErrors(t *testing.T, c *pgx.Conn) {
	ctx := within(t, 10*time.Second)
	mustExec(t, c, "insert into d (id, name) values (1, 'a')")
	for _, x := range []struct {
		sql, code string
		args      []any
	}{
		{"insert into d (id, name) values ($1, $2)", "23505", []any{1, "b"}},
		{"insert into d (id, name) values ($1, $2)", "23502", []any{2, nil}},
		{"select * from nosuch where a = $1", "42P01", []any{1}},
		{"select nosuch from d where id = $1", "42703", []any{1}},
		{"selec $1", "42601", []any{1}},
		{"select 1 / (id - $1) from d", "22012", []any{1}},
	} {
		if _, err := c.Exec(ctx, x.sql, x.args...); code(err) != x.code {
			t.Errorf("%s: %v, want %s", x.sql, err, x.code)
		}
	}
	tx, err := c.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "insert into d (id, name) values (1, 'c')"); code(err) != "23505" {
		t.Error(err)
	}
	if _, err := tx.Exec(ctx, "select 1"); code(err) != "25P02" {
		t.Error(err)
	}
	if err := tx.Commit(ctx); !errors.Is(err, pgx.ErrTxCommitRollback) {
		t.Error(err)
	}
	mustExec(t, c, "delete from d")
}

func driverBatch(t *testing.T, c *pgx.Conn) {
	ctx := within(t, 10*time.Second)
	b := &pgx.Batch{}
	for i := range 500 {
		b.Queue("insert into d (id, name) values ($1, $2)", i, fmt.Sprint("n", i))
	}
	b.Queue("select count(*), min(id), max(id) from d")
	res := c.SendBatch(ctx, b)
	for range 500 {
		if _, err := res.Exec(); err != nil {
			t.Fatal(err)
		}
	}
	var n, low, high int
	if err := res.QueryRow().Scan(&n, &low, &high); err != nil || n != 500 || low != 0 || high != 499 {
		t.Error(n, low, high, err)
	}
	if err := res.Close(); err != nil {
		t.Fatal(err)
	}
	// One that fails takes its batch along, and only that.
	bad := &pgx.Batch{}
	bad.Queue("insert into d (id, name) values ($1, $2)", 1000, "x")
	bad.Queue("insert into d (id, name) values ($1, $2)", 1, "twice")
	bad.Queue("insert into d (id, name) values ($1, $2)", 1001, "y")
	if err := c.SendBatch(ctx, bad).Close(); code(err) != "23505" {
		t.Error(err)
	}
	if err := c.QueryRow(ctx, "select count(*) from d").Scan(&n); err != nil || n != 500 {
		t.Error(n, err)
	}
	mustExec(t, c, "delete from d")
}

// TestDriverCopy copies rows in (binary, as pgx does; text) and out.
func TestDriverCopy(t *testing.T) {
	to := startNode(t)
	c := connect(t, to, pgx.QueryExecModeCacheStatement)
	ctx := within(t, 20*time.Second)
	mustExec(t, c, "create table cp (id int8 primary key, name text, price numeric, at timestamptz, ok bool)")
	const n = 5000
	at := time.Date(2024, 1, 2, 3, 4, 5, 6000, time.UTC)
	var price pgtype.Numeric
	if err := price.Scan("-12345678901234567890.0123"); err != nil {
		t.Fatal(err)
	}
	got, err := c.CopyFrom(ctx, pgx.Identifier{"cp"}, []string{"id", "name", "price", "at", "ok"}, pgx.CopyFromSlice(n, func(i int) ([]any, error) {
		if i%7 == 0 {
			return []any{i, nil, nil, nil, nil}, nil
		}
		return []any{i, fmt.Sprint("row\t", i), price, at, i%2 == 0}, nil
	}))
	if err != nil || got != n {
		t.Fatal(got, err)
	}
	var sum int64
	var last time.Time
	if err := c.QueryRow(ctx, "select sum(id), max(at) from cp where price = -12345678901234567890.0123 and name = 'row' || chr(9) || id").Scan(&sum, &last); err != nil ||
		!last.Equal(at) || sum != n*(n-1)/2-7*714*715/2 {
		t.Fatal(sum, last, err)
	}
	// A row that fails takes the others along.
	if _, err := c.CopyFrom(ctx, pgx.Identifier{"cp"}, []string{"id"}, pgx.CopyFromSlice(2, func(i int) ([]any, error) { return []any{n + 1 - 2*i}, nil })); code(err) != "23505" {
		t.Fatal(err)
	}
	var out, again strings.Builder
	if tag, err := c.PgConn().CopyTo(ctx, &out, "copy (select * from cp order by id) to stdout"); err != nil || tag.RowsAffected() != n {
		t.Fatal(tag, err)
	}
	mustExec(t, c, "truncate cp")
	if tag, err := c.PgConn().CopyFrom(ctx, strings.NewReader(out.String()), "copy cp from stdin"); err != nil || tag.RowsAffected() != n {
		t.Fatal(tag, err)
	}
	if _, err := c.PgConn().CopyTo(ctx, &again, "copy (select * from cp order by id) to stdout"); err != nil || again.String() != out.String() {
		t.Fatal("what came back differs", err)
	}
}

// TestDriverPool runs many goroutines over a pool of connections.
func TestDriverPool(t *testing.T) {
	to := startNode(t)
	ctx := within(t, 20*time.Second)
	pool, err := pgxpool.New(ctx, to.url()+"&pool_max_conns=4")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, "create table counters (id int primary key, n int)"); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(ctx, "insert into counters values (0, 0), (1, 0), (2, 0)"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 10 {
				if _, err := pool.Exec(ctx, "update counters set n = n + 1 where id = $1", i%3); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	wg.Wait()
	var n int
	if err := pool.QueryRow(ctx, "select sum(n) from counters").Scan(&n); err != nil || n != 120 {
		t.Fatal(n, err)
	}
}

// waitFor waits until a statement of another session runs.
func waitFor(t *testing.T, c *pgx.Conn, text string) {
	t.Helper()
	ctx := within(t, 10*time.Second)
	for n := 0; n == 0; {
		if err := c.QueryRow(ctx, "select count(*) from pg_stat_activity where state = 'active' and query like $1 and pid <> pg_backend_pid()", text+"%").Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDriverCancel interrupts a query and a copy by cancel requests and by
// timeouts; the connections live on.
func TestDriverCancel(t *testing.T) {
	to := startNode(t)
	watch, c := connect(t, to, pgx.QueryExecModeExec), connect(t, to, pgx.QueryExecModeExec)
	ctx := within(t, 20*time.Second)
	mustExec(t, c, "create table cc (a int)")
	done := make(chan error, 1)
	go func() {
		_, err := c.Exec(ctx, "select pg_sleep(60)")
		done <- err
	}()
	waitFor(t, watch, "select pg_sleep")
	if err := c.PgConn().CancelRequest(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-done; code(err) != "57014" {
		t.Fatal(err)
	}
	// A copy notices with the next data.
	r, w := io.Pipe()
	go func() {
		_, err := c.PgConn().CopyFrom(ctx, r, "copy cc from stdin")
		done <- err
	}()
	if _, err := io.WriteString(w, "1\n"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, watch, "copy cc")
	if err := c.PgConn().CancelRequest(ctx); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			if _, err := io.WriteString(w, strings.Repeat("2\n", 1000)); err != nil {
				return
			}
		}
	}()
	err := <-done
	if code(err) != "57014" {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	mustExec(t, c, "set statement_timeout = 20")
	if _, err := c.Exec(ctx, "select pg_sleep(60)"); code(err) != "57014" || !strings.Contains(err.Error(), "statement timeout") {
		t.Fatal(err)
	}
	mustExec(t, c, "set statement_timeout = 0")
	var n int
	if err := c.QueryRow(ctx, "select count(*) from cc").Scan(&n); err != nil || n != 0 {
		t.Fatal(n, err)
	}
}

// TestDriverIdle: a client that stays idle for too long is sent away, and a
// transaction of its does not stay.
func TestDriverIdle(t *testing.T) {
	to := startNode(t)
	watch := connect(t, to, pgx.QueryExecModeExec)
	mustExec(t, watch, "create table idle (a int primary key)")
	for setting, want := range map[string]string{"idle_in_transaction_session_timeout": "25P03", "idle_session_timeout": "57P05"} {
		c := connect(t, to, pgx.QueryExecModeExec)
		mustExec(t, c, "set "+setting+" = 20")
		if want == "25P03" {
			mustExec(t, c, "begin")
			mustExec(t, c, "insert into idle values (1)")
		}
		_, err := c.WaitForNotification(within(t, 10*time.Second))
		if code(err) != want {
			t.Errorf("%s: %v", setting, err)
		}
	}
	mustExec(t, watch, "insert into idle values (1)")
}

// TestDriverGone: a client that leaves in the midst of things leaves nothing.
func TestDriverGone(t *testing.T) {
	to := startNode(t)
	watch := connect(t, to, pgx.QueryExecModeExec)
	mustExec(t, watch, "create table gone (a int primary key)")
	for range 3 {
		var raw net.Conn
		cfg, err := pgx.ParseConfig(to.url())
		if err != nil {
			t.Fatal(err)
		}
		cfg.AfterNetConnect = func(_ context.Context, _ *pgconn.Config, c net.Conn) (net.Conn, error) {
			raw = c
			return c, nil
		}
		c, err := pgx.ConnectConfig(within(t, 10*time.Second), cfg)
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, c, "begin")
		mustExec(t, c, "insert into gone values (1)")
		if err := raw.Close(); err != nil {
			t.Fatal(err)
		}
	}
	mustExec(t, watch, "insert into gone values (1)")
}

// TestDriverGoneInCopy: rows of a copy whose client left before it said that it
// was done do not stay, wherever in the protocol it left.
func TestDriverGoneInCopy(t *testing.T) {
	to := startNode(t)
	watch := connect(t, to, pgx.QueryExecModeExec)
	mustExec(t, watch, "create table gone (a int)")
	for _, rest := range []string{"", "d", "d\x00\x00\x00\x09", "d\x00\x00\x00\x09345"} {
		conn, err := net.Dial("tcp", to.addr)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		f := pgproto3.NewFrontend(conn, conn)
		f.Send(startup(map[string]string{"user": to.user, "database": to.database}))
		f.Send(&pgproto3.Query{String: "copy gone from stdin"})
		f.Send(&pgproto3.CopyData{Data: []byte("1\n2\n")})
		if err := f.Flush(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, rest); err != nil {
			t.Fatal(err)
		}
		// The server's last word is the end of the connection: then all is decided.
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := watch.QueryRow(within(t, 10*time.Second), "select count(*) from gone").Scan(&n); err != nil || n != 0 {
			t.Errorf("after %q: %d rows, %v", rest, n, err)
		}
		_ = conn.Close() // over in any case
	}
}
