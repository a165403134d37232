package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// binary builds the program once for all tests of this package.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "pamir-test")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "pamir")
	out, err := exec.Command("go", "build", "-tags", buildTags, "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// output is what a process has said so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// process is one running node.
type process struct {
	cmd  *exec.Cmd
	log  *output
	done chan struct{}
	err  error
}

// cluster is nodes as real processes on loopback.
type cluster struct {
	t                *testing.T
	bin, dir         string
	sql, listen, web []string
	mu               sync.Mutex
	procs            []*process
	extra            []string
	// certs is the certificates' directory of a secure cluster.
	certs string
}

// givenPorts are those that a test of this process has had.
var givenPorts struct {
	sync.Mutex
	m map[int]bool
}

// freeAddrs chooses addresses for nodes that are started later, and again after
// they were killed. They lie below the ports that the system gives to whoever asks
// for any, outgoing connections among them: such a port may be gone by then.
func freeAddrs(t *testing.T, n int) []string {
	t.Helper()
	givenPorts.Lock()
	defer givenPorts.Unlock()
	if givenPorts.m == nil {
		givenPorts.m = map[int]bool{}
	}
	var addrs []string
	for tries := 0; len(addrs) < n; tries++ {
		port := 10000 + rand.IntN(20000)
		if givenPorts.m[port] {
			continue
		}
		addr := fmt.Sprint("127.0.0.1:", port)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			if tries > 1000 {
				t.Fatal(err)
			}
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		givenPorts.m[port] = true
		addrs = append(addrs, addr)
	}
	return addrs
}

// newCluster makes n nodes that are not started yet.
func newCluster(t *testing.T, n int, extra ...string) *cluster {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, bin: bin, dir: t.TempDir(), sql: freeAddrs(t, n), listen: freeAddrs(t, n), web: freeAddrs(t, n),
		procs: make([]*process, n), extra: extra}
	t.Cleanup(func() {
		for i := range c.procs {
			c.kill(i)
		}
		if t.Failed() {
			for i, p := range c.procs {
				if p != nil {
					t.Logf("node %d's log ends:\n%s", i+1, tail(p.log.String(), 40))
				}
			}
		}
	})
	return c
}

func tail(s string, n int) string {
	lines := strings.Split(s, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// run starts the program with arguments.
func (c *cluster) run(args ...string) *process {
	c.t.Helper()
	p := &process{cmd: exec.Command(c.bin, args...), log: &output{}, done: make(chan struct{})}
	p.cmd.Stderr, p.cmd.Stdout = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	return p
}

// start starts node i (from 0).
func (c *cluster) start(i int) {
	c.t.Helper()
	c.startWith(i, c.listen[i])
}

// startWith starts node i with a listen address that --join need not hold.
func (c *cluster) startWith(i int, listen string) {
	c.t.Helper()
	args := []string{"start", c.security(), "--store", filepath.Join(c.dir, fmt.Sprint("n", i+1)), "--join", strings.Join(c.listen, ","),
		"--sql-addr", c.sql[i], "--listen-addr", listen, "--http-addr", c.web[i], "--locality", fmt.Sprintf("zone=z%d", i+1)}
	p := c.run(append(args, c.extra...)...)
	c.mu.Lock()
	c.procs[i] = p
	c.mu.Unlock()
}

// security is the flag that says how the nodes are secured.
func (c *cluster) security() string {
	if c.certs != "" {
		return "--certs-dir=" + c.certs
	}
	return "--insecure"
}

// boot starts all nodes, initializes the cluster and waits until every range has
// its replicas.
func (c *cluster) boot() {
	c.t.Helper()
	for i := range c.procs {
		c.start(i)
	}
	c.eventually(20*time.Second, "init", func() error {
		out, err := exec.Command(c.bin, "init", c.security(), "--host", c.listen[0]).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	c.replicated(min(3, len(c.procs)))
}

// replicated waits until every range has n live voters.
func (c *cluster) replicated(n int) {
	c.t.Helper()
	c.eventually(90*time.Second, "up-replication", func() error {
		var short int
		err := c.query(0, &short, fmt.Sprintf("SELECT count(*) FROM pamir_internal.ranges WHERE cardinality(replicas) < %d OR cardinality(behind) > 0", n))
		if err == nil && short > 0 {
			err = fmt.Errorf("%d ranges are short of replicas", short)
		}
		return err
	})
}

// kill ends node i as kill -9 does.
func (c *cluster) kill(i int) {
	c.mu.Lock()
	p := c.procs[i]
	c.mu.Unlock()
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGKILL) // it may have ended by itself
	<-p.done
}

// stop asks node i to stop and returns how long that took.
func (c *cluster) stop(i int) time.Duration {
	c.t.Helper()
	p, began := c.procs[i], time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	<-p.done
	if p.err != nil {
		c.t.Errorf("node %d stopped with %v", i+1, p.err)
	}
	return time.Since(began)
}

func (c *cluster) url(i int) string {
	if c.certs != "" {
		return fmt.Sprintf("postgresql://root@%s/defaultdb?sslmode=verify-full&sslrootcert=%s/ca.crt&sslcert=%s/client.root.crt&sslkey=%s/client.root.key&connect_timeout=5",
			c.sql[i], c.certs, c.certs, c.certs)
	}
	return fmt.Sprintf("postgresql://root@%s/defaultdb?sslmode=disable&connect_timeout=5", c.sql[i])
}

// refused runs the program with arguments that it must refuse: with status 1 and
// one line that holds all the parts. It returns what was said.
func (c *cluster) refused(args []string, parts ...string) string {
	c.t.Helper()
	p := c.run(args...)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill() // it may have ended now
		<-p.done
		c.t.Errorf("pamir %s goes on; it says %s", strings.Join(args, " "), p.log)
		return ""
	}
	var lines []string
	for l := range strings.Lines(p.log.String()) {
		if strings.HasPrefix(l, "pamir: ") {
			lines = append(lines, l)
		}
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 1 || len(lines) != 1 || !strings.HasSuffix(p.log.String(), lines[0]) {
		c.t.Errorf("pamir %s: status %d, %s", strings.Join(args, " "), code, p.log)
		return p.log.String()
	}
	for _, part := range parts {
		if !strings.Contains(lines[0], part) {
			c.t.Errorf("pamir %s: %s\nwant %q in it", strings.Join(args, " "), lines[0], part)
		}
	}
	return p.log.String()
}

// query reads one value through node i.
func (c *cluster) query(i int, dst any, sql string, args ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.url(i))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.QueryRow(ctx, sql, args...).Scan(dst)
}

// exec runs a string of statements through node i.
func (c *cluster) exec(i int, sql string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.url(i))
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		c.t.Fatalf("%v\n%s", err, sql)
	}
}

var errNever = errors.New("never tried")

// eventually repeats f until it gives nil.
func (c *cluster) eventually(d time.Duration, what string, f func() error) {
	c.t.Helper()
	deadline, err := time.Now().Add(d), errNever
	for time.Now().Before(deadline) {
		if err = f(); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	c.t.Fatalf("%s: not within %s: %v", what, d, err)
}
