package driver

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// memory opens a database in memory that ends with the test.
func memory(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("pamir", Memory)
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}

func run(t *testing.T, db interface {
	Exec(string, ...any) (sql.Result, error)
}, query string, args ...any) sql.Result {
	t.Helper()
	r, err := db.Exec(query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return r
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || pe.Code != code {
		t.Errorf("got %v, want SQLSTATE %s", err, code)
	}
}

func TestIsolationLevels(t *testing.T) {
	db := memory(t)
	run(t, db, "CREATE TABLE t (k int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 0)")
	for level, name := range map[sql.IsolationLevel]string{sql.LevelDefault: "serializable", sql.LevelReadUncommitted: "read uncommitted",
		sql.LevelReadCommitted: "read committed", sql.LevelRepeatableRead: "repeatable read", sql.LevelSnapshot: "repeatable read", sql.LevelSerializable: "serializable"} {
		tx, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: level})
		must(t, err)
		var got string
		must(t, tx.QueryRow("SHOW transaction_isolation").Scan(&got))
		if got != name {
			t.Errorf("%s is %s", level, got)
		}
		var before, after int
		must(t, tx.QueryRow("SELECT v FROM t").Scan(&before))
		run(t, db, "UPDATE t SET v = v + 1")
		must(t, tx.QueryRow("SELECT v FROM t").Scan(&after))
		if sees := after != before; sees != strings.HasPrefix(name, "read") {
			t.Errorf("%s: a later commit is seen: %t", name, sees)
		}
		must(t, tx.Rollback())
	}
	if _, err := db.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelLinearizable}); err == nil {
		t.Error("an isolation level that does not exist was taken")
	}
}

func TestTransactions(t *testing.T) {
	db := memory(t)
	run(t, db, "CREATE TABLE t (k int PRIMARY KEY)")
	tx, err := db.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	must(t, err)
	_, err = tx.Exec("INSERT INTO t VALUES (1)")
	wantCode(t, err, "25006")
	must(t, tx.Rollback())

	tx, err = db.Begin()
	must(t, err)
	run(t, tx, "INSERT INTO t VALUES (1)")
	run(t, tx, "SAVEPOINT s")
	_, err = tx.Exec("INSERT INTO t VALUES (1)")
	wantCode(t, err, "23505")
	_, err = tx.Exec("SELECT 1")
	wantCode(t, err, "25P02")
	run(t, tx, "ROLLBACK TO s")
	run(t, tx, "INSERT INTO t VALUES (2)")
	must(t, tx.Commit())
	if err := tx.Commit(); !errors.Is(err, sql.ErrTxDone) {
		t.Errorf("a second commit: %v", err)
	}

	tx, err = db.Begin()
	must(t, err)
	run(t, tx, "DELETE FROM t")
	_, err = tx.Exec("SELECT 1/0")
	wantCode(t, err, "22012")
	if err := tx.Commit(); err == nil {
		t.Error("a failed transaction committed")
	}
	var n int
	must(t, db.QueryRow("SELECT count(*) FROM t").Scan(&n))
	if n != 2 {
		t.Errorf("%d rows", n)
	}
	r := run(t, db, "UPDATE t SET k = k + 10")
	if affected, err := r.RowsAffected(); err != nil || affected != 2 {
		t.Errorf("%d rows affected, %v", affected, err)
	}
	if err := db.QueryRow("SELECT k FROM t WHERE k = 99").Scan(&n); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("no row: %v", err)
	}
}

func TestPreparedStatements(t *testing.T) {
	db := memory(t)
	run(t, db, "CREATE TABLE t (k int PRIMARY KEY, v text)")
	put, err := db.Prepare("INSERT INTO t VALUES ($1, $2)")
	must(t, err)
	defer put.Close()
	get, err := db.Prepare("SELECT v FROM t WHERE k = $1")
	must(t, err)
	defer get.Close()
	var wg sync.WaitGroup
	for w := range 4 { // more than one connection prepares it
		wg.Go(func() {
			for i := range 20 {
				k := w*20 + i
				if _, err := put.Exec(k, fmt.Sprint("v", k)); err != nil {
					t.Error(err)
				}
				var v string
				if err := get.QueryRow(k).Scan(&v); err != nil || v != fmt.Sprint("v", k) {
					t.Errorf("%d: %q, %v", k, v, err)
				}
			}
		})
	}
	wg.Wait()
	tx, err := db.Begin()
	must(t, err)
	_, err = tx.Stmt(put).Exec(1000, nil)
	must(t, err)
	must(t, tx.Rollback())
	if err := get.QueryRow(1000).Scan(new(string)); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("after the rollback: %v", err)
	}
	if _, err := put.Exec(1); err == nil {
		t.Error("a parameter is missing, and it ran")
	}
	_, err = put.Exec(1, "again")
	wantCode(t, err, "23505")
	_, err = db.Prepare("SELECT * FROM nowhere")
	wantCode(t, err, "42P01")
	// A statement that was prepared goes on after a change of the schema.
	run(t, db, "ALTER TABLE t ADD COLUMN w int DEFAULT 7")
	var v string
	must(t, get.QueryRow(3).Scan(&v))
}

