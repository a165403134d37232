package driver

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestMemory(t *testing.T) {
	db, err := sql.Open("pamir", Memory)
	must(t, err)
	defer db.Close()
	_, err = db.Exec("CREATE TABLE t (k int PRIMARY KEY, v text NOT NULL)")
	must(t, err)
	_, err = db.Exec("INSERT INTO t VALUES ($1, $2), ($3, $4)", 1, "one", 2, "two")
	must(t, err)
	var v string
	must(t, db.QueryRow("SELECT v FROM t WHERE k = $1", 2).Scan(&v))
	if v != "two" {
		t.Fatalf("got %q", v)
	}
	_, err = db.Exec("INSERT INTO t VALUES (1, 'again')")
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || pe.Code != "23505" {
		t.Fatalf("want 23505, got %v", err)
	}
	other, err := sql.Open("pamir", Memory)
	must(t, err)
	defer other.Close()
	if err := other.QueryRow("SELECT v FROM t WHERE k = 2").Scan(&v); !errors.As(err, &pe) || pe.Code != "42P01" {
		t.Fatalf("another memory database sees the table: %v", err)
	}
}

func TestDirectorySurvivesReopen(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		db, err := sql.Open("pamir", dir)
		must(t, err)
		_, err = db.Exec("CREATE TABLE IF NOT EXISTS t (k int PRIMARY KEY)")
		must(t, err)
		tx, err := db.Begin()
		must(t, err)
		_, err = tx.Exec("INSERT INTO t VALUES ($1)", round)
		must(t, err)
		must(t, tx.Commit())
		var n int
		must(t, db.QueryRow("SELECT count(*) FROM t").Scan(&n))
		if n != round+1 {
			t.Fatalf("round %d: %d rows", round, n)
		}
		must(t, db.Close())
	}
}

func TestHandlesShareADirectory(t *testing.T) {
	dir := t.TempDir()
	a, err := sql.Open("pamir", dir)
	must(t, err)
	b, err := sql.Open("pamir", dir)
	must(t, err)
	_, err = a.Exec("CREATE TABLE t (k int)")
	must(t, err)
	_, err = b.Exec("INSERT INTO t VALUES (1)")
	must(t, err)
	must(t, a.Close())
	var n int
	must(t, b.QueryRow("SELECT count(*) FROM t").Scan(&n)) // b keeps the node alive
	must(t, b.Close())
}

func TestConcurrentTransfers(t *testing.T) {
	n, err := Open(context.Background(), Memory, Options{})
	must(t, err)
	defer func() { must(t, n.Close()) }()
	db, err := n.DB()
	must(t, err)
	defer db.Close()
	_, err = db.Exec("CREATE TABLE a (id int PRIMARY KEY, v int); INSERT INTO a SELECT g, 10 FROM generate_series(1, 5) g")
	must(t, err)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 25 {
				from, to := 1+(w+i)%5, 1+(w+2*i)%5
				if _, err := db.Exec("UPDATE a SET v = v + CASE id WHEN $1 THEN -1 ELSE 1 END WHERE id IN ($1, $2) AND $1 <> $2", from, to); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	wg.Wait()
	var sum int
	must(t, db.QueryRow("SELECT sum(v) FROM a").Scan(&sum))
	if sum != 50 {
		t.Fatalf("sum is %d", sum)
	}
}

func TestCancel(t *testing.T) {
	n, err := Open(context.Background(), Memory, Options{})
	must(t, err)
	defer func() { must(t, n.Close()) }()
	cfg, err := n.Config()
	must(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	conn, err := pgx.ConnectConfig(context.Background(), cfg)
	must(t, err)
	defer conn.Close(context.Background())
	if _, err := conn.Exec(ctx, "SELECT pg_sleep(30)"); err == nil {
		t.Fatal("the statement was not canceled")
	}
}

func TestPipeDeadlineAndClose(t *testing.T) {
	a, b := newPipe()
	must(t, a.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("want a deadline error, got %v", err)
	}
	must(t, a.SetReadDeadline(time.Time{}))
	big := make([]byte, 3*pipeBuffer)
	go func() { _, _ = b.Write(big); b.Close() }()
	got, err := io.ReadAll(a)
	if err != nil || len(got) != len(big) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Fatalf("want a closed pipe, got %v", err)
	}
}
