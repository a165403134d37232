package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestOperate drains a node whose client does not end its transaction, and asks
// for the nodes when most of them are gone.
func TestOperate(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.boot()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.url(1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(ctx, "BEGIN"); err != nil {
		t.Fatal(err)
	}
	p := c.run("node", "drain", "--insecure", "--host="+c.listen[1])
	<-p.done
	if out := p.log.String(); p.err != nil || !strings.Contains(out, "in a transaction: 1") {
		t.Errorf("drain: %v, %s", p.err, out)
	}
	var leases int
	c.eventually(10*time.Second, "leases to go", func() error {
		return c.query(0, &leases, "SELECT leases::int FROM pamir_internal.nodes WHERE sql_address = '"+c.sql[1]+"' AND is_draining AND leases = 0")
	})
	if _, err := conn.Exec(ctx, "SELECT count(*) FROM pg_class; COMMIT"); err != nil {
		t.Errorf("the session that was left: %v", err)
	}

	c.kill(1)
	c.kill(2)
	out := c.refused([]string{"node", "status", "--insecure", "--host=" + c.listen[0]}, "does not answer", "knows by itself")
	for i, live := range []string{"true", "false", "false"} {
		if !strings.Contains(out, c.sql[i]+" | "+live) {
			t.Errorf("node %d is not said to be live=%s:\n%s", i+1, live, out)
		}
	}
}