// A context that ends stops the statement in the node, too, and the handle goes on.
func TestCanceledContext(t *testing.T) {
	db := memory(t)
	run(t, db, "CREATE TABLE t (k int PRIMARY KEY); INSERT INTO t VALUES (1)")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := db.ExecContext(ctx, "SELECT pg_sleep(60)"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("it took %s", d)
	}
	ctx, cancel = context.WithCancel(t.Context())
	tx, err := db.BeginTx(ctx, nil)
	must(t, err)
	run(t, tx, "INSERT INTO t VALUES (2)")
	cancel()
	if err := tx.Commit(); err == nil {
		t.Error("a transaction of an ended context committed")
	}
	if _, err := db.ExecContext(ctx, "INSERT INTO t VALUES (3)"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	var n int
	must(t, db.QueryRow("SELECT count(*) FROM t").Scan(&n))
	if n != 1 {
		t.Errorf("%d rows", n)
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		must(t, db.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND query NOT LIKE '%activity%'").Scan(&n))
		if n == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the statement goes on in the node")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestTypes(t *testing.T) {
	db := memory(t)
	at := time.Date(2024, 2, 29, 13, 14, 15, 678901000, time.UTC)
	day := time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)
	for i, c := range []struct {
		typ string
		in  any
		out any // what Scan gives for any
	}{
		{"bool", true, true},
		{"int2", int16(-5), int64(-5)},
		{"int4", 1 << 30, int64(1 << 30)},
		{"int8", int64(-1 << 62), int64(-1 << 62)},
		{"float4", float32(1.5), 1.5},
		{"float8", 1e300, 1e300},
		{"numeric(12,3)", "123456.789", "123456.789"},
		{"text", "zażółć\n", "zażółć\n"},
		{"varchar(5)", "abc", "abc"},
		{"char(5)", "abc", "abc  "},
		{"bytea", []byte{0, 1, 255}, []byte{0, 1, 255}},
		{"date", day, day},
		{"time", "13:14:15.678901", "13:14:15.678901"},
		{"timestamp", at, at},
		{"timestamptz", at, at},
		{"interval", "1 mon 2 days 03:04:05", "1 mon 2 days 03:04:05"},
		{"uuid", "0190163d-8694-739b-aea5-966c26f8ad91", "0190163d-8694-739b-aea5-966c26f8ad91"},
		{"json", `{"a": [1, 2]}`, []byte(`{"a": [1, 2]}`)},
		{"jsonb", `{"b":2,"a":1}`, []byte(`{"a": 1, "b": 2}`)},
		{"bit(5)", "10110", "10110"},
		{"int[]", "{1,NULL,3}", "{1,NULL,3}"},
		{"text[]", `{a,"b c"}`, `{a,"b c"}`},
		{"oid", 42, int64(42)},
	} {
		t.Run(c.typ, func(t *testing.T) {
			run(t, db, fmt.Sprintf("CREATE TABLE t%d (k int PRIMARY KEY, v %s)", i, c.typ))
			run(t, db, fmt.Sprintf("INSERT INTO t%d VALUES (1, $1), (2, $2)", i), c.in, nil)
			query := fmt.Sprintf("SELECT v FROM t%d WHERE k = $1", i)
			var got any
			must(t, db.QueryRow(query, 1).Scan(&got))
			if g, ok := got.(time.Time); ok {
				got = g.UTC()
			}
			if !reflect.DeepEqual(got, c.out) {
				t.Errorf("got %T %v, want %T %v", got, got, c.out, c.out)
			}
			dst := reflect.New(reflect.TypeOf(c.out))
			must(t, db.QueryRow(query, 1).Scan(dst.Interface()))
			if g, ok := dst.Elem().Interface().(time.Time); ok && !g.Equal(c.out.(time.Time)) || !ok && !reflect.DeepEqual(dst.Elem().Interface(), c.out) {
				t.Errorf("got %v, want %v", dst.Elem(), c.out)
			}
			must(t, db.QueryRow(query, 2).Scan(&got))
			if got != nil {
				t.Errorf("NULL is %v", got)
			}
			null := reflect.New(reflect.PointerTo(reflect.TypeOf(c.out)))
			must(t, db.QueryRow(query, 2).Scan(null.Interface()))
			if !null.Elem().IsNil() {
				t.Errorf("NULL is %v", null.Elem())
			}
		})
	}
}

func TestNulls(t *testing.T) {
	db := memory(t)
	var (
		s sql.NullString
		i sql.NullInt64
		f sql.NullFloat64
		b sql.NullBool
		m sql.NullTime
		p *string
	)
	must(t, db.QueryRow("SELECT NULL::text, NULL::int, NULL::float8, NULL::bool, NULL::timestamptz, NULL::text").Scan(&s, &i, &f, &b, &m, &p))
	if s.Valid || i.Valid || f.Valid || b.Valid || m.Valid || p != nil {
		t.Error("a NULL became a value")
	}
	must(t, db.QueryRow("SELECT $1::text, $2::int, $3::float8, $4::bool, $5::timestamptz, $6::text",
		sql.NullString{String: "a", Valid: true}, sql.NullInt64{Int64: 2, Valid: true}, sql.NullFloat64{Float64: 3, Valid: true},
		sql.NullBool{Bool: true, Valid: true}, sql.NullTime{Time: time.Unix(5, 0), Valid: true}, "c").Scan(&s, &i, &f, &b, &m, &p))
	if s.String != "a" || i.Int64 != 2 || f.Float64 != 3 || !b.Bool || m.Time.Unix() != 5 || p == nil || *p != "c" {
		t.Error(s, i, f, b, m, p)
	}
	if err := db.QueryRow("SELECT NULL::int").Scan(new(int)); err == nil {
		t.Error("NULL was scanned into an int")
	}
}

func TestColumnTypes(t *testing.T) {
	db := memory(t)
	run(t, db, "CREATE TABLE t (a int, b varchar(7), c numeric(10,2), d timestamptz, e text, f bool, g bytea, h bigint)")
	rows, err := db.Query("SELECT *, 1.5::float8 AS x FROM t")
	must(t, err)
	defer rows.Close()
	types, err := rows.ColumnTypes()
	must(t, err)
	var got []string
	for _, c := range types {
		s := c.Name() + " " + c.DatabaseTypeName() + " " + c.ScanType().String()
		if n, ok := c.Length(); ok && n < 1<<20 {
			s += fmt.Sprint(" length ", n)
		}
		if p, sc, ok := c.DecimalSize(); ok {
			s += fmt.Sprint(" decimal ", p, " ", sc)
		}
		got = append(got, s)
	}
	want := []string{"a INT4 int32", "b VARCHAR string length 7", "c NUMERIC float64 decimal 10 2", "d TIMESTAMPTZ time.Time", "e TEXT string", "f BOOL bool",
		"g BYTEA []uint8", "h INT8 int64", "x FLOAT8 float64"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// A result is read while other statements run on other connections.
func TestManyRowsAndOtherStatements(t *testing.T) {
	db := memory(t)
	run(t, db, "CREATE TABLE t (k int PRIMARY KEY, v text)")
	run(t, db, "INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 5000) g")
	rows, err := db.Query("SELECT k, v FROM t ORDER BY k")
	must(t, err)
	n := 0
	for rows.Next() {
		var k int
		var v string
		must(t, rows.Scan(&k, &v))
		if n++; k != n {
			t.Fatalf("row %d has key %d", n, k)
		}
		if n%1000 == 0 {
			run(t, db, "DELETE FROM t WHERE k = $1", n)
		}
	}
	must(t, rows.Err())
	if n != 5000 {
		t.Errorf("%d rows", n)
	}
	// A result that is left early gives its connection back.
	db.SetMaxOpenConns(1)
	rows, err = db.Query("SELECT k FROM t")
	must(t, err)
	rows.Next()
	must(t, rows.Close())
	must(t, db.QueryRow("SELECT count(*) FROM t").Scan(&n))
	if n != 4995 {
		t.Errorf("%d rows are left", n)
	}
}

// Close ends what is open, and the directory is free at once.
func TestCloseFreesTheDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by", "need")
	for round := range 3 {
		n, err := Open(t.Context(), dir, Options{})
		must(t, err)
		if _, err := Open(t.Context(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("a second node on one directory: %v", err)
		}
		db, err := n.DB()
		must(t, err)
		run(t, db, "CREATE TABLE IF NOT EXISTS t (k int PRIMARY KEY)")
		run(t, db, "INSERT INTO t VALUES ($1)", round)
		if round == 0 {
			tx, err := db.Begin() // nobody ends it
			must(t, err)
			run(t, tx, "INSERT INTO t VALUES (100)")
		}
		must(t, n.Close())
		must(t, n.Close())
		if _, err := db.Exec("SELECT 1"); err == nil {
			t.Error("a closed node answered")
		}
		_ = db.Close() // its connections are broken
	}
	db, err := sql.Open("pamir", dir)
	must(t, err)
	var keys string
	must(t, db.QueryRow("SELECT string_agg(k::text, ',' ORDER BY k) FROM t").Scan(&keys))
	if keys != "0,1,2" {
		t.Errorf("keys %s", keys)
	}
	must(t, db.Close())
}

// Two names of one directory are one database.
func TestLinkedDirectory(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(dir, link))
	a, err := sql.Open("pamir", dir)
	must(t, err)
	run(t, a, "CREATE TABLE t (k int)")
	b, err := sql.Open("pamir", link)
	must(t, err)
	run(t, b, "INSERT INTO t VALUES (1)")
	must(t, a.Close())
	must(t, b.Close())
}

func TestOpenErrors(t *testing.T) {
	if _, err := Open(t.Context(), "", Options{}); err == nil || !strings.Contains(err.Error(), "no directory") {
		t.Errorf("no directory: %v", err)
	}
	if db, err := sql.Open("pamir", ""); err == nil {
		must(t, db.Close())
		t.Error("sql.Open took no directory for the one that the program runs in")
	}
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, []byte("mine"), 0o600))
	if _, err := Open(t.Context(), file, Options{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file for a directory: %v", err)
	}
	db, err := sql.Open("pamir", file)
	must(t, err)
	if err := db.Ping(); err == nil {
		t.Error("a file was opened")
	}
	must(t, db.Close())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Memory, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
}

// What only pgx offers works without a socket, too.
func TestPgx(t *testing.T) {
	n, err := Open(t.Context(), Memory, Options{Database: "postgres"})
	must(t, err)
	defer func() { must(t, n.Close()) }()
	connect := func() *pgx.Conn {
		cfg, err := n.Config()
		must(t, err)
		c, err := pgx.ConnectConfig(t.Context(), cfg)
		must(t, err)
		return c
	}
	b := connect()
	defer b.Close(context.Background())
	_, err = b.Exec(t.Context(), "CREATE TABLE t (k int PRIMARY KEY, v bytea)")
	must(t, err)
	batch := &pgx.Batch{}
	for i := range 50 {
		batch.Queue("INSERT INTO t VALUES ($1, $2)", i, []byte{byte(i)})
	}
	must(t, b.SendBatch(t.Context(), batch).Close())
	var sum int
	var v []byte
	must(t, b.QueryRow(t.Context(), "SELECT sum(k), (SELECT v FROM t WHERE k = 49) FROM t WHERE current_database() = 'postgres'").Scan(&sum, &v))
	if sum != 1225 || hex.EncodeToString(v) != "31" {
		t.Errorf("%d %x", sum, v)
	}
}

// TestEnvironment: variables that are for other servers' clients do not reach an
// embedded node.
func TestEnvironment(t *testing.T) {
	t.Setenv("PGOPTIONS", "-x")
	t.Setenv("PGAPPNAME", "elsewhere")
	t.Setenv("PGTARGETSESSIONATTRS", "standby")
	db, err := sql.Open("pamir", Memory)
	must(t, err)
	defer db.Close()
	var name string
	if err := db.QueryRow("SELECT current_setting('application_name')").Scan(&name); err != nil || name != "" {
		t.Errorf("%q, %v", name, err)
	}
}
