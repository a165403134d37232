package main

import (
	"bytes"
	"crypto/sha256"
	be "encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	bolt "go.etcd.io/bbolt"
)

// singleArgs starts a node alone, on ports that are free.
func singleArgs(store string, more ...string) []string {
	return append([]string{"start-single-node", "--insecure", "--store=" + store, "--sql-addr=127.0.0.1:0", "--http-addr=127.0.0.1:0"}, more...)
}

// TestBadFlags: whatever is wrong with a command is said in one line that names it.
func TestBadFlags(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 0)
	store := filepath.Join(c.dir, "s")
	for _, x := range []struct {
		args  []string
		parts []string
	}{
		{[]string{"nonsense"}, []string{`"nonsense"`}},
		{[]string{"start", "extra"}, []string{`"extra"`}},
		{singleArgs(store, "--bogus"), []string{"--bogus"}},
		{singleArgs(store, "--join=127.0.0.1:1"), []string{"--join"}},
		{singleArgs(store, "--max-offset=soon"), []string{"--max-offset", `"soon"`}},
		{singleArgs(store, "--max-offset=-5s"), []string{"--max-offset=-5s", "negative"}},
		{singleArgs(store, "--range-max-bytes=5"), []string{"--range-max-bytes=5", "65536"}},
		{singleArgs(store, "--log-level=loud"), []string{"--log-level=loud", "debug, info, warn or error"}},
		{singleArgs(store, "--locality=zone"), []string{"--locality=zone", "key=value"}},
		{singleArgs(store, "--sql-addr=127.0.0.1"), []string{"--sql-addr=127.0.0.1", "HOST:PORT"}},
		{singleArgs(store, "--http-addr=127.0.0.1:99999"), []string{"--http-addr=127.0.0.1:99999", "65535"}},
		{singleArgs(store, "--sql-addr=192.0.2.1:26257"), []string{"--sql-addr=192.0.2.1:26257", "does not have that address"}},
		{[]string{"start", "--insecure", "--store=" + store, "--join=elsewhere"}, []string{"--join=elsewhere", "HOST:PORT"}},
		{[]string{"start-single-node", "--store=" + store}, []string{"--certs-dir", "--insecure"}},
		{singleArgs(store, "--certs-dir=certs"), []string{"--insecure", "--certs-dir", "contradict"}},
		{[]string{"demo", "--nodes=0"}, []string{"--nodes"}},
		{[]string{"init", "--host=127.0.0.1:1"}, []string{"--certs-dir", "--insecure"}},
		{[]string{"node", "darin", "--insecure"}, []string{`unknown command "darin" for "pamir node"`}},
		{[]string{"cert", "create"}, []string{`unknown command "create" for "pamir cert"`}},
		{[]string{"import", "oracle"}, []string{`unknown command "oracle" for "pamir import"`}},
		{[]string{"node", "decommission", "x", "--insecure"}, []string{`"x"`}},
		{[]string{"node", "decommission", "3x", "--insecure"}, []string{`"3x"`}},
		{[]string{"node", "decommission", "0", "--insecure"}, []string{`"0"`}},
		{singleArgs(""), []string{"--store", "directory"}},
		{[]string{"cert", "create-client", "../x", "--certs-dir=" + store}, []string{`"../x"`}},
		{[]string{"sql", "--host=127.0.0.1:1"}, []string{"--certs-dir", "--insecure"}},
		{[]string{"sql", "--insecure", "--host=elsewhere", "--execute=SELECT 1"}, []string{"--host=elsewhere", "HOST:PORT"}},
		{[]string{"sql", "--insecure", "--host=127.0.0.1:1", "--execute=SELECT 1"}, []string{"127.0.0.1:1", "connection refused"}},
		{[]string{"cert", "create-node"}, []string{"arg"}},
	} {
		c.refused(x.args, x.parts...)
	}
}

// contents is a digest of a store's state file.
func contents(t *testing.T, store string) (sum [sha256.Size]byte) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(store, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

// setFormat changes the format version that a store claims.
func setFormat(t *testing.T, store string, version uint64) (old uint64) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(store, "state.db"), 0o640, &bolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("meta"))
		old = be.BigEndian.Uint64(b.Get([]byte("format")))
		return b.Put([]byte("format"), be.BigEndian.AppendUint64(nil, version))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return old
}

// TestFailedStartsLeaveTheData starts a node over a store in ways that fail, and
// then in one that does not.
func TestFailedStartsLeaveTheData(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	c.boot()
	c.exec(0, "CREATE TABLE t (k int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 100)")
	store := filepath.Join(c.dir, "n1")
	c.refused(singleArgs(store), "store "+store, "in use by another process", "directory of its own")
	c.stop(0)

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, flag := range []string{"--sql-addr", "--http-addr", "--listen-addr"} {
		given := flag + "=" + taken.Addr().String()
		c.refused(singleArgs(store, given), given, "another process listens there")
	}

	known := setFormat(t, store, 1<<40)
	before := contents(t, store)
	c.refused(singleArgs(store), "store "+store, "newer version", "nothing was changed")
	if contents(t, store) != before {
		t.Error("a store of a newer version was changed")
	}
	setFormat(t, store, known)

	file := filepath.Join(c.dir, "file")
	broken := filepath.Join(c.dir, "broken")
	if err := errors.Join(os.WriteFile(file, []byte("x"), 0o600), os.Mkdir(broken, 0o700),
		os.WriteFile(filepath.Join(broken, "state.db"), bytes.Repeat([]byte("no store "), 1<<12), 0o600)); err != nil {
		t.Fatal(err)
	}
	c.refused(singleArgs(file), "store "+file, "not a directory")
	c.refused(singleArgs(broken), "store "+broken, "state.db")

	c.start(0)
	var n int
	c.eventually(10*time.Second, "query after the failed starts", func() error { return c.query(0, &n, "SELECT count(*)::int FROM t") })
	if n != 100 {
		t.Errorf("%d rows", n)
	}
}

