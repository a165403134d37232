package pgwire_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
)

// words are what random conversations are made of. Statements are few, so that
// names, portals and transactions meet often.
var words = struct{ statements, params, names, portals []string }{
	statements: []string{
		"select 1 as one", "select $1::int4 as p, $2::text as q", "insert into rnd values ($1, 'v') returning a, b", "insert into rnd values ($1, 'w')",
		"select a, b from rnd order by a", "select a from rnd where a > $1::int4 order by a", "update rnd set b = b || 'u' where a = $1::int4",
		"delete from rnd where a = $1", "begin", "commit", "rollback", "savepoint s", "rollback to s", "release s", "",
		"selec", "select nosuch", "select 10 / (g - $1::int4) from generate_series(1, 3) g", "select g from generate_series(1, 5) g",
		"set application_name = 'a'", "set local application_name = 'b'", "show application_name", "copy rnd to stdout",
		"begin read only", "select count(*) from rnd",
	},
	params:  []string{"t:1", "t:2", "t:3", "b:00000001", "b:00000002", "t:x", "null", "b:01"},
	names:   []string{"-", "-", "s1", "s2"},
	portals: []string{"-", "-", "-", "p1", "p2"},
}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// conversation is a random sequence of messages that ends with every name free.
func conversation(r *rand.Rand) []string {
	var out []string
	takes := map[string]int{} // how many parameters a statement takes, perhaps
	parse := func(name string) {
		sql := pick(r, words.statements)
		takes[name] = strings.Count(sql, "$")
		out = append(out, "Parse "+name+" [] "+sql)
	}
	parse("-")
	parse("s1")
	parse("s2")
	for range 3 + r.IntN(15) {
		switch n := r.IntN(100); {
		case n < 20:
			parse(pick(r, words.names))
		case n < 45:
			name := pick(r, words.names)
			n := takes[name]
			if r.IntN(10) == 0 {
				n = r.IntN(3)
			}
			b := "Bind " + pick(r, words.portals) + " " + name
			for range n {
				b += " " + pick(r, words.params)
			}
			if r.IntN(4) == 0 {
				b += " r=" + strconv.Itoa(r.IntN(2))
			}
			out = append(out, b)
		case n < 65:
			out = append(out, "Execute "+pick(r, words.portals)+" "+strconv.Itoa(max(0, r.IntN(4)-1)))
		case n < 70:
			out = append(out, "Describe S "+pick(r, words.names))
		case n < 75:
			out = append(out, "Describe P "+pick(r, words.portals))
		case n < 78:
			out = append(out, "Close S "+pick(r, words.names))
		case n < 81:
			out = append(out, "Close P "+pick(r, words.portals))
		case n < 84:
			out = append(out, "Flush")
		case n < 88:
			out = append(out, "Sync")
		default:
			if sql := pick(r, words.statements); !strings.Contains(sql, "$") {
				out = append(out, "Sync", "Query "+sql)
			}
		}
	}
	return append(out, "Sync", "Query rollback", "Close S s1", "Close S s2", "Sync", "Query reset all", "Query select a, b from rnd order by a")
}

// TestRandom has conversations in random messages with a node: each is answered
// by exactly one ReadyForQuery for each message that asks for one, and without an
// internal error. With $PAMIR_PG every answer must be PostgreSQL's. A seed that
// fails is run again by itself with $PAMIR_SEED.
func TestRandom(t *testing.T) {
	first, n := uint64(1), 150
	if s := os.Getenv("PAMIR_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		first, n = seed, 1
	}
	if s := os.Getenv("PAMIR_SEEDS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	targets := []target{startNode(t)}
	if addr := os.Getenv("PAMIR_PG"); addr != "" {
		targets = append(targets, target{addr, "postgres", "pgw"})
	}
	for seed := first; seed < first+uint64(n); seed++ {
		lines := conversation(rand.New(rand.NewPCG(seed, 0)))
		var answers []string
		for _, to := range targets {
			answers = append(answers, converse(t, to, lines))
		}
		said := strings.Join(lines, "\n")
		if strings.Contains(answers[0], " XX000 ") || strings.Contains(answers[0], "FATAL") {
			t.Errorf("seed %d:\n%s\n%s", seed, said, answers[0])
		}
		if len(answers) > 1 && answers[0] != answers[1] {
			t.Errorf("seed %d:\n%s\n-- ours\n%s-- PostgreSQL\n%s", seed, said, answers[0], answers[1])
		}
	}
}

// converse says lines on a connection of its own, over a fresh table.
func converse(t *testing.T, to target, lines []string) string {
	p := &protocolTest{to: to}
	c, err := p.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.net.Close(); err != nil {
			t.Error(err)
		}
	}()
	start := startup(map[string]string{"user": to.user, "database": to.database, "application_name": "random", "client_min_messages": "warning"})
	b, err := start.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"drop table if exists rnd", "create table rnd (a int primary key, b text)", "insert into rnd values (1, 'one'), (3, 'three')"} {
		if b, _, err = encodeLine(b, "Query "+s); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.net.Write(b); err != nil {
		t.Fatal(err)
	}
	if out := c.receive("Z", 4); strings.Contains(out, "Error") {
		t.Fatal(out)
	}
	b = b[:0]
	want := 0
	for _, l := range lines {
		var ends bool
		if b, ends, err = encodeLine(b, l); err != nil {
			t.Fatal(fmt.Errorf("%s: %w", l, err))
		}
		if ends {
			want++
		}
	}
	// A message that was skipped after an error is not answered: the last one
	// always is.
	if b, _, err = encodeLine(b, "Query select 'the end'"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.net.Write(b); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for range want + 1 {
		part := c.receive("Z", 1)
		out.WriteString(part)
		if strings.Contains(part, "'the end'") || strings.Contains(part, "closed") {
			break
		}
	}
	return out.String()
}
