package opt

import (
	"context"
	"testing"

	"github.com/pamirdb/pamir/sql/parse"
)

// BenchmarkPrepare plans statements whose trees are there already.
func BenchmarkPrepare(b *testing.B) {
	c := newTestCatalog()
	c.ddl(b, `create table accounts (aid int primary key, bid int, abalance int, filler char(84));
		create table tellers (tid int primary key, bid int, tbalance int)`)
	for name, sql := range map[string]string{
		"point":  "SELECT abalance FROM accounts WHERE aid = $1",
		"update": "UPDATE accounts SET abalance = abalance + $1 WHERE aid = $2",
		"insert": "INSERT INTO tellers (tid, bid, tbalance) VALUES ($1, $2, $3)",
		"join":   "SELECT a.aid, sum(t.tbalance) FROM accounts a JOIN tellers t ON a.bid = t.bid WHERE a.abalance > 3 GROUP BY a.aid ORDER BY 2 LIMIT 5",
	} {
		st, _, err := parse.ParseOne(sql)
		if err != nil {
			b.Fatal(err)
		}
		r, o := c.resolver(), *options(c)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Prepare(context.Background(), st.Node, r, o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
