package main

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/pamirdb/pamir/pkg/driver"
)

// TestEmbeddedDirectoryGrows makes a database in this process, serves its directory
// with the program, has another node join it, and takes it back.
func TestEmbeddedDirectoryGrows(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	store := filepath.Join(c.dir, "n1")
	embedded := func(statements ...string) {
		t.Helper()
		db, err := sql.Open("pamir", store)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range statements {
			if _, err := db.Exec(s); err != nil {
				t.Errorf("%s: %v", s, err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	embedded("CREATE TABLE t (k int PRIMARY KEY, v text)", "INSERT INTO t SELECT g, 'embedded' FROM generate_series(1, 100) g")

	c.procs[0] = c.run("start-single-node", "--insecure", "--store="+store, "--sql-addr="+c.sql[0], "--http-addr=127.0.0.1:0")
	c.eventually(10*time.Second, "the directory served", func() error { return c.hasRows(0, 100) })
	c.exec(0, "INSERT INTO t VALUES (101, 'served')")
	c.stop(0)

	embedded("INSERT INTO t VALUES (102, 'embedded again')")

	for i := range c.procs {
		c.start(i)
	}
	c.eventually(20*time.Second, "the second node", func() error { return c.hasRows(1, 102) })
	var nodes int
	if err := c.query(1, &nodes, "SELECT count(*)::int FROM pamir_internal.nodes"); err != nil || nodes != 2 {
		t.Errorf("%d nodes, %v", nodes, err)
	}
}

// hasRows fails unless the table t has n rows through node i.
func (c *cluster) hasRows(i, n int) error {
	var got int
	err := c.query(i, &got, "SELECT count(*)::int FROM t")
	if err == nil && got != n {
		err = fmt.Errorf("%d rows, want %d", got, n)
	}
	return err
}
