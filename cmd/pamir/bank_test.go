package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	accounts = 60
	opening  = 100
)

// bank moves money between accounts while nodes die. Each transfer also inserts
// a row with an id of its own, so that an acknowledged one can be looked for.
type bank struct {
	c       *cluster
	acked   sync.Map // transfer id -> true
	commits atomic.Int64
	unknown atomic.Int64
}

func (b *bank) setup() {
	b.c.exec(0, `CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL);
		CREATE TABLE transfers (id bigint PRIMARY KEY, src int NOT NULL, dst int NOT NULL, amount int NOT NULL);
		INSERT INTO accounts SELECT g, 100 FROM generate_series(1, 60) g`)
	b.c.exec(0, "ALTER TABLE accounts SPLIT AT VALUES (20), (40)")
	b.c.exec(0, "ALTER TABLE transfers SPLIT AT VALUES (1000000000), (2000000000)")
}

// work transfers until ctx ends, reconnecting to any node.
func (b *bank) work(ctx context.Context, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	var conn *pgx.Conn
	for ctx.Err() == nil {
		if conn == nil || conn.IsClosed() {
			cctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			var err error
			conn, err = pgx.Connect(cctx, b.c.url(r.IntN(len(b.c.sql))))
			cancel()
			if err != nil {
				conn = nil
				time.Sleep(20 * time.Millisecond)
				continue
			}
		}
		id := r.Int64N(3_000_000_000)
		tctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		sentCommit, err := transfer(tctx, conn, id, 1+r.IntN(accounts), 1+r.IntN(accounts), 1+r.IntN(5))
		cancel()
		switch {
		case err == nil:
			b.acked.Store(id, true)
			b.commits.Add(1)
		case sentCommit:
			b.unknown.Add(1)
		}
		if err != nil && conn.PgConn().TxStatus() != 'I' {
			_ = conn.Close(context.Background()) // start anew
		}
	}
	if conn != nil {
		_ = conn.Close(context.Background())
	}
}

func transfer(ctx context.Context, conn *pgx.Conn, id int64, src, dst, amount int) (sentCommit bool, err error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return false, err
	}
	for _, s := range []struct {
		sql  string
		args []any
	}{
		{"UPDATE accounts SET balance = balance - $1 WHERE id = $2", []any{amount, src}},
		{"UPDATE accounts SET balance = balance + $1 WHERE id = $2", []any{amount, dst}},
		{"INSERT INTO transfers VALUES ($1, $2, $3, $4)", []any{id, src, dst, amount}},
	} {
		if _, err := tx.Exec(ctx, s.sql, s.args...); err != nil {
			_ = tx.Rollback(ctx) // the first error is the one that counts
			return false, err
		}
	}
	return true, tx.Commit(ctx)
}

// check compares balances with the transfers on record, and the record with what
// clients were told.
func (b *bank) check() {
	t := b.c.t
	t.Helper()
	var total, moved int
	b.c.eventually(30*time.Second, "sum of balances", func() error { return b.c.query(0, &total, "SELECT sum(balance)::int FROM accounts") })
	if total != accounts*opening {
		t.Errorf("the accounts hold %d, want %d", total, accounts*opening)
	}
	if err := b.c.query(0, &moved, `SELECT count(*)::int FROM accounts a WHERE balance <> 100
		+ coalesce((SELECT sum(amount) FROM transfers x WHERE x.dst = a.id), 0) - coalesce((SELECT sum(amount) FROM transfers x WHERE x.src = a.id), 0)`); err != nil {
		t.Fatal(err)
	}
	if moved != 0 {
		t.Errorf("%d accounts disagree with the transfers on record", moved)
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, b.c.url(0))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, "SELECT id FROM transfers")
	if err != nil {
		t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		t.Fatal(err)
	}
	there := map[int64]bool{}
	for _, id := range ids {
		there[id] = true
	}
	lost := 0
	b.acked.Range(func(k, _ any) bool {
		if !there[k.(int64)] {
			lost++
		}
		return true
	})
	if lost > 0 {
		t.Errorf("%d acknowledged transfers are missing", lost)
	}
	t.Logf("%d transfers acknowledged, %d unknown, %d on record", b.commits.Load(), b.unknown.Load(), len(ids))
}

// TestBankSurvivesKills kills each node in turn under load, then all at once.
func TestBankSurvivesKills(t *testing.T) {
	t.Parallel()
	b := &bank{c: newCluster(t, 3)}
	b.c.boot()
	b.setup()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Add(1)
		go func() { defer wg.Done(); b.work(ctx, uint64(i)) }()
	}
	for i := range killRounds {
		b.progress(fmt.Sprintf("before round %d", i))
		victim := i % 3
		b.c.kill(victim)
		b.progress("with one node dead")
		b.c.start(victim)
	}
	for i := range 3 {
		b.c.kill(i)
	}
	for i := range 3 {
		b.c.start(i)
	}
	b.progress("after the death of all")
	cancel()
	wg.Wait()
	b.check()
	b.c.replicated(3)
}

// progress waits until transfers commit again.
func (b *bank) progress(when string) {
	b.c.t.Helper()
	from, began := b.commits.Load(), time.Now()
	b.c.eventually(20*time.Second, "commits "+when, func() error {
		if b.commits.Load() < from+20 {
			return fmt.Errorf("%d commits", b.commits.Load()-from)
		}
		return nil
	})
	b.c.t.Logf("commits %s: within %s", when, time.Since(began).Round(time.Millisecond))
}

// TestStopIsClean stops a single node under way and finds everything again.
func TestStopIsClean(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	c.boot()
	c.exec(0, "CREATE TABLE t (k int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'x' FROM generate_series(1, 1000) g")
	// A shell and a terminal may both pass one Ctrl-C on: that is no second one.
	if err := c.procs[0].cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if d := c.stop(0); d > 3*time.Second {
		t.Errorf("stopping took %s", d)
	}
	c.start(0)
	var n int
	c.eventually(10*time.Second, "query after restart", func() error { return c.query(0, &n, "SELECT count(*)::int FROM t") })
	if n != 1000 {
		t.Fatalf("%d rows", n)
	}
}

// TestErrorsKeepTheConnection sends bad statements and goes on.
func TestErrorsKeepTheConnection(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	c.boot()
	c.exec(0, "CREATE TABLE u (k int PRIMARY KEY, v int UNIQUE); INSERT INTO u VALUES (1, 1)")
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, c.url(0))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for sql, code := range map[string]string{
		"SELECT":                          "",
		"SELEC 1":                         "42601",
		"SELECT * FROM nowhere":           "42P01",
		"SELECT nothing FROM u":           "42703",
		"INSERT INTO u VALUES (1, 2)":     "23505",
		"INSERT INTO u VALUES (2, 1)":     "23505",
		"INSERT INTO u VALUES (NULL, 1)":  "23502",
		"SELECT 1/0":                      "22012",
		"SELECT 'x'::int":                 "22P02",
		"SELECT 2147483647 + 1":           "22003",
		"SELECT nofunction(1)":            "42883",
		deepExpression(5000):              "54001",
		"SELECT /*" + nestedComments(100): "54001",
	} {
		_, err := conn.Exec(ctx, sql)
		var pe *pgconn.PgError
		got := ""
		if errors.As(err, &pe) {
			got = pe.Code
		}
		if got != code {
			t.Errorf("%.60s: %v, want SQLSTATE %q", sql, err, code)
		}
	}
	var n int
	if err := conn.QueryRow(ctx, "SELECT count(*)::int FROM u").Scan(&n); err != nil || n != 1 {
		t.Fatalf("%d rows, %v", n, err)
	}
}