// said waits until a node's log holds a text.
func (c *cluster) said(i int, parts ...string) {
	c.t.Helper()
	c.eventually(15*time.Second, "log", func() error {
		for l := range strings.Lines(c.procs[i].log.String()) {
			all := true
			for _, part := range parts {
				all = all && strings.Contains(l, part)
			}
			if all {
				return nil
			}
		}
		return fmt.Errorf("no line with %q", parts)
	})
}

// health asks a node over HTTP.
func (c *cluster) health(i int, query string) (int, error) {
	r, err := http.Get("http://" + c.web[i] + "/health" + query)
	if err != nil {
		return 0, err
	}
	defer r.Body.Close()
	_, err = io.Copy(io.Discard, r.Body)
	return r.StatusCode, err
}

// TestJoinAddresses starts new nodes with addresses that lead nowhere: they say
// which and why, go on waiting, and become a cluster by the good ones, of which
// there is one however often init is called.
func TestJoinAddresses(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 2)
	strange, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer strange.Close()
	go func() {
		for {
			conn, err := strange.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("220 mail.example ESMTP\r\n")) // the node may have gone
			_ = conn.Close()
		}
	}()
	good := c.listen
	nobody := freeAddrs(t, 1)[0]
	c.listen = append([]string{"nowhere.invalid:26258", nobody, strange.Addr().String()}, good...)
	for i := range c.procs {
		c.startWith(i, good[i])
	}
	for i := range c.procs {
		c.said(i, "belongs to no cluster yet", "pamir init --host="+good[i])
		c.said(i, "level=WARN", "nowhere.invalid:26258", "because=")
		c.said(i, "level=WARN", nobody, "connection refused")
		c.said(i, "level=WARN", strange.Addr().String(), "does not speak Pamir's node protocol")
		if alive, err := c.health(i, ""); alive != 200 || err != nil {
			t.Errorf("node %d: /health is %d, %v", i+1, alive, err)
		}
		if ready, err := c.health(i, "?ready=1"); ready != 503 || err != nil {
			t.Errorf("node %d: /health?ready=1 is %d, %v", i+1, ready, err)
		}
	}
	for addr, why := range map[string]string{nobody: "nothing listens there", strange.Addr().String(): "does not speak Pamir's node protocol",
		"nowhere.invalid:26258": "nowhere.invalid", "nohost": "nohost"} {
		c.refused([]string{"init", "--insecure", "--host=" + addr}, "no node answers at --host="+addr, why)
		if addr != nobody {
			continue
		}
		c.refused([]string{"node", "status", "--insecure", "--host=" + addr}, "no node answers at --host="+addr, why)
	}
	c.refused([]string{"node", "status", "--insecure", "--host=" + good[0]}, "run pamir init once")
	c.initEverywhere(good)
	for i := range good {
		c.refused([]string{"init", "--insecure", "--host=" + good[i]}, "initialized already")
	}
	var nodes int
	c.eventually(20*time.Second, "both nodes", func() error {
		if err := c.query(1, &nodes, "SELECT count(*)::int FROM pamir_internal.nodes WHERE is_live"); err != nil || nodes == 2 {
			return err
		}
		return fmt.Errorf("%d nodes", nodes)
	})
	c.refused([]string{"init", "--insecure", "--host=" + c.sql[0]}, "does not speak Pamir's node protocol")
	if ready, err := c.health(1, "?ready=1"); ready != 200 || err != nil {
		t.Errorf("/health?ready=1 is %d, %v", ready, err)
	}
}

// initEverywhere calls init on all nodes at once: at most one obeys.
func (c *cluster) initEverywhere(nodes []string) {
	c.t.Helper()
	var calls []*process
	for _, addr := range nodes {
		calls = append(calls, c.run("init", "--insecure", "--host="+addr))
	}
	obeyed := 0
	for i, p := range calls {
		<-p.done
		switch said := p.log.String(); {
		case p.err == nil:
			obeyed++
		case !strings.Contains(said, "initialized"):
			c.t.Errorf("init of %s: %s", nodes[i], said)
		}
	}
	if obeyed > 1 {
		c.t.Fatalf("%d nodes started a cluster each", obeyed)
	}
	if obeyed == 0 { // each saw the other
		p := c.run("init", "--insecure", "--host="+nodes[0])
		if <-p.done; p.err != nil {
			c.t.Fatalf("init: %v: %s", p.err, p.log)
		}
	}
}

// TestSingleNodeGrows: ranges of a node that began alone get their replicas as
// others join it.
func TestSingleNodeGrows(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.procs[0] = c.run("start-single-node", "--insecure", "--store="+filepath.Join(c.dir, "n1"), "--sql-addr="+c.sql[0],
		"--listen-addr="+c.listen[0], "--http-addr="+c.web[0])
	c.said(0, "cluster ", "node 1")
	c.start(1)
	c.start(2)
	c.replicated(3)
}

// TestWaitingNodeStops: a node that waits for a cluster ends when it is told to.
func TestWaitingNodeStops(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 1)
	c.start(0)
	c.said(0, "belongs to no cluster yet")
	var n int
	err := c.query(0, &n, "SELECT 1")
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || pe.Code != "57P03" || !strings.Contains(pe.Hint, "pamir init") {
		t.Errorf("a client of a node without a cluster: %v", err)
	}
	c.refused([]string{"sql", "--insecure", "--host=" + c.sql[0], "--execute=SELECT 1"}, "57P03", "pamir init")
	if d := c.stop(0); d > 3*time.Second {
		t.Errorf("stopping took %s", d)
	}
}
